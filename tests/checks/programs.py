"""Twins for the rules about Go, size, secrets, policy and vulnerabilities: images of programs that are made byte by byte."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.checks.twins import TODAY, Subject, asked, gathered
from wingo.check.demands import NOTHING, Demands
from wingo.check.finding import Finding
from wingo.check.policy import Policy
from wingo.check.rule import Rule
from wingo.image.model import Image, Index, images_of
from wingo.pipeline.base_layers import BaseLayers
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_pe

Files = Mapping[str, bytes]
KERNEL = {"kernel32.dll": ["ExitProcess"]}
RANDOM = random.Random(1).randbytes(100_000)
PEM = (
    b"-----BEGIN PRIVATE KEY-----\n"
    + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w\n" * 3
    + b"-----END PRIVATE KEY-----\n"
)


@dataclass
class Images:
    """Two images that are made of programs and files, and what is demanded of them."""

    bad: Image | Index
    good: Image | Index
    demands: Demands = NOTHING
    good_demands: Demands | None = None
    below: Callable[[Image], BaseLayers] | None = None
    good_below: Callable[[Image], BaseLayers] | None = None
    thin: bool = False  # the lowest layers are not at hand
    thin_good: bool = False  # those of the good one are not
    today: dt.date = TODAY

    def write(self, folder: Path, *, bad: bool) -> None:
        artifact = self.bad if bad else self.good
        lowest = (
            {image.layers[0].descriptor.digest for image in images_of(artifact)}
            if self.thin or (self.thin_good and not bad)
            else ()
        )
        Layout(str(folder)).write(artifact, leave_out=lowest)

    def read(self, folder: Path, *, bad: bool) -> Subject:
        demands = self.demands if bad or self.good_demands is None else self.good_demands
        below = self.below if bad or self.good_below is None else self.good_below
        return gathered(folder, below, demands=demands, today=self.today)

    def findings(self, subject: Subject, rule: Rule[Any], *, bad: bool) -> Sequence[Finding]:
        return asked(subject, rule, Policy())


def pe(version: str = "go1.27.1", modules: str = "", *functions: str, imports=KERNEL, **more) -> bytes:
    info = go_build_info(version, f"path\texample.com/app\n{modules}")
    table = go_functions([(name, 16) for name in ("main.main", *functions)], text=PE_BASE + 0x1000)
    return make_pe(imports, data=info, rdata=table, **more)


def elf(version: str = "go1.27.1", modules: str = "", *functions: str, **more) -> bytes:
    info = go_build_info(version, f"path\texample.com/app\n{modules}")
    table = go_functions([(name, 16) for name in ("main.main", *functions)])
    return make_elf(data=info, sections={".gopclntab": table, **more})


def layer(prefix: str, files: Files):
    folders = {"Files", "Hives"} if prefix else set()
    for name in files:
        parts = (prefix + name).split("/")[:-1]
        folders |= {"/".join(parts[: end + 1]) for end in range(len(parts))}
    entries = [directory_entry(name) for name in sorted(folders)]
    return layer_of([*entries, *(file_entry(prefix + name, data) for name, data in files.items())])


def windows(
    *layers: Files, flavour: str = "nanoserver", version: str = "", env: Sequence[str] = (), **settings: object
) -> Image:
    base = windows_base(flavour, "ltsc2022", size=200_000_000 if flavour == "big" else 4096)
    history = [{"created_by": line.created_by} for line in base.config.history or ()]
    config = {
        "os": "windows",
        "architecture": "amd64",
        **({} if version == "-" else {"os.version": version or base.config.os_version}),
        "config": {"Entrypoint": ["C:\\app\\app.exe"], "Env": list(env), **settings},
        "history": [*history, *({"created_by": "a test"} for _ in layers)],
    }
    names = {"org.opencontainers.image.base.name": f"mcr.microsoft.com/windows/{flavour}:ltsc2022"}
    return image_of([*base.layers, *(layer("Files/", files) for files in layers)], config, annotations=names)


def linux(*layers: Files, env: Sequence[str] = (), history: str = "a test", **settings: object) -> Image:
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Entrypoint": ["/app/app"], "Env": list(env), **settings},
        "history": [{"created_by": history} for _ in layers],
    }
    return image_of([layer("", files) for files in layers], config)


def win(program: bytes, **more) -> Image:
    return windows({"app/app.exe": program}, **more)


def lin(program: bytes, files: Files | None = None, **more) -> Image:
    return linux({"app/app": program, **(files or {})}, **more)


TLS = ("crypto/x509.loadSystemRoots", "net.(*sysDialer).dialSingle")
CASES: dict[str, list[Images]] = {
    "WGO301": [
        Images(win(pe(), version="6.3.9600.1"), win(pe("go1.20.1"), version="6.3.9600.1")),
        Images(win(pe("go1.20.1"), version="6.0.6002.1"), win(pe())),
    ],
    "WGO302": [
        Images(win(pe("go1.25.9")), win(pe("go1.26.9"))),
        Images(lin(elf("go1.19")), lin(elf("devel go1.28-abcdef"))),
    ],
    "WGO303": [
        Images(win(pe("go1.27.1", "build\t-race=true\n")), win(pe("go1.27.1", "build\t-trimpath=true\n"))),
        Images(lin(elf("go1.27.1", "build\t-cover=true\n")), lin(elf("go1.27.1", "build\t-race=false\n"))),
    ],
    "WGO304": [
        Images(
            lin(elf("go1.27.1", "", "runtime/cgo.init", "_cgo_topofstack", "net._Cfunc_getaddrinfo")),
            lin(elf("go1.27.1", "", "runtime/cgo.init", "_cgo_topofstack", "main._Cfunc_puts")),
        ),
    ],
    "WGO305": [
        Images(win(pe("go1.23.4", "", "os/user.Current")), win(pe("go1.24.0", "", "os/user.Current"))),
        Images(
            win(pe("go1.20", "", "os/user.current")), win(pe("go1.23.4", "", "os/user.current"), flavour="servercore")
        ),
        Images(win(pe("go1.23.4", "", "os/user.Current")), win(pe("go1.23.4", "", "os/user.Lookup"))),
    ],
    "WGO306": [
        Images(
            win(pe("go1.27.1", "", "time.LoadLocation")),
            win(pe("go1.27.1", "", "time.LoadLocation", "time/tzdata.loadFromEmbeddedTZData")),
        ),
        Images(
            win(pe("go1.27.1", "", "time.LoadLocation"), flavour="servercore"),
            win(pe("go1.27.1", "", "time.LoadLocation"), env=["ZONEINFO=C:\\app\\zoneinfo.zip"]),
        ),
        Images(
            lin(elf("go1.27.1", "", "time.LoadLocation")),
            lin(elf("go1.27.1", "", "time.LoadLocation"), {"usr/share/zoneinfo/Europe/Berlin": b"TZif"}),
        ),
    ],
    "WGO307": [
        Images(
            lin(elf("go1.27.1", "", *TLS)), lin(elf("go1.27.1", "", *TLS), {"etc/ssl/certs/ca-certificates.crt": b"x"})
        ),
        Images(lin(elf("go1.27.1", "", *TLS)), lin(elf("go1.27.1", "", *TLS), env=["SSL_CERT_FILE=/app/ca.pem"])),
        Images(
            lin(elf("go1.27.1", "", *TLS)),
            lin(elf("go1.27.1", "", *TLS, "golang.org/x/crypto/x509roots/fallback.init.0")),
        ),
        Images(lin(elf("go1.27.1", "", *TLS)), lin(elf("go1.27.1", "", "crypto/x509.loadSystemRoots"))),
    ],
    "WGO308": [
        Images(
            lin(elf("go1.27.1", "", **{".debug_info": b"d" * 70_000})),
            lin(elf("go1.27.1", "", **{".debug_info": b"d"})),
        ),
    ],
    "WGO309": [
        Images(
            win(pe("go1.27.1", "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.modified=true\n")),
            win(pe("go1.27.1", "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.modified=false\n")),
        ),
    ],
    "WGO310": [
        Images(
            win(pe("go1.27.1", "dep\texample.com/a\tv1.0.0\n=>\t../a\t(devel)\t\n")),
            win(pe("go1.27.1", "dep\texample.com/a\tv1.0.0\n=>\texample.com/b\tv1.0.1\th1:x=\n")),
        ),
    ],
    "WGO401": [
        Images(
            windows({"app/app.exe": pe(), "app/a.bin": RANDOM, "app/b.bin": RANDOM}),
            windows({"app/app.exe": pe(), "app/a.bin": RANDOM, "app/b.bin": RANDOM[1:]}),
        ),
        Images(
            linux({"app/app": elf(), "a.bin": RANDOM}, {"a.bin": RANDOM}),
            linux({"app/app": elf(), "a.bin": RANDOM[:1000]}, {"b.bin": RANDOM[:1000]}),
        ),
    ],
    "WGO402": [
        Images(
            windows({"app/app.exe": pe(), "app/a.bin": RANDOM}, {"app/.wh.a.bin": b""}),
            windows({"app/app.exe": pe(), "app/a.bin": RANDOM}, {"app/.wh.c.bin": b""}),
        ),
        Images(
            linux({"app/app": elf(), "a.bin": RANDOM}, {"a.bin": RANDOM[::-1]}),
            linux({"app/app": elf(), "a.bin": RANDOM}, {"b.bin": RANDOM[::-1]}),
        ),
    ],
    "WGO403": [
        Images(win(pe(), flavour="servercore"), win(pe())),
        Images(win(pe(), flavour="servercore"), win(pe("go1.27.1", "", "os.StartProcess"), flavour="servercore")),
        Images(win(pe(), flavour="servercore"), win(pe(imports={"user32.dll": ["MessageBoxW"]}), flavour="servercore")),
        Images(
            win(pe(), flavour="servercore"),
            windows({"app/app.exe": pe(), "app/other.exe": make_pe()}, flavour="servercore"),
        ),
    ],
    "WGO451": [
        Images(
            linux({"app/app": elf(), "tls.pem": PEM}),
            linux({"app/app": elf(), "tls.pem": PEM.replace(b"PRIVATE", b"PUBLIC")}),
        ),
        Images(
            # A later layer that removes it does not help.
            linux({"app/app": elf(), "tls.pem": PEM}, {".wh.tls.pem": b""}),
            linux({"app/app": elf(), "tls.pem": b"-----BEGIN PRIVATE KEY----- stands before a key\n"}),
        ),
    ],
    "WGO452": [
        Images(
            windows({"app/config.yaml": b"a: 1\ntoken: ghp_" + b"A1b2" * 9 + b"\n"}),
            windows({"app/config.yaml": b"a: 1\ntoken: ghp_" + b"EXAMPLE00" * 4 + b"\n"}),
        ),
        Images(
            linux({"root/.npmrc": b"//r/:_authToken=npm_" + b"aB3d" * 9}),
            linux({"a": b"npm_config_cache npm_lifecycle_event"}),
        ),
        Images(linux({"c": b'{"auths": {"r": {"auth": "dXNlcjpwYXNzd29yZA=="}}}'}), linux({"c": b'{"auth": "none"}'})),
        Images(linux({"c": b"AKIAQWERTYUIOPASDFGH"}), linux({"c": b"XAKIAQWERTYUIOPASDFGHX"})),
    ],
    "WGO453": [
        Images(
            linux({"src/.git/HEAD": b"ref: x", "src/.git/objects/p": RANDOM}),
            linux({"src/.gitignore": b"x", "a/.git/x": b""}),
        ),
    ],
    "WGO454": [
        Images(linux({"app/.env": b"A=1"}), linux({"app/.env.example": b"A=1"})),
        Images(windows({"app/cert.PFX": b"x"}), windows({"app/cert.pem": b"x"})),
        Images(linux({"home/u/.ssh/id_ed25519": b"x"}), linux({"home/u/.ssh/id_ed25519.pub": b"x"})),
    ],
    "WGO455": [
        Images(lin(elf(), env=["DB_PASSWORD=hunter2"]), lin(elf(), env=["DB_PASSWORD_FILE=/run/secrets/x", "TOKEN="])),
        Images(lin(elf(), env=["X=ghp_" + "A1b2" * 9]), lin(elf(), env=["API_KEY=${API_KEY}", "PASSWORD=/run/x"])),
        Images(
            lin(elf(), history="RUN TOKEN=glpat-" + "a1b2" * 5 + " make"), lin(elf(), history="RUN TOKEN=$TOKEN make")
        ),
    ],
}
