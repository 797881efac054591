"""`Layer`, `Image` and `Index`: raw bytes first, the parsed form is a view (design, decision 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import BinaryIO, TypeAlias

import msgspec

from wingo.errors import Malformed
from wingo.oci.config import ImageConfig, decode_config
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.manifest import IndexManifest, Manifest, decode_index, decode_manifest
from wingo.oci.media_types import DOCKER_CONFIG, OCI_CONFIG
from wingo.oci.platform import Platform

Opener: TypeAlias = Callable[[], BinaryIO]
"""Gives a fresh stream of a blob's bytes, which checks digest and size while it is read."""


class Layer(msgspec.Struct, frozen=True):
    """One layer: only its bytes are lazy.

    Attributes:
        descriptor: of the bytes as stored, compressed mostly.
        diff_id: the digest of the uncompressed tar; "" in an artifact that is no image.
        open: opens the bytes as stored.
    """

    descriptor: Descriptor
    diff_id: Digest
    open: Opener


class Image(msgspec.Struct, frozen=True, dict=True):
    """One image.

    Attributes:
        manifest_bytes: the manifest: its digest is the image's.
        media_type: of the manifest.
        config_bytes: the config.
        layers: base first; their descriptors are the manifest's, their diff_ids the config's.
    """

    manifest_bytes: bytes
    media_type: str
    config_bytes: bytes
    layers: tuple[Layer, ...]

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, parsed."""
        return decode_manifest(self.manifest_bytes)

    @cached_property
    def config(self) -> ImageConfig:
        """The config, parsed."""
        return decode_config(self.config_bytes)

    @cached_property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return sha256_digest(self.manifest_bytes)

    @property
    def platform(self) -> Platform:
        """The platform that the config claims."""
        return self.config.platform

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the manifest, without its platform."""
        return Descriptor(self.media_type, self.digest, len(self.manifest_bytes))


class Index(msgspec.Struct, frozen=True, dict=True):
    """Many images under one name.

    Attributes:
        manifest_bytes: the index document: its digest is the index's.
        media_type: of the document.
        children: those that were asked for, in the document's order.
    """

    manifest_bytes: bytes
    media_type: str
    children: tuple[Image | Index, ...]

    @cached_property
    def manifest(self) -> IndexManifest:
        """The document, parsed."""
        return decode_index(self.manifest_bytes)

    @cached_property
    def digest(self) -> Digest:
        """The digest of the document."""
        return sha256_digest(self.manifest_bytes)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the document."""
        return Descriptor(self.media_type, self.digest, len(self.manifest_bytes))

    @property
    def complete(self) -> bool:
        """Whether every child that the document names is at hand."""
        return {child.digest for child in self.children} >= {entry.digest for entry in self.manifest.manifests}


def images_of(artifact: Image | Index) -> Iterator[Image]:
    """Every image, an index's children depth first in the document's order."""
    if isinstance(artifact, Image):
        yield artifact
        return
    for child in artifact.children:
        yield from images_of(child)


def make_image(
    manifest_bytes: bytes, media_type: str, config_bytes: bytes, open_layer: Callable[[Descriptor], Opener]
) -> Image:
    """Puts an image together from the documents that a store has read.

    Args:
        manifest_bytes: verified against the digest that it was asked by.
        media_type: of the manifest.
        config_bytes: verified against the manifest's descriptor.
        open_layer: gives the opener of a layer's bytes.

    Raises:
        Malformed: the documents contradict each other, for instance in the number of layers.
    """
    manifest = decode_manifest(manifest_bytes)
    if manifest.config.media_type not in (OCI_CONFIG, DOCKER_CONFIG):
        # An artifact (a signature, a chart): it travels as it is, and has no uncompressed digests.
        layers = tuple(Layer(descriptor, Digest(""), open_layer(descriptor)) for descriptor in manifest.layers)
        return Image(manifest_bytes, media_type, config_bytes, layers)
    diff_ids = decode_config(config_bytes).diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise Malformed("image", f"the manifest has {len(manifest.layers)} layers, the config {len(diff_ids)} diff_ids")
    layers = tuple(
        Layer(descriptor, diff_id, open_layer(descriptor))
        for descriptor, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )
    return Image(manifest_bytes, media_type, config_bytes, layers)
