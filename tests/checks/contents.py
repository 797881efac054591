"""Further twins for the rules about Go, size, secrets, policy and Dockerfiles."""

from __future__ import annotations

import datetime as dt
import json

import msgspec

from tests.checks.dockerfiles import GO, NANO, Dockerfiles
from tests.checks.policies import DATABASE, ENCODED, KEY, SOURCES, image
from tests.checks.programs import PEM, RANDOM, TLS, Images, elf, lin, linux, pe, win, windows
from tests.checks.starts import on
from tests.verifier.broken import executable
from wingo.archive.entry import Entry, EntryKind
from wingo.check.demands import Demands
from wingo.check.imports import ImportGraph
from wingo.check.rules.size import NANOSERVER_BYTES
from wingo.image.model import Image
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_pe

BIG = RANDOM[:65536]
OLD = "6.1.7600.1"
ZONES = "usr/share/zoneinfo/UTC"
CGO = ("runtime/cgo.init", "_cgo_topofstack", "net._Cfunc_getaddrinfo")
BESIDE = {"app/other.dll": make_pe(library=True), "app/cut.dll": executable()[:200]}
"""What is no Go program, and what cannot be read."""


def core(*layers: dict[str, bytes], **more: object) -> Image:
    """An image on Server Core."""
    return windows(*layers, flavour="servercore", **more)


def replaced_by_link() -> Image:
    """A file that a later layer replaces by a link that leads nowhere."""
    below = layer_of([directory_entry("app"), file_entry("app/app", elf()), file_entry("a.bin", RANDOM)])
    link = Entry("a.bin", EntryKind.SYMLINK, mode=0o777, link_target="nowhere")
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app/app"]}}
    return image_of([below, layer_of([link])], config)


def doubled_by_link() -> Image:
    """A file, and a hard link to it."""
    link = Entry("b.bin", EntryKind.HARDLINK, link_target="a.bin")
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app"]}}
    return image_of([layer_of([file_entry("a.bin", RANDOM), link])], config)


def pe_with_delay(name: str) -> bytes:
    """A Go program that binds a DLL when it first calls it; what is written in it is no evidence."""
    info = go_build_info("go1.27.1", "path\texample.com/app\n")
    table = go_functions([("main.main", 16)], text=PE_BASE + 0x1000)
    return make_pe({"KERNEL32.dll": ["f"]}, {name: ["f"]}, data=info, rdata=table + b"\0wlanapi.dll\0")


def big(build: int, version: str = "") -> Image:
    """A Go program on a base that is larger than nanoserver."""
    made = win(pe(), version=version or f"10.0.{build}.1")
    size = 4 * NANOSERVER_BYTES[build]
    below = made.layers[0]
    large = msgspec.structs.replace(below, descriptor=msgspec.structs.replace(below.descriptor, size=size))
    return image_of([large, *made.layers[1:]], json.loads(made.config_bytes))


def without_entry(data: bytes) -> bytes:
    """An ELF that starts nowhere: it has nothing to run by itself."""
    return data[:24] + bytes(8) + data[32:]


def two_programs(other: bytes) -> Image:
    """A Go program, and something else."""
    return linux({"app/app": elf(), "app/other": other})


MANY = ImportGraph(
    "example.com/app",
    {"example.com/app": tuple(f"a.b/{at}" for at in range(5)), **{f"a.b/{at}": ("unsafe",) for at in range(5)}},
)
THREE = ImportGraph(
    "example.com/app",
    {"example.com/app": tuple(f"a.b/{at}" for at in range(3)), **{f"a.b/{at}": ("unsafe",) for at in range(3)}},
)


def callers(count: int) -> Image:
    """A program in which so many packages start others."""
    names = ("main.main", *(f"a.b/{at}.F" for at in range(count)), "os/exec.(*Cmd).Start", "os.StartProcess")
    calls = [(at, count + 1) for at in range(1, count + 1)]
    return image(*names, calls=(*calls, (count + 1, count + 2)))


