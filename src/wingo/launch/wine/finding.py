"""Finds Wine, and says what is missing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from wingo.errors import HostError

MINIMUM = (8, 0)
"""The oldest version that was tried (Debian 12's)."""

_DIRECTORIES = (
    "/usr/lib/wine",  # Debian, Ubuntu
    "/opt/wine-stable/bin",  # WineHQ
    "/opt/wine-staging/bin",
    "/opt/wine-devel/bin",
    "/usr/lib64/wine",
)
_LOADERS = ("wine64", "wine")
_SERVERS = ("wineserver64", "wineserver")
_DLLS = ("lib/x86_64-linux-gnu/wine/x86_64-windows", "lib/wine/x86_64-windows", "lib64/wine/x86_64-windows")
_HINT = "Install Debian's: apt-get install --no-install-recommends wine64; or Wine 8 or newer from winehq.org."
_VERSION = re.compile(r"wine-([0-9]+)\.([0-9]+)")


class NoWine(HostError):
    """This machine has no Wine that could start Windows images."""


class Finished(Protocol):
    """How a program ended."""

    @property
    def status(self) -> int:
        """Its exit status."""

    @property
    def stdout(self) -> bytes:
        """What it printed."""

    @property
    def stderr(self) -> bytes:
        """What it complained of."""


class Runner(Protocol):
    """Runs programs to their end, see `wingo.processes.ProcessRunner`."""

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Finished:
        """Runs one."""


class Wine(msgspec.Struct, frozen=True):
    """An installed Wine for 64 bits.

    Attributes:
        loader: the program that loads Windows programs; no script.
        server: wineserver, of the same installation.
        described: as it calls itself, "wine-8.0 (Debian 8.0~repack-4)".
        dlls: the directory of its own DLLs; "" when it is somewhere unusual.
        changed: when the loader was last changed, in nanoseconds; with `described` it says whether a prefix is of it.
    """

    loader: str
    server: str
    described: str
    dlls: str
    changed: int

    @property
    def directories(self) -> tuple[str, ...]:
        """What must be visible in a container for it to run, beside the machine's libraries."""
        return tuple(
            dict.fromkeys((os.path.dirname(self.loader), os.path.dirname(self.server), *filter(None, [self.dlls])))
        )


def find_wine(environment: Mapping[str, str], runner: Runner) -> Wine:
    """The Wine of this machine, if it can do what is needed.

    Args:
        environment: with the PATH to look in; its other variables are kept from Wine.
        runner: asks it for its version.

    Raises:
        NoWine: it is missing, too old, for 32 bits only, or this is no Linux on amd64.
    """
    machine = os.uname().machine if hasattr(os, "uname") else sys.platform
    if sys.platform != "linux" or machine != "x86_64":
        raise NoWine(
            f"Windows images are started through Wine, which wingo does on Linux for amd64 only, not on {sys.platform} {machine}",
            hint="Run it in a Linux virtual machine or on a CI runner for amd64, or use a Windows host.",
        )
    path = environment.get("PATH", os.defpath)
    folders = [*(folder for folder in path.split(os.pathsep) if folder.startswith("/")), *_DIRECTORIES]
    found = [real for folder in folders for name in _LOADERS if (real := _program(os.path.join(folder, name)))]
    if not found:
        raise NoWine("a Windows image needs Wine to start here, and it is not installed", hint=_HINT)
    loader = found[0]
    beside = os.path.dirname(loader)
    server = next(
        (real for folder in (beside, *folders) for name in _SERVERS if (real := _program(os.path.join(folder, name)))),
        "",
    )
    if not server:
        raise NoWine(f"{loader} has no wineserver beside it or on PATH", hint=_HINT)
    return Wine(loader, server, _version(loader, path, runner), _dlls(loader), os.stat(loader).st_mtime_ns)


def _program(path: str) -> str:
    """The real path of a program of this machine's; "" for none, or a script around it."""
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as file:
            is_elf = file.read(5) == b"\x7fELF\x02"
    except OSError:
        return ""
    return real if is_elf and os.access(real, os.X_OK) else ""


def _version(loader: str, path: str, runner: Runner) -> str:
    # Without HOME it would have no place for a prefix; --version makes none.
    done = runner.run([loader, "--version"], cwd="/", env={"PATH": path, "HOME": "/nonexistent", "LC_ALL": "C"})
    text = done.stdout.decode("utf-8", "replace").strip()
    matched = _VERSION.match(text)
    if done.status != 0 or matched is None:
        raise NoWine(f"{loader} does not say its version: {text[:200]!r}", hint=_HINT)
    if (int(matched[1]), int(matched[2])) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise NoWine(f"{loader} is {text[:100]}, and wingo needs {least} or newer", hint=_HINT)
    return text.splitlines()[0]


def _dlls(loader: str) -> str:
    folder = os.path.dirname(loader)
    while folder != "/":
        folder = os.path.dirname(folder)
        for below in _DLLS:
            if os.path.isfile(os.path.join(folder, below, "kernel32.dll")):
                return os.path.join(folder, below)
    return ""
