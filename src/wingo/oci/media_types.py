"""Media types of the image specification and of Docker's schema 2, and what family a document belongs to.

Sources: image-spec `media-types.md`; distribution `docs/content/spec/manifest-v2-2.md`.
"""

from __future__ import annotations

from enum import Enum

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
"""What we ask a registry for, in order of preference."""

_OCI_OF_DOCKER = {
    DOCKER_LIST: OCI_INDEX,
    DOCKER_MANIFEST: OCI_MANIFEST,
    DOCKER_CONFIG: OCI_CONFIG,
    DOCKER_LAYER: OCI_LAYER,
    DOCKER_LAYER_GZIP: OCI_LAYER_GZIP,
    DOCKER_LAYER_ZSTD: OCI_LAYER_ZSTD,
}
_DOCKER_OF_OCI = {oci: docker for docker, oci in _OCI_OF_DOCKER.items()}


class Family(Enum):
    """Which vocabulary an image is written in; some registries refuse a mixture."""

    OCI = "oci"
    DOCKER = "docker"


def is_index(media_type: str) -> bool:
    """Whether a document of this type lists other manifests."""
    return media_type in INDEXES


def is_manifest(media_type: str) -> bool:
    """Whether a document of this type is one image's manifest."""
    return media_type in MANIFESTS


def is_foreign(media_type: str) -> bool:
    """Whether a layer of this type is not to be uploaded without being asked (image-spec, "Non-Distributable Layers")."""
    return media_type == DOCKER_FOREIGN_LAYER or media_type.startswith(
        "application/vnd.oci.image.layer.nondistributable.v1.tar"
    )


def family_of(media_type: str) -> Family:
    """The family that a manifest's or index's media type belongs to."""
    return Family.DOCKER if media_type.startswith("application/vnd.docker.") else Family.OCI


def in_family(media_type: str, family: Family) -> str:
    """The same kind of thing in the other vocabulary; types that exist in only one are kept as they are."""
    table = _DOCKER_OF_OCI if family is Family.DOCKER else _OCI_OF_DOCKER
    return table.get(media_type, media_type)
