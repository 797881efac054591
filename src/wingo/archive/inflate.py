"""Decompression of what others made: gzip, zstd or neither, told from the bytes, with an end to its appetite."""

from __future__ import annotations

from typing import BinaryIO, Protocol, cast

import msgspec
from zlib_ng import zlib_ng

from wingo.archive.streams import Stream
from wingo.errors import HostError, Malformed

_READ_SIZE = 1 << 20
"""Bytes that come out at once: each call costs, and other threads wait for it."""
_GZIP_READ_SIZE = 1 << 16
_ZSTD_READ_SIZE = 1 << 10
_MAX_ZSTD_WINDOW = 128 << 20
_GZIP = 16 + zlib_ng.MAX_WBITS
_DAMAGE = cast("type[Exception]", zlib_ng.error)


class Limits(msgspec.Struct, frozen=True):
    """Where reading stops.

    Attributes:
        entries: of one tar; the largest Windows base has about 100,000.
        header_bytes: of one entry's extended headers; security descriptors and attributes are in there.
        free_bytes: uncompressed bytes that are read whatever the ratio.
        ratio: uncompressed bytes for each compressed one, beyond `free_bytes`; deflate itself ends at about 1030.
    """

    entries: int = 2_000_000
    header_bytes: int = 1 << 20
    free_bytes: int = 2 << 30
    ratio: int = 200


DEFAULT_LIMITS = Limits()


def decompressed(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> BinaryIO:
    """A stream of what is in a gzip, zstd or plain one, several members or frames included.

    Raises:
        Malformed: while reading: damaged, cut short, or too much comes out of too little.
    """
    counted = _Counted(stream)
    magic = counted.peek(4)
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", _Guarded("gzip", _Gzip(counted), counted, limits))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast("BinaryIO", _Guarded("zstd", _Zstd(counted), counted, limits))
    return cast("BinaryIO", counted)


class _Counted(Stream):
    """Counts the bytes that come, and can look at the first ones."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (data := self._stream.read(size - len(self._ahead))):
            self._ahead += data
        return self._ahead

    def some(self, size: int) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._stream.read(size)
        self.count += len(data)
        return data


class _Inflater(Protocol):
    """Gives what is in a compressed stream."""

    def some(self, size: int) -> bytes:
        """At least one byte and at most `size`; b"" at the end; EOFError when it is cut short."""
        ...


class _Gzip:
    """Member after member (RFC 1952 §2.2). Python's `gzip.GzipFile` takes three times the time, and more where members are short."""

    def __init__(self, stored: _Counted) -> None:
        self._stored = stored
        self._member = zlib_ng.decompressobj(_GZIP)

    def some(self, size: int) -> bytes:
        while True:
            if self._member.eof:
                # Zeros may follow a member, as a tape's last block has them; all else is another member, or damage.
                data = self._member.unused_data.lstrip(b"\0")
                while not data:
                    data = self._stored.read(_GZIP_READ_SIZE)
                    if not data:
                        return b""
                    data = data.lstrip(b"\0")
                self._member = zlib_ng.decompressobj(_GZIP)
            else:
                data = self._member.unconsumed_tail or self._stored.read(_GZIP_READ_SIZE)
            plain = self._member.decompress(data, size)
            if plain:
                return plain
            if not data and not self._member.eof:
                raise EOFError


class _Zstd:
    """Frame after frame. The package's own stream takes a frame that is cut short for a whole one."""

    def __init__(self, stored: _Counted) -> None:
        from zstandard import ZstdDecompressor

        self._stored = stored
        # A window is held in memory, and its size is the frame's choice.
        self._decompressor = ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._in_frame = False
        self._ready = memoryview(b"")

    def some(self, size: int) -> bytes:
        while not self._ready:
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame, self._in_frame = self._decompressor.decompressobj(), False
            else:
                data = b""
            # A block is 4 bytes at least and 128 KiB unpacked at most: so no more than 32 MiB come at once.
            data = data or self._stored.read(_ZSTD_READ_SIZE)
            if not data:
                if self._in_frame:
                    raise EOFError
                return b""
            self._in_frame = True
            self._ready = memoryview(self._frame.decompress(data))
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data


class _Guarded(Stream):
    """What comes out of a decompressor, with its errors as ours and an end to its appetite."""

    def __init__(self, format: str, plain: _Inflater, stored: _Counted, limits: Limits) -> None:
        super().__init__()
        self._format = format
        self._plain = plain
        self._stored = stored
        self._limits = limits
        self._count = 0

    def some(self, size: int) -> bytes:
        try:
            data = self._plain.some(min(size, _READ_SIZE))
        except EOFError as error:
            raise Malformed(self._format, "it is cut short", offset=self._stored.count) from error
        except _DAMAGE as error:
            raise Malformed(self._format, str(error), offset=self._stored.count) from error
        except OSError as error:
            raise HostError(f"cannot read: {error.strerror or error}") from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise Malformed(self._format, str(error), offset=self._stored.count) from error
        self._count += len(data)
        if self._count > self._limits.free_bytes and self._count > self._stored.count * self._limits.ratio:
            raise Malformed(
                self._format, f"{self._stored.count} bytes become more than {self._count}: it would fill the disk"
            )
        return data
