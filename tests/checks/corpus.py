"""The corpus: for every rule there is, twins, and what is said of each. `python -m tests.checks DIR` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.checks import contents, dockerfiles, documents, layers, layouts, policies, programs, starts
from tests.checks.twins import Twins

EXPECTED_FILE = Path(__file__).with_name("findings.json")
"""What each rule says of each of its images; written by `python -m tests.checks --findings`, read by people."""


def _all() -> Iterator[tuple[str, list[Twins]]]:
    for module in (layouts, layers, documents, starts, programs, policies, dockerfiles, contents):
        for rule, twins in module.CASES.items():
            yield rule, [*twins] if isinstance(twins, list) else [twins]


def corpus() -> dict[str, list[Twins]]:
    """Every pair, by the rule's number."""
    found: dict[str, list[Twins]] = {}
    for rule, twins in _all():
        found.setdefault(rule, []).extend(twins)
    return dict(sorted(found.items()))


CASES: Mapping[str, list[Twins]] = corpus()


def name_of(number: int, *, bad: bool) -> str:
    """The directory of one of the two: "bad", "good", "bad-2", "good-2", …."""
    return ("bad" if bad else "good") + (f"-{number + 1}" if number else "")


def expected() -> dict[str, dict[str, list[str]]]:
    """By rule and directory: the findings, one line each (`twins.said`)."""
    found: dict[str, dict[str, list[str]]] = json.loads(EXPECTED_FILE.read_text("utf-8"))
    return found
