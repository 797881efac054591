"""Every rule finds its bad images and lets their twins pass, word for word; tests/system/test_rule_mutations.py changes the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.corpus import CASES, expected, name_of
from tests.checks.twins import said
from wingo.pipeline.rulebook import ALL_RULES, BY_ID

PAGES = Path(__file__).resolve().parents[3] / "docs" / "reference" / "rules"
PAIRS = [(rule, number) for rule, pairs in CASES.items() for number in range(len(pairs))]
EXPECTED = expected()


@pytest.mark.parametrize(("rule", "number"), PAIRS, ids=str)
def test_twins(tmp_path, rule, number):
    twins, by_id = CASES[rule][number], BY_ID[rule]
    for bad in (True, False):
        name = name_of(number, bad=bad)
        twins.write(tmp_path / name, bad=bad)
        subject = twins.read(tmp_path / name, bad=bad)
        found = [said(finding) for finding in twins.findings(subject, by_id, bad=bad)]
        assert bool(found) is bad
        # What each says stands in findings.json; `python -m tests.checks --findings` writes it anew.
        assert found == EXPECTED[rule][name]


def test_every_rule_is_in_the_corpus():
    assert set(CASES) == set(EXPECTED) == {rule.id for rule in ALL_RULES}
    for rule, pairs in CASES.items():
        names = [name_of(number, bad=bad) for number in range(len(pairs)) for bad in (True, False)]
        assert names == list(EXPECTED[rule])


def test_every_finding_says_how_to_mend_it():
    for rule, images in EXPECTED.items():
        for name, lines in images.items():
            for line in lines:
                assert " →  (" not in line, (rule, name)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_page(rule):
    assert set(rule.page) == {"Why", "Example", "Mend"}
    assert all(rule.page.values())
    assert rule.title.endswith(".")
    assert rule.title.count(".") <= 3
    page = (PAGES / f"{rule.id}.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        f"# {rule.id}",
        "## Why",
        "## Example",
        "## Mend",
    ]
    assert rule.title in page
