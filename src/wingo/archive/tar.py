"""Writing tar: the same recipe gives the same bytes, everywhere (POSIX.1-2017 pax, "ustar Interchange Format").

A header is plain ustar with numbers in octal and no user or group names; what does not fit, and the records that the
entry brings, go into a PAX extended header in front of it, sorted by key. The ustar prefix field is never used: readers
disagree on it, and all read PAX.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.errors import DigestMismatch, HostError, RequestError, SizeMismatch

BLOCK = 512
READ_SIZE = 1 << 20
"""Bytes read from a file at a time."""
MAX_NAME_BYTES = 32 << 10
"""The longest name or link target; Windows stops at 32767 UTF-16 units, Linux at 4096 bytes."""
END = bytes(2 * BLOCK)
"""The two zero blocks at the end."""

_FIELD = 100
_MAX_OCTAL_11 = 0o77777777777
_MAX_OCTAL_7 = 0o7777777
_PAX_NAME = b"././@PaxHeader"
_DERIVED = frozenset({"path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname", "hdrcharset", "charset"})
"""Records that the writer makes itself, or that change how a reader takes the others."""
_CHANGED = "It changed while it was read: leave it alone and run the build again."


def tar_stream(recipe: LayerRecipe) -> Iterator[bytes]:
    """The recipe's tar, in pieces of any length up to 1 MiB; flat in memory.

    Raises:
        RequestError: an entry that no tar should have: see `entry_headers`; or a name that stands there twice.
        HostError: a file cannot be read.
        SizeMismatch: a file has more or fewer bytes than its size says, mostly because it changed meanwhile.
        DigestMismatch: a file's bytes are not those of the digest that its content claims.
    """
    seen: set[str] = set()
    for entry in recipe.entries:
        if entry.name in seen:
            # OCI image-spec layer.md: "Layer archives MUST NOT include duplicate entries".
            raise RequestError(f"{entry.name!r} stands in the layer twice")
        seen.add(entry.name)
        yield entry_headers(entry, recipe.epoch)
        if entry.content is not None:
            yield from _content(entry.content)
            yield bytes(-entry.content.size % BLOCK)
    yield END


def tar_size(recipe: LayerRecipe) -> int:
    """The length of the recipe's tar in bytes, without reading any content."""
    total = len(END)
    for entry in recipe.entries:
        total += len(entry_headers(entry, recipe.epoch))
        if entry.content is not None:
            total += entry.content.size + -entry.content.size % BLOCK
    return total


def entry_headers(entry: Entry, epoch: int) -> bytes:
    """Everything that stands before an entry's content: its ustar header, and a PAX one when needed.

    Args:
        entry: a directory gets its trailing slash here.
        epoch: the mtime, in seconds since 1970 UTC.

    Raises:
        RequestError: a name that is absolute, empty, has `.`, `..`, NUL or an empty component, or is no Unicode; a
            link without a target; a file without content, or content on something else; a record that the writer
            makes itself, twice the same one, or one that cannot be written.
    """
    _check(entry)
    records = _extra_records(entry)
    name = _text(entry, "name", entry.name + ("/" if entry.kind is EntryKind.DIRECTORY else ""))
    target = _text(entry, "link target", entry.link_target)
    size = entry.content.size if entry.content is not None else 0
    fields = {
        "path": _text_field(records, "path", name),
        "linkpath": _text_field(records, "linkpath", target),
        "uid": _number_field(records, "uid", entry.uid, _MAX_OCTAL_7),
        "gid": _number_field(records, "gid", entry.gid, _MAX_OCTAL_7),
        "size": _number_field(records, "size", size, _MAX_OCTAL_11),
        "mtime": _number_field(records, "mtime", epoch, _MAX_OCTAL_11),
    }
    header = _ustar(
        path=fields["path"],
        mode=entry.mode & 0o7777,
        uid=fields["uid"],
        gid=fields["gid"],
        size=fields["size"],
        mtime=fields["mtime"],
        type_flag=entry.kind.value.encode(),
        linkpath=fields["linkpath"],
    )
    if not records:
        return header
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    pax = _ustar(
        path=_PAX_NAME,
        mode=0o644,
        uid=b"0000000",
        gid=b"0000000",
        size=b"%011o" % len(body),
        mtime=b"00000000000",
        type_flag=b"x",
        linkpath=b"",
    )
    return pax + body + bytes(-len(body) % BLOCK) + header


