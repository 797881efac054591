"""`wingo check`: reads what rules need, once, and asks them; also inside `wingo build` and `wingo push`.

Of an image in a registry only the documents and our own layers are fetched. The base's layers are looked at where they
are at hand: in a local place, or remembered by the cache.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from wingo.archive.unpack import MemberKind
from wingo.binary.read import open_program
from wingo.check.demands import NOTHING, Demands
from wingo.check.engine import Skipped, Verdict, check
from wingo.check.finding import Finding, Severity
from wingo.check.policy import Policy, read_policy, valid_through
from wingo.check.reading import LayerWatch
from wingo.check.rules.go import go_programs
from wingo.check.rules.hosts import candidates_of
from wingo.check.starting import find_start
from wingo.check.subject import ArtifactSubject, BinarySubject, ImageSubject, Inspected, LayerSubject
from wingo.errors import ChecksFailed, ContentError, HostError, WingoError
from wingo.image.model import Image, Index, Layer, images_of
from wingo.oci.digest import Digest
from wingo.oci.media_types import DOCKER_CONFIG, OCI_CONFIG
from wingo.oci.wire import decoder
from wingo.pipeline.base_layers import BaseLayers, base_of
from wingo.pipeline.rulebook import BY_ID
from wingo.pipeline.viewing import layer_files, remembered_files
from wingo.stores.parallel import each
from wingo.version import VERSION
from wingo.view.layer import LayerFiles, Node
from wingo.view.merged import View, make_view
from wingo.windows.hosts import HostProfile, describe, picks

if TYPE_CHECKING:
    from wingo.binary.buildinfo import BuildInfo
    from wingo.pipeline.places import Places
    from wingo.pipeline.settings import Settings

Ways: TypeAlias = "Callable[[Demands, Sequence[BuildInfo]], Demands]"
"""Adds the imports of programs, by what they say of their builds."""
MAX_BASE_LAYER = 512 << 20
"""Stored bytes of a base's layer that is read because it is at hand; servercore's have more."""
_MAX_TEXT = 1 << 20
_VERDICTS = "verdicts"
_ATTESTATION = "vnd.docker.reference.type"


class BaseFiles(Enum):
    """Which files of bases are looked at."""

    REMEMBERED = "remembered"
    """Those of layers whose listing the cache remembers: nothing is read."""
    AT_HAND = "at hand"
    """Also those of a local place or the cache, if they are not too large."""
    ALL = "all"
    """All: base layers are fetched."""


class HostReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What one runtime on one host would take.

    Attributes:
        host: its name.
        runtime: which; "" on Linux, where they agree.
        takes: the platform of the image; "" for none.
        starts: whether the host's kernel can run that, without Hyper-V.
        why_not: by platform: why the runtime does not take it.
    """

    host: str
    runtime: str = ""
    takes: str = ""
    starts: bool = False
    why_not: dict[str, str] = {}


class PlaceReport(msgspec.Struct, frozen=True, rename="camel"):
    """What was found at one place.

    Attributes:
        place: as the user wrote it.
        digest: of the image or index.
        platforms: of the images that were looked at.
        findings: worst first.
        skipped: rules that lacked something.
        notes: what a person should know of the check itself.
        rules: how many were asked.
        hosts: what each host that was named would take.
    """

    place: str
    digest: str
    platforms: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    rules: int = 0
    hosts: tuple[HostReport, ...] = ()


class CheckReport(msgspec.Struct, frozen=True, rename="camel"):
    """What `wingo check` found.

    Attributes:
        places: in the order asked for.
        errors: how many findings are errors and not waived.
        warnings: likewise.
        waived: how many were let pass.
    """

    places: tuple[PlaceReport, ...]
    errors: int
    warnings: int
    waived: int = 0


def report_of(places: Sequence[PlaceReport]) -> CheckReport:
    """Puts places together."""
    findings = [finding for place in places for finding in place.findings]
    counted = [finding.severity for finding in findings if not finding.waived]
    return CheckReport(
        tuple(places),
        errors=counted.count(Severity.ERROR),
        warnings=counted.count(Severity.WARNING),
        waived=sum(bool(finding.waived) for finding in findings),
    )


