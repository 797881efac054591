"""What is known of a program from its headers: frozen values, the same for every format where the idea is the same."""

from __future__ import annotations

from enum import Enum

import msgspec


class Format(Enum):
    """The file's format."""

    PE = "PE"
    ELF = "ELF"
    MACHO = "Mach-O"


class Kind(Enum):
    """What the file is for."""

    EXECUTABLE = "executable"
    LIBRARY = "library"
    OBJECT = "object"
    CORE = "core dump"
    OTHER = "other"


class Linking(Enum):
    """How an executable finds its libraries."""

    STATIC = "static"
    STATIC_PIE = "static-pie"
    DYNAMIC = "dynamic"


class Subsystem(Enum):
    """The Windows subsystem; what a container starts is CONSOLE."""

    UNKNOWN = 0
    NATIVE = 1
    GUI = 2
    CONSOLE = 3
    OS2 = 5
    POSIX = 7
    NATIVE_WINDOWS = 8
    CE_GUI = 9
    EFI_APPLICATION = 10
    EFI_BOOT_DRIVER = 11
    EFI_RUNTIME_DRIVER = 12
    EFI_ROM = 13
    XBOX = 14
    BOOT_APPLICATION = 16


class Section(msgspec.Struct, frozen=True):
    """A section.

    Attributes:
        name: "" when it has none; a Mach-O section's is "__SEGMENT,__section".
        address: where it is loaded; PE: the image base included; 0 when it is not.
        size: bytes in memory.
        offset: of its bytes in the file.
        file_size: how many those are; 0 for one that is only zeros in memory.
        flags: as the format defines them.
    """

    name: str
    address: int
    size: int
    offset: int
    file_size: int
    flags: int


class Import(msgspec.Struct, frozen=True):
    """A library that the loader binds.

    Attributes:
        library: its name, as spelt there.
        names: the functions, by name or "#ordinal"; () where the format does not say (ELF, Mach-O).
    """

    library: str
    names: tuple[str, ...] = ()


class Signature(msgspec.Struct, frozen=True):
    """Where a signature is said to be; whether it is right is not asked here.

    Attributes:
        offset: in the file.
        size: in bytes.
        in_range: the file has those bytes. A signed file that was cut short or edited does not.
    """

    offset: int
    size: int
    in_range: bool


class Symbols(msgspec.Struct, frozen=True):
    """What is there for debuggers.

    Attributes:
        debug_bytes: of debug information (DWARF sections) in the file.
        table_bytes: of the symbol table and its names; a dynamic one, which the loader needs, is not counted.
        pdb: the name of the file with the debug information that a PE names, or "".
    """

    debug_bytes: int = 0
    table_bytes: int = 0
    pdb: str = ""

    @property
    def present(self) -> bool:
        """Whether the file carries any of it."""
        return bool(self.debug_bytes or self.table_bytes)


class PeFacts(msgspec.Struct, frozen=True):
    """What only a PE has.

    Attributes:
        image_base: the preferred address.
        subsystem: what Windows starts it as.
        subsystem_version: (major, minor), the Windows version that the loader asks for: (6, 1) is Windows 7.
        aslr: may be loaded anywhere (DYNAMIC_BASE); on 64 bits also `high_entropy`.
        high_entropy: anywhere in 64 bits.
        dep: data is not executable (NX_COMPAT).
        control_flow_guard: GUARD_CF.
        delay_imports: libraries that are bound at their first call.
        manifest: the application manifest's text, or "".
        characteristics: the file header's flags.
        dll_characteristics: the optional header's flags.
        dotnet: it has a CLR header: an assembly, which needs a .NET runtime.
        exports: the name that a library gives itself, or "".
    """

    image_base: int
    subsystem: Subsystem
    subsystem_version: tuple[int, int]
    aslr: bool
    high_entropy: bool
    dep: bool
    control_flow_guard: bool
    delay_imports: tuple[Import, ...]
    manifest: str
    characteristics: int
    dll_characteristics: int
    dotnet: bool
    exports: str


class VersionNeed(msgspec.Struct, frozen=True):
    """Symbol versions that an ELF wants of a library: ("libc.so.6", ("GLIBC_2.2.5", "GLIBC_2.34"))."""

    library: str
    versions: tuple[str, ...]


class ElfFacts(msgspec.Struct, frozen=True):
    """What only an ELF has.

    Attributes:
        osabi: EI_OSABI.
        interpreter: the dynamic loader's path, or "".
        rpath: DT_RPATH's directories.
        runpath: DT_RUNPATH's.
        soname: of a library, or "".
        version_needs: symbol versions by library.
        executable_stack: PT_GNU_STACK asks for one.
    """

    osabi: int
    interpreter: str
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    soname: str
    version_needs: tuple[VersionNeed, ...]
    executable_stack: bool


class MachoFacts(msgspec.Struct, frozen=True):
    """What only a Mach-O has.

    Attributes:
        file_type: of the header.
        platform: LC_BUILD_VERSION's: 1 is macOS; 0 when it does not say.
        minimum_os: "12.0", or "".
        dylinker: the dynamic loader's path, or "".
        rpath: LC_RPATH's paths.
    """

    file_type: int
    platform: int
    minimum_os: str
    dylinker: str
    rpath: tuple[str, ...]


class Binary(msgspec.Struct, frozen=True):
    """A program.

    Attributes:
        format: the file's.
        kind: what it is for.
        machine: the format's own number.
        arch: the machine as a GOARCH name ("amd64", "arm64", "386", …), or "" for one that Go does not have.
        os: as a GOOS name, or "" when the headers do not say (an ELF may well not).
        bits: 32 or 64.
        big_endian: how it stores numbers.
        entry: the address of the first instruction, or None.
        linking: how it finds libraries.
        imports: the libraries that are bound at the start, in order: a PE's imports, an ELF's NEEDED, a Mach-O's dylibs.
        sections: all.
        symbols: for debuggers.
        signature: Authenticode's or Apple's, or None.
        pe: a PE's own facts.
        elf: an ELF's.
        macho: a Mach-O's.
        slices: of a fat Mach-O, each program; the fields above are the first's. () otherwise.
    """

    format: Format
    kind: Kind
    machine: int
    arch: str
    os: str
    bits: int
    big_endian: bool
    entry: int | None
    linking: Linking
    imports: tuple[Import, ...]
    sections: tuple[Section, ...]
    symbols: Symbols
    signature: Signature | None = None
    pe: PeFacts | None = None
    elf: ElfFacts | None = None
    macho: MachoFacts | None = None
    slices: tuple[Binary, ...] = ()

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((each for each in self.sections if each.name == name), None)
