"""Reads images and indexes: manifests and configs whole, within limits, layers when somebody opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from wingo.image.model import Image, Index
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher, algorithm_of, sha256_digest
from wingo.oci.manifest import is_known, media_type_of
from wingo.oci.media_types import is_foreign
from wingo.stores.reading import Wanted, check_document, read_artifact
from wingo.stores.registry.blob import RegistryBlob
from wingo.stores.registry.faults import Refusal, clean

if TYPE_CHECKING:
    from wingo.oci.reference import Reference
    from wingo.stores.registry.api import Repository
    from wingo.stores.registry.presence import Presence

_NEAR_TAGS = 5


class SeenTag(Protocol):
    """What a tag stood for when it was last asked for."""

    @property
    def descriptor(self) -> Descriptor:
        """Of the manifest or index."""


class DocumentCache(Protocol):
    """Somebody who keeps manifests and configs by digest, and remembers what tags stood for: `wingo.stores.cache`."""

    def document(self, digest: Digest) -> bytes | None:
        """The bytes, None when they are not kept. They are checked again by the caller."""

    def keep_document(self, data: bytes) -> Digest:
        """Keeps bytes that have been checked, under their sha256 digest."""

    def seen_tag(self, reference: str) -> SeenTag | None:
        """What a reference with a tag stood for when it was last asked for."""

    def keep_tag(self, reference: str, descriptor: Descriptor, now: float) -> None:
        """Remembers what a tag stands for."""


class NoCache:
    """Keeps nothing."""

    def document(self, digest: Digest) -> bytes | None:  # noqa: ARG002  (the protocol's)
        """None."""
        return None

    def keep_document(self, data: bytes) -> Digest:
        """Lets it go."""
        return sha256_digest(data)

    def seen_tag(self, reference: str) -> SeenTag | None:  # noqa: ARG002  (the protocol's)
        """Not remembered."""
        return None

    def keep_tag(self, reference: str, descriptor: Descriptor, now: float) -> None:
        """Lets it go."""


class Reader:
    """Reads one reference."""

    def __init__(
        self,
        repository: Repository,
        reference: Reference,
        *,
        cache: DocumentCache,
        now: Callable[[], float],
        presence: Presence,
        jobs: int,
        fetch_urls: bool,
    ) -> None:
        """Takes what is needed.

        Args:
            repository: where the bytes are; with a mirror another one than the reference names.
            reference: what is read.
            cache: of manifests and configs.
            now: seconds since 1970, for remembering tags.
            presence: learns which blobs the repository has.
            jobs: requests at once.
            fetch_urls: whether layers that are kept elsewhere may be fetched from there.
        """
        self._repository = repository
        self._reference = reference
        self._cache = cache
        self._now = now
        self._presence = presence
        self._jobs = jobs
        self._fetch_urls = fetch_urls
        self._fetched: dict[Digest, bytes] = {}

    def read(self, wanted: Wanted) -> Image | Index:
        """The image or index, with the children that are wanted.

        Raises:
            RemoteError, ContentError: see `RegistryStore.read`.
        """
        return read_artifact(self._top(), self._document, self._open_layer, wanted, jobs=self._jobs)

    def _top(self) -> Descriptor:
        """What the reference names; its bytes are in the cache then, or about to be read."""
        digest = self._reference.digest
        if digest:
            data = self._kept(digest)
            if data is not None:
                return Descriptor(media_type_of(data), digest, len(data))
        elif (found := self._unchanged_tag()) is not None:
            return found
        try:
            document = self._repository.get_manifest(self._reference.target)
        except Refusal as error:
            self._suggest_tags(error)
            raise
        descriptor = Descriptor(media_type_of(document.data, document.media_type), document.digest, len(document.data))
        self._keep(document.data, descriptor)
        if not digest:
            self._keep_tag(descriptor)
        return descriptor

    def _unchanged_tag(self) -> Descriptor | None:
        """What the tag stands for, when a look at it tells that we have the bytes."""
        last = self._cache.seen_tag(str(self._reference))
        if last is None or self._cache.document(last.descriptor.digest) is None:
            return None
        found = self._repository.head_manifest(self._reference.tag)
        if found is None:
            return None  # reading it says what is wrong, better than we could
        data = self._kept(found.digest)
        if data is None:
            return None
        # The registry's word is only good for the digest.
        descriptor = Descriptor(media_type_of(data), found.digest, len(data))
        self._keep_tag(descriptor)
        return descriptor

    def _kept(self, digest: Digest) -> bytes | None:
        """A document from the cache; None when it is not there, or not what it should be."""
        data = self._cache.document(digest)
        return data if data is not None and _is(data, digest) else None

    def _keep_tag(self, descriptor: Descriptor) -> None:
        self._cache.keep_tag(str(self._reference), descriptor, self._now())

    def _keep(self, data: bytes, descriptor: Descriptor) -> None:
        self._cache.keep_document(data)
        self._fetched[descriptor.digest] = data

    def _document(self, descriptor: Descriptor, limit: int) -> bytes:
        """A manifest, index or config: from the cache, else from the registry; one damaged in the cache is fetched again."""
        manifest = is_known(descriptor.media_type)
        if not manifest:
            self._is_there(descriptor)
        data = self._fetched.pop(descriptor.digest, None) or self._cache.document(descriptor.digest)
        if data is not None and _is(data, descriptor.digest):
            return data
        if not manifest:
            data = self._repository.small_blob(descriptor, "config", limit)
        else:
            document = self._repository.get_manifest(descriptor.digest)
            data = document.data
            if document.media_type not in ("", descriptor.media_type):
                media_type_of(data, document.media_type)  # refuses what the two cannot both mean
        check_document(data, descriptor, "manifest" if manifest else "config")
        self._cache.keep_document(data)
        return data

    def _open_layer(self, descriptor: Descriptor) -> RegistryBlob:
        if not is_foreign(descriptor.media_type):
            self._is_there(descriptor)
        return RegistryBlob(self._repository, descriptor, fetch_urls=self._fetch_urls)

    def _is_there(self, descriptor: Descriptor) -> None:
        self._presence.add(self._repository.registry.name, self._repository.path, descriptor.digest)

    def _suggest_tags(self, error: Refusal) -> None:
        """Adds what there is to the error for a tag that is not."""
        if not self._reference.tag or self._reference.digest or "MANIFEST_UNKNOWN" not in error.codes:
            return
        from difflib import get_close_matches

        from wingo.errors import WingoError

        try:
            tags = self._repository.tags()
        except WingoError:
            return  # the first error is the one to tell
        near = get_close_matches(self._reference.tag, tags, n=_NEAR_TAGS, cutoff=0.5) or sorted(tags)[-_NEAR_TAGS:]
        if near:
            error.hint = f"There is {', '.join(clean(tag, 128) for tag in near)}."
        else:
            error.hint = "The repository has no tags."


def _is(data: bytes, digest: Digest) -> bool:
    hasher = Hasher(algorithm_of(digest))
    hasher.update(data)
    return hasher.digest() == digest
