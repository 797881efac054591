"""`wingo rebase`: the base layers under every image of an index are swapped for a newer base's, without a build.

What is fetched: documents. What is sent: documents, and base layers only where the registry lacks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.image.derive import make_index
from wingo.image.model import Image, Index, images_of
from wingo.image.rebase import rebase
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.digest import parse_digest
from wingo.oci.media_types import family_of
from wingo.oci.place import Place, PlaceKind
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference, parse_reference
from wingo.pipeline.assemble import REGISTRY_COMMENT
from wingo.pipeline.bases import Base, choose_bases, find_bases
from wingo.pipeline.report import PlatformReport
from wingo.windows.osversion import index_order, parse_os_version

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


class RebaseReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What `wingo rebase` did.

    Attributes:
        digest: of the new index or image.
        references: digest references, where it was pushed.
        platforms: the new images.
        unchanged: every image stood on the newest base already.
        notes: what a person should know.
    """

    digest: str
    references: tuple[str, ...]
    platforms: tuple[PlatformReport, ...]
    unchanged: bool = False
    notes: tuple[str, ...] = ()


def rebase_reference(
    source: Reference, bases: Mapping[str, str], targets: Sequence[Reference], places: Places
) -> RebaseReport:
    """Moves what a reference stands for onto newer bases, and pushes it.

    Args:
        source: an index or image that wingo, or another tool that annotates its base, has made.
        bases: by platform pattern, as for `wingo build --base`; without one, the base that an image names is looked
            up anew: its tag may stand for a newer one by now.
        targets: the names that the result gets.
        places: where things are read from and written to.

    Raises:
        RequestError: no image says what its base was, or it would not be safe.
    """
    artifact = places.open(Place(PlaceKind.REGISTRY, reference=source)).read()
    images = [image for image in images_of(artifact) if _is_for_a_platform(image)]
    skipped = sum(1 for _ in images_of(artifact)) - len(images)
    notes = [f"{skipped} attached document(s) describe the old images and are left behind"] if skipped else []
    based = [image for image in images if _names_a_base(image)]
    if not based:
        raise _no_base(source, images)
    # wingo's own static and scratch images, beside others in one index
    baseless = [image for image in images if not _names_a_base(image)]
    notes += [f"the image for {image.platform} names no base and stays as it is" for image in baseless]
    named = [_base_name(image) for image in based]
    found = _new_bases(based, named, bases, places)
    moved = [_moved(image, name, base, places) for image, name, base in zip(based, named, found, strict=True)]
    notes += [note for old, image in zip(based, moved, strict=True) if (note := _registry_note(old, image))]
    unchanged = [image.digest for image in moved] == [image.digest for image in based]
    result: Image | Index = artifact if unchanged and not skipped else _same_shape(artifact, [*moved, *baseless])
    references = places.push(result, targets)
    return RebaseReport(
        digest=result.digest,
        references=references,
        platforms=tuple(_report(image, base) for image, base in zip(moved, found, strict=True)),
        unchanged=unchanged,
        notes=tuple(notes),
    )


def _is_for_a_platform(image: Image) -> bool:
    """Attestations stand in indexes as images for unknown/unknown (BuildKit's attestation storage)."""
    descriptor_type = image.manifest.config.media_type
    return descriptor_type.endswith(("image.config.v1+json", "container.image.v1+json")) and image.config.os not in (
        "",
        "unknown",
    )


def _base_annotations(image: Image) -> tuple[str, str]:
    annotations = {**(image.config.settings.labels or {}), **image.manifest.annotations}
    return annotations.get(BASE_NAME, ""), annotations.get(BASE_DIGEST, "")


def _names_a_base(image: Image) -> bool:
    return all(_base_annotations(image))


def _no_base(source: Reference, images: Sequence[Image]) -> RequestError:
    if not images:
        return RequestError(f"{source} has no image for any platform")
    return RequestError(
        f"the image for {images[0].platform} does not say what its base was",
        hint=f"Its manifest needs the annotations {BASE_NAME} and {BASE_DIGEST}; wingo build writes them.",
    )


def _base_name(image: Image) -> Reference:
    name, digest = _base_annotations(image)
    reference = parse_reference(name, default_tag="latest")
    return msgspec.structs.replace(reference, digest=parse_digest(digest))


def _new_bases(
    images: Sequence[Image], named: Sequence[Reference], bases: Mapping[str, str], places: Places
) -> tuple[Base, ...]:
    """The newest base of each image: by the rule given for its platform, else what its own base's tag is now."""
    platforms = [_asked(image) for image in images]
    if bases:
        choices = choose_bases(platforms, bases)
    else:
        choices = tuple(
            choose_bases([platform], {"": str(msgspec.structs.replace(name, digest=""))})[0]
            for platform, name in zip(platforms, named, strict=True)
        )
    return find_bases(choices, places.open, places.jobs)


def _asked(image: Image) -> Platform:
    """The image's platform without its monthly revision."""
    platform = msgspec.structs.replace(image.platform, os_features=())
    if not platform.os_version:
        return platform
    return msgspec.structs.replace(platform, os_version=parse_os_version(platform.os_version).prefix)


def _moved(image: Image, name: Reference, base: Base, places: Places) -> Image:
    if base.image is None:
        raise RequestError(f"{base.choice.name} is no base to move to", hint="Name a base image.")
    if base.image.digest == name.digest:
        return image
    pinned = Reference(name.registry, name.repository, digest=name.digest)
    return rebase(image, places.read_image(pinned), base.image, new_name=base.reference)


def _registry_note(old: Image, moved: Image) -> str:
    """What a layer is worth that was made for another registry."""
    lines = (line.comment for line in old.config.history or ())
    if old.digest == moved.digest or not any(comment.startswith(REGISTRY_COMMENT) for comment in lines):
        return ""
    return (
        f"the layer of {moved.platform} that changes the registry was made for the old base, and repeats that one's "
        "descriptors; build again when you can"
    )


def _same_shape(artifact: Image | Index, images: Sequence[Image]) -> Image | Index:
    if isinstance(artifact, Image):
        return images[0]
    ordered = sorted(images, key=lambda image: index_order(image.platform))
    return make_index(ordered, family=family_of(artifact.media_type), annotations=artifact.manifest.annotations)


def _report(image: Image, base: Base) -> PlatformReport:
    return PlatformReport(
        platform=str(image.platform),
        os_version=image.platform.os_version,
        digest=image.digest,
        size=sum(layer.descriptor.size for layer in image.layers),
        base=base.reference,
        base_digest=base.image.digest if base.image is not None else "",
    )