def _check(entry: Entry) -> None:
    name = entry.name
    problem = ""
    if not name:
        problem = "it is empty"
    elif name.startswith("/"):
        problem = "it is absolute"
    elif any(part in ("", ".", "..") for part in name.split("/")):
        problem = "it has an empty component, a '.' or a '..'"
    if problem:
        raise RequestError(f"{name!r} cannot be a name in a layer: {problem}")
    is_link = entry.kind in (EntryKind.SYMLINK, EntryKind.HARDLINK)
    if is_link != bool(entry.link_target):
        raise RequestError(
            f"the entry {name!r} " + ("is a link to nothing" if is_link else "is no link and has a target")
        )
    if (entry.kind is EntryKind.FILE) != (entry.content is not None):
        raise RequestError(
            f"the entry {name!r} " + ("has no content" if entry.content is None else "is no file and has content")
        )
    if entry.uid < 0 or entry.gid < 0 or (entry.content is not None and entry.content.size < 0):
        raise RequestError(f"the entry {name!r} has a negative owner, group or size")


def _extra_records(entry: Entry) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    for key, value in entry.pax:
        encoded = _text(entry, "record key", key)
        if not key or "=" in key or key in _DERIVED or key.startswith("GNU.sparse") or encoded in records:
            raise RequestError(f"the entry {entry.name!r} cannot have the record {key!r}, or not twice")
        is_bytes = key.startswith("SCHILY.xattr.")
        records[encoded] = _text(entry, f"record {key}", value, is_bytes=is_bytes)
    return records


def _text(entry: Entry, what: str, text: str, *, is_bytes: bool = False) -> bytes:
    """A text as it stands in a header; extended attributes are bytes, those that are no text as in `os.fsdecode`."""
    try:
        data = text.encode("utf-8", "surrogateescape" if is_bytes else "strict")
    except UnicodeEncodeError as error:
        raise RequestError(f"the {what} {text!r} of the entry {entry.name!r} is no Unicode text") from error
    if b"\0" in data and not is_bytes:
        raise RequestError(f"the {what} of the entry {entry.name!r} has a NUL in it")
    if len(data) > MAX_NAME_BYTES:
        raise RequestError(f"the {what} of the entry {entry.name[:80]!r}… has {len(data)} bytes")
    return data


def _text_field(records: dict[bytes, bytes], key: str, data: bytes) -> bytes:
    """What goes into the ustar field; the record too when the field cannot hold it."""
    if len(data) <= _FIELD and data.isascii():
        return data
    records[key.encode()] = data
    # The field is for readers without PAX only; it is cut, and '?' stands for what is not ASCII.
    return data.decode().encode("ascii", "replace")[:_FIELD]


def _number_field(records: dict[bytes, bytes], key: str, value: int, most: int) -> bytes:
    digits = 7 if most == _MAX_OCTAL_7 else 11
    if 0 <= value <= most:
        return b"%0*o" % (digits, value)
    records[key.encode()] = b"%d" % value
    return b"0" * digits


def _record(key: bytes, value: bytes) -> bytes:
    r"""`LENGTH KEY=VALUE\n`, where LENGTH counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(
    *, path: bytes, mode: int, uid: bytes, gid: bytes, size: bytes, mtime: bytes, type_flag: bytes, linkpath: bytes
) -> bytes:
    header = bytearray(
        b"".join(
            (
                path.ljust(100, b"\0"),
                b"%07o\0" % mode,
                uid + b"\0",
                gid + b"\0",
                size + b"\0",
                mtime + b"\0",
                b" " * 8,
                type_flag,
                linkpath.ljust(100, b"\0"),
                b"ustar\x0000",
                bytes(32 + 32),
                b"0000000\0" * 2,
                bytes(155 + 12),
            )
        )
    )
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _content(content: Content) -> Iterator[bytes]:
    left = content.size
    hasher = sha256() if content.digest.startswith("sha256:") else None
    with content.open() as stream:
        while True:
            try:
                # One byte more than is left, so that a file that has grown is noticed.
                piece = stream.read(min(READ_SIZE, left + 1))
            except OSError as error:
                raise HostError(f"cannot read {content.origin}: {error.strerror or error}") from error
            if len(piece) > left:
                raise SizeMismatch(content.origin, content.size, content.size - left + len(piece), hint=_CHANGED)
            if not piece:
                break
            left -= len(piece)
            if hasher is not None:
                hasher.update(piece)
            yield piece
    if left:
        raise SizeMismatch(content.origin, content.size, content.size - left, hint=_CHANGED)
    if hasher is not None and f"sha256:{hasher.hexdigest()}" != content.digest:
        raise DigestMismatch(content.origin, content.digest, f"sha256:{hasher.hexdigest()}", hint=_CHANGED)
