"""`Cache`: what wingo can make or fetch again, below one directory; safe for several processes at once.

```
blobs/sha256/<hex>     manifests, configs, base layers, packed layers, by digest
tags/<key>             which descriptor a reference stood for, and when that was seen
packed/<key>           which layer a recipe was packed into (`recipe_key`)
records/<kind>/<key>   what others keep here: build records
locks/<name>           empty
```

What is damaged is thrown away, said once through `notes`, and made or fetched again by whoever asked. A name that
is no file name (a reference) is kept under its sha256, and stands in the file too.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec

from wingo.errors import ContentError, HostError, RequestError
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, parse_digest
from wingo.oci.wire import MAX_CONFIG_BYTES, decoder
from wingo.stores.blobs import BlobDirectory, NewFile, host_errors, make_directory
from wingo.stores.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from wingo.archive.entry import LayerRecipe
    from wingo.archive.pack import PackedLayer
    from wingo.image.model import Layer, Opener

MAX_RECORD_BYTES = 64 << 20
"""Bytes of one record; a build record lists every file of a program's packages."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_READ_SIZE = 1 << 20
_RECORDS = "records" + os.sep
_T = TypeVar("_T")


class SeenTag(msgspec.Struct, frozen=True):
    """What a reference stood for when it was last asked for.

    Attributes:
        reference: as it was asked for, in full.
        descriptor: what the registry answered.
        seen: when, in seconds since 1970.
    """

    reference: str
    descriptor: Descriptor
    seen: float


class _Packed(msgspec.Struct, frozen=True):
    descriptor: Descriptor
    diff_id: Digest
    uncompressed_size: int


