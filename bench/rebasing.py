"""The monthly base change: ten programs, a new base in the registry, and how many bytes the change moves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from bench.bases import LATER_VERSIONS, WINDOWS_VERSIONS, push_base
from bench.runs import Command, run
from bench.servers import counting_proxy

_BASE_BYTES = 20 << 20


class Moved(NamedTuple):
    """What rebasing ten programs cost: bytes over the wire in both directions, and seconds."""

    sent: int
    received: int
    seconds: float


def measure(scratch: Path, port: int, programs: int = 10) -> Moved:
    """Builds the programs on one month's base, brings the next month's into the registry, rebases all through a proxy."""
    source = scratch / "ten"
    for number in range(programs):
        folder = source / "cmd" / f"app{number}"
        folder.mkdir(parents=True)
        (folder / "main.go").write_text(f'package main\n\nfunc main() {{ println("app{number}") }}\n')
    (source / "go.mod").write_text("module bench.example/ten\n\ngo 1.24\n")
    environment = {"XDG_CACHE_HOME": str(scratch / "rebase-cache"), "CGO_ENABLED": "0"}
    push_base(port, "windows/base", "monthly", WINDOWS_VERSIONS, layer_bytes=_BASE_BYTES)
    with counting_proxy(port) as (proxied, traffic):
        registry = f"127.0.0.1:{proxied}"
        build = ["wingo", "build", "./cmd/...", "--quiet", "--push", "-t", f"{registry}/ten/{{name}}:latest"]
        build += ["--base", f"{registry}/windows/base:monthly", "--platform", "ltsc2019,ltsc2022,ltsc2025,linux/amd64"]
        run(Command(build, str(source), environment))
        push_base(port, "windows/base", "monthly", LATER_VERSIONS, layer_bytes=_BASE_BYTES)
        sent, received = traffic.to_server, traffic.to_client
        begin = time.perf_counter()
        for number in range(programs):
            rebase = ["wingo", "rebase", f"{registry}/ten/app{number}:latest", "--quiet"]
            run(Command(rebase, str(source), environment))
        seconds = time.perf_counter() - begin
        return Moved(traffic.to_server - sent, traffic.to_client - received, seconds)
