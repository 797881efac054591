"""Known vulnerabilities, beside `govulncheck -mode=binary` with the same database, on programs that go builds here.

The vulnerabilities and the modules are made up; the modules come from a proxy in a directory.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.checks.policies import database_files, vulnerability
from tests.needs import need_tool
from wingo.check.policy import Policy
from wingo.pipeline.base_layers import BaseLayers
from wingo.pipeline.checking import check_artifact
from wingo.pipeline.demanding import demands_of
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of

pytestmark = pytest.mark.peers

PLATFORMS = [("linux", "amd64"), ("windows", "amd64"), ("linux", "arm64")]
MODULES = {
    "example.com/fork": {
        "sub/sub.go": (
            "package sub\n\ntype T struct{ n int }\n\n//go:noinline\nfunc (t *T) Method(s string) int { return t.n + len(s) }\n\n"
            "//go:noinline\nfunc Called(s string) int { return (&T{1}).Method(s) }\n\nfunc Dropped() string { return string(rune(7)) }\n"
        )
    },
    "example.com/inlined": {"i.go": "package inlined\n\nfunc Add(n int) int { return n + 1 }\n"},
    "example.com/unused": {
        "u.go": "package unused\n\nfunc F() {}\n",
        "used/used.go": "package used\n\n//go:noinline\nfunc Twice(s string) string { return s + s }\n",
    },
    "go.example.com/vanity": {"v/v.go": "package v\n\n//go:noinline\nfunc Value(s string) string { return s + s }\n"},
    "example.com/dotted.v2": {
        "d.go": "package dotted\n\n//go:noinline\nfunc Value(s string) string { return s + s }\n"
    },
}
PROBE = {
    "go.mod": (
        "module example.com/probe\n\ngo 1.21\n\nrequire (\n\texample.com/dotted.v2 v1.0.0\n\texample.com/inlined v1.0.0\n"
        "\texample.com/old v1.0.0\n\texample.com/unused v1.0.0\n\tgo.example.com/vanity v1.0.0\n)\n\n"
        "replace example.com/old => example.com/fork v1.0.0\n"
    ),
    "cmd/app/main.go": (
        'package main\n\nimport (\n\t"fmt"\n\t"net/url"\n\t"os"\n\n\t"example.com/dotted.v2"\n\t"example.com/inlined"\n'
        '\t"example.com/old/sub"\n\t"go.example.com/vanity/v"\n)\n\nfunc main() {\n\tname := os.Args[0]\n'
        "\tfmt.Println(sub.Called(name), inlined.Add(len(name)), v.Value(name), dotted.Value(name))\n"
        "\t_, err := url.Parse(name)\n\tfmt.Println(err)\n}\n"
    ),
}
ALWAYS = [{"introduced": "0"}]


def of_symbol(number: int, module: str, path: str, *symbols: str, **more: object) -> dict[str, object]:
    return vulnerability(f"GO-2026-{number:04}", module, ALWAYS, [{"path": path, "symbols": list(symbols), **more}])


DOCUMENTS = [
    of_symbol(101, "stdlib", "net/url", "Parse"),
    of_symbol(102, "stdlib", "net/url", "URL.JoinPath"),
    of_symbol(103, "stdlib", "os", "File.Write", goos=["windows"]),
    of_symbol(104, "stdlib", "os", "File.Write", goarch=["arm64"]),
    of_symbol(105, "stdlib", "net/http"),
    vulnerability("GO-2026-0106", "stdlib", [{"introduced": "0"}, {"fixed": "1.18.0"}], [{"path": "os"}]),
    of_symbol(111, "example.com/fork", "example.com/fork/sub", "Called"),
    of_symbol(112, "example.com/fork", "example.com/fork/sub", "Dropped"),
    of_symbol(113, "example.com/fork", "example.com/fork/sub", "T.Method"),
    of_symbol(114, "example.com/old", "example.com/old/sub", "Called"),
    of_symbol(121, "example.com/inlined", "example.com/inlined", "Add"),
    of_symbol(131, "go.example.com/vanity", "go.example.com/vanity/v", "Value"),
    of_symbol(132, "go.example.com/vanity", "go.example.com/vanity/v"),
    of_symbol(141, "example.com/dotted.v2", "example.com/dotted.v2", "Value"),
    *(
        vulnerability(f"GO-2026-02{number:02}", module, ALWAYS)
        for number, module in enumerate((*MODULES, "example.com/old"))
    ),
    vulnerability("GO-2026-0301", "go.example.com/vanity", [{"introduced": "0"}, {"fixed": "1.0.0"}]),
    vulnerability("GO-2026-0302", "go.example.com/vanity", [{"introduced": "1.0.0"}, {"fixed": "1.0.1"}]),
    vulnerability("GO-2026-0303", "go.example.com/vanity", ALWAYS, withdrawn="2026-01-01T00:00:00Z"),
]
NOT_THERE = {
    "GO-2026-0102",
    "GO-2026-0105",
    "GO-2026-0106",
    "GO-2026-0112",
    "GO-2026-0114",
    "GO-2026-0301",
    "GO-2026-0303",
}
"""Of functions that the linker dropped, packages that are not there, versions that are over, and one that was taken back."""


OF_THE_REPLACEMENT = {"GO-2026-0111", "GO-2026-0113", "GO-2026-0200"}
"""What `replace` puts in place of another module has its own: govulncheck 1.9.0 asks the database for them, and drops them then."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database, a proxy for the modules, and a program's sources."""
    folder = tmp_path_factory.mktemp("vulnerabilities")
    stamp = "2026-01-01T00:00:00Z"
    documents = [{"published": stamp, "modified": stamp, **document} for document in DOCUMENTS]
    files = database_files(documents)
    index = [{**entry, "vulns": [{**each, "modified": stamp} for each in entry["vulns"]]}
             for entry in json.loads(files["index/modules.json"])]  # fmt: skip
    files["index/modules.json"] = json.dumps(index).encode()
    files["index/db.json"] = json.dumps({"modified": stamp}).encode()
    files["index/vulns.json"] = json.dumps([{"id": each["id"], "modified": stamp} for each in DOCUMENTS]).encode()
    for name, data in files.items():
        write(folder / "db" / name, data)
    for module, sources in MODULES.items():
        versions = folder / "proxy" / module / "@v"
        text = f"module {module}\n\ngo 1.21\n"
        write(versions / "v1.0.0.info", json.dumps({"Version": "v1.0.0", "Time": stamp}).encode())
        write(versions / "v1.0.0.mod", text.encode())
        with zipfile.ZipFile(versions / "v1.0.0.zip", "w") as archive:
            for name, source in {"go.mod": text, **sources}.items():
                archive.writestr(f"{module}@v1.0.0/{name}", source)
    for name, source in PROBE.items():
        write(folder / "probe" / name, source.encode())
    return folder


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def build(folder: Path, goos: str, goarch: str, *flags: str) -> Path:
    program = folder / f"{goos}-{goarch}{'-'.join(flags).replace(' ', '')}"
    environment = {
        **os.environ,
        "GOOS": goos,
        "GOARCH": goarch,
        "CGO_ENABLED": "0",
        "GOPROXY": f"file://{folder / 'proxy'}",
        "GOMODCACHE": str(folder / "modules"),
        "GOFLAGS": "-mod=mod -modcacherw",
        "GONOSUMDB": "*",
        "GONOSUMCHECK": "1",
    }
    argv = [need_tool("go"), "build", "-trimpath", *flags, "-o", str(program), "./cmd/app"]
    subprocess.run(argv, cwd=folder / "probe", env=environment, check=True)
    return program


