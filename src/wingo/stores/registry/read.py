"""Reads images and indexes: manifests and configs whole, within limits, layers when somebody opens them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from wingo.errors import DigestMismatch, Malformed, SizeMismatch
from wingo.image.model import Image, Index, make_image
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher, algorithm_of, sha256_digest
from wingo.oci.manifest import decode_index, decode_manifest, media_type_of
from wingo.oci.media_types import is_foreign, is_index, is_manifest
from wingo.oci.wire import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES
from wingo.stores.registry.blob import RegistryBlob
from wingo.stores.registry.faults import Refusal, clean
from wingo.stores.registry.parallel import each

if TYPE_CHECKING:
    from wingo.oci.reference import Reference
    from wingo.stores.registry.api import Repository
    from wingo.stores.registry.presence import Presence

MAX_DEPTH = 4
"""Indexes within indexes; two are seen in the wild."""
MAX_DOCUMENTS = 4096
"""Manifests and configs of one read."""
MAX_TOTAL_BYTES = 256 << 20
"""Bytes of all manifests and configs of one read."""
_NEAR_TAGS = 5

Wanted = Callable[[Descriptor], bool]
"""Whether an index's child is to be read; asked for every entry, nested indexes among them."""


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


def everything(descriptor: Descriptor) -> bool:  # noqa: ARG001  (a `Wanted`)
    """Wants every child."""
    return True


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
        self._documents = 0
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, wanted: Wanted) -> Image | Index:
        """The image or index, with the children that are wanted.

        Raises:
            RemoteError, ContentError: see `RegistryStore.read`.
        """
        data, media_type = self._top()
        return self._build(data, media_type, wanted, depth=0)

    def _top(self) -> tuple[bytes, str]:
        """The document that the reference names, and its type."""
        target = self._reference.target
        if self._reference.digest:
            data = self._kept(self._reference.digest)
            if data is not None:
                return data, media_type_of(data)
        else:
            kept = self._unchanged_tag()
            if kept is not None:
                return kept, media_type_of(kept)
        try:
            document = self._repository.get_manifest(target)
        except Refusal as error:
            self._suggest_tags(error)
            raise
        self._count(len(document.data))
        media_type = media_type_of(document.data, document.media_type)
        self._cache.keep_document(document.data)
        if not self._reference.digest:
            self._keep_tag(Descriptor(media_type, document.digest, len(document.data)))
        return document.data, media_type

    def _unchanged_tag(self) -> bytes | None:
        """The kept bytes of what the tag stands for, when a look at the tag tells that we have them."""
        last = self._cache.seen_tag(str(self._reference))
        if last is None or self._cache.document(last.descriptor.digest) is None:
            return None
        found = self._repository.head_manifest(self._reference.tag)
        if found is None:
            return None  # reading it says what is wrong, better than we could
        data = self._kept(found.digest)
        if data is not None:
            self._keep_tag(found)
        return data

    def _keep_tag(self, descriptor: Descriptor) -> None:
        self._cache.keep_tag(str(self._reference), descriptor, self._now())

    def _build(self, data: bytes, media_type: str, wanted: Wanted, depth: int) -> Image | Index:
        if is_manifest(media_type):
            return self._image(data, media_type)
        if depth >= MAX_DEPTH:
            raise Malformed("index", f"indexes within indexes, more than {MAX_DEPTH} deep")
        entries = [entry for entry in decode_index(data).manifests if wanted(entry)]
        distinct = {entry.digest: entry for entry in entries}
        jobs = self._jobs if depth == 0 else 1  # the threads are spent on the first level
        read = each(jobs, lambda entry: self._child(entry, wanted, depth + 1), distinct.values())
        by_digest = dict(zip(distinct, read, strict=True))
        return Index(data, media_type, tuple(by_digest[entry.digest] for entry in entries))

    def _child(self, entry: Descriptor, wanted: Wanted, depth: int) -> Image | Index:
        if not (is_index(entry.media_type) or is_manifest(entry.media_type)):
            raise Malformed(
                "index", f"an entry of the type {clean(entry.media_type, 100)!r}, which wingo does not read"
            )
        data = self._kept(entry.digest)
        if data is None:
            if entry.size > MAX_MANIFEST_BYTES:
                raise Malformed("index", f"a manifest of {entry.size} bytes, more than {MAX_MANIFEST_BYTES}")
            document = self._repository.get_manifest(entry.digest)
            data = document.data
            self._count(len(data))
            if document.media_type not in ("", entry.media_type):
                media_type_of(data, document.media_type)
            self._cache.keep_document(data)
        if len(data) != entry.size:
            raise SizeMismatch(f"the manifest {entry.digest} of {self._repository.name}", entry.size, len(data))
        return self._build(data, media_type_of(data, entry.media_type), wanted, depth)

    def _image(self, data: bytes, media_type: str) -> Image:
        manifest = decode_manifest(data)
        config = self._config(manifest.config)
        for descriptor in (manifest.config, *manifest.layers):
            if is_foreign(descriptor.media_type):
                continue
            self._presence.add(self._repository.registry.name, self._repository.path, descriptor.digest)
        return make_image(
            data,
            media_type,
            config,
            lambda descriptor: RegistryBlob(self._repository, descriptor, fetch_urls=self._fetch_urls),
        )

    def _config(self, descriptor: Descriptor) -> bytes:
        what = f"the config {descriptor.digest} of {self._repository.name}"
        if descriptor.size > MAX_CONFIG_BYTES:
            raise Malformed("config", f"{descriptor.size} bytes, more than the {MAX_CONFIG_BYTES} that wingo reads")
        data = self._kept(descriptor.digest)
        if data is None:
            data = self._repository.small_blob(descriptor, "config", MAX_CONFIG_BYTES)
            self._count(len(data))
            if len(data) != descriptor.size:
                raise SizeMismatch(what, descriptor.size, len(data))
            hasher = Hasher(algorithm_of(descriptor.digest))
            hasher.update(data)
            if hasher.digest() != descriptor.digest:
                raise DigestMismatch(what, descriptor.digest, hasher.digest())
            self._cache.keep_document(data)
        elif len(data) != descriptor.size:
            raise SizeMismatch(what, descriptor.size, len(data))
        return data

    def _kept(self, digest: Digest) -> bytes | None:
        """A document from the cache, counted; one that is damaged there is fetched again."""
        data = self._cache.document(digest)
        if data is None:
            return None
        actual = sha256_digest(data)
        if algorithm_of(digest) != "sha256":
            hasher = Hasher(algorithm_of(digest))
            hasher.update(data)
            actual = hasher.digest()
        if actual != digest:
            return None
        self._count(len(data))
        return data

    def _count(self, size: int) -> None:
        with self._lock:
            self._documents += 1
            self._bytes += size
            if self._documents > MAX_DOCUMENTS:
                raise Malformed("index", f"more than {MAX_DOCUMENTS} manifests and configs")
            if self._bytes > MAX_TOTAL_BYTES:
                raise Malformed("index", f"more than {MAX_TOTAL_BYTES} bytes of manifests and configs")

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
