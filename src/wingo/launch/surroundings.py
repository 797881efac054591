"""Facts about the place that wingo runs in: limits, throttling, WSL, file systems, measured or read, never guessed."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress

import msgspec

_UNLIMITED = 1 << 60
"""Version 1 writes its "no limit" as a number near 2^63."""
_FILES = 200
_SLOW_MOUNTS = frozenset({"9p", "drvfs", "v9fs", "fuseblk", "cifs", "nfs", "nfs4", "virtiofs"})
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        processors: how many the scheduler lets this process use.
        cpu_quota: processors' worth of time that the cgroup allows; 0: no limit.
        throttled: periods in which the quota was used up, and all periods, since the cgroup was made.
        memory: bytes that the machine has.
        memory_limit: bytes that the cgroup allows; 0: no limit.
        memory_used: bytes that it uses now.
        wsl: "", "1" or "2": the version of the Windows Subsystem for Linux.
        kernel: its release.
        container: whether this is inside a container.
        pid_one: the name of process 1.
        filesystem: of the directory.
        slow_filesystem: whether that kind goes over a network or to Windows.
        file_micros: microseconds to create, write and remove a small file there, the mean of 200.
        temporary_micros: the same in the temporary directory.
        gomaxprocs: the variable, where it is set.
        gomemlimit: the same.
    """

    processors: int
    cpu_quota: float = 0.0
    throttled: tuple[int, int] = (0, 0)
    memory: int = 0
    memory_limit: int = 0
    memory_used: int = 0
    wsl: str = ""
    kernel: str = ""
    container: bool = False
    pid_one: str = ""
    filesystem: str = ""
    slow_filesystem: bool = False
    file_micros: float = 0.0
    temporary_micros: float = 0.0
    gomaxprocs: str = ""
    gomemlimit: str = ""


def look_around(directory: str, environment: dict[str, str], root: str = "/") -> Surroundings:
    """Reads and measures.

    Args:
        directory: whose file system is measured, if it may be written.
        environment: the variables.
        root: above proc and sys.
    """
    kernel = _text(root, "proc/sys/kernel/osrelease").strip()
    lowered = kernel.lower()
    quota, throttled = _cpu(root)
    limit, used = _memory_limit(root)
    memory = next(
        (
            int(line.split()[1]) * 1024
            for line in _text(root, "proc/meminfo").splitlines()
            if line.startswith("MemTotal:")
        ),
        0,
    )
    kind = _filesystem(directory, root)
    return Surroundings(
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        cpu_quota=quota,
        throttled=throttled,
        memory=memory,
        memory_limit=limit if limit < min(memory or limit, _UNLIMITED) else 0,
        memory_used=used,
        wsl=("2" if "wsl2" in lowered else "1") if "microsoft" in lowered else "",
        kernel=kernel,
        container=any(os.path.exists(os.path.join(root, path.lstrip("/"))) for path in _CONTAINER_FILES),
        pid_one=_text(root, "proc/1/comm").strip(),
        filesystem=kind,
        slow_filesystem=kind in _SLOW_MOUNTS,
        file_micros=_file_micros(directory),
        temporary_micros=_file_micros(tempfile.gettempdir()),
        gomaxprocs=environment.get("GOMAXPROCS", ""),
        gomemlimit=environment.get("GOMEMLIMIT", ""),
    )


def _text(root: str, path: str) -> str:
    with suppress(OSError), open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read(1 << 20)
    return ""


def _own(root: str, controller: str) -> list[str]:
    """This process's cgroup of a controller ("" for version 2) and those above it, as paths below `root`."""
    for line in _text(root, "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller in names.split(","):
            parts = [part for part in path.split("/") if part not in ("", "..")]
            base = "sys/fs/cgroup" + (f"/{controller}" if controller else "")
            return ["/".join((base, *parts[:depth])) for depth in range(len(parts), -1, -1)]
    return []


def _cpu(root: str) -> tuple[float, tuple[int, int]]:
    """The smallest quota on the way up, and how often it was used up."""
    quota, throttled = 0.0, (0, 0)
    for folder in [*_own(root, ""), *_own(root, "cpu")]:
        words = _text(root, f"{folder}/cpu.max").split()
        if not words:
            words = [
                _text(root, f"{folder}/cpu.cfs_quota_us").strip(),
                _text(root, f"{folder}/cpu.cfs_period_us").strip(),
            ]
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            found = int(words[0]) / int(words[1])
            if not quota or found < quota:
                quota = found
                throttled = _throttled(_text(root, f"{folder}/cpu.stat"))
    return quota, throttled


def _throttled(text: str) -> tuple[int, int]:
    numbers = {
        words[0]: int(words[1]) for line in text.splitlines() if len(words := line.split()) == 2 and words[1].isdigit()
    }
    return numbers.get("nr_throttled", 0), numbers.get("nr_periods", 0)


def _memory_limit(root: str) -> tuple[int, int]:
    limit, used = _UNLIMITED, 0
    for folder in [*_own(root, ""), *_own(root, "memory")]:
        for name, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            text = _text(root, f"{folder}/{name}").strip()
            if text.isdigit() and int(text) < limit:
                now = _text(root, f"{folder}/{usage}").strip()
                limit, used = int(text), int(now) if now.isdigit() else 0
    return limit, used


def _filesystem(directory: str, root: str) -> str:
    """The kind of the mount that a directory lies in."""
    best, kind = "", ""
    for line in _text(root, "proc/self/mounts").splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        point = words[1].encode("latin-1", "replace").decode("unicode_escape")
        inside = directory == point or directory.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, words[2]
    return kind


def _file_micros(directory: str) -> float:
    """0 where nothing may be written."""
    try:
        with tempfile.TemporaryDirectory(prefix=".wingo-measure-", dir=directory) as folder:
            path = os.path.join(folder, "file")
            began = time.perf_counter()
            for _ in range(_FILES):
                with open(path, "xb") as file:
                    file.write(b"x" * 512)
                os.unlink(path)
            return (time.perf_counter() - began) / _FILES * 1e6
    except OSError:
        return 0.0
