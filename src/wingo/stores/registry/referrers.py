"""Referrers where a registry has no API for them: an index under a tag made of the subject's digest
(distribution-spec 1.1, "Referrers Tag Schema").
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from wingo.image.model import Image, Index
from wingo.oci.manifest import IndexManifest
from wingo.oci.media_types import OCI_INDEX
from wingo.oci.wire import encode
from wingo.stores.registry.api import fallback_tag

if TYPE_CHECKING:
    from wingo.oci.descriptor import Descriptor
    from wingo.oci.digest import Digest
    from wingo.stores.registry.api import Repository

_one_at_a_time = threading.Lock()
"""Reading, adding and writing is one step; for other processes the specification has no answer."""


def list_referrers(repository: Repository, digest: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
    """What refers to a manifest, by the API or, where there is none, by the tag.

    Args:
        repository: where the manifest is.
        digest: the manifest's.
        artifact_type: only those of this type; "" for all.

    Raises:
        RemoteError, ContentError: the registry refuses, or its answer is broken.
    """
    found = repository.referrers(digest, artifact_type)
    if found is None:
        index = repository.fallback_index(digest)
        found = () if index is None else index.manifests
    return tuple(item for item in found if artifact_type in ("", item.artifact_type))


def note_referrer(repository: Repository, artifact: Image | Index) -> None:
    """Adds an artifact to the list under its subject's tag, when it is not there yet.

    Raises:
        RemoteError, ContentError: the registry refuses, or its list is broken.
    """
    manifest = artifact.manifest
    subject = manifest.subject
    if subject is None:
        return
    artifact_type = manifest.artifact_type
    if not artifact_type and isinstance(artifact, Image):
        artifact_type = artifact.manifest.config.media_type
    entry = msgspec.structs.replace(artifact.descriptor, artifact_type=artifact_type, annotations=manifest.annotations)
    with _one_at_a_time:
        index = repository.fallback_index(subject.digest)
        entries = () if index is None else index.manifests
        if any(known.digest == entry.digest for known in entries):
            return
        document = IndexManifest(schema_version=2, media_type=OCI_INDEX, manifests=(*entries, entry))
        repository.put_manifest(fallback_tag(subject.digest), encode(document), OCI_INDEX)
