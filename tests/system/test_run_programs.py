"""Real programs of others, built by `wingo build`, started by `wingo run`, asked over their ports in their own protocols."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.containers import MARK, Wingo, build, fetch, folder_for, leftovers, listening, settles, who_can
from tests.system.test_programs import downloaded

pytestmark = pytest.mark.timeout(1500)  # some take minutes to compile
SERVED = f"{MARK}-served"


class Asking(NamedTuple):
    """What a question needs: the ports of this machine by the program's, and an image that can be pushed."""

    ports: Mapping[str, int]
    wingo: Wingo
    image: str


class Program(NamedTuple):
    """A published program in a pinned version, how it is started, what it is asked, and what is left of it.

    With a `module` it is built in a copy of that: for its target, `go install` would ask for the list of versions, which not
    every mirror has.

    Attributes:
        ask: asks it, and asserts what it answers.
        ports: what is published.
        exit_code: when it is asked to stop: of those that do not handle SIGTERM, Go's own.
        files: of a volume at /srv.
        kept: what its writable layer then has, as a committed image shows.
    """

    name: str
    target: str
    arguments: tuple[str, ...]
    ask: Callable[[Asking], None]
    ports: tuple[str, ...] = ("8080",)
    exit_code: int = 0
    files: dict[str, str] = {}
    kept: tuple[str, ...] = ()
    module: str = ""


def get(port: str, path: str, words: str) -> Callable[[Asking], None]:
    def ask(asking: Asking) -> None:
        assert words in fetch(f"http://127.0.0.1:{asking.ports[f'{port}/tcp']}{path}", seconds=20)

    return ask


def push(asking: Asking) -> None:
    """A registry takes an image, and gives it back."""
    port = asking.ports["5000/tcp"]
    fetch(f"http://127.0.0.1:{port}/v2/", seconds=20)
    copied = asking.wingo("copy", asking.image, f"127.0.0.1:{port}/team/pushed:v1")
    assert copied.returncode == 0, copied.stderr
    pulled = asking.wingo("pull", f"127.0.0.1:{port}/team/pushed:v1", f"oci:{asking.wingo.folder / 'pulled'}")
    assert (pulled.returncode, pulled.stdout.strip()) == (0, copied.stdout.strip().partition("@")[2]), pulled.stderr


def stream(asking: Asking) -> None:
    """NATS makes a stream that it keeps in files, and stores a message in it (docs.nats.io, "NATS protocol")."""
    get("8222", "/varz", '"jetstream"')(asking)
    request = b'{"name":"KEPT","subjects":["kept"],"storage":"file"}'
    with socket.create_connection(("127.0.0.1", asking.ports["4222/tcp"]), 10) as nats, nats.makefile("rb") as lines:
        nats.sendall(b'CONNECT {"verbose":false}\r\nSUB answer 1\r\n')
        nats.sendall(b"PUB $JS.API.STREAM.CREATE.KEPT answer %d\r\n%s\r\n" % (len(request), request))
        assert b'"did_create":true' in answered(lines)
        nats.sendall(b"PUB kept answer 5\r\nhello\r\n")
        assert b'"seq":1' in answered(lines)


def answered(lines: Iterator[bytes]) -> bytes:
    for line in lines:
        if line.startswith(b"MSG answer "):
            return next(lines)
    return b""


def name(asking: Asking) -> None:
    """A DNS server answers a question of ours (RFC 1035, 4.1)."""
    get("8080", "/health", "OK")(asking)
    question = struct.pack(">6H", 77, 0x0100, 1, 0, 0, 0) + b"\x07example\x04test\x00" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.sendto(question, ("127.0.0.1", asking.ports["5353/udp"]))
        answer = udp.recv(2000)
    assert answer[:2] == question[:2]
    assert answer[2] & 0x80


PROGRAMS = (
    Program(
        "go-httpbin",
        "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@v2.15.0",
        (),
        get("8080", "/base64/d2luZ28=", "wingo"),
    ),
    Program(
        "olareg",
        "./cmd/olareg",
        ("serve", "--port", "5000", "--dir", "/data"),
        push,
        ("5000",),
        kept=("data/team/pushed/index.json",),
        module="github.com/olareg/olareg@v0.1.2",
    ),
    Program(
        "nats-server",
        "github.com/nats-io/nats-server/v2@v2.15.2",
        ("-m", "8222", "-js", "-sd", "/data"),
        stream,
        ("8222", "4222"),
        kept=("data/jetstream/$G/streams/KEPT/msgs/1.blk",),
    ),
    Program(
        "caddy",
        "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9",
        ("file-server", "--listen", ":8080", "--root", "/srv"),
        get("8080", "/page.txt", "from a volume"),
        files={"page.txt": "from a volume"},
    ),
    Program(
        "coredns",
        "github.com/coredns/coredns@v1.15.0",
        ("-conf", "/srv/Corefile"),
        name,
        ("8080", "5353/udp"),
        files={"Corefile": ".:5353 {\n  health :8080\n  whoami\n}\n"},
    ),
    Program(
        "crane",
        "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
        ("registry", "serve", "--address", ":5000", "--disk", "/data"),
        push,
        ("5000",),
        exit_code=2,
        kept=("data/sha256/",),
    ),
)
BY_DEFAULT = {"go-httpbin", "olareg"}
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
        for file_name, text in wanted.files.items():
            (folder / "files" / file_name).write_text(text)
            (folder / "files" / file_name).chmod(0o644)
        source = downloaded(wanted.module, folder) if wanted.module else folder / "work"
        yield wanted, build(source, folder / "image", wanted.target, "--data-dir", "/data"), folder / "files"


@pytest.fixture(params=who_can())
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    before = leftovers()
    with folder_for({"root": 0, "own": os.geteuid()}.get(request.param, 65534)) as folder:
        yield Wingo(request.param, folder)
        settles(before)


def test_it_serves_stops_in_order_and_keeps_its_data(wingo: Wingo, program: tuple[Program, str, Path]) -> None:
    wanted, image, files = program
    published = [word for port in wanted.ports for word in ("-p", port)]
    flags = ["-d", "--name", SERVED, *published, "-v", f"{files}:/srv:ro", "--memory", "512m"]
    started = wingo("run", image, *flags, "--", *wanted.arguments)
    try:
        assert started.returncode == 0, started.stderr
        wanted.ask(Asking(listening(started.stderr), wingo, image))
        stopped = wingo("stop", SERVED, "--json")
        logs = wingo("logs", SERVED)
        assert json.loads(stopped.stdout) == [{"name": SERVED, "exitCode": wanted.exit_code, "reason": ""}], logs
        out = wingo.folder / "committed"
        assert wingo("commit", SERVED, f"oci:{out}").returncode == 0
        names = in_newest_layer(out)
        assert {*wanted.kept} <= names, names
    finally:
        wingo("stop", "--rm", SERVED)
    assert wingo.containers == []


def in_newest_layer(layout: Path) -> set[str]:
    """The names in what a container wrote."""
    digests = [json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]]
    digests.append(json.loads(blob(layout, digests[0]).read_bytes())["layers"][-1]["digest"])
    argv = ["tar", "tzf", str(blob(layout, digests[1]))]
    return {*subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()}


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
