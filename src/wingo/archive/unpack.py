"""Reading layers and tars that others made: streaming, flat in memory, and nothing in them is believed.

Understood are ustar, PAX, GNU long names and base-256 numbers, which is what Go, GNU tar, bsdtar and Python write;
sparse files and volumes are refused. Compression is told from the bytes, not from the media type.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from wingo.archive.blocks import Blocks
from wingo.archive.headers import Headers, Member, MemberKind
from wingo.archive.inflate import DEFAULT_LIMITS, Limits, decompressed
from wingo.archive.streams import Stream
from wingo.archive.tar import BLOCK
from wingo.errors import ContentError, DigestMismatch, Malformed
from wingo.oci.digest import Hasher, algorithm_of

if TYPE_CHECKING:
    from wingo.image.model import Layer

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "Member",
    "MemberKind",
    "TarContent",
    "check_layer",
    "decompressed",
    "open_tar",
    "read_tar",
    "safe_components",
]

_READ_SIZE = 1 << 18
_TAR = "tar"


class TarContent(Stream):
    """One file's bytes, while the tar is at it."""

    def __init__(self, blocks: Blocks, size: int) -> None:
        # Nothing above has a word to say, and there may be a hundred thousand of these.
        self._blocks = blocks
        self.left = size

    def some(self, size: int) -> bytes:
        """Some bytes.

        Raises:
            Malformed: the tar ends in the middle of the file.
        """
        return self.read(size)

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, at most `size`; all that are left when it is negative; raises what `some` raises."""
        if size is None or size < 0:
            return super().read(-1)
        data = self._blocks.some(min(self.left, size))
        self.left -= len(data)
        return data


def read_tar(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Member, BinaryIO]]:
    """Goes through a tar, which is not compressed.

    Each file's content can be read until the next entry is asked for; what is left is skipped, by seeking if the stream
    can. Names are not made safe here: see `safe_components`.

    Args:
        stream: is read to the end of the archive, and not closed.
        limits: where reading stops.

    Raises:
        Malformed: no tar, cut short, or beyond the limits.
    """
    blocks = Blocks(stream)
    headers = Headers(blocks, limits.header_bytes)
    count = 0
    while (member := headers.next()) is not None:
        count += 1
        if count > limits.entries:
            raise Malformed(_TAR, f"more than {limits.entries} entries", offset=blocks.position)
        size = member.size
        content = TarContent(blocks, size)
        yield member, cast("BinaryIO", content)
        if size:
            left, content.left = content.left, 0
            blocks.skip(left + -size % BLOCK)


def safe_components(name: str) -> tuple[str, ...]:
    """A name's components below some root: `./a//b/` and `/a/b` are `("a", "b")`.

    Raises:
        Malformed: it leads out of the root, or has a NUL.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name:
        raise Malformed(_TAR, f"the name {name[:200]!r} leads out of the directory that it is in")
    return parts


@contextmanager
def open_tar(layer: Layer, limits: Limits = DEFAULT_LIMITS) -> Iterator[BinaryIO]:
    """Opens a layer's tar, uncompressed; when the block ends without an error, the bytes were the diff_id's.

    Raises:
        DigestMismatch: they were not.
        ContentError: it is no image's layer, the stored bytes are damaged, or more than the limits allow.
    """
    if not layer.diff_id:
        raise Malformed("layer", f"{layer.descriptor.digest} belongs to an artifact that is no image")
    if layer.descriptor.media_type.endswith("+encrypted"):
        # ocicrypt's media types.
        raise ContentError(
            f"the layer {layer.descriptor.digest} is encrypted",
            hint="Decrypt the image first, for instance with skopeo copy --decryption-key.",
        )
    hasher = Hasher(algorithm_of(layer.diff_id))
    with layer.open() as stored:
        tar = _Hashed(decompressed(stored, limits), hasher)
        yield cast("BinaryIO", tar)
        while tar.read(_READ_SIZE):
            pass
        # To the end, so that the stored bytes' own digest is checked as well.
        while stored.read(_READ_SIZE):
            pass
    if hasher.digest() != layer.diff_id:
        raise DigestMismatch(f"the unpacked layer {layer.descriptor.digest}", layer.diff_id, hasher.digest())


def check_layer(layer: Layer, limits: Limits = DEFAULT_LIMITS) -> int:
    """Reads a whole layer and checks it: stored bytes, compression, diff_id and the structure of the tar.

    Returns:
        The length of the tar in bytes.

    Raises:
        ContentError: something is not as claimed.
    """
    with open_tar(layer, limits) as tar:
        for _ in read_tar(tar, limits):
            pass
        while tar.read(_READ_SIZE):
            pass
        return tar.tell()


class _Hashed(Stream):
    """Passes bytes on and digests them."""

    def __init__(self, stream: BinaryIO, hasher: Hasher) -> None:
        super().__init__()
        self._stream = stream
        self._hasher = hasher

    def tell(self) -> int:
        return self._hasher.size

    def some(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._hasher.update(data)
        return data
