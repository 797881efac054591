"""The table of functions that every Go program carries for its own tracebacks (`pclntab`): it survives `-s -w`.

Four layouts exist: of Go 1.2, 1.16, 1.18 and 1.20, the last of which current Go still writes. The source is Go's
`debug/gosym/pclntab.go`, `internal/abi/symtab.go` and `runtime/symtab.go`. Names of functions that were compiled into their callers
everywhere are in the table of names as well, without code of their own.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import accumulate, count, pairwise
from operator import add, le, or_
from struct import unpack_from
from typing import TYPE_CHECKING, Literal

import msgspec

from wingo.errors import Malformed

if TYPE_CHECKING:
    from wingo.binary.data import Data
    from wingo.binary.program import Program

MAGICS = {0xFFFF_FFF1: 20, 0xFFFF_FFF0: 18, 0xFFFF_FFFA: 16, 0xFFFF_FFFB: 2}
"""The first four bytes, and the Go 1.x since which they are written."""
MAX_FUNCTIONS = 4_000_000
"""Kubernetes' largest programs have about 200,000."""
MAX_NAMES_BYTES = 512 << 20
_NAMES_PER_FUNCTION = 16
_NO_PACKAGE = ("go:", "type:", "type..", "__x86.")
"""What the compiler makes, in Go 1.20 and later, and before."""
_DOMAIN = re.compile(r"go\.[a-z0-9.-]+/")
_ESCAPED = re.compile("%([0-9a-f]{2})")
_SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab", "__TEXT,__gopclntab", "__DATA_CONST,__gopclntab")
_PE_CODE = 0x20
_MODULEDATA_TEXT, _MODULEDATA_DATA = 22, 26
"""The words of `runtime.moduledata` with the address of the code, and of the first and last variable with pointers, in Go
1.18 and later; the first word is the table's address."""


class PackageCode(msgspec.Struct, frozen=True):
    """What the linker kept of a package.

    Attributes:
        functions: that have code of their own.
        code_bytes: of machine code, padding included.
    """

    functions: int
    code_bytes: int


class FunctionTable(msgspec.Struct, frozen=True):
    """The functions of a Go program, in the order of their addresses.

    Attributes:
        since: the Go 1.x that began to write this layout: 2, 16, 18 or 20.
        offset: where the table is in the file.
        text: the address of the first code, or None when the file does not say.
        names: of the functions.
        starts: where each begins, in bytes behind `text`; one more for where the last ends.
        inlined: names of functions that are only there inside others.
        variables: from which address to which Go's variables with pointers in them are; (0, 0) when the file does not say.
    """

    since: int
    offset: int
    text: int | None
    names: tuple[str, ...]
    starts: tuple[int, ...]
    inlined: frozenset[str]
    variables: tuple[int, int] = (0, 0)

    @property
    def code_bytes(self) -> int:
        """Of all functions."""
        return self.starts[-1] - self.starts[0]

    def packages(self) -> Mapping[str, PackageCode]:
        """Code by package, as import paths; "" is what the compiler and C made. Inlined packages count nothing."""
        counts: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for name, (start, end) in zip(self.names, pairwise(self.starts), strict=True):
            package = package_of(name)
            counts[package] = counts.get(package, 0) + 1
            sizes[package] = sizes.get(package, 0) + end - start
        found = {package: PackageCode(count, sizes[package]) for package, count in counts.items()}
        for name in self.inlined:
            found.setdefault(package_of(name), PackageCode(0, 0))
        for package in [each for each in found if _is_embedded(each, found)]:
            extra = found.pop(package)
            owner = _owner(package, found)
            code = found[owner]
            found[owner] = PackageCode(code.functions + extra.functions, code.code_bytes + extra.code_bytes)
        # What is escaped stands once for each package here, not once for each function.
        return {unescaped(package) if "%" in package else package: found[package] for package in sorted(found)}

    def all_names(self) -> Iterator[str]:
        """Names of functions with code, then of inlined ones."""
        yield from self.names
        yield from self.inlined


def package_of(name: str) -> str:
    """The package of a symbol: `net/http.(*Server).Serve` is of `net/http`; "" for what the compiler made.

    Dots in the last element of a path are still escaped: `gopkg.in/yaml%2ev3`.
    """
    if "[" in name:
        end = name.rfind("]")
        name = name[: name.index("[")] + name[end + 1 :] if end >= 0 else name
    # A method of an embedded type may bear that type's package behind the receiver.
    receiver = name.find("(")
    slash = name.rfind("/", 0, receiver) if receiver >= 0 else name.rfind("/")
    dot = name.find(".", slash + 1)
    if dot < 0 or name.startswith(_NO_PACKAGE):
        return ""
    if name.startswith("go.") and _DOMAIN.match(name) is None:
        # `go.buildid`, `go.(*struct {…}).Lock`: Go's own until 1.19, and no `go.uber.org/zap.New`.
        return ""
    return name[:dot]


