"""Real programs of others, built by `wingo build`, started by `wingo run`, answering over their ports."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.containers import Wingo, build, fetch, folder_for, listening, who_can
from tests.system.test_programs import downloaded

pytestmark = pytest.mark.timeout(1500)  # some take minutes to compile


class Program(NamedTuple):
    """A published program, how it is started, and what it then answers.

    With a `module` it is built in a copy of that: for its target, `go install` would ask for the list of versions, which not
    every mirror has.
    """

    name: str
    target: str
    arguments: tuple[str, ...]
    port: str
    path: str
    answer: str
    files: dict[str, str] = {}
    module: str = ""


PROGRAMS = (
    Program(
        "go-httpbin",
        "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@v2.15.0",
        (),
        "8080",
        "/uuid",
        "uuid",
    ),
    Program(
        "olareg",
        "./cmd/olareg",
        ("serve", "--port", "5000", "--store-type", "mem"),
        "5000",
        "/v2/",
        "",
        module="github.com/olareg/olareg@v0.1.2",
    ),
    Program("nats-server", "github.com/nats-io/nats-server/v2@v2.15.2", ("-m", "8222"), "8222", "/varz", '"version"'),
    Program(
        "caddy",
        "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9",
        ("file-server", "--listen", ":8080", "--root", "/srv"),
        "8080",
        "/page.txt",
        "from a volume",
        {"page.txt": "from a volume"},
    ),
    Program(
        "coredns",
        "github.com/coredns/coredns@v1.15.0",
        ("-conf", "/srv/Corefile"),
        "8080",
        "/health",
        "OK",
        {"Corefile": ".:5353 {\n  health :8080\n  whoami\n}\n"},
    ),
    Program(
        "crane",
        "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
        ("registry", "serve", "--address", ":5000"),
        "5000",
        "/v2/",
        "",
    ),
)
BY_DEFAULT = {"go-httpbin"}
"""What `make test` builds; the others take minutes: `make test-peers`."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(program, id=program.name, marks=() if program.name in BY_DEFAULT else pytest.mark.peers)
        for program in PROGRAMS
    ],
)
def program(request: pytest.FixtureRequest) -> Iterator[tuple[Program, str, Path]]:
    """A program and its image."""
    wanted: Program = request.param
    with folder_for(os.geteuid()) as folder:
        (folder / "work").mkdir()
        (folder / "files").mkdir()
        for name, text in wanted.files.items():
            (folder / "files" / name).write_text(text)
            (folder / "files" / name).chmod(0o644)
        source = downloaded(wanted.module, folder) if wanted.module else folder / "work"
        yield wanted, build(source, folder / "image", wanted.target), folder / "files"


@pytest.fixture(params=who_can())
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    with folder_for({"root": 0, "own": os.geteuid()}.get(request.param, 65534)) as folder:
        yield Wingo(request.param, folder)


def test_it_serves_and_stops(wingo: Wingo, program: tuple[Program, str, Path]) -> None:
    wanted, image, files = program
    published = ["-p", wanted.port, *(["-p", "5353/udp"] if wanted.name == "coredns" else [])]
    flags = [*published, "-v", f"{files}:/srv:ro", "--memory", "512m"]
    with wingo.start("run", image, *flags, "--", *wanted.arguments) as process:
        lines = []
        while f"{wanted.port}/tcp" not in listening("".join(lines)) and (line := process.stderr.readline()):
            lines.append(line)
        ports = listening("".join(lines))
        try:
            answer = fetch(f"http://127.0.0.1:{ports[f'{wanted.port}/tcp']}{wanted.path}", seconds=20)
            assert wanted.answer in answer
            if "5353/udp" in ports or wanted.name == "coredns":
                while "5353/udp" not in listening("".join(lines)):
                    lines.append(process.stderr.readline())
                assert asked(listening("".join(lines))["5353/udp"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=40)
    assert process.returncode in (0, 1, 2, 143), "".join(lines)


def asked(port: int) -> bool:
    """Whether a DNS server answers a question of ours."""
    question = struct.pack(">6H", 77, 0x0100, 1, 0, 0, 0) + b"\x07example\x04test\x00" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.sendto(question, ("127.0.0.1", port))
        answer = udp.recv(2000)
    return answer[:2] == question[:2] and bool(answer[2] & 0x80)
