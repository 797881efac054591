"""Layers to what rules look at: every entry as it stands there, read once, flat in memory but for the list of entries."""

from __future__ import annotations

from typing import BinaryIO, cast

from wingo.archive.streams import Stream
from wingo.archive.unpack import DEFAULT_LIMITS, Limits, Member, open_tar, read_tar
from wingo.check.subject import LayerSubject
from wingo.errors import ContentError
from wingo.image.model import Layer, Opener

_HEAD = 10
_READ_SIZE = 1 << 18


def read_layer_subject(
    layer: Layer, os: str, *, on_base: bool, program: str = "", limits: Limits = DEFAULT_LIMITS
) -> LayerSubject:
    """Reads a layer's entries; what is wrong with its bytes becomes the subject's `problem`.

    Args:
        layer: from an image.
        os: of the image's config.
        on_base: whether there are layers below.
        program: the entry of the program that the image starts; "" when it is not in this layer.
        limits: where reading stops.

    Raises:
        WingoError: the layer cannot be fetched; not what its bytes say.
    """
    members: list[Member] = []
    problem = ""
    head = _Head()
    try:
        with open_tar(Layer(layer.descriptor, layer.diff_id, head.over(layer.open)), limits) as tar:
            members.extend(member for member, _ in read_tar(tar, limits))
            while tar.read(_READ_SIZE):
                pass
    except ContentError as error:
        problem = str(error)
    return LayerSubject(
        descriptor=layer.descriptor,
        os=os,
        members=tuple(members),
        head=head.first,
        problem=problem,
        on_base=on_base,
        program=program,
    )


class _Head(Stream):
    """Passes the stored bytes on, and keeps the first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = b""
        self._stored: BinaryIO | None = None

    def over(self, opener: Opener) -> Opener:
        """An opener of the same bytes."""

        def opened() -> BinaryIO:
            self._stored = opener()
            return cast("BinaryIO", self)

        return opened

    def some(self, size: int) -> bytes:
        assert self._stored is not None
        data = self._stored.read(size)
        if len(self.first) < _HEAD:
            self.first += data[: _HEAD - len(self.first)]
        return data

    def close(self) -> None:
        if self._stored is not None:
            self._stored.close()
        super().close()
