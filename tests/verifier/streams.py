"""Reading a layer blob without trust: gzip of any number of members, zstd, and PAX tar by hand.

`tarfile` is too kind for a verifier: it hides the header format and forgives what Windows does not.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_CHUNK = 1 << 20
_BLOCK = 512
_MAX_RECORDS = 1 << 20  # bytes of PAX records for one entry
_HEAD = 4096  # bytes of each file that are kept, enough for a PE or ELF header


class CorruptLayer(ValueError):
    """The stream cannot be read to its end."""


class TarEntry(NamedTuple):
    """One tar entry as the headers state it, with the first bytes of its content."""

    name: str
    kind: str  # the type flag: "0" file, "1" hard link, "2" symbolic link, "5" directory
    mode: int
    uid: int
    gid: int
    mtime: int
    link: str
    size: int
    pax: dict[str, str]
    magic: bytes
    head: bytes


class Layer(NamedTuple):
    """All entries of a layer, the digest of the uncompressed stream, and oddities of the compressed one."""

    entries: list[TarEntry]
    diff_id: str
    trailing: bool
    neutral: bool


class _Source:
    """The uncompressed stream: `read` exact amounts, hashing all that passes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.buffer = bytearray()
        self.hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            piece = next(self.pieces, None)
            if piece is None:
                break
            self.hash.update(piece)
            self.buffer += piece
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def exact(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) != size:
            raise CorruptLayer(f"the tar stream ends {size - len(data)} bytes early")
        return data


class _Compressed:
    def __init__(self, blob: BinaryIO) -> None:
        self.blob = blob
        self.trailing = False
        self.neutral = True

    def pieces(self) -> Iterator[bytes]:
        start = self.blob.read(4)
        self.blob.seek(0)
        if start[:2] == b"\x1f\x8b":
            yield from self._gzip()
        elif start == b"\x28\xb5\x2f\xfd":
            yield from self._zstd()
        else:
            while data := self.blob.read(_CHUNK):
                yield data

    def _gzip(self) -> Iterator[bytes]:
        data = self.blob.read(_CHUNK)
        while data:
            if data[:2] != b"\x1f\x8b":
                self.trailing = True
                return
            data += self.blob.read(16)
            if data[3] & 0x08 or data[4:8] != bytes(4):
                self.neutral = False
            member = zlib.decompressobj(wbits=31)
            while True:
                try:
                    plain = member.decompress(data, 4 * _CHUNK)
                except zlib.error as error:
                    raise CorruptLayer(f"gzip: {error}") from error
                if plain:
                    yield plain
                if member.eof:
                    break
                data = member.unconsumed_tail or self.blob.read(_CHUNK)
                if not data:
                    raise CorruptLayer("gzip: a member without its end")
            data = member.unused_data or self.blob.read(_CHUNK)

    def _zstd(self) -> Iterator[bytes]:
        import zstandard  # not in the standard library before Python 3.14

        with zstandard.ZstdDecompressor().stream_reader(self.blob, read_across_frames=True, closefd=False) as reader:
            while data := reader.read(_CHUNK):
                yield data


def read_layer(blob: BinaryIO) -> Layer:
    """Reads a layer to its end, flat in memory but for the list of entries. Raises: CorruptLayer."""
    compressed = _Compressed(blob)
    source = _Source(compressed.pieces())
    entries = list(_entries(source))
    while rest := source.read(_CHUNK):
        if rest.strip(b"\0"):
            raise CorruptLayer("bytes that are not zero follow the end of the archive")
    return Layer(entries, "sha256:" + source.hash.hexdigest(), compressed.trailing, compressed.neutral)


def _entries(source: _Source) -> Iterator[TarEntry]:
    records: dict[str, str] = {}
    while True:
        header = source.exact(_BLOCK)
        if not any(header):
            if any(source.exact(_BLOCK)):
                raise CorruptLayer("one zero block, then more")
            return
        _checksum(header)
        kind = chr(header[156] or 48)
        size = int(records["size"]) if "size" in records else _number(header[124:136])
        if kind == "x":
            if size > _MAX_RECORDS:
                raise CorruptLayer(f"{size} bytes of PAX records")
            records = _records(source.exact(size))
            _skip_padding(source, size)
            continue
        content = size if kind in {"0", "7"} or kind not in "123456" else 0
        head = source.exact(min(content, _HEAD))
        left = content - len(head)
        while left:
            left -= len(source.exact(min(left, _CHUNK)))
        _skip_padding(source, content)
        name = _text(header[:100])
        if prefix := _text(header[345:500]):
            name = f"{prefix}/{name}"
        yield TarEntry(
            name=records.get("path", name),
            kind=kind,
            mode=_number(header[100:108]),
            uid=_number(header[108:116]),
            gid=_number(header[116:124]),
            mtime=_number(header[136:148]),
            link=records.get("linkpath", _text(header[157:257])),
            size=size,
            pax=records,
            magic=header[257:265],
            head=head,
        )
        records = {}


def _checksum(header: bytes) -> None:
    stated = _number(header[148:156])
    actual = sum(header[:148]) + 8 * 32 + sum(header[156:])
    if stated != actual:
        raise CorruptLayer(f"a tar header with checksum {stated} instead of {actual}")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # base 256, GNU's extension
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise CorruptLayer(f"a number in a tar header: {field!r}") from error


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _skip_padding(source: _Source, size: int) -> None:
    if any(source.exact(-size % _BLOCK)):
        raise CorruptLayer("padding that is not zero")


def _records(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    while data:
        length_text, space, _ = data.partition(b" ")
        if not space or not length_text.isdigit():
            raise CorruptLayer("a PAX record without its length")
        length = int(length_text)
        record, data = data[:length], data[length:]
        key, equals, value = record[len(length_text) + 1 : -1].partition(b"=")
        if len(record) != length or record[-1:] != b"\n" or not equals:
            raise CorruptLayer(f"a PAX record whose length {length} is wrong")
        if key.decode() in records:
            raise CorruptLayer(f"the PAX record {key.decode()} twice")
        records[key.decode()] = value.decode("utf-8", "surrogateescape")
    return records
