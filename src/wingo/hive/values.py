"""Values: their types, and what people write and read for their data."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wingo.errors import RequestError
from wingo.hive.upcase import upcase

NONE, SZ, EXPAND_SZ, BINARY, DWORD, DWORD_BIG_ENDIAN, LINK, MULTI_SZ = range(8)
RESOURCE_LIST, FULL_RESOURCE_DESCRIPTOR, RESOURCE_REQUIREMENTS_LIST, QWORD = range(8, 12)
"""The types, by their numbers."""

TYPE_NAMES = {
    NONE: "none",
    SZ: "sz",
    EXPAND_SZ: "expand_sz",
    BINARY: "binary",
    DWORD: "dword",
    DWORD_BIG_ENDIAN: "dword_big_endian",
    LINK: "link",
    MULTI_SZ: "multi_sz",
    RESOURCE_LIST: "resource_list",
    FULL_RESOURCE_DESCRIPTOR: "full_resource_descriptor",
    RESOURCE_REQUIREMENTS_LIST: "resource_requirements_list",
    QWORD: "qword",
}
"""What people call them: Windows's names without `REG_`, in lower case."""

_NUMBERS = {name: number for number, name in TYPE_NAMES.items()}
_TEXTS = (SZ, EXPAND_SZ, LINK)
_WHOLE = {DWORD: (4, "little"), DWORD_BIG_ENDIAN: (4, "big"), QWORD: (8, "little")}


class Value(msgspec.Struct, frozen=True, gc=False):
    """A value of a key.

    Attributes:
        name: "" is the default value.
        type: the number of its type; not every number has a name.
        data: its bytes, as they stand in the hive.
        tombstone: in a layer: the value of the key below is deleted.
    """

    name: str
    type: int
    data: bytes
    tombstone: bool = False


def type_name(number: int) -> str:
    """What people call a type; "0x..." for one without a name."""
    return TYPE_NAMES.get(number) or f"{number:#x}"


def text_of(value: Value) -> str | None:
    """A value's text up to its first NUL; None when it has none."""
    if value.type not in _TEXTS:
        return None
    return _utf16(value.data).partition("\0")[0]


def texts_of(value: Value) -> tuple[str, ...] | None:
    """A multi-string's texts; None for another type. What stands after an empty string is not part of it."""
    if value.type != MULTI_SZ:
        return None
    return tuple(_utf16(value.data).split("\0\0", 1)[0].strip("\0").split("\0")) if value.data.strip(b"\0") else ()


def number_of(value: Value) -> int | None:
    """A value's number; None when it is none, or not as long as its type says."""
    size, order = _WHOLE.get(value.type, (0, "little"))
    if not size or len(value.data) != size:
        return None
    return int.from_bytes(value.data, "big" if order == "big" else "little")


def show(value: Value) -> str:
    """A value as `parse_data` reads it: `dword:0x4`, `sz:text`, `multi_sz:a|b`, `hex:00 ff`.

    Data that its type does not describe (text without its NUL, a number of three bytes) is shown as bytes.
    """
    shown = _shown(value)
    if shown is not None:
        try:
            if parse_data(shown) == (value.type, value.data):
                return shown
        except RequestError:
            pass
    kind = {BINARY: "hex"}.get(value.type, f"hex({value.type:x})")
    return f"{kind}:{value.data.hex()}"


def parse_data(text: str) -> tuple[int, bytes]:
    """What a person writes for a value, as its type and bytes.

    `dword:4`, `dword:0xff`, `qword:1`, `sz:text`, `expand_sz:%ProgramFiles%`, `multi_sz:a|b` (`multi_sz:` is the empty
    list; a `|` in a text cannot be written so: use `hex(7):`), `binary:00ff` or `hex:00,ff`, `hex(2):...` with the
    type's number in hexadecimal, `none:`. `REG_SZ:` and so on are the same, in any case.

    Raises:
        RequestError: it is nothing of that.
    """
    name, colon, data = text.partition(":")
    kind = name.strip().lower().removeprefix("reg_")
    if not colon:
        raise RequestError(f"{text!r} is not a type and data", hint="Write dword:4, sz:text, multi_sz:a|b or hex:00ff.")
    if kind == "hex":
        return BINARY, _hex(data)
    if kind.startswith("hex(") and kind.endswith(")"):
        try:
            number = int(kind[4:-1], 16)
        except ValueError:
            number = -1
        if not 0 <= number <= 0xFFFF_FFFF:
            raise RequestError(f"{name}: the number of a type is hexadecimal and has at most 32 bits")
        return number, _hex(data)
    if kind not in _NUMBERS:
        raise RequestError(f"there is no type {name!r}", hint=f"Use one of {', '.join(_NUMBERS)}, hex, hex(N).")
    number = _NUMBERS[kind]
    if number in _TEXTS:
        return number, encode_text(data)
    if number == MULTI_SZ:
        return number, encode_texts(data.split("|") if data else ())
    if number in _WHOLE:
        size, order = _WHOLE[number]
        return number, _whole(data, size).to_bytes(size, "big" if order == "big" else "little")
    return number, _hex(data)


def encode_text(text: str) -> bytes:
    """A text as the registry keeps it: UTF-16LE with a NUL.

    Raises:
        RequestError: it has a NUL itself.
    """
    if "\0" in text:
        raise RequestError("a text of the registry has no NUL in it")
    return (text + "\0").encode("utf-16-le", "surrogatepass")


def encode_texts(texts: Sequence[str]) -> bytes:
    """Texts as a multi-string: each with its NUL, then one more.

    Raises:
        RequestError: one is empty, which would end the list, or has a NUL.
    """
    if "" in texts:
        raise RequestError("an empty text ends a multi-string", hint="Leave it out.")
    return b"".join(map(encode_text, texts)) + b"\0\0"


def find(values: Sequence[Value], name: str) -> Value | None:
    """The value of that name, in any case."""
    wanted = upcase(name)
    return next((value for value in values if upcase(value.name) == wanted), None)


def _shown(value: Value) -> str | None:
    kind = TYPE_NAMES.get(value.type, "")
    if (number := number_of(value)) is not None:
        return f"{kind}:{number:#x}"
    if (text := text_of(value)) is not None:
        return f"{kind}:{text}"
    if (texts := texts_of(value)) is not None:
        return f"{kind}:{'|'.join(texts)}"
    return None


def _utf16(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")


def _whole(text: str, size: int) -> int:
    try:
        number = int(text.strip(), 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 8 * size:
        raise RequestError(f"{text!r} is not a number of {8 * size} bits", hint="Write it as 4 or 0x4.")
    return number


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(",", " "))
    except ValueError:
        raise RequestError(f"{text!r} are not bytes in hexadecimal", hint="Write them as 00ff or 00,ff.") from None