def policy_of(settings: Settings, ignore: Iterable[str] = ()) -> Policy:
    """The `[check]` table and what is ignored besides.

    Raises:
        RequestError: an unknown rule, a wrong value.
    """
    from wingo.check.policy import check_rules

    ignored = tuple(ignore)
    check_rules(ignored, BY_ID, "--ignore")
    return read_policy(settings.check, BY_ID).also_ignoring(ignored)


def check_artifact(
    place: str,
    artifact: Image | Index,
    places: Places,
    policy: Policy,
    now: float,
    hosts: Sequence[HostProfile] = (),
    demands: Demands = NOTHING,
    *,
    ways: Ways | None = None,
    below: Mapping[Digest, BaseLayers] | None = None,
    base_files: BaseFiles = BaseFiles.AT_HAND,
) -> PlaceReport:
    """Checks everything at one place.

    Args:
        place: as the user wrote it.
        artifact: what is there, with the children that are asked for.
        places: reads layers; remembers what it read.
        policy: what the user says of findings.
        now: seconds since 1970: waivers expire.
        hosts: the machines that it is to run on.
        demands: what the user wants of programs (`wingo.pipeline.demanding`).
        ways: adds the ways of imports to the demands, where the programs' sources are at hand
            (`wingo.pipeline.demanding.with_sources`).
        below: the bases by the image's digest, where somebody knows; the others are found out.
        base_files: which files of bases are looked at.

    Raises:
        RemoteError: a layer cannot be fetched.
        ContentError: the database of vulnerabilities is damaged.
        WingoError: what `ways` raises.
    """
    today = day_of(now)
    gathered = gather(
        place, artifact, places, hosts=hosts, demands=demands, below=below, base_files=base_files, today=today
    )
    subject = gathered.subject
    if ways is not None:
        subject = _with_ways(subject, demands, ways)
    verdict: Verdict = check(subject, policy, today)
    return PlaceReport(
        place,
        artifact.digest,
        tuple(str(image.image.platform) for image in subject.images),
        verdict.findings,
        verdict.skipped,
        gathered.notes,
        verdict.rules,
        tuple(_host_reports(subject)),
    )


def _with_ways(subject: ArtifactSubject, demands: Demands, ways: Ways) -> ArtifactSubject:
    demands = ways(demands, [program.info for image in subject.images for program in go_programs(image)])
    images = tuple(msgspec.structs.replace(image, demands=demands) for image in subject.images)
    return msgspec.structs.replace(subject, images=images)


def _host_reports(subject: ArtifactSubject) -> Iterator[HostReport]:
    candidates = candidates_of(subject)
    for host in subject.hosts:
        for pick in picks(candidates, host):
            yield HostReport(
                describe(host),
                pick.runtime.value if pick.runtime is not None else "",
                str(candidates[pick.taken]) if pick.taken is not None else "",
                pick.starts,
                {str(item): reason for item, reason in zip(candidates, pick.why_not, strict=True) if reason},
            )


def day_of(now: float) -> dt.date:
    """The day, UTC."""
    return dt.datetime.fromtimestamp(now, dt.UTC).date()


def refuse_errors(reports: Sequence[PlaceReport]) -> None:
    """Ends what is being done when there are errors.

    Raises:
        ChecksFailed: with them.
    """
    errors = [
        finding
        for report in reports
        for finding in report.findings
        if finding.severity is Severity.ERROR and not finding.waived
    ]
    if errors:
        raise ChecksFailed(
            errors,
            hint="Mend them, waive them in the [check] table of wingo.toml, or leave the checks out: --no-check.",
        )


class Gathered(msgspec.Struct, frozen=True):
    """What rules look at, and what there is to say of how it was gathered."""

    subject: ArtifactSubject
    notes: tuple[str, ...]


def gather(
    place: str,
    artifact: Image | Index,
    places: Places,
    *,
    hosts: Sequence[HostProfile] = (),
    demands: Demands = NOTHING,
    below: Mapping[Digest, BaseLayers] | None = None,
    base_files: BaseFiles = BaseFiles.AT_HAND,
    today: dt.date = dt.date.min,
) -> Gathered:
    """Everything that rules look at; the arguments are those of `check_artifact`.

    Raises:
        RemoteError: a layer cannot be fetched.
    """
    return _Gathering(places, demands, below or {}, base_files, today).gather(place, artifact, hosts)


