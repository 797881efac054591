"""Paired runs: the contestants work in turns, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Command(NamedTuple):
    """One process to run: what, where, with which variables beside the machine's."""

    argv: list[str]
    cwd: str
    env: dict[str, str]


class Contestant(NamedTuple):
    """A tool and how it does the work: for a round, the commands to run one after another.

    `prepare` runs before each round, outside the clock.
    """

    name: str
    commands: Callable[[int], Sequence[Command]]
    prepare: Callable[[int], None] = lambda _: None


class Spread(NamedTuple):
    """Median, least and greatest of some numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """The spread of at least one number."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))


class CommandFailed(RuntimeError):
    """A command of a benchmark ended with an error, so its time means nothing."""


def run(command: Command) -> str:
    """Runs one command to its end and gives its stdout. Raises: CommandFailed.

    Its output goes into files: at the end of a pipe one would wait for what it left running too, as Wine does its server.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _PERSONAL} | command.env
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        status = subprocess.run(
            command.argv, cwd=command.cwd, env=environment, stdout=out, stderr=err, check=False
        ).returncode
        out.seek(0)
        err.seek(0)
        if status:
            raise CommandFailed(f"{' '.join(command.argv)} ended with {status}:\n{err.read()[-3000:]}")
        return out.read()


# Python's modules are compiled once, as where wingo is installed.
_PERSONAL = {
    "PYTHONDONTWRITEBYTECODE",
    "GOFLAGS",
    "GOWORK",
    "GOOS",
    "GOARCH",
    "CGO_ENABLED",
    "SOURCE_DATE_EPOCH",
    "KOCACHE",
    "XDG_CACHE_HOME",
}


def take_turns(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; who begins moves on by one from round to round."""
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        start = number % len(contestants)
        for contestant in [*contestants[start:], *contestants[:start]]:
            contestant.prepare(number)
            commands = contestant.commands(number)
            begin = time.perf_counter()
            for command in commands:
                run(command)
            times[contestant.name].append(time.perf_counter() - begin)
    return times


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours through theirs, round by round."""
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
