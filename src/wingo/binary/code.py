"""What machine code refers to: direct calls and addresses of texts, on amd64, 386 and arm64.

Instructions are not decoded one after another: their bytes are searched for. A call is believed when it leads exactly to where
a function begins, and an address of a text when the text's length stands beside it, so what is found by chance is rarer
than one in a million. Calls through a pointer (interfaces, function values) are not seen.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, count, repeat
from operator import add
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wingo.binary.functions import FunctionTable
    from wingo.binary.program import Program

ARCHITECTURES = ("amd64", "386", "arm64")
"""As GOARCH: where code is understood; elsewhere nothing is found."""
MAX_CODE = 1 << 30
_LEA = rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d].."
"""With an address of 32 bits, into each of the registers; the upper half of the address follows."""
_INT32 = Struct("<i")
_STRETCH, _GAP = 1 << 20, 1 << 18
_NEAR_BEFORE, _NEAR_BEHIND = 16, 32
"""Bytes around an instruction in which the text's length is looked for."""
_ADRP_MASK, _ADRP = 0x9F00_0000, 0x9000_0000
_ADD_MASK, _ADD = 0xFFC0_0000, 0x9100_0000
_BL = 0x25


class Code:
    """The machine code of a Go program.

    Attributes:
        understood: whether references can be found for its architecture.
    """

    def __init__(self, program: Program, table: FunctionTable) -> None:
        self._table = table
        self._arch = program.facts.arch
        self._base = 0
        self._bytes = memoryview(b"")
        if table.text is not None and self._arch in ARCHITECTURES:
            offset, there = program.memory.place(table.text)
            if offset >= 0:
                self._base = table.text
                self._bytes = program.data.upto(offset, min(there, table.starts[-1], MAX_CODE))
        self.understood = bool(self._bytes)

    def function_at(self, position: int) -> str:
        """The name of the function in whose code a position, counted from the first code, is; "" for none."""
        at = bisect_right(self._table.starts, position) - 1
        return self._table.names[at] if 0 <= at < len(self._table.names) else ""

    def callers(self, names: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Who calls these functions directly, by function; those without callers are left out."""
        wanted = set(names)
        targets = {
            start: name for start, name in zip(self._table.starts, self._table.names, strict=False) if name in wanted
        }
        found: dict[str, set[str]] = {}
        if targets:
            calls = self._arm_calls() if self._arch == "arm64" else self._x86_calls()
            for position, target in calls:
                name = targets.get(target)
                if name is not None:
                    found.setdefault(name, set()).add(self.function_at(position))
        # An assembly function is called through a wrapper of the same name.
        return {name: frozenset(callers - {name, ""}) for name, callers in found.items() if callers - {name, ""}}

    def texts(self, places: Mapping[int, Collection[int]]) -> Iterator[tuple[int, int, str]]:
        """Go texts that the code takes the address of.

        Args:
            places: the lengths that are of interest, by the address of the first byte.

        Yields:
            (address, length, name of the function).
        """
        addresses = self._arm_addresses() if self._arch == "arm64" else self._x86_addresses(list(places))
        for position, address in addresses:
            if address in places:
                for length in places[address]:
                    if self._is_near(position, length):
                        yield address, length, self.function_at(position)

    def _x86_calls(self) -> Iterator[tuple[int, int]]:
        positions, operands = _calls(bytes(self._bytes))
        # Where the instruction ends is what the number counts from.
        return zip(positions, map(add, positions, map(add, operands, repeat(5))), strict=True)

    def _arm_calls(self) -> Iterator[tuple[int, int]]:
        for number, word in enumerate(self._words()):
            if word >> 26 == _BL:
                step = word & 0x3FF_FFFF
                yield 4 * number, 4 * (number + step - (step >> 25 << 26))

    def _x86_addresses(self, wanted: Sequence[int]) -> Iterator[tuple[int, int]]:
        """LEA instructions whose address is near a wanted one; the search itself leaves out the others."""
        wide = self._arch != "386"
        groups = _grouped(wanted)
        for start in range(0, len(self._bytes), _STRETCH):
            end = min(start + _STRETCH, len(self._bytes))
            # On 386 the number is the address itself, on amd64 it counts from the end of the instruction.
            near, far = (self._base + start + 6, self._base + end + 6) if wide else (0, 0)
            tops = {top & 0xFFFF for low, high in groups for top in range(low - far >> 16, (high - near >> 16) + 1)}
            for match in _lea_with(frozenset(tops)).finditer(self._bytes, start, min(end + 6, len(self._bytes))):
                at = match.start()
                if at < end:
                    (number,) = _INT32.unpack_from(self._bytes, at + 2)
                    yield at, self._base + at + 6 + number if wide else number & 0xFFFF_FFFF

    def _arm_addresses(self) -> Iterator[tuple[int, int]]:
        words = self._words()
        for number, word in enumerate(words):
            if word & _ADRP_MASK != _ADRP:
                continue
            page = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            page -= page >> 20 << 21
            start = (self._base + 4 * number & ~0xFFF) + (page << 12)
            for following in words[number + 1 : number + 4]:
                if following & _ADD_MASK == _ADD and following >> 5 & 31 == word & 31:
                    yield 4 * number, start + (following >> 10 & 0xFFF)
                    break

    def _words(self) -> array[int]:
        words = array("I")
        words.frombytes(self._bytes[: len(self._bytes) & ~3])
        if sys.byteorder == "big":
            words.byteswap()
        return words

    def _is_near(self, position: int, length: int) -> bool:
        if self._arch != "arm64":
            window = bytes(self._bytes[max(position - _NEAR_BEFORE, 0) : position + _NEAR_BEHIND])
            at, needle = 0, length.to_bytes(4, "little")
            while (at := window.find(needle, at + 1)) >= 0:
                if _is_moved(window, at):
                    return True
            return False
        # MOVZ Xd, #length, or the same as ORR with a bit pattern of powers of two, which Go writes for some.
        start = max(position - _NEAR_BEFORE, 0)
        for at in range(start - start % 4, min(position + _NEAR_BEHIND, len(self._bytes) - 3), 4):
            word = int.from_bytes(self._bytes[at : at + 4], "little")
            if word & 0xFFE0_0000 == 0xD280_0000 and word >> 5 & 0xFFFF == length:
                return True
            if word & 0xFF80_03E0 == 0xB200_03E0 and _logical(word) == length:
                return True
        return False


def _grouped(addresses: Sequence[int]) -> list[tuple[int, int]]:
    """(least, greatest) of addresses that are not far from each other."""
    groups: list[tuple[int, int]] = []
    for address in sorted(addresses):
        if groups and address - groups[-1][1] < _GAP:
            groups[-1] = groups[-1][0], address
        else:
            groups.append((address, address))
    return groups


def _lea_with(tops: frozenset[int]) -> re.Pattern[bytes]:
    """LEA with a number of 32 bits whose upper half is one of these."""
    by_top: dict[int, set[int]] = {}
    for top in tops:
        by_top.setdefault(top >> 8, set()).add(top & 0xFF)
    choices = (_one_of(lower) + _one_of([upper]) for upper, lower in sorted(by_top.items()))
    return re.compile(_LEA + b"(?:" + b"|".join(choices) + b")", re.DOTALL)


def _one_of(numbers: Collection[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % number for number in sorted(numbers)) + b"]"


def _calls(code: bytes) -> tuple[list[int], array[int]]:
    """Where the byte of a near call is, and the signed number of 32 bits behind it.

    Splitting and joining do in C, for half a million places, what a loop over them would do here.
    """
    pieces = code.split(b"\xe8")
    sizes = list(map(len, pieces))
    positions = list(map(add, accumulate(sizes[:-1]), count()))
    heads = [piece[:4] for piece in pieces[1:]]
    for number in [number for number, size in enumerate(sizes[1:]) if size < 4]:
        # There is another such byte in its number.
        at = positions[number] + 1
        heads[number] = code[at : at + 4]
    while heads and len(heads[-1]) < 4:
        del heads[-1], positions[-1]
    numbers = array("i")
    numbers.frombytes(b"".join(heads))
    if sys.byteorder == "big":
        numbers.byteswap()
    return positions, numbers


def _is_moved(code: bytes, at: int) -> bool:
    """Whether the number at this place is the operand of an x86 MOV: to a register, or to memory in one of its spellings."""
    before = code[max(at - 7, 0) : at].rjust(7, b"\0")
    return (
        before[6] & 0xF8 == 0xB8  # MOV register, number
        or (before[5] == 0xC7 and before[6] < 8)  # MOV [register], number
        or (before[4] == 0xC7 and before[5] & 0xF8 == 0x40)  # MOV [register + 8 bits], number
        or (before[3] == 0xC7 and before[4] & 0xC7 == 0x44)  # the same with an index, or below the stack pointer
        or (before[1] == 0xC7 and before[2] & 0xF8 == 0x80)  # with 32 bits
        or (before[0] == 0xC7 and before[1] & 0xC7 == 0x84)
    )


def _logical(word: int) -> int:
    """The immediate of a 64-bit ORR with the zero register (Arm ARM, DecodeBitMasks)."""
    n, rotate, ones = word >> 22 & 1, word >> 16 & 63, word >> 10 & 63
    size = 64 if n else 1 << ((ones ^ 0x3F).bit_length() - 1)
    count = (ones & (size - 1)) + 1
    pattern = (1 << count) - 1
    rotate %= size
    pattern = (pattern >> rotate | pattern << (size - rotate)) & ((1 << size) - 1)
    for at in range(size, 64, size):
        pattern |= (pattern & ((1 << size) - 1)) << at
    return pattern
