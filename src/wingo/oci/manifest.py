"""Manifests and indexes (image-spec `manifest.md`, `image-index.md`), Docker schema 2 ones included."""

from __future__ import annotations

import msgspec

from wingo.errors import Malformed
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import parse_digest
from wingo.oci.media_types import OCI_INDEX, OCI_MANIFEST, is_index, is_manifest
from wingo.oci.wire import MAX_CHILDREN, MAX_LAYERS, MAX_MANIFEST_BYTES, decode, rename


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename, kw_only=True):
    """One image (or artifact): its config and its layers, base first."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class IndexManifest(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename, kw_only=True):
    """Many images under one name; a reader takes the first that fits it, or the best."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


_MAX_SIZE = (1 << 63) - 1
"""Bytes: image-spec `descriptor.md` has the size as int64."""
_ABSENT = msgspec.Raw(b"null")
"""A member that is not there, or is null: Go's readers do not tell the two apart."""


class _Head(msgspec.Struct, frozen=True, rename=rename):
    """Enough of a document to tell what it is."""

    schema_version: int = 0
    media_type: str = ""
    manifests: msgspec.Raw = _ABSENT
    config: msgspec.Raw = _ABSENT
    layers: msgspec.Raw = _ABSENT
    fs_layers: msgspec.Raw = _ABSENT


def media_type_of(data: bytes, claimed: str = "") -> str:
    """What a document is, by its own word, else by the word it came with, else by its members.

    A document that is both an index and a manifest is refused: readers disagreed on those once (CVE-2021-41190).

    Raises:
        Malformed: it is neither an index nor a manifest, is of Docker's schema 1, or its words disagree.
    """
    head = decode(data, _Head, "manifest", limit=MAX_MANIFEST_BYTES)
    if head.schema_version == 1 or head.fs_layers != _ABSENT:
        raise Malformed(
            "manifest", "it is of Docker's schema 1", hint="Push the image again with a tool made after 2017."
        )
    if head.schema_version != 2:
        raise Malformed("manifest", f"schemaVersion is {head.schema_version}, not 2")
    looks_like_index = head.manifests != _ABSENT
    if looks_like_index and (head.config != _ABSENT or head.layers != _ABSENT):
        raise Malformed("manifest", "it is both an index and an image")
    claimed = claimed.partition(";")[0].strip()
    media_type = head.media_type or claimed
    if is_index(media_type) if looks_like_index else is_manifest(media_type):
        if head.media_type and is_known(claimed) and claimed != head.media_type:
            raise Malformed("manifest", f"it says {head.media_type} of itself and came as {claimed}")
        return media_type
    if media_type in ("", "application/json", "text/plain", "application/octet-stream"):
        return OCI_INDEX if looks_like_index else OCI_MANIFEST
    raise Malformed("manifest", f"unexpected type {media_type[:160]!r}")


def is_known(media_type: str) -> bool:
    """Whether it is the type of an index or of a manifest that wingo reads."""
    return is_index(media_type) or is_manifest(media_type)


def decode_manifest(data: bytes) -> Manifest:
    """Reads one image's manifest.

    Raises:
        Malformed: not a manifest, too many layers, a broken digest, or a negative size.
    """
    manifest = decode(data, Manifest, "manifest", limit=MAX_MANIFEST_BYTES)
    if len(manifest.layers) > MAX_LAYERS:
        raise Malformed("manifest", f"{len(manifest.layers)} layers, more than {MAX_LAYERS}")
    _check_descriptors("manifest", (manifest.config, *manifest.layers, manifest.subject))
    return manifest


def decode_index(data: bytes) -> IndexManifest:
    """Reads an index.

    Raises:
        Malformed: not an index, too many children, a broken digest, or a negative size.
    """
    index = decode(data, IndexManifest, "index", limit=MAX_MANIFEST_BYTES)
    if len(index.manifests) > MAX_CHILDREN:
        raise Malformed("index", f"{len(index.manifests)} manifests, more than {MAX_CHILDREN}")
    _check_descriptors("index", (*index.manifests, index.subject))
    return index


def _check_descriptors(what: str, descriptors: tuple[Descriptor | None, ...]) -> None:
    for descriptor in descriptors:
        if descriptor is None:
            continue
        try:
            parse_digest(descriptor.digest)
        except Malformed as error:
            raise Malformed(what, error.problem) from error
        if not 0 <= descriptor.size <= _MAX_SIZE:
            raise Malformed(what, f"{descriptor.digest} has the size {str(descriptor.size)[:40]}")
        # It becomes a header of requests.
        if not descriptor.media_type.isascii() or not descriptor.media_type.isprintable():
            raise Malformed(what, f"{descriptor.digest} has the media type {descriptor.media_type[:160]!r}")
