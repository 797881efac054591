"""`Places`: opens every place that an image can be read from or written to, with one cache and one registry client."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, Layer, Opener
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, parse_digest
from wingo.oci.manifest import decode_manifest, media_type_of
from wingo.oci.media_types import is_index
from wingo.oci.place import Place, PlaceKind
from wingo.oci.reference import Reference
from wingo.stores.cache import Cache
from wingo.stores.reading import Wanted, everything, read_artifact

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.image.progress import Progress
    from wingo.pipeline.settings import Settings
    from wingo.stores.registry import RegistryClient, Transport


class Readable(Protocol):
    """A place that an image can be read from."""

    def read(self, wanted: Wanted = ...) -> Image | Index:
        """The image or index there, with those children that are wanted."""


class Places:
    """Everything that is read from and written to in one command.

    Attributes:
        cache: what can be made or fetched again.
        client: reaches registries.
        jobs: how much is done at a time.
        offline: whether registries are left alone, and bases come from the cache.
        healed: how many damaged things were thrown out of the cache so far.
    """

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self.jobs = settings.jobs or host.processors
        self.offline = settings.offline
        self.healed = 0
        self.cache = Cache(host.cache_directory, self._healed)
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if "client" in self.__dict__:
            self.client.close()

    @cached_property
    def client(self) -> RegistryClient:
        """Reaches registries; made when first asked for, as much is imported for it."""
        return self._host.registry_client(self._settings, self.cache)

    def transport(self) -> Transport:
        """Sends requests to servers that are no registries; to be closed."""
        return self._host.transport(self._settings)

    def _healed(self, note: str) -> None:
        self.healed += 1
        self._host.console.note(note)

    @property
    def progress(self) -> Progress:
        """Who is told of long actions."""
        return self._host.console.progress

    def open(self, place: Place) -> Readable:
        """A place to read from.

        Raises:
            RequestError: it cannot be read from.
        """
        if place.reference is not None:
            if self.offline:
                return _Offline(self.cache, place.reference)
            return _Online(self.cache, self.client, place.reference)
        path = self._host.path(place.path)
        if place.kind is PlaceKind.LAYOUT:
            from wingo.stores.layout import Layout

            return Layout(path, place.tag, progress=self.progress)
        if place.kind in (PlaceKind.OCI_ARCHIVE, PlaceKind.DOCKER_ARCHIVE):
            from wingo.stores.archives import DockerArchive, OciArchive

            kind = OciArchive if place.kind is PlaceKind.OCI_ARCHIVE else DockerArchive
            return kind(path, place.tag)
        raise RequestError(f"nothing can be read from {place}", hint="files:DIR is for writing only.")

    def open_pinned(self, place: Place, digest: Digest) -> Readable:
        """A place whose tag is known to stand for a digest: it is not asked for again."""
        if place.reference is None or self.offline:
            return self.open(place)
        return _Online(self.cache, self.client, place.reference.with_digest(digest))

    def digest_at(self, place: Place) -> Digest | None:
        """What a place stands for now; None when there is nothing.

        Raises:
            WingoError: it cannot be asked.
        """
        reference = place.reference
        if reference is None:
            return self.open(place).read(lambda _: False).digest
        if reference.digest:
            return reference.digest
        if self.offline:
            seen = self.cache.seen_tag(str(reference))
            return seen.descriptor.digest if seen is not None else None
        found = self.client.head(reference)
        return found.digest if found is not None else None

    def read_image(self, pinned: Reference) -> Image:
        """One image by its digest.

        Raises:
            RequestError: it is an index.
        """
        artifact = self.open(Place(PlaceKind.REGISTRY, reference=pinned)).read()
        if not isinstance(artifact, Image):
            raise RequestError(f"{pinned} is an index, where one image was expected")
        return artifact

    def push(self, artifact: Image | Index, names: Sequence[Reference]) -> tuple[str, ...]:
        """Writes to registries: one list of names, each blob asked for and sent once.

        Returns:
            The digest references.

        Raises:
            RequestError: offline, or a name is a digest.
            RemoteError: a registry refuses.
        """
        return self.push_all([(artifact, names)])

    def push_all(self, items: Sequence[tuple[Image | Index, Sequence[Reference]]]) -> tuple[str, ...]:
        """Writes several artifacts to registries, see `push`; the references come in the items' order."""
        from wingo.stores.registry import Shipment

        shipments = []
        for artifact, names in items:
            for name in names:
                if name.digest or not name.tag:
                    raise RequestError(
                        f"{name} has no tag to push to", hint="Name the result with -t REGISTRY/NAME:TAG."
                    )
                shipments.append(Shipment(name, artifact))
        if not shipments:
            return ()
        if self.offline:
            raise RequestError(
                "--offline and a push contradict each other", hint="Write to oci:DIR, and push that later."
            )
        self.client.write(shipments, progress=self.progress)
        return tuple(f"{item.to}@{item.artifact.digest}" for item in shipments)

    def write_pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        """Writes a file, whole or not at all; "" is standard output.

        Raises:
            HostError: it cannot be written.
        """
        from wingo.stores.blobs import NewFile, host_errors

        if not path:
            for piece in pieces:
                self._host.console.result_bytes(piece)
            return
        target = self._host.path(path)
        with host_errors("write", target), NewFile(self._host.folder_of(target)) as file:
            for piece in pieces:
                file.write(piece)
            file.commit(target)

    def write(
        self,
        artifact: Image | Index,
        places: Sequence[Place],
        name: str,
        *,
        tag: str = "",
        leave_out: Collection[Digest] = (),
    ) -> None:
        """Writes to local places; each appears whole or not at all.

        Args:
            artifact: what to write.
            places: where to.
            name: what it is called where the place itself says nothing: a reference, or a word.
            tag: its tag in a layout, where the place says nothing; by default that of the name.
            leave_out: layers whose bytes are not written.

        Raises:
            RequestError: a place cannot hold it.
            HostError: it cannot be written.
        """
        for place in places:
            self._write(artifact, place, name, place.tag or tag or _tag_of(name), leave_out)

    def _write(self, artifact: Image | Index, place: Place, name: str, tag: str, leave_out: Collection[Digest]) -> None:
        path = self._host.path(place.path)
        if place.kind is PlaceKind.LAYOUT:
            from wingo.stores.layout import Layout

            Layout(path, progress=self.progress).write(artifact, [tag], leave_out=leave_out)
        elif place.kind is PlaceKind.OCI_ARCHIVE:
            from wingo.stores.archives import OciArchive

            OciArchive(path, progress=self.progress).write(artifact, [tag], leave_out=leave_out)
        elif place.kind is PlaceKind.DOCKER_ARCHIVE:
            from wingo.stores.archives import DockerArchive

            DockerArchive(path, progress=self.progress).write(artifact, [place.tag or name], leave_out=leave_out)
        else:
            from wingo.stores.files import FileTree

            FileTree(path, progress=self.progress).write(artifact, leave_out=leave_out)


