"""What a container's processes use, read while they run: memory at its highest, and processor time."""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from wingo.launch.usage import descendants

_KIB = 1024
_NANO = 1_000_000_000


class Sample(msgspec.Struct, frozen=True):
    """What a program and everything below it has used so far.

    Attributes:
        memory: bytes: each process's largest resident set (`VmHWM`), added up; pages that several share count in each.
        cpu: seconds of processor time of the threads that are there.
        processes: how many there are.
    """

    memory: int = 0
    cpu: float = 0.0
    processes: int = 0

    def highest(self, other: Sample) -> Sample:
        """The larger of each: what has ended is in the earlier one alone."""
        return Sample(max(self.memory, other.memory), max(self.cpu, other.cpu), max(self.processes, other.processes))


def sample(process: int, root: str = "/proc") -> Sample:
    """Looks at a process and everything below it; what has just ended is left out."""
    memory = processes = 0
    cpu = 0.0
    for each in (process, *descendants(process)):
        with suppress(OSError, ValueError):
            peak = _peak(f"{root}/{each}/status")
            cpu += _processor_time(f"{root}/{each}/task")
            memory += peak
            processes += 1
    return Sample(memory, cpu, processes)


def _peak(path: str) -> int:
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * _KIB
    return 0


def _processor_time(folder: str) -> float:
    """Of a process's threads, to the nanosecond (`/proc/PID/task/TID/schedstat`, sched-stats.rst)."""
    total = 0
    for thread in os.listdir(folder):
        with suppress(OSError), open(f"{folder}/{thread}/schedstat", "rb") as file:
            total += int(file.read().split()[0])
    return total / _NANO
