"""Packing one layer: throughput on one and two threads, memory, size; against Go's packing and `crane append`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from bench.runs import Command, run

_CRANE_LIMIT = 2 * 10**9
"""It compresses twice, so that 8 GB would take most of an hour's share to say what 1 GB says."""

ROOT = Path(__file__).resolve().parents[1]


def content(scratch: Path, executable: Path, size: int) -> Path:
    """A file of `size` bytes: a Go executable over and over."""
    path = scratch / f"content-{size}"
    data = executable.read_bytes()
    with path.open("wb") as out:
        left = size
        while left > 0:
            out.write(data[:left])
            left -= len(data)
    return path


def measure(scratch: Path, executable: Path, size: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """What each way of packing took in each round; every dict has seconds, bytes and, where known, memory_kib."""
    source = content(scratch, executable, size)
    archive = scratch / "content.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(source, "app/program")
    packer = scratch / "gopack"
    run(Command(["go", "build", "-o", str(packer), str(ROOT / "bench/gopack.go")], str(scratch), {"GOWORK": "off"}))
    out = scratch / "out"
    results: dict[str, list[dict[str, Any]]] = {}
    ways = {
        "wingo, 1 thread": lambda: _wingo(source, out, 1),
        "Go, level 1": lambda: _timed([str(packer), str(source), str(out)], out),
        "wingo, 2 threads": lambda: _wingo(source, out, 2),
        "crane append": lambda: _crane(archive, scratch / "crane"),
    }
    if size > _CRANE_LIMIT:
        del ways["crane append"]
    names = list(ways)
    for number in range(rounds):
        start = number % len(names)
        for name in [*names[start:], *names[:start]]:
            results.setdefault(name, []).append(ways[name]())
    for path in (source, archive, out):
        path.unlink(missing_ok=True)
    return results


def _wingo(source: Path, out: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.pack_once", str(source), str(out), str(threads)]
    # One thread means one processor: hashing must not escape to another.
    pinned = ["taskset", "-c", "0", *command] if threads == 1 else command
    answer: dict[str, Any] = json.loads(run(Command(pinned, str(ROOT), {})))
    return answer


def _timed(argv: list[str], out: Path) -> dict[str, Any]:
    seconds, memory = _measured(["taskset", "-c", "0", *argv])
    return {"seconds": seconds, "bytes": out.stat().st_size, "memory_kib": memory}


def _crane(archive: Path, out: Path) -> dict[str, Any]:
    """`crane append` onto nothing into a tarball: it reads and compresses the tar twice, once to know its digest."""
    seconds, memory = _measured(
        ["crane", "append", "--oci-empty-base", "-f", str(archive), "-t", "bench.example/x:y", "-o", str(out)]
    )
    size = out.stat().st_size
    out.unlink()
    return {"seconds": seconds, "bytes": size, "memory_kib": memory}


def _measured(argv: list[str]) -> tuple[float, int]:
    """Seconds and greatest memory (KiB) of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"{' '.join(argv)} ended with {process.returncode}"
        raise RuntimeError(message)
    return time.perf_counter() - begin, usage.ru_maxrss
