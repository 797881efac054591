"""What one process costs: seconds by the clock and of the processors, and memory at its peak."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60.0
"""Seconds after which a process is ended: nobody waits for it longer."""


class Cost(NamedTuple):
    """Seconds by the clock, seconds of the processors, and megabytes at the peak; None: no more than this process had."""

    wall: float
    processor: float
    megabytes: float | None


class Failed(RuntimeError):
    """It ended with an error, or took longer than the limit."""


def environment(**more: str) -> dict[str, str]:
    """This machine's, with the project's programs first, and modules that are compiled once, as where wingo is installed."""
    path = os.pathsep.join((str(ROOT / ".tools/bin"), str(ROOT / ".venv/bin"), os.environ.get("PATH", os.defpath)))
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**own, "PATH": path, **more}


def cost(argv: Sequence[str], variables: Mapping[str, str], *, statuses: Sequence[int] = (0,)) -> Cost:
    """Runs a process and says what it took.

    Raises:
        Failed: it ended with another status, or did not end in time.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(variables),
        start_new_session=True,
    )
    timer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in statuses:
        over = f"more than {LIMIT:.0f} s" if wall >= LIMIT else f"it ended with {process.returncode}"
        raise Failed(over)
    # A process begins as a copy of this one, whose peak counts as its own.
    peak = usage.ru_maxrss if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss else None
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak and peak / 1024)


class Work(NamedTuple):
    """Something to measure: a question and who answers it.

    Attributes:
        question: what is asked.
        who: answers.
        run: answers once.
        target: seconds by the clock that it may take; None: it only informs.
    """

    question: str
    who: str
    run: Callable[[], Cost]
    target: float | None = None


def table(works: Sequence[Work], rounds: int) -> str:
    """Measures in turns and gives the rows, with median, least and greatest."""
    costs: dict[int, list[Cost]] = {}
    failed: dict[int, str] = {}
    for _ in range(rounds):
        for number, work in enumerate(works):
            if number in failed:
                continue
            try:
                costs.setdefault(number, []).append(work.run())
            except Failed as error:
                failed[number] = str(error)
    lines = [
        "| question | who | by the clock | processors | peak memory | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, work in enumerate(works):
        found = costs.get(number, [])
        if number in failed:
            lines.append(f"| {work.question} | {work.who} | {failed[number]} | | | | |")
            continue
        walls = [each.wall for each in found]
        peaks = [each.megabytes for each in found if each.megabytes is not None]
        peak = f"{max(peaks):.0f} MB" if peaks else ""
        target, met = "", ""
        if work.target is not None:
            target = f"≤ {work.target:g} s"
            met = "yes" if statistics.median(walls) <= work.target else "**no**"
        lines.append(
            f"| {work.question} | {work.who} | {spread(walls)} | {spread([each.processor for each in found])} "
            f"| {peak} | {target} | {met} |"
        )
    return "\n".join(lines)


def spread(numbers: Sequence[float]) -> str:
    """Median, least and greatest, in seconds."""
    return f"{statistics.median(numbers):.2f} s ({min(numbers):.2f}-{max(numbers):.2f})"
