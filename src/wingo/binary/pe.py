"""PE: Microsoft's "PE Format" specification, and what the loader does where that is silent."""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING

from wingo.binary.data import Memory, Range
from wingo.binary.facts import Binary, Format, Import, Kind, Linking, PeFacts, Section, Signature, Subsystem, Symbols
from wingo.binary.program import Program

if TYPE_CHECKING:
    from wingo.binary.data import Data

MAX_SECTIONS = 4_096
"""The loader stops at 96; objects may have more."""
MAX_LIBRARIES = 4_096
MAX_NAMES = 65_536
"""Imported functions of the whole file; the largest real ones have some thousands."""
MAX_IMPORT_TEXT = 4 << 20
MAX_RESOURCES = 4_096
MAX_MANIFEST = 1 << 20
_MAX_DIRECTORIES = 16
_MAX_DEBUG = 64

_ARCH = {
    0x14C: "386",
    0x1C0: "arm",
    0x1C2: "arm",
    0x1C4: "arm",
    0x8664: "amd64",
    0xAA64: "arm64",
    0x5064: "riscv64",
    0x6264: "loong64",
}
_DLL = 0x2000
_HIGH_ENTROPY, _DYNAMIC_BASE, _NX_COMPAT, _GUARD_CF = 0x20, 0x40, 0x100, 0x4000
_EXPORT, _IMPORT, _RESOURCE, _SECURITY, _DEBUG, _DELAY, _CLR = 0, 1, 2, 4, 6, 13, 14
_RT_MANIFEST = 24
_ALIGNMENT = 0x60_0000
"""IMAGE_SCN_ALIGN_32BYTES, which Go's linker sets on some."""
_INITIALIZED_READ_WRITE = 0xC000_0040
_HEADER = Struct("<HHIIIHH")
_SECTION = Struct("<8sIIIIIIHHI")


def read_pe(data: Data) -> Program:
    """Reads a PE's headers, imports, manifest and debug directory.

    Raises:
        Malformed: they lead out of the file, or are beyond the limits.
    """
    return _Pe(data).program()


