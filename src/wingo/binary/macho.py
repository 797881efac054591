"""Mach-O: Apple's `loader.h` and `fat.h`. Wingo makes no images for macOS, but people put such programs into them."""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING

import msgspec

from wingo.binary.data import Memory, Range
from wingo.binary.facts import Binary, Format, Import, Kind, Linking, MachoFacts, Section, Signature, Symbols
from wingo.binary.program import Program

if TYPE_CHECKING:
    from wingo.binary.data import Data

MAX_COMMANDS = 16_384
MAX_COMMAND_BYTES = 8 << 20
MAX_SECTIONS = 65_536
MAX_SLICES = 44
"""A fat file and a Java class begin alike; what would be the number of programs is 45 or more in a class."""

_ARCH = {
    7: "386",
    0x0100_0007: "amd64",
    12: "arm",
    0x0100_000C: "arm64",
    18: "ppc",
    0x0100_0012: "ppc64",
}
_KINDS = {1: Kind.OBJECT, 2: Kind.EXECUTABLE, 4: Kind.CORE, 6: Kind.LIBRARY, 8: Kind.LIBRARY, 9: Kind.LIBRARY}
_SEGMENTS = (0x1, 0x19)
_SYMTAB, _UNIX_THREAD, _DYLINKER, _CODE_SIGNATURE = 0x2, 0x5, 0xE, 0x1D
_VERSION_MIN, _BUILD_VERSION, _MAIN, _RPATH = 0x24, 0x32, 0x8000_0028, 0x8000_001C
_DYLIBS = {0xC, 0x8000_0018, 0x8000_001F, 0x20, 0x8000_0023}
_ZERO_FILL = {1, 12, 18}
_SECTION_64 = "16s16sQQIIIIIIII"
_SECTION_32 = "16s16sIIIIIIIII"


