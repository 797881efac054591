"""Writes small PE32+ images for amd64 from a few hundred bytes of machine code: no times, the same bytes always.

`Code` takes instructions as bytes and names what they refer to: labels in the code, variables in the data, imported
functions. Every reference is relative, so that an image may be loaded anywhere and needs no relocations.

Sources: Microsoft's "PE Format", "x64 calling convention" and "x64 exception handling"; Intel's manual for the encodings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_FILE_ALIGNMENT: Final = 0x200
_PAGE: Final = 0x1000
_BASE: Final = 0x1_8000_0000
"""Where an image would like to be loaded: what Microsoft's linker gives DLLs of 64 bits."""

_TEXT: Final = _PAGE


class Code:
    """Machine code of one function that keeps rbx and rsi and has a frame, with names for what it refers to.

    Args:
        frame: bytes of stack for itself and the arguments of what it calls: 8 more than a multiple of 16, below 128.
    """

    def __init__(self, frame: int) -> None:
        assert frame % 16 == 8, "with two pushes and the return address it must be a multiple of 16"
        assert frame < 128, "it is one signed byte of the instruction"
        self._frame = frame
        self.prologue = b"\x53\x56\x48\x83\xec" + bytes([frame])  # push rbx; push rsi; sub rsp, frame
        self._bytes = bytearray(self.prologue)
        self._labels: dict[str, int] = {}
        self._references: list[tuple[int, str]] = []
        self._end = 0

    def put(self, *instructions: str) -> None:
        """Appends instructions, each in hexadecimal; blanks are free."""
        for instruction in instructions:
            self._bytes += bytes.fromhex(instruction)

    def label(self, name: str) -> None:
        """Names this place."""
        self._labels[name] = len(self._bytes)

    def refer(self, instruction: str, name: str, tail: str = "") -> None:
        """Appends an instruction whose last 32 bits, or those before its immediate `tail`, are the way to a name, or `NAME+BYTES`."""
        self.put(instruction)
        self._references.append((len(self._bytes), name))
        self._bytes += struct.pack("<i", -len(bytes.fromhex(tail)))
        self.put(tail)

    def call(self, function: str) -> None:
        """Appends a call of an imported function."""
        self.refer("FF15", function)

    def returns(self) -> None:
        """Appends the function's end."""
        self.put("48 83 C4", f"{self._frame:02x}", "5E", "5B", "C3")  # add rsp, frame; pop rsi; pop rbx; ret

    def ends(self) -> None:
        """Says that what follows is a function of its own, with a frame that nothing unwinds."""
        self._end = len(self._bytes)

    @property
    def size(self) -> int:
        """Bytes of the first function."""
        return self._end or len(self._bytes)

    @property
    def unwind(self) -> bytes:
        """What unwinds the frame: version 1, the prologue's length, three codes, the last instruction first."""
        codes = bytes((6, (self._frame // 8 - 1) << 4 | 2, 2, 0x60, 1, 0x30))
        return struct.pack("<BBBB", 1, len(self.prologue), 3, 0) + codes + bytes(2)

    def __len__(self) -> int:
        return len(self._bytes)

    def linked(self, names: Mapping[str, int]) -> bytes:
        """The bytes, with every reference in place.

        Args:
            names: where variables and the addresses of imported functions are, from the image's begin.
        """
        code = bytearray(self._bytes)
        for place, reference in self._references:
            name, _, offset = reference.partition("+")
            target = (self._labels[name] + _TEXT if name in self._labels else names[name]) + int(offset or 0)
            (already,) = struct.unpack_from("<i", code, place)
            struct.pack_into("<i", code, place, target - (_TEXT + place + 4) + already)
        return bytes(code)


def small_pe(
    code: Code,
    imports: Mapping[str, Iterable[str]],
    *,
    export: tuple[str, str] | None = None,
    variables: Mapping[str, bytes] | None = None,
    buffers: Mapping[str, int] | None = None,
) -> bytes:
    """A whole image.

    Args:
        code: its one function: the entry point of a program, or what a DLL exports.
        imports: the functions of each DLL.
        export: the DLL's own file name and its function's; None: it is a program for the console.
        variables: data that may be written, by the name that the code uses.
        buffers: the sizes of further ones, which begin as zeros and take no place in the file.
    """
    read_only, directories, names = _read_only(code, imports, export)
    written, data_at = b"", _TEXT + 2 * _PAGE
    for name, value in (variables or {}).items():
        names[name] = data_at + len(written)
        written += value + bytes(-len(value) % 16)
    data_size = len(written)
    for name, size in (buffers or {}).items():
        names[name] = data_at + data_size
        data_size += size + -size % 16
    # One block of base relocations with nothing in it: the image may be moved.
    relocations = struct.pack("<IIHH", _TEXT, 12, 0, 0)
    sections = [
        _Section(b".text", code.linked(names), 0, 0x6000_0020),  # code, executable, readable
        _Section(b".rdata", read_only, 0, 0x4000_0040),  # data, readable
        *([_Section(b".data", written, data_size, 0xC000_0040)] if data_size else []),  # the same, writable
        _Section(b".reloc", relocations, 0, 0x4200_0040),  # data, readable, discardable
    ]
    assert all(len(section.content) <= _PAGE for section in sections[:2])
    directories[5] = (_TEXT + sum(section.pages for section in sections[:-1]) * _PAGE, len(relocations))
    image = _headers(sections, directories, program=export is None)
    return image + b"".join(_padded(section.content) for section in sections)


class _Section(NamedTuple):
    name: bytes
    content: bytes
    size_in_memory: int
    flags: int

    @property
    def size(self) -> int:
        return max(self.size_in_memory, len(self.content))

    @property
    def pages(self) -> int:
        return -(-self.size // _PAGE)


def _read_only(
    code: Code, imports: Mapping[str, Iterable[str]], export: tuple[str, str] | None
) -> tuple[bytes, dict[int, tuple[int, int]], dict[str, int]]:
    """Read-only data, the directories that lie in it (number → address, size), and each imported function's address."""
    start = _TEXT + _PAGE
    modules = {module: list(functions) for module, functions in imports.items()}
    table_bytes = sum(8 * (len(functions) + 1) for functions in modules.values())
    descriptors_bytes = 20 * (len(modules) + 1)
    lookups = start + descriptors_bytes + -descriptors_bytes % 8
    addresses, texts_at = lookups + table_bytes, lookups + 2 * table_bytes
    names: dict[str, int] = {}
    descriptors, table, texts = b"", b"", b""
    for module, functions in modules.items():
        own = len(table)
        for function in functions:
            names[function] = addresses + len(table)
            table += struct.pack("<Q", texts_at + len(texts))
            texts += b"\0\0" + function.encode() + b"\0" + bytes(1 - len(function) % 2)
        table += bytes(8)
        descriptors += struct.pack("<5I", lookups + own, 0, 0, texts_at + len(texts), addresses + own)
        texts += module.encode() + b"\0" + bytes(1 - len(module) % 2)
    descriptors += bytes(20)
    data = descriptors + bytes(-len(descriptors) % 8) + table + table + texts
    data += bytes(-len(data) % 8)
    directories = {1: (start, len(descriptors)), 12: (addresses, table_bytes)}
    if export is not None:
        exported = _export(start + len(data), *export)
        directories[0] = (start + len(data), len(exported))
        data += exported
    unwind = start + len(data)
    function_table = struct.pack("<III", _TEXT, _TEXT + code.size, unwind)
    directories[3] = (unwind + len(code.unwind), len(function_table))
    return data + code.unwind + function_table, directories, names


def _export(at: int, file_name: str, function: str) -> bytes:
    """The export directory of one function, its tables and its names."""
    functions, names, ordinals, own_name = (at + offset for offset in (40, 44, 48, 50))
    exported = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, own_name, 1, 1, 1, functions, names, ordinals)
    exported += struct.pack("<IIH", _TEXT, own_name + len(file_name) + 1, 0)
    exported += file_name.encode() + b"\0" + function.encode() + b"\0"
    return exported + bytes(-len(exported) % 8)


def _headers(sections: list[_Section], directories: dict[int, tuple[int, int]], *, program: bool) -> bytes:
    sizes = [len(_padded(section.content)) for section in sections]
    dos = b"MZ" + bytes(58) + struct.pack("<I", 0x40)
    # amd64; no time; 240 bytes of optional header; executable, large addresses, perhaps a DLL.
    kind = 0x22 if program else 0x2022
    file = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 240, kind)
    entry = _TEXT if program else 0
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, sizes[0], sum(sizes[1:]), 0, entry, _TEXT)
    end = _TEXT + sum(section.pages for section in sections) * _PAGE
    optional += struct.pack(
        "<QIIHHHHHHIIII", _BASE, _PAGE, _FILE_ALIGNMENT, 6, 0, 0, 0, 6, 0, 0, end, _FILE_ALIGNMENT, 0
    )
    # For the console; may be moved, in the upper half too; no code in data. The linker's usual stack and heap.
    optional += struct.pack("<HHQQQQII", 3, 0x160, 1 << 20, 1 << 12, 1 << 20, 1 << 12, 0, 16)
    optional += b"".join(struct.pack("<II", *directories.get(number, (0, 0))) for number in range(16))
    table, offset, address = b"", _FILE_ALIGNMENT, _TEXT
    for section, size in zip(sections, sizes, strict=True):
        table += struct.pack(
            "<8sIIIIIIHHI", section.name, section.size, address, size, offset, 0, 0, 0, 0, section.flags
        )
        offset += size
        address += section.pages * _PAGE
    return _padded(dos + file + optional + table)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _FILE_ALIGNMENT)
