"""`read_artifact`: from a descriptor to an `Image` or `Index`, for every store that has blobs by digest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from wingo.errors import ContentError, DigestMismatch, Malformed, SizeMismatch
from wingo.image.model import Image, Index, Opener, make_image
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Hasher, algorithm_of
from wingo.oci.manifest import decode_index, decode_manifest, media_type_of
from wingo.oci.media_types import DOCKER_CONFIG, OCI_CONFIG, is_index
from wingo.oci.wire import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES

MAX_DEPTH = 8
"""Indexes in indexes."""
MAX_DOCUMENTS = 4096
"""Manifests, configs and indexes of one artifact."""

Wanted: TypeAlias = Callable[[Descriptor], bool]


def everything(descriptor: Descriptor) -> bool:  # noqa: ARG001  (a `Wanted`)
    """Wants every child of an index."""
    return True


def read_artifact(
    descriptor: Descriptor,
    read_document: Callable[[Descriptor, int], bytes],
    open_layer: Callable[[Descriptor], Opener],
    wanted: Wanted = everything,
) -> Image | Index:
    """Reads an image, or an index with its wanted children; documents only, never a layer's bytes.

    Args:
        descriptor: of the manifest or index.
        read_document: gives a document's bytes, of at most so many; they are checked here.
        open_layer: gives the opener of a layer's bytes.
        wanted: which children of an index are read.

    Raises:
        ContentError: a document is not what its descriptor says, or there are too many of them, or too deep.
    """
    return _Reader(read_document, open_layer, wanted).read(descriptor, 0)


class _Reader:
    def __init__(
        self,
        read_document: Callable[[Descriptor, int], bytes],
        open_layer: Callable[[Descriptor], Opener],
        wanted: Wanted,
    ) -> None:
        self.read_document = read_document
        self.open_layer = open_layer
        self.wanted = wanted
        self.documents = 0

    def read(self, descriptor: Descriptor, depth: int) -> Image | Index:
        data = self.document(descriptor, MAX_MANIFEST_BYTES)
        media_type = media_type_of(data, descriptor.media_type)
        if not is_index(media_type):
            config = self.document(decode_manifest(data).config, MAX_CONFIG_BYTES)
            return make_image(data, media_type, config, self.open_layer)
        if depth >= MAX_DEPTH:
            raise Malformed("index", f"indexes are nested more than {MAX_DEPTH} deep")
        children = [entry for entry in decode_index(data).manifests if self.wanted(entry)]
        return Index(data, media_type, tuple(self.read(child, depth + 1) for child in children))

    def document(self, descriptor: Descriptor, limit: int) -> bytes:
        self.documents += 1
        if self.documents > MAX_DOCUMENTS:
            raise Malformed("index", f"it leads to more than {MAX_DOCUMENTS} documents")
        if descriptor.size > limit:
            raise Malformed("document", f"{descriptor.digest} has {descriptor.size} bytes, more than {limit}")
        data = self.read_document(descriptor, limit)
        check_document(data, descriptor)
        return data


def is_runnable(image: Image) -> bool:
    """Whether it is an image that could run somewhere, and not an attestation, a signature or another artifact."""
    return (
        image.manifest.config.media_type in (OCI_CONFIG, DOCKER_CONFIG)
        and not image.manifest.artifact_type
        and image.config.os not in ("", "unknown")
    )


def check_document(data: bytes, descriptor: Descriptor) -> None:
    """Checks bytes against the descriptor that they were asked for by.

    Raises:
        SizeMismatch: there are more or fewer.
        DigestMismatch: they are others.
    """
    problem: ContentError | None = None
    hasher = Hasher(algorithm_of(descriptor.digest))
    hasher.update(data)
    if len(data) != descriptor.size:
        problem = SizeMismatch(f"the document {descriptor.digest}", descriptor.size, len(data))
    elif hasher.digest() != descriptor.digest:
        problem = DigestMismatch(f"the document {descriptor.digest}", descriptor.digest, hasher.digest())
    if problem is not None:
        raise problem