class Cache:
    """The cache below one directory.

    Attributes:
        root: the directory, made when something is written; then only its owner may enter it.
        blobs: everything by digest; damaged blobs are removed and said.
    """

    def __init__(self, root: str, notes: Callable[[str], None] = lambda _note: None) -> None:
        """Takes a directory.

        Args:
            root: the platform's cache directory for wingo.
            notes: is told one sentence when something damaged was thrown away; may be called from several threads.
        """
        self.root = root
        self._notes = notes
        self.blobs = BlobDirectory(root, self._damaged_blob, private=True)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """A lock between all processes that use this cache, for instance for one build.

        Args:
            name: letters, digits, `_`, `.` and `-`.
        """
        path = self._file("locks", name)
        self.blobs.make_root()
        return locked(path)

    # Documents

    def document(self, digest: Digest) -> bytes | None:
        """A manifest, index or config; None when it is not there (any more)."""
        return self.blobs.read(digest, MAX_CONFIG_BYTES)

    def keep_document(self, data: bytes) -> Digest:
        """Keeps a manifest, index or config under its digest.

        Raises:
            HostError: it cannot be written.
        """
        return self.blobs.put(data)

    # Tags

    def seen_tag(self, reference: str) -> SeenTag | None:
        """What a reference stood for when it was last asked for; for `--offline`."""
        seen = self._read("tags", _key(reference), SeenTag)
        return seen if seen is not None and seen.reference == reference else None

    def keep_tag(self, reference: str, descriptor: Descriptor, now: float) -> None:
        """Remembers what a registry answered.

        Raises:
            HostError: it cannot be written.
        """
        self._write("tags", _key(reference), SeenTag(reference, descriptor, now))

    def seen_tags(self) -> list[SeenTag]:
        """Every reference that is remembered, by name."""
        seen = (self._read("tags", key, SeenTag) for key in self._names("tags"))
        return sorted((item for item in seen if item is not None), key=lambda item: item.reference)

    def forget_tag(self, reference: str) -> bool:
        """Forgets a reference; whether it was known."""
        return self._remove("tags", _key(reference))

    # Packed layers

    def packed(self, key: str) -> PackedLayer | None:
        """The layer that a recipe was packed into, if its bytes are still here.

        Args:
            key: of `wingo.archive.pack.recipe_key`.
        """
        from wingo.archive.pack import PackedLayer

        known = self._read("packed", key, _Packed)
        if known is None or not self.blobs.has(known.descriptor.digest, known.descriptor.size):
            return None
        return PackedLayer(known.descriptor, known.diff_id, known.uncompressed_size)

    def pack(self, recipe: LayerRecipe, *, key: str = "", compression: str = "gzip", threads: int = 1) -> Layer:
        """The recipe's layer: the one packed before, else packed now.

        Args:
            recipe: what goes in.
            key: of `recipe_key` for the same recipe and compression, when the caller has it.
            compression: "gzip", "zstd" or "none".
            threads: how many pieces are compressed at once.

        Raises:
            RequestError: an entry that no layer should have.
            HostError: a file cannot be read, or the cache cannot be written.
            ContentError: a file changed while it was read.
        """
        from wingo.archive.pack import recipe_key
        from wingo.image.model import Layer

        key = key or recipe_key(recipe, compression=compression)

        def pack_now() -> PackedLayer:
            from wingo.archive.pack import pack

            with self.blobs.writer() as writer:
                packed = pack(recipe, writer, compression=compression, threads=threads)
                writer.keep()
            self._write("packed", key, _Packed(packed.descriptor, packed.diff_id, packed.uncompressed_size))
            return packed

        packed = self.packed(key) or pack_now()

        def open_anew() -> BinaryIO:
            pack_now()
            return self.open_layer(packed.descriptor)

        opener = partial(self.open_layer, packed.descriptor, open_anew)
        return Layer(packed.descriptor, packed.diff_id, opener)

    def open_layer(self, descriptor: Descriptor, elsewhere: Opener | None = None) -> BinaryIO:
        """Opens a layer that is here. It is read once before, so that a damaged one is mended and not passed on.

        Args:
            descriptor: of the layer.
            elsewhere: opens the same layer when it is not here any more, or is damaged.

        Raises:
            HostError: it is not here any more, and nobody else has it.
        """
        stream = self.blobs.open(descriptor) if self._is_sound(descriptor) else None
        if stream is not None:
            return stream
        if elsewhere is not None:
            return elsewhere()
        raise HostError(
            f"the layer {descriptor.digest} has gone from the cache {self.root}",
            hint="Run the same command again: it makes or fetches the layer anew.",
        )

    def _is_sound(self, descriptor: Descriptor) -> bool:
        try:
            stream = self.blobs.open(descriptor)
            if stream is None:
                return False
            with stream:
                while stream.read(_READ_SIZE):
                    pass
        except ContentError:
            return False
        return True

    # Records of others

    def record(self, kind: str, key: str) -> bytes | None:
        """What was kept under a name; None when nothing was.

        Args:
            kind: letters, digits, `_`, `.` and `-`, as `key`.
            key: the name.
        """
        return self._bytes(_RECORDS + kind, key)

    def keep_record(self, kind: str, key: str, data: bytes) -> None:
        """Keeps bytes under a name, in place of those that are there.

        Raises:
            HostError: they cannot be written.
        """
        self._write_bytes(_RECORDS + kind, key, data)

    def forget_record(self, kind: str, key: str) -> bool:
        """Forgets what was kept; whether there was something."""
        return self._remove(_RECORDS + kind, key)

    # The whole

    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(size for _, size in self.blobs.list())

    # Files

    def _file(self, folder: str, name: str) -> str:
        for part in (folder.removeprefix(_RECORDS), name):
            if not _FILE_NAME.match(part):
                raise RequestError(f"{part[:80]!r} cannot be a name in the cache")
        return os.path.join(self.root, folder, name)

    def _names(self, folder: str) -> list[str]:
        try:
            return [name for name in os.listdir(os.path.join(self.root, folder)) if _FILE_NAME.match(name)]
        except OSError:
            return []

    def _bytes(self, folder: str, name: str) -> bytes | None:
        path = self._file(folder, name)
        with host_errors("read", path):
            try:
                with open(path, "rb") as file:
                    data = file.read(MAX_RECORD_BYTES + 1)
            except FileNotFoundError:
                return None
        # After a 32-byte digest, so that half a file after a crash is noticed whatever is in it.
        if len(data) > MAX_RECORD_BYTES or sha256(data[32:]).digest() != data[:32]:
            self._throw_away(path)
            return None
        return data[32:]

    def _write_bytes(self, folder: str, name: str, data: bytes) -> None:
        path = self._file(folder, name)
        self.blobs.make_root()
        make_directory(os.path.dirname(path))
        with NewFile(self.blobs.scratch()) as file:
            file.write(sha256(data).digest())
            file.write(data)
            file.commit(path)

    def _read(self, folder: str, name: str, kind: type[_T]) -> _T | None:
        data = self._bytes(folder, name)
        if data is None:
            return None
        try:
            value = decoder(kind).decode(data)
            for digest in (value.descriptor.digest,) if isinstance(value, SeenTag | _Packed) else ():
                parse_digest(digest)
        except (msgspec.MsgspecError, ContentError, UnicodeDecodeError, RecursionError):
            # Another version of wingo wrote it, most likely.
            self._throw_away(self._file(folder, name))
            return None
        return value

    def _write(self, folder: str, name: str, value: msgspec.Struct) -> None:
        self._write_bytes(folder, name, msgspec.json.encode(value))

    def _remove(self, folder: str, name: str) -> bool:
        path = self._file(folder, name)
        with host_errors("remove", path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                return False
        return True

    def _throw_away(self, path: str) -> None:
        with suppress(OSError):
            os.unlink(path)
        self._notes(f"{path} in the cache was damaged; it was removed and is made again")

    def _damaged_blob(self, digest: Digest, error: ContentError) -> None:
        self._notes(f"the cached blob {digest} was damaged ({type(error).__name__}); it is made or fetched again")


def _key(name: str) -> str:
    return sha256(name.encode()).hexdigest()