def read_functions(program: Program) -> FunctionTable | None:
    """Reads the function table.

    Returns:
        None when there is none: it is no program that Go's own compiler made.

    Raises:
        Malformed: it is damaged.
    """
    facts = program.facts
    for name in _SECTIONS:
        section = facts.section(name)
        if section is not None and section.file_size:
            return _Table(program, section.offset, section.offset + section.file_size).read()
    if facts.elf is not None and facts.section(".go.buildinfo") is None and facts.sections:
        # Where there are sections, Go names this one.
        return None
    for offset, end in _candidates(program):
        try:
            return _Table(program, offset, end).read()
        except Malformed:
            # Programs that read such tables have the same bytes in their code.
            continue
    return None


def _candidates(program: Program) -> Iterator[tuple[int, int]]:
    """(offset, end of its range) of places that begin like a table, in what is loaded."""
    order: Literal["big", "little"] = "big" if program.memory.big_endian else "little"
    width = program.facts.bits // 8
    # The table is no code: until Go 1.15 it stood among it in a PE, though.
    sections = sorted(program.facts.sections, key=lambda each: bool(each.flags & _PE_CODE)) if program.facts.pe else ()
    places = [(each.offset, each.offset + each.file_size) for each in sections if each.file_size]
    places = places or [(each.offset, each.offset + each.size) for each in program.memory.ranges]
    for magic in MAGICS:
        start = magic.to_bytes(4, order) + b"\0\0"
        for start_at, end in places:
            at = start_at
            while (at := program.data.find(start, at, end)) >= 0:
                header = bytes(program.data.upto(at, 8))
                if len(header) == 8 and header[6] in (1, 2, 4) and header[7] == width:
                    yield at, end
                at += 1


