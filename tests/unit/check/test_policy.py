from __future__ import annotations

import datetime as dt
import tomllib

import pytest

from tests.verifier import broken
from tests.verifier.broken import Fault, file
from wingo.check.finding import Finding, Severity, Where, merged
from wingo.check.goversions import same_until
from wingo.check.policy import Policy, judged, read_policy, valid_through
from wingo.errors import ChecksFailed, RequestError
from wingo.pipeline.checking import policy_of, refuse_errors, report_of
from wingo.pipeline.rulebook import BY_ID
from wingo.pipeline.settings import Settings, from_toml, merge

DAY = dt.date(2026, 11, 25)


def policy(text: str) -> Policy:
    return read_policy(tomllib.loads(text), BY_ID)


def finding(rule="WGO105", path="Files/legacy/x.dll", severity=Severity.ERROR, **where):
    return Finding(rule, severity, "wrong", Where("oci:out", path=path, **where))


def test_severities_are_the_users():
    [item] = judged([finding()], policy('[severity]\nWGO105 = "note"'), DAY)
    assert item.severity is Severity.NOTE


@pytest.mark.parametrize("text", ['ignore = ["WGO105"]', '[severity]\nWGO105 = "off"'])
def test_ignored_rules_find_nothing(text):
    assert judged([finding()], policy(text), DAY) == ()
    assert policy(text).ignored == {"WGO105"}


WAIVER = '[[waiver]]\nrule = "WGO105"\nuntil = 2026-11-25\nreason = "soon"\npath = "Files/LEGACY/*"'


def test_a_waiver_holds_through_its_day_and_for_its_path_alone():
    rules = policy(WAIVER)
    assert [bool(item.waived) for item in judged([finding(), finding(path="Files/app/x")], rules, DAY)] == [True, False]
    assert [item.waived for item in judged([finding()], rules, DAY + dt.timedelta(1))] == [""]
    assert [item.waived for item in judged([finding(rule="WGO106")], rules, DAY)] == [""]


def test_a_verdict_is_good_until_the_first_waiver_that_was_used_ends():
    rules = policy(WAIVER)
    assert valid_through(rules, judged([finding()], rules, DAY), DAY) == DAY
    assert valid_through(rules, judged([finding(path="x")], rules, DAY), DAY) == same_until(DAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('ignore = ["WGO999"]', "no rule 'WGO999'"),
        ('[severity]\nWGO105 = "bad"', "severity of WGO105"),
        ('[[waiver]]\nrule = "WGO105"\nuntil = 2026-11-25', "lacks 'reason'"),
        ('[[waiver]]\nrule = "WGO105"\nreason = "x"', "lacks 'until'"),
        ('[[waiver]]\nrule = "WGO105"\nuntil = "2026-13-45"\nreason = "x"', "2027-01-31"),
        ('ignored = ["WGO105"]', "did you mean 'ignore'"),
        ('ignore = "WGO105"', "'ignore' is a text, and must be a list"),
        ("[severity]\nWGO105 = 3", "'severity.…' is a number, and must be a text"),
        ("waiver = 3", "'waiver' is a number, and must be a list"),
        ('[[waiver]]\nrule = "WGO105"\nuntil = 2026-11-25\nreason = ""', "'waiver.reason' is empty"),
        ('[[waiver]]\nrule = "WGO105"\nuntil = 2026-11-25\nreason = "x"\npaht = "y"', "did you mean 'path'"),
    ],
)
def test_what_is_wrong_in_the_table_is_said(text, message):
    with pytest.raises(RequestError, match=message) as caught:
        policy(text)
    assert "[check]" in str(caught.value) or "wingo.toml" in str(caught.value)


def test_an_unknown_rule_has_a_hint():
    with pytest.raises(RequestError) as caught:
        policy_of(Settings(), ["wgo105"])
    assert "WGO105" in caught.value.hint


def test_the_table_comes_through_wingo_toml():
    settings = merge(from_toml(f'[check]\nignore = ["WGO121"]\n{WAIVER.replace("[[", "[[check.")}', "wingo.toml"))
    found = policy_of(settings, ["WGO122"])
    assert found.ignored == {"WGO121", "WGO122"}
    assert found.waiver[0].until == DAY


def test_findings_of_several_platforms_are_put_together():
    one, two = finding(platforms=("a",), digest="1"), finding(platforms=("b",), digest="2")
    [item] = merged([one, two])
    assert item.where.platforms == ("a", "b")
    assert item.where.digest == ""
    assert len(merged([finding(), finding(path="y")])) == 2


def test_an_expired_waiver_is_a_finding(tmp_path, checked):
    place = (
        f"oci:{broken.write_layout(tmp_path / 'x', Fault(items=lambda items: items.insert(10, file('Files/app/nul'))))}"
    )
    waived = policy(WAIVER.replace("WGO105", "WGO110").replace('path = "Files/LEGACY/*"', ""))
    before = dt.datetime(2026, 11, 25, 23, tzinfo=dt.UTC).timestamp()
    report = checked(place, waived, before)
    assert [(item.rule, bool(item.waived)) for item in report.findings] == [("WGO110", True)]
    assert report_of([report]).errors == 0
    refuse_errors([report])
    report = checked(place, waived, before + 86400)
    assert {item.rule for item in report.findings} == {"WGO110", "WGO001"}
    with pytest.raises(ChecksFailed, match="WGO110"):
        refuse_errors([report])
