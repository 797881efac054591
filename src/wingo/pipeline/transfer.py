"""`wingo push`, `wingo pull`, `wingo copy`: an image or index goes from one place to others, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, Layer, images_of
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import parse_digest
from wingo.oci.place import Place, PlaceKind
from wingo.oci.platform import Platform
from wingo.oci.reference import parse_reference
from wingo.pipeline.bases import fits
from wingo.stores.reading import Wanted, everything
from wingo.windows.osversion import expand_platform

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


class TransferReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What was moved.

    Attributes:
        digest: of the image or index.
        media_type: of it.
        references: digest references, where it was pushed.
        places: local places that were written.
        platforms: of the images.
    """

    digest: str
    media_type: str
    references: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


def transfer(
    source: Place,
    targets: Sequence[Place],
    platform: str,
    places: Places,
    look: Callable[[str, Image | Index], None] | None = None,
) -> TransferReport:
    """Reads an image or index and writes it to other places; its digest stays.

    Args:
        source: where it is.
        targets: where it goes.
        platform: one platform of an index, to move its image alone; "" for everything.
        places: where things are read from and written to.
        look: sees the artifact before it is sent; what it raises ends the transfer.

    Raises:
        RequestError: the source has no such platform, or a target cannot hold it.
    """
    artifact = read_platform(source, platform, places)
    if look is not None:
        look(str(source), artifact)
    if source.reference is None:
        artifact = completed(artifact, places)
    return send(artifact, source, targets, places)


def send(artifact: Image | Index, source: Place, targets: Sequence[Place], places: Places) -> TransferReport:
    """Writes an image or index that came from a place to others.

    Raises:
        RequestError: a target cannot hold it.
    """
    references = tuple(target.reference for target in targets if target.reference is not None)
    local = tuple(target for target in targets if target.kind is not PlaceKind.REGISTRY)
    places.write(artifact, local, str(source.reference) if source.reference is not None else source.tag or "latest")
    return TransferReport(
        digest=artifact.digest,
        media_type=artifact.media_type,
        references=places.push(artifact, references),
        places=tuple(str(place) for place in local),
        platforms=tuple(str(image.platform) for image in images_of(artifact) if image.manifest.config.media_type),
    )


def read_platform(source: Place, platform: str, places: Places, *, wanted: Wanted = everything) -> Image | Index:
    """What is at a place: all of it, or the one image for a platform.

    Args:
        source: the place.
        platform: of the image; "" for all.
        places: reads.
        wanted: where all is: which entries of an index.

    Raises:
        RequestError: there is no image for the platform, or several; the hint lists what there is.
    """
    if not platform:
        return places.open(source).read(wanted)
    asked = expand_platform(platform)
    artifact = places.open(source).read(lambda entry: _wanted(entry, asked))
    found = [image for image in images_of(artifact) if any(fits(image.platform, item) for item in asked)]
    if len(found) == 1:
        return found[0]
    if isinstance(artifact, Index):
        has = [str(entry.platform) for entry in artifact.manifest.manifests if entry.platform is not None]
    else:
        has = [str(artifact.platform)]
    raise RequestError(
        f"{source} has {len(found) or 'no'} images for {platform}",
        hint=f"Name one of {', '.join(has[:20])}.",
    )


def completed(artifact: Image | Index, places: Places) -> Image | Index:
    """The same artifact of a local place; what `--thin` left out is opened where its images say that their bases are."""
    if isinstance(artifact, Index):
        children = tuple(completed(child, places) for child in artifact.children)
        return msgspec.structs.replace(artifact, children=children)
    layers = tuple(
        msgspec.structs.replace(layer, open=partial(_open_here_or_in_base, layer, artifact, places))
        for layer in artifact.layers
    )
    return msgspec.structs.replace(artifact, layers=layers)


def _open_here_or_in_base(layer: Layer, image: Image, places: Places) -> BinaryIO:
    try:
        return layer.open()
    except RequestError:
        # It was left out; a damaged one is another error.
        annotations = {**(image.config.settings.labels or {}), **image.manifest.annotations}
        name, digest = annotations.get(BASE_NAME, ""), annotations.get(BASE_DIGEST, "")
        if not name or not digest:
            raise
        pinned = parse_reference(name).with_digest(parse_digest(digest))
        for base_layer in places.read_image(pinned).layers:
            if base_layer.descriptor.digest == layer.descriptor.digest:
                return base_layer.open()
        raise


def _wanted(entry: Descriptor, wanted: Sequence[Platform]) -> bool:
    return entry.platform is None or any(fits(entry.platform, item) for item in wanted)
