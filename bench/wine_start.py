"""A start of a Windows image that was started before, against the same program under a bare Wine in a prefix of its own.

Both begin without a wineserver, as every container does; the prefix has its DLLs in place and is not updated. A bare Wine
whose server still runs from the last program is a third row: it is no container's start, and quicker.
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import partial
from pathlib import Path

from bench.runs import Command, Contestant, run, take_turns
from wingo.launch.wine.finding import Wine, find_wine
from wingo.processes import ProcessRunner
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.windows import prng_dll

BARE, RUNNING = "wine PROGRAM, warm prefix", "wine PROGRAM, its server running"
_SERVER_STAYS = 2.0
"""Seconds after its last program for which wineserver surely still waits (3 by default)."""


def measure(scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each start, by contestant."""
    folder = scratch / "wine"
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module bench.example/hello\n\ngo 1.24\n")
    (source / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    wine = find_wine(os.environ, ProcessRunner())
    wingo = {"WINGO_CACHE_DIR": str(folder / "cache"), "WINGO_STATE_DIR": str(folder / "state")}
    Layout(str(folder / "base")).write(windows_base("nanoserver"), ("v1",))
    build = ["wingo", "build", ".", "--quiet", "--platform", "ltsc2022", "--base", f"oci:{folder / 'base'}:v1"]
    run(Command([*build, "-o", f"oci:{folder / 'image'}"], str(source), wingo))
    program = folder / "hello.exe"
    argv = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), "."]
    run(Command(argv, str(source), {"GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0"}))
    bare = _bare(folder, wine)
    ours = Command(["wingo", "run", f"oci:{folder / 'image'}"], str(folder), wingo)
    theirs = Command([wine.loader, str(program)], str(folder), bare)
    run(ours)
    run(theirs)
    contestants = [
        Contestant("wingo run", lambda _: [ours], prepare=lambda _: _end_server(wine, bare)),
        Contestant(BARE, lambda _: [theirs], prepare=lambda _: _end_server(wine, bare)),
        Contestant(RUNNING, lambda _: [theirs], prepare=partial(_leave_server, theirs)),
    ]
    times = take_turns(contestants, rounds)
    _end_server(wine, bare)
    return times


def _bare(folder: Path, wine: Wine) -> dict[str, str]:
    """A prefix as Wine makes it, with the DLL that Go needs where this Wine lacks it; its variables."""
    (folder / "home").mkdir()
    variables = {
        "HOME": str(folder / "home"),
        "WINEPREFIX": str(folder / "prefix"),
        "WINELOADER": wine.loader,
        "WINESERVER": wine.server,
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
    }
    run(Command([wine.loader, "wineboot", "--init"], str(folder), variables))
    _end_server(wine, variables)
    dll = folder / "prefix" / "drive_c" / "windows" / "system32" / prng_dll.NAME
    if not dll.exists():
        dll.write_bytes(prng_dll.prng_dll())
    return variables


def _end_server(wine: Wine, variables: dict[str, str]) -> None:
    for flag in ("--kill", "--wait"):
        subprocess.run([wine.server, flag], env=os.environ | variables, check=False, stderr=subprocess.DEVNULL)


def _leave_server(program: Command, _: int) -> None:
    run(program)
    time.sleep(_SERVER_STAYS / 10)
