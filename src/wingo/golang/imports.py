"""Asks `go list -deps` which package imports which, as a program was built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wingo.golang.failures import go_failed
from wingo.golang.packages import Package, read_packages

if TYPE_CHECKING:
    from wingo.binary.buildinfo import BuildInfo
    from wingo.golang.runner import Runner
    from wingo.golang.targets import TargetSet
    from wingo.golang.toolchain import Toolchain

_FIELDS = "ImportPath,Name,Standard,Imports,DepOnly"
_VARIABLES = (
    "GOOS",
    "GOARCH",
    "CGO_ENABLED",
    "GOEXPERIMENT",
    "GO386",
    "GOAMD64",
    "GOARM",
    "GOARM64",
    "GOMIPS",
    "GOMIPS64",
    "GOPPC64",
    "GORISCV64",
    "GOWASM",
)
_INSTRUMENTED = ("-race", "-msan", "-asan")
_VALUE = re.compile(r"[A-Za-z0-9_.,-]{1,1000}\Z")


def deciding_settings(info: BuildInfo) -> dict[str, str]:
    """What a program says of its own build that decides which files, and so which imports, its packages have.

    A program is nobody's friend: what could be anything else than a word is left out.
    """
    found = {}
    for name in (*_VARIABLES, *_INSTRUMENTED, "-tags"):
        value = info.setting(name)
        if _VALUE.match(value):
            found[name] = value
    return found


def list_imports(
    targets: TargetSet,
    settings: Mapping[str, str],
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
) -> tuple[Package, ...]:
    """The packages of programs and all that they import; runs `go list` once, and compiles nothing.

    Args:
        targets: the programs.
        settings: of a program that was built of them, by `deciding_settings`.
        toolchain: whose go is run.
        runner: runs it.
        environment: of the command; the settings win.

    Raises:
        RequestError: an unknown package, or go.mod is wrong; go's own words.
    """
    own = {name: settings[name] for name in _VARIABLES if name in settings}
    env = {**environment, "CGO_ENABLED": "0", **own}
    # Also when there are none: GOFLAGS may have others.
    tags = settings.get("-tags", "")
    flags = (f"-tags={tags}", *(name for name in _INSTRUMENTED if settings.get(name) == "true"))
    arguments = (toolchain.path, "list", *flags, "-deps", "-e", f"-json={_FIELDS}", "--", *targets.patterns)
    done = runner.run(arguments, cwd=targets.directory, env=env)
    if done.status != 0:
        raise go_failed(("go", "list"), done.status, done.stderr, cgo_enabled=True, directories=lambda _: ())
    return tuple(read_packages(done.stdout))
