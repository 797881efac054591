"""Looks at everything in a hive, and says everything that is wrong with it.

Structure first: the base block, bins and cells that tile the file without a gap, each cell reachable once and from one
place. Then what is in the cells: order, hashes, counts, parents, references, the "longest" fields, layer bits. One pass over the
bins and one over the keys; beside the hive, one byte for every eight of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import unpack_from
from typing import ParamSpec

import msgspec

from wingo.errors import Malformed
from wingo.hive import cells
from wingo.hive.cells import BASE_BLOCK, BIN_HEADER, INLINE, KEY, KEY_SIZE, NO_CELL, SEGMENT, TOMBSTONE
from wingo.hive.read import BaseBlock, Buffer, read_base_block
from wingo.hive.upcase import name_hash, upcase

_P = ParamSpec("_P")

MAX_FINDINGS = 1000
_FREE, _USED, _REACHED = 1, 2, 3


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong with a hive.

    Attributes:
        rule: the check's name.
        offset: where in the file, in bytes.
        problem: what is wrong, for people.
        path: the key that it is about, when that is known.
        severe: whether Windows would refuse the hive or lose something; else it is untidy.
    """

    rule: str
    offset: int
    problem: str
    path: str = ""
    severe: bool = True


class _Full(Exception):
    """There are as many findings as anybody will read."""


class _Stray(Exception):
    """A cell that cannot be looked into; the finding is made."""


def fsck(data: Buffer) -> tuple[Finding, ...]:
    """Everything that is wrong with a hive, in the order of the checks; () for one that is right.

    It ends after `MAX_FINDINGS`. A dirty hive is looked at as it is, which is itself a finding.
    """
    try:
        base = read_base_block(data)
    except Malformed as error:
        return (Finding("base-block", error.offset or 0, error.problem),)
    check = _Check(data, base)
    try:
        if check.check_base_block():
            check.check_bins()
            check.check_keys()
            check.check_leftovers()
    except _Full:
        pass
    return tuple(check.findings)


class _Key(msgspec.Struct):
    """What the pass over the keys carries along."""

    offset: int
    parent: int
    path: str
    depth: int
    layer: int


