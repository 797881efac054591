"""`wingo build`: plan, look whether anything changed, compile, pack, assemble, ship.

A build in which nothing changed asks the file system for every input, the registry once for every base's tag and once
for every name of the result, and runs no compiler; what it does not need it does not import (`wingo.pipeline.making`).
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.golang.builds import BuildRequest as GoRequest
from wingo.golang.builds import Checked, Go
from wingo.golang.command import GoFlags
from wingo.golang.toolchain import find_toolchain
from wingo.pipeline.bases import BaseChoice, choose_bases
from wingo.pipeline.healing import build_healing
from wingo.pipeline.memo import begin, content_unchanged, memo_key, read_memo
from wingo.pipeline.places import Places
from wingo.pipeline.report import BuildReport
from wingo.pipeline.request import DEFAULT_PLATFORMS, BuildRequest
from wingo.pipeline.unchanged import Asking, ship_again
from wingo.windows.osversion import expand_platforms

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.oci.platform import Platform


class BuildPlan(msgspec.Struct, frozen=True):
    """What a build is going to do.

    Attributes:
        request: what was asked for.
        platforms: in the order asked for.
        bases: one for each platform.
        checked: one for each `go build`: one for each GOOS/GOARCH, not for each Windows version.
    """

    request: BuildRequest
    platforms: tuple[Platform, ...]
    bases: tuple[BaseChoice, ...]
    checked: tuple[Checked, ...]

    @property
    def fresh(self) -> bool:
        """Whether no compiler need run."""
        return all(item.fresh for item in self.checked)

    @property
    def programs(self) -> tuple[str, ...]:
        """The digests of the compiled programs; meaningful when `fresh`."""
        return tuple(binary.sha256 for item in self.checked for binary in item.binaries)


def build(request: BuildRequest, host: Host) -> BuildReport:
    """Builds what was asked for and ships it.

    Raises:
        RequestError: the code, a flag, a setting or a combination of them is wrong.
        HostError: this machine lacks something.
        RemoteError: a registry or the module proxy refuses or cannot be reached.
        ContentError: a base is not what it claims to be.
        ChecksFailed: the result would not work; nothing was shipped.
    """
    return build_healing(host, request.settings, lambda places: _build(request, host, places))


def _build(request: BuildRequest, host: Host, places: Places) -> BuildReport:
    key = memo_key(request)
    memo = read_memo(places.cache, key)
    beginning = begin(places.cache)
    platforms = expand_platforms(request.settings.platform or DEFAULT_PLATFORMS)
    choices = choose_bases(platforms, request.settings.base)
    asked = Asking([choice.place for choice in choices if choice.place is not None], places)
    if memo is not None:
        asked.begin()
    go = Go(
        find_toolchain(host.environment, host.runner, python_path=sys.path, directory=request.directory),
        runner=host.runner,
        environment=host.environment,
        cache=f"{host.cache_directory}/go",
    )
    plan = BuildPlan(request, platforms, choices, go.check(_go_requests(go, request, platforms)))
    report = None
    unchanged = memo is not None and plan.fresh and plan.programs == memo.programs and content_unchanged(memo)
    if memo is not None and memo.checked_through is not None:
        # A waiver may have ended, and what it let pass is to be said again.
        unchanged = unchanged and dt.datetime.fromtimestamp(host.now(), dt.UTC).date() <= memo.checked_through
    if memo is not None and unchanged and asked.digests() == memo.bases:
        report = ship_again(memo, request, places)
        for note in memo.notes if report is not None else ():
            host.console.note(note)
    if report is None:
        from wingo.pipeline.making import make

        report = make(plan, go, asked.found, places, host, key, beginning)
    return report


def _go_requests(go: Go, request: BuildRequest, platforms: Sequence[Platform]) -> tuple[GoRequest, ...]:
    settings = request.settings
    flags = GoFlags(
        tags=settings.tags,
        ldflags=settings.ldflags,
        gcflags=settings.gcflags,
        env=tuple(settings.go_env.items()),
        keep_symbols=settings.keep_symbols,
    )
    systems = [(platform.os, platform.architecture, platform.variant) for platform in platforms]
    return go.requests(request.targets, request.directory, systems, flags)
