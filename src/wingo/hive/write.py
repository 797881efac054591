"""Writing a hive, whole or of a layer: the same keys give the same bytes.

Nothing comes from a clock: times are the keys' own, and the base block's is given. Cells are laid out key by key: a key's values,
its class, then the keys directly below it and their list; bins have 4096 bytes unless a cell needs more.

Keys that are a hive's own, untouched, are copied record by record without being taken apart (`_Writer._copy`); the bytes are
the same.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from struct import Struct, pack, pack_into
from typing import Any

from wingo.errors import RequestError
from wingo.hive import cells
from wingo.hive.cells import (
    BASE_BLOCK,
    BIN_HEADER,
    INLINE,
    KEY,
    KEY_LATIN,
    KEY_LINK,
    KEY_NO_DELETE,
    KEY_ROOT,
    KEY_SIZE,
    MAX_DEPTH,
    NO_CELL,
    SEGMENT,
    VALUE_LATIN,
    VALUE_TOMBSTONE,
)
from wingo.hive.keys import Key, check_key_name
from wingo.hive.read import SMALL_DATA, Buffer, Hive, KeyNode
from wingo.hive.upcase import name_hash, upcase
from wingo.hive.values import Value

_LEAF = 507
"""Keys in a leaf: as many as fit a bin of 4096 bytes."""

_MAX_BYTES = 1 << 30
_FIRST_BYTES = 1 << 16
_LEAST_DESCRIPTOR = 20
_CHECKED = 127
"""Characters up to which a name is short enough, however many units each has."""

_INT = Struct("<i")
_VALUE = Struct("<2sHIIIHH")
"""A key value, without its cell's size."""


def write_hive(root: Key, *, name: str = "", last_written: int = 0) -> bytes:
    """A whole hive (version 1.5) of a key and everything below it.

    Args:
        root: what becomes the root key.
        name: the end of the path in the base block, for people.
        last_written: the time in the base block: units of 100 ns since 1601.

    Raises:
        RequestError: a name, a number or the depth is beyond what a hive can hold, or two names are the same.
        Malformed: the hive that the keys are read from is not what its format says.
    """
    return _Writer(minor=cells.LATEST_PLAIN).write(root, name, last_written)


def write_delta(root: Key, *, name: str = "", last_written: int = 0) -> bytes:
    """The hive of a layer (version 1.6, base block flag 2): as `write_hive`, with the keys' layer bytes."""
    return _Writer(minor=cells.LAYERED).write(root, name, last_written)


