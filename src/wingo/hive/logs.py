"""Transaction logs: what a dirty hive needs before it can be read.

Both formats: the new one of Windows 8.1 (`HvLE` entries, each with two Marvin32 hashes) and the old one (a bitmap of
dirty pages). Applied as Windows does, or refused: a log of another hive, or one that changes nothing, is an error and no
reason to read the hive as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import unpack_from

import msgspec

from wingo.errors import Malformed
from wingo.hive import cells
from wingo.hive.cells import BASE_BLOCK
from wingo.hive.read import BaseBlock, Buffer, malformed, read_base_block

_SECTOR = 512
_OLD, _OLDER, _NEW = 1, 2, 6
_SEED = (0x7A4E_55C5, 0x82EF_4D88)
_MASK = 0xFFFF_FFFF
_MAX_GROWTH = 64 << 20


class _Entry(msgspec.Struct, frozen=True):
    sequence: int
    bins_size: int
    flags: int
    pages: tuple[tuple[int, bytes], ...]


def recover(data: Buffer, logs: Sequence[Buffer]) -> bytes:
    """The hive after its logs were applied; clean.

    Args:
        data: the dirty hive.
        logs: its logs, in any order: .LOG1 and .LOG2, or .LOG.

    Raises:
        Malformed: no log belongs to this hive, none holds the change that was not finished, or a log is broken before it.
    """
    base = read_base_block(data)
    blocks: list[tuple[BaseBlock, int, Buffer]] = []
    for log in logs:
        try:
            block = read_base_block(log, log=True)
        except Malformed:
            continue  # an unused log is empty
        if block.checksum_is_right:
            blocks.append((block, unpack_from("<I", log, 28)[0], log))
    if not blocks:
        raise malformed("it is dirty, and no log has a base block", 4, hint="Give the .LOG1 and .LOG2 of this hive.")
    new = [(block, log) for block, kind, log in blocks if kind == _NEW]
    return _apply_new(bytearray(data), base, new) if new else _apply_old(bytearray(data), base, blocks)


def _apply_new(data: bytearray, base: BaseBlock, logs: Sequence[tuple[BaseBlock, Buffer]]) -> bytes:
    for block, _ in logs:
        if base.checksum_is_right and (block.root, block.name) != (base.root, base.name):
            raise malformed(
                f"the log belongs to another hive ({block.name!r}, this is {base.name!r})", 48, hint="Give this one's."
            )
    wanted = base.primary if base.checksum_is_right else min(block.primary for block, _ in logs)
    runs = sorted(filter(None, (_entries(log, wanted) for _, log in logs)), key=lambda run: run[0].sequence)
    applied: _Entry | None = None
    for run in runs:
        for entry in run:
            if applied is not None and entry.sequence != applied.sequence + 1:
                break
            _write(data, entry)
            applied = entry
    if applied is None:
        raise malformed(
            f"it is dirty, and no log holds a change from number {wanted} on",
            4,
            hint="Give both of its logs, .LOG1 and .LOG2.",
        )
    if not base.checksum_is_right:
        newest = max(logs, key=lambda log: log[0].primary)[1]
        data[:_SECTOR] = newest[:_SECTOR]
    flags = unpack_from("<I", data, 144)[0] & ~1 | applied.flags & 1
    return _clean(data, applied.sequence, applied.bins_size, flags)


def _entries(log: Buffer, wanted: int) -> list[_Entry]:
    """The entries from a sequence number on; the first that is not right ends them, as it does on Windows."""
    found: list[_Entry] = []
    position = _SECTOR
    while position + 40 <= len(log):
        signature, size, flags, sequence, bins_size, count = unpack_from("<4sIIIII", log, position)
        if signature != b"HvLE" or size < 40 + 8 * count or size % _SECTOR or position + size > len(log):
            break
        if found and sequence != found[-1].sequence + 1:
            break
        if sequence >= wanted:
            first, second = unpack_from("<QQ", log, position + 24)
            if marvin32(log[position : position + 32]) != second or bins_size % BASE_BLOCK or not bins_size:
                break
            if marvin32(log[position + 40 : position + size]) != first:
                break
            pages = []
            at = position + 40 + 8 * count
            for index in range(count):
                offset, length = unpack_from("<II", log, position + 40 + 8 * index)
                if at + length > position + size or offset + length > bins_size:
                    return found
                pages.append((offset, bytes(log[at : at + length])))
                at += length
            found.append(_Entry(sequence, bins_size, flags, tuple(pages)))
        position += size
    return found


def _write(data: bytearray, entry: _Entry) -> None:
    size = BASE_BLOCK + entry.bins_size
    if size > len(data):
        if size - len(data) > _MAX_GROWTH:
            raise malformed(f"a log makes the hive {size} bytes long", None)
        data.extend(bytes(size - len(data)))
    for offset, page in entry.pages:
        data[BASE_BLOCK + offset : BASE_BLOCK + offset + len(page)] = page


def _apply_old(data: bytearray, base: BaseBlock, logs: Sequence[tuple[BaseBlock, int, Buffer]]) -> bytes:
    for block, kind, log in logs:
        if kind not in (_OLD, _OLDER) or block.primary != block.secondary:
            continue
        written = base.last_written if base.checksum_is_right else unpack_from("<Q", data, BASE_BLOCK + 20)[0]
        if block.last_written != written:
            continue
        if not base.checksum_is_right:
            data[:_SECTOR] = log[:_SECTOR]
            data[28:32] = bytes(4)
        _write_pages(data, block.bins_size, log)
        return _clean(data, block.primary, block.bins_size, unpack_from("<I", data, 144)[0])
    raise malformed(
        "it is dirty, and its log is of another time or was not finished", 12, hint="Give the log beside it."
    )


def _write_pages(data: bytearray, bins_size: int, log: Buffer) -> None:
    bits = bins_size // _SECTOR
    if bytes(log[_SECTOR : _SECTOR + 4]) != b"DIRT" or bins_size % BASE_BLOCK or len(log) < _SECTOR + 4 + bits // 8:
        raise malformed("its log has no map of changed pages", _SECTOR)
    if BASE_BLOCK + bins_size > len(data):
        data.extend(bytes(BASE_BLOCK + bins_size - len(data)))
    bitmap = bytes(log[_SECTOR + 4 : _SECTOR + 4 + bits // 8])
    position = -(-(_SECTOR + 4 + bits // 8) // _SECTOR) * _SECTOR
    for page in range(bits):
        if bitmap[page >> 3] >> (page & 7) & 1:
            if position + _SECTOR > len(log):
                raise malformed("its log ends within the changed pages", position)
            at = BASE_BLOCK + page * _SECTOR
            data[at : at + _SECTOR] = log[position : position + _SECTOR]
            position += _SECTOR


def _clean(data: bytearray, sequence: int, bins_size: int, flags: int) -> bytes:
    """Sets what the base block says of a finished change."""
    for offset, number in ((4, sequence), (8, sequence), (28, 0), (40, bins_size), (144, flags)):
        data[offset : offset + 4] = number.to_bytes(4, "little")
    data[508:512] = cells.checksum(data).to_bytes(4, "little")
    return bytes(data)


def marvin32(data: Buffer) -> int:
    """The hash of an entry, with the seed that the registry uses; 64 bits."""
    low, high = _SEED
    whole = len(data) // 4
    tail = bytes(data[whole * 4 :]) + b"\x80"
    words = (*unpack_from(f"<{whole}I", data), int.from_bytes(tail, "little"), 0)
    for word in words:
        low = low + word & _MASK
        high ^= low
        low = ((low << 20 | low >> 12) + high) & _MASK
        high = (high << 9 | high >> 23) & _MASK ^ low
        low = ((low << 27 | low >> 5) + high) & _MASK
        high = (high << 19 | high >> 13) & _MASK
    return high << 32 | low