class _Table:
    """One table while it is read."""

    def __init__(self, program: Program, offset: int, end: int) -> None:
        self.program = program
        self.data: Data = program.data
        self.offset = offset
        self.end = end
        header = bytes(self.data.take(offset, 8, "the function table"))
        magics = {magic: order for order in ("<", ">") for magic in unpack_from(order + "I", header)}
        found = [magic for magic in MAGICS if magic in magics]
        if not found or header[4:6] != b"\0\0" or header[6] not in (1, 2, 4) or header[7] not in (4, 8):
            raise self.bad("it begins with no header that Go writes", 0)
        self.since = MAGICS[found[0]]
        self.order = magics[found[0]]
        self.width = header[7]
        self.words: tuple[int, ...] = unpack_from(
            f"{self.order}{8}{'I' if self.width == 4 else 'Q'}",
            self.data.take(offset + 8, 8 * self.width, "the function table"),
        )

    def bad(self, problem: str, at: int) -> Malformed:
        """The error, `at` bytes behind the table's start."""
        return Malformed("Go function table", problem, offset=self.offset + at)

    def read(self) -> FunctionTable:
        count = self.words[0]
        if not 0 < count <= MAX_FUNCTIONS:
            raise self.bad(f"{count} functions", 8)
        if self.since >= 18:
            names_at, names_end, functions_at, field = self.words[3], self.words[4], self.words[7], 4
        elif self.since == 16:
            names_at, names_end, functions_at, field = self.words[2], self.words[3], self.words[6], self.width
        else:
            names_at, names_end, functions_at, field = 0, 0, 0, self.width
        table_at = functions_at if self.since >= 16 else 8 + self.width
        entries = self._numbers(table_at, 2 * count + 1, field, "the functions' addresses")
        starts = entries[0::2]
        if not all(map(le, starts, starts[1:])):
            raise self.bad("the functions' addresses go down", table_at)
        offsets = self._name_offsets(functions_at, entries[1::2], 0 if field == 4 and self.since >= 18 else self.width)
        names, inlined = (
            self._names(names_at, names_end, offsets)
            if self.since >= 16
            else (self._single_names(offsets), frozenset())
        )
        first = starts[0] if self.since < 18 else 0
        text, variables = self._module(starts[0]) if self.since >= 18 else (first, (0, 0))
        return FunctionTable(
            since=self.since,
            offset=self.offset,
            text=text,
            names=names,
            starts=tuple(start - first for start in starts) if first else tuple(starts),
            inlined=inlined,
            variables=variables,
        )

    def _numbers(self, at: int, count: int, width: int, what: str) -> array[int]:
        size = count * width
        if at < 0 or self.offset + at + size > self.end:
            raise self.bad(f"{what} would end {self.offset + at + size - self.end} bytes behind its section", at)
        numbers = array("I" if width == 4 else "Q")
        numbers.frombytes(self.data.take(self.offset + at, size, what))
        if (self.order == ">") != (sys.byteorder == "big"):
            numbers.byteswap()
        return numbers

    def _name_offsets(self, functions_at: int, records: array[int], entry_size: int) -> list[int]:
        """Where each function's name is: the word behind the address in its record."""
        skip = entry_size or 4
        last = max(records)
        if (reduce(or_, records) | skip) & 3:
            raise self.bad("a function's record is not where a word may be", functions_at)
        words = self._numbers(functions_at, (last + skip) // 4 + 1, 4, "the functions' records")
        shift = skip // 4
        return [words[(record >> 2) + shift] for record in records]

    def _names(self, start: int, end: int, offsets: list[int]) -> tuple[tuple[str, ...], frozenset[str]]:
        if not 0 < start < end <= self.end - self.offset or end - start > MAX_NAMES_BYTES:
            raise self.bad(f"the names are said to be from {start} to {end}", start if start < 1 << 40 else 0)
        blob = bytes(self.data.take(self.offset + start, end - start, "the functions' names"))
        if blob.count(0) > _NAMES_PER_FUNCTION * len(offsets) + 65_536:
            raise self.bad("more names than the functions can have", start)
        texts = blob.split(b"\0")
        # Where each begins: the bytes of those before it, and as many zeros.
        places = map(add, accumulate(map(len, texts), initial=0), count())
        by_offset = dict(zip(places, texts, strict=False))
        try:
            names = [by_offset[offset] for offset in offsets]
        except KeyError as error:
            raise self.bad(f"no name begins {error.args[0]} bytes behind the first", start) from None
        inlined = set(texts)
        inlined.difference_update(names)
        inlined.discard(b"")
        return tuple(_decoded(names)), frozenset(_decoded(list(inlined)))

    def _single_names(self, offsets: list[int]) -> tuple[str, ...]:
        """Go 1.2's layout has names and records side by side."""
        left = MAX_NAMES_BYTES
        found: dict[int, str] = {}
        for offset in offsets:
            if offset not in found:
                found[offset] = self.data.text(self.offset + offset, "a function's name")
                left -= len(found[offset])
                if left < 0:
                    raise self.bad("the names are longer than any program's", 0)
        return tuple(found[offset] for offset in offsets)

    def _module(self, first: int) -> tuple[int | None, tuple[int, int]]:
        """The address that functions count from, and where the variables with pointers are.

        Both are in the module data, which begins with this table's address; the first is in the header as well until Go
        1.25. A position-independent ELF has neither in the file: there it is where the code's section begins.
        """
        memory = self.program.memory
        address = next(
            (
                each.address + self.offset - each.offset
                for each in memory.ranges
                if 0 <= self.offset - each.offset < each.size
            ),
            -1,
        )
        order: Literal["big", "little"] = "big" if self.order == ">" else "little"
        needle = address.to_bytes(self.width, order) if 0 < address < 1 << (8 * self.width) else b""
        # Variables come last.
        for part in reversed(memory.ranges) if needle else ():
            at, end = part.offset, part.offset + part.size
            while (at := self.data.find(needle, at, end)) >= 0:
                values = self._module_values(at, first)
                if values:
                    return values[_MODULEDATA_TEXT], (values[_MODULEDATA_DATA], values[_MODULEDATA_DATA + 1])
                at += self.width
        stored = self.words[2]
        if stored and memory.place(stored)[0] >= 0:
            return stored, (0, 0)
        section = self.program.facts.section(".text") or self.program.facts.section("__TEXT,__text")
        return (section.address if section else None), (0, 0)

    def _module_values(self, at: int, first: int) -> tuple[int, ...]:
        """The words of the module data, if it begins here."""
        count = _MODULEDATA_DATA + 2
        words = self.data.upto(at, count * self.width)
        if len(words) < count * self.width:
            return ()
        code = "I" if self.width == 4 else "Q"
        values: tuple[int, ...] = unpack_from(f"{self.order}{count}{code}", words)
        whole = values[1] == values[0] + self.words[3] and values[20] == values[_MODULEDATA_TEXT] + first
        return values if whole else ()


def _owner(package: str, known: Mapping[str, PackageCode]) -> str:
    """Whose `a/b.T.c.com/d` is: of `a/b`, when the method `c.com/d.m` was promoted from a type that T has inside; "" for others."""
    at = package.find(".")
    while at >= 0:
        if package[at + 1 :] in known:
            owner = package[:at].rpartition(".")[0]
            if owner in known:
                return owner
        at = package.find(".", at + 1)
    return ""


def _is_embedded(package: str, known: Mapping[str, PackageCode]) -> bool:
    return package.count(".") > 1 and bool(_owner(package, known))


def unescaped(package: str) -> str:
    """A package's import path as it is written in sources."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), package)


def _decoded(texts: list[bytes]) -> list[str]:
    """Names as texts, decoded together, which is ten times as fast; bytes that are no UTF-8 are surrogates."""
    return b"\0".join(texts).decode("utf-8", "surrogateescape").split("\0") if texts else []
