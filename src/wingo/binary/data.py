"""Random access to a program's bytes: in memory, mapped, or a file that is read where it is needed.

Nothing is believed: what is asked for beyond the end is `Malformed`, with the offset. Nothing that a file claims decides how
much memory is used, because every read is bounded by the bytes that are there.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from wingo.errors import HostError, Malformed

Buffer = bytes | bytearray | memoryview
"""Bytes in memory; a memory map is passed in a memoryview, by a caller that may open files."""

_WINDOW = 1 << 16
_CHUNK = 1 << 22
MAX_TEXT = 4096
"""Bytes of one name: of a library, a symbol or a path; the longest real ones have a few hundred."""


class Data:
    """A program's bytes.

    Attributes:
        format: the format's name, for errors: "PE", "ELF", "Mach-O".
        size: in bytes.
    """

    def __init__(self, source: Buffer | BinaryIO, format: str = "program") -> None:
        self.format = format
        self._start = 0
        self._stream: BinaryIO | None = None
        self._window = memoryview(b"")
        self._window_at = 0
        self._whole = source if isinstance(source, bytes) else None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._buffer = memoryview(source).cast("B").toreadonly()
            self.size = len(self._buffer)
        else:
            self._buffer = memoryview(b"")
            self._stream = source
            try:
                self.size = source.seek(0, io.SEEK_END)
            except OSError as error:
                raise HostError(f"cannot seek in a program: {error.strerror or error}") from error

    def part(self, offset: int, size: int, format: str) -> Data:
        """A range of the bytes as a program of its own; offsets in its errors count from its own start.

        Raises:
            Malformed: the range is not all there.
        """
        self._check(offset, size, "a program in it")
        inner = Data(b"", format)
        inner._whole = None
        inner._stream, inner._start, inner.size = self._stream, self._start + offset, size
        if self._stream is None:
            inner._start, inner._buffer = 0, self._buffer[offset : offset + size]
        return inner

    def malformed(self, problem: str, offset: int | None = None, *, hint: str = "") -> Malformed:
        """The error for this program; an offset beyond its end is where it ends."""
        offset = None if offset is None else min(max(offset, 0), self.size)
        return Malformed(self.format, problem, offset=offset, hint=hint)

    def take(self, offset: int, size: int, what: str) -> memoryview:
        """Exactly these bytes.

        Args:
            offset: of the first.
            size: how many.
            what: they are, for the error.

        Raises:
            Malformed: the file ends before.
            HostError: the file cannot be read.
        """
        self._check(offset, size, what)
        if self._stream is None:
            return self._buffer[offset : offset + size]
        if size > _WINDOW:
            return self._read(offset, size)
        at = offset - self._window_at
        if not 0 <= at <= len(self._window) - size:
            self._window_at = at = offset & ~0xFFF
            self._window = self._read(at, min(2 * _WINDOW, self.size - at))
            at = offset - at
        return self._window[at : at + size]

    def upto(self, offset: int, size: int) -> memoryview:
        """These bytes, or as many of them as the file has."""
        start = min(max(offset, 0), self.size)
        return self.take(start, max(min(size, self.size - start), 0), "bytes")

    def window(self, offset: int, size: int) -> tuple[bytes, int]:
        """These bytes, or as many of them as the file has, for searching: some bytes, and where in them they begin.

        Nothing is copied when the whole program is in memory as `bytes`.
        """
        part = self.upto(offset, size)
        return (self._whole, offset) if self._whole is not None else (bytes(part), 0)

    def find(self, needle: bytes, start: int, end: int, align: int = 1) -> int:
        """The offset of the first place from `start` on, a multiple of `align` beyond it, where `needle` is; or -1."""
        end = min(end, self.size)
        if self._whole is not None:
            at = self._whole.find(needle, start, end)
            while at >= 0 and (at - start) % align:
                at = self._whole.find(needle, at + 1, end)
            return at
        position = start
        while position < end:
            chunk = bytes(self.take(position, min(_CHUNK, end - position), "a section"))
            at = chunk.find(needle)
            while at >= 0 and (position + at - start) % align:
                at = chunk.find(needle, at + 1)
            if at >= 0:
                return position + at
            if position + len(chunk) >= end:
                return -1
            position += len(chunk) - len(needle) + 1
        return -1

    def text(self, offset: int, what: str, limit: int = MAX_TEXT) -> str:
        """Text that ends with a NUL; bytes that are no UTF-8 are surrogates.

        Raises:
            Malformed: there is no NUL within `limit` bytes.
        """
        self._check(offset, 1, what)
        size = 256
        while True:
            data = bytes(self.upto(offset, min(size, limit)))
            end = data.find(b"\0")
            if end >= 0:
                return data[:end].decode("utf-8", "surrogateescape")
            if len(data) < size or size >= limit:
                raise self.malformed(f"{what} does not end within {len(data)} bytes", offset)
            size *= 4

    def _check(self, offset: int, size: int, what: str) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.malformed(
                f"{what} would end at byte {offset + size}, and the file has {self.size}",
                offset,
            )

    def _read(self, offset: int, size: int) -> memoryview:
        assert self._stream is not None
        try:
            self._stream.seek(self._start + offset)
            pieces = []
            left = size
            while left and (piece := self._stream.read(left)):
                pieces.append(piece)
                left -= len(piece)
        except OSError as error:
            raise HostError(f"cannot read a program: {error.strerror or error}") from error
        if left:
            raise self.malformed(f"it was cut short while it was read: {left} bytes are missing", offset)
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))


class Range:
    """A range of addresses that the file has bytes for."""

    __slots__ = ("address", "offset", "size")

    def __init__(self, address: int, offset: int, size: int) -> None:
        self.address, self.offset, self.size = address, offset, size


class Memory:
    """A program's bytes by address, as its headers say that they are loaded.

    Attributes:
        data: the bytes of the file.
        ranges: what is loaded, in the file's order.
        big_endian: how numbers are stored.
        bits: 32 or 64, the size of a pointer.
    """

    def __init__(self, data: Data, ranges: list[Range], *, bits: int, big_endian: bool = False) -> None:
        self.data = data
        # What lies beyond the end of the file is not there; a file that was cut short says so where it is read.
        self.ranges = [
            Range(each.address, each.offset, min(each.size, data.size - each.offset))
            for each in ranges
            if 0 <= each.offset < data.size and each.size > 0
        ]
        self.bits = bits
        self.big_endian = big_endian
        self._last = self.ranges[0] if self.ranges else Range(0, 0, 0)

    def place(self, address: int) -> tuple[int, int]:
        """The file offset of an address, and how many bytes its range has from there; (-1, 0) when it has none."""
        last = self._last
        at = address - last.address
        if 0 <= at < last.size:
            return last.offset + at, last.size - at
        for each in self.ranges:
            at = address - each.address
            if 0 <= at < each.size:
                self._last = each
                return each.offset + at, each.size - at
        return -1, 0

    def take(self, address: int, size: int, what: str) -> memoryview:
        """Exactly these bytes.

        Raises:
            Malformed: no bytes are loaded there, or not as many.
        """
        offset, there = self.place(address)
        if there < size or offset < 0:
            raise self.data.malformed(
                f"{what} is at the address {address:#x}, where {size} bytes are not loaded", max(offset, 0)
            )
        return self.data.take(offset, size, what)

    def text(self, address: int, what: str, limit: int = MAX_TEXT) -> str:
        """Text at an address that ends with a NUL.

        Raises:
            Malformed: no bytes are loaded there, or no NUL is near.
        """
        offset, there = self.place(address)
        if offset < 0:
            raise self.data.malformed(f"{what} is at the address {address:#x}, where nothing is loaded", None)
        return self.data.text(offset, what, min(limit, there))
