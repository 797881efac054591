"""`Blocks`: a tar stream, read forward: a little ahead, because headers are small and each read of a stream costs."""

from __future__ import annotations

import io
from typing import BinaryIO

from wingo.archive.tar import BLOCK
from wingo.errors import Malformed

_READ_SIZE = 1 << 18
_AHEAD = 1 << 16
"""Bytes that are read at once to find headers in."""
_TAR = "tar"


class Blocks:
    """Reads a stream, and knows where it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seekable = stream.seekable()
        self._ahead = b""
        self._ahead_at = 0
        self._used = 0

    @property
    def position(self) -> int:
        """Bytes that were read or skipped."""
        return self._ahead_at + self._used

    def some(self, size: int) -> bytes:
        """At least one byte of the next `size`; b"" when that is 0.

        Raises:
            Malformed: none are left.
        """
        used = self._used
        data = self._ahead[used : used + size]
        if data or not size:
            self._used = used + len(data)
            return data
        data = self._stream.read(min(size, _READ_SIZE))
        if not data:
            raise self._cut_short()
        self._ahead_at += used + len(data)
        self._ahead, self._used = b"", 0
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes; `size` is within what an extended header may have.

        Raises:
            Malformed: there are fewer.
        """
        used = self._used
        data = self._ahead[used : used + size]
        if len(data) < size:
            self._fill(size)
            used = 0
            data = self._ahead[:size]
            if len(data) < size:
                self._used = len(data)
                raise self._cut_short()
        self._used = used + size
        return data

    def block(self) -> bytes:
        """The next block; b"" at the end of the stream.

        Raises:
            Malformed: the stream ends within it.
        """
        used = self._used
        data = self._ahead[used : used + BLOCK]
        if len(data) == BLOCK:
            self._used = used + BLOCK
            return data
        self._fill(BLOCK)
        return self.exactly(BLOCK) if self._ahead else b""

    def skip(self, size: int) -> None:
        """Passes over so many bytes, by seeking if the stream can.

        Raises:
            Malformed: there are fewer.
        """
        used = self._used + size
        if used <= len(self._ahead):
            self._used = used
            return
        size = used - len(self._ahead)
        self._ahead_at += len(self._ahead)
        self._ahead, self._used = b"", 0
        if self._seekable and size > _READ_SIZE:
            # All but the last byte by seeking: one beyond the end would not be noticed.
            self._stream.seek(size - 1, io.SEEK_CUR)
            self._ahead_at += size - 1
            size = 1
        while size:
            size -= len(self.some(size))

    def _fill(self, size: int) -> None:
        """Has `size` bytes ahead, or all that are left, from the first of them on."""
        there = len(self._ahead) - self._used
        pieces = [self._ahead[self._used :]]
        while there < size and (data := self._stream.read(max(_AHEAD, size - there))):
            pieces.append(data)
            there += len(data)
        self._ahead_at += self._used
        self._ahead, self._used = b"".join(pieces), 0

    def _cut_short(self) -> Malformed:
        return Malformed(_TAR, "it is cut short", offset=self.position)
