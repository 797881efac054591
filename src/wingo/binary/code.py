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
from collections.abc import Collection, Iterator, Mapping
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wingo.binary.functions import FunctionTable
    from wingo.binary.program import Program

ARCHITECTURES = ("amd64", "386", "arm64")
"""As GOARCH: where code is understood; elsewhere nothing is found."""
MAX_CODE = 1 << 30
_CALL = re.compile(rb"\xe8(?=(....))", re.DOTALL)
_LEA = re.compile(rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](....)", re.DOTALL)
_INT32 = Struct("<i")
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
        self._bytes = b""
        if table.text is not None and self._arch in ARCHITECTURES:
            offset, there = program.memory.place(table.text)
            if offset >= 0:
                self._base = table.text
                self._bytes = bytes(program.data.upto(offset, min(there, table.starts[-1], MAX_CODE)))
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
            for position, target in self._arm_calls() if self._arch == "arm64" else self._x86_calls():
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
        for position, address in self._arm_addresses() if self._arch == "arm64" else self._x86_addresses():
            if address in places:
                for length in places[address]:
                    if self._is_near(position, length):
                        yield address, length, self.function_at(position)

    def _x86_calls(self) -> Iterator[tuple[int, int]]:
        unpack = _INT32.unpack
        for match in _CALL.finditer(self._bytes):
            at = match.start()
            yield at, at + 5 + unpack(match[1])[0]

    def _arm_calls(self) -> Iterator[tuple[int, int]]:
        for number, word in enumerate(self._words()):
            if word >> 26 == _BL:
                step = word & 0x3FF_FFFF
                yield 4 * number, 4 * (number + step - (step >> 25 << 26))

    def _x86_addresses(self) -> Iterator[tuple[int, int]]:
        unpack = _INT32.unpack
        # On 386 the number is the address itself, on amd64 it counts from the end of the instruction.
        base = self._base + 6 if self._arch == "amd64" else None
        for match in _LEA.finditer(self._bytes):
            at = match.start()
            (number,) = unpack(match[1])
            yield at, number & 0xFFFF_FFFF if base is None else base + at + number

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
            window = self._bytes[max(position - _NEAR_BEFORE, 0) : position + _NEAR_BEHIND]
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