class _Check:
    def __init__(self, data: Buffer, base: BaseBlock) -> None:
        self.data = memoryview(data)
        self.base = base
        self.findings: list[Finding] = []
        self.end = min(base.bins_size, len(data) - BASE_BLOCK & ~4095)
        self.cells = bytearray(self.end // 8)
        self.references: dict[int, int] = {}

    def note(self, rule: str, offset: int, problem: str, path: str = "", *, severe: bool = True) -> None:
        """Adds a finding; the offset counts from the bins' start."""
        if len(self.findings) >= MAX_FINDINGS:
            raise _Full
        self.findings.append(Finding(rule, BASE_BLOCK + offset, problem, path, severe))

    def check_base_block(self) -> bool:
        """The first block; whether looking on makes sense."""
        base = self.base
        if not base.checksum_is_right:
            self.note("checksum", 508 - BASE_BLOCK, "the base block's checksum is wrong")
        if base.primary != base.secondary:
            self.note("dirty", 4 - BASE_BLOCK, f"the sequence numbers {base.primary} and {base.secondary} differ")
        kind, layout = unpack_from("<II", self.data, 28)
        if (kind, layout) != (0, 1):
            self.note("base-block", 28 - BASE_BLOCK, f"file type {kind} and format {layout} are not 0 and 1")
        if base.flags & ~3:
            self.note("base-block", 144 - BASE_BLOCK, f"unknown flags {base.flags:#x}", severe=False)
        if base.is_layered and base.minor < cells.LAYERED:
            self.note("layered-version", 144 - BASE_BLOCK, f"keys have layers, but the version is 1.{base.minor}")
        if not base.bins_size or base.bins_size % BASE_BLOCK:
            self.note("bins-size", 40 - BASE_BLOCK, f"the bins' size, {base.bins_size}, is no multiple of 4096")
            return False
        if base.bins_size > self.end:
            self.note("truncated", self.end, f"the file ends before the {base.bins_size} bytes of bins it claims")
        return bool(self.end)

    def check_bins(self) -> None:
        """That bins follow on each other, and cells fill each bin."""
        position = 0
        while position < self.end:
            signature, offset, size = unpack_from("<4sII", self.data, BASE_BLOCK + position)
            if signature != b"hbin":
                self.note("bin", position, f"a bin was expected, not {bytes(signature)!r}")
                return
            if offset != position:
                self.note("bin", position + 4, f"the bin says that it is at {offset:#x}, and is at {position:#x}")
            if not size or size % BASE_BLOCK or position + size > self.end:
                self.note("bin", position + 8, f"the bin's size, {size}, is no multiple of 4096 or too large")
                return
            self._check_cells(position + BIN_HEADER, position + size)
            position += size

    def _check_cells(self, position: int, end: int) -> None:
        while position < end:
            size = unpack_from("<i", self.data, BASE_BLOCK + position)[0]
            length = abs(size)
            if length < 8 or length % 8 or position + length > end:
                self.note("cell", position, f"a cell of {length} bytes does not fit its bin, or is no multiple of 8")
                return
            self.cells[position // 8] = _FREE if size > 0 else _USED
            position += length

    def cell(self, offset: int, least: int, what: str, at: int, path: str, *, shared: bool = False) -> int:
        """Where a cell starts in the file; notes that it was reached.

        Raises:
            _Stray: it cannot be looked into.
        """
        if offset % 8 or offset >= self.end or not self.cells[offset // 8]:
            self.note("reference", at, f"the {what} is said to be at {offset:#x}, where no cell starts", path)
            raise _Stray
        state = self.cells[offset // 8]
        if state == _FREE:
            self.note("free-cell", offset, f"the {what} is in a free cell", path)
            raise _Stray
        if state == _REACHED and not shared:
            self.note("shared-cell", offset, f"the {what} is in a cell that something else has", path)
            raise _Stray
        start = BASE_BLOCK + offset
        if -unpack_from("<i", self.data, start)[0] < least + 4:
            self.note("small-cell", offset, f"the {what} needs {least} bytes and its cell has fewer", path)
            raise _Stray
        self.cells[offset // 8] = _REACHED
        return start

    def check_keys(self) -> None:
        """Every key from the root on; then the security cells, which all share."""
        stack = [_Key(self.base.root, NO_CELL, "", 0, 0)]
        while stack:
            at = stack.pop()
            try:
                stack.extend(self._check_key(at))
            except _Stray:
                continue
        self._check_security()

    def _check_key(self, at: _Key) -> Iterator[_Key]:
        is_root = at.parent == NO_CELL
        above = 36 - BASE_BLOCK if is_root else at.parent
        start = self.cell(at.offset, KEY_SIZE, "key", above, at.path)
        fields = KEY.unpack_from(self.data, start)
        (size, signature, flags, _, _, layer, _, parent, count, _, listed, _, value_count, value_list) = fields[:14]
        security, where, longest, _, _, longest_class, longest_value, largest, _, name_size, class_size = fields[14:]
        if signature != b"nk":
            self.note("signature", at.offset, f"a key was expected, not {signature!r}", at.path)
            raise _Stray
        if -size < KEY_SIZE + 4 + name_size:
            self.note("small-cell", at.offset, "the key's name does not fit its cell", at.path)
            raise _Stray
        name = self._name(start + 80, name_size, flags & cells.KEY_LATIN, at)
        path = name if not at.path else f"{at.path}\\{name}"
        path = "" if is_root else path
        if at.depth > cells.MAX_DEPTH:
            self.note("depth", at.offset, f"keys are nested more than {cells.MAX_DEPTH} deep", path[:200])
            raise _Stray
        if not is_root and parent != at.parent:
            self.note(
                "parent", at.offset, f"the key names {parent:#x} as its parent, and {at.parent:#x} lists it", path
            )
        if not is_root and (not name or "\\" in name or len(name) > cells.MAX_NAME):
            self.note("key-name", at.offset, f"{name[:40]!r} is no name of a key", path)
        self._check_flags(at.offset, flags, path, is_root=is_root)
        if where != NO_CELL and class_size:
            self._attempt(self.cell, where, class_size, "class", at.offset, path)
        if security != NO_CELL:
            self.references[security] = self.references.get(security, 0) + 1
        self._check_layer(at, layer, path, count, value_count, class_size, is_root=is_root)
        names = (longest_value, largest)
        self._attempt(self._check_values, at.offset, value_list, value_count, path, names)
        yield from self._check_subkeys(at, listed, count, path, layer, longest, longest_class)

    def _name(self, start: int, size: int, latin: int, at: _Key) -> str:
        raw = bytes(self.data[start : start + size])
        if latin:
            return raw.decode("latin-1")
        if size % 2:
            self.note("name", at.offset, "a name in UTF-16 has an odd number of bytes", at.path)
            raw = raw[:-1]
        return raw.decode("utf-16-le", "surrogatepass")

    def _check_flags(self, offset: int, flags: int, path: str, *, is_root: bool) -> None:
        if is_root and flags & (cells.KEY_ROOT | cells.KEY_NO_DELETE) != cells.KEY_ROOT | cells.KEY_NO_DELETE:
            self.note("root-flags", offset, f"the root's flags, {flags:#x}, are not those of a root", path)
        if not is_root and flags & cells.KEY_ROOT:
            self.note("root-flags", offset, "a key that is not the root says that it is", path)
        if flags & (cells.KEY_VOLATILE | cells.KEY_MOUNT | cells.KEY_PREDEFINED):
            self.note("volatile", offset, f"the flags {flags:#x} are not for a key in a file", path)

    def _check_layer(
        self,
        at: _Key,
        layer: int,
        path: str,
        count: int,
        value_count: int,
        class_size: int,
        *,
        is_root: bool,
    ) -> None:
        if layer and (not self.base.is_layered or is_root):
            where = "the root" if is_root else "a key of a hive without layers"
            if is_root or self.base.minor >= cells.LAYERED:
                self.note("layer", at.offset, f"{where} has the layer byte {layer:#x}", path)
            return
        if layer & ~(3 | cells.INHERIT_CLASS):
            self.note("layer", at.offset, f"the layer byte {layer:#x} has unknown bits", path)
        if layer & 3 == TOMBSTONE and (count or value_count or class_size):
            self.note("tombstone", at.offset, "a deleted key has a class, values or subkeys", path)
        if at.layer & 3 == cells.SUPERSEDE_TREE and layer & 3 not in (TOMBSTONE, cells.SUPERSEDE_TREE):
            self.note("supersede", at.offset, "a key below one that replaces its tree does not replace its own", path)

    def _check_values(self, key: int, listed: int, count: int, path: str, at_most: tuple[int, int]) -> None:
        if not count:
            if listed != NO_CELL and self._is_reachable(listed):
                self.note("value-list", key, "a key without values has a list of values", path, severe=False)
                self.cells[listed // 8] = _REACHED
            return
        if count > self.end // 4:
            self.note("value-list", key, f"the key says that it has {count} values", path)
            return
        start = self.cell(listed, 4 * count, "list of values", key, path)
        seen: set[str] = set()
        for offset in unpack_from(f"<{count}I", self.data, start + 4):
            self._attempt(self._check_value, offset, listed, path, seen, at_most)

    def _check_value(self, offset: int, listed: int, path: str, seen: set[str], at_most: tuple[int, int]) -> None:
        start = self.cell(offset, cells.VALUE_SIZE, "value", listed, path)
        size, signature, name_size, length, where, kind, flags, _ = cells.VALUE.unpack_from(self.data, start)
        if signature != b"vk":
            self.note("signature", offset, f"a value was expected, not {signature!r}", path)
            return
        if -size < 24 + name_size:
            self.note("small-cell", offset, "the value's name does not fit its cell", path)
            return
        name = self._name(start + 24, name_size, flags & cells.VALUE_LATIN, _Key(offset, 0, path, 0, 0))
        if (upper := upcase(name)) in seen:
            self.note("value-name", offset, f"two values of the key are called {name!r}", path)
        seen.add(upper)
        if flags & cells.VALUE_TOMBSTONE:
            if not self.base.is_layered:
                self.note("layer", offset, f"the value {name!r} is a tombstone in a hive without layers", path)
            if kind or length & ~INLINE or (where != NO_CELL and not length & INLINE):
                self.note("tombstone", offset, f"the deleted value {name!r} has data", path)
            return
        if 2 * len(name) > at_most[0]:
            self.note("longest", offset, f"the name {name!r} is longer than its key says names are", path, severe=False)
        if length & INLINE:
            length ^= INLINE
            if length > 4:
                self.note("value-data", offset, f"the value {name!r} holds {length} bytes in 4", path)
                return
        elif length:
            self._check_data(offset, length, where, name, path)
        if length > at_most[1]:
            self.note(
                "longest", offset, f"the value {name!r} is larger than its key says values are", path, severe=False
            )

    def _check_data(self, value: int, length: int, where: int, name: str, path: str) -> None:
        if length > self.end:
            self.note("value-data", value, f"the value {name!r} has {length} bytes, more than the hive", path)
            return
        if length <= SEGMENT or self.base.minor <= 3:
            self.cell(where, length, f"data of {name!r}", value, path)
            return
        start = self.cell(where, 8, f"data of {name!r}", value, path)
        signature, count, segments = unpack_from("<2sHI", self.data, start + 4)
        if signature != b"db" or count != -(-length // SEGMENT):
            self.note("big-data", where, f"{name!r} has {length} bytes and no record of so many segments", path)
            return
        listed = self.cell(segments, 4 * count, f"list of segments of {name!r}", where, path)
        for offset in unpack_from(f"<{count}I", self.data, listed + 4):
            self.cell(offset, min(SEGMENT, length), f"segment of {name!r}", segments, path)
            length -= SEGMENT

    def _check_subkeys(
        self, at: _Key, listed: int, count: int, path: str, layer: int, longest: int, longest_class: int
    ) -> list[_Key]:
        if not count:
            if listed != NO_CELL and self._is_reachable(listed):
                self.note("subkey-list", at.offset, "a key without subkeys has a list of them", path, severe=False)
                self.cells[listed // 8] = _REACHED
            return []
        elements: list[tuple[int, bytes, int]] = []
        start = self.cell(listed, 4, "list of subkeys", at.offset, path)
        size, signature, number = cells.LIST.unpack_from(self.data, start)
        if signature == b"ri":
            if number * 4 > -size - 8:
                self.note("subkey-list", listed, f"{number} leaves do not fit the list's cell", path)
                return []
            for leaf in unpack_from(f"<{number}I", self.data, start + 8):
                self._attempt(self._leaf_below, leaf, listed, path, elements)
        else:
            self._leaf(listed, start, path, elements)
        if len(elements) != count:
            self.note("subkey-count", at.offset, f"the key has {count} subkeys, and its list {len(elements)}", path)
        uppers: list[str] = []
        for offset, kind, hint in elements:
            key = self._peek(offset)
            if key is None:
                continue  # noted when the key itself is looked at
            name, class_size = key
            upper = upcase(name)
            uppers.append(upper)
            if kind == b"lh" and name_hash(upper) != hint:
                self.note("hash", listed, f"the hash of the key {name!r} is wrong", path)
            if kind == b"lf" and not _hint_is_right(name, hint):
                self.note("hash", listed, f"the hint of the key {name!r} is wrong", path)
            if 2 * len(name) > longest & 0xFFFF:
                self.note("longest", offset, f"the name {name!r} is longer than its parent says", path, severe=False)
            if class_size > longest_class:
                self.note(
                    "longest", offset, f"the class of {name!r} is longer than its parent says", path, severe=False
                )
        for before, after in pairwise(uppers):
            if before == after:
                self.note("order", listed, f"two keys are called {after!r}", path)
            elif before > after:
                self.note("order", listed, f"the key {after!r} stands after {before!r}: Windows will not find it", path)
        return [_Key(offset, at.offset, path, at.depth + 1, layer) for offset, _, _ in reversed(elements)]

    def _leaf_below(self, offset: int, listed: int, path: str, into: list[tuple[int, bytes, int]]) -> None:
        self._leaf(offset, self.cell(offset, 4, "leaf", listed, path), path, into)

    def _leaf(self, offset: int, start: int, path: str, into: list[tuple[int, bytes, int]]) -> None:
        size, signature, number = cells.LIST.unpack_from(self.data, start)
        width = {b"lf": 8, b"lh": 8, b"li": 4}.get(signature)
        if width is None:
            self.note("signature", offset, f"a list of subkeys was expected, not {signature!r}", path)
            return
        if number * width > -size - 8:
            self.note("subkey-list", offset, f"{number} subkeys do not fit the list's cell", path)
            return
        if not number:
            self.note("subkey-list", offset, "a list of subkeys is empty", path)
        words = unpack_from(f"<{number * width // 4}I", self.data, start + 8)
        if width == 4:
            into.extend((word, signature, 0) for word in words)
        else:
            into.extend((word, signature, hint) for word, hint in zip(words[::2], words[1::2], strict=True))

    def _peek(self, offset: int) -> tuple[str, int] | None:
        """A key's name and the size of its class; None where there is no key."""
        if offset % 8 or offset + KEY_SIZE + 4 > self.end or self.cells[offset // 8] not in (_USED, _REACHED):
            return None
        start = BASE_BLOCK + offset
        fields = KEY.unpack_from(self.data, start)
        name_size = fields[23]
        if fields[1] != b"nk" or -fields[0] < KEY_SIZE + 4 + name_size:
            return None
        raw = bytes(self.data[start + 80 : start + 80 + name_size])
        latin = fields[2] & cells.KEY_LATIN
        name = raw.decode("latin-1") if latin else raw[: name_size & ~1].decode("utf-16-le", "surrogatepass")
        return name, fields[24] if fields[15] != NO_CELL else 0

    def _check_security(self) -> None:
        """That each security cell is referred to as often as it says, and that they form one circle."""
        circle: dict[int, tuple[int, int]] = {}
        for offset, count in self.references.items():
            self._attempt(self._security_cell, offset, count, circle)
        following = {offset: links[0] for offset, links in circle.items()}
        for offset, (after, _) in circle.items():
            if after not in circle:
                self.note("security-list", offset, f"the next security cell, {after:#x}, belongs to no key")
            elif circle[after][1] != offset:
                self.note("security-list", offset, "the next security cell does not name this one as the one before")
        if circle:
            first = position = next(iter(circle))
            seen = set()
            while position not in seen and position in following:
                seen.add(position)
                position = following[position]
            if position == first and len(seen) != len(circle):
                self.note("security-list", first, f"the circle of security cells has {len(seen)} of {len(circle)}")

    def _security_cell(self, offset: int, count: int, into: dict[int, tuple[int, int]]) -> None:
        start = self.cell(offset, cells.SECURITY_SIZE, "security descriptor", self.base.root, "")
        size, signature, _, after, before, references, length = cells.SECURITY.unpack_from(self.data, start)
        if signature != b"sk":
            self.note("signature", offset, f"a security cell was expected, not {signature!r}")
            return
        if length > -size - 4 - cells.SECURITY_SIZE or length < 20:
            self.note("security", offset, f"a descriptor of {length} bytes does not fit its cell, or is too short")
        if references != count:
            self.note("reference-count", offset, f"the descriptor says {references} keys use it, and {count} do")
        into[offset] = after, before

    def check_leftovers(self) -> None:
        """That nothing is allocated that no key leads to."""
        lost = self.cells.count(_USED)
        if lost:
            first = self.cells.find(_USED) * 8
            self.note(
                "unreachable", first, f"{lost} allocated cell(s) belong to no key, this is the first", severe=False
            )

    def _is_reachable(self, offset: int) -> bool:
        return offset % 8 == 0 and offset < self.end and self.cells[offset // 8] == _USED

    @staticmethod
    def _attempt(look: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            look(*args, **kwargs)
        except _Stray:
            pass


def _hint_is_right(name: str, hint: int) -> bool:
    """Whether an `lf` hint is the first four characters, or zero where one is not Latin."""
    expected = bytes(ord(char) if char < "\u0100" else 0 for char in name[:4]).ljust(4, b"\0")
    actual = hint.to_bytes(4, "little")
    return actual == expected or any(char > "\u007f" for char in name[:4])
