"""`python -m bench.checks [PROGRAM]`: what a check of an image costs, the image's program being large, and what a second push saves.

Without PROGRAM, caddy is built for Windows (59 MB). The image has three Windows versions on bases of the published shape, one application layer
for all, in an OCI layout. Each run is a process of its own with an empty cache; counted are its processor's seconds, its start included, and its
peak memory. Beside it: `gzip -dc | sha256sum` of the layer, the least that reading it can cost, and `go version -m` of the program. dive and
syft answer other questions (wasted bytes, packages), and are not beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import programs
from bench.runs import Command, run
from wingo.image.model import Index
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.images import content_of, image_of, index_of, layer_of
from wingo.windows.layer import plan_layer
from wingo.windows.requests import READ_ONLY, WindowsFile

_RUNS = 7


def image_with(program: bytes) -> Index:
    """An index of three Windows versions with one program."""
    file = WindowsFile(path="C:\\app\\app.exe", content=content_of(program), attributes=READ_ONLY, source="the program")
    layer = layer_of(plan_layer([file], epoch=0, created_by="bench").recipe.entries)
    images = []
    for release in ("ltsc2025", "ltsc2022", "ltsc2019"):
        base = windows_base("nanoserver", release)
        config = json.loads(base.config_bytes)
        history = [{"created_by": f"Apply image {config['os.version']}"}, {"created_by": "bench"}]
        images.append(
            image_of(
                [*base.layers, layer], {**config, "config": {"Entrypoint": ["C:\\app\\app.exe"]}, "history": history}
            )
        )
    return index_of(images)


def cost(argv: Sequence[str], **environment: str) -> tuple[float, float]:
    """Processor seconds and peak megabytes of one process."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if argv:
            path = argv[0]
        else:
            program = programs.large(scratch)
            path = str(scratch / "caddy.exe")
            build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, *program.targets]
            run(Command(build, str(program.directory), {"GOOS": "windows", "CGO_ENABLED": "0"}))
        index = image_with(Path(path).read_bytes())
        Layout(str(scratch / "image")).write(index, ["v1"])
        layer = index.children[0].layers[-1]  # type: ignore[union-attr]
        blob = scratch / "image/blobs/sha256" / layer.descriptor.digest.partition(":")[2]
        wingo = [sys.executable, "-c", "from wingo.cli.main import entry; entry()"]
        works: dict[str, list[str]] = {
            "wingo check": [*wingo, "check", f"oci:{scratch / 'image'}"],
            "gzip -dc | sha256sum": ["sh", "-c", f"gzip -dc {blob} | sha256sum"],
            "go version -m": ["go", "version", "-m", path],
            "wingo --help": [*wingo, "--help"],
        }
        print(f"{os.path.getsize(path) / 1e6:.0f} MB program, {layer.descriptor.size / 1e6:.0f} MB layer")
        results: dict[str, list[tuple[float, float]]] = {work: [] for work in works}
        for number in range(_RUNS):
            for work, words in works.items():
                results[work].append(cost(words, WINGO_CACHE_DIR=str(scratch / f"cache-{number}")))
        for work, costs in results.items():
            seconds = statistics.median(second for second, _ in costs)
            memory = f"  {max(memory for _, memory in costs):4.0f} MB" if work == "wingo check" else ""
            print(f"{work:<22} {seconds:6.2f} s{memory}")


if __name__ == "__main__":
    main(sys.argv[1:])
