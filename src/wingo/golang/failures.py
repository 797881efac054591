"""What to say when the go command fails: its own lines, and who can mend it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from wingo.errors import HostError, RemoteError, RequestError, ToolFailed, WingoError
from wingo.golang.gosource import imports_c

_CHATTER = re.compile(r"go: (?:downloading|finding|extracting|found|added|upgraded|trying) ")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_EXCLUDED = re.compile(r"build constraints exclude all Go files in (.+?)$", re.MULTILINE)
_NOT_IN_STD = re.compile(r"package \S+ is not in std")
_PACKAGE_LINE = re.compile(r"^# (\S+)", re.MULTILINE)
_FETCHING = re.compile(
    r"^go: |^module |\b(?:Get|Head) \"https?://|\breading (?:https?|file)://|\bgit (?:ls-remote|fetch)\b"
)
_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|TLS handshake|connection re(?:fused|set)|proxyconnect|: (?:unexpected )?EOF$"
    r"|Client\.Timeout|server misbehaving|50[0-9] (?:Internal|Bad|Service|Gateway)|429 Too Many"
)
_MISSING = re.compile(
    r"(?:40[134]|410) (?:Unauthorized|Forbidden|Not Found|Gone)|unknown revision|no matching versions|invalid version"
    r"|could not read Username|repository not found|terminal prompts disabled",
    re.IGNORECASE,
)
_MAX_LINES = 120
_MAX_CHARACTERS = 20_000


def complaint(stderr: bytes) -> str:
    """What go printed, without its progress, without credentials, and not endless."""
    text = stderr[: 4 << 20].decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if not _CHATTER.match(line)]
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], f"… and {len(lines) - _MAX_LINES} more lines"]
    return _CREDENTIALS.sub("", "\n".join(lines).strip())[:_MAX_CHARACTERS]


def go_failed(
    argv: Sequence[str],
    status: int,
    stderr: bytes,
    *,
    cgo_enabled: bool,
    directories: Callable[[Sequence[str]], Sequence[str]],
) -> WingoError:
    """The error for a failed go command.

    Args:
        argv: what ran.
        status: how it ended.
        stderr: what it printed.
        cgo_enabled: whether cgo was on.
        directories: gives the directories of packages by import path; called only when it can help.
    """
    text = complaint(stderr)
    if status < 0:
        return ToolFailed(
            argv, status, text, hint="If it was not you who stopped it, the machine may be out of memory."
        )
    if "no space left on device" in text or "There is not enough space" in text:
        return HostError(
            f"the disk is full\n{text}", hint="Free some space; `go clean -cache` empties Go's build cache."
        )
    if "build cache is required, but could not be located" in text or "module cache not found" in text:
        return HostError(text, hint="Set HOME, or GOCACHE and GOMODCACHE.")
    if "signal: killed" in text:
        return HostError(
            f"the compiler was killed\n{text}", hint="Give it more memory, or build less at a time (--jobs 1)."
        )
    if not cgo_enabled:
        hint = _cgo_hint(text, directories)
        if hint:
            return RequestError(f"the program needs cgo, and cgo is off\n{text}", hint=hint)
    if any(_FETCHING.search(line) and _NETWORK.search(line) for line in text.splitlines()):
        return RemoteError(
            f"go could not fetch modules\n{text}",
            hint="Check the network and GOPROXY; for private modules set GOPRIVATE.",
            temporary=True,
        )
    if "requires go >= " in text or "toolchain not available" in text:
        return HostError(text, hint="Let go fetch the toolchain it asks for (GOTOOLCHAIN=auto), or install a newer Go.")
    return RequestError(text or f"{' '.join(argv[:2])} failed with exit status {status}", hint=_hint(text))


def _hint(text: str) -> str:
    if "contains one or more replace directives" in text or "must not contain directives that would cause" in text:
        return "Clone the repository and build the directory: go refuses to install a module whose go.mod has replace."
    if "-buildvcs=false" in text:
        return (
            "Mend what git says (for a checkout of another user: git config --global --add safe.directory DIR),"
            " or turn the stamp off with GOFLAGS=-buildvcs=false."
        )
    if "go.mod file not found" in text or "does not contain main module" in text:
        return "Run wingo inside a Go module, name its directory, or name a published program with @latest."
    if "# runtime/cgo" in text:
        return "CC must be a C compiler for the platform, for instance --go-env CC=x86_64-w64-mingw32-gcc."
    if "does not contain modules listed in go.work" in text:
        return "Name the modules of go.work, for instance ./MODULE/...; or run `go work use .`."
    if "is not a main package" in text:
        return "Name a directory with `package main`."
    if "no Go files in " in text or _NOT_IN_STD.search(text):
        return "Write ./DIRECTORY for a program of this module, or ./... for every one."
    if "inconsistent vendoring" in text:
        return "Run `go mod vendor`."
    if "updates to go.mod needed" in text or "missing go.sum entry" in text or "no required module provides" in text:
        return "Run `go mod tidy`."
    if "updates to go.work needed" in text:
        return "Run `go work sync`."
    if _MISSING.search(text):
        return "Check the path and the version; for private modules set GOPRIVATE and give git or netrc credentials."
    return ""


def _cgo_hint(text: str, directories: Callable[[Sequence[str]], Sequence[str]]) -> str:
    folders = [match.strip() for match in _EXCLUDED.findall(text)]
    if "undefined: " in text or "could not determine what C." in text:
        folders += directories(_PACKAGE_LINE.findall(text)[:20])
    for folder in folders:
        if _has_cgo(folder):
            return (
                f"{folder} has cgo code: set CGO_ENABLED=1 and CC to a C cross-compiler for the platform (--go-env),"
                " or use a pure Go package instead."
            )
    return ""


def _has_cgo(folder: str) -> bool:
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".go") and not name.endswith("_test.go")]
        for name in names[:500]:
            with open(os.path.join(folder, name), "rb") as file:
                if imports_c(file.read(1 << 20)):
                    return True
    except OSError:
        pass
    return False
