"""Every rule finds its bad image and lets its good one pass; a rule that is broken either way is noticed."""

from __future__ import annotations

import msgspec
import pytest

from tests.checks.corpus import CASES, TODAY
from wingo.check.catalogue import RULES
from wingo.check.engine import check
from wingo.check.finding import Problem
from wingo.image.model import images_of
from wingo.oci.place import parse_place
from wingo.pipeline.checking import gather
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost

ELSEWHERE = ("WGO3", "WGO4", "WGO6", "WGO7")
"""Go, size, secrets, Dockerfiles, capabilities: their twins are in test_go_size_secrets.py and test_capabilities.py."""
ALONE = {rule.id: rule for rule in RULES}


def subject_of(tmp_path, number, fault):
    case = CASES[number]
    place = f"oci:{case.write(tmp_path / 'image', fault)}"
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))
    with Places(host, Settings()) as places:
        artifact = places.open(parse_place(place)).read()
        below = {image.digest: case.below(image) for image in images_of(artifact)} if case.below else None
        return gather(place, artifact, places, hosts=case.hosts, below=below).subject


def found(subject, policy, rule):
    rules = [item for item in RULES if item.id != rule.id] if rule.id == "WGO001" else []
    return rule.id in {finding.rule for finding in check(subject, policy, TODAY, [*rules, rule]).findings}


def nothing(_):
    return ()


def everything(_):
    return [Problem(message="everything is wrong")]


@pytest.mark.parametrize("number", CASES)
def test_each_rule_finds_what_is_broken_and_nothing_else(tmp_path, number):
    case, rule = CASES[number], ALONE[number]
    bad = subject_of(tmp_path / "bad", number, case.bad)
    good = subject_of(tmp_path / "good", number, case.good)
    good_policy = case.good_policy or case.policy
    assert found(bad, case.policy, rule)
    assert not found(good, good_policy, rule)
    # The two assertions above fail for a rule that finds nothing, and for one that finds everything.
    assert not found(bad, case.policy, msgspec.structs.replace(rule, find=nothing))
    assert found(good, good_policy, msgspec.structs.replace(rule, find=everything))


def test_every_rule_is_in_the_corpus():
    assert {rule.id for rule in RULES if not rule.id.startswith(ELSEWHERE)} == set(CASES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_explained(rule):
    assert set(rule.page) == {"Why", "Example", "Mend"}
    assert all(rule.page.values())
    assert rule.title.endswith(".")
    assert rule.title.count(".") <= 3
