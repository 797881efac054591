r"""Libraries that a Windows program loads while it runs: the loader never sees their names, so a start that works says nothing.

Three kinds of evidence, the best first:

- `CALLED`: the program has a function of Go's own `syscall` packages, or of golang.org/x/sys/windows, that calls into this
  library (`wingo.binary.wrappers`). The linker keeps only what can be reached, so something in the program may call it.
- `NAMED`: a text constant is exactly this name, and code or data refers to it with exactly its length; what for, is not known. Names
  that only the start of those packages mentions are left out: they are in every program, and load nothing by themselves.
- `WRITTEN`: a text of its own, with a zero behind it, as C and the Windows API want them, in UTF-8 or UTF-16.

A name that is put together while the program runs is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from wingo.binary.code import Code
from wingo.binary.facts import Format
from wingo.binary.wrappers import WRAPPERS

if TYPE_CHECKING:
    from wingo.binary.functions import FunctionTable
    from wingo.binary.program import Program

MAX_MENTIONS = 20_000
MAX_LIBRARIES = 4_096
_LONGEST = 64
_NEEDLES = (b".dll", b".DLL")
_WIDE_NEEDLES = tuple(b"".join(bytes([byte, 0]) for byte in needle) + b"\0\0" for needle in _NEEDLES)
_PLAIN_NEEDLES = tuple(needle + b"\0" for needle in _NEEDLES)
_NAME_END = re.compile(rb"[0-9A-Za-z_.+\-]{1,60}\Z")
_WIDE_END = re.compile(rb"(?:[0-9A-Za-z_.+\-]\0){1,60}\Z")
_STARTS = re.compile(r"(?:syscall|internal/syscall/.*|golang\.org/x/sys/.*)\.(?:init|map\.init)[.0-9]*\Z")
_DATA = "(data)"
_CODE, _DISCARDABLE, _WRITABLE = 0x2000_0000, 0x0200_0000, 0x8000_0000
RUNTIME = {"ntdll.dll": "runtime.loadOptionalSyscalls", "bcryptprimitives.dll": "runtime.loadOptionalSyscalls"}
"""What Go's runtime loads by itself when it starts, and ends the program without (`runtime/os_windows.go`)."""
RUNTIME_OPTIONAL = {"powrprof.dll", "winmm.dll"}
"""What it does without: the first always, the second since Windows 10 1803, which is older than any container host."""


class Evidence(Enum):
    """How it is known; see above."""

    CALLED = "called"
    NAMED = "named"
    WRITTEN = "written"


class LazyLibrary(msgspec.Struct, frozen=True):
    """A library that may be loaded while the program runs.

    Attributes:
        name: as it is written there, in lower case.
        evidence: how it is known.
        functions: CALLED: the functions that call it; NAMED: those whose code has the name, where that is known.
    """

    name: str
    evidence: Evidence
    functions: tuple[str, ...] = ()


def lazy_libraries(program: Program, table: FunctionTable | None) -> tuple[LazyLibrary, ...]:
    """The libraries that a PE may load while it runs, by name; () for other formats.

    Args:
        program: the program.
        table: its function table, when it is a Go program.

    Raises:
        Malformed: it mentions more libraries than any program.
    """
    if program.facts.format is not Format.PE:
        return ()
    found: dict[str, LazyLibrary] = {}
    written = _written(program, plain=table is None)
    if table is not None:
        called: dict[str, set[str]] = {name: {RUNTIME[name]} for name in written if name in RUNTIME}
        written -= RUNTIME_OPTIONAL
        for name in table.all_names():
            if name in WRAPPERS:
                called.setdefault(WRAPPERS[name], set()).add(name)
        found = {name: LazyLibrary(name, Evidence.CALLED, tuple(sorted(where))) for name, where in called.items()}
        for name, where in _go_texts(program, table).items():
            others = tuple(sorted(each for each in where if not _STARTS.match(each)))
            if name not in found and others:
                found[name] = LazyLibrary(name, Evidence.NAMED, tuple(each for each in others if each != _DATA))
    for name in written:
        found.setdefault(name, LazyLibrary(name, Evidence.WRITTEN))
    return tuple(found[name] for name in sorted(found))


class _Part(msgspec.Struct, frozen=True):
    """Bytes that are loaded, stay, and are no code: of a section, or what is of interest in it.

    Attributes:
        content: has them, perhaps among others.
        start: where they begin there.
        end: where they end.
        address: of the first.
        writable: whether they are variables.
    """

    content: bytes
    start: int
    end: int
    address: int
    writable: bool

    def where(self, needle: bytes) -> Iterator[int]:
        """Each place of some bytes, as an index into `content`."""
        at = self.start - 1
        while (at := self.content.find(needle, at + 1, self.end)) >= 0:
            yield at

    def name_before(self, at: int, pattern: re.Pattern[bytes], most: int) -> bytes:
        """The characters of a name that end at a place; b"" when there are none."""
        found = pattern.search(self.content[max(at - most, self.start) : at])
        return found[0] if found else b""


