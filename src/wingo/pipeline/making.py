"""The part of a build that has something to do: compile, pack, assemble, remember, ship."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import DigestMismatch, HostError, RequestError
from wingo.image.derive import AddedLayer, common_family
from wingo.image.model import Image, Index, Layer
from wingo.oci.digest import Digest
from wingo.oci.place import Place
from wingo.oci.platform import Platform
from wingo.pipeline.application import Application, path_for, plan_application
from wingo.pipeline.assemble import Origin, added_layer, assemble, assemble_index
from wingo.pipeline.base_layers import BaseLayers, flavour_of
from wingo.pipeline.bases import Base, find_bases
from wingo.pipeline.content import (
    DATA_FOLDERS,
    CopyRequest,
    Item,
    data_requests,
    file_content,
    parse_copy,
    read_items,
)
from wingo.pipeline.memo import Beginning, Memo, keep_memo, observed, watch_of
from wingo.pipeline.report import BuildReport, PlatformReport, ProgramReport
from wingo.pipeline.request import check_one_name_each
from wingo.pipeline.ship import ship
from wingo.stores.parallel import each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wingo.binary.buildinfo import BuildInfo
    from wingo.check.demands import Demands
    from wingo.check.finding import Finding
    from wingo.golang.builds import Checked, Go
    from wingo.golang.fingerprint import Binary
    from wingo.host import Host
    from wingo.pipeline.build import BuildPlan
    from wingo.pipeline.build_registry import RegistryLayer
    from wingo.pipeline.optimizing import Wanted
    from wingo.pipeline.places import Places, Readable
    from wingo.pipeline.request import BuildRequest

System = tuple[str, str, str]
"""GOOS, GOARCH and variant: what one compiled program runs on."""


_SAME_OWNER = ("", "0", "root", "nonroot", "65532", "65532:65532", "nonroot:nonroot", "0:0", "root:root")
"""Users of a base who may write what belongs to 65532."""


class _Part(msgspec.Struct, frozen=True):
    """One program for one system, compiled and packed."""

    binary: Binary
    system: System
    application: Application
    layer: Layer
    notes: tuple[str, ...]


def make(
    plan: BuildPlan,
    go: Go,
    known: Mapping[Place, Digest],
    places: Places,
    host: Host,
    key: str,
    beginning: Beginning,
) -> BuildReport:
    """Does everything that a build needs.

    Args:
        plan: what is to be done.
        go: compiles.
        known: what bases' tags stand for, as far as somebody has asked already.
        places: reads and writes.
        host: the machine.
        key: names the memo.
        beginning: when the build began.

    Raises:
        WingoError: see `wingo.pipeline.build.build`.
    """
    return _Making(plan, go, known, places, host).run(key, beginning)


class _Making:
    def __init__(self, plan: BuildPlan, go: Go, known: Mapping[Place, Digest], places: Places, host: Host) -> None:
        self.plan, self.go, self.known, self.places, self.host = plan, go, known, places, host
        self.request = plan.request
        self.settings = plan.request.settings
        self.notes: dict[str, None] = {}
        self.timings: dict[str, float] = {}
        self.copies = copy_requests(plan.request)
        self.below: dict[Digest, BaseLayers] = {}
        self.findings: tuple[Finding, ...] = ()
        self.checked_through: dt.date | None = None
        self.registry = self._registry_wanted()
        self.registry_layers: dict[Digest, RegistryLayer] = {}

    def run(self, key: str, beginning: Beginning) -> BuildReport:
        # Nobody wants to wait for a compiler to be told of a misspelt base.
        bases = _Background(self._find_bases, on_error=self.host.stop)
        with self._timed("compile and pack"):
            try:
                parts = self._parts()
            except HostError:
                bases.raise_error()
                raise
        with self._timed("wait for bases"):
            found = bases.result()
        programs = _by_program(parts)
        check_one_name_each(self.request, len(programs))
        with self._timed("assemble"):
            results = [self._program(group, found) for group in programs]
        if not self.settings.no_check:
            with self._timed("check"):
                self._check(results)
        self._remember(parts, found, [report for report, _ in results], key, beginning)
        for note in self.notes:
            self.host.console.note(note)
        with self._timed("ship"):
            shipped = ship(results, self.request, self.places)
        assert shipped is not None
        return BuildReport(shipped, tuple(self.notes), self.timings, findings=self.findings)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.timings[step] = round(time.monotonic() - started, 3)

    def _registry_wanted(self) -> Wanted | None:
        if not self.request.changes_registry:
            return None
        from wingo.pipeline.build_registry import registry_wanted

        if not any(platform.os == "windows" for platform in self.plan.platforms):
            self.notes["the settings of the registry and of services are for Windows, which is not built for"] = None
        return registry_wanted(self.request)

    # Bases

    def _find_bases(self) -> tuple[Base, ...]:
        return find_bases(self.plan.bases, self._open, self.places.jobs)

    def _open(self, place: Place) -> Readable:
        digest = self.known.get(place)
        return self.places.open(place) if digest is None else self.places.open_pinned(place, digest)

    # Programs

    def _parts(self) -> list[_Part]:
        groups = each(self.places.jobs, self._compile, self.plan.checked)
        return [part for group in groups for part in group]

    def _compile(self, checked: Checked) -> list[_Part]:
        request = checked.request
        system = (request.goos, request.goarch, request.variant)
        name = "/".join(filter(None, system))
        if checked.fresh:
            try:
                return [self._pack(binary, system, checked.notes) for binary in checked.binaries]
            except DigestMismatch:
                # Only the last build's programs have a digest to be compared with: they are damaged, so away with them.
                for binary in checked.binaries:
                    with suppress(OSError):
                        os.unlink(binary.path)
                self.host.console.note(
                    f"the last build's program for {name} was damaged in the cache; it is built again"
                )
        task = self.places.progress.start(f"go build for {name}")
        built = self.go.build(checked)
        task.done()
        return [self._pack(binary, system, built.notes) for binary in built.binaries]

    def _pack(self, binary: Binary, system: System, notes: Sequence[str]) -> _Part:
        data = data_requests(binary.directory) if binary.directory else []
        items: list[Item] = []
        for request in (*data, *self.copies):
            items.extend(read_items(request))
        content = msgspec.structs.replace(file_content(binary.path, binary.size), digest=f"sha256:{binary.sha256}")
        variables = {
            DATA_FOLDERS[request.origin].variable: path_for(request.target, system[0]) or "" for request in data
        }
        application = Application(
            binary.name, system[0], content, tuple(items), variables, self.settings, self.request.epoch
        )
        planned = plan_application(application)
        layer = self.places.cache.pack(planned.recipe, threads=self.host.processors)
        return _Part(binary, system, application, layer, (*notes, *planned.notes))

    # Images

    def _program(self, parts: Sequence[_Part], bases: Sequence[Base]) -> tuple[ProgramReport, Index]:
        by_system = {part.system: part for part in parts}
        family = common_family([base.image for base in bases])
        images: list[Image] = []
        reports: list[PlatformReport] = []
        for base in bases:
            platform = base.choice.platform
            part = by_system.get((platform.os, platform.architecture, platform.variant))
            if part is None:
                self.notes[f"{parts[0].binary.name} has no main package for {platform}, and is left out there"] = None
                continue
            self.notes.update(dict.fromkeys(part.notes))
            layers = self._layers(part, base)
            image, notes = assemble(part.application, base, layers, _origin(part.binary), family)
            self.notes.update(dict.fromkeys((*notes, *_base_notes(base), *self._owner_notes(base))))
            self.below[image.digest] = _below(base)
            if image.digest not in {other.digest for other in images}:
                images.append(image)
                reports.append(_platform_report(image, base, layers))
        binary = parts[0].binary
        index = assemble_index(images, self.settings, _origin(binary), self.request.epoch, family)
        self._keep(index)
        order = {image.digest: number for number, image in enumerate(index.children)}
        report = ProgramReport(
            name=binary.name,
            import_path=binary.import_path,
            digest=index.digest,
            media_type=index.media_type,
            platforms=tuple(sorted(reports, key=lambda item: order[Digest(item.digest)])),
            layer_bytes=sum({layer.descriptor.digest: layer.descriptor.size for layer in _own(images, bases)}.values()),
        )
        return report, index

    def _owner_notes(self, base: Base) -> list[str]:
        """The layer is the same for every base, and so is the owner of its data directories."""
        user = base.image.config.settings.user if base.image is not None else ""
        if base.platform.os != "linux" or not self.settings.data_dir or self.settings.user or user in _SAME_OWNER:
            return []
        return [f"{base.reference} runs as {user}, and the data directories belong to 65532: add --user {user}"]

    def _layers(self, part: _Part, base: Base) -> list[AddedLayer]:
        epoch = self.request.epoch
        application = added_layer(part.layer, "wingo build", part.binary.import_path, epoch)
        if base.platform.os == "windows":
            return [*self._registry_layer(base), application]
        return [application] if base.image is not None else [self._system_layer(epoch), application]

    def _registry_layer(self, base: Base) -> list[AddedLayer]:
        """What changes the base's registry; it lies directly on the base, below the application that all bases share."""
        if self.registry is None:
            return []
        from wingo.pipeline.build_registry import plan_for_base

        key = base.image.digest if base.image is not None else Digest("")
        if key not in self.registry_layers:
            made = plan_for_base(base.image, self.registry, self.places, epoch=self.request.epoch)
            self.registry_layers[key] = made
            self.notes.update(dict.fromkeys(made.notes))
        added = self.registry_layers[key].added
        return [added] if added is not None else []

    def _system_layer(self, epoch: int) -> AddedLayer:
        from wingo.linux.system_files import plan_system_layer
        from wingo.pipeline.system_data import read_system_data

        data = read_system_data()
        recipe = plan_system_layer(data.certificates, data.zones, epoch=epoch, created_by="wingo build")
        layer = self.places.cache.pack(recipe, threads=self.host.processors)
        return added_layer(layer, "wingo build", f"the system's files: {data.sources}", epoch)

    def _check(self, results: Sequence[tuple[ProgramReport, Index]]) -> None:
        """Asks the rules of `wingo check`.

        Raises:
            ChecksFailed: there are errors.
        """
        from wingo.check.policy import valid_through
        from wingo.pipeline.checking import BaseFiles, check_artifact, day_of, policy_of, refuse_errors
        from wingo.pipeline.demanding import demands_of, with_sources

        policy = policy_of(self.settings)
        demands = demands_of(self.settings, self.request.directory)

        def ways(demands: Demands, programs: Sequence[BuildInfo]) -> Demands:
            return with_sources(demands, programs, self.request.targets or (".",), self.host)

        reports = [
            check_artifact(
                report.name,
                index,
                self.places,
                policy,
                self.host.now(),
                demands=demands,
                ways=ways,
                below=self.below,
                base_files=BaseFiles.REMEMBERED,
            )
            for report, index in results
        ]
        refuse_errors(reports)
        self.findings = tuple(finding for report in reports for finding in report.findings)
        self.checked_through = valid_through(policy, self.findings, day_of(self.host.now()))
        if demands.vulnerabilities is not None:
            # What a database says may change by tomorrow, or by the next download of it: the next build asks again.
            self.checked_through = dt.date.min

    def _keep(self, index: Index) -> None:
        for image in index.children:
            assert isinstance(image, Image)
            self.places.cache.keep_document(image.config_bytes)
            self.places.cache.keep_document(image.manifest_bytes)
        self.places.cache.keep_document(index.manifest_bytes)

    # Memory

    def _remember(
        self,
        parts: Sequence[_Part],
        bases: Sequence[Base],
        reports: Sequence[ProgramReport],
        key: str,
        beginning: Beginning,
    ) -> None:
        directories = [part.binary.directory for part in parts if part.binary.directory]
        data = [request for directory in directories for request in data_requests(directory)]
        candidates = [os.path.join(directory, name) for directory in directories for name in DATA_FOLDERS]
        seen = observed(watch_of([*data, *self.copies], candidates, self.request.reg_files), beginning)
        tops = {str(base.choice.place): base.top for base in bases if base.choice.place is not None}
        if seen is None:
            return
        files, folders = seen
        programs = tuple(part.binary.sha256 for part in parts)
        memo = Memo(
            programs,
            tops,
            files,
            folders,
            tuple(reports),
            tuple(self.notes),
            self.findings,
            self.checked_through,
        )
        keep_memo(self.places.cache, key, memo)


