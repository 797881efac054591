"""Reading layers and tars that others made: streaming, flat in memory, and nothing in them is believed.

Understood are ustar, PAX, GNU long names and base-256 numbers, which is what Go, GNU tar, bsdtar and Python write;
sparse files and volumes are refused. Compression is told from the bytes, not from the media type.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, cast
from zlib import adler32

import msgspec

from wingo.archive.streams import Stream
from wingo.archive.tar import BLOCK, MAX_NAME_BYTES
from wingo.errors import ContentError, DigestMismatch, HostError, Malformed
from wingo.oci.digest import Hasher, algorithm_of

if TYPE_CHECKING:
    from wingo.image.model import Layer

_READ_SIZE = 1 << 18
_ZSTD_READ_SIZE = 1 << 10
_MAX_ZSTD_WINDOW = 128 << 20
_MAX_SIZE = 1 << 50
_AHEAD = 1 << 16
"""Bytes that are read at once to find headers in."""
_EXTENDED = frozenset({b"x", b"g", b"L", b"K", b"X"})
_SPARSE = "GNU.sparse"
_MAX_KEYS = 1024
_MAX_KNOWN = 256
_MAX_KNOWN_BYTES = 4096
"""Extended headers repeat, as long as there is no name in them: so many, of so many bytes each, are remembered."""
_MAX_DIGITS = 11
"""Of a record's length."""
_RECORD = re.compile(r"([0-9]{1,11}) ([^=\n]+)=([^\n]*)\n")
_TAR = "tar"


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


class MemberKind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    OTHER = "device, pipe or socket"


_KINDS = {
    b"\0": MemberKind.FILE,
    b"0": MemberKind.FILE,
    b"7": MemberKind.FILE,
    b"1": MemberKind.HARDLINK,
    b"2": MemberKind.SYMLINK,
    b"3": MemberKind.OTHER,
    b"4": MemberKind.OTHER,
    b"5": MemberKind.DIRECTORY,
    b"6": MemberKind.OTHER,
}


class Member(msgspec.Struct, frozen=True, gc=False):
    """One entry of a tar that is read.

    Attributes:
        name: as it stands there, but for a trailing slash; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`.
        kind: what it is.
        mode: permission bits, set-id bits included.
        uid: the owner's number.
        gid: the group's number.
        size: of the content, in bytes; 0 for all but files.
        mtime: in whole seconds since 1970.
        link_target: as it stands there.
        pax: the extended records that apply, by key.
        offset: where the content begins in the tar.
        gnu: whether its header is of GNU's format, not of POSIX's.
    """

    name: str
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link_target: str
    pax: dict[str, str]
    offset: int
    gnu: bool = False


class TarContent(Stream):
    """One file's bytes, while the tar is at it."""

    def __init__(self, reader: _Reader, size: int) -> None:
        # Nothing above has a word to say, and there may be a hundred thousand of these.
        self._reader = reader
        self.left = size

    def some(self, size: int) -> bytes:
        """Some bytes.

        Raises:
            Malformed: the tar ends in the middle of the file.
        """
        data = self._reader.some(min(size, self.left))
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
    reader = _Reader(stream)
    headers = _Headers(reader, limits)
    count = 0
    while (member := headers.next()) is not None:
        count += 1
        if count > limits.entries:
            raise Malformed(_TAR, f"more than {limits.entries} entries", offset=reader.position)
        content = TarContent(reader, member.size)
        yield member, cast("BinaryIO", content)
        reader.skip(content.left)
        content.left = 0
        reader.skip(-member.size % BLOCK)


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