class _Read(msgspec.Struct, frozen=True):
    """One of our layers, read."""

    files: LayerFiles | None
    watch: LayerWatch
    problem: str
    programs: dict[int, Inspected | str]


class _Gathering:
    def __init__(
        self,
        places: Places,
        demands: Demands,
        below: Mapping[Digest, BaseLayers],
        base_files: BaseFiles,
        today: dt.date,
    ) -> None:
        self.places, self.demands, self.below, self.base_files = places, demands, below, base_files
        self.today = today
        self.notes: dict[str, None] = {}

    def gather(self, place: str, artifact: Image | Index, hosts: Sequence[HostProfile]) -> Gathered:
        images = [image for image in images_of(artifact) if is_image(image, artifact)]
        bases = each(self.places.jobs, self._base, images)
        wanted: dict[tuple[Digest, str, int], tuple[Image, int]] = {}
        for image, base in zip(images, bases, strict=True):
            for number in range(base.count, len(image.layers)):
                wanted.setdefault(_key(image, number), (image, number))
        read = dict(zip(wanted, each(self.places.jobs, self._read, wanted.values()), strict=True))
        subjects = tuple(self._subject(image, base, read) for image, base in zip(images, bases, strict=True))
        subject = ArtifactSubject(place=place, artifact=artifact, images=subjects, hosts=tuple(hosts))
        return Gathered(subject, tuple(self.notes))

    def _base(self, image: Image) -> BaseLayers:
        base = self.below.get(image.digest) or base_of(image, self.places)
        if base.problem:
            self.notes[base.problem] = None
        if not base.count and image.config.os == "windows" and len(image.layers) > 1:
            # Nothing says so, but Windows itself is in there somewhere.
            self.notes["nobody says what the base is: the lowest layer is taken for it"] = None
            return msgspec.structs.replace(base, count=1)
        return base

    def _read(self, wanted: tuple[Image, int]) -> _Read:
        image, number = wanted
        layer = image.layers[number]
        watch = LayerWatch(layer.descriptor.size)
        watched = Layer(layer.descriptor, layer.diff_id, watch.over(layer.open))
        layers = (*image.layers[:number], watched, *image.layers[number + 1 :])
        try:
            files = layer_files(
                msgspec.structs.replace(image, layers=layers), number, self.places, fetch=True, watch=watch
            )
        except ContentError as error:
            return _Read(None, watch, str(error), {})
        programs: dict[int, Inspected | str] = {}
        for offset, data in watch.programs.items():
            try:
                program = open_program(data)
            except ContentError as error:
                programs[offset] = str(error)
            else:
                programs[offset] = Inspected(program) if program is not None else "it is of no known format"
        programs.update((offset, f"{size} bytes are too many to look at") for offset, size in watch.left_out.items())
        return _Read(files, watch, "", programs)

    def _subject(self, image: Image, base: BaseLayers, read: Mapping[tuple[Digest, str, int], _Read]) -> ImageSubject:
        own = [read[_key(image, number)] for number in range(base.count, len(image.layers))]
        view = self._view(image, base, own)
        binaries = _binaries(image, view, base.count, own) if view is not None else {}
        scripts = _scripts(view, base.count, own) if view is not None else {}
        start = find_start(image.config, view, binaries, scripts)
        layers = tuple(
            LayerSubject(
                descriptor=image.layers[number].descriptor,
                os=image.config.os,
                members=tuple(item.watch.members),
                head=item.watch.head,
                problem=item.problem,
                on_base=number > 0,
                program=_entry_of(start.node, image.config.os, number),
                secrets=item.watch.secrets,
            )
            for number, item in enumerate(own, base.count)
        )
        return ImageSubject(
            image=image,
            base_layers=base.count,
            base_config=base.image.config if base.image is not None else None,
            base_name=base.name,
            flavour=base.flavour,
            layers=layers,
            view=view,
            binaries=binaries,
            scripts=scripts,
            passwd=self._text(view, "etc/passwd"),
            group=self._text(view, "etc/group"),
            start=start,
            demands=self.demands,
            today=self.today,
        )

    def _text(self, view: View | None, path: str) -> str:
        """A small file of a Linux image; "" when it is not at hand."""
        node = view.find(path) if view is not None and view.image.config.os != "windows" else None
        if view is None or node is None or node.kind is not MemberKind.FILE or node.size > _MAX_TEXT:
            return ""
        try:
            return view.read(node, _MAX_TEXT).decode("utf-8", "replace")
        except WingoError:
            return ""

    def _view(self, image: Image, base: BaseLayers, own: Sequence[_Read]) -> View | None:
        below = [self._base_layer(image, number) for number in range(base.count)]
        try:
            return make_view(image, [*below, *(item.files for item in own)])
        except ContentError as error:
            self.notes[str(error)] = None
            return None

    def _base_layer(self, image: Image, number: int) -> LayerFiles | None:
        large = image.layers[number].descriptor.size > MAX_BASE_LAYER
        try:
            if self.base_files is BaseFiles.REMEMBERED or (large and self.base_files is BaseFiles.AT_HAND):
                return remembered_files(image, number, self.places)
            return layer_files(image, number, self.places, fetch=self.base_files is BaseFiles.ALL)
        except ContentError as error:
            self.notes[f"a layer of the base of {image.platform} cannot be read: {error}"] = None
            return None