def _tag_of(name: str) -> str:
    """The tag of a reference; a word without a colon is taken whole."""
    last = name.partition("@")[0].rpartition("/")[2]
    return last.rpartition(":")[2]


class _Online:
    """A reference in a registry; layers that the cache has are taken from there."""

    def __init__(self, cache: Cache, client: RegistryClient, reference: Reference) -> None:
        self._cache, self._client, self._reference = cache, client, reference

    def read(self, wanted: Wanted = everything) -> Image | Index:
        return with_cached_layers(self._client.read(self._reference, wanted), self._cache)


class _Offline:
    """A reference as the cache remembers it."""

    def __init__(self, cache: Cache, reference: Reference) -> None:
        self._cache, self._reference = cache, reference

    def read(self, wanted: Wanted = everything) -> Image | Index:
        return read_artifact(self._descriptor(), self._document, self._open_layer, wanted)

    def _descriptor(self) -> Descriptor:
        digest = self._reference.digest
        if not digest:
            seen = self._cache.seen_tag(str(self._reference))
            if seen is None:
                raise self._missing("")
            return seen.descriptor
        data = self._cache.document(digest)
        if data is None:
            raise self._missing("")
        return Descriptor(media_type_of(data), digest, len(data))

    def _document(self, descriptor: Descriptor, limit: int) -> bytes:
        del limit  # the cache's own is the same
        data = self._cache.document(descriptor.digest)
        if data is None:
            raise self._missing(f" (its {descriptor.digest} is missing)")
        return data

    def _open_layer(self, descriptor: Descriptor) -> Opener:
        def open_layer() -> BinaryIO:
            stream = self._cache.blobs.open(descriptor)
            if stream is None:
                raise self._missing(f" with its layers ({descriptor.digest} is missing)")
            return stream

        return open_layer

    def _missing(self, what: str) -> RequestError:
        return RequestError(
            f"{self._reference} is not in the cache{what}, and --offline asks nobody else",
            hint=f"Run 'wingo base pull {self._reference}' where the registry can be reached.",
        )


