"""`wingo inspect`: what is at a place, from its documents alone: no layer's bytes are read."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import WingoError
from wingo.image.model import Image, Index, images_of
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.oci.place import Place
from wingo.pipeline.base_layers import BaseLayers, base_of
from wingo.pipeline.programs import GoProgram, find_programs
from wingo.pipeline.transfer import read_platform
from wingo.pipeline.viewing import view_of
from wingo.stores.parallel import each
from wingo.stores.reading import is_runnable, readable
from wingo.windows.osversion import name_of, parse_os_version

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_SUBJECT = "vnd.docker.reference.digest"
_SUBJECT_TYPE = "vnd.docker.reference.type"


class LayerRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One layer.

    Attributes:
        digest: of the bytes as stored.
        diff_id: of the tar.
        size: as stored, in bytes.
        media_type: of the stored bytes.
        created_by: its line of history.
        of_base: whether it is the base's.
        shared: how many other images here have it.
    """

    digest: str
    diff_id: str
    size: int
    media_type: str
    created_by: str = ""
    of_base: bool = False
    shared: int = 0


class BaseRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an image stands on; see `wingo.pipeline.base_layers.BaseLayers`.

    Attributes:
        layers: how many of the lowest layers are its.
        size: of these, in bytes.
        how: how that is known.
        name: its reference.
        digest: of its manifest.
        flavour: of Microsoft's bases.
        created: when it was made, RFC 3339.
        age_days: days since then.
    """

    layers: int
    size: int
    how: str
    name: str = ""
    digest: str = ""
    flavour: str = ""
    created: str = ""
    age_days: int | None = None


class ImageRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image.

    Attributes:
        platform: as `os/arch[/variant][:os.version]`.
        release: the Windows release's name, "ltsc2022".
        digest: of the manifest.
        size: of all layers as stored, in bytes.
        own_size: of those that are not the base's.
        start: entrypoint and command.
        user: that it runs as.
        working_dir: where it starts.
        environment: `NAME=value`.
        ports: that it says it listens on.
        labels: the config's.
        annotations: the manifest's.
        created: RFC 3339.
        os_features: for instance win32k.
        base: what it stands on; None when nobody says.
        layers: base first.
    """

    platform: str
    digest: str
    size: int
    own_size: int
    release: str = ""
    start: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    environment: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    created: str = ""
    os_features: tuple[str, ...] = ()
    base: BaseRow | None = None
    layers: tuple[LayerRow, ...] = ()


class AttachedRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Something that is no image: an attestation in the index, a signature that refers to it.

    Attributes:
        kind: its artifact type, or what it says it is.
        digest: of its manifest.
        size: of its manifest, in bytes.
        subject: the digest of what it is about; "" when it does not say.
        annotations: its own.
    """

    kind: str
    digest: str
    size: int
    subject: str = ""
    annotations: dict[str, str] = {}


class Inspection(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is at a place.

    Attributes:
        place: as the user wrote it.
        digest: of the index, image or artifact.
        media_type: of it.
        size: of all layers, each once, as stored: what a registry keeps.
        images: in the index's order.
        attached: what else stands in the index.
        referrers: what refers to it or to one of its images, as the registry says.
        missing: entries of the index whose documents are not at hand.
        annotations: of the index.
        notes: what a person should know.
    """

    place: str
    digest: str
    media_type: str
    size: int
    images: tuple[ImageRow, ...] = ()
    attached: tuple[AttachedRow, ...] = ()
    referrers: tuple[AttachedRow, ...] = ()
    missing: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class Inspected(msgspec.Struct, frozen=True):
    """What was read, and what there is to say of it.

    Attributes:
        artifact: the index or image.
        images: its images, in the order of the rows.
        bases: what each of them stands on.
        report: the rows.
    """

    artifact: Image | Index
    images: tuple[Image, ...]
    bases: tuple[BaseLayers, ...]
    report: Inspection


def inspect(place: Place, platform: str, places: Places, now: float) -> Inspected:
    """Looks at a place.

    Args:
        place: where.
        platform: one of an index; "" for all of it.
        places: where things are read from; registries are asked for referrers, and for the bases that images name.
        now: seconds since 1970.

    Raises:
        WingoError: it cannot be read.
    """
    artifact = read_platform(place, platform, places, wanted=readable)
    images = tuple({image.digest: image for image in images_of(artifact) if is_runnable(image)}.values())
    bases = tuple(each(places.jobs, lambda image: base_of(image, places), images))
    holders = Counter(digest for image in images for digest in {layer.descriptor.digest for layer in image.layers})
    rows = tuple(_row(image, base, holders, now) for image, base in zip(images, bases, strict=True))
    referrers, problem = _referrers(place, artifact, images, places)
    notes = dict.fromkeys(base.problem for base in bases if base.problem)
    if problem:
        notes[problem] = None
    sizes = {layer.descriptor.digest: layer.descriptor.size for image in images for layer in image.layers}
    report = Inspection(
        place=str(place),
        digest=artifact.digest,
        media_type=artifact.media_type,
        size=sum(sizes.values()),
        images=rows,
        attached=tuple(_attached(artifact)),
        referrers=referrers,
        missing=tuple(_missing(artifact)),
        annotations=dict(artifact.manifest.annotations) if isinstance(artifact, Index) else {},
        notes=tuple(notes),
    )
    return Inspected(artifact, images, bases, report)