class _Pe:
    """One file while it is read."""

    def __init__(self, data: Data) -> None:
        self.data = data
        (header,) = unpack_from("<I", data.take(0x3C, 4, "the DOS header"))
        if bytes(data.upto(header, 4)) != b"PE\0\0":
            raise data.malformed(
                "no PE header where the DOS header points",
                header if header < data.size else 0x3C,
                hint="It may be a program for DOS or 16-bit Windows, or a file that was cut short.",
            )
        fields = _HEADER.unpack(data.take(header + 4, _HEADER.size, "the file header"))
        self.machine, self.section_count, _, self.symbols_at, self.symbol_count, optional_size, self.flags = fields
        self.optional_at = header + 24
        self.optional = data.take(self.optional_at, optional_size, "the optional header")
        if optional_size < 96:
            raise data.malformed(f"an optional header of {optional_size} bytes", self.optional_at)
        (magic,) = unpack_from("<H", self.optional)
        if magic not in (0x10B, 0x20B):
            raise data.malformed(f"the optional header's kind is {magic:#x}", self.optional_at)
        self.bits = 64 if magic == 0x20B else 32
        if self.bits == 64 and optional_size < 112:
            raise data.malformed(f"an optional header of {optional_size} bytes", self.optional_at)
        (self.entry,) = unpack_from("<I", self.optional, 16)
        self.image_base: int = (
            unpack_from("<Q", self.optional, 24)[0] if self.bits == 64 else unpack_from("<I", self.optional, 28)[0]
        )
        (self.headers_size,) = unpack_from("<I", self.optional, 60)
        self.sections_at = self.optional_at + optional_size
        self.directories = self._directories()
        self.sections = self._sections()
        ranges = [Range(each.address, each.offset, each.file_size) for each in self.sections]
        # The headers are loaded as well, at the image base; some tools put small tables there.
        ranges.append(Range(self.image_base, 0, min(self.headers_size, data.size)))
        self.memory = Memory(data, ranges, bits=self.bits)
        self.names_left = MAX_NAMES
        self.text_left = MAX_IMPORT_TEXT

    def program(self) -> Program:
        (subsystem_number,) = unpack_from("<H", self.optional, 68)
        (dll_flags,) = unpack_from("<H", self.optional, 70)
        try:
            subsystem = Subsystem(subsystem_number)
        except ValueError:
            subsystem = Subsystem.UNKNOWN
        imports = self._imports()
        facts = Binary(
            format=Format.PE,
            kind=Kind.LIBRARY if self.flags & _DLL else Kind.EXECUTABLE if self.flags & 2 else Kind.OBJECT,
            machine=self.machine,
            arch=_ARCH.get(self.machine, ""),
            os="" if subsystem.name.startswith(("EFI", "XBOX")) else "windows",
            bits=self.bits,
            big_endian=False,
            entry=self.image_base + self.entry if self.entry else None,
            linking=Linking.DYNAMIC if imports else Linking.STATIC,
            imports=imports,
            sections=self.sections,
            symbols=self._symbols(),
            signature=self._signature(),
            pe=PeFacts(
                image_base=self.image_base,
                subsystem=subsystem,
                subsystem_version=unpack_from("<HH", self.optional, 48),
                aslr=bool(dll_flags & _DYNAMIC_BASE),
                high_entropy=bool(dll_flags & _HIGH_ENTROPY),
                dep=bool(dll_flags & _NX_COMPAT),
                control_flow_guard=bool(dll_flags & _GUARD_CF),
                delay_imports=self._delay_imports(),
                manifest=self._manifest(),
                characteristics=self.flags,
                dll_characteristics=dll_flags,
                dotnet=bool(self.directories[_CLR][0]),
                exports=self._export_name(),
            ),
        )
        return Program(self.data, facts, self.memory, self._data_start())

    def _directories(self) -> list[tuple[int, int]]:
        """(address or offset, size) of each data directory; those that are not there are (0, 0)."""
        start = 112 if self.bits == 64 else 96
        (count,) = unpack_from("<I", self.optional, start - 4)
        # The loader reads no more than 16, and no further than the optional header goes.
        count = min(count, _MAX_DIRECTORIES, (len(self.optional) - start) // 8)
        found: list[tuple[int, int]] = [unpack_from("<II", self.optional, start + 8 * at) for at in range(count)]
        return found + [(0, 0)] * (_MAX_DIRECTORIES - count)

    def _sections(self) -> tuple[Section, ...]:
        if self.section_count > MAX_SECTIONS:
            raise self.data.malformed(f"{self.section_count} sections, more than {MAX_SECTIONS}", self.sections_at)
        table = self.data.take(self.sections_at, self.section_count * _SECTION.size, "the section headers")
        found = []
        for name, size, address, in_file, offset, _, _, _, _, flags in _SECTION.iter_unpack(table):
            found.append(
                Section(
                    self._section_name(name),
                    self.image_base + address,
                    size,
                    offset,
                    in_file if offset else 0,
                    flags,
                )
            )
        return tuple(found)

    def _section_name(self, name: bytes) -> str:
        text = name.rstrip(b"\0").decode("utf-8", "surrogateescape")
        if text.startswith("/") and text[1:].isascii() and text[1:].isdecimal() and self.symbols_at:
            # A long name is in the string table, which follows the symbols.
            at = self.symbols_at + 18 * self.symbol_count + int(text[1:])
            long = bytes(self.data.upto(at, 256)).partition(b"\0")[0]
            return long.decode("utf-8", "surrogateescape") or text
        return text

    def _symbols(self) -> Symbols:
        debug = sum(each.file_size for each in self.sections if each.name.startswith((".debug_", ".zdebug_")))
        table = 0
        if self.symbols_at and self.symbols_at < self.data.size:
            table = 18 * self.symbol_count
            size = self.data.upto(self.symbols_at + table, 4)
            table += int.from_bytes(size, "little") if len(size) == 4 else 0
            table = min(table, self.data.size - self.symbols_at)
        return Symbols(min(debug, self.data.size), table, self._pdb())

    def _pdb(self) -> str:
        """The CodeView record of the debug directory."""
        address, size = self.directories[_DEBUG]
        if not address:
            return ""
        count = min(size // 28, _MAX_DEBUG)
        table = self.memory.take(self.image_base + address, 28 * count, "the debug directory")
        for at in range(0, len(table), 28):
            kind, length, _, offset = unpack_from("<IIII", table, at + 12)
            if kind == 2 and length > 24 and bytes(self.data.upto(offset, 4)) == b"RSDS":
                return (
                    bytes(self.data.upto(offset + 24, min(length - 24, 1024)))
                    .partition(b"\0")[0]
                    .decode("utf-8", "surrogateescape")
                )
        return ""

    def _signature(self) -> Signature | None:
        # This one directory has a file offset, not an address.
        offset, size = self.directories[_SECURITY]
        if not offset and not size:
            return None
        return Signature(offset, size, 0 < offset < offset + size <= self.data.size)

    def _imports(self) -> tuple[Import, ...]:
        address, _ = self.directories[_IMPORT]
        if not address:
            return ()
        found: list[Import] = []
        at = self.image_base + address
        while True:
            lookup, _, _, name, bound = unpack_from("<IIIII", self.memory.take(at, 20, "the import directory"))
            if not name or not (lookup or bound):
                # The end is a record of zeros; the loader stops at one without a name or a table.
                return tuple(found)
            if len(found) >= MAX_LIBRARIES:
                raise self.data.malformed(f"imports from more than {MAX_LIBRARIES} libraries", self.memory.place(at)[0])
            library = self._text(self.image_base + name, "an imported library's name")
            found.append(Import(library, self._names(self.image_base + (lookup or bound), self.image_base)))
            at += 20

    def _delay_imports(self) -> tuple[Import, ...]:
        address, _ = self.directories[_DELAY]
        if not address:
            return ()
        found: list[Import] = []
        at = self.image_base + address
        while True:
            record = self.memory.take(at, 32, "the delay import directory")
            attributes, name, _, _, lookup, _, _, _ = unpack_from("<8I", record)
            if not name:
                return tuple(found)
            if len(found) >= MAX_LIBRARIES:
                raise self.data.malformed(f"delay imports of more than {MAX_LIBRARIES} libraries", None)
            # Before Visual C++ 7 these were addresses, not relative ones.
            base = self.image_base if attributes & 1 else 0
            library = self._text(base + name, "a delay-loaded library's name")
            found.append(Import(library, self._names(base + lookup, base) if lookup else ()))
            at += 32

    def _names(self, at: int, base: int) -> tuple[str, ...]:
        """The names of an import lookup table."""
        width, code = (8, "<Q") if self.bits == 64 else (4, "<I")
        ordinal = 1 << (self.bits - 1)
        found: list[str] = []
        while True:
            (value,) = unpack_from(code, self.memory.take(at, width, "an import table"))
            if not value:
                return tuple(found)
            if not self.names_left:
                raise self.data.malformed(f"more than {MAX_NAMES} imported names", self.memory.place(at)[0])
            self.names_left -= 1
            if value & ordinal:
                found.append(f"#{value & 0xFFFF}")
            else:
                found.append(self._text(base + (value & 0x7FFF_FFFF) + 2, "an imported name"))
            at += width

    def _text(self, address: int, what: str) -> str:
        text = self.memory.text(address, what)
        self.text_left -= len(text)
        if self.text_left < 0:
            raise self.data.malformed(f"more than {MAX_IMPORT_TEXT} bytes of imported names", None)
        return text

    def _export_name(self) -> str:
        address, size = self.directories[_EXPORT]
        if not address or size < 40:
            return ""
        (name,) = unpack_from("<I", self.memory.take(self.image_base + address, 40, "the export directory"), 12)
        return self.memory.text(self.image_base + name, "the library's own name") if name else ""

    def _manifest(self) -> str:
        """The first RT_MANIFEST resource: type, name and language are three levels of the resource tree."""
        address, _ = self.directories[_RESOURCE]
        if not address:
            return ""
        root = self.image_base + address
        for kind, offset in self._resources(root, 0):
            if kind != _RT_MANIFEST or not offset & 0x8000_0000:
                continue
            for _, named in self._resources(root, offset & 0x7FFF_FFFF):
                if not named & 0x8000_0000:
                    continue
                for _, leaf in self._resources(root, named & 0x7FFF_FFFF):
                    if leaf & 0x8000_0000:
                        continue
                    content, size = unpack_from("<II", self.memory.take(root + leaf, 16, "a resource"))
                    if size > MAX_MANIFEST:
                        raise self.data.malformed(f"a manifest of {size} bytes", self.memory.place(root + leaf)[0])
                    return _manifest_text(bytes(self.memory.take(self.image_base + content, size, "the manifest")))
        return ""

    def _resources(self, root: int, offset: int) -> list[tuple[int, int]]:
        """(identifier or name, offset) of a resource directory's entries."""
        header = self.memory.take(root + offset, 16, "a resource directory")
        named, numbered = unpack_from("<HH", header, 12)
        count = named + numbered
        if count > MAX_RESOURCES:
            raise self.data.malformed(f"a resource directory of {count} entries", self.memory.place(root + offset)[0])
        table = self.memory.take(root + offset + 16, 8 * count, "a resource directory")
        return list(Struct("<II").iter_unpack(table))

    def _data_start(self) -> tuple[int, int]:
        for each in self.sections:
            if (
                each.address != self.image_base
                and each.file_size
                and each.flags & ~_ALIGNMENT == _INITIALIZED_READ_WRITE
            ):
                return each.address, each.size
        return 0, 0


def _manifest_text(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "replace")
