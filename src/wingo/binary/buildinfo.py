"""Go's build information: what `go version -m` prints, from the same bytes.

Go 1.18 and later store the texts behind the header, older ones point to them. The source is Go's `debug/buildinfo` and
`runtime/debug/mod.go`, whose searching and parsing rules are kept, so that a program has the same build information here
and there, or none in both.
"""

from __future__ import annotations

import re
from struct import unpack_from
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import Malformed

if TYPE_CHECKING:
    from wingo.binary.program import Program

MAGIC = b"\xff Go buildinf:"
ALIGNMENT = 16
HEADER_SIZE = 32
MAX_TEXT = 16 << 20
"""Bytes of the module list; a program of 2,000 modules has 200 KB."""
_MAX_VARINT = 10
_SPECIAL = re.compile('[ \t\r\n"`]')
_SPECIAL_IN_KEY = re.compile('[= \t\r\n"`]')
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_QUOTED = {value: "\\" + key for key, value in _PLAIN.items()}
_FORMAT = "Go build information"


class Module(msgspec.Struct, frozen=True):
    """A module.

    Attributes:
        path: its path.
        version: "(devel)" for the main module without a version.
        sum: of go.sum, "h1:…", or "".
        replace: what stands in its place, or None.
    """

    path: str
    version: str
    sum: str = ""
    replace: Module | None = None


