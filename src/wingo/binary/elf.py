"""ELF: System V gABI chapters 4 and 5, and the GNU extensions that decide whether a program starts."""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING

from wingo.binary.data import Memory, Range
from wingo.binary.facts import Binary, ElfFacts, Format, Import, Kind, Linking, Section, Symbols, VersionNeed
from wingo.binary.program import Program

if TYPE_CHECKING:
    from wingo.binary.data import Data

MAX_SECTIONS = 65_536
MAX_SEGMENTS = 8_192
MAX_DYNAMIC = 65_536
"""Entries of the dynamic section; glibc's own has about 30."""
MAX_NEEDED = 4_096
MAX_VERSIONS = 16_384
_MAX_INTERPRETER = 4_096

_KINDS = {1: Kind.OBJECT, 2: Kind.EXECUTABLE, 3: Kind.LIBRARY, 4: Kind.CORE}
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE, _PT_GNU_STACK = 1, 2, 3, 4, 0x6474_E551
_PF_X, _PF_W = 1, 2
_SHT_NOBITS, _SHT_SYMTAB, _SHT_STRTAB = 8, 2, 3
_SHF_COMPRESSED = 0x800
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_FLAGS_1, _DT_VERNEED, _DT_VERNEEDNUM = 0x6FFF_FFFB, 0x6FFF_FFFE, 0x6FFF_FFFF
_DF_1_PIE = 0x0800_0000
_OSABI = {2: "netbsd", 3: "linux", 6: "solaris", 9: "freebsd", 12: "openbsd"}
_GNU_ABI = {0: "linux", 2: "solaris", 3: "freebsd"}
_BOTH = {3: "386", 40: "arm", 22: "s390x", 183: "arm64", 258: "loong64"}
_BY_BITS = {
    (62, 64): "amd64",
    (62, 32): "amd64p32",
    (243, 64): "riscv64",
    (243, 32): "riscv",
    (20, 32): "ppc",
    (2, 32): "sparc",
    (43, 64): "sparc64",
}


def read_elf(data: Data) -> Program:
    """Reads an ELF's headers.

    Raises:
        Malformed: they lead out of the file, or are beyond the limits.
    """
    return _Elf(data).program()


