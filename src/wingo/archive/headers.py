"""Tar headers that others wrote: ustar, PAX, GNU's long names and base-256 numbers, which is what Go, GNU tar, bsdtar and
Python write. Nothing in them is believed; sparse files and volumes are refused.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from zlib import adler32

import msgspec

from wingo.archive.blocks import Blocks
from wingo.archive.records import SPARSE, Records, text
from wingo.archive.tar import BLOCK, MAX_NAME_BYTES
from wingo.errors import Malformed

_MAX_SIZE = 1 << 50
_EXTENDED = frozenset(b"xgLKX")
_TAR = "tar"


class MemberKind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    OTHER = "device, pipe or socket"


_KINDS = {
    ord(flag): kind
    for flags, kind in (
        ("\x0007", MemberKind.FILE),
        ("1", MemberKind.HARDLINK),
        ("2", MemberKind.SYMLINK),
        ("346", MemberKind.OTHER),
        ("5", MemberKind.DIRECTORY),
    )
    for flag in flags
}
_CONTIGUOUS = ord("7")
_NO_RECORDS: dict[str, str] = {}


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
        pax: the extended records that apply, by key; entries with equal ones share them.
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


class Headers:
    """Header blocks to members."""

    def __init__(self, blocks: Blocks, most: int) -> None:
        """Reads a tar's headers; `most`: bytes of one entry's extended headers."""
        self._blocks = blocks
        self._most = most
        self._records = Records()
        self._global: dict[str, str] = {}

    def next(self) -> Member | None:
        """The next entry; None at the end.

        Raises:
            Malformed: its header is damaged, or says what no layer should have.
        """
        records = _NO_RECORDS
        long_name = long_target = None
        used = 0
        while True:
            start = self._blocks.position
            header = self._blocks.block()
            if not header or (not header[0] and not header.strip(b"\0")):
                # The end is two zero blocks; one, or none, is taken for it as well, as Go does.
                return None
            _check_sum(header, start)
            flag = header[156]
            if flag not in _EXTENDED:
                pax = {**self._global, **records} if self._global else records
                return self._member(header, flag, start, pax, long_name, long_target)
            size = _number(header[124:136], start)
            used += size
            if size < 0 or used > self._most:
                raise Malformed(_TAR, f"an extended header of more than {self._most} bytes", offset=start)
            data = self._blocks.exactly(size)
            self._blocks.skip(-size % BLOCK)
            if flag == ord("L"):
                long_name = data.partition(b"\0")[0]
            elif flag == ord("K"):
                long_target = data.partition(b"\0")[0]
            elif flag == ord("g"):
                self._global.update(self._records.read(data, start))
            else:
                found = self._records.read(data, start)
                records = {**records, **found} if records else found

    def _member(
        self,
        header: bytes,
        flag: int,
        start: int,
        pax: dict[str, str],
        long_name: bytes | None,
        long_target: bytes | None,
    ) -> Member:
        kind = _KINDS.get(flag)
        if kind is None or SPARSE in pax:
            what = "a sparse file" if kind is not None or flag == ord("S") else f"an entry of the type {chr(flag)!r}"
            raise Malformed(_TAR, f"{what}, which no layer should have", offset=start)
        name = (pax and pax.get("path")) or text(_name_in(header) if long_name is None else long_name)
        target = pax.get("linkpath", "") if pax else ""
        if not target and (long_target is not None or header[157]):
            target = text(header[157:257].partition(b"\0")[0] if long_target is None else long_target)
        if "\0" in name or "\0" in target or len(name) > MAX_NAME_BYTES or len(target) > MAX_NAME_BYTES:
            raise Malformed(
                _TAR,
                f"the name {name[:80]!r} or its link's target has a NUL, or more than {MAX_NAME_BYTES} characters",
                offset=start,
            )
        if name.endswith("/"):
            if kind is MemberKind.FILE and flag != _CONTIGUOUS:
                # Tar before POSIX knew directories by that.
                kind = MemberKind.DIRECTORY
            name = name.rstrip("/") or name[:1]
        size = _of_record(pax, "size", start) if "size" in pax else _number(header[124:136], start)
        if not 0 <= size <= _MAX_SIZE:
            raise Malformed(_TAR, f"a size of {size} bytes", offset=start)
        try:
            mode, uid, gid = _owner_in(header[100:124])
            # Another one in each entry, as a rule, so not worth remembering.
            mtime = _of_record(pax, "mtime", start) if "mtime" in pax else _new_number_in(header[136:148])
        except ValueError as error:
            raise Malformed(_TAR, f"one of {header[100:148]!r} is no octal number", offset=start) from error
        return Member(
            name,
            kind,
            mode,
            _of_record(pax, "uid", start) if "uid" in pax else uid,
            _of_record(pax, "gid", start) if "gid" in pax else gid,
            size if kind is MemberKind.FILE else 0,
            mtime,
            target,
            pax,
            self._blocks.position,
            header[257:265] == b"ustar  \0",
        )


def _name_in(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _check_sum(header: bytes, offset: int) -> None:
    # Adler-32's lower half is 1 + the sum of the bytes modulo 65521, which 256 bytes cannot reach, nor 512 of ASCII.
    if header.isascii():
        total = (adler32(header) & 0xFFFF) - 1
    else:
        total = (adler32(header[:256]) & 0xFFFF) + (adler32(header[256:]) & 0xFFFF) - 2
    field = header[148:156]
    try:
        if total == _expected_sum(field):
            return
    except ValueError as error:
        raise _no_number(field, offset) from error
    # Some old writers added signed bytes.
    plain = header[:148] + b" " * 8 + header[156:]
    if sum(byte - 256 if byte > 127 else byte for byte in plain) != _number(field, offset):
        raise Malformed(_TAR, "the header's checksum is wrong", offset=offset)


@lru_cache(maxsize=8192)
def _expected_sum(field: bytes) -> int:
    """The sum of a header's bytes with this checksum, which stands for spaces in it."""
    return _new_number_in(field) + sum(field) - 8 * 32


def _number(field: bytes, offset: int) -> int:
    try:
        return _number_in(field)
    except ValueError as error:
        raise _no_number(field, offset) from error


def _no_number(field: bytes, offset: int) -> Malformed:
    return Malformed(_TAR, f"{field!r} is no octal number", offset=offset)


def _new_number_in(field: bytes) -> int:
    if not field[0] & 0x80:
        digits = field.strip(b" \0")
        return int(digits, 8) if digits else 0
    # GNU's base-256: two's complement, the top bit apart.
    value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value


_number_in = lru_cache(maxsize=4096)(_new_number_in)
"""Sizes, modes and owners repeat."""


@lru_cache(maxsize=1024)
def _owner_in(fields: bytes) -> tuple[int, int, int]:
    """Permission bits, owner and group, which stand one after another."""
    return _number_in(fields[:8]) & 0o7777, _number_in(fields[8:16]), _number_in(fields[16:])


def _of_record(pax: dict[str, str], key: str, offset: int) -> int:
    whole = pax[key].partition(".")[0]
    if not whole.lstrip("-").isdecimal() or len(whole) > 20:
        raise Malformed(_TAR, f"the record {key}={pax[key][:40]!r} is no number", offset=offset)
    return int(whole)