def _below(base: Base) -> BaseLayers:
    """What the checks are told of a base that the build knows."""
    if base.image is None:
        return BaseLayers()
    return BaseLayers(
        count=len(base.image.layers),
        how="build",
        name=base.reference,
        digest=base.image.digest,
        flavour=flavour_of(base.reference),
        image=base.image,
    )


def copy_requests(request: BuildRequest) -> list[CopyRequest]:
    """What `--copy` and the `files` table ask for, with absolute sources."""
    requests = [parse_copy(text, f"--copy {text}") for text in request.settings.copy]
    for target, text in request.settings.files.items():
        source, _, attributes = text.partition("\0")
        requests.append(CopyRequest(source, target, attributes, f"files.{target!r}"))
    return [
        msgspec.structs.replace(item, source=os.path.normpath(os.path.join(request.directory, item.source)))
        for item in requests
    ]


class _Background:
    """Something that is done in a thread until its result is asked for."""

    def __init__(self, function: Callable[[], tuple[Base, ...]], on_error: Callable[[], None]) -> None:
        self._value: tuple[Base, ...] = ()
        self._error: BaseException | None = None

        def work() -> None:
            try:
                self._value = function()
            except BaseException as error:  # noqa: BLE001  (raised again by result)
                self._error = error
                on_error()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def result(self) -> tuple[Base, ...]:
        self._thread.join()
        self.raise_error()
        return self._value

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _by_program(parts: Sequence[_Part]) -> list[list[_Part]]:
    programs: dict[str, list[_Part]] = {}
    for part in parts:
        programs.setdefault(part.binary.import_path, []).append(part)
    names: dict[str, str] = {}
    for path, group in programs.items():
        name = group[0].binary.name
        if name in names:
            raise RequestError(
                f"two programs are called {name}: {names[name]} and {path}", hint="Build them one by one."
            )
        names[name] = path
    return list(programs.values())


def _origin(binary: Binary) -> Origin:
    vcs = binary.vcs
    return Origin(vcs.source if vcs else "", vcs.revision if vcs else "", binary.version)


def _base_notes(base: Base) -> list[str]:
    if base.image is None and base.platform.os == "windows":
        return [
            "an image on scratch has nothing of Windows in it: it cannot start by itself, only as a layer for others"
        ]
    return []


def _own(images: Sequence[Image], bases: Sequence[Base]) -> list[Layer]:
    below = {layer.descriptor.digest for base in bases if base.image is not None for layer in base.image.layers}
    return [layer for image in images for layer in image.layers if layer.descriptor.digest not in below]


def _platform_report(image: Image, base: Base, layers: Sequence[AddedLayer]) -> PlatformReport:
    platform: Platform = image.platform
    return PlatformReport(
        platform=str(platform),
        os_version=platform.os_version,
        digest=image.digest,
        size=sum(layer.descriptor.size for layer in image.layers),
        base=base.reference or (str(base.choice.place) if base.choice.place is not None else base.choice.name),
        base_digest=base.image.digest if base.image is not None else "",
        layers=tuple(item.layer.descriptor.digest for item in layers),
    )
