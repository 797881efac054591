"""Reading a hive: lazily, over bytes, believing nothing.

What is read is checked there and then, and only that: opening costs the same for any size. The local checks (a child names
its parent, no list names a cell twice, the root is nobody's child, a list of values or a large datum belongs to one
owner) make a tree of whatever the bytes say, so that no walk goes round in circles or reads a cell again and again.
`wingo.hive.fsck` looks at everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import unpack_from
from typing import NoReturn

import msgspec

from wingo.errors import Malformed
from wingo.hive import cells
from wingo.hive.cells import BASE_BLOCK, INLINE, KEY_LATIN, KEY_READ, KEY_SIZE, MAX_DEPTH, NO_CELL, SEGMENT
from wingo.hive.keys import KEPT_FLAGS, walk
from wingo.hive.upcase import name_hash, upcase
from wingo.hive.values import Value, find

Buffer = bytes | bytearray | memoryview

_CACHED_DESCRIPTORS = 4096
SMALL_DATA = 1024
"""Bytes of data up to which it does not matter how many values name the same."""
_LEAVES = {b"lf": 8, b"lh": 8, b"li": 4}


class BaseBlock(msgspec.Struct, frozen=True):
    """The first block of a hive.

    Attributes:
        primary: counts changes begun.
        secondary: counts changes finished; the hive is dirty when they differ.
        last_written: units of 100 ns since 1601.
        minor: the version after "1.": 3, 4, 5; 6 with layers.
        root: the root key's cell.
        bins_size: the bytes of all bins.
        name: the end of the file's path, for people.
        flags: 1: a transaction is pending; 2: keys have layers.
        checksum_is_right: the block is what was written.
    """

    primary: int
    secondary: int
    last_written: int
    minor: int
    root: int
    bins_size: int
    name: str
    flags: int
    checksum_is_right: bool

    @property
    def is_dirty(self) -> bool:
        """Whether a change was begun and not finished: the logs must be applied before anything is read."""
        return self.primary != self.secondary or not self.checksum_is_right

    @property
    def is_layered(self) -> bool:
        """Whether keys have layer bits: the hive is a delta."""
        return bool(self.flags & cells.LAYERED_FLAG)


def malformed(problem: str, offset: int | None, *, hint: str = "") -> Malformed:
    """The error for a hive; the offset counts from the start of the file."""
    return Malformed("registry hive", problem, offset=offset, hint=hint)


def read_base_block(data: Buffer, *, log: bool = False) -> BaseBlock:
    """Reads the base block of a hive, or of a log.

    Raises:
        Malformed: it is none, or of a version that nobody has seen.
    """
    if len(data) < (512 if log else BASE_BLOCK) or bytes(data[:4]) != b"regf":
        raise malformed("it does not start with a base block", 0, hint="A hive starts with the letters regf.")
    (_, primary, secondary, written, major, minor, _, _, root, size, _, name, _, _, flags, _, _) = (
        cells.BASE.unpack_from(data)
    )
    right = cells.checksum(data) == unpack_from("<I", data, 508)[0]
    if major != 1 or not 3 <= minor <= cells.LAYERED:
        raise malformed(f"version {major}.{minor} is not one of 1.3 to 1.6", 20)
    text = name.decode("utf-16-le", "replace").partition("\0")[0]
    return BaseBlock(primary, secondary, written, minor, root, size, text, flags, right)


def open_hive(data: Buffer, logs: Sequence[Buffer] = (), *, allow_dirty: bool = False) -> Hive:
    """Opens a hive.

    Args:
        data: the file's bytes; a memory map will do, in a memoryview.
        logs: the bytes of its .LOG1 and .LOG2 (or .LOG), which are applied when the hive is dirty.
        allow_dirty: read what is there of a dirty hive without logs; never build on that.

    Raises:
        Malformed: it is no hive; or it is dirty and the logs are missing, of another hive, or broken.
    """
    base = read_base_block(data)
    if base.is_dirty and logs:
        from wingo.hive.logs import recover

        data = recover(data, logs)
        base = read_base_block(data)
    if base.is_dirty and not allow_dirty:
        problem = (
            f"it is dirty: {base.primary - base.secondary & 0xFFFF_FFFF} change(s) were begun and not finished "
            f"(sequence numbers {base.primary} and {base.secondary})"
            if base.checksum_is_right
            else "its base block is damaged: the checksum is wrong"
        )
        raise malformed(problem, 4, hint="Give the .LOG1 and .LOG2 files that belong to it.")
    return Hive(data, base)


class Hive:
    """A hive; made by `open_hive`.

    Attributes:
        base: its first block.
        end: the bytes of all bins; offsets of cells are below it.
    """

    def __init__(self, data: Buffer, base: BaseBlock) -> None:
        if not base.bins_size or base.bins_size % BASE_BLOCK or base.bins_size > cells.MAX_BINS:
            raise malformed(f"the bins' size, {base.bins_size}, is no multiple of 4096", 40)
        if len(data) < BASE_BLOCK + base.bins_size:
            raise malformed(
                f"it ends at byte {len(data)}, before the {base.bins_size} bytes of bins that it claims", len(data)
            )
        self.base = base
        self.end = base.bins_size
        self.data: bytes | memoryview = data if isinstance(data, bytes) else memoryview(data).toreadonly()
        self.big_data = base.minor > 3
        self._descriptors: dict[int, bytes] = {}
        self._owners: dict[int, int] = {}
        self._last_list: tuple[int, tuple[tuple[int, ...], tuple[int, ...] | None]] = (NO_CELL, ((), None))

    @property
    def root(self) -> KeyNode:
        """The root key.

        Raises:
            Malformed: there is none.
        """
        return KeyNode(self, self.base.root, None, 0)

    def walk(self) -> Iterator[tuple[str, KeyNode]]:
        """Every key with its path, each before what is below it."""
        for path, key in walk(self.root):
            assert isinstance(key, KeyNode)
            yield path, key

    def cell(self, offset: int, least: int, what: str, at: int) -> int:
        """Where a cell's content starts in the file, after checking that so much is in it.

        Args:
            offset: the cell's.
            least: the bytes that must be in it.
            what: for people.
            at: where in the file the offset was read.
        """
        if offset & 7 or offset < cells.BIN_HEADER or offset + 8 > self.end:
            raise malformed(f"the {what} is said to be at {offset:#x}, where no cell can be", at)
        start = BASE_BLOCK + offset
        size = -unpack_from("<i", self.data, start)[0]
        if size < least + 4:
            problem = f"is free, or has fewer than the {least} bytes needed" if size > 0 else "is a free cell"
            raise malformed(f"the cell of the {what} {problem}", start)
        if offset + size > self.end:
            raise malformed(f"the cell of the {what} goes beyond the bins' end", start)
        return start + 4

    def claim(self, offset: int, owner: int, what: str) -> None:
        """Notes who owns a cell that could be read over and over if many named it."""
        if self._owners.setdefault(offset, owner) != owner:
            raise malformed(f"the {what} at {offset:#x} has two owners", owner)

    def security(self, offset: int, at: int) -> bytes:
        """The descriptor in a security cell; none is empty."""
        known = self._descriptors.get(offset)
        if known is not None:
            return known
        if offset == NO_CELL:
            return b""
        start = self.cell(offset, cells.SECURITY_SIZE, "security descriptor", at)
        cell_size, signature, _, _, _, _, size = cells.SECURITY.unpack_from(self.data, start - 4)
        if signature != b"sk" or size > -cell_size - 4 - cells.SECURITY_SIZE:
            raise malformed("a security cell has another signature, or more bytes than fit", start)
        descriptor = bytes(self.data[start + 20 : start + 20 + size])
        if len(self._descriptors) >= _CACHED_DESCRIPTORS:
            self._descriptors.clear()
        self._descriptors[offset] = descriptor
        return descriptor

    def elements(self, offset: int, count: int, at: int) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """A list of subkeys, whole: the keys' cells, and their hashes if every leaf has them."""
        if offset == self._last_list[0] and len(self._last_list[1][0]) == count:
            return self._last_list[1]  # a key with many is asked for one after the other
        start = self.cell(offset, 4, "list of subkeys", at)
        size, signature, here = cells.LIST.unpack_from(self.data, start - 4)
        if signature != b"ri":
            found = self._leaf(start, size, signature, here)
        else:
            if here * 4 > -size - 8:
                raise malformed(f"a list of {here} leaves does not fit its cell", start)
            leaves: tuple[int, ...] = unpack_from(f"<{here}I", self.data, start + 4)
            if len(set(leaves)) != here:
                raise malformed("a list names a leaf twice", start)
            offsets: list[int] = []
            hashes: list[int] | None = []
            for leaf in leaves:
                inner = self.cell(leaf, 4, "leaf", start)
                more, more_hashes = self._leaf(inner, *cells.LIST.unpack_from(self.data, inner - 4))
                offsets += more
                hashes = None if hashes is None or more_hashes is None else hashes + list(more_hashes)
                if len(offsets) > count:
                    break
            found = tuple(offsets), None if hashes is None else tuple(hashes)
        if len(found[0]) != count:
            raise malformed(f"the key has {count} subkeys and its list {len(found[0])}", start)
        if len(set(found[0])) != count:
            raise malformed("a list names a key twice", start)
        self._last_list = offset, found
        return found

    def children(self, offset: int, count: int, key: int) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """`elements` of the key at a cell, none of which is the root."""
        found = self.elements(offset, count, BASE_BLOCK + key)
        if self.base.root in found[0]:
            raise malformed("a list names the root", BASE_BLOCK + key)
        return found

    def value_cells(self, offset: int, count: int, key: int) -> tuple[int, ...]:
        """The cells of the values of the key at a cell, from its list.

        Args:
            offset: the list's cell.
            count: how many values the key says that it has.
            key: the key's cell.
        """
        here = BASE_BLOCK + key
        if count > self.end // 4:
            raise malformed(f"a key is said to have {count} values", here)
        first = self.cell(offset, 4 * count, "list of values", here)
        self.claim(offset, key, "list of values")
        offsets: tuple[int, ...] = unpack_from(f"<{count}I", self.data, first)
        if len(set(offsets)) != count:
            raise malformed("a list names a value twice", first)
        return offsets

    def _leaf(
        self, start: int, size: int, signature: bytes, count: int
    ) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        width = _LEAVES.get(signature)
        if width is None:
            raise malformed(f"{signature!r} is no list of subkeys", start)
        if count * width > -size - 8:
            raise malformed(f"a list of {count} subkeys does not fit its cell", start)
        words: tuple[int, ...] = unpack_from(f"<{count * width // 4}I", self.data, start + 4)
        if width == 4:
            return words, None
        return words[::2], words[1::2] if signature == b"lh" else None

    def value_data(self, size: int, offset: int, start: int) -> bytes:
        """The data of a value that does not stand in the value's cell.

        Args:
            size: its bytes.
            offset: the data's cell.
            start: where the value's cell content starts, for errors.
        """
        if size > self.end:
            raise malformed(f"a value is said to have {size} bytes, more than the hive", start)
        if size > SMALL_DATA:
            self.claim(offset, start, "data")
        if size <= SEGMENT or not self.big_data:
            first = self.cell(offset, size, "value's data", start)
            return bytes(self.data[first : first + size])
        head = self.cell(offset, 8, "big data", start)
        signature, count, segments = unpack_from("<2sHI", self.data, head)
        if signature != b"db" or count != -(-size // SEGMENT):
            raise malformed(f"big data of {size} bytes has no db record of {-(-size // SEGMENT)} segments", head)
        first = self.cell(segments, 4 * count, "list of segments", head)
        parts = []
        for segment in unpack_from(f"<{count}I", self.data, first):
            length = min(SEGMENT, size)
            at = self.cell(segment, length, "segment", first)
            parts.append(bytes(self.data[at : at + length]))
            size -= length
        return b"".join(parts)


def _with_hash(offsets: tuple[int, ...], hashes: tuple[int, ...], code: int) -> tuple[int, ...]:
    """The keys with a hash; mostly one or none."""
    found = []
    position = -1
    for _ in range(hashes.count(code)):
        position = hashes.index(code, position + 1)
        found.append(offsets[position])
    return tuple(found)


class KeyNode:
    """A key in a hive (see `wingo.hive.keys.Key`); two are equal when they are the same cell of the same hive."""

    __slots__ = (
        "_class",
        "_class_size",
        "_depth",
        "_list",
        "_security",
        "_subkey_count",
        "_value_count",
        "_value_list",
        "flags",
        "hive",
        "last_written",
        "layer",
        "name",
        "offset",
        "user_flags",
    )

    def __init__(self, hive: Hive, offset: int, parent: int | None, depth: int) -> None:
        """Reads the key at an offset.

        Args:
            hive: where it is.
            offset: its cell.
            parent: the cell of the key above, which it must name; None for the root.
            depth: how many keys are above.

        Raises:
            Malformed: there is no such key.
        """
        if offset & 7 or offset < 32 or offset + KEY_SIZE + 4 > hive.end:
            self._nowhere(hive, offset, parent)
        data = hive.data
        start = BASE_BLOCK + offset
        (
            size,
            signature,
            flags,
            self.last_written,
            self.layer,
            above,
            self._subkey_count,
            self._list,
            self._value_count,
            self._value_list,
            self._security,
            self._class,
            self.user_flags,
            name_size,
            self._class_size,
        ) = KEY_READ.unpack_from(data, start)
        if signature != b"nk" or -size < KEY_SIZE + 4 + name_size or offset - size > hive.end:
            raise malformed("a key was expected: another signature, or a name that does not fit", start)
        if above != parent and parent is not None:
            raise malformed(f"a key names {above:#x} as its parent, and {parent:#x} lists it", start)
        if depth > MAX_DEPTH:
            raise malformed(f"keys are nested more than {MAX_DEPTH} deep", start)
        name = data[start + 80 : start + 80 + name_size]
        if flags & KEY_LATIN:
            self.name = str(name, "latin-1")
        elif name_size & 1:
            raise malformed("a name in UTF-16 has an odd number of bytes", start)
        else:
            self.name = str(name, "utf-16-le", "surrogatepass")
        self.flags = flags & KEPT_FLAGS
        self.hive = hive
        self.offset = offset
        self._depth = depth

    @staticmethod
    def _nowhere(hive: Hive, offset: int, parent: int | None) -> NoReturn:
        at = 36 if parent is None else BASE_BLOCK + parent
        raise malformed(f"a key is said to be at {offset:#x} of {hive.end:#x} bytes, where no cell can be", at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyNode) and other.hive is self.hive and other.offset == self.offset

    def __hash__(self) -> int:
        return hash((id(self.hive), self.offset))

    def __repr__(self) -> str:
        return f"<key {self.name!r} at {self.offset:#x}>"

    @property
    def security(self) -> bytes:
        """Its security descriptor, self-relative; b"" when it has none."""
        return self.hive.security(self._security, BASE_BLOCK + self.offset)

    @property
    def class_name(self) -> bytes:
        """Its class, as UTF-16LE bytes; b"" when it has none."""
        if self._class == NO_CELL or not self._class_size:
            return b""
        start = self.hive.cell(self._class, self._class_size, "class", BASE_BLOCK + self.offset)
        return bytes(self.hive.data[start : start + self._class_size])

    def values(self) -> Sequence[Value]:
        """Its values, in the order of the hive.

        Raises:
            Malformed: the list, a value or its data is not there.
        """
        count = self._value_count
        if not count:
            return ()
        hive, data, end = self.hive, self.hive.data, self.hive.end
        unpack = cells.VALUE.unpack_from
        found = []
        for offset in hive.value_cells(self._value_list, count, self.offset):
            if offset & 7 or offset < 32 or offset + 24 > end:
                at = BASE_BLOCK + self._value_list + 4
                raise malformed(f"a value is said to be at {offset:#x}, where no cell can be", at)
            start = offset + BASE_BLOCK
            size, signature, name_size, length, where, kind, flags, _ = unpack(data, start)
            if signature != b"vk" or -size < 24 + name_size or offset - size > end:
                raise malformed("a value was expected: another signature, or a name that does not fit", start)
            raw = data[start + 24 : start + 24 + name_size]
            if flags & 1:
                name = str(raw, "latin-1")
            elif name_size & 1:
                raise malformed("a name in UTF-16 has an odd number of bytes", start)
            else:
                name = str(raw, "utf-16-le", "surrogatepass")
            if length & INLINE:
                length ^= INLINE
                if length > 4:
                    raise malformed(f"a value holds {length} bytes in 4", start)
                content = bytes(data[start + 12 : start + 12 + length])
            else:
                content = hive.value_data(length, where, start) if length else b""
            found.append(Value(name, kind, content, flags & 2 != 0))
        return found

    def value(self, name: str) -> Value | None:
        """Its value of that name, in any case."""
        return find(self.values(), name)

    def subkeys(self) -> Sequence[KeyNode]:
        """The keys directly below it, in the order of the hive.

        Raises:
            Malformed: the list or a key is not there.
        """
        if not self._subkey_count:
            return ()
        hive, here, depth = self.hive, self.offset, self._depth + 1
        offsets, _ = hive.children(self._list, self._subkey_count, here)
        return [KeyNode(hive, offset, here, depth) for offset in offsets]

    def subkey(self, name: str) -> KeyNode | None:
        """The key of that name, in any case, directly below it.

        Raises:
            Malformed: the list or a key is not there.
        """
        if not self._subkey_count:
            return None
        wanted = upcase(name)
        hive, here, depth = self.hive, self.offset, self._depth + 1
        offsets, hashes = hive.children(self._list, self._subkey_count, here)
        if hashes is not None:
            offsets = _with_hash(offsets, hashes, name_hash(wanted))
        for offset in offsets:
            key = KeyNode(hive, offset, here, depth)
            if upcase(key.name) == wanted:
                return key
        return None
