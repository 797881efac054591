"""What is said when go fails, and who can mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wingo.errors import HostError, RemoteError, RequestError, ToolFailed, WingoError
from wingo.golang.failures import complaint, go_failed


def failed(text: str, status: int = 1, *, cgo: bool = True, directories: tuple[str, ...] = ()) -> WingoError:
    return go_failed(("/go", "build"), status, text.encode(), cgo_enabled=cgo, directories=lambda _: directories)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# p\n./main.go:1:1: syntax error: unexpected EOF", RequestError),
        ('./main.go:1:1: undefined: x\n./main.go:2:2: cannot use "dial tcp" as int', RequestError),
        (
            "main.go:3:8: no required module provides package example.com/x; to add it:\n\tgo get example.com/x",
            RequestError,
        ),
        ("go: example.com/x@v1.0.0: reading https://proxy/x: 404 Not Found", RequestError),
        ("go: example.com/x@v1.0.0: invalid version: unknown revision v1.0.0", RequestError),
        ('go: x@v1: Get "https://proxy/x": dial tcp: lookup proxy: no such host', RemoteError),
        (
            'x.go:3:2: example.com/x@v1: Get "http://proxy/x": dial tcp 127.0.0.1:9: connect: connection refused',
            RemoteError,
        ),
        ("go: x@v1: reading https://proxy/x: 503 Service Unavailable", RemoteError),
        ("/out/app: write /out/app: no space left on device", HostError),
        ("# p\ngo: /go/compile: signal: killed", HostError),
        ("go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)", HostError),
        ("build cache is required, but could not be located: neither $XDG_CACHE_HOME nor $HOME are defined", HostError),
        ("go: download go1.99 for linux/amd64: toolchain not available", HostError),
    ],
)
def test_who_can_mend_it(text: str, kind: type[WingoError]) -> None:
    error = failed(text)
    assert type(error) is kind
    assert text.splitlines()[0] in str(error)


def test_a_signal_is_a_failed_tool() -> None:
    error = failed("", -9)
    assert isinstance(error, ToolFailed)
    assert error.status == -9


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "go: the go.mod file for the module providing named packages contains one or more replace directives",
            "Clone",
        ),
        (
            "error obtaining VCS status: exit status 128\n\tUse -buildvcs=false to disable VCS stamping.",
            "safe.directory",
        ),
        ("go: inconsistent vendoring in /src:", "go mod vendor"),
        ("missing go.sum entry for go.mod file", "go mod tidy"),
        ("pattern ./...: directory prefix . does not contain modules listed in go.work or their", "./MODULE/..."),
        ("package cmd/app is not in std (/usr/local/go/src/cmd/app)", "./DIRECTORY"),
        ("no Go files in /src", "./..."),
        ("# runtime/cgo\ngcc: error: unrecognized command-line option '-mthreads'", "CC=x86_64-w64-mingw32-gcc"),
        ("package example.com/lib is not a main package", "package main"),
        ("go: go.mod file not found in current directory or any parent directory", "Go module"),
        ("go: x: reading https://p: 410 Gone", "GOPRIVATE"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    assert hint in failed(text).hint


def test_progress_and_credentials_are_left_out() -> None:
    text = complaint(b"go: downloading x v1\ngo: x: git fetch https://me:secret@example.com/x: fatal\n")
    assert text == "go: x: git fetch https://example.com/x: fatal"


def test_endless_output_is_cut() -> None:
    text = complaint(b"line\n" * 1_000_000)
    assert len(text.splitlines()) == 121
    assert "more lines" in text
    assert len(complaint(b"x" * 1_000_000)) == 20_000


def test_nothing_printed_still_says_something() -> None:
    assert "exit status 3" in str(failed("", 3))


def test_cgo_is_blamed_only_when_there_is_some(tmp_path: Path) -> None:
    text = f"package p: build constraints exclude all Go files in {tmp_path}"
    (tmp_path / "c.go").write_text("package p\n")
    assert failed(text, cgo=False).hint == ""
    (tmp_path / "c.go").write_text('package p\n\nimport "C"\n')
    assert "CGO_ENABLED=1" in failed(text, cgo=False).hint
    assert failed(text, cgo=True).hint == ""
    undefined = "# example.com/p\n./p.go:3:4: undefined: X"
    assert "CGO_ENABLED=1" in failed(undefined, cgo=False, directories=(str(tmp_path),)).hint
    assert failed(undefined, cgo=False).hint == ""
