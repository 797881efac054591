"""The bytes of files in a view, straight from their layers: one pass over each layer, nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, cast

from wingo.archive.streams import Stream
from wingo.archive.unpack import DEFAULT_LIMITS, Limits, decompressed
from wingo.errors import DigestMismatch, Malformed
from wingo.view.layer import Node

if TYPE_CHECKING:
    from wingo.image.model import Image

_READ_SIZE = 1 << 18


class FileContent(Stream):
    """One file's bytes. The last of them come only after all were found to be those that were listed."""

    def __init__(self, tar: BinaryIO, node: Node) -> None:
        super().__init__()
        self._tar = tar
        self._node = node
        self._hasher = sha256()
        self.left = node.size

    def some(self, size: int) -> bytes:
        """Some bytes.

        Raises:
            DigestMismatch: the layer has other bytes than when it was listed.
            Malformed: it ends too early.
        """
        if not self.left:
            return b""
        data = self._tar.read(min(size, self.left, _READ_SIZE))
        if not data:
            raise Malformed("tar", f"it is cut short in {self._node.path[:200]!r}", offset=self._node.offset)
        self.left -= len(data)
        self._hasher.update(data)
        if not self.left and self._hasher.digest() != self._node.sha256:
            raise DigestMismatch(
                f"the file {self._node.path[:200]!r}", self._node.digest, f"sha256:{self._hasher.hexdigest()}"
            )
        return data


def open_each(image: Image, nodes: Iterable[Node], limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Node, BinaryIO]]:
    """Opens files one after another, in the order in which their bytes lie in the layers.

    Each layer is decompressed once, as far as the last file that is wanted of it; names that share their content cost
    another pass each. A stream can be read until the next one is asked for. Its bytes are checked against what was
    listed, and that against the layer's diff_id: whoever has read a file to its end has the right bytes.

    Args:
        image: whose layers have the files.
        nodes: files, as `View` gives them.
        limits: where reading stops.

    Raises:
        ContentError: a layer is damaged.
        RequestError: a layer is not at hand (a thin layout).
        RemoteError: a registry does not give it.
    """
    pending = sorted(nodes, key=lambda node: (node.layer, node.offset))
    while pending:
        again: list[Node] = []
        by_layer: dict[int, list[Node]] = {}
        for node in pending:
            listed = by_layer.setdefault(node.layer, [])
            if listed and node.size and listed[-1].offset == node.offset:
                again.append(node)
            else:
                listed.append(node)
        for number, wanted in by_layer.items():
            yield from _one_layer(image, number, wanted, limits)
        pending = again


def _one_layer(image: Image, number: int, wanted: Sequence[Node], limits: Limits) -> Iterator[tuple[Node, BinaryIO]]:
    with _opened(image, number, limits) as tar:
        at = 0
        for node in wanted:
            content = FileContent(tar, node)
            if node.size:
                _skip(tar, node.offset - at, node)
                at = node.offset + node.size
            yield node, cast("BinaryIO", content)
            while content.read(_READ_SIZE):
                pass


@contextmanager
def _opened(image: Image, number: int, limits: Limits) -> Iterator[BinaryIO]:
    with image.layers[number].open() as stored:
        yield decompressed(stored, limits)


def _skip(tar: BinaryIO, size: int, node: Node) -> None:
    while size:
        data = tar.read(min(size, _READ_SIZE))
        if not data:
            raise Malformed("tar", f"it is cut short before {node.path[:200]!r}", offset=node.offset)
        size -= len(data)
