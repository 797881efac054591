"""What steps did in earlier builds: here in wingo's cache, and carried between machines as an artifact in a registry or a directory.

A record's key is a digest of everything that the step depends on: its instruction, expanded; the files that it reads; the
layers below it; the toolchain. So records of any Dockerfile and platform live side by side, and what is not found is
simply done. The artifact's config lists the records, its layers are the bytes that they name; every one is verified by
its digest when it is fetched, and only those that a build needs are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import ContentError, RemoteError, RequestError, WingoError
from wingo.image.model import Image, Layer, Opener
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, parse_digest, sha256_digest
from wingo.oci.manifest import Manifest
from wingo.oci.media_types import OCI_MANIFEST
from wingo.oci.place import Place, PlaceKind
from wingo.oci.wire import MAX_CONFIG_BYTES, encode

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

CONFIG_TYPE = "application/vnd.wingo.build-cache.v1+json"
_BLOB_TYPE = "application/octet-stream"


class _Records(msgspec.Struct, frozen=True):
    """The artifact's config.

    Attributes:
        records: their JSON texts by "KIND/KEY".
    """

    records: dict[str, str]


class StepCache:
    """The records of one build.

    Attributes:
        used: every record that the build took or made, for `--cache-to`.
    """

    def __init__(self, places: Places, *, anew: bool) -> None:
        """Takes wingo's cache.

        Args:
            places: the cache, and where others are.
            anew: nothing is taken from it.
        """
        self._places, self._anew = places, anew
        self._records: dict[str, str] = {}
        self._blobs: dict[Digest, Layer] = {}
        self.used: dict[str, bytes] = {}
        self._named: dict[Digest, int] = {}

    def add_source(self, place: Place) -> None:
        """Takes records from a place too; one that is not there yet is none.

        Raises:
            RequestError: what is there is no build cache.
        """
        try:
            artifact = self._places.open(place).read()
        except RemoteError as error:
            if error.status == 404:
                self._places.progress.note(f"there is no build cache at {place} yet")
                return
            raise
        except RequestError as error:
            if place.kind is PlaceKind.REGISTRY:
                raise
            self._places.progress.note(f"there is no build cache at {place} yet ({error})")
            return
        if not isinstance(artifact, Image) or artifact.manifest.config.media_type != CONFIG_TYPE:
            raise RequestError(f"{place} is no build cache of wingo's", hint="Give what --cache-to wrote.")
        try:
            found = msgspec.json.decode(artifact.config_bytes, type=_Records)
        except msgspec.DecodeError as error:
            raise ContentError(f"the build cache {place} is damaged: {error}") from error
        self._records.update(found.records)
        self._blobs.update({layer.descriptor.digest: layer for layer in artifact.layers})

    def get(self, kind: str, key: str) -> bytes | None:
        """A record; None when there is none, or everything is to be done anew."""
        if self._anew:
            return None
        data = self._places.cache.record(kind, key)
        if data is None and (text := self._records.get(f"{kind}/{key}")) is not None:
            data = text.encode()
        if data is not None:
            self.used[f"{kind}/{key}"] = data
        return data

    def keep(self, kind: str, key: str, data: bytes) -> None:
        """Keeps a record.

        Raises:
            HostError: the cache cannot be written.
        """
        self._places.cache.keep_record(kind, key, data)
        self.used[f"{kind}/{key}"] = data

    def forget(self, kind: str, key: str) -> None:
        """Forgets a record that nobody can read."""
        self._places.cache.forget_record(kind, key)
        self._records.pop(f"{kind}/{key}", None)
        self.used.pop(f"{kind}/{key}", None)

    def has(self, digest: str, size: int) -> bool:
        """Whether the bytes that a record names are here, fetched now if another cache has them."""
        wanted = parse_digest(digest)
        self._named[wanted] = size
        if self._places.cache.blobs.has(wanted, size):
            return True
        layer = self._blobs.get(wanted)
        if layer is None or layer.descriptor.size != size:
            return False
        try:
            with layer.open() as stream, self._places.cache.blobs.writer() as writer:
                while data := stream.read(1 << 20):
                    writer.write(data)
                return writer.keep() == wanted
        except WingoError as error:
            self._places.progress.note(f"a part of the build cache cannot be had: {error}")
            return False

    def named(self, digest: str, size: int) -> None:
        """Says that a record names bytes, so that they travel with it."""
        self._named[parse_digest(digest)] = size

    def write(self, place: Place) -> None:
        """Writes what the build used to a place: a registry's tag, or `oci:DIR`.

        Raises:
            RequestError: the place cannot hold it.
            RemoteError, HostError: it cannot be written.
        """
        config = msgspec.json.encode(_Records({name: self.used[name].decode() for name in sorted(self.used)}))
        if len(config) > MAX_CONFIG_BYTES:
            raise RequestError("the build has too many steps for a build cache", hint="Leave --cache-to out.")
        blobs = self._places.cache.blobs
        layers = []
        for digest, size in sorted(self._named.items()):
            if blobs.has(digest, size):
                descriptor = Descriptor(_BLOB_TYPE, digest, size)
                layers.append(Layer(descriptor, Digest(""), _opener(self._places, descriptor)))
        manifest = Manifest(
            schema_version=2,
            media_type=OCI_MANIFEST,
            config=Descriptor(CONFIG_TYPE, sha256_digest(config), len(config)),
            layers=tuple(layer.descriptor for layer in layers),
        )
        artifact = Image(encode(manifest), OCI_MANIFEST, config, tuple(layers))
        if place.reference is not None:
            self._places.push(artifact, [place.reference])
        else:
            self._places.write(artifact, [place], "build-cache")


def _opener(places: Places, descriptor: Descriptor) -> Opener:
    return lambda: places.cache.open_layer(descriptor)


def cache_places(texts: Sequence[str], flag: str) -> tuple[Place, ...]:
    """Reads `--cache-from` and `--cache-to`.

    Raises:
        RequestError: a place that cannot hold a build cache.
    """
    from wingo.oci.place import parse_place

    places = []
    for text in texts:
        place = parse_place(text, default_tag="build-cache")
        if place.kind not in (PlaceKind.REGISTRY, PlaceKind.LAYOUT):
            raise RequestError(f"{flag} {text}: a build cache is in a registry or in oci:DIR")
        places.append(place)
    return tuple(places)