class _Elf:
    """One file while it is read."""

    def __init__(self, data: Data) -> None:
        self.data = data
        ident = bytes(data.take(0, 16, "the header"))
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise data.malformed(f"class {ident[4]} and byte order {ident[5]} are not defined", 4)
        self.bits = 32 * ident[4]
        self.big = ident[5] == 2
        self.order = ">" if self.big else "<"
        self.osabi = ident[7]
        layout = Struct(self.order + ("HHIIIIIHHHHHH" if self.bits == 32 else "HHIQQQIHHHHHH"))
        fields = layout.unpack(data.take(16, layout.size, "the header"))
        (self.type, self.machine, _, self.entry, self.segments_at, self.sections_at) = fields[:6]
        (_, _, self.segment_size, self.segment_count, self.section_size, self.section_count, self.names_in) = fields[6:]
        self.section_values = self._section_headers()
        self.segments = self._segments()
        loads = [Range(each[3], each[2], each[4]) for each in self.segments if each[0] == _PT_LOAD]
        self.memory = Memory(data, loads, bits=self.bits, big_endian=self.big)
        self.dynamic = self._dynamic()

    def program(self) -> Program:
        sections = self._sections()
        interpreter = self._interpreter()
        needed = self._strings(_DT_NEEDED)
        soname = "".join(self._strings(_DT_SONAME)[:1])
        kind, linking = self._kind(interpreter, soname)
        facts = Binary(
            format=Format.ELF,
            kind=kind,
            machine=self.machine,
            arch=self._arch(),
            os=self._os(interpreter),
            bits=self.bits,
            big_endian=self.big,
            entry=self.entry or None,
            linking=linking,
            imports=tuple(Import(name) for name in needed),
            sections=sections,
            symbols=self._symbols(sections),
            elf=ElfFacts(
                osabi=self.osabi,
                interpreter=interpreter,
                rpath=_paths(self._strings(_DT_RPATH)),
                runpath=_paths(self._strings(_DT_RUNPATH)),
                soname=soname,
                version_needs=self._version_needs(),
                executable_stack=any(each[0] == _PT_GNU_STACK and each[1] & _PF_X for each in self.segments),
            ),
        )
        return Program(self.data, facts, self.memory, self._data_start(sections))

    def _section_headers(self) -> list[tuple[int, ...]]:
        """(name, type, flags, address, offset, size, link, info, align, entry size) of each section."""
        if not self.sections_at:
            return []
        layout = Struct(self.order + ("10I" if self.bits == 32 else "IIQQQQIIQQ"))
        if self.section_size < layout.size:
            raise self.data.malformed(f"section headers of {self.section_size} bytes", self.sections_at)
        count = self.section_count
        if count == 0 or self.names_in == 0xFFFF:
            # More than 65,279 sections: the first one, which is no section, has the true numbers.
            first = layout.unpack(self.data.take(self.sections_at, layout.size, "the section headers"))
            count = count or first[5]
            self.names_in = first[6] if self.names_in == 0xFFFF else self.names_in
        if count > MAX_SECTIONS:
            raise self.data.malformed(f"{count} sections, more than {MAX_SECTIONS}", self.sections_at)
        table = self.data.take(self.sections_at, count * self.section_size, "the section headers")
        return [layout.unpack_from(table, at) for at in range(0, len(table), self.section_size)]

    def _segments(self) -> list[tuple[int, ...]]:
        """(type, flags, offset, address, file size, memory size) of each program header."""
        if not self.segments_at or not self.segment_count:
            return []
        count = self.segment_count
        if count == 0xFFFF and self.section_values:
            count = self.section_values[0][7]
        if count > MAX_SEGMENTS:
            raise self.data.malformed(f"{count} program headers, more than {MAX_SEGMENTS}", self.segments_at)
        layout = Struct(self.order + ("8I" if self.bits == 32 else "IIQQQQQQ"))
        if self.segment_size < layout.size:
            raise self.data.malformed(f"program headers of {self.segment_size} bytes", self.segments_at)
        table = self.data.take(self.segments_at, count * self.segment_size, "the program headers")
        found: list[tuple[int, ...]] = []
        for at in range(0, len(table), self.segment_size):
            if self.bits == 32:
                kind, offset, address, _, in_file, in_memory, flags, _ = layout.unpack_from(table, at)
            else:
                kind, flags, offset, address, _, in_file, in_memory, _ = layout.unpack_from(table, at)
            found.append((kind, flags, offset, address, in_file, in_memory))
        return found

    def _sections(self) -> tuple[Section, ...]:
        values = self.section_values
        names = b""
        if 0 < self.names_in < len(values) and values[self.names_in][1] != _SHT_NOBITS:
            offset, size = values[self.names_in][4:6]
            names = bytes(self.data.take(offset, size, "the section names"))
        found = []
        for value in values[1:]:
            at = value[0]
            end = names.find(b"\0", at, at + 256) if at < len(names) else -1
            name = names[at:end].decode("utf-8", "surrogateescape") if end >= 0 else ""
            in_file = 0 if value[1] in (0, _SHT_NOBITS) else value[5]
            found.append(Section(name, value[3], value[5], value[4], in_file, value[2]))
        return tuple(found)

    def _symbols(self, sections: tuple[Section, ...]) -> Symbols:
        debug = sum(
            each.file_size for each in sections if each.name.startswith((".debug_", ".zdebug_", ".gnu.debuglto_"))
        )
        table = 0
        for value in self.section_values[1:]:
            if value[1] == _SHT_SYMTAB:
                table += value[5]
                names = self.section_values[value[6]] if value[6] < len(self.section_values) else ()
                table += names[5] if names and names[1] == _SHT_STRTAB else 0
        return Symbols(min(debug, self.data.size), min(table, self.data.size))

    def _interpreter(self) -> str:
        for kind, _, offset, _, size, _ in self.segments:
            if kind == _PT_INTERP:
                if size > _MAX_INTERPRETER:
                    raise self.data.malformed(f"an interpreter's path of {size} bytes", offset)
                path = bytes(self.data.take(offset, size, "the interpreter's path"))
                return path.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        return ""

    def _dynamic(self) -> list[tuple[int, int]]:
        """(tag, value) of the dynamic section, by its program header, as the loader finds it."""
        for kind, _, offset, _, size, _ in self.segments:
            if kind == _PT_DYNAMIC:
                layout = Struct(self.order + ("iI" if self.bits == 32 else "qQ"))
                count = size // layout.size
                if count > MAX_DYNAMIC:
                    raise self.data.malformed(f"{count} dynamic entries, more than {MAX_DYNAMIC}", offset)
                found = []
                for entry in layout.iter_unpack(self.data.take(offset, count * layout.size, "the dynamic section")):
                    if not entry[0]:
                        break
                    found.append((entry[0], entry[1]))
                return found
        return []

    def _value(self, tag: int) -> int | None:
        return next((value for each, value in self.dynamic if each == tag), None)

    def _string(self, at: int) -> str:
        table = self._value(_DT_STRTAB)
        size = self._value(_DT_STRSZ)
        if table is None or (size is not None and at >= size):
            raise self.data.malformed(f"a dynamic entry names the text {at}, and there is none", None)
        return self.memory.text(table + at, "a name in the dynamic section")

    def _strings(self, tag: int) -> list[str]:
        values = [value for each, value in self.dynamic if each == tag]
        if len(values) > MAX_NEEDED:
            raise self.data.malformed(f"{len(values)} dynamic entries of the kind {tag}, more than {MAX_NEEDED}", None)
        return [self._string(value) for value in values]

    def _version_needs(self) -> tuple[VersionNeed, ...]:
        """GNU's Verneed records: LSB "Symbol Versioning"."""
        address, count = self._value(_DT_VERNEED), self._value(_DT_VERNEEDNUM)
        if address is None or not count:
            return ()
        if count > MAX_NEEDED:
            raise self.data.malformed(f"{count} libraries with versions, more than {MAX_NEEDED}", None)
        found, seen = [], 0
        for _ in range(count):
            record = self.memory.take(address, 16, "a version record")
            _, entries, library, first, following = unpack_from(self.order + "HHIII", record)
            seen += entries
            if seen > MAX_VERSIONS:
                raise self.data.malformed(f"more than {MAX_VERSIONS} symbol versions", self.memory.place(address)[0])
            versions, at = [], address + first
            for _ in range(entries):
                _, _, _, name, step = unpack_from(self.order + "IHHII", self.memory.take(at, 16, "a symbol version"))
                versions.append(self._string(name))
                if not step:
                    break
                at += step
            found.append(VersionNeed(self._string(library), tuple(versions)))
            if not following:
                break
            address += following
        return tuple(found)

    def _kind(self, interpreter: str, soname: str) -> tuple[Kind, Linking]:
        kind = _KINDS.get(self.type, Kind.OTHER)
        needs = bool(interpreter) or self._value(_DT_NEEDED) is not None
        pie = bool((self._value(_DT_FLAGS_1) or 0) & _DF_1_PIE)
        if kind is Kind.LIBRARY and (pie or (interpreter and not soname)):
            # The type alone cannot tell a program that may be loaded anywhere from a library.
            return Kind.EXECUTABLE, Linking.DYNAMIC if needs else Linking.STATIC_PIE
        return kind, Linking.DYNAMIC if needs else Linking.STATIC

    def _arch(self) -> str:
        if self.machine == 8:
            return f"mips{'64' if self.bits == 64 else ''}{'' if self.big else 'le'}"
        if self.machine == 21:
            return "ppc64" if self.big else "ppc64le"
        return _BOTH.get(self.machine) or _BY_BITS.get((self.machine, self.bits), "")

    def _os(self, interpreter: str) -> str:
        if self.osabi in _OSABI:
            return _OSABI[self.osabi]
        for kind, _, offset, _, size, _ in self.segments:
            if kind == _PT_NOTE and 16 <= size <= 1 << 16:
                found = self._note(bytes(self.data.take(offset, size, "a note")))
                if found:
                    return found
        name = interpreter.rpartition("/")[2]
        return "linux" if name.startswith(("ld-linux", "ld-musl", "ld64.so", "ld.so.1")) else ""

    def _note(self, notes: bytes) -> str:
        at = 0
        while at + 12 <= len(notes):
            name_size, size, kind = unpack_from(self.order + "III", notes, at)
            name = notes[at + 12 : at + 12 + name_size].rstrip(b"\0")
            content = at + 12 + (name_size + 3 & ~3)
            if name in (b"NetBSD", b"OpenBSD", b"FreeBSD"):
                return name.decode().lower()
            if name == b"GNU" and kind == 1 and size >= 4 and content + 4 <= len(notes):
                return _GNU_ABI.get(unpack_from(self.order + "I", notes, content)[0], "")
            at = content + (size + 3 & ~3)
        return ""

    def _data_start(self, sections: tuple[Section, ...]) -> tuple[int, int]:
        for each in sections:
            if each.name == ".go.buildinfo":
                return each.address, each.size
        for kind, flags, _, address, _, in_memory in self.segments:
            if kind == _PT_LOAD and flags & (_PF_X | _PF_W) == _PF_W:
                return address, in_memory
        return 0, 0


def _paths(texts: list[str]) -> tuple[str, ...]:
    return tuple(path for text in texts for path in text.split(":") if path)
