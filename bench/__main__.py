"""`python -m bench`: runs the benchmarks and writes the table. `make bench` installs the peers first."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench import bases, builds, packing, programs, rebasing, report, servers, wine_start
from bench.builds import COLD, NO_CHANGE, ONE_LINE, Bench
from bench.report import Row, compared
from bench.runs import Command, Contestant, run, take_turns

ROOT = Path(__file__).resolve().parents[1]
_MB, _GB = 10**6, 10**9


class Options(argparse.Namespace):
    """What was asked for on the command line."""

    quick: bool
    only: list[str]
    output: Path
    page: Path | None
    scratch: Path | None


class Session:
    """One run of the benchmarks: where it works, and the rows and raw numbers so far."""

    def __init__(self, options: Options, scratch: Path, port: int) -> None:
        self.quick = options.quick
        self.scratch = scratch
        self.port = port
        self.rows: list[Row] = []
        self.raw: dict[str, Any] = {}
        self._small: programs.Program | None = None
        self.module_cache = run(Command(["go", "env", "GOMODCACHE"], str(scratch), {})).strip()

    def small(self) -> programs.Program:
        """The small program, fetched when first asked for."""
        self._small = self._small or programs.small(self.scratch)
        return self._small

    def rounds(self, full: int, quick: int) -> int:
        """How many rounds, by the mode."""
        return quick if self.quick else full

    def add(self, row: Row) -> None:
        """Keeps a row, and says it while the rest is still to come."""
        self.rows.append(row)
        met = {None: "", True: "met", False: "NOT MET"}[row.met]
        print(f"{row.work}: {row.ours} | {row.other}: {row.theirs} | {row.ratio} {row.target} {met}", file=sys.stderr)

    def builds(self, program: programs.Program, versions: builds.Versions, state: str, rounds: int) -> None:
        """One program in one state: a row for each peer."""
        bench = Bench(self.scratch, self.port, program, versions, self.module_cache)
        work = f"{program.name}, {versions.label}, {state}"
        times = self.raw[work] = builds.measure(bench, state, rounds)
        bounds: dict[str, float]
        if len(program.targets) > 1:
            bounds = {"ko": 0.5} if state == ONE_LINE else {}
        elif state == COLD:
            bounds = {"ko": 0.9}
        elif state == ONE_LINE:
            bounds = {"ko": 0.6, "go build": 1.2}
        else:
            bounds = {"ko": 0.25, "ko with SBOM": 0.25, "go build, one system": 0.5}
        ours = times["wingo"]
        for name, theirs in times.items():
            if name != "wingo":
                self.add(compared(work, ours, name, theirs, bounds.get(name)))

    def packing(self, size: int, rounds: int, executable: Path) -> None:
        """Throughput, size and memory for one size."""
        results = self.raw[f"packing {size}"] = packing.measure(self.scratch, executable, size, rounds)
        times = {name: [one["seconds"] for one in many] for name, many in results.items()}
        label = f"pack {size // _MB} MB" if size < _GB else f"pack {size // _GB} GB"
        last = {name: many[-1] for name, many in results.items()}
        one, two, go = "wingo, 1 thread", "wingo, 2 threads", "Go, level 1"

        def speed(name: str) -> str:
            return f"{size / _MB / statistics.median(times[name]):.0f} MB/s"

        rate = size / _MB / statistics.median(times[one])
        self.add(Row(f"{label}, one core", speed(one), "", "", "", "≥ 150 MB/s", rate >= 150))
        gain = statistics.median([a / b for a, b in zip(times[one], times[two], strict=True)])
        self.add(Row(f"{label}, two cores", speed(two), "one core", speed(one), f"{gain:.2f}", "≥ 1.7", gain >= 1.7))
        ahead = statistics.median([a / b for a, b in zip(times[go], times[one], strict=True)])
        self.add(Row(f"{label}, one core", speed(one), go, speed(go), f"{ahead:.2f}", "≥ 1.2", ahead >= 1.2))
        if "crane append" in times:
            self.add(Row(f"{label}, as commands", speed(two), "crane append", speed("crane append"), ""))
        ratio = last[one]["bytes"] / last[go]["bytes"]
        sizes = (f"{last[name]['bytes']:,} B" for name in (one, go))
        self.add(Row(f"{label}, size", next(sizes), go, next(sizes), f"{ratio:.3f}", "≤ 1", ratio <= 1))
        grown = max(one_run["memory_kib"] for one_run in results[two]) / 1024
        theirs = max(one_run["memory_kib"] for one_run in results[go]) / 1024
        row = Row(f"{label}, memory over start", f"{grown:.0f} MiB", f"{go}, in all", f"{theirs:.0f} MiB", "")
        self.add(row._replace(target="≤ 64 MiB", met=grown <= 64))

    def rebase(self) -> None:
        """Ten programs onto next month's base."""
        moved = rebasing.measure(self.scratch, self.port)
        self.raw["rebase"] = moved._asdict()
        total = moved.sent + moved.received
        self.add(
            Row(
                "rebase of 10 programs: bytes moved, both directions",
                f"{total / 1000:.0f} kB ({moved.sent / 1000:.0f} sent, {moved.received / 1000:.0f} received), "
                f"{moved.seconds:.1f} s",
                "",
                "",
                "",
                "≤ 200 kB",
                total <= 200_000,
            )
        )

    def wine(self, rounds: int) -> None:
        """The second start of a Windows image."""
        times = self.raw["wine"] = wine_start.measure(self.scratch, rounds)
        work = "start of a Windows image, not the first"
        self.add(compared(work, times["wingo run"], wine_start.BARE, times[wine_start.BARE], 1.3))
        self.add(compared(work, times["wingo run"], wine_start.RUNNING, times[wine_start.RUNNING]))

    def help(self, rounds: int) -> None:
        """How long `--help` takes."""
        commands = {
            "wingo": ["wingo", "--help"],
            "ko": ["ko", "--help"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        contestants = [
            Contestant(name, partial(_same, [Command(argv, str(self.scratch), {})])) for name, argv in commands.items()
        ]
        times = self.raw["help"] = take_turns(contestants, rounds)
        median = statistics.median(times["wingo"])
        shown = report.seconds(times["wingo"])
        self.add(Row("`wingo --help`", shown, "", "", "", "≤ 60 ms", median <= 0.060))
        for name in ("ko", "python -c pass"):
            self.add(compared("`--help`", times["wingo"], name, times[name]))


def main() -> None:
    """Runs what is asked for and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, no cold build of the large program")
    parser.add_argument(
        "--only", action="append", default=[], choices=["help", "small", "large", "five", "packing", "rebase", "wine"]
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench", help="for results.json and results.md")
    parser.add_argument("--page", type=Path, help="a documentation page whose table is replaced")
    parser.add_argument("--scratch", type=Path, help="a directory with 20 GB free; default: a temporary one")
    options = parser.parse_args(namespace=Options())
    wanted = options.only or ["help", "small", "rebase", "wine", "packing", "five", "large"]
    os.environ["PATH"] = os.pathsep.join([str(ROOT / ".tools/bin"), str(ROOT / ".venv/bin"), os.environ["PATH"]])
    missing = [
        name for name in ("wingo", "ko", "crane", "go", "git", "docker-registry", "taskset") if not shutil.which(name)
    ]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; `make bench` installs them")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wingo-bench-", dir=options.scratch)))
        port = stack.enter_context(servers.docker_registry(scratch / "registry"))
        bases.push_base(port, "base", "multi", bases.WINDOWS_VERSIONS)
        session = Session(options, scratch, port)
        for name in wanted:
            _section(session, name)
            # After every section, so that a run which is cut short leaves what it has measured.
            facts = report.machine(sys.argv[1:])
            report.write(session.rows, session.raw, facts, options.output, options.page)
    sys.exit(0)


def _section(session: Session, name: str) -> None:
    if name == "help":
        session.help(session.rounds(21, 7))
    elif name == "wine":
        session.wine(session.rounds(15, 7))
    elif name == "small":
        for program, versions in _pairs(session.small()):
            session.builds(program, versions, NO_CHANGE, session.rounds(15, 5))
            session.builds(program, versions, ONE_LINE, session.rounds(9, 3))
        session.builds(program, versions, COLD, session.rounds(3, 1))
    elif name == "five":
        program = programs.five(session.scratch)
        session.builds(program, builds.THREE, NO_CHANGE, session.rounds(9, 3))
        session.builds(program, builds.THREE, ONE_LINE, session.rounds(5, 3))
    elif name == "large":
        program = programs.large(session.scratch)
        session.builds(program, builds.THREE, NO_CHANGE, session.rounds(9, 3))
        session.builds(program, builds.THREE, ONE_LINE, session.rounds(5, 1))
        if not session.quick:
            session.builds(program, builds.THREE, COLD, 1)
    elif name == "packing":
        executable = session.scratch / "executable"
        program = session.small()
        environment = {"CGO_ENABLED": "0", "GOOS": "windows", "GOARCH": "amd64"}
        argv = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(executable), *program.targets]
        run(Command(argv, str(program.directory), environment))
        for size in (10 * _MB, _GB, 8 * _GB):
            rounds = 5 if size < _GB else session.rounds(3, 1) if size == _GB else 1
            session.packing(size, rounds, executable)
    else:
        session.rebase()


def _same(commands: list[Command], _: int) -> list[Command]:
    return commands


def _pairs(program: programs.Program) -> Iterator[tuple[programs.Program, builds.Versions]]:
    for versions in (builds.ONE, builds.THREE):
        yield program, versions


if __name__ == "__main__":
    main()
