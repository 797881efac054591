"""`RegistryClient`: every registry over one transport; `RegistryStore`: one repository as a place to read and write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RemoteError, RequestError
from wingo.image.progress import NO_PROGRESS
from wingo.oci.reference import Reference, parse_tag
from wingo.stores.reading import Wanted, everything
from wingo.stores.registry.api import NOT_FOUND, Registry, Repository
from wingo.stores.registry.credentials import NoCredentials
from wingo.stores.registry.presence import Presence
from wingo.stores.registry.read import DocumentCache, NoCache, Reader
from wingo.stores.registry.referrers import list_referrers
from wingo.stores.registry.upload import DEFAULT_PIECES, Pieces
from wingo.stores.registry.write import Push, Writer

if TYPE_CHECKING:
    from typing import Self

    from wingo.image.model import Image, Index
    from wingo.image.progress import Progress
    from wingo.oci.descriptor import Descriptor
    from wingo.oci.digest import Digest
    from wingo.stores.registry.credentials import Credentials
    from wingo.stores.registry.transport import Transport

DEFAULT_JOBS = 6


class Shipment(msgspec.Struct, frozen=True):
    """One thing to be written, see `RegistryClient.write`.

    Attributes:
        to: names the repository; its tag, when it has one, is one of the tags.
        artifact: what is written.
        tags: more tags.
        referrers: what is attached to it (its `subject` is the artifact), written before the tags.
    """

    to: Reference
    artifact: Image | Index
    tags: tuple[str, ...] = ()
    referrers: tuple[Image | Index, ...] = ()


class RegistryClient:
    """Reads and writes registries; safe to share between threads. Nothing is asked before the first call."""

    def __init__(
        self,
        transport: Transport,
        *,
        now: Callable[[], float],
        credentials: Credentials | None = None,
        cache: DocumentCache | None = None,
        mirrors: Mapping[str, str] | None = None,
        jobs: int = DEFAULT_JOBS,
        fetch_urls: bool = False,
        push_foreign: bool = False,
        pieces: Pieces = DEFAULT_PIECES,
    ) -> None:
        """Takes the world.

        Args:
            transport: sends the requests.
            now: seconds since 1970, for remembering when a tag was seen.
            credentials: who we are where; by default nobody.
            cache: of manifests and configs; by default none.
            mirrors: by registry, what is read instead: `host[:port][/prefix]`. Nothing is ever written to a mirror for
                being one.
            jobs: requests at once.
            fetch_urls: whether layers that are kept elsewhere (`urls`) may be fetched from there.
            push_foreign: whether such layers are sent when an image is written.
            pieces: how large blobs are cut for sending.
        """
        self._transport = transport
        self._now = now
        self._credentials = credentials or NoCredentials()
        self._cache = cache or NoCache()
        self._mirrors = dict(mirrors or {})
        self._jobs = jobs
        self._fetch_urls = fetch_urls
        self._push_foreign = push_foreign
        self._pieces = pieces
        self._presence = Presence()
        self._registries: dict[str, Registry] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends the idle connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def store(self, reference: Reference) -> RegistryStore:
        """One reference as a place."""
        return RegistryStore(self, reference)

    def head(self, reference: Reference) -> Descriptor | None:
        """What a reference stands for now, by the registry's word, in one request; None when there is nothing.

        Raises:
            RemoteError: the registry refuses or cannot be reached.
        """
        return self._readable(reference).head_manifest(reference.target)

    def resolve(self, reference: Reference) -> Reference:
        """The reference pinned to the digest that it stands for now.

        Raises:
            RemoteError: there is nothing, or the registry refuses.
        """
        if reference.digest:
            return reference.with_digest(reference.digest)
        found = self.head(reference)
        if found is None:
            raise RemoteError(f"there is no {reference}", status=NOT_FOUND, hint="Check the name and the tag.")
        return reference.with_digest(found.digest)

    def read(self, reference: Reference, wanted: Wanted = everything) -> Image | Index:
        """Reads an image, or an index with the children that are wanted: manifests and configs, no layers.

        One request for a tag whose manifests and configs are all in the cache; none for a digest.

        Raises:
            RemoteError: the registry refuses or cannot be reached; for an unknown tag the hint names near ones.
            DigestMismatch, SizeMismatch: bytes are not what they were asked for by.
            Malformed: too large, too deep, too many, of Docker's schema 1, or broken.
        """
        reader = Reader(
            self._readable(reference),
            reference,
            cache=self._cache,
            now=self._now,
            presence=self._presence,
            jobs=self._jobs,
            fetch_urls=self._fetch_urls,
        )
        return reader.read(wanted)

    def write(self, shipments: Sequence[Shipment], *, progress: Progress = NO_PROGRESS) -> list[Descriptor]:
        """Writes several things; each blob is asked for, and sent or mounted, once.

        A tag that stands for the artifact already costs one request, and nothing else is done for it. The tag is
        written last; a write that was interrupted goes on when it is called again.

        Returns:
            The artifacts' descriptors.

        Raises:
            RequestError: a tag that is none; a reference names another digest; or an index is incomplete, and its other children are not in the repository.
            RemoteError: a registry refuses or cannot be reached.
            WingoError: a layer's own bytes are not what they should be.
        """
        writer = Writer(
            presence=self._presence,
            jobs=self._jobs,
            progress=progress,
            push_foreign=self._push_foreign,
            pieces=self._pieces,
        )
        writer.write(self._pushes(shipments))
        return [shipment.artifact.descriptor for shipment in shipments]

    def _pushes(self, shipments: Sequence[Shipment]) -> list[Push]:
        """The same thing for the same repository once, with all its tags."""
        pushes: dict[tuple[str, str, Digest], Push] = {}
        for shipment in shipments:
            to, artifact = shipment.to, shipment.artifact
            if to.digest and to.digest != artifact.digest:
                raise RequestError(
                    f"{to} names another digest than what is written, {artifact.digest}",
                    hint="Write to a tag, or to the repository alone.",
                )
            tags = (*((to.tag,) if to.tag else ()), *shipment.tags)
            for tag in tags:
                parse_tag(tag)
            key = to.registry, to.repository, artifact.digest
            push = pushes.get(key)
            if push is None:
                push = Push(Repository(self._registry(to.registry), to.repository, write=True), artifact)
            pushes[key] = Push(
                push.repository,
                push.artifact,
                tuple(dict.fromkeys((*push.tags, *tags))),
                (*push.referrers, *shipment.referrers),
            )
        return list(pushes.values())

    def referrers(self, reference: Reference, digest: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """What refers to a manifest of a repository: signatures, SBOMs, attestations.

        Raises:
            RemoteError, ContentError: the registry refuses, or its answer is broken.
        """
        return list_referrers(self._readable(reference), digest, artifact_type)

    def tags(self, reference: Reference) -> tuple[str, ...]:
        """The tags of a repository, ten thousand at most.

        Raises:
            RemoteError, ContentError: the registry refuses, or its answer is broken.
        """
        return self._readable(reference).tags()

    def check_login(self, registry: str) -> None:
        """Asks a registry whether it knows us.

        Raises:
            RemoteError: it does not, cannot be reached, or is no registry.
        """
        self._registry(registry).check()

    def _readable(self, reference: Reference) -> Repository:
        mirror = self._mirrors.get(reference.registry)
        if mirror is None:
            return Repository(self._registry(reference.registry), reference.repository)
        host, _, prefix = mirror.rstrip("/").partition("/")
        path = f"{prefix}/{reference.repository}" if prefix else reference.repository
        return Repository(self._registry(host), path)

    def _registry(self, name: str) -> Registry:
        with self._lock:
            known = self._registries.get(name)
        if known is None:
            known = Registry(name, self._transport, self._credentials)  # may ask an insecure host what it speaks
            with self._lock:
                known = self._registries.setdefault(name, known)
        return known


class RegistryStore:
    """One reference of a registry as a place: the protocol that all stores share."""

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        """Asks nothing yet."""
        self._client = client
        self.reference = reference

    def head(self) -> Descriptor | None:
        """What is there now, see `RegistryClient.head`."""
        return self._client.head(self.reference)

    def read(self, wanted: Wanted = everything) -> Image | Index:
        """Reads it, see `RegistryClient.read`."""
        return self._client.read(self.reference, wanted)

    def write(
        self, artifact: Image | Index, tags: Sequence[str] = (), *, progress: Progress = NO_PROGRESS
    ) -> Descriptor:
        """Writes it under the reference's tag and more, see `RegistryClient.write`."""
        return self._client.write([Shipment(self.reference, artifact, tuple(tags))], progress=progress)[0]
