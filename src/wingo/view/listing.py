"""A layer's listing as bytes, for a cache: zstd over msgpack, every set of records once.

Whoever keeps it is to see that it comes back as it was (the cache digests its records). A layer's listing depends on
its diff_id, on whose rules it was read by, and on `VERSION`; the name it is kept under should say all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
import zstandard

from wingo.archive.unpack import MemberKind
from wingo.errors import Malformed
from wingo.oci.digest import Digest
from wingo.view.layer import LayerFiles, Node, Problem

VERSION = 1
"""Of what `read_layer` finds and of how it is written: goes up with any change of either."""
MAX_BYTES = 1 << 30
"""Of a listing, decompressed; it is our own writing, so this only stops nonsense."""

_Row: TypeAlias = tuple[str, int, int, int, int, int, int, str, int, int, bytes]
_KINDS = tuple(MemberKind)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}


class _Listing(msgspec.Struct, array_like=True):
    version: int
    diff_id: str
    os: str
    records: list[Mapping[str, str]]
    nodes: list[_Row]
    hives: list[_Row]
    other: list[_Row]
    whiteouts: list[str]
    opaque: list[str]
    problems: list[Problem]
    size: int
    kept: int


def encode_listing(files: LayerFiles) -> bytes | None:
    """The listing as bytes; None when a name in it is no Unicode, which msgpack cannot say."""
    records: list[Mapping[str, str]] = []
    numbers: dict[int, int] = {}

    def rows(nodes: tuple[Node, ...]) -> list[_Row]:
        rows = []
        for node in nodes:
            path, kind, size, mode, uid, gid, mtime, target, pax, _, offset, digest = msgspec.structs.astuple(node)
            number = numbers.get(id(pax))
            if number is None:
                number = numbers[id(pax)] = len(records)
                records.append(pax)
            rows.append((path, _NUMBERS[kind], size, mode, uid, gid, mtime, target, number, offset, digest))
        return rows

    nodes, hives, other = rows(files.nodes), rows(files.hives), rows(files.other)
    listing = _Listing(
        VERSION,
        files.diff_id,
        files.os,
        records,
        nodes,
        hives,
        other,
        list(files.whiteouts),
        list(files.opaque),
        list(files.problems),
        files.size,
        files.kept,
    )
    try:
        plain = msgspec.msgpack.encode(listing)
    except UnicodeEncodeError:
        return None
    return zstandard.ZstdCompressor(level=1).compress(plain)


def decode_listing(data: bytes, diff_id: Digest, os: str, number: int) -> LayerFiles:
    """A listing from bytes.

    Args:
        data: of `encode_listing`.
        diff_id: of the layer that is meant.
        os: "windows" or "linux".
        number: the layer's index in its image.

    Raises:
        Malformed: it is no such listing, or of another layer.
    """
    try:
        plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_BYTES)
        listing = msgspec.msgpack.decode(plain, type=_Listing)
        if (listing.version, listing.diff_id, listing.os) != (VERSION, diff_id, os):
            raise Malformed("listing", f"it is of {listing.diff_id} by the rules of {listing.os}")
        records = listing.records
        nodes, hives, other = (
            tuple(
                Node(path, _KINDS[kind], size, mode, uid, gid, mtime, target, records[pax], number, offset, sha256)
                for path, kind, size, mode, uid, gid, mtime, target, pax, offset, sha256 in rows
            )
            for rows in (listing.nodes, listing.hives, listing.other)
        )
    except (msgspec.MsgspecError, zstandard.ZstdError, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("listing", str(error)[:200]) from error
    return LayerFiles(
        diff_id=diff_id,
        os=os,
        nodes=nodes,
        whiteouts=tuple(listing.whiteouts),
        opaque=tuple(listing.opaque),
        hives=hives,
        other=other,
        problems=tuple(msgspec.structs.replace(item, layer=number) for item in listing.problems),
        size=listing.size,
        kept=listing.kept,
    )
