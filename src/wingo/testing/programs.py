"""Programs for tests, made byte by byte: small PE, ELF and Mach-O files with what a test wants to be in them.

They have headers that a loader would take, and no code that does anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import pack

PE_MACHINES = {"386": 0x14C, "amd64": 0x8664, "arm64": 0xAA64}
ELF_MACHINES = {"386": 3, "amd64": 62, "arm64": 183, "ppc64": 21, "s390x": 22}
MACHO_MACHINES = {"amd64": 0x0100_0007, "arm64": 0x0100_000C}
PE_BASE = 0x1_4000_0000
ELF_BASE = 0x40_0000
MACHO_BASE = 0x1_0000_0000
_PAGE = 0x1000
_MARK = "0123456789abcdef"


def go_build_info(version: str, modules: str) -> bytes:
    """Build information as Go 1.18 and later write it; `modules` is the text behind the first line of `go version -m`."""
    framed = (_MARK + modules + _MARK) if modules else ""
    return b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + b"".join(
        _varint(len(text.encode())) + text.encode() for text in (version, framed)
    )


def go_build_info_pointers(version: str, modules: str, address: int, *, big: bool = False, width: int = 8) -> bytes:
    """The same as Go 1.13 to 1.17 write it, for an address at which it is loaded."""
    order = ">" if big else "<"
    code = "Q" if width == 8 else "I"
    texts = [version.encode(), (_MARK + modules + _MARK).encode()]
    strings = address + 32
    first = strings + 4 * width
    header = b"\xff Go buildinf:" + bytes([width, int(big)]) + pack(f"{order}2{code}", strings, strings + 2 * width)
    pointers = pack(f"{order}4{code}", first, len(texts[0]), first + len(texts[0]), len(texts[1]))
    return header.ljust(32, b"\0") + pointers + b"".join(texts)


def go_functions(
    functions: Sequence[tuple[str, int]],
    since: int = 20,
    *,
    big: bool = False,
    inlined: Sequence[str] = (),
    text: int = 0x1000,
    width: int = 8,
) -> bytes:
    """A function table: (name, bytes of code) of each function, in the layout of Go 1.`since`: 2, 16, 18 or 20."""
    order = ">" if big else "<"
    word = order + ("Q" if width == 8 else "I")
    names, offsets = b"\0", {}
    for name in [*(name for name, _ in functions), *inlined]:
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    names += b"\0" * (-len(names) % 8)
    magic = {20: 0xFFFF_FFF1, 18: 0xFFFF_FFF0, 16: 0xFFFF_FFFA, 2: 0xFFFF_FFFB}[since]
    head = pack(order + "IBBBB", magic, 0, 0, 1, width)
    field, start = (order + "I", 0) if since >= 18 else (word, text)
    each = 4 if since >= 18 else width
    table_size = (2 * len(functions) + 1) * each
    table_size += -table_size % 8
    header_size = 8 + 8 * width if since >= 16 else 8 + width
    names_at = header_size if since >= 16 else header_size + table_size + 8
    functions_at = names_at + len(names) if since >= 16 else 0
    records_at = table_size if since >= 16 else names_at + len(names)
    table, records = b"", b""
    base = 0 if since >= 16 else names_at
    for name, size in functions:
        table += pack(field, start) + pack(field, records_at + len(records))
        records += pack(field, start) + pack(order + "I", base + offsets[name]) + b"\0" * (16 - each - 4)
        start += size
    table = (table + pack(field, start)).ljust(table_size, b"\0")
    if since >= 18:
        head += b"".join(pack(word, n) for n in (len(functions), 1, text, names_at, functions_at, 0, 0, functions_at))
    elif since == 16:
        head += b"".join(pack(word, n) for n in (len(functions), 1, names_at, functions_at, 0, 0, functions_at, 0))
    else:
        return head + pack(word, len(functions)) + table + b"\0" * 8 + names + records
    return head + names + table + records


def make_pe(
    imports: Mapping[str, Sequence[str]] | None = None,
    delay_imports: Mapping[str, Sequence[str]] | None = None,
    *,
    arch: str = "amd64",
    subsystem: int = 3,
    flags: int = 0x8160,
    manifest: bytes = b"",
    data: bytes = b"",
    rdata: bytes = b"",
    code: bytes = b"\xc3",
    debug: bytes = b"",
    signature: bytes = b"",
    library: bool = False,
) -> bytes:
    """A PE; `code` is at `PE_BASE + 0x1000`, what is in `data` is at `PE_BASE + 0x3000`, `rdata` at `PE_BASE + 0x5000`."""
    wide = arch != "386"
    sections: list[tuple[bytes, int, bytes, int]] = [(b".text", 0x1000, code, 0x6000_0020)]
    tables, directories = _pe_imports(imports or {}, delay_imports or {}, 0x8000, wide=wide)
    sections.append((b".data", 0x3000, data or b"\0" * 16, 0xC000_0040))
    if rdata:
        sections.append((b".rdata", 0x5000, rdata, 0x4000_0040))
    sections.append((b".idata", 0x8000, tables or b"\0", 0x4000_0040))
    if len(code) > 0x2000 or len(data) > 0x2000 or len(rdata) > 0x3000 or len(tables) > 0x8000:
        raise ValueError("too much for a small program")
    if manifest:
        leaf = pack("<IIII", 0x10000 + 0x58, len(manifest), 0, 0)
        level = pack("<IIHHHH", 0, 0, 0, 0, 0, 1)
        tree = level + pack("<II", 24, 0x8000_0018) + level + pack("<II", 1, 0x8000_0030)
        tree += level + pack("<II", 1033, 0x48) + leaf
        sections.append((b".rsrc", 0x10000, tree + manifest, 0x4000_0040))
        directories[2] = (0x10000, len(tree) + len(manifest))
    if debug:
        sections.append((b".debug_i", 0x20000, debug, 0x4200_0040))
    body, headers = b"", b""
    for name, address, content, section_flags in sections:
        size = len(content) + -len(content) % 0x200
        headers += pack("<8sIIIIIIHHI", name, len(content), address, size, 0x400 + len(body), 0, 0, 0, 0, section_flags)
        body += content.ljust(size, b"\0")
    if signature:
        directories[4] = (0x400 + len(body), len(signature))
        body += signature
    table = b"".join(pack("<II", *directories.get(number, (0, 0))) for number in range(16))
    base = PE_BASE if wide else 0x40_0000
    optional = pack("<HBBIIIII", 0x20B if wide else 0x10B, 14, 0, 0x200, 0x200, 0, 0x1000, 0x1000)
    optional += pack("<Q", base) if wide else pack("<II", 0x2000, base)
    optional += pack("<IIHHHHHHIIIIHH", 0x1000, 0x200, 6, 1, 0, 0, 6, 1, 0, 0x30000, 0x400, 0, subsystem, flags)
    optional += pack("<QQQQII" if wide else "<IIIIII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + table
    characteristics = 0x22 | (0x2000 if library else 0)
    head = pack("<HHIIIHH", PE_MACHINES[arch], len(sections), 0, 0, 0, len(optional), characteristics)
    start = b"MZ".ljust(0x3C, b"\0") + pack("<I", 0x40) + b"PE\0\0" + head + optional + headers
    return start.ljust(0x400, b"\0") + body


def _pe_imports(
    imports: Mapping[str, Sequence[str]], delayed: Mapping[str, Sequence[str]], address: int, *, wide: bool
) -> tuple[bytes, dict[int, tuple[int, int]]]:
    word, ordinal = ("<Q", 1 << 63) if wide else ("<I", 1 << 31)
    directory = 20 * (len(imports) + 1) if imports else 0
    delay_directory = 32 * (len(delayed) + 1) if delayed else 0
    rest, records, delay_records = b"", b"", b""
    start = address + directory + delay_directory

    def put(content: bytes) -> int:
        nonlocal rest
        rest += b"\0" * (-len(rest) % 8)
        at = start + len(rest)
        rest += content
        return at

    for library, names in [*imports.items(), *delayed.items()]:
        values = [
            ordinal | int(name[1:]) if name.startswith("#") else put(b"\0\0" + name.encode() + b"\0") for name in names
        ]
        table = put(b"".join(pack(word, value) for value in [*values, 0]))
        name_at = put(library.encode() + b"\0")
        if len(records) < 20 * len(imports):
            records += pack("<IIIII", table, 0, 0, name_at, table)
        else:
            delay_records += pack("<8I", 1, name_at, 0, table, table, 0, 0, 0)
    found = {}
    if imports:
        found[1] = (address, directory)
    if delayed:
        found[13] = (address + directory, delay_directory)
    return records.ljust(directory, b"\0") + delay_records.ljust(delay_directory, b"\0") + rest, found


def make_elf(
    *,
    arch: str = "amd64",
    interpreter: str = "",
    needed: Sequence[str] = (),
    runpath: str = "",
    versions: Mapping[str, Sequence[str]] | None = None,
    pie: bool = False,
    soname: str = "",
    data: bytes = b"",
    sections: Mapping[str, bytes] | None = None,
    osabi: int = 0,
) -> bytes:
    """An ELF; `data` is the writable segment, at `ELF_BASE + 0x10000`; `sections` are more, which are not loaded."""
    wide, big = arch != "386", arch in ("ppc64", "s390x")
    order, word = (">" if big else "<"), ("Q" if wide else "I")
    header_size, segment_size, section_size = (64, 56, 64) if wide else (52, 32, 40)
    strings, places = b"\0", {}
    for text in [*needed, runpath, soname, *(v for vs in (versions or {}).values() for v in vs), *(versions or {})]:
        if text not in places:
            places[text] = len(strings)
            strings += text.encode() + b"\0"
    verneed = b""
    for number, (library, wanted) in enumerate((versions or {}).items(), 1):
        following = 0 if number == len(versions or {}) else 16 + 16 * len(wanted)
        verneed += pack(order + "HHIII", 1, len(wanted), places[library], 16, following)
        for at, version in enumerate(wanted, 1):
            verneed += pack(order + "IHHII", 0, 0, 0, places[version], 0 if at == len(wanted) else 16)
    content_at = header_size + 5 * segment_size
    content = interpreter.encode() + b"\0" if interpreter else b""
    strings_at = content_at + len(content)
    content += strings
    content += b"\0" * (-(content_at + len(content)) % 8)
    verneed_at = content_at + len(content)
    content += verneed
    content += b"\0" * (-(content_at + len(content)) % 8)
    dynamic = [(1, places[name]) for name in needed]
    dynamic += [(29, places[runpath])] if runpath else []
    dynamic += [(14, places[soname])] if soname else []
    dynamic += [(0x6FFF_FFFE, ELF_BASE + verneed_at), (0x6FFF_FFFF, len(versions))] if versions else []
    dynamic += [(0x6FFF_FFFB, 0x0800_0000)] if pie else []
    has_dynamic = bool(dynamic or interpreter)
    if has_dynamic:
        dynamic += [(5, ELF_BASE + strings_at), (10, len(strings)), (0, 0)]
    dynamic_at = content_at + len(content)
    content += b"".join(pack(order + 2 * word, *entry) for entry in dynamic)
    content += b"\0" * (-(content_at + len(content)) % 16)
    data_at = content_at + len(content)
    size = data_at

    def segment(kind: int, flags: int, offset: int, address: int, length: int) -> bytes:
        if wide:
            return pack(order + "IIQQQQQQ", kind, flags, offset, address, address, length, length, 16)
        return pack(order + "8I", kind, offset, address, address, length, length, flags, 16)

    segments = [segment(1, 5, 0, ELF_BASE, size), segment(1, 6, data_at, ELF_BASE + 0x10000, len(data))]
    if interpreter:
        segments.append(segment(3, 4, content_at, ELF_BASE + content_at, len(interpreter) + 1))
    if has_dynamic:
        segments.append(segment(2, 6, dynamic_at, ELF_BASE + dynamic_at, len(dynamic) * (16 if wide else 8)))
    segments.append(segment(0x6474_E551, 6, 0, 0, 0))
    body = content + data
    names, headers = b"\0", b"\0" * section_size
    for name, given in {**(sections or {}), ".shstrtab": b""}.items():
        at = len(names)
        names += name.encode() + b"\0"
        kind, stored = (3, names) if name == ".shstrtab" else (1, given)
        fields = (at, kind, 0, 0, content_at + len(body), len(stored), 0, 0, 1, 0)
        headers += pack(order + ("IIQQQQIIQQ" if wide else "10I"), *fields)
        body += stored
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1, osabi]).ljust(12, b"\0")
    kind = 3 if pie or soname else 2
    counts = (header_size, segment_size, len(segments), section_size, len(sections or {}) + 2, len(sections or {}) + 1)
    head = pack(
        order + f"HHI3{word}I6H", kind, ELF_MACHINES[arch], 1, ELF_BASE, header_size, content_at + len(body), 0, *counts
    )
    return ident + head + b"".join(segments).ljust(5 * segment_size, b"\0") + body + headers


def make_macho(
    *, arch: str = "arm64", libraries: Sequence[str] = (), data: bytes = b"", signature: bytes = b""
) -> bytes:
    """A Mach-O of 64 bits; `data` is the section `__go_buildinfo` of a writable segment, at `MACHO_BASE + 0x4000`."""
    commands = []
    for name in libraries:
        path = name.encode() + b"\0"
        path += b"\0" * (-len(path) % 8)
        commands.append(pack("<IIIIII", 0xC, 24 + len(path), 24, 0, 0, 0) + path)
    commands.append(pack("<IIII", 0x32, 16, 1, 12 << 16))
    commands.append(pack("<IIQQ", 0x8000_0028, 24, 0x800, 0))
    section = pack(
        "<16s16sQQIIIIIIII", b"__go_buildinfo", b"__DATA", MACHO_BASE + 0x4000, len(data), 0x1000, 4, 0, 0, 0, 0, 0, 0
    )
    for segment, address, offset, size, protection, parts in (
        (b"__TEXT", MACHO_BASE, 0, 0x1000, 5, b""),
        (b"__DATA", MACHO_BASE + 0x4000, 0x1000, len(data), 3, section),
    ):
        fields = (segment, address, size, offset, size, protection, protection, len(parts) // 80, 0)
        commands.append(pack("<II16sQQQQIIII", 0x19, 72 + len(parts), *fields) + parts)
    if signature:
        commands.append(pack("<IIII", 0x1D, 16, 0x1000 + len(data), len(signature)))
    load = b"".join(commands)
    head = pack("<IIIIIIII", 0xFEED_FACF, MACHO_MACHINES[arch], 0, 2, len(commands), len(load), 0, 0)
    return (head + load).ljust(0x1000, b"\0") + data + signature


def make_fat(programs: Mapping[str, bytes]) -> bytes:
    """A fat Mach-O of programs by architecture."""
    head, body = pack(">II", 0xCAFE_BABE, len(programs)), b""
    for arch, program in programs.items():
        head += pack(">IIIII", MACHO_MACHINES[arch], 0, 0x1000 + len(body), len(program), 12)
        body += program.ljust(len(program) + -len(program) % 0x1000, b"\0")
    return head.ljust(0x1000, b"\0") + body


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
