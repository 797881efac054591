"""`pack`: a recipe becomes a layer in one pass, with both digests; `recipe_key` tells whether that was done before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import msgspec

from wingo.archive.gzip import PIECE, Compression, Compressor, compressor, encoder_name
from wingo.archive.tar import READ_SIZE, entry_headers, tar_stream
from wingo.errors import HostError
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher
from wingo.oci.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD

if TYPE_CHECKING:
    from wingo.archive.entry import Content, LayerRecipe

MAX_THREADS = 16
"""More would hold more pieces at once than the promised 64 MiB."""
_AHEAD = 2
"""Pieces that wait beyond those being compressed."""
_MEDIA_TYPES = {
    Compression.GZIP: OCI_LAYER_GZIP,
    Compression.ZSTD: OCI_LAYER_ZSTD,
    Compression.NONE: OCI_LAYER,
}


class Writable(Protocol):
    """Where bytes go."""

    def write(self, data: bytes | bytearray, /) -> object:
        """Takes all of them."""


class PackedLayer(msgspec.Struct, frozen=True):
    """What is known of a layer that was packed.

    Attributes:
        descriptor: of the bytes as stored.
        diff_id: the digest of the tar.
        uncompressed_size: of the tar, in bytes.
    """

    descriptor: Descriptor
    diff_id: Digest
    uncompressed_size: int


def pack(
    recipe: LayerRecipe, out: Writable, *, compression: str | Compression = Compression.GZIP, threads: int = 1
) -> PackedLayer:
    """Writes a recipe's layer and computes both digests, in one pass over the content.

    The bytes depend on the recipe, the compression and the encoder's version alone, not on `threads`. Memory stays
    flat: about 3 MiB for each thread, whatever the size.

    Args:
        recipe: what goes in.
        out: where the stored bytes go; it is not closed.
        compression: "gzip", "zstd" or "none".
        threads: how many pieces are compressed at once; at most 16 are used.

    Raises:
        RequestError: an entry that no layer should have.
        HostError: a file cannot be read.
        ContentError: a file is not what its content claims, mostly because it changed meanwhile.
    """
    chosen = Compression(compression)
    tar, stored = Hasher(), Hasher()

    def pieces() -> Iterator[bytes]:
        for piece in _pieces(tar_stream(recipe), PIECE):
            tar.update(piece)
            yield piece

    for data in _compressed(pieces(), compressor(chosen), min(threads, MAX_THREADS)):
        stored.update(data)
        out.write(data)
    descriptor = Descriptor(_MEDIA_TYPES[chosen], stored.digest(), stored.size)
    return PackedLayer(descriptor, tar.digest(), tar.size)


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cuts a stream anew, into pieces of `size` bytes and a last one with the rest."""
    waiting: list[bytes | memoryview] = []
    length = 0
    for chunk in chunks:
        rest: bytes | memoryview = chunk
        while length + len(rest) >= size:
            cut = size - length
            view = memoryview(rest)
            waiting.append(view[:cut])
            yield b"".join(waiting)
            waiting.clear()
            length, rest = 0, view[cut:]
        if rest:
            waiting.append(rest)
            length += len(rest)
    if length:
        yield b"".join(waiting)


def _compressed(pieces: Iterator[bytes], compress: Compressor, threads: int) -> Iterator[bytes | bytearray]:
    """Each piece compressed, in order, with a bounded number under way."""
    if threads <= 1:
        yield from map(compress, pieces)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    under_way: deque[Future[bytes | bytearray]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="pack") as pool:
        try:
            for piece in pieces:
                under_way.append(pool.submit(compress, piece))
                if len(under_way) >= threads + _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def recipe_key(recipe: LayerRecipe, *, compression: str | Compression = Compression.GZIP) -> str:
    """A key that is equal for equal layers and differs for different ones: hex digits, usable as a file name.

    It covers every entry's header, the content's digest (read and hashed here when nobody knows it yet), the
    compression and its encoder's version; not `created_by` and `comment`, which do not reach the layer's bytes.

    Raises:
        RequestError: an entry that no layer should have.
        HostError: a file cannot be read.
    """
    key = sha256(b"wingo layer 1\0" + encoder_name(Compression(compression)).encode() + b"\0")
    for entry in recipe.entries:
        key.update(entry_headers(entry, recipe.epoch))
        if entry.content is not None:
            key.update((entry.content.digest or _digest(entry.content)).encode())
    return key.hexdigest()


def _digest(content: Content) -> str:
    hasher = sha256()
    with content.open() as stream:
        try:
            while piece := stream.read(READ_SIZE):
                hasher.update(piece)
        except OSError as error:
            raise HostError(f"cannot read {content.origin}: {error.strerror or error}") from error
    return f"sha256:{hasher.hexdigest()}"
