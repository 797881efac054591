"""Asks `go list -deps` which package imports which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wingo.golang.command import build_environment, tag_list
from wingo.golang.failures import go_failed
from wingo.golang.packages import Package, list_flags, read_packages

if TYPE_CHECKING:
    from wingo.golang.command import GoFlags
    from wingo.golang.runner import Runner
    from wingo.golang.targets import TargetSet
    from wingo.golang.toolchain import Toolchain

_FIELDS = "ImportPath,Name,Standard,Imports,DepOnly"


def list_imports(
    targets: TargetSet,
    goos: str,
    goarch: str,
    variant: str,
    flags: GoFlags,
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
) -> tuple[Package, ...]:
    """The packages of programs and all that they import, on a platform; runs `go list` once, and compiles nothing.

    Raises:
        RequestError: an unknown package, or go.mod is wrong; go's own words.
    """
    env = build_environment(environment, goos, goarch, variant, flags)
    tags = tag_list(flags, goos == "windows", environment)
    options = (*([f"-tags={','.join(tags)}"] if tags else []), *list_flags(flags))
    arguments = (toolchain.path, "list", *options, "-deps", "-e", f"-json={_FIELDS}", "--", *targets.patterns)
    done = runner.run(arguments, cwd=targets.directory, env=env)
    if done.status != 0:
        raise go_failed(("go", "list"), done.status, done.stderr, cgo_enabled=True, directories=lambda _: ())
    return tuple(read_packages(done.stdout))
