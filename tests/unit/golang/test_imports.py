"""`go list -deps` as a program was built, whatever the program says."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from wingo.binary.buildinfo import BuildInfo
from wingo.errors import RequestError
from wingo.golang.imports import deciding_settings, list_imports
from wingo.golang.runner import Completed
from wingo.golang.targets import TargetSet
from wingo.golang.toolchain import Toolchain

BUILT = BuildInfo(
    "go1.26.1",
    "example.com/app",
    settings=(
        ("-tags", "netgo,extra"),
        ("-race", "true"),
        ("-ldflags", "-X main.secret=1"),
        ("CGO_ENABLED", "1"),
        ("GOARCH", "amd64"),
        ("GOOS", "windows"),
        ("GOAMD64", "v3"),
        ("vcs.revision", "0123"),
    ),
)


def test_what_decides() -> None:
    assert deciding_settings(BUILT) == {
        "-tags": "netgo,extra",
        "-race": "true",
        "CGO_ENABLED": "1",
        "GOARCH": "amd64",
        "GOOS": "windows",
        "GOAMD64": "v3",
    }


@pytest.mark.parametrize("value", ["a b", "x -toolexec=/bin/sh", "", "a\n", "$(x)", "x" * 2000])
def test_what_is_no_word_is_left_out(value: str) -> None:
    assert deciding_settings(BuildInfo("go1.26.1", settings=(("-tags", value), ("GOOS", value)))) == {}


class Go:
    """Stands in for go."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def run(self, argv: tuple[str, ...], *, cwd: str, env: Mapping[str, str]) -> Completed:
        self.argv, self.env, self.cwd = argv, env, cwd
        found = {"ImportPath": "example.com/app", "Name": "main", "Imports": ["os"]}
        return Completed(self.status, json.dumps(found, indent="\t").encode() + b"\n", b"go: no such package")


def listed(go: Go, info: BuildInfo, environment: Mapping[str, str]) -> list[str]:
    targets = TargetSet("/src", "/src", ("./cmd/app",))
    toolchain = Toolchain("/go/bin/go", "go1.26.1", "/go", "1")
    found = list_imports(targets, deciding_settings(info), toolchain=toolchain, runner=go, environment=environment)  # type: ignore[arg-type]
    return [each.import_path for each in found]


def test_the_programs_own_settings_win() -> None:
    go = Go()
    assert listed(go, BUILT, {"GOOS": "plan9", "CGO_ENABLED": "0", "GOFLAGS": "-tags=mine", "HOME": "/h"}) == [
        "example.com/app"
    ]
    assert go.argv[:4] == ("/go/bin/go", "list", "-tags=netgo,extra", "-race")
    assert go.argv[-2:] == ("--", "./cmd/app")
    assert {name: go.env[name] for name in ("GOOS", "GOARCH", "CGO_ENABLED", "GOAMD64", "HOME")} == {
        "GOOS": "windows",
        "GOARCH": "amd64",
        "CGO_ENABLED": "1",
        "GOAMD64": "v3",
        "HOME": "/h",
    }


def test_no_tags_are_said_too() -> None:
    go = Go()
    listed(go, BuildInfo("go1.26.1"), {})
    assert "-tags=" in go.argv
    assert go.env["CGO_ENABLED"] == "0"


def test_gos_own_words() -> None:
    with pytest.raises(RequestError, match="no such package"):
        listed(Go(1), BUILT, {})