def is_fat(start: bytes) -> bool:
    """Whether a file's first 8 bytes are those of a fat Mach-O."""
    return (
        start[:4] in (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf") and 0 < int.from_bytes(start[4:8], "big") <= MAX_SLICES
    )


def read_fat(data: Data) -> Program:
    """Reads every program of a fat Mach-O; the first one's facts come first, as in Go's debug/buildinfo.

    Raises:
        Malformed: a program leads out of the file, or is none.
    """
    magic, count = unpack_from(">II", data.take(0, 8, "the fat header"))
    layout = Struct(">IIQQII" if magic == 0xCAFE_BABF else ">IIIII")
    table = data.take(8, count * layout.size, "the fat header")
    programs = []
    for at in range(0, len(table), layout.size):
        _, _, offset, size, *_ = layout.unpack_from(table, at)
        programs.append(read_macho(data.part(offset, size, data.format)))
    first = programs[0]
    slices = tuple(each.facts for each in programs)
    first.facts = msgspec.structs.replace(slices[0], slices=slices)
    return first


def read_macho(data: Data) -> Program:
    """Reads one Mach-O's header and load commands.

    Raises:
        Malformed: they lead out of the file, or are beyond the limits.
    """
    return _Macho(data).program()


class _Macho:
    """One file while it is read."""

    def __init__(self, data: Data) -> None:
        self.data = data
        magic = bytes(data.take(0, 4, "the header"))
        self.order = "<" if magic[1:] == b"\xfa\xed\xfe" else ">"
        if magic not in (b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf"):
            raise data.malformed("it does not start with a Mach-O header", 0)
        self.bits = 64 if 0xCF in (magic[0], magic[3]) else 32
        self.header_size = 32 if self.bits == 64 else 28
        fields = unpack_from(self.order + "IIIIII", data.take(0, self.header_size, "the header"), 4)
        self.machine, _, self.type, self.count, self.commands_size, _ = fields
        self.sections: list[Section] = []
        self.segments: list[tuple[str, int, int, int, int, int, int]] = []
        self.libraries: list[Import] = []
        self.rpath: list[str] = []
        self.entry: int | None = None
        self.entry_offset: int | None = None
        self.table_bytes = 0
        self.signature: Signature | None = None
        self.platform = 0
        self.minimum_os = ""
        self.dylinker = ""

    def program(self) -> Program:
        data = self.data
        if self.count > MAX_COMMANDS or self.commands_size > MAX_COMMAND_BYTES:
            raise data.malformed(f"{self.count} load commands of {self.commands_size} bytes", 16)
        commands = data.take(self.header_size, self.commands_size, "the load commands")
        at = 0
        for _ in range(self.count):
            if at + 8 > len(commands):
                raise data.malformed("more load commands than bytes for them", self.header_size + at)
            kind, size = unpack_from(self.order + "II", commands, at)
            if size < 8 or at + size > len(commands):
                raise data.malformed(f"a load command of {size} bytes", self.header_size + at)
            self._command(kind, commands[at : at + size], self.header_size + at)
            at += size
        ranges = [Range(each[1], each[3], each[4]) for each in self.segments if each[0] != "__PAGEZERO"]
        memory = Memory(data, ranges, bits=self.bits, big_endian=self.order == ">")
        if self.entry_offset is not None:
            text = next((each for each in self.segments if each[0] == "__TEXT"), None)
            self.entry = self.entry_offset + (text[1] if text else 0)
        facts = Binary(
            format=Format.MACHO,
            kind=_KINDS.get(self.type, Kind.OTHER),
            machine=self.machine,
            arch=_ARCH.get(self.machine, ""),
            os="ios" if self.platform == 2 else "darwin",
            bits=self.bits,
            big_endian=self.order == ">",
            entry=self.entry,
            linking=Linking.DYNAMIC if self.libraries or self.dylinker else Linking.STATIC,
            imports=tuple(self.libraries),
            sections=tuple(self.sections),
            symbols=self._symbols(),
            signature=self.signature,
            macho=MachoFacts(self.type, self.platform, self.minimum_os, self.dylinker, tuple(self.rpath)),
        )
        return Program(data, facts, memory, self._data_start())

    def _command(self, kind: int, command: memoryview, offset: int) -> None:
        if kind in _SEGMENTS:
            self._segment(command, offset, wide=kind == _SEGMENTS[1])
        elif kind == _SYMTAB:
            _, symbols, _, strings = self._numbers(command, 4, offset)
            self.table_bytes += symbols * (16 if self.bits == 64 else 12) + strings
        elif kind == _UNIX_THREAD:
            self._thread(command)
        elif kind == _DYLINKER:
            self.dylinker = self._text(command, offset)
        elif kind == _CODE_SIGNATURE:
            start, size = self._numbers(command, 2, offset)
            self.signature = Signature(start, size, 0 < start < start + size <= self.data.size)
        elif kind == _VERSION_MIN:
            self.platform = 1
            self.minimum_os = _version(self._numbers(command, 1, offset)[0])
        elif kind == _BUILD_VERSION:
            self.platform, minimum = self._numbers(command, 2, offset)
            self.minimum_os = _version(minimum)
        elif kind == _MAIN:
            low, high = self._numbers(command, 2, offset)
            self.entry_offset = low | high << 32 if self.order == "<" else low << 32 | high
        elif kind == _RPATH:
            self.rpath.append(self._text(command, offset))
        elif kind in _DYLIBS:
            self.libraries.append(Import(self._text(command, offset)))

    def _numbers(self, command: memoryview, count: int, offset: int) -> tuple[int, ...]:
        if len(command) < 8 + 4 * count:
            raise self.data.malformed(f"a load command of {len(command)} bytes is too short for its kind", offset)
        return unpack_from(f"{self.order}{count}I", command, 8)

    def _text(self, command: memoryview, offset: int) -> str:
        (at,) = self._numbers(command, 1, offset)
        text = bytes(command[at:]).partition(b"\0")[0] if 12 <= at < len(command) else b""
        if len(text) > 4096:
            raise self.data.malformed(f"a path of {len(text)} bytes in a load command", offset)
        return text.decode("utf-8", "surrogateescape")

    def _segment(self, command: memoryview, offset: int, *, wide: bool) -> None:
        head = Struct(self.order + ("16sQQQQIIII" if wide else "16sIIIIIIII"))
        section = Struct(self.order + (_SECTION_64 if wide else _SECTION_32))
        if len(command) < 8 + head.size:
            raise self.data.malformed("a segment's load command is too short", offset)
        name, address, in_memory, start, in_file, most, first, count, _ = head.unpack_from(command, 8)
        self.segments.append((_name(name), address, in_memory, start, in_file, most, first))
        if 8 + head.size + count * section.size > len(command) or len(self.sections) + count > MAX_SECTIONS:
            raise self.data.malformed(f"a segment of {count} sections", offset)
        for number in range(count):
            fields = section.unpack_from(command, 8 + head.size + number * section.size)
            own, of, where, size, begin, _, _, _, flags, *_ = fields
            stored = 0 if flags & 0xFF in _ZERO_FILL else size
            self.sections.append(Section(f"{_name(of)},{_name(own)}", where, size, begin, stored, flags))

    def _thread(self, command: memoryview) -> None:
        """The program counter of the initial registers, where we know their order."""
        place = {0x0100_0007: (16 + 16 * 8, "Q"), 7: (16 + 10 * 4, "I"), 0x0100_000C: (16 + 32 * 8, "Q")}.get(
            self.machine
        )
        if place and len(command) >= place[0] + 8:
            (self.entry,) = unpack_from(self.order + place[1], command, place[0])

    def _symbols(self) -> Symbols:
        debug = sum(
            each.file_size
            for each in self.sections
            if each.name.startswith("__DWARF,") or each.name.partition(",")[2].startswith(("__debug_", "__zdebug_"))
        )
        return Symbols(min(debug, self.data.size), min(self.table_bytes, self.data.size))

    def _data_start(self) -> tuple[int, int]:
        for each in self.sections:
            if each.name.endswith(",__go_buildinfo"):
                return each.address, each.size
        for _, address, in_memory, _, in_file, most, first in self.segments:
            if address and in_file and most == first == 3:
                return address, in_memory
        return 0, 0


def _name(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _version(packed: int) -> str:
    patch = packed & 0xFF
    return f"{packed >> 16}.{packed >> 8 & 0xFF}" + (f".{patch}" if patch else "")
