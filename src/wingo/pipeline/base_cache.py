"""`wingo base`: which bases the cache has, and fetching them with their layers for machines without a network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, images_of
from wingo.oci.reference import Reference, parse_reference
from wingo.pipeline.bases import choose_bases, find_bases
from wingo.pipeline.places import artifact_in_cache, never_elsewhere
from wingo.windows.bases import FLAVOURS, published_base
from wingo.windows.osversion import ALL_PLATFORMS, expand_platforms

if TYPE_CHECKING:
    from wingo.oci.descriptor import Descriptor
    from wingo.pipeline.places import Places
    from wingo.stores.cache import SeenTag


class CachedImage(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image of a cached base.

    Attributes:
        platform: with the whole os.version.
        digest: of the manifest.
        size: of all layers as stored, in bytes.
        layers: how many there are.
        layers_here: how many of them the cache has.
    """

    platform: str
    digest: str
    size: int
    layers: int
    layers_here: int = 0


class CachedBase(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One reference that the cache remembers.

    Attributes:
        reference: as it was asked for.
        digest: what it stood for.
        seen: when, in seconds since 1970.
        images: those of them whose documents are here.
    """

    reference: str
    digest: str
    seen: float
    images: tuple[CachedImage, ...]


def list_bases(places: Places) -> tuple[CachedBase, ...]:
    """Everything that the cache remembers, by reference."""
    return tuple(_described(seen, places) for seen in places.cache.seen_tags())


def pull_bases(names: Sequence[str], platforms: Sequence[str], places: Places) -> tuple[CachedBase, ...]:
    """Fetches bases with all of their layers into the cache.

    Args:
        names: short names, references or places.
        platforms: as for `wingo build --platform`.
        places: where things are read from.

    Raises:
        RequestError: there is no such base, or not for a platform.
        RemoteError: a registry refuses.
    """
    wanted = expand_platforms(platforms)
    choices = [choice for name in names for choice in choose_bases(wanted, {"": name}) if choice.place is not None]
    bases = find_bases(choices, places.open, places.jobs)
    for base in bases:
        if base.image is not None:
            _fetch(base.image, places)
    pulled = {base.reference for base in bases}
    return tuple(item for item in list_bases(places) if item.reference in pulled)


def show_base(reference: Reference, places: Places) -> CachedBase | None:
    """What the cache has of a reference; None when it was never asked for."""
    seen = places.cache.seen_tag(str(reference))
    return None if seen is None else _described(seen, places)


def short_names(name: str, places: Places) -> tuple[Reference, ...]:
    """What the cache has of a short name such as `nanoserver`, for whatever Windows; none when it is no short name."""
    if name not in FLAVOURS:
        return ()
    published = set()
    for platform in ALL_PLATFORMS:
        with suppress(RequestError):  # not every base is there for every Windows
            published.add(published_base(name, platform))
    seen = (parse_reference(item.reference) for item in places.cache.seen_tags())
    return tuple(reference for reference in seen if reference in published)


def _fetch(image: Image, places: Places) -> None:
    for layer in image.layers:
        descriptor = layer.descriptor
        if places.cache.blobs.has(descriptor.digest, descriptor.size):
            continue
        task = places.progress.start(f"base layer {descriptor.digest[7:19]} for {image.platform}", descriptor.size)
        with layer.open() as stream:
            places.cache.blobs.put_stream(stream, descriptor, task.advance)
        task.done("in the cache")


def _described(seen: SeenTag, places: Places) -> CachedBase:
    images = _images(seen.descriptor, places)
    return CachedBase(seen.reference, seen.descriptor.digest, seen.seen, tuple(_image(item, places) for item in images))


def _images(descriptor: Descriptor, places: Places) -> list[Image]:
    """The images of an index whose documents are here: a build fetches only those of its platforms."""
    artifact = artifact_in_cache(places.cache, descriptor.digest, never_elsewhere, partial=True)
    return [] if artifact is None else list(images_of(artifact))


def _image(image: Image, places: Places) -> CachedImage:
    descriptors = [layer.descriptor for layer in image.layers]
    return CachedImage(
        platform=str(image.platform),
        digest=image.digest,
        size=sum(descriptor.size for descriptor in descriptors),
        layers=len(descriptors),
        layers_here=sum(places.cache.blobs.has(descriptor.digest, descriptor.size) for descriptor in descriptors),
    )
