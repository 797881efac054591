"""The bases of a Dockerfile's stages: images from registries, and what their configs say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wingo.dockerfile.bases import BaseFacts, assume_facts, read_facts
from wingo.dockerfile.toolchains import toolchain_image
from wingo.errors import RemoteError, RequestError
from wingo.image.derive import raw_settings
from wingo.image.model import Image, Index, images_of
from wingo.oci.digest import Digest
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference
from wingo.oci.wire import MAX_CONFIG_BYTES, document
from wingo.pipeline.bases import fits
from wingo.windows.osversion import index_order

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


class DockerfileBases:
    """Finds base images, each once; nothing of their layers is fetched for that.

    Attributes:
        images: what was found, by reference and platform.
    """

    def __init__(
        self, places: Places, known: Mapping[Place, Digest] | None = None, layouts: Mapping[str, str] | None = None
    ) -> None:
        """Has read nothing yet.

        Args:
            places: where images are.
            known: what tags stand for, as far as somebody has asked already.
            layouts: local OCI layouts, by the references that stand for them.
        """
        self._places = places
        self._known = known or {}
        self._layouts = layouts or {}
        self._read: dict[Reference, Image | Index] = {}
        self.images: dict[tuple[Reference, Platform], Image] = {}

    def image(self, reference: Reference, platform: Platform) -> Image:
        """The base for a platform; of several Windows versions the newest.

        Raises:
            RequestError: it has none for the platform.
            RemoteError: the registry does not have it, or cannot be reached.
        """
        key = (reference, platform)
        if key not in self.images:
            artifact = self._read.get(reference)
            if artifact is None:
                place = self._place(reference)
                digest = self._known.get(place)
                opened = self._places.open_pinned(place, digest) if digest is not None else self._places.open(place)
                artifact = _of_digest(opened.read(), reference) if place.reference is None else opened.read()
                self._read[reference] = artifact
            self.images[key] = _chosen(artifact, reference, platform)
        return self.images[key]

    def is_local(self, reference: Reference) -> bool:
        """Whether a reference stands for a local layout."""
        return str(reference) in self._layouts

    def _place(self, reference: Reference) -> Place:
        path = self._layouts.get(str(reference))
        return Place(PlaceKind.REGISTRY, reference=reference) if path is None else parse_place(f"oci:{path}")

    def digests(self) -> dict[str, str]:
        """The digest of every image or index that was read, by its reference."""
        return {str(reference): artifact.digest for reference, artifact in self._read.items()}

    def facts(self, reference: Reference, platform: Platform) -> BaseFacts:
        """What the base's config says.

        Raises:
            RequestError, RemoteError: see `image`.
        """
        image = self.image(reference, platform)
        settings = raw_settings(document(image.config_bytes, "config", limit=MAX_CONFIG_BYTES))
        return read_facts(image.config, settings, reference)

    def facts_or_names(self, reference: Reference, platform: Platform) -> BaseFacts:
        """For a plan: what the config says where it can be had, else what the name says."""
        if toolchain_image(reference) is not None:
            return assume_facts(reference, platform)
        try:
            return self.facts(reference, platform)
        except RemoteError:
            return assume_facts(reference, platform)
        except RequestError:
            if not self._places.offline:
                raise
            return assume_facts(reference, platform)


def _of_digest(artifact: Image | Index, reference: Reference) -> Image | Index:
    """What a digest names in a layout: all of it, or one image."""
    if not reference.digest or artifact.digest == reference.digest:
        return artifact
    found = next((image for image in images_of(artifact) if image.digest == reference.digest), None)
    if found is None:
        raise RequestError(f"the layout has no {reference.digest}", hint="Leave the digest out, or mend it.")
    return found


def _chosen(artifact: Image | Index, reference: Reference, platform: Platform) -> Image:
    images = list(images_of(artifact))
    found = [image for image in images if fits(image.platform, platform)]
    if not found:
        has = ", ".join(str(image.platform) for image in images[:20])
        raise RequestError(f"the base {reference} has no image for {platform}", hint=f"It has {has or 'none'}.")
    return min(found, key=lambda image: index_order(image.platform))
