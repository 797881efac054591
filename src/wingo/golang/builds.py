"""Builds Go programs: asks whether anything changed, runs `go build` when it did, keeps what it read and made.

Each request has a directory in the cache, named for everything but the sources (targets, platform, flags, environment,
toolchain): a record of what was read, and the programs, each under the digest of its bytes. go builds into a directory
of its own that is moved there, so builds side by side never see each other's halves.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.golang.command import GoFlags, all_flags
from wingo.golang.environment import flag_value, relevant
from wingo.golang.fingerprint import (
    Binary,
    Glance,
    Pinned,
    Record,
    binaries_intact,
    compare,
    first_changed,
    read_record,
)
from wingo.golang.git import Repository, VcsState, find_repository, template_values, vcs_state
from wingo.golang.targets import TargetSet, group_targets
from wingo.golang.templates import fill, names_in

if TYPE_CHECKING:
    from wingo.golang.runner import Runner
    from wingo.golang.toolchain import Toolchain


class BuildRequest(msgspec.Struct, frozen=True):
    """One go build: targets of one module or workspace, for one GOOS/GOARCH.

    Attributes:
        targets: what to build.
        goos: the operating system.
        goarch: the architecture.
        variant: of the architecture; often "".
        flags: how to compile; templates are filled in.
        zones: add the tag `timetzdata` to programs that need it: for images without a time zone database.
    """

    targets: TargetSet
    goos: str
    goarch: str
    variant: str = ""
    flags: GoFlags = GoFlags()
    zones: bool = False


class Checked(msgspec.Struct, frozen=True):
    """What a look at the inputs of a request said.

    Attributes:
        request: what was asked.
        binaries: the programs, when nothing changed; empty: it must be built.
        reason: why it must be, for people.
        notes: what to say aloud, when nothing changed.
        record: the last build's, to save time in the next.
        relist: whether what is depended on must be listed anew.
        before: the look.
        repositories: the state of version control before the build.
    """

    request: BuildRequest
    binaries: tuple[Binary, ...]
    reason: str
    notes: tuple[str, ...]
    record: Record | None
    relist: bool
    before: Glance
    repositories: tuple[VcsState, ...]

    @property
    def fresh(self) -> bool:
        """Whether go need not run."""
        return bool(self.binaries)


class Built(msgspec.Struct, frozen=True):
    """What a build made.

    Attributes:
        binaries: the programs, in go's order.
        notes: what to say aloud.
        kept: whether the next build can be skipped when nothing changes; else why not.
    """

    binaries: tuple[Binary, ...]
    notes: tuple[str, ...] = ()
    kept: str = ""


class Go:
    """The go command, with a cache of its results.

    Safe for use from several threads, and by several processes in one cache.
    """

    def __init__(self, toolchain: Toolchain, *, runner: Runner, environment: Mapping[str, str], cache: str) -> None:
        """Makes one.

        Args:
            toolchain: from `find_toolchain`.
            runner: runs go and git.
            environment: the whole environment; go sees it with the request's settings above it.
            cache: a directory of our own, made when needed.
        """
        self.toolchain = toolchain
        self.runner = runner
        self.environment = dict(environment)
        self.cache = cache

    def requests(
        self,
        targets: Sequence[str],
        directory: str,
        platforms: Sequence[tuple[str, str, str]],
        flags: GoFlags = GoFlags(),  # noqa: B008  (frozen)
        *,
        zones: bool = True,
    ) -> tuple[BuildRequest, ...]:
        """One request for each set of targets that go can build together, and each platform.

        Runs git when the flags' templates need it, and go when a published program's do.

        Args:
            targets: as written; none: ".".
            directory: that they are seen from, absolute.
            platforms: GOOS, GOARCH and variant; equal ones count once.
            flags: may have templates in ldflags and env.
            zones: whether Windows programs get the time zone database when they need it.

        Raises:
            RequestError: a target or a template is wrong.
            HostError: a directory is missing.
        """
        sets = group_targets(targets, directory, self.environment)
        names = names_in((*flags.ldflags, *(value for _, value in flags.env)))
        result: list[BuildRequest] = []
        for group in sets:
            values: Mapping[str, str] = {}
            if names:
                values = self._values(group, names, flags)
            filled = msgspec.structs.replace(
                flags,
                ldflags=tuple(fill(text, values, self.environment) for text in flags.ldflags),
                env=tuple((name, fill(text, values, self.environment)) for name, text in flags.env),
            )
            for goos, goarch, variant in dict.fromkeys(platforms):
                result.append(BuildRequest(group, goos, goarch, variant, filled, zones and goos == "windows"))
        return tuple(result)

    def check(self, requests: Sequence[BuildRequest]) -> tuple[Checked, ...]:
        """Looks whether the inputs of requests have changed since they were last built.

        Runs no go, except that a published program's moving version ("@latest") is asked for; git once for each
        repository whose state goes into the programs.
        """
        glance = Glance()
        states: dict[str, VcsState] = {}
        return tuple(self._check(request, glance, states) for request in requests)

    def build(self, checked: Checked) -> Built:
        """Builds a request, whether or not its inputs changed.

        Raises:
            RequestError: the code is broken (the compiler's lines), there is no main package, cgo is needed.
            RemoteError: a module cannot be fetched.
            HostError: the toolchain, the disk or the cache is at fault.
        """
        from wingo.golang.compiling import Compilation

        return Compilation(self, checked, self._folder(checked.request)).run()

    def _values(self, group: TargetSet, names: frozenset[str], flags: GoFlags) -> Mapping[str, str]:
        if not group.published:
            return template_values(names, group.directory, self.environment, self.runner)
        from wingo.golang.published import query, template_values_of

        os.makedirs(self.cache, exist_ok=True)
        found = query(
            group.patterns[:1],
            toolchain=self.toolchain,
            runner=self.runner,
            environment={**self.environment, **dict(flags.env)},
            scratch=self.cache,
        )
        return template_values_of(found[group.patterns[0]], names, self.environment)

    def _folder(self, request: BuildRequest) -> str:
        key = msgspec.json.encode(
            (3, request, self.toolchain.identity, relevant({**self.environment, **dict(request.flags.env)}))
        )
        return os.path.join(self.cache, hashlib.sha256(key).hexdigest()[:40])

    def _check(self, request: BuildRequest, glance: Glance, states: dict[str, VcsState]) -> Checked:
        path = os.path.join(self._folder(request), "record")
        record = read_record(path)
        reason, relist = "", False
        if record is None:
            reason, relist = "it was not built before", True
        elif not binaries_intact(record, glance):
            reason = "the programs of the last build are gone"
        else:
            difference = compare(record, glance)
            reason, relist = difference.reason, difference.relist
            if not reason and not record.complete:
                reason, relist = "the last build did not see all of its inputs", True
        if record is not None and not reason and record.pinned:
            reason = self._moved(record.pinned, request)
            relist = bool(reason)
        repositories: tuple[VcsState, ...] = ()
        if not request.targets.published and self.stamps(request):
            repositories = self._repositories(request, record, states)
            if record is not None and not reason:
                reason = first_changed(record.repositories, repositories)
        if record is not None and not reason:
            self._keep_alive(path)
            return Checked(request, record.binaries, "", record.notes, record, False, glance, repositories)
        return Checked(request, (), reason, (), record, relist or record is None, glance, repositories)

    def stamps(self, request: BuildRequest) -> bool:
        """Whether the state of version control goes into the programs."""
        return flag_value(all_flags(request.flags, self.environment), "buildvcs") not in (
            "false",
            "0",
            "f",
            "F",
            "FALSE",
            "False",
        )

    def _repositories(
        self, request: BuildRequest, record: Record | None, states: dict[str, VcsState]
    ) -> tuple[VcsState, ...]:
        roots = [state.root for state in record.repositories] if record is not None else []
        found = [find_repository(path) for path in (request.targets.directory, *roots)]
        return tuple(
            self._vcs_state(repository, states) for repository in dict.fromkeys(found) if repository is not None
        )

    def _vcs_state(self, repository: Repository, states: dict[str, VcsState]) -> VcsState:
        if repository.root not in states:
            states[repository.root] = vcs_state(repository, self.environment, self.runner)
        return states[repository.root]

    def _moved(self, pinned: Sequence[Pinned], request: BuildRequest) -> str:
        from wingo.golang.published import ask_modules

        os.makedirs(self.cache, exist_ok=True)
        names = [f"{pin.module}@{pin.asked}" for pin in pinned]
        now = ask_modules(
            names,
            toolchain=self.toolchain,
            runner=self.runner,
            environment={**self.environment, **dict(request.flags.env)},
            scratch=self.cache,
        )
        for pin, name in zip(pinned, names, strict=True):
            module = now.get(name)
            if module is None or module.error is not None or module.version != pin.version:
                return f"{name} may be another version than {pin.version}"
        return ""

    def _keep_alive(self, path: str) -> None:
        """Marks a record as used, so that it is not forgotten."""
        with contextlib.suppress(OSError):
            os.utime(path)