def ours(folder: Path, program: Path, goos: str, goarch: str) -> set[str]:
    """What `wingo check --vuln-db` finds in an image of the program."""
    config = {"os": goos, "architecture": goarch, "config": {"Entrypoint": ["/app"]}}
    name = "Files/app" if goos == "windows" else "app"
    image = image_of([layer_of([file_entry(name, program.read_bytes())])], config)
    demands = demands_of(Settings(vuln_db=str(folder / "db")))
    host = FakeHost(str(folder), str(folder / "cache"))
    with Places(host, Settings()) as places:
        report = check_artifact(
            "a test", image, places, Policy(), 0.0, demands=demands, below={image.digest: BaseLayers()}
        )
    messages = [each.message for each in report.findings if each.rule in ("WGO311", "WGO312")]
    return {found for message in messages for found in re.findall(r"GO-\d+-\d+", message)}


def theirs(folder: Path, program: Path) -> set[str]:
    """What govulncheck finds of it in the program's functions."""
    argv = [need_tool("govulncheck"), "-mode=binary", "-format=json", f"-db=file://{folder / 'db'}", str(program)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    decoder, at, found = json.JSONDecoder(), 0, set()
    while at < len(done.stdout.rstrip()):
        message, at = decoder.raw_decode(done.stdout, at + len(done.stdout[at:]) - len(done.stdout[at:].lstrip()))
        finding = message.get("finding")
        if finding and finding["trace"][0].get("function"):
            found.add(finding["osv"])
    return found


@pytest.mark.parametrize(("goos", "goarch"), PLATFORMS)
def test_the_same_as_govulncheck(place: Path, goos: str, goarch: str) -> None:
    program = build(place, goos, goarch)
    found = ours(place, program, goos, goarch)
    assert found - OF_THE_REPLACEMENT == theirs(place, program)
    assert found >= {"GO-2026-0101", "GO-2026-0121", "GO-2026-0131", "GO-2026-0141", *OF_THE_REPLACEMENT}
    assert not found & NOT_THERE


def test_a_stripped_program_is_as_the_other(place: Path) -> None:
    """Where govulncheck takes every function of a module for present, wingo has the table that stripping leaves."""
    whole = build(place, "windows", "amd64")
    stripped = build(place, "windows", "amd64", "-ldflags=-s -w")
    found = ours(place, stripped, "windows", "amd64")
    assert found == ours(place, whole, "windows", "amd64")
    assert found - OF_THE_REPLACEMENT < theirs(place, stripped)
