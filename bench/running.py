"""`python -m bench.running`: starting a small image beside `crun run`, and unpacking beside `umoci unpack`, in turns.

A start is the whole command, the interpreter's own start included; `crun run` gets the merged root as a directory and no network,
which is what is left of a start when everything else has been done before. Where both versions of cgroups are mounted,
crun 1.8 refuses to start; both then see none. Unpacking is of an image with many files, into an empty store, digests checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from bench.runs import Command, Contestant, Spread, run, take_turns

_WINGO = [sys.executable, "-c", "from wingo.cli.main import entry; entry()"]
_PROGRAM = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("started") }\n'
_FREE_SECONDS = 0.060


def main() -> None:
    """Prints the two rows, and what is asked of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=200, help="of the image that is unpacked")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as folder:
        scratch = Path(folder)
        for line in (
            starts(scratch, options.rounds),
            unpacking(scratch, max(options.rounds // 3, 3), options.megabytes),
        ):
            print(line, flush=True)


def starts(scratch: Path, rounds: int) -> str:
    """Second starts of a small program: wingo's whole command against `crun run`."""
    source = scratch / "source"
    source.mkdir()
    (source / "main.go").write_text(_PROGRAM)
    (source / "go.mod").write_text("module bench.example/small\n\ngo 1.22\n")
    env = {
        "WINGO_CACHE_DIR": str(scratch / "cache"),
        "WINGO_STATE_DIR": str(scratch / "state"),
        "PYTHONDONTWRITEBYTECODE": "",  # as an installed wingo runs: compiled once
    }
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    image = f"oci:{scratch / 'image'}"
    run(Command([*_WINGO, "build", ".", "--platform", f"linux/{machine}", "-o", image], str(source), env))
    bundle = scratch / "bundle"
    tag = run(Command(["umoci", "ls", "--layout", str(scratch / "image")], str(scratch), {})).split()[0]
    run(Command(["umoci", "unpack", "--image", f"{scratch / 'image'}:{tag}", str(bundle)], str(scratch), {}))
    run(Command(["crun", "spec", "--bundle", str(scratch)], str(scratch), {}))
    config = json.loads((scratch / "config.json").read_bytes())
    config["process"] |= {"args": ["/app/small"], "terminal": False}
    (bundle / "config.json").write_text(json.dumps(config))
    crun = "crun --cgroup-manager=disabled run --bundle "
    hidden = "mount -t tmpfs none /sys/fs/cgroup && exec "
    peer = Contestant(
        "crun run",
        lambda number: [Command(["unshare", "-m", "sh", "-c", f"{hidden}{crun}{bundle} b{number}"], str(scratch), {})],
    )
    rows = []
    for engine in ("crun", "wingo"):
        argv = [*_WINGO, "run", image, "--network", "none", "--engine", engine]
        run(Command(argv, str(scratch), env))
        ours = Contestant(f"wingo run ({engine})", lambda _, argv=argv: [Command(argv, str(scratch), env)])  # type: ignore[misc]
        times = take_turns([peer, ours], rounds)
        theirs, own = Spread.of(times[peer.name]), Spread.of(times[ours.name])
        allowed = 1.5 * theirs.median + _FREE_SECONDS
        met = "met" if own.median <= allowed else "NOT MET"
        rows.append(
            f"second start, {ours.name}: {_ms(own)}; crun run: {_ms(theirs)}; allowed 1.5 times that and 60 ms: "
            f"{allowed * 1000:.0f} ms: {met}; processor time {_processor(ours, rounds)}, crun {_processor(peer, rounds)}"
        )
    return "\n".join(rows)


def _processor(contestant: Contestant, rounds: int) -> str:
    """Processor time of a whole command and of all that it waited for, which other work disturbs less."""
    used = []
    for number in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for command in contestant.commands(rounds + number):
            run(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return _ms(Spread.of(used))


def unpacking(scratch: Path, rounds: int, megabytes: int) -> str:
    """Unpacking an image of many files, by wingo and by umoci."""
    place = scratch / "large"
    _large_image(place, megabytes)
    target = scratch / "unpacked"

    def fresh(_: int) -> None:
        shutil.rmtree(target, ignore_errors=True)

    umoci = Contestant(
        "umoci unpack",
        lambda _: [Command(["umoci", "unpack", "--image", f"{place}:latest", str(target)], str(scratch), {})],
        fresh,
    )
    wingo = Contestant(
        "wingo",
        lambda _: [Command([sys.executable, "-m", "bench.running_once", str(place), str(target)], os.getcwd(), {})],
        fresh,
    )
    times = take_turns([umoci, wingo], rounds)
    ratios = [theirs / own for theirs, own in zip(times[umoci.name], times[wingo.name], strict=True)]
    ratio = Spread.of(ratios)
    met = "met" if ratio.median >= 0.8 else "NOT MET"
    return (
        f"unpack {megabytes} MB: wingo {_ms(Spread.of(times[wingo.name]))}, umoci {_ms(Spread.of(times[umoci.name]))}; throughput "
        f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) of umoci's, 0.8 asked for: {met}"
    )


def _large_image(place: Path, megabytes: int) -> None:
    """Half of it small files, half of it large ones; half of the bytes compress."""
    from wingo.archive.entry import Entry
    from wingo.stores.layout import Layout
    from wingo.testing.images import directory_entry, file_entry, image_of, layer_of

    source = random.Random(1)
    layers = []
    for number in range(2):
        entries: list[Entry] = []
        left, size = megabytes * 500_000, 16_000 if number == 0 else 8_000_000
        while left > 0:
            name = f"usr/{number}/{len(entries) // 100}"
            entries.append(directory_entry(name))
            for _ in range(100):
                entries.append(
                    file_entry(f"{name}/{len(entries)}", source.randbytes(size // 2) + b"text " * (size // 10))
                )
                left -= size
                if left <= 0:
                    break
        layers.append(layer_of(entries))
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]}}
    Layout(str(place)).write(image_of(layers, config), ["latest"])


def _ms(spread: Spread) -> str:
    return f"{spread.median * 1000:.0f} ms ({spread.low * 1000:.0f} to {spread.high * 1000:.0f})"


if __name__ == "__main__":
    main()