class _Writer:
    def __init__(self, *, minor: int) -> None:
        self._minor = minor
        # what comes out of a BytesIO is no copy of what is in it: a hive has tens of megabytes
        self._file = io.BytesIO(bytes(_FIRST_BYTES))
        self._bins = self._file.getbuffer()
        self._end = BASE_BLOCK
        self._position = self._limit = BASE_BLOCK
        self._descriptors: dict[bytes, list[int]] = {}
        self._copied: Hive | None = None
        self._copied_descriptors: dict[int, list[int]] = {}

    def write(self, root: Key, name: str, last_written: int) -> bytes:
        """The whole file."""
        first = self._reserve(root, is_root=True)
        stack = [(root, first, NO_CELL, 0)]
        while stack:
            key, offset, parent, depth = stack.pop()
            if depth > MAX_DEPTH:
                raise RequestError(f"keys are nested more than {MAX_DEPTH} deep at {key.name!r}")
            if isinstance(key, KeyNode) and self._can_copy(key.hive) and depth:
                self._copy(key, offset, parent, depth)
                continue
            children = self._key(key, offset, parent)
            stack.extend((child, cell, offset, depth + 1) for child, cell in reversed(children))
        self._link_descriptors()
        self._end_bin()
        self._base_block(first, name, last_written)
        self._bins.release()
        self._file.truncate(self._end)
        return self._file.getvalue()

    def _base_block(self, root: int, name: str, last_written: int) -> None:
        size = self._end - BASE_BLOCK
        flags = cells.LAYERED_FLAG if self._minor == cells.LAYERED else 0
        tail = name.encode("utf-16-le", "surrogatepass")[-62:]
        none = bytes(16)
        fields = (b"regf", 1, 1, last_written, 1, self._minor, 0, 1, root, size, 1, tail, none, none, flags, none, 0)
        cells.BASE.pack_into(self._bins, 0, *fields)
        pack_into("<Q", self._bins, BASE_BLOCK + 20, last_written)
        pack_into("<I", self._bins, 508, cells.checksum(self._bins))

    def _allocate(self, size: int) -> int:
        """A cell with room for so many bytes of content; gives where the cell starts in the file."""
        whole = size + 4 + 7 & ~7
        if self._position + whole > self._limit:
            self._end_bin()
            length = max(BASE_BLOCK, -(-(whole + BIN_HEADER) // BASE_BLOCK) * BASE_BLOCK)
            start = self._end
            if start + length > _MAX_BYTES:
                raise RequestError(f"the hive would have more than {_MAX_BYTES} bytes")
            if start + length > len(self._bins):
                self._grow(start + length)
            self._end = start + length
            cells.HEADER.pack_into(self._bins, start, b"hbin", start - BASE_BLOCK, length, 0, 0, 0)
            self._position = start + BIN_HEADER
            self._limit = start + length
        at = self._position
        pack_into("<i", self._bins, at, -whole)
        self._position = at + whole
        return at

    def _grow(self, least: int) -> None:
        size = max(least, len(self._bins) + (len(self._bins) >> 3))
        self._bins.release()
        self._file.seek(size - 1)
        self._file.write(b"\0")
        self._bins = self._file.getbuffer()

    def _end_bin(self) -> None:
        if self._position < self._limit:
            pack_into("<i", self._bins, self._position, self._limit - self._position)
        self._position = self._limit

    def _put(self, content: Buffer) -> int:
        """A cell with that content; gives its offset."""
        size = len(content)
        at = self._position
        whole = size + 11 & ~7
        if at + whole > self._limit:
            at = self._allocate(size)
        else:  # the same, written out: most cells go this way
            self._position = at + whole
            pack_into("<i", self._bins, at, -whole)
        self._bins[at + 4 : at + 4 + size] = content
        return at - BASE_BLOCK

    def _reserve(self, key: Key, *, is_root: bool = False) -> int:
        """A cell for a key, whose name is all that is needed now; gives its offset."""
        name = key.name
        return self._reserve_raw(name, _latin(name), is_root=is_root)

    def _reserve_raw(self, name: str, encoded: bytes | None, *, is_root: bool = False) -> int:
        """The same, of its name and that in Latin-1, where it can be written so."""
        if not is_root and not (0 < len(name) <= _CHECKED and "\0" not in name and "\\" not in name):
            check_key_name(name)
        raw = name.encode("utf-16-le", "surrogatepass") if encoded is None else encoded
        at = self._position
        whole = KEY_SIZE + len(raw) + 11 & ~7
        if at + whole > self._limit:
            at = self._allocate(KEY_SIZE + len(raw))
        else:  # as in `_put`
            self._position = at + whole
            _INT.pack_into(self._bins, at, -whole)
        self._bins[at + 80 : at + 80 + len(raw)] = raw
        pack_into("<HH", self._bins, at + 76, len(raw), KEY_LATIN if encoded is not None else 0)
        return at - BASE_BLOCK

    def _key(self, key: Key, offset: int, parent: int) -> list[tuple[Key, int]]:
        """Fills a key's cell and writes what it points to; gives the keys below it and their cells."""
        is_root = parent == NO_CELL
        values, children = key.values(), key.subkeys()
        value_list, longest_name, largest = self._values(values, key.name)
        class_name = key.class_name
        if len(class_name) > 0xFFFF:
            raise RequestError(f"the class of the key {key.name!r} has more than 65535 bytes")
        where = self._put(class_name) if class_name else NO_CELL
        cells_of = [(child, self._reserve(child)) for child in children]
        names = [upcase(child.name) for child in children]
        subkey_list = self._leaves(names, [cell for _, cell in cells_of], key.name)
        at = BASE_BLOCK + offset
        name_size = int.from_bytes(self._bins[at + 76 : at + 78], "little")
        flags = key.flags & ~(KEY_ROOT | KEY_LATIN) | self._bins[at + 78]
        layer = key.layer if self._minor == cells.LAYERED else 0
        descriptor = self._descriptor(key.security)  # before the buffer is named: it may have to grow for this
        KEY.pack_into(
            self._bins,
            at,
            -(KEY_SIZE + name_size + 4 + 7 & ~7),
            b"nk",
            flags | (KEY_ROOT | KEY_NO_DELETE if is_root else 0),
            key.last_written,
            0,
            0 if is_root else layer,
            0,
            parent if not is_root else 0,
            len(children),
            0,
            subkey_list,
            NO_CELL,
            len(values),
            value_list,
            descriptor,
            where,
            max(map(_units, [child.name for child in children])) if children else 0,
            key.user_flags,
            0,
            max([len(child.class_name) for child in children]) if children else 0,
            longest_name,
            largest,
            0,
            name_size,
            len(class_name),
        )
        return cells_of

    def _values(self, values: Sequence[Value], key_name: str) -> tuple[int, int, int]:
        """The list of values, the longest name and the largest data, in bytes."""
        if not values:
            return NO_CELL, 0, 0
        names = [value.name for value in values]
        if len(names) > 1 and len(set(map(upcase, names))) != len(names):
            raise RequestError(f"the key {key_name!r} has two values of the same name")
        at = self._allocate(4 * len(values))
        offsets = [self._value(value) for value in values]
        pack_into(f"<{len(offsets)}I", self._bins, at + 4, *offsets)
        return at - BASE_BLOCK, max(map(_units, names)), max([len(value.data) for value in values])

    def _value(self, value: Value) -> int:
        name, data = value.name, value.data
        encoded = _latin(name)
        raw = name.encode("utf-16-le", "surrogatepass") if encoded is None else encoded
        if len(name) > _CHECKED and _units(name) > 2 * cells.MAX_VALUE_NAME:
            raise RequestError(f"the value's name {name[:40]!r}... has more than {cells.MAX_VALUE_NAME} characters")
        flags = VALUE_LATIN if name and encoded is not None else 0
        size = len(data)
        if value.tombstone:
            if self._minor != cells.LAYERED:
                raise RequestError(f"the value {name!r} is a tombstone, which only a layer has")
            flags, where = flags | VALUE_TOMBSTONE, NO_CELL
        elif size <= 4:
            size, where = size | INLINE, int.from_bytes(data, "little")
        else:
            where = self._data(data)
        return self._put(_VALUE.pack(b"vk", len(raw), size, where, value.type, flags, 0) + raw)

    def _data(self, data: bytes) -> int:
        if len(data) <= SEGMENT:
            return self._put(data)
        # as on Windows the cell of the last segment is as large as the others': libregf and hivex read less else
        parts = (data[start : start + SEGMENT] for start in range(0, len(data), SEGMENT))
        segments = [self._put(part.ljust(SEGMENT, b"\0")) for part in parts]
        if len(segments) > 0xFFFF:
            raise RequestError(f"a value has {len(data)} bytes, more than a hive can hold")
        listed = self._put(pack(f"<{len(segments)}I", *segments))
        return self._put(pack("<2sHI", b"db", len(segments), listed))

    def _leaves(self, names: Sequence[str], offsets: Sequence[int], key_name: str) -> int:
        """The list of keys, by their upper-cased names and their cells."""
        if not names:
            return NO_CELL
        for before, after in pairwise(names):
            if before >= after:
                raise RequestError(f"the keys below {key_name!r} are not in order, or two are the same: {after!r}")
        leaves = []
        for start in range(0, len(names), _LEAF):
            part = offsets[start : start + _LEAF]
            words = [0] * (2 * len(part))
            words[::2] = part
            words[1::2] = map(name_hash, names[start : start + _LEAF])
            leaves.append(self._put(pack(f"<2sH{len(words)}I", b"lh", len(part), *words)))
        if len(leaves) == 1:
            return leaves[0]
        if len(leaves) > 0xFFFF:
            raise RequestError(f"the key {key_name!r} has {len(names)} subkeys, more than a hive can hold")
        return self._put(pack(f"<2sH{len(leaves)}I", b"ri", len(leaves), *leaves))

    def _descriptor(self, descriptor: bytes) -> int:
        """The security cell of a descriptor; the same descriptor has one cell."""
        if not descriptor:
            return NO_CELL
        if len(descriptor) < _LEAST_DESCRIPTOR:
            raise RequestError(f"a security descriptor has {len(descriptor)} bytes, and none can have fewer than 20")
        known = self._descriptors.get(descriptor)
        if known is None:
            content = pack("<2sHIIII", b"sk", 0, 0, 0, 0, len(descriptor)) + descriptor
            known = self._descriptors[descriptor] = [self._put(content), 0]
        known[1] += 1
        return known[0]

    def _can_copy(self, hive: Hive) -> bool:
        """Whether a hive's keys can be copied as they are: those of one hive, without layers."""
        if self._copied is None and not hive.base.is_layered and self._minor != cells.LAYERED:
            self._copied = hive
            wanted = self._end + hive.end
            if wanted > len(self._bins):
                self._grow(wanted)
        return hive is self._copied

    def _copy(self, top: KeyNode, offset: int, parent: int, depth: int) -> None:
        """Writes a key of a hive, whose cell is reserved, and everything below it."""
        hive, put, reserve = top.hive, self._put, self._reserve_raw
        data, unpack, pack_key = hive.data, KEY.unpack_from, KEY.pack_into
        stack = [(top.offset, unpack(data, BASE_BLOCK + top.offset), top.name, offset, parent, depth)]
        while stack:
            here, fields, key_name, offset, parent, depth = stack.pop()
            value_list, longest_name, largest = NO_CELL, 0, 0
            if fields[12]:
                value_list, longest_name, largest = self._copy_values(hive, here, fields[13], fields[12], key_name)
            class_size = fields[24] if fields[15] != NO_CELL else 0
            where = put(KeyNode(hive, here, None, depth).class_name) if class_size else NO_CELL
            children: list[tuple[int, tuple[Any, ...], str, int]] = []
            subkey_list, longest, longest_class = NO_CELL, 0, 0
            if fields[8]:
                names: list[str] = []
                for child in hive.children(fields[10], fields[8], here)[0]:
                    start = BASE_BLOCK + child
                    below = unpack(data, start) if 32 <= child <= hive.end - KEY_SIZE - 4 else ()
                    if (
                        not below
                        or below[1] != b"nk"
                        or below[7] != here
                        or depth >= MAX_DEPTH
                        or child & 7
                        or (-below[0] < 80 + below[23] or child - below[0] > hive.end)
                    ):
                        KeyNode(hive, child, here, depth + 1)  # says what is wrong
                        raise AssertionError(child)
                    raw = data[start + 80 : start + 80 + below[23]]
                    if below[2] & KEY_LATIN:
                        name = str(raw, "latin-1")
                        units = 2 * below[23]
                        cell = reserve(name, bytes(raw))
                    else:
                        name = KeyNode(hive, child, here, depth + 1).name
                        units = _units(name)
                        cell = reserve(name, _latin(name))
                    names.append(upcase(name))
                    longest = max(longest, units)
                    if below[15] != NO_CELL and below[24] > longest_class:
                        longest_class = below[24]
                    children.append((child, below, name, cell))
                subkey_list = self._leaves(names, [item[3] for item in children], key_name)
            at = BASE_BLOCK + offset
            descriptor = self._copy_descriptor(hive, fields[14], here)
            bins = self._bins
            name_size = bins[at + 76] | bins[at + 77] << 8
            pack_key(
                bins,
                at,
                -(KEY_SIZE + name_size + 11 & ~7),
                b"nk",
                fields[2] & (KEY_NO_DELETE | KEY_LINK) | bins[at + 78],
                fields[3],
                0,
                0,
                0,
                parent,
                fields[8],
                0,
                subkey_list,
                NO_CELL,
                fields[12],
                value_list,
                descriptor,
                where,
                longest,
                fields[17],
                0,
                longest_class,
                longest_name,
                largest,
                0,
                name_size,
                class_size,
            )
            children.reverse()
            stack.extend((child, below, name, cell, offset, depth + 1) for child, below, name, cell in children)

    def _copy_values(self, hive: Hive, key: int, listed: int, count: int, key_name: str) -> tuple[int, int, int]:
        """Writes the values of the key at a cell of a hive: as `_values`, which does it where one is out of the ordinary."""
        data, end, unpack = hive.data, hive.end, cells.VALUE.unpack_from
        records = []
        names = set()
        longest = largest = 0
        for offset in hive.value_cells(listed, count, key):
            start = offset + BASE_BLOCK
            if offset & 7 or not 32 <= offset <= end - 24:
                break
            size, signature, name_size, length, where, kind, flags, _ = unpack(data, start)
            if signature != b"vk" or -size < 24 + name_size or offset - size > end or flags & ~VALUE_LATIN:
                break
            raw = bytes(data[start + 24 : start + 24 + name_size])
            longest = max(longest, name_size)
            if name_size > cells.MAX_VALUE_NAME or not raw.isascii() or (name_size and not flags):
                break
            names.add(raw.upper())
            content: Buffer = b""
            if length & INLINE:
                length ^= INLINE
                if length > 4:
                    break
                where &= (1 << 8 * length) - 1
            elif not length:
                where = 0
            elif length <= 4 or length > SEGMENT or where & 7 or not 32 <= where <= end - 8:
                break
            else:
                first = where + BASE_BLOCK
                room = -_INT.unpack_from(data, first)[0]
                if room < length + 4 or where + room > end:
                    break
                if length > SMALL_DATA:
                    hive.claim(where, start, "data")
                content = data[first + 4 : first + 4 + length]
            largest = max(largest, length)
            records.append((raw, name_size, length, where, kind, content))
        if len(records) != count or len(names) != count:
            return self._values(KeyNode(hive, key, None, 0).values(), key_name)
        at = self._allocate(4 * count)
        offsets = []
        bins, position, limit, pack_value = self._bins, self._position, self._limit, cells.VALUE.pack_into
        for raw, name_size, length, where, kind, content in records:
            flags = VALUE_LATIN if name_size else 0
            whole = length + 11 & ~7 if content else 0
            record = name_size + cells.VALUE_SIZE + 11 & ~7
            size, place = (length, 0) if content else (length | INLINE, where)
            if position + whole + record > limit:  # a new bin, of which `_put` knows
                self._position = position
                place = self._put(content) if content else place
                offsets.append(self._put(_VALUE.pack(b"vk", name_size, size, place, kind, flags, 0) + raw))
                bins, position, limit = self._bins, self._position, self._limit
                continue
            if content:
                _INT.pack_into(bins, position, -whole)
                bins[position + 4 : position + 4 + length] = content
                place = position - BASE_BLOCK
                position += whole
            pack_value(bins, position, -record, b"vk", name_size, size, place, kind, flags, 0)
            bins[position + 24 : position + 24 + name_size] = raw
            offsets.append(position - BASE_BLOCK)
            position += record
        self._position = position
        pack_into(f"<{count}I", bins, at + 4, *offsets)
        return at - BASE_BLOCK, 2 * longest, largest

    def _copy_descriptor(self, hive: Hive, offset: int, key: int) -> int:
        """As `_descriptor`, of a security cell of a hive."""
        known = self._copied_descriptors.get(offset)
        if known is not None:
            known[1] += 1
            return known[0]
        descriptor = hive.security(offset, BASE_BLOCK + key)
        cell = self._descriptor(descriptor)
        if descriptor:
            self._copied_descriptors[offset] = self._descriptors[descriptor]
        return cell

    def _link_descriptors(self) -> None:
        """Sets the links of the circle of security cells, and how often each is used."""
        used = list(self._descriptors.values())
        for index, (offset, count) in enumerate(used):
            following, before = used[(index + 1) % len(used)][0], used[index - 1][0]
            pack_into("<III", self._bins, BASE_BLOCK + offset + 8, following, before, count)


def _latin(name: str) -> bytes | None:
    """A name with one byte per character, where that is possible."""
    try:
        return name.encode("latin-1")
    except UnicodeEncodeError:
        return None


def _units(name: str) -> int:
    """The bytes of a name in UTF-16."""
    return 2 * len(name) if name.isascii() else len(name.encode("utf-16-le", "surrogatepass"))