def decompressed(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> BinaryIO:
    """A stream of what is in a gzip, zstd or plain one, several members or frames included.

    Raises:
        Malformed: while reading: damaged, cut short, or too much comes out of too little.
    """
    counted = _Counted(stream)
    magic = counted.peek(4)
    if magic.startswith(b"\x1f\x8b"):
        import gzip

        opened = cast("BinaryIO", gzip.GzipFile(fileobj=cast("BinaryIO", counted)))
        return cast("BinaryIO", _Guarded("gzip", opened, counted, limits))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast("BinaryIO", _Guarded("zstd", cast("BinaryIO", _Zstd(counted)), counted, limits))
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


class _Zstd(Stream):
    """Frame after frame. The package's own stream takes a frame that is cut short for a whole one."""

    def __init__(self, stored: _Counted) -> None:
        from zstandard import ZstdDecompressor

        super().__init__()
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

    def __init__(self, format: str, plain: BinaryIO, stored: _Counted, limits: Limits) -> None:
        super().__init__()
        self._format = format
        self._plain = plain
        self._stored = stored
        self._limits = limits
        self._count = 0

    def some(self, size: int) -> bytes:
        import zlib

        try:
            data = self._plain.read(min(size, _READ_SIZE))
        except EOFError as error:
            raise Malformed(self._format, "it is cut short", offset=self._stored.count) from error
        except zlib.error as error:
            raise Malformed(self._format, str(error), offset=self._stored.count) from error
        except OSError as error:
            # Of the gzip module's own making it has no number.
            if error.errno is not None:
                raise HostError(f"cannot read: {error.strerror}") from error
            raise Malformed(self._format, str(error), offset=self._stored.count) from error
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


class _Reader:
    """Reads forward, ahead by a little, and knows where it is: headers are small, and each read of a stream costs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seekable = stream.seekable()
        self._ahead = b""
        self._used = 0
        self.position = 0

    def _fill(self, size: int) -> int:
        """Has `size` bytes ahead, or all that are left; how many there are."""
        there = len(self._ahead) - self._used
        if there >= size:
            return there
        pieces = [self._ahead[self._used :]]
        while there < size and (data := self._stream.read(max(_AHEAD, size - there))):
            pieces.append(data)
            there += len(data)
        self._ahead, self._used = b"".join(pieces), 0
        return there

    def some(self, size: int) -> bytes:
        if not size:
            return b""
        used = self._used
        if used < len(self._ahead):
            data = self._ahead[used : used + size]
            self._used = used + len(data)
        else:
            data = self._stream.read(min(size, _READ_SIZE))
            if not data:
                raise Malformed(_TAR, "it is cut short", offset=self.position)
        self.position += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes; `size` is within what an extended header may have."""
        if self._fill(size) < size:
            self.position += len(self._ahead)
            raise Malformed(_TAR, "it is cut short", offset=self.position)
        used = self._used
        self._used = used + size
        self.position += size
        return self._ahead[used : used + size]

    def block(self) -> bytes:
        """The next block; b"" at the end of the stream."""
        used = self._used
        if len(self._ahead) - used < BLOCK:
            there = self._fill(BLOCK)
            used = 0
            if there < BLOCK:
                self._used = there
                self.position += there
                if there:
                    raise Malformed(_TAR, "it is cut short", offset=self.position)
                return b""
        self._used = used + BLOCK
        self.position += BLOCK
        return self._ahead[used : used + BLOCK]

    def skip(self, size: int) -> None:
        there = len(self._ahead) - self._used
        if size <= there:
            self._used += size
            self.position += size
            return
        if self._seekable and size - there > _READ_SIZE:
            # All but the last byte by seeking: one beyond the end would not be noticed.
            self._stream.seek(size - there - 1, io.SEEK_CUR)
            self._ahead, self._used = b"", 0
            self.position += size - 1
            size = 1
        while size:
            size -= len(self.some(size))


class _Headers:
    """Header blocks to members."""

    def __init__(self, reader: _Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._global: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._known: dict[bytes, dict[str, str]] = {}

    def next(self) -> Member | None:
        records: dict[str, str] = {}
        long_name = long_target = None
        used = 0
        while True:
            start = self._reader.position
            header = self._reader.block()
            if not header or (not header[0] and not header.strip(b"\0")):
                # The end is two zero blocks; one, or none, is taken for it as well, as Go does.
                return None
            _check_sum(header, start)
            flag = header[156:157]
            if flag not in _EXTENDED:
                return self._member(header, flag, start, records, long_name, long_target)
            size = _number(header[124:136], start)
            used += size
            if size < 0 or used > self._limits.header_bytes:
                raise Malformed(
                    _TAR, f"an extended header of more than {self._limits.header_bytes} bytes", offset=start
                )
            data = self._reader.exactly(size)
            self._reader.skip(-size % BLOCK)
            if flag == b"L":
                long_name = data.partition(b"\0")[0]
            elif flag == b"K":
                long_target = data.partition(b"\0")[0]
            elif flag == b"g":
                self._global.update(self._records(data, start))
            else:
                found = self._records(data, start)
                records = {**records, **found} if records else found

    def _member(
        self,
        header: bytes,
        flag: bytes,
        start: int,
        records: dict[str, str],
        long_name: bytes | None,
        long_target: bytes | None,
    ) -> Member:
        pax = {**self._global, **records} if self._global else records
        kind = _KINDS.get(flag)
        if kind is None or _SPARSE in pax:
            what = "a sparse file" if kind is not None or flag == b"S" else f"an entry of the type {flag!r}"
            raise Malformed(_TAR, f"{what}, which no layer should have", offset=start)
        name, target = pax.get("path", ""), pax.get("linkpath", "")
        if not name:
            raw = long_name if long_name is not None else _cut(header[:100])
            if header[345] and header[257:263] == b"ustar\0" and long_name is None:
                raw = _cut(header[345:500]) + b"/" + raw
            name = _text(raw)
        if not target and (long_target is not None or header[157]):
            target = _text(long_target if long_target is not None else _cut(header[157:257]))
        if "\0" in name or "\0" in target or len(name) > MAX_NAME_BYTES or len(target) > MAX_NAME_BYTES:
            raise Malformed(
                _TAR,
                f"the name {name[:80]!r} or its link's target has a NUL, or more than {MAX_NAME_BYTES} characters",
                offset=start,
            )
        if name.endswith("/"):
            if kind is MemberKind.FILE and flag != b"7":
                # Tar before POSIX knew directories by that.
                kind = MemberKind.DIRECTORY
            name = name.rstrip("/") or name[:1]
        size = _of_record(pax, "size", start) if "size" in pax else _number(header[124:136], start)
        if not 0 <= size <= _MAX_SIZE:
            raise Malformed(_TAR, f"a size of {size} bytes", offset=start)
        try:
            mode, uid, gid = _owner_in(header[100:124])
        except ValueError as error:
            raise Malformed(_TAR, f"one of {header[100:124]!r} is no octal number", offset=start) from error
        return Member(
            name,
            kind,
            mode,
            _of_record(pax, "uid", start) if "uid" in pax else uid,
            _of_record(pax, "gid", start) if "gid" in pax else gid,
            size if kind is MemberKind.FILE else 0,
            _of_record(pax, "mtime", start) if "mtime" in pax else _number(header[136:148], start),
            target,
            pax,
            self._reader.position,
            header[257:265] == b"ustar  \0",
        )

    def _records(self, data: bytes, offset: int) -> dict[str, str]:
        """The records of an extended header: of one that was there before, the same object. Not to be changed.

        `_SPARSE` stands for every key of a sparse file.
        """
        known = self._known.get(data)
        if known is not None:
            return known
        records = self._new_records(data, offset)
        if len(data) <= _MAX_KNOWN_BYTES:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[data] = records
        return records

    def _new_records(self, data: bytes, offset: int) -> dict[str, str]:
        if not data.isascii() or b"\0" in data:
            return _records(data, offset, self._keys)
        # As a rule, no value has a line break in it. Records that are as long as they say, and all of it together, leave
        # nothing between them.
        text = data.decode("ascii")
        found = _RECORD.findall(text)
        keys = self._keys
        records = {}
        total = 0
        for length, name, value in found:
            size = int(length)
            if size != len(length) + len(name) + len(value) + 3:
                return _records(data, offset, keys)
            total += size
            records[keys.get(name) or _key(name, keys)] = value
        return records if total == len(text) else _records(data, offset, keys)


def _check_sum(header: bytes, offset: int) -> None:
    field = header[148:156]
    # Adler-32's lower half is 1 + the sum of the bytes modulo 65521, which 256 bytes cannot reach.
    total = (adler32(header[:256]) & 0xFFFF) + (adler32(header[256:]) & 0xFFFF) - 2
    if total - sum(field) + 8 * 32 == _number(field, offset):
        return
    # Some old writers added signed bytes.
    plain = header[:148] + b" " * 8 + header[156:]
    if sum(byte - 256 if byte > 127 else byte for byte in plain) != _number(field, offset):
        raise Malformed(_TAR, "the header's checksum is wrong", offset=offset)


def _number(field: bytes, offset: int) -> int:
    try:
        return _number_in(field)
    except ValueError as error:
        raise Malformed(_TAR, f"{field!r} is no octal number", offset=offset) from error


@lru_cache(maxsize=4096)
def _number_in(field: bytes) -> int:
    """A number of a header: modes, owners and times repeat."""
    if not field[0] & 0x80:
        digits = field.strip(b" \0")
        return int(digits, 8) if digits else 0
    # GNU's base-256: two's complement, the top bit apart.
    value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value


@lru_cache(maxsize=1024)
def _owner_in(fields: bytes) -> tuple[int, int, int]:
    """Permission bits, owner and group, which stand one after another."""
    return _number_in(fields[:8]) & 0o7777, _number_in(fields[8:16]), _number_in(fields[16:])


def _of_record(pax: dict[str, str], key: str, offset: int) -> int:
    whole = pax[key].partition(".")[0]
    if not whole.lstrip("-").isdecimal() or len(whole) > 20:
        raise Malformed(_TAR, f"the record {key}={pax[key][:40]!r} is no number", offset=offset)
    return int(whole)


def _records(data: bytes, offset: int, keys: dict[str, str]) -> dict[str, str]:
    """Any records, one by one, and what is wrong with them."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + _MAX_DIGITS + 1)
        digits = data[position:space] if space > 0 else b""
        end = position + int(digits) if digits.isdigit() else 0
        if end <= space or end > len(data) or data[end - 1 : end] != b"\n":
            if not data[position:].strip(b"\0"):
                break
            raise Malformed(_TAR, "a damaged extended header", offset=offset)
        name, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not name or not equals:
            raise Malformed(_TAR, "a damaged extended header", offset=offset)
        records[_key(_text(name), keys)] = _text(value)
        position = end
    return records


def _key(name: str, keys: dict[str, str]) -> str:
    """A record's key, the same object each time."""
    key = keys.get(name)
    if key is None:
        key = _SPARSE if name.startswith(_SPARSE) else name
        if len(keys) < _MAX_KEYS:
            keys[name] = key
    return key


def _cut(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
