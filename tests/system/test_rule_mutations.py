"""Every rule of `wingo check`, changed in one place at a time: the corpus notices each change (`tests/checks/mutate.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.mutate import LEFT_FILE, report, run
from wingo.pipeline.rulebook import BY_ID

FEW = ["WGO105", "WGO162", "WGO205", "WGO310", "WGO455", "WGO601", "WGO612", "WGO803"]


def without_survivors(rules: list[str], folder: Path, *, at_least: int) -> None:
    results = run(rules, folder)
    assert not any(result.survivors for result in results), report(results)
    assert sum(result.mutants for result in results) > at_least
    assert all(result.mutants - result.left > 2 for result in results), report(results)


def test_a_few_rules(tmp_path: Path) -> None:
    without_survivors(FEW, tmp_path, at_least=200)


@pytest.mark.peers
@pytest.mark.timeout(900)
def test_every_rule(tmp_path: Path) -> None:
    without_survivors(sorted(BY_ID), tmp_path, at_least=2800)


def test_a_rule_that_nobody_would_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The runner itself: where nothing is expected of a rule's images, its mutants survive.
    monkeypatch.setattr("tests.checks.mutate.Examples.notice", lambda *_: False)
    (result,) = run(["WGO310"], tmp_path)
    # Only a rule that cannot be made any more, or has another number, is noticed without looking at an image.
    assert result.mutants > 10
    assert result.mutants - len(result.survivors) < 3


def test_what_is_left_has_its_reason() -> None:
    left = json.loads(LEFT_FILE.read_text("utf-8"))
    assert all(": " in key and len(reason) > 10 for key, reason in left.items())
