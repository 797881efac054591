"""Descriptors (image-spec `descriptor.md`)."""

from __future__ import annotations

import msgspec

from wingo.oci.digest import Digest
from wingo.oci.platform import Platform
from wingo.oci.wire import rename


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename):
    """What is known of some bytes: type, digest and size.

    Attributes:
        media_type: the type of the bytes.
        digest: of the bytes.
        size: in bytes.
        urls: where else they can be had; only old Windows base layers have any.
        annotations: free text by key.
        platform: in an index only.
        artifact_type: of the manifest that is described.
        data: the bytes themselves in base64, when small.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    artifact_type: str = ""
    data: str = ""