CASES: dict[str, list[Images | Dockerfiles]] = {
    "WGO301": [
        Images(windows({"app/app.exe": pe(), **BESIDE}, version=OLD), windows({"app/app.exe": pe("go1.10"), **BESIDE}, version=OLD)),
        Images(win(pe("go1.21.0"), version="10.0.10239.1"), win(pe("go1.21.0"), version="10.0.10240.0")),
        Images(win(pe("go1.11"), version=OLD), win(pe("devel +abcdef"), version=OLD)),
        Images(win(pe("go1.20"), version=OLD), win(pe(), version="nonsense")),
        Images(win(pe("go1.20"), version=OLD), windows({"app/app.exe": pe()}, version="-")),
    ],
    "WGO302": [
        Images(win(pe("go1.27.1")), win(pe("go1.30.1")), today=dt.date(2028, 5, 1)),
        Images(win(pe("go1.9")), win(pe("devel +abcdef"))),
    ],
    "WGO304": [
        Images(
            lin(elf("go1.27.1", "build\tCGO_ENABLED=1\n", *CGO, "os.StartProcess")),
            lin(elf("go1.27.1", "build\tCGO_ENABLED=0\n", *CGO)),
        ),
        Images(lin(elf("go1.27.1", "", *CGO)), lin(elf("go1.27.1", "", "runtime/cgo.init"))),
        Images(lin(elf("go1.27.1", "", *CGO)), lin(elf("go1.27.1", "", *CGO[:2], "main._Cfunc_f", "os.StartProcess"))),
        Images(lin(elf("go1.27.1", "", *CGO)), lin(elf("go1.27.1", "", "_cgo_topofstack", "net._Cfunc_getaddrinfo"))),
        Images(lin(elf("go1.27.1", "", *CGO)), lin(elf("go1.27.1", "", "runtime.cgocall", "main._Cfunc_f"))),
    ],
    "WGO305": [Images(win(pe("go1.23", "", "os/user.Current")), win(pe("devel +abcdef", "", "os/user.Current")))],
    "WGO306": [
        Images(
            windows({"app/app.exe": pe("go1.27.1", "", "time.LoadLocation"), ZONES: b"TZif"}),
            win(pe("go1.27.1", "", "time.LoadLocation", "time/tzdata.init")),
        ),
        Images(
            lin(elf("go1.27.1", "", "time.LoadLocation"), Env=None),
            lin(elf("go1.27.1", "", "time.LoadLocation", "time/tzdata.init.0")),
        ),
        Images(
            linux({"etc/x": b"x"}, {"app/app": elf("go1.27.1", "", "time.LoadLocation")}),
            linux({"etc/x": b"x"}, {"app/app": elf("go1.27.1", "", "time.LoadLocation")}),
            below=on("x"), thin_good=True,
        ),
        Images(win(pe("go1.27.1", "", "time.LoadLocation")), win(pe("go1.27.1", "", "time.Now"))),
    ],
    "WGO307": [
        Images(
            lin(elf("go1.27.1", "", "crypto/x509.systemRootsPool", TLS[1]), Env=None),
            lin(elf("go1.27.1", "", *TLS), env=["SSL_CERT_DIR=/certs"]),
        ),
        Images(lin(elf("go1.27.1", "", *TLS)), lin(elf("go1.27.1", "", TLS[1]))),
        Images(lin(elf("go1.27.1", "", *TLS)), lin(make_elf())),
    ],
    "WGO308": [
        Images(
            lin(elf("go1.27.1", "", **{".debug_info": bytes(65536)})), lin(elf("go1.27.1", "", **{".debug_info": bytes(65535)}))
        ),
        Images(lin(elf("go1.27.1", "", **{".debug_info": bytes(100_000), ".symtab": bytes(50_000)})), lin(elf("go1.27.1"))),
    ],
    "WGO309": [Images(win(pe("go1.27.1", "build\tvcs.modified=true\n")), win(pe("go1.27.1", "build\tvcs=git\n")))],
    "WGO310": [
        Images(
            win(pe("go1.27.1", "dep\texample.com/a\tv1.0.0\n=>\t../a\t\t\n")),
            win(pe("go1.27.1", "dep\texample.com/a\t(devel)\n")),
        )
    ],
    "WGO311": [
        Images(image("main.main", version="go1.28.0"), image("main.main"), DATABASE),
        Images(image("main.main", "os.Z"), image("main.main", "os.Z", deps="build\tGOARCH=arm64\n"), DATABASE),
        Images(image("main.main", "os.A", deps="build\tGOARCH=arm64\n"), image("main.main", "os.A"), DATABASE),
        Images(
            image("main.main", "os.X", goos=""), image("main.main", "os.X", goos="linux"), DATABASE
        ),
        Images(image("main.main", "os.X", goos="windows"), image("main.main", "os.Y", goos="windows"), DATABASE),
    ],
    "WGO312": [
        Images(
            image("main.main", "example.com/old.F", main="", deps="dep\texample.com/old\tv1.0.0\th1:x=\n"),
            image("main.main", "example.com/old.F", main=""), DATABASE,
        ),
        Images(
            image("main.main", "example.com/old.F", main="mod\texample.com/old\tv1.0.0\n"),
            image("main.main", "example.com/old.F", main="mod\texample.com/older\tv1.0.0\n"), DATABASE,
        ),
        Images(
            image("main.main", "example.com/bare.F", deps="dep\texample.com/bare\tv1.0.0\th1:x=\n"),
            image("main.main", "example.com/bare.F", deps="dep\texample.com/bare\tv2.0.0\th1:x=\n"), DATABASE,
        ),
        Images(image("main.main", ENCODED, deps="dep\tgopkg.in/yaml.v3\tv3.0.0\th1:x=\n"), image("main.main", deps="dep\tgopkg.in/yaml.v3\tv3.0.0\th1:x=\n"), DATABASE)],
    "WGO401": [
        Images(
            linux({"app/app": elf(), **{f"{name}.bin": RANDOM for name in "abcd"}, "e": BIG, "f": BIG}),
            doubled_by_link(),
        ),
        Images(
            linux({"a.bin": RANDOM, "b.bin": RANDOM}, {"app/app": elf(), "c.bin": RANDOM}),
            linux({"a.bin": RANDOM, "b.bin": RANDOM}, {"app/app": elf()}),
            below=on("x"),
        ),
        Images(
            linux({"a": BIG, "b": BIG}), linux({"a": BIG[:-1], "b": BIG[:-1]}),
        ),
        Images(
            linux({"x": b"x"}, {"a": BIG, "b": BIG}), linux({"x": b"x"}, {"a": BIG}), below=on("x"), thin=True,
        ),
    ],
    "WGO402": [
        Images(replaced_by_link(), linux({"app/app": elf(), "a.bin": RANDOM}, {".wh.a.bin": b""}), good_below=on("x")),
        Images(linux({"a": BIG}, {".wh.a": b""}), linux({"a": BIG[:-1]}, {".wh.a": b""})),
    ],
    "WGO403": [
        Images(core({"app/app.exe": pe(imports={"API-MS-win-x.dll": ["f"], "KERNEL32.dll": ["f"]})}), core({"app/app.exe": make_pe()})),
        Images(core({"app/app.exe": pe()}, version="10.0.20348.1"), core({"app/app.exe": pe()}, Entrypoint=["cmd", "/C", "x"])),
        Images(core({"app/app.exe": pe()}, version="10.0.99999.1"), core({"app/app.exe": pe(), "app/x.sh": b"#!/bin/sh\n"})),
        Images(core({"app/app.exe": pe()}, version="-"), core({"app/app.exe": pe()}, Entrypoint=["C:\\none.exe"])),
        Images(core({"app/app.exe": pe()}, version="10.0"), core({"app/app.exe": pe("go1.27.1", "", "syscall.NetUserGetInfo")})),
        Images(core({"app/app.exe": pe()}, version="10.0.x.1"), core({"app/app.exe": pe_with_delay("netapi32.dll")})),
        Images(core({"app/app.exe": pe_with_delay("KERNEL32.DLL")}), core({"app/app.exe": make_pe(data=go_build_info("go1.27.1", "path\tx\n"))})),
        Images(core({"app/app.exe": pe()}), core({"app/app.exe": executable()[:200]})),
        Images(core({"app/app.exe": pe()}), core({"app/app.exe": elf()})),
        Images(core({"app/app.exe": pe()}), core({"app/bash.exe": pe()}, Entrypoint=["C:\\app\\bash.exe", "-c", "x"])),
        Images(
            big(20348, "10.0.99999.1"), core({"app/app.exe": pe(imports={"user32.dll": ["f"]})}),
            below=on("x", flavour="server"), thin=True,
        ),
        Images(
            windows({"app/app.exe": pe()}, flavour="nanoserver"), win(pe()), below=on("x", flavour="server"), good_below=on("x", flavour=""),
        ),
        Images(big(17763), win(pe()), below=on("x", flavour="server"), good_below=on("x"), thin=True),
    ],
    "WGO451": [
        Images(linux({"a": PEM, "b": b"\n\n" + PEM}), linux({"x/.wh.a": PEM, "b": b"x"})),
        Images(linux({"a": b"token: ghp_" + b"A1b2" * 9 + b"\n" + PEM}), linux({"a": b"token: ghp_" + b"A1b2" * 9})),
    ],
    "WGO453": [Images(linux({"a/.git/config": b"x", "a/.git/y": b"yy"}), linux({".github/config": b"x"}))],
    "WGO454": [Images(linux({".netrc": b"x", "x/.kube/config": b"x"}), linux({".netrc": b"", "x/.wh..netrc": b"x"}))],
    "WGO455": [
        Images(lin(elf(), env=["TOKEN=x"]), lin(elf(), env=["GREETING=hello", "TOKEN_URL=x"])),
        Images(lin(elf(), env=["TOKEN=x"]), lin(elf(), Env=None)),
        Images(lin(elf(), env=["TOKEN=x"]), image("main.main")),
    ],
    "WGO601": [
        Images(callers(5), image("main.main"), Demands(("exec", "net"))),
        Images(callers(3), callers(3), Demands(("exec",)), Demands()),
        Images(callers(3), callers(3), Demands(("exec",), {"exec": ("a.b/0",)}), Demands(("exec",), {"exec": ("a.b",)})),
        Images(image("main.main"), image("main.main"), Demands(("unsafe",), imports={KEY: MANY}), Demands(("unsafe", "exec"))),
        Images(image("main.main"), image("main.main"), Demands(("unsafe",), imports={KEY: THREE}), Demands(("exec",), imports={KEY: MANY})),
        Images(
            image("main.main", "os/exec.(*Cmd).Start", "os.StartProcess", calls=((0, 1), (1, 2))),
            image("main.main"), Demands(("exec",), imports=SOURCES),
        ),
    ],
    "WGO602": [
        Images(image("main.main"), image("main.main", main=""), Demands(("example.com/app",))),
        Images(image("main.main"), image("main.main"), Demands(("example.com/lib",), imports=SOURCES), Demands(("example.com/nowhere",), imports=SOURCES)),
        Images(
            image("main.main", "gone.example/x.F"), image("main.main", "gone.example/x.F"),
            Demands(("gone.example/x",), imports=SOURCES), Demands(("exec",)),
        ),
    ],
    "WGO603": [
        Images(
            two_programs(executable()[:200]), image("main.main"),
            Demands(("exec",)),
        ),
        Images(image(raw=make_elf()), two_programs(without_entry(make_elf())), Demands(("exec",))),
    ],
    "WGO610": [
        Dockerfiles(
            GO.format("go build").replace("FROM ", "FROM --platform=$BUILDPLATFORM ") + NANO + "COPY --from=b /x /x\n",
            GO.format("GOOS=windows go build").replace("FROM ", "FROM --platform=$BUILDPLATFORM ") + NANO + "COPY --from=b /x /x\n",
        ),
        Dockerfiles(
            GO.format("/usr/local/go/bin/go build") + NANO + "COPY --from=b /x /x\n",
            GO.format("GOOS=windows /usr/local/go/bin/go build") + NANO + "COPY --from=b /x /x\n",
        ),
        Dockerfiles(GO.format("go install") + NANO + "COPY --from=b /x /x\n", "FROM golang:1.21 AS b\nRUN go vet ./... && go mod tidy\n" + NANO + "COPY --from=b /x /x\n"),
        Dockerfiles(GO.format("go build") + NANO + "COPY --from=b /x /x\n", GO.format("go build") + "FROM alpine:3\nCOPY --from=b /x /x\n"),
    ],
    "WGO611": [
        Dockerfiles(
            GO.format("GOARCH=arm64 go build") + NANO + "COPY --from=b /x /x\n",
            GO.format("GOARCH=amd64 go build") + NANO + "COPY --from=b /x /x\n",
        ),
        Dockerfiles(
            GO.format("GOOS=linux GOARCH=arm64 go build") + NANO + "COPY --from=b /x /x\n",
            GO.format("CGO_ENABLED=0 go build") + NANO + "COPY --from=b /x /x\n",
        ),
    ],
    "WGO612": [
        Dockerfiles(GO.format("go build") + "FROM scratch\nCOPY --from=b /x /x\n", GO.format("go build") + "FROM debian:12\nCOPY --from=b /x /x\n"),
        Dockerfiles(
            "FROM golang:1.21-alpine AS b\nRUN go build -o /x .\nFROM scratch\nCOPY --from=b /x /x\n",
            "FROM golang:1.21-alpine AS b\nRUN go build -o /x .\nFROM alpine:3\nCOPY --from=b /x /x\n",
        ),
        Dockerfiles(
            GO.format("go build") + "FROM gcr.io/distroless/static\nCOPY --from=b /x /x\n",
            GO.format("go build") + NANO + "COPY --from=b /x /x\n",
        ),
    ],
    "WGO613": [
        Dockerfiles(NANO + 'SHELL ["PowerShell.exe"]\nENTRYPOINT x\n', NANO + 'SHELL ["powershell"]\nCMD ["x"]\n'),
        Dockerfiles("FROM scratch\nCMD x\n", NANO.replace("nanoserver", "servercore") + 'SHELL ["powershell"]\nCMD x\n'),
        Dockerfiles("FROM gcr.io/distroless/static-debian12\nCMD x\n", "FROM gcr.io/distroless/base\nCMD x\n"),
        Dockerfiles("FROM scratch\nENTRYPOINT x\n", "FROM alpine:3 AS a\nFROM a\nCMD x\n"),
        Dockerfiles("FROM scratch\nENTRYPOINT x\n", "FROM scratch\nENTRYPOINT []\nCMD []\n"),
    ],
    "WGO614": [
        Dockerfiles("FROM alpine:3\nENTRYPOINT x\n", "FROM alpine:3 AS a\nCMD x\nFROM alpine:3\nCOPY --from=a /x /x\nRUN x\nENTRYPOINT []\n"),
    ],
    "WGO615": [Dockerfiles("FROM alpine:latest\n", f"FROM alpine@sha256:{'0' * 64}\n"), Dockerfiles("FROM alpine\n", "FROM scratch\n")],
    "WGO616": [
        Dockerfiles(NANO + "ENV PATH=C:\\\\x\n", NANO + "ENV A=1\nENV PATH=C:\\\\Windows\\\\System32\n"),
        Dockerfiles(NANO + "ENV A=1 Path=C:\\\\x\n", NANO + "ENV A=1\nRUN mkdir C:\\x\n"),
        Dockerfiles(NANO + "ENV PATH=C:\\\\x\n", "FROM alpine:3\nENV PATH=/x\n"),
        Dockerfiles(NANO + "ENV Path=C:\\\\x A=1\n", NANO + "ENV Path=C:\\\\Windows\\\\system32;C:\\\\x\n"),
    ],
    "WGO618": [
        Dockerfiles("FROM alpine:3\nENV API_KEY=x NAME=y\n", "FROM alpine:3\nENV NAME=x\nLABEL token=x\n"),
        Dockerfiles("FROM alpine:3\nARG TOKEN=x\n", "FROM alpine:3\nENV TOKEN_FILE=/x\n"),
    ],
    "WGO619": [
        Dockerfiles(NANO + "LABEL v=$V\n", NANO + "LABEL v=$PATH\n"),
        Dockerfiles("FROM alpine:3\nLABEL v=$V w=${W:-1}\n", "FROM alpine:3\nENV V=1\nLABEL v=$V w=${W:-1}\nSTOPSIGNAL 9\nMAINTAINER x\n"),
    ],
    "WGO620": [
        Dockerfiles(
            "FROM alpine:3\nADD http://registry.example/x https://registry.example/y /\n",
            "FROM alpine:3\nADD x.tar /\nCOPY y /\n",
        )
    ],
}  # fmt: skip
"""By the rule's number."""