class BuildInfo(msgspec.Struct, frozen=True):
    """How a Go program was built.

    Attributes:
        go_version: "go1.26.1", with what was changed behind it: "go1.26.1 X:jsonv2".
        path: the main package's import path, or "" without modules.
        main: the module that it is in, or None.
        deps: the other modules, in the order of their paths.
        settings: (key, value) in the order in which they stand there: "GOOS", "-tags", "vcs.revision", …
    """

    go_version: str
    path: str = ""
    main: Module | None = None
    deps: tuple[Module, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def setting(self, key: str) -> str:
        """The value of a setting, or ""."""
        return next((value for each, value in self.settings if each == key), "")

    def text(self) -> str:
        """What `go version -m FILE` prints below the line with the file's name, without the tab before each line."""
        lines = [f"path\t{self.path}"] if self.path else []
        if self.main is not None:
            lines += _module_lines("mod", self.main)
        for module in self.deps:
            lines += _module_lines("dep", module)
        for key, value in self.settings:
            shown = _quote(key) if not key or _SPECIAL_IN_KEY.search(key) else key
            lines.append(f"build\t{shown}={_quote(value) if _SPECIAL.search(value) else value}")
        return "".join(f"{line}\n" for line in lines)


def read_build_info(program: Program) -> BuildInfo | None:
    """Reads a program's build information.

    Returns:
        None when it is no Go program, or of a Go before 1.13.

    Raises:
        Malformed: a Go program's module list is not as Go writes it.
    """
    found = _texts(program)
    if found is None:
        return None
    version, modules, offset = found
    return parse_build_info(version, modules, offset)


def parse_build_info(go_version: str, modules: str, offset: int | None = None) -> BuildInfo:
    """Reads the text of the module list (Go's `debug.ParseBuildInfo`).

    Raises:
        Malformed: a line is not as Go writes it.
    """
    path = ""
    main: Module | None = None
    deps: list[Module] = []
    settings: list[tuple[str, str]] = []
    last = ""
    for number, line in enumerate(modules.split("\n")[:-1], 1):
        kind, tab, rest = line.partition("\t")
        if not tab:
            continue
        if kind == "path":
            path = rest
        elif kind == "build":
            settings.append(_setting(rest, number, offset))
        elif kind in ("mod", "dep"):
            parts = rest.split("\t")
            if len(parts) not in (2, 3):
                raise _bad(f"line {number} has {len(parts)} columns, not 2 or 3", offset)
            module = Module(parts[0], parts[1], parts[2] if len(parts) == 3 else "")
            if kind == "mod":
                main = module
            else:
                deps.append(module)
            last = kind
        elif kind == "=>":
            parts = rest.split("\t")
            if len(parts) != 3 or not last:
                raise _bad(f"line {number} is no replacement of the module before it", offset)
            other = Module(parts[0], parts[1], parts[2])
            if last == "mod" and main is not None:
                main = msgspec.structs.replace(main, replace=other)
            elif deps:
                deps[-1] = msgspec.structs.replace(deps[-1], replace=other)
            last = ""
    return BuildInfo(go_version, path, main, tuple(deps), tuple(settings))


def _texts(program: Program) -> tuple[str, str, int] | None:
    """(version, module list, offset in the file)."""
    start, size = program.data_start
    offset, there = program.memory.place(-(-start // ALIGNMENT) * ALIGNMENT)
    size -= -start % ALIGNMENT
    if offset < 0 or size <= 0:
        return None
    size = min(size, there)
    at = program.data.find(MAGIC, offset, offset + size, ALIGNMENT)
    if at < 0 or size - (at - offset) < HEADER_SIZE:
        return None
    header = bytes(program.data.upto(at, HEADER_SIZE))
    if len(header) < HEADER_SIZE:
        return None
    if header[15] & 2:
        end = offset + there
        version, following = _counted(program, at + HEADER_SIZE, end)
        modules, last = _counted(program, following, end)
        if last < 0:
            return None
    else:
        width, order = header[14], ">" if header[15] & 1 else "<"
        if width not in (4, 8):
            return None
        code = order + ("II" if width == 4 else "QQ")
        pointers = unpack_from(code, header, 16)
        version, modules = (_pointed(program, pointer, code, width) for pointer in pointers)
    if not version:
        return None
    # The list stands between two marks of 16 bytes, so that it can be found in memory.
    modules = modules[16:-16] if len(modules) >= 33 and modules[-17:-16] == b"\n" else b""
    return version.decode("utf-8", "surrogateescape"), modules.decode("utf-8", "surrogateescape"), at


def _counted(program: Program, at: int, end: int) -> tuple[bytes, int]:
    """A text behind its length, and the offset behind it; (b"", -1) when there is none."""
    if at < 0:
        return b"", -1
    length = shift = 0
    for used, byte in enumerate(program.data.upto(at, min(_MAX_VARINT, end - at)), 1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if length > MAX_TEXT or at + used + length > end:
                return b"", -1
            return bytes(program.data.take(at + used, length, "build information")), at + used + length
    return b"", -1


def _pointed(program: Program, address: int, code: str, width: int) -> bytes:
    """The Go string whose header is at an address; b"" when there is none."""
    offset, there = program.memory.place(address)
    if offset < 0 or there < 2 * width:
        return b""
    text, length = unpack_from(code, program.data.take(offset, 2 * width, "a string"))
    offset, there = program.memory.place(text)
    if offset < 0 or there < length or length > MAX_TEXT:
        return b""
    return bytes(program.data.take(offset, length, "build information"))


def _setting(text: str, number: int, offset: int | None) -> tuple[str, str]:
    if text[:1] in ('"', "`"):
        key, rest = _unquoted_prefix(text, number, offset)
        if not rest.startswith("="):
            raise _bad(f"line {number} has no = behind a quoted key", offset)
        value = rest[1:]
    else:
        key, equals, value = text.partition("=")
        if not equals or not key or _SPECIAL_IN_KEY.search(key):
            raise _bad(f"line {number} is no setting KEY=VALUE", offset)
    if value[:1] in ('"', "`"):
        value, rest = _unquoted_prefix(value, number, offset)
        if rest:
            raise _bad(f"line {number} goes on behind a quoted value", offset)
    elif _SPECIAL.search(value):
        raise _bad(f"line {number} has a value that must be quoted", offset)
    return key, value


def _unquoted_prefix(text: str, number: int, offset: int | None) -> tuple[str, str]:
    """A Go string literal at the start of the text, and what follows it."""
    if text[0] == "`":
        end = text.find("`", 1)
        if end > 0:
            return text[1:end].replace("\r", ""), text[end + 1 :]
    else:
        end = 1
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        if end < len(text):
            return _unescape(text[1:end], number, offset), text[end + 1 :]
    raise _bad(f"line {number} has a quotation mark without its second", offset)


def _unescape(text: str, number: int, offset: int | None) -> str:
    if "\\" not in text:
        return text
    if "\\" in _ESCAPE.sub("", text):
        raise _bad(f"line {number} has an escape that Go does not have", offset)

    def character(match: re.Match[str]) -> str:
        plain, hexadecimal, octal, short, long = match.groups()
        if plain:
            return _PLAIN[plain]
        if hexadecimal or octal:
            value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF
            return bytes([value]).decode("utf-8", "surrogateescape")
        value = int(short or long, 16)
        if value > 0x10FFFF or 0xD800 <= value < 0xE000:
            raise _bad(f"line {number} names no character by its number", offset)
        return chr(value)

    joined = _ESCAPE.sub(character, text)
    # Bytes that were escaped one by one may be one character together.
    return joined.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _quote(text: str) -> str:
    def shown(character: str) -> str:
        if character in _QUOTED:
            return _QUOTED[character]
        number = ord(character)
        if 0xDC80 <= number <= 0xDCFF:
            return f"\\x{number - 0xDC00:02x}"
        if character.isprintable():
            return character
        if number < 0x20 or number == 0x7F:
            return f"\\x{number:02x}"
        return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

    return '"' + "".join(map(shown, text)) + '"'


def _module_lines(word: str, module: Module) -> list[str]:
    if module.replace is None:
        return [f"{word}\t{module.path}\t{module.version}\t{module.sum}"]
    # The empty line behind is Go's.
    return [f"{word}\t{module.path}\t{module.version}", *_module_lines("=>", module.replace), ""]


def _bad(problem: str, offset: int | None) -> Malformed:
    return Malformed(_FORMAT, problem, offset=offset)