def with_cached_layers(artifact: Image | Index, cache: Cache) -> Image | Index:
    """The same artifact, whose layers are opened from the cache where it has them."""
    if isinstance(artifact, Index):
        children = tuple(with_cached_layers(child, cache) for child in artifact.children)
        return msgspec.structs.replace(artifact, children=children)
    layers = tuple(_cached(layer, cache) for layer in artifact.layers)
    return msgspec.structs.replace(artifact, layers=layers)


def _cached(layer: Layer, cache: Cache) -> Layer:
    descriptor = layer.descriptor
    if not cache.blobs.has(descriptor.digest, descriptor.size):
        return layer
    return msgspec.structs.replace(layer, open=partial(cache.open_layer, descriptor, layer.open))


def artifact_in_cache(
    cache: Cache, digest: str, open_elsewhere: Callable[[Descriptor], Opener | None], *, partial: bool = False
) -> Image | Index | None:
    """An image or index that was made or read before; None when a document has gone.

    Args:
        cache: where its documents are.
        digest: of the image or index.
        open_elsewhere: gives the opener of a layer that the cache lacks, a base's for instance; None: nobody else has it.
        partial: take an index without the children whose documents are not here.
    """
    data = cache.document(parse_digest(digest))
    if data is None:
        return None

    def document(descriptor: Descriptor, limit: int) -> bytes:
        del limit  # the cache's own is the same
        found = cache.document(descriptor.digest)
        if found is None:
            raise _Gone
        return found

    def open_layer(descriptor: Descriptor) -> Opener:
        if cache.blobs.has(descriptor.digest, descriptor.size):
            return lambda: cache.open_layer(descriptor, open_elsewhere(descriptor))
        opener = open_elsewhere(descriptor)
        if opener is None:
            raise _Gone
        return opener

    def whole(descriptor: Descriptor) -> bool:
        return not partial or _is_here(cache, descriptor.digest)

    top = Descriptor(media_type_of(data), parse_digest(digest), len(data))
    try:
        return read_artifact(top, document, open_layer, whole)
    except _Gone:
        return None


def never_elsewhere(descriptor: Descriptor) -> Opener:
    """For looking only: the layers are not going to be opened."""

    def refuse() -> BinaryIO:
        raise AssertionError(descriptor.digest)

    return refuse


def _is_here(cache: Cache, digest: Digest) -> bool:
    """Whether a manifest and its config are in the cache."""
    data = cache.document(digest)
    if data is None:
        return False
    return is_index(media_type_of(data)) or cache.document(decode_manifest(data).config.digest) is not None


class _Gone(Exception):
    """A document is not in the cache any more."""