def _parts(program: Program) -> Iterator[_Part]:
    for section in program.facts.sections:
        size = min(section.size, section.file_size)
        if size and not section.flags & (_CODE | _DISCARDABLE):
            yield _part(program, section.offset, size, section.address, bool(section.flags & _WRITABLE))


def _part(program: Program, offset: int, size: int, address: int, writable: bool) -> _Part:
    content, start = program.data.window(offset, size)
    return _Part(content, start, min(start + size, len(content)), address, writable)


def _mentions(program: Program, part: _Part, needles: tuple[bytes, ...]) -> Iterator[int]:
    """Where an extension is."""
    count = 0
    for needle in needles:
        for at in part.where(needle):
            count += 1
            if count > MAX_MENTIONS:
                raise program.data.malformed(f"more than {MAX_MENTIONS} names of libraries")
            yield at


def _go_texts(program: Program, table: FunctionTable) -> dict[str, set[str]]:
    """Library names that are Go texts, and the functions whose code has them; `_DATA` for data."""
    places: dict[int, dict[int, str]] = {}
    parts = list(_parts(program))
    for part in parts:
        # Go's texts are where nothing is written.
        for at in _mentions(program, part, _NEEDLES) if not part.writable else ():
            # They stand side by side without an end: a name may begin at any of these characters.
            for length in range(1, len(part.name_before(at, _NAME_END, _LONGEST)) + 1):
                name = part.content[at - length : at + 4].decode("ascii").lower()
                places.setdefault(part.address + at - part.start - length, {})[length + 4] = name
    found: dict[str, set[str]] = {}
    if not places:
        return found
    variables = _variables(program, table) or [part for part in parts if part.writable]
    for name, count in _in_data(variables, places, program.facts.bits // 8).items():
        # Variables for libraries are set up as data by new compilers: one for each package of x/sys that knows the library.
        packages = {
            function.rpartition(".")[0]
            for function, library in WRAPPERS.items()
            if library == name and function.startswith("golang.org/x/sys/")
        }
        if count > len(packages):
            found.setdefault(name, set()).add(_DATA)
    for address, length, function in Code(program, table).texts(places):
        found.setdefault(places[address][length], set()).add(function)
    return found


def _variables(program: Program, table: FunctionTable) -> list[_Part]:
    """Go's variables with pointers in them; [] when the table does not say where they are."""
    start, end = table.variables
    offset, there = program.memory.place(start)
    if offset < 0 or not start < end <= start + there or start % 8:
        return []
    return [_part(program, offset, end - start, start, True)]


def _in_data(parts: list[_Part], places: dict[int, dict[int, str]], width: int) -> dict[str, int]:
    """How often variables have a name's address with its length behind it."""
    counts: dict[str, int] = {}
    for top in {address >> 16 for address in places}:
        needle = top.to_bytes(width, "little")[: width - 2]
        for part in parts:
            for at in part.where(needle):
                start = at - 2
                if start < part.start or (start - part.start) % width:
                    continue
                address = int.from_bytes(part.content[start : start + width], "little")
                if address in places:
                    length = int.from_bytes(part.content[start + width : start + 2 * width], "little")
                    name = places[address].get(length)
                    if name:
                        counts[name] = counts.get(name, 0) + 1
    return counts


def _written(program: Program, *, plain: bool) -> set[str]:
    """Names with a zero behind them: UTF-16 ones, and with `plain` those of C."""
    imports = {each.library.lower() for each in program.facts.imports}
    if program.facts.pe is not None:
        imports |= {each.library.lower() for each in program.facts.pe.delay_imports}
        imports.add(program.facts.pe.exports.lower())
    found: set[str] = set()
    for part in _parts(program):
        for at in _mentions(program, part, _WIDE_NEEDLES) if plain or part.writable else ():
            before = part.name_before(at, _WIDE_END, 2 * _LONGEST)
            if before:
                found.add(part.content[at - len(before) : at + 8].decode("utf-16-le").lower())
        for at in _mentions(program, part, _PLAIN_NEEDLES) if plain else ():
            before = part.name_before(at, _NAME_END, _LONGEST)
            start = at - len(before)
            if before and (start == part.start or part.content[start - 1] == 0):
                name = part.content[start : at + 4].decode("ascii").lower()
                if name not in imports:
                    found.add(name)
        if len(found) > MAX_LIBRARIES:
            raise program.data.malformed(f"more than {MAX_LIBRARIES} names of libraries")
    return found