def programs_of(inspected: Inspected, places: Places) -> dict[str, tuple[str, GoProgram, tuple[str, ...]]]:
    """The Go programs in the images' own layers, by digest: the path, what was found out, and the images' platforms.

    Raises:
        ContentError: a layer is damaged.
        RemoteError: a registry does not give it.
    """
    found: dict[str, tuple[str, GoProgram, tuple[str, ...]]] = {}
    for image, base in zip(inspected.images, inspected.bases, strict=True):
        view = view_of(image, places, base_layers=False, base=base)
        own = (node for node in view.walk() if node.layer >= base.count)
        for path, program in find_programs(view, own, places).items():
            known = found.get(program.digest, (path, program, ()))
            found[program.digest] = (*known[:2], (*known[2], str(image.platform)))
    return found


def _row(image: Image, base: BaseLayers, holders: Counter[Digest], now: float) -> ImageRow:
    config, settings = image.config, image.config.settings
    lines = iter([line for line in config.history or () if not line.empty_layer])
    layers = []
    for number, layer in enumerate(image.layers):
        line = next(lines, None)
        descriptor = layer.descriptor
        layers.append(
            LayerRow(
                digest=descriptor.digest,
                diff_id=layer.diff_id,
                size=descriptor.size,
                media_type=descriptor.media_type,
                created_by="" if line is None else line.created_by or line.comment,
                of_base=number < base.count,
                shared=holders[descriptor.digest] - 1,
            )
        )
    return ImageRow(
        platform=str(image.platform),
        release=release_of(config.os_version),
        digest=image.digest,
        size=sum(row.size for row in layers),
        own_size=sum(row.size for row in layers if not row.of_base),
        start=(*(settings.entrypoint or ()), *(settings.cmd or ())),
        user=settings.user,
        working_dir=settings.working_dir,
        environment=settings.env or (),
        ports=tuple(settings.exposed_ports or ()),
        labels=settings.labels or {},
        annotations=dict(image.manifest.annotations),
        created=config.created or "",
        os_features=config.os_features or (),
        base=_base_row(base, layers, now),
        layers=tuple(layers),
    )


def release_of(os_version: str) -> str:
    """The name of a Windows release, "ltsc2022"; "" when it has none, or is no version."""
    try:
        return name_of(parse_os_version(os_version).prefix) if os_version else ""
    except WingoError:
        return ""


def _base_row(base: BaseLayers, layers: Sequence[LayerRow], now: float) -> BaseRow | None:
    if not base.count:
        return None
    return BaseRow(
        layers=base.count,
        size=sum(row.size for row in layers if row.of_base),
        how=base.how,
        name=base.name,
        digest=base.digest,
        flavour=base.flavour,
        created=base.created,
        age_days=age_in_days(base.created, now),
    )


def age_in_days(created: str, now: float) -> int | None:
    """Whole days since an RFC 3339 time; None when it is none, or says nothing (1970, year 1, the future)."""
    try:
        then = dt.datetime.fromisoformat(created)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=dt.UTC)
    seconds = now - then.timestamp() if then.year >= 2000 else -1
    return int(seconds // 86_400) if seconds >= 0 else None


def _attached(artifact: Image | Index) -> list[AttachedRow]:
    """What is no image: the entry itself, when a place holds nothing else."""
    if isinstance(artifact, Image):
        return [] if is_runnable(artifact) else [_attached_row(artifact, artifact.descriptor)]
    found = []
    for child in artifact.children:
        entry = next(item for item in artifact.manifest.manifests if item.digest == child.digest)
        if isinstance(child, Index):
            found += _attached(child)
        elif not is_runnable(child):
            found.append(_attached_row(child, entry))
    return found


def _attached_row(image: Image, entry: Descriptor) -> AttachedRow:
    manifest = image.manifest
    annotations = {**entry.annotations, **manifest.annotations}
    subject = manifest.subject.digest if manifest.subject is not None else annotations.get(_SUBJECT, "")
    return AttachedRow(
        kind=annotations.get(_SUBJECT_TYPE, "") or manifest.artifact_type or manifest.config.media_type,
        digest=image.digest,
        size=len(image.manifest_bytes),
        subject=subject,
        annotations=annotations,
    )


def _missing(artifact: Image | Index) -> list[str]:
    if isinstance(artifact, Image):
        return []
    here = {child.digest for child in artifact.children}
    found = [
        f"{entry.platform or entry.media_type} {entry.digest}"
        for entry in artifact.manifest.manifests
        if entry.digest not in here
    ]
    return found + [item for child in artifact.children for item in _missing(child)]


def _referrers(
    place: Place, artifact: Image | Index, images: Sequence[Image], places: Places
) -> tuple[tuple[AttachedRow, ...], str]:
    """What refers to these, and why that is not known."""
    reference = place.reference
    if reference is None or places.offline:
        return (), ""
    subjects = list(dict.fromkeys([artifact.digest, *(image.digest for image in images)]))
    try:
        listed = each(places.jobs, lambda digest: places.client.referrers(reference, digest), subjects)
    except WingoError as error:
        return (), f"the registry does not say what refers to it: {error}"
    rows = {
        entry.digest: AttachedRow(
            kind=entry.artifact_type or entry.media_type,
            digest=entry.digest,
            size=entry.size,
            subject=subject,
            annotations=entry.annotations,
        )
        for subject, entries in zip(subjects, listed, strict=True)
        for entry in entries
    }
    return tuple(rows.values()), ""
