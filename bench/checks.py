"""`python -m bench.checks`: what a check of an image costs, the image's program being large, beside what asks parts of the same.

Caddy is built for Windows and Linux (59 MB). The Windows image has three versions on bases of the published shape, one application layer for all; the
Linux one has the program alone. Both are OCI layouts. Each run is a process of its own with an empty cache. Beside the check: `gzip -dc | sha256sum`
of the layer, the least that reading it can cost with the tools of every machine; `dive --ci`, which looks for wasted bytes; and for the modules of the
program `syft` and `go version -m`, beside `wingo inspect --html`, whose page has them. dive and syft are taken from .tools/bin, where
`scripts/go-peers.sh dive syft` puts them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench import programs
from bench.costs import Cost, Work, cost, environment, table
from bench.runs import Command, run
from wingo.image.model import Image, Index
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.images import content_of, directory_entry, file_entry, image_of, index_of, layer_of
from wingo.windows.layer import plan_layer
from wingo.windows.requests import READ_ONLY, WindowsFile


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


def linux_image(program: bytes) -> Image:
    """An image with one program for Linux."""
    layer = layer_of([directory_entry("app"), file_entry("app/caddy", program)])
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app/caddy"]}}
    return image_of([layer], config)


def built(scratch: Path) -> dict[str, Path]:
    """Caddy for both systems."""
    program = programs.large(scratch)
    found = {}
    for system in ("windows", "linux"):
        path = found[system] = scratch / f"caddy-{system}"
        argv = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(path), *program.targets]
        run(Command(argv, str(program.directory), {"GOOS": system, "CGO_ENABLED": "0"}))
    return found


def works_of(scratch: Path) -> Iterator[Work]:
    """What is asked, and of whom."""
    paths = built(scratch)
    index = image_with(paths["windows"].read_bytes())
    linux = linux_image(paths["linux"].read_bytes())
    Layout(str(scratch / "windows")).write(index, ["v1"])
    Layout(str(scratch / "linux")).write(linux, ["v1"])
    layer = index.children[0].layers[-1]  # type: ignore[union-attr]
    blob = scratch / "windows/blobs/sha256" / layer.descriptor.digest.partition(":")[2]
    cache, packed = scratch / "cache", scratch / "docker.tar"
    variables = environment(WINGO_CACHE_DIR=str(cache), CI="true", SYFT_CHECK_FOR_APP_UPDATE="false")
    cost(["wingo", "copy", f"oci:{scratch / 'linux'}", f"docker-archive:{packed}"], variables)

    def cold(argv: Sequence[str]) -> Cost:
        shutil.rmtree(cache, ignore_errors=True)
        return cost(argv, variables, statuses=(0, 1))  # 1: findings

    size = f"{os.path.getsize(paths['windows']) / 1e6:.0f} MB program, {layer.descriptor.size / 1e6:.0f} MB layer"
    whole = f"what is wrong, Windows ({size})"
    yield Work(whole, "wingo check", partial(cold, ["wingo", "check", f"oci:{scratch / 'windows'}"]), 1.0)
    least = ["sh", "-c", f"gzip -dc {blob} | sha256sum"]
    yield Work(whole, "gzip -dc, sha256sum: reads the layer, no more", partial(cost, least, variables))
    yield Work(
        "what is wrong, Linux", "wingo check", partial(cold, ["wingo", "check", f"oci:{scratch / 'linux'}"]), 1.0
    )
    has = partial(shutil.which, path=variables["PATH"])
    if has("dive"):
        yield Work(
            "what is wasted, Linux",
            "dive --ci",
            partial(cost, ["dive", "--ci", f"docker-archive://{packed}"], variables),
        )
    page = ["wingo", "inspect", f"oci:{scratch / 'linux'}", "--html", str(scratch / "page.html")]
    yield Work("which modules, and all that a page has", "wingo inspect --html", partial(cold, page))
    if has("syft"):
        scan = ["syft", "scan", f"oci-dir:{scratch / 'linux'}", "-o", "json", "-q"]
        yield Work("which modules", "syft", partial(cost, scan, variables))
    yield Work(
        "which modules, of the program's file",
        "go version -m",
        partial(cost, ["go", "version", "-m", str(paths["linux"])], variables),
    )
    yield Work("nothing: the start alone", "wingo --help", partial(cost, ["wingo", "--help"], variables))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.checks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as scratch:
        print(table(list(works_of(Path(scratch))), options.rounds))


if __name__ == "__main__":
    main()
