"""`python -m bench.binaries [PROGRAM]`: what reading a program costs, with `go version -m`, pefile and lief beside it.

Without PROGRAM, caddy is built for Windows (59 MB). Each piece of work runs in a process of its own; counted are the processor's seconds in
the work, without the interpreter's start, and the process's peak memory. `go version -m` is a process in any case: it is counted whole, and
wingo's build information is counted both ways. pefile and lief are used where they are installed (`pip install pefile lief`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import programs
from bench.costs import environment
from bench.runs import Command, run

ROOT = Path(__file__).resolve().parents[1]


def build_information(path: str) -> object:
    """What `go version -m` prints."""
    from wingo.binary.read import build_info

    with open(path, "rb") as file:
        info = build_info(file)
    return info and len(info.text())


def headers(path: str) -> object:
    """Headers, sections, imports, manifest."""
    from wingo.binary.read import read_binary

    with open(path, "rb") as file:
        found = read_binary(file)
    return found and sum(len(each.names) for each in found.imports)


def everything(path: str) -> object:
    """Headers, build information, the table of functions, DLLs loaded later."""
    from wingo.binary.read import examine

    with open(path, "rb") as file:
        found = examine(file.read())
    return found and found.functions and len(found.functions.names)


def what_it_can_do(path: str) -> object:
    """Capabilities, and who brings them."""
    from wingo.binary.functions import read_functions
    from wingo.binary.read import open_program, read_build_info
    from wingo.check.capabilities import capabilities

    with open(path, "rb") as file:
        program = open_program(file.read())
    table = read_functions(program) if program else None
    return program and table and len(capabilities(program, table, read_build_info(program)))


def pefile_headers(path: str) -> object:
    """The same with pefile, the import directories only."""
    import pefile  # type: ignore[import-not-found]

    program = pefile.PE(path, fast_load=True)
    program.parse_data_directories([1, 2, 13])
    return sum(len(each.imports) for each in program.DIRECTORY_ENTRY_IMPORT)


def lief_headers(path: str) -> object:
    """The same with lief."""
    import lief  # type: ignore[import-not-found]

    return len(list(lief.parse(path).imports))


WORK: dict[str, Callable[[str], object]] = {
    each.__name__: each
    for each in (build_information, headers, everything, what_it_can_do, pefile_headers, lief_headers)
}
TARGETS = {"everything": 0.4}


def once(name: str, path: str) -> dict[str, float]:
    """One piece of work in a process of its own; {} when its package is not installed."""
    argv = [sys.executable, "-m", "bench.binaries", "--work", name, path]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {}
    found: dict[str, float] = json.loads(done.stdout)
    return {**found, "process": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def go_version(path: str) -> float:
    """The processor's seconds of `go version -m`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["go", "version", "-m", path], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def work(name: str, path: str) -> None:
    """Does one piece and says what it took; what is imported and compiled once is done before."""
    started = time.process_time()
    WORK[name](path)
    first = time.process_time() - started
    started = time.process_time()
    note = WORK[name](path)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "first": first, "memory": peak, "note": note}))


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.binaries", description=__doc__)
    parser.add_argument("program", nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", choices=sorted(WORK), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.program)
        return
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as scratch:
        path = options.program or built(Path(scratch))
        print(
            f"{Path(path).name}, {os.path.getsize(path) / 1e6:.1f} MB, median of {options.rounds} (least to most), CPU seconds\n"
        )
        print("| work | in the work | whole process | peak memory |\n| --- | --- | --- | --- |")
        go = []
        results: dict[str, list[dict[str, float]]] = {name: [] for name in WORK}
        for _ in range(options.rounds):
            go.append(go_version(path))
            for name, found in results.items():
                found.append(once(name, path))
        print(f"| `go version -m` | | {shown(go)} | |")
        for name, found in results.items():
            if all(found):
                inside, whole = shown([each["seconds"] for each in found]), shown([each["process"] for each in found])
                target = f" (target ≤ {TARGETS[name]} s)" if name in TARGETS else ""
                memory = max(each["memory"] for each in found)
                print(f"| {name.replace('_', ' ')} | {inside}{target} | {whole} | {memory:.0f} MB |")


def built(scratch: Path) -> str:
    """Caddy for Windows."""
    program = programs.large(scratch)
    path = str(scratch / "caddy.exe")
    environment = {"CGO_ENABLED": "0", "GOOS": "windows", "GOARCH": "amd64"}
    argv = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, *program.targets]
    run(Command(argv, str(program.directory), environment))
    return path


def shown(numbers: list[float]) -> str:
    """Median and range in milliseconds."""
    return f"{statistics.median(numbers) * 1000:.1f} ms ({min(numbers) * 1000:.1f}-{max(numbers) * 1000:.1f})"


if __name__ == "__main__":
    main()