def _key(image: Image, number: int) -> tuple[Digest, str, int]:
    return image.layers[number].descriptor.digest, image.config.os, number


def _entry_of(node: Node | None, os: str, number: int) -> str:
    """The name in the tar of what is started, when this layer has it."""
    if node is None or node.layer != number:
        return ""
    return f"Files/{node.path}" if os == "windows" else node.path


def _binaries(image: Image, view: View, below: int, own: Sequence[_Read]) -> dict[str, BinarySubject]:
    """The programs of our layers that are still to be seen in the image, by their paths."""
    found = {}
    for node in view.walk():
        if node.layer < below or not node.sha256:
            continue
        program = own[node.layer - below].programs.get(node.offset)
        if program is None:
            continue
        digest = image.layers[node.layer].descriptor.digest
        if isinstance(program, str):
            found[node.path] = BinarySubject(node=node, problem=program, layer=digest)
        else:
            found[node.path] = BinarySubject(node=node, inspected=program, layer=digest)
    return found


def _scripts(view: View, below: int, own: Sequence[_Read]) -> dict[str, str]:
    """The scripts of our layers that are still to be seen in the image: path and first line."""
    if not any(item.watch.scripts for item in own):
        return {}
    found = {}
    for node in view.walk():
        line = own[node.layer - below].watch.scripts.get(node.offset) if node.layer >= below and node.sha256 else None
        if line is not None:
            found[node.path] = line
    return found


def is_image(image: Image, top: Image | Index) -> bool:
    """Whether it is a container image, and neither an attestation nor another artifact."""
    if image.manifest.config.media_type not in (OCI_CONFIG, DOCKER_CONFIG):
        return False
    return image is top or (image.config.os != "unknown" and _ATTESTATION not in image.manifest.annotations)


class _Verdict(msgspec.Struct):
    """What is remembered of a check."""

    report: PlaceReport
    valid_through: dt.date


def check_once(
    place: str, artifact: Image | Index, places: Places, policy: Policy, now: float, demands: Demands = NOTHING
) -> PlaceReport:
    """The same as `check_artifact`; an artifact that was checked before by the same rules is not read again.

    Where a database of vulnerabilities is asked, it is asked anew: it may have learnt something.

    Raises:
        RemoteError: a layer cannot be fetched.
    """
    if demands.vulnerabilities is not None:
        return check_artifact(place, artifact, places, policy, now, demands=demands)
    parts = (VERSION, artifact.digest, policy, demands.deny, demands.allow)
    key = sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
    data = places.cache.record(_VERDICTS, key)
    if data is not None:
        try:
            verdict = decoder(_Verdict).decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            places.cache.forget_record(_VERDICTS, key)
        else:
            if holds(verdict.valid_through, now):
                return msgspec.structs.replace(verdict.report, place=place)
    report = check_artifact(place, artifact, places, policy, now, demands=demands)
    with suppress(HostError, UnicodeEncodeError):
        verdict = _Verdict(report, valid_through(policy, report.findings, day_of(now)))
        places.cache.keep_record(_VERDICTS, key, msgspec.json.encode(verdict))
    return report


def holds(through: dt.date, now: float) -> bool:
    """Whether a verdict that holds through a day holds now."""
    return day_of(now) <= through
