"""Reading a program: which format it is, and its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.binary.buildinfo import BuildInfo, read_build_info
from wingo.binary.data import Buffer, Data
from wingo.binary.elf import read_elf
from wingo.binary.facts import Binary
from wingo.binary.macho import is_fat, read_fat, read_macho
from wingo.binary.pe import read_pe
from wingo.binary.program import Program

if TYPE_CHECKING:
    from wingo.binary.functions import FunctionTable
    from wingo.binary.lazy import LazyLibrary

_MACHO = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")


def open_program(source: Buffer | BinaryIO) -> Program | None:
    """Reads a program's headers, and keeps its bytes for what else is asked of it.

    Args:
        source: its bytes, or a file that can be sought in, which is read where needed and not closed.

    Returns:
        None when the first bytes are those of no format that we know: a script, a text, an archive.

    Raises:
        Malformed: it starts as a program, and is none; the offset says where.
        HostError: the file cannot be read.
    """
    data = Data(source)
    start = bytes(data.upto(0, 8))
    if start[:4] == b"\x7fELF":
        data.format = "ELF"
        return read_elf(data)
    if start[:2] == b"MZ":
        data.format = "PE"
        return read_pe(data)
    if start[:4] in _MACHO or is_fat(start):
        data.format = "Mach-O"
        return read_fat(data) if is_fat(start) else read_macho(data)
    return None


def read_binary(source: Buffer | BinaryIO) -> Binary | None:
    """Facts about a program, from its headers.

    Args:
        source: its bytes, or a file that can be sought in.

    Returns:
        None when it is of no format that we know.

    Raises:
        Malformed: it starts as a program, and is none.
        HostError: the file cannot be read.
    """
    program = open_program(source)
    return program.facts if program else None


class Examined(msgspec.Struct, frozen=True):
    """Everything that can be said of a program.

    Attributes:
        binary: from its headers.
        go: its build information; None when it is no Go program.
        functions: of a Go program; None when it has no table.
        libraries: of a PE, that it loads while it runs, so far as that can be seen.
    """

    binary: Binary
    go: BuildInfo | None
    functions: FunctionTable | None
    libraries: tuple[LazyLibrary, ...]


def examine(source: Buffer | BinaryIO) -> Examined | None:
    """Everything that can be said of a program: some tenths of a second for 60 MB, where `read_binary` takes none.

    Returns:
        None when it is of no format that we know.

    Raises:
        Malformed: it starts as a program and is none, or what a Go program carries is damaged.
        HostError: the file cannot be read.
    """
    from wingo.binary.functions import read_functions
    from wingo.binary.lazy import lazy_libraries

    program = open_program(source)
    if program is None:
        return None
    functions = read_functions(program)
    return Examined(program.facts, read_build_info(program), functions, lazy_libraries(program, functions))


def build_info(source: Buffer | BinaryIO) -> BuildInfo | None:
    """The build information of a Go program: what `go version -m` prints.

    Returns:
        None when it is no program of Go 1.13 or later.

    Raises:
        Malformed: it starts as a program and is none, or its module list is damaged.
        HostError: the file cannot be read.
    """
    program = open_program(source)
    return read_build_info(program) if program else None
