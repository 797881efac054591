"""Advice for Go programs in the place where wingo runs: each with the fact that it rests on."""

from __future__ import annotations

import math

import msgspec

from wingo.launch.surroundings import Surroundings

_MIB = 1 << 20
_SLOW_RATIO = 5.0
"""How much slower than the temporary directory a file must be before that is worth a word."""
_THROTTLED = 0.01


class Advice(msgspec.Struct, frozen=True):
    """One piece.

    Attributes:
        topic: "GOMAXPROCS", "GOMEMLIMIT", "file system", "signals", "WSL".
        text: what to do, a sentence.
        fact: what was found here, a sentence.
        setting: `NAME=value` to set; "" when it is nothing of the kind.
    """

    topic: str
    text: str
    fact: str
    setting: str = ""


def advise(found: Surroundings) -> tuple[Advice, ...]:
    """What follows from the facts; what nothing follows from has no advice, but is said to be fine."""
    return (*_processors(found), *_memory(found), *_wsl(found), *_files(found), *_signals(found))


def _processors(found: Surroundings) -> list[Advice]:
    if not found.cpu_quota:
        fact = f"No CPU quota: the scheduler gives {found.processors} processor(s)."
        if found.gomaxprocs.isdigit() and int(found.gomaxprocs) != found.processors:
            text = "Go would use as many threads as there are processors; unset GOMAXPROCS unless that was measured."
            return [Advice("GOMAXPROCS", text, f"{fact} GOMAXPROCS is {found.gomaxprocs}.")]
        return [Advice("GOMAXPROCS", "Leave it alone: Go takes what the scheduler gives.", fact)]
    # Go 1.25 rounds up, and never below 2: runtime, "Container-aware GOMAXPROCS".
    wanted = min(max(math.ceil(found.cpu_quota), 2), found.processors)
    fact = f"The cgroup allows {found.cpu_quota:g} of {found.processors} processor(s)."
    throttled, periods = found.throttled
    if periods:
        fact += f" It was throttled in {throttled} of {periods} periods ({100 * throttled / periods:.1f} %)."
    advice = [
        Advice(
            "GOMAXPROCS",
            "Build with Go 1.25 or newer, which reads the quota; for older ones set it, or use go.uber.org/automaxprocs.",
            fact,
            f"GOMAXPROCS={wanted}",
        )
    ]
    if periods and throttled / periods > _THROTTLED:
        text = (
            "Give it more CPU or less to do: a throttled garbage collection stops every request until the next period."
        )
        advice.append(Advice("GOMAXPROCS", text, fact))
    return advice


def _memory(found: Surroundings) -> list[Advice]:
    if not found.memory_limit:
        fact = f"No memory limit below the machine's {_size(found.memory)}."
        return [Advice("GOMEMLIMIT", "Leave it unset: there is no limit that it could keep.", fact)]
    # Go's GC guide: leave 5 to 10 % for what the runtime does not know of.
    limit = found.memory_limit * 9 // 10 // _MIB
    fact = f"The cgroup allows {_size(found.memory_limit)}, of which {_size(found.memory_used)} are in use."
    if found.gomemlimit:
        fact += f" GOMEMLIMIT is {found.gomemlimit}."
    text = (
        "Set it to nine tenths of the limit: the collector then works harder near it in place of being killed there. "
        "Go does not read the cgroup for this."
    )
    return [Advice("GOMEMLIMIT", text, fact, f"GOMEMLIMIT={limit}MiB")]


def _wsl(found: Surroundings) -> list[Advice]:
    if not found.wsl:
        return []
    fact = f"The kernel is {found.kernel}: WSL {found.wsl}."
    advice = []
    if found.wsl == "1":
        advice.append(Advice("WSL", "Change to WSL 2: containers need a Linux kernel (wsl --set-version).", fact))
    if found.slow_filesystem:
        text = "Keep sources and caches in the Linux file system (~), not below /mnt: every file goes over to Windows."
        advice.append(Advice("WSL", text, f"{fact} The directory lies on {found.filesystem}."))
    text = "A published port is reached from Windows as localhost; other machines need a forwarding (netsh portproxy)."
    return [*advice, Advice("WSL", text, fact)]


def _files(found: Surroundings) -> list[Advice]:
    if not found.file_micros:
        return [
            Advice("file system", "Run this where you may write, to have it measured.", "Nothing may be written here.")
        ]
    fact = (
        f"A small file takes {found.file_micros:.0f} µs here ({found.filesystem or 'unknown'}), "
        f"{found.temporary_micros:.0f} µs in the temporary directory."
    )
    slow = found.temporary_micros and found.file_micros > _SLOW_RATIO * found.temporary_micros
    if found.slow_filesystem or slow:
        text = "Set GOCACHE, GOMODCACHE and WINGO_CACHE_DIR to a local disk, and write data of programs there too."
        return [Advice("file system", text, fact)]
    return [Advice("file system", "Nothing to do.", fact)]


def _signals(found: Surroundings) -> list[Advice]:
    where = "inside a container" if found.container else "not in a container"
    fact = f"Process 1 is {found.pid_one or 'unknown'}, {where}."
    text = (
        "A Go program should take SIGTERM itself (signal.NotifyContext): without that, Go ends it at once with exit code 2 as "
        "process 1 of a container, requests under way included. As process 1 it also inherits orphans; start those with a "
        "parent that waits, or an init (docker run --init)."
    )
    return [Advice("signals", text, fact)]


def _size(number: int) -> str:
    return f"{number / (1 << 30):.1f} GiB" if number >= 1 << 30 else f"{number // _MIB} MiB"
