"""A plan's work grows with the number of its steps, and not with the square of it: counted, not timed."""

from __future__ import annotations

import sys
from types import FrameType

from bench.plans import dockerfile, planned


def _calls(steps: int) -> int:
    """How many calls of Python functions a plan takes."""
    text = dockerfile(steps, powershell=True)
    planned(text)  # what is remembered of texts is remembered by now
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        planned(text)
    finally:
        sys.setprofile(None)
    return calls


def test_work_grows_with_the_steps() -> None:
    few, many = _calls(60), _calls(180)
    assert many < 4.5 * few, f"{few} calls for 60 steps, {many} for 180"
    assert many < 180 * 1500, "calls for one step of ordinary length"
