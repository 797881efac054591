"""Runs one go build: resolve, compile, keep the programs, record what was read. Only reached when something changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wingo.errors import HostError, WingoError
from wingo.golang.builds import Built
from wingo.golang.command import GoBuild, tag_list
from wingo.golang.failures import go_failed
from wingo.golang.fingerprint import Binary, Observation, Pinned, Record, Watch, observe, write_record
from wingo.golang.git import VcsFacts, VcsState, find_repository, vcs_state
from wingo.golang.inputs import Listing, Unwatchable, list_inputs, looks_up_zones, repository_roots, watch_list
from wingo.golang.packages import MainPackage, resolve
from wingo.golang.targets import is_exact

if TYPE_CHECKING:
    from wingo.golang.builds import Checked, Go

_ZONES_NOTE = (
    "{names}: looks time zones up by name and carries no database of them, which Windows images do not have:"
    " built with the tag timetzdata"
)
_FORGET_AFTER = 30 * 24 * 3600
_LEFT_AFTER = 24 * 3600
_HASH_CHUNK = 1 << 20
_MAX_VERSION = 200


class Compilation:
    """One run of `go build` or `go install`, and what follows it."""

    def __init__(self, go: Go, checked: Checked, folder: str) -> None:
        self.go = go
        self.checked = checked
        self.request = checked.request
        self.folder = folder
        self.work = os.path.join(folder, f"work-{os.urandom(8).hex()}")
        self.toolchain = go.toolchain
        self.runner = go.runner
        self.given = go.environment

    def run(self) -> Built:
        """Builds."""
        try:
            os.makedirs(self.work)
            began = os.stat(self.work)
        except OSError as error:
            raise HostError(
                f"cannot write to the cache {self.go.cache}: {error.strerror}",
                hint="Set WINGO_CACHE_DIR to a directory that wingo may write.",
            ) from error
        try:
            self._sweep(began)
            if self.request.targets.published:
                return self._published()
            return self._local(began)
        except OSError as error:
            raise HostError(f"cannot keep what was built in {self.folder}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    # -- a checkout ------------------------------------------------------------------------------------------------

    def _local(self, began: os.stat_result) -> Built:
        request, record = self.request, self.checked.record
        if record is not None and not self.checked.relist:
            mains = tuple(MainPackage(b.import_path, b.directory, b.module, b.version, b.name) for b in record.binaries)
            zones, listing = record.zones, None
            binaries = self._compile(mains, zones)
            notes = self._notes([main.name for main in mains], zones)
            return self._finish(began, binaries, notes, zones, record.watch())
        mains = resolve(
            request.targets, request.goos, request.goarch, request.variant, request.flags,
            toolchain=self.toolchain, runner=self.runner, environment=self.given,
        )  # fmt: skip
        lister = _Lister(self, mains)
        if request.zones and "timetzdata" not in tag_list(request.flags, False, self.given):
            listing = lister.result()
            zones = listing is not None and looks_up_zones(listing)
            binaries = self._compile(mains, zones)
        else:
            zones = False
            binaries = self._compile(mains, zones)
            listing = lister.result()
        notes = self._notes([main.name for main in mains], zones)
        listed = {package.import_path for package in listing.packages} if listing is not None else set()
        if listing is None or not listed.issuperset(main.import_path for main in mains):
            return Built(binaries, notes, "go list could not say what it depends on")
        try:
            watch = watch_list(request.targets, request.flags, listing, stamped=self.go.stamps(request))
        except Unwatchable as reason:
            self._forget()
            return Built(binaries, notes, f"never taken for unchanged: {reason}")
        return self._finish(began, binaries, notes, zones, watch, listing)

    def _compile(self, mains: Sequence[MainPackage], zones: bool) -> tuple[Binary, ...]:
        facts = {state.root: state.facts for state in self.checked.repositories}
        binaries: dict[str, Binary] = {}
        for number, group in enumerate(_without_twins(mains)):
            output = os.path.join(self.work, str(number)) + os.sep
            os.makedirs(output)
            build = self._command(tuple(main.import_path for main in group), self.request.targets.directory, zones)
            env = build.environment(self.given)
            self._go(build.argv(self.toolchain.path, output, self.given), build.directory, env)
            for main in group:
                repository = find_repository(main.directory)
                vcs = facts.get(repository.root) if repository is not None else None
                binaries[main.import_path] = self._keep(output, main, vcs)
        return tuple(binaries[main.import_path] for main in mains)

    def _command(self, packages: tuple[str, ...], directory: str, zones: bool) -> GoBuild:
        request = self.request
        return GoBuild(packages, directory, request.goos, request.goarch, request.variant, request.flags, zones)

    def _finish(
        self,
        began: os.stat_result,
        binaries: tuple[Binary, ...],
        notes: tuple[str, ...],
        zones: bool,
        watch: Watch,
        listing: Listing | None = None,
    ) -> Built:
        """Records what was read, when it is certain that this is what go read."""
        checked = self.checked
        known = checked.record.files if checked.record is not None else ()
        seen: Observation = observe(watch, began, checked.before, known)
        if seen.unsettled:
            self._forget()
            return Built(binaries, notes, f"{seen.unsettled} changed just now")
        states: tuple[VcsState, ...] = ()
        complete = True
        if self.go.stamps(self.request):
            if listing is not None:
                folders = repository_roots(listing)
            else:
                folders = sorted({binary.directory for binary in binaries})
            roots = {found.root: found for found in map(find_repository, folders) if found is not None}
            states = tuple(vcs_state(found, self.given, self.runner) for found in roots.values())
            before = {state.root: state.token for state in checked.repositories}
            complete = all(state.token and before.get(state.root) == state.token for state in states)
        record = Record(binaries, seen.files, seen.directories, states, (), notes, zones, complete)
        write_record(os.path.join(self.folder, "record"), record)
        return Built(binaries, notes, "" if complete else "version control changed just now, or cannot be watched")

    # -- a published program ---------------------------------------------------------------------------------------

    def _published(self) -> Built:
        from wingo.golang.published import install_environment, main_of, module_cache, query

        request = self.request
        patterns = request.targets.patterns
        given = {**self.given, **dict(request.flags.env)}
        found = query(patterns, toolchain=self.toolchain, runner=self.runner, environment=given, scratch=self.work)
        cache = module_cache(given)
        exact = tuple(f"{pattern.partition('@')[0]}@{found[pattern].version}" for pattern in patterns)
        zones = False
        if request.zones and "timetzdata" not in tag_list(request.flags, False, self.given):
            zones = self._published_zones(exact, found[patterns[0]], cache)
        patterns_of = {pattern.partition("@")[0]: pattern for pattern in patterns}
        kept: dict[str, Binary] = {}
        for number, group in enumerate(
            _without_twins([main_of(pattern, found[pattern], cache) for pattern in patterns])
        ):
            scratch = os.path.join(self.work, str(number))
            os.makedirs(scratch)
            build = self._command(tuple(f"{main.import_path}@{main.version}" for main in group), "", zones)
            env = install_environment(build.environment(self.given), given, scratch)
            self._go(build.argv(self.toolchain.path, "", self.given), self.work, env)
            output = os.path.join(env["GOPATH"], "bin")
            across = os.path.join(output, f"{request.goos}_{request.goarch}")
            for main in group:
                pattern = patterns_of[main.import_path]
                fetched = main_of(pattern, found[pattern], cache)  # now its sources are on disk
                folder = across if os.path.isdir(across) else output
                kept[main.import_path] = self._keep(folder, fetched, found[pattern].vcs)
        binaries = tuple(kept[path] for path in patterns_of)
        pinned = tuple(
            Pinned(found[pattern].path, asked, found[pattern].version)
            for pattern in patterns
            if not is_exact(asked := pattern.partition("@")[2])
        )
        notes = self._notes(tuple(binary.name for binary in binaries), zones)
        write_record(
            os.path.join(self.folder, "record"),
            Record(binaries, pinned=tuple(dict.fromkeys(pinned)), notes=notes, zones=zones),
        )
        return Built(binaries, notes)

    def _published_zones(self, packages: Sequence[str], module: object, cache: str) -> bool:
        """Fetches the module and looks at it as at a checkout; when go cannot list it, no tag is added."""
        from wingo.golang.published import PublishedModule, source_directory

        assert isinstance(module, PublishedModule)
        argv = (self.toolchain.path, "mod", "download", "--", f"{module.path}@{module.version}")
        env = {
            **self._command(tuple(packages), "", False).environment(self.given),
            "GOWORK": "off",
            "GO111MODULE": "on",
        }
        self._go(argv, self.work, env)
        directory = source_directory(module, module.path, cache)
        if not directory:
            return False
        listing = list_inputs(
            [package.partition("@")[0] for package in packages],
            directory,
            (self.request.goos, self.request.goarch, self.request.variant),
            self.request.flags,
            toolchain=self.toolchain,
            runner=self.runner,
            environment={**self.given, "GOWORK": "off"},
        )
        return listing is not None and looks_up_zones(listing)

    # -- both ------------------------------------------------------------------------------------------------------

    def _notes(self, names: Sequence[str], zones: bool) -> tuple[str, ...]:
        return (_ZONES_NOTE.format(names=", ".join(names)),) if zones else ()

    def _go(self, argv: Sequence[str], directory: str, env: Mapping[str, str]) -> None:
        done = self.runner.run(argv, cwd=directory, env=env)
        if done.status == 0:
            return

        def directories(packages: Sequence[str]) -> Sequence[str]:
            if not packages or self.request.targets.published:
                return ()
            asked = self.runner.run(
                (self.toolchain.path, "list", "-find", "-e", "-f", "{{.Dir}}", "--", *packages), cwd=directory, env=env
            )
            return asked.stdout.decode("utf-8", "replace").splitlines()

        raise go_failed(
            argv, done.status, done.stderr, cgo_enabled=env.get("CGO_ENABLED") != "0", directories=directories
        )

    def _keep(self, output: str, main: MainPackage, vcs: VcsFacts | None) -> Binary:
        """Moves a program to where its content names it."""
        name = main.name + (".exe" if self.request.goos == "windows" else "")
        made = os.path.join(output, name)
        try:
            digest = _digest(made)
        except FileNotFoundError as error:
            raise HostError(f"go made no {name} of {main.import_path}") from error
        path = os.path.join(self.folder, digest, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # The same program may be there already, and be read by another process: it stays, unless it is damaged.
        if not os.path.isfile(path) or _digest(path) != digest:
            os.replace(made, path)
        kept = os.stat(path)
        version = main.version if self.request.targets.published else _stamped_version(path, main.module)
        return Binary(
            path, digest, kept.st_size, main.name, main.import_path, main.directory, main.module,
            version, vcs, kept.st_mtime_ns,
        )  # fmt: skip

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.folder, "record"))

    def _sweep(self, now: os.stat_result) -> None:
        """Throws away what killed builds left, programs nobody can still be reading, and requests long unused."""
        record = self.checked.record
        keep = {os.path.basename(os.path.dirname(binary.path)) for binary in record.binaries} if record else set()
        for name in _names(self.folder):
            path = os.path.join(self.folder, name)
            if name not in keep and name != "record" and path != self.work and _age(path, now) > _LEFT_AFTER:
                shutil.rmtree(path, ignore_errors=True)
        for name in _names(self.go.cache):
            path = os.path.join(self.go.cache, name)
            if path != self.folder and len(name) == len(os.path.basename(self.folder)):
                record_path = os.path.join(path, "record")
                if min(_age(record_path, now), _age(path, now)) > _FORGET_AFTER:
                    shutil.rmtree(path, ignore_errors=True)


def _stamped_version(path: str, module: str) -> str:
    """The version that go has written into a program for its module, made from the tags (Go 1.24); "" for none.

    It stands in the build information as a line of text (`debug/buildinfo`, "mod").
    """
    import mmap

    line = f"\nmod\t{module}\t".encode()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(line)
        if start < 0:
            return ""
        start += len(line)
        text = data[start : start + _MAX_VERSION].decode("ascii", "replace")
    version = re.split(r"[\t\n]", text, maxsplit=1)[0]
    return version if re.fullmatch(r"v[0-9A-Za-z.+-]+", version) else ""


class _Lister:
    """Lists what programs depend on while they are compiled."""

    def __init__(self, compilation: Compilation, mains: Sequence[MainPackage]) -> None:
        self._compilation = compilation
        self._mains = mains
        self._listing: Listing | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        compilation, request = self._compilation, self._compilation.request
        try:
            self._listing = list_inputs(
                [main.import_path for main in self._mains],
                request.targets.directory,
                (request.goos, request.goarch, request.variant),
                request.flags,
                toolchain=compilation.toolchain,
                runner=compilation.runner,
                environment=compilation.given,
            )
        except WingoError:
            self._listing = None  # the build says what is wrong
        except BaseException as error:  # noqa: BLE001  (raised again where the result is asked for)
            self._error = error

    def result(self) -> Listing | None:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._listing


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _without_twins(mains: Sequence[MainPackage]) -> list[list[MainPackage]]:
    """Packages by go command: programs of the same name would overwrite each other in one output directory."""
    groups: list[dict[str, MainPackage]] = []
    for main in mains:
        for group in groups:
            if main.name.lower() not in group:
                group[main.name.lower()] = main
                break
        else:
            groups.append({main.name.lower(): main})
    return [list(group.values()) for group in groups]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _age(path: str, now: os.stat_result) -> float:
    try:
        return now.st_mtime - os.stat(path).st_mtime
    except OSError:
        return float("inf")
