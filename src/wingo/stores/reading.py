"""`read_artifact`: from a descriptor to an `Image` or `Index`, for every store that has blobs by digest."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from wingo.errors import ContentError, DigestMismatch, Malformed, SizeMismatch
from wingo.image.model import Image, Index, Opener, make_image
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Hasher, algorithm_of
from wingo.oci.manifest import decode_index, decode_manifest, is_known, media_type_of
from wingo.oci.media_types import DOCKER_CONFIG, OCI_CONFIG, is_index
from wingo.oci.wire import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES
from wingo.stores.parallel import each

MAX_DEPTH = 4
"""Indexes in indexes; two are seen in the wild."""
MAX_DOCUMENTS = 4096
"""Manifests, configs and indexes of one artifact."""
MAX_TOTAL_BYTES = 256 << 20
"""Bytes of all of them."""

Wanted: TypeAlias = Callable[[Descriptor], bool]


def everything(descriptor: Descriptor) -> bool:  # noqa: ARG001  (a `Wanted`)
    """Wants every child of an index."""
    return True


def readable(descriptor: Descriptor) -> bool:
    """Wants what can be read, and passes over entries of other types: for looking, since what is copied must be whole."""
    return is_known(descriptor.media_type)


def read_artifact(
    descriptor: Descriptor,
    read_document: Callable[[Descriptor, int], bytes],
    open_layer: Callable[[Descriptor], Opener],
    wanted: Wanted = everything,
    *,
    jobs: int = 1,
) -> Image | Index:
    """Reads an image, or an index with its wanted children; documents only, never a layer's bytes.

    Args:
        descriptor: of the manifest or index.
        read_document: gives a document's bytes, of at most so many; they are checked here.
        open_layer: gives the opener of a layer's bytes.
        wanted: which children of an index are read.
        jobs: how many children are read at a time.

    Raises:
        ContentError: a document is not what its descriptor says, or there are too many of them, or too deep.
    """
    return _Reader(read_document, open_layer, wanted, jobs).read(descriptor, 0, 1)


class _Reader:
    def __init__(
        self,
        read_document: Callable[[Descriptor, int], bytes],
        open_layer: Callable[[Descriptor], Opener],
        wanted: Wanted,
        jobs: int,
    ) -> None:
        self.read_document = read_document
        self.open_layer = open_layer
        self.wanted = wanted
        self.jobs = jobs
        self.documents = 0
        self.bytes = 0
        self.lock = threading.Lock()

    def read(self, descriptor: Descriptor, depth: int, times: int) -> Image | Index:
        """Reads what stands in its place `times` times: once, but it counts as often as a walk would meet it."""
        data = self.document(descriptor, "manifest", MAX_MANIFEST_BYTES, times)
        media_type = media_type_of(data, descriptor.media_type)
        if not is_index(media_type):
            config = self.document(decode_manifest(data).config, "config", MAX_CONFIG_BYTES, times)
            return make_image(data, media_type, config, self.open_layer)
        if depth >= MAX_DEPTH:
            raise Malformed("index", f"indexes are nested more than {MAX_DEPTH} deep")
        entries = [entry for entry in decode_index(data).manifests if self.wanted(entry)]
        for entry in entries:
            if not is_known(entry.media_type):
                raise Malformed("index", f"an entry of the type {entry.media_type[:100]!r}, which wingo does not read")
        distinct = {entry.digest: entry for entry in entries}
        counts = Counter(entry.digest for entry in entries)
        jobs = self.jobs if depth == 0 else 1  # the threads are spent on the first level
        children = each(
            jobs, lambda entry: self.read(entry, depth + 1, times * counts[entry.digest]), distinct.values()
        )
        by_digest = dict(zip(distinct, children, strict=True))
        return Index(data, media_type, tuple(by_digest[entry.digest] for entry in entries))

    def document(self, descriptor: Descriptor, what: str, limit: int, times: int) -> bytes:
        if descriptor.size > limit:
            raise Malformed(
                what, f"{descriptor.digest} has {descriptor.size} bytes, more than the {limit} that wingo reads"
            )
        with self.lock:
            self.documents += times
            self.bytes += descriptor.size
            if self.documents > MAX_DOCUMENTS:
                raise Malformed("index", f"it leads to more than {MAX_DOCUMENTS} manifests and configs")
            if self.bytes > MAX_TOTAL_BYTES:
                raise Malformed("index", f"it leads to more than {MAX_TOTAL_BYTES} bytes of manifests and configs")
        data = self.read_document(descriptor, limit)
        check_document(data, descriptor, what)
        return data


def is_runnable(image: Image) -> bool:
    """Whether it is an image that could run somewhere, and not an attestation, a signature or another artifact."""
    return (
        image.manifest.config.media_type in (OCI_CONFIG, DOCKER_CONFIG)
        and not image.manifest.artifact_type
        and image.config.os not in ("", "unknown")
    )


def check_document(data: bytes, descriptor: Descriptor, what: str) -> None:
    """Checks bytes against the descriptor that they were asked for by.

    Raises:
        SizeMismatch: there are more or fewer.
        DigestMismatch: they are others.
    """
    problem: ContentError | None = None
    hasher = Hasher(algorithm_of(descriptor.digest))
    hasher.update(data)
    if len(data) != descriptor.size:
        problem = SizeMismatch(f"the {what} {descriptor.digest}", descriptor.size, len(data))
    elif hasher.digest() != descriptor.digest:
        problem = DigestMismatch(f"the {what} {descriptor.digest}", descriptor.digest, hasher.digest())
    if problem is not None:
        raise problem
