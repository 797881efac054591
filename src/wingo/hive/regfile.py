"""Registration files (.reg): read in both dialects, written in that of Windows 2000 and later.

Sources: Microsoft's KB 310516; what `regedit` of Wine accepts. Lenient where files in the wild are: no blank line after the
header, any case, spaces around `=`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wingo.errors import Malformed, RequestError
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.keys import Key
from wingo.hive.values import (
    BINARY,
    DWORD,
    EXPAND_SZ,
    LINK,
    MULTI_SZ,
    SZ,
    Value,
    encode_text,
    number_of,
    text_of,
)

MAX_BYTES = 64 << 20
_HEADER = "Windows Registry Editor Version 5.00"
_OLD_HEADER = "REGEDIT4"
_LINE = 80
_HEX = re.compile(r"hex(?:\(([0-9a-f]{1,8})\))?:(.*)", re.IGNORECASE | re.DOTALL)


def parse_reg(data: bytes) -> tuple[Edit, ...]:
    r"""The edits in a .reg file, in their order; paths begin with the root, as written (`HKEY_LOCAL_MACHINE\...`).

    Raises:
        Malformed: it is none; the message names the line.
    """
    if len(data) > MAX_BYTES:
        raise Malformed("reg file", f"it has more than {MAX_BYTES} bytes")
    lines = _decode(data).splitlines()
    numbered = iter(enumerate(lines, 1))
    old = _header(numbered)
    edits: list[Edit] = []
    key, deleted = "", False
    for number, line in numbered:
        text = line.strip()
        if not text or text.startswith(";"):
            continue
        try:
            if text.startswith("["):
                key, deleted = _section(text)
                edits.append(DeleteKey(key) if deleted else CreateKey(key))
            elif not key or deleted:
                raise RequestError("a value stands outside a key" if not key else "a value stands in a deleted key")
            else:
                edits.append(_value(key, text, numbered, old=old))
        except RequestError as error:
            raise Malformed("reg file", f"line {number}: {error}") from error
    return tuple(edits)


def format_reg(root: str, keys: Iterable[tuple[str, Key]]) -> str:
    r"""Keys as the text of a .reg file, with Windows's line ends.

    Args:
        root: what stands before every path: `HKEY_LOCAL_MACHINE\SYSTEM`.
        keys: their paths below it, and the keys.
    """
    lines = [_HEADER, ""]
    for path, key in keys:
        lines.append(f"[{root}\\{path}]" if path else f"[{root}]")
        lines.extend(f"{_quoted_name(value.name)}={_shown(value, value.name)}" for value in key.values())
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


def format_edits(edits: Iterable[Edit]) -> str:
    """Edits as the text of a .reg file; paths begin with the root already."""
    lines = [_HEADER]
    current = None
    for edit in edits:
        if isinstance(edit, DeleteKey):
            lines += ["", f"[-{edit.path}]"]
            current = None
            continue
        if edit.path != current:
            lines += ["", f"[{edit.path}]"]
            current = edit.path
        if isinstance(edit, SetValue):
            shown = _shown(Value(edit.name, edit.type, edit.data), edit.name)
            lines.append(f"{_quoted_name(edit.name)}={shown}")
        elif isinstance(edit, DeleteValue):
            lines.append(f"{_quoted_name(edit.name)}=-")
    return "\r\n".join([*lines, ""]) + "\r\n"


def encode_reg(text: str) -> bytes:
    """The bytes of a .reg file: UTF-16LE with its mark."""
    return b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass")


def _decode(data: bytes) -> str:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16", "surrogatepass")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Malformed("reg file", "it is no text in UTF-16") from None
        return data.decode("cp1252", "replace")


def _header(lines: Iterator[tuple[int, str]]) -> bool:
    """Reads the first line; whether the dialect is the old one."""
    for _, line in lines:
        text = line.strip()
        if text.lower() == _HEADER.lower():
            return False
        if text.upper() == _OLD_HEADER:
            return True
        if text:
            break
    raise Malformed("reg file", f"line 1: it does not start with {_HEADER!r} or {_OLD_HEADER!r}")


def _section(text: str) -> tuple[str, bool]:
    end = text.rfind("]")
    if end < 0 or (text[end + 1 :].strip() and not text[end + 1 :].lstrip().startswith(";")):
        raise RequestError("the name of a key has no ']' at its end")
    path = text[1:end]
    deleted = path.startswith("-")
    path = path.removeprefix("-").strip().rstrip("\\")
    if not path:
        raise RequestError("a key has no name")
    return path, deleted


def _value(key: str, text: str, lines: Iterator[tuple[int, str]], *, old: bool) -> Edit:
    name = ""
    if text.startswith("@"):
        rest = text[1:].lstrip()
    elif text.startswith('"'):
        name, rest = _string(text, lines)
        rest = rest.lstrip()
    else:
        raise RequestError(f"{text[:40]!r} is neither a key nor a value")
    if not rest.startswith("="):
        raise RequestError("a value's name is not followed by '='")
    data = rest[1:].strip()
    if data.partition(";")[0].strip() == "-":
        return DeleteValue(key, name)
    if data.startswith('"'):
        content, after = _string(data, lines)
        if after.strip() and not after.lstrip().startswith(";"):
            raise RequestError(f"after the text stands {after[:40]!r}")
        return SetValue(key, name, SZ, encode_text(content))
    if data.lower().startswith("dword:"):
        digits = data[6:].partition(";")[0].strip()
        if not re.fullmatch("[0-9a-fA-F]{1,8}", digits):
            raise RequestError(f"{digits!r} is no number of eight hexadecimal digits")
        return SetValue(key, name, DWORD, int(digits, 16).to_bytes(4, "little"))
    return _hex_value(key, name, data, lines, old=old)


def _hex_value(key: str, name: str, data: str, lines: Iterator[tuple[int, str]], *, old: bool) -> Edit:
    parts = []
    data = data.partition(";")[0].rstrip()
    while data.endswith("\\"):
        parts.append(data[:-1])
        _, line = next(lines, (0, ""))
        data = line.partition(";")[0].strip()
    match = _HEX.fullmatch("".join([*parts, data]))
    if match is None:
        raise RequestError(f"the data of {name or '@'!r} is no text, dword or hex")
    kind = int(match[1], 16) if match[1] else BINARY
    try:
        content = bytes(int(item, 16) for item in match[2].replace(" ", "").split(",") if item)
    except ValueError:
        raise RequestError(f"the data of {name or '@'!r} are not bytes in hexadecimal") from None
    if old and kind in (SZ, EXPAND_SZ, LINK, MULTI_SZ):
        content = content.decode("cp1252", "replace").encode("utf-16-le")
    return SetValue(key, name, kind, content)


def _string(text: str, lines: Iterator[tuple[int, str]]) -> tuple[str, str]:
    """A text in quotes, which may go on in the next line; and what stands after it."""
    found: list[str] = []
    position = 1
    while True:
        if position >= len(text):
            _, more = next(lines, (0, None))
            if more is None:
                raise RequestError("a text has no quote at its end")
            found.append("\r\n")
            text, position = more, 0
            continue
        char = text[position]
        if char == '"':
            return "".join(found), text[position + 1 :]
        if char == "\\" and position + 1 < len(text):
            position += 1
            char = text[position]
        found.append(char)
        position += 1


def _quoted_name(name: str) -> str:
    return f'"{_escaped(name)}"' if name else "@"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _shown(value: Value, name: str) -> str:
    if value.type == DWORD and (number := number_of(value)) is not None:
        return f"dword:{number:08x}"
    text = text_of(value) if value.type == SZ else None
    if text is not None and text.isprintable() and encode_text(text) == value.data:
        return f'"{_escaped(text)}"'
    start = "hex:" if value.type == BINARY else f"hex({value.type:x}):"
    items = [f"{byte:02x}" for byte in value.data]
    line, lines = start, []
    width = len(_quoted_name(name)) + 1
    for index, item in enumerate(items):
        piece = item + ("," if index + 1 < len(items) else "")
        if width + len(line) + len(piece) > _LINE - 2:
            lines.append(line + "\\")
            line, width = "  ", 0
        line += piece
    return "\r\n".join([*lines, line])
