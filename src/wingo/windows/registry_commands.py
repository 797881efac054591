r"""What `reg.exe`, PowerShell's registry cmdlets and `setx` would change, as edits of a registry that is at hand.

Each function is one command with its arguments read already; quoting and switches are the caller's. What would ask a
question on a console, or fail on Windows, fails here. Sources: learn.microsoft.com, "reg add", "reg delete", "reg copy",
"New-ItemProperty", "Set-ItemProperty", "Remove-Item", "setx".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from wingo.errors import RequestError
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.keys import Key, walk
from wingo.hive.regfile import parse_reg
from wingo.hive.upcase import upcase
from wingo.hive.values import (
    BINARY,
    DWORD,
    DWORD_BIG_ENDIAN,
    EXPAND_SZ,
    MULTI_SZ,
    NONE,
    QWORD,
    SZ,
    encode_text,
    encode_texts,
    text_of,
)
from wingo.windows.registry import Registry

ENVIRONMENT = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
"""Where the machine's environment variables are."""

_REG_TYPES = {
    "REG_SZ": SZ,
    "REG_MULTI_SZ": MULTI_SZ,
    "REG_EXPAND_SZ": EXPAND_SZ,
    "REG_DWORD": DWORD,
    "REG_DWORD_LITTLE_ENDIAN": DWORD,
    "REG_DWORD_BIG_ENDIAN": DWORD_BIG_ENDIAN,
    "REG_QWORD": QWORD,
    "REG_BINARY": BINARY,
    "REG_NONE": NONE,
}
_POWERSHELL_TYPES = {
    "STRING": SZ,
    "EXPANDSTRING": EXPAND_SZ,
    "BINARY": BINARY,
    "DWORD": DWORD,
    "MULTISTRING": MULTI_SZ,
    "QWORD": QWORD,
}
_SIZES = {DWORD: 4, DWORD_BIG_ENDIAN: 4, QWORD: 8}
_SETX_LIMIT = 1024

PowerShellValue = str | int | bytes | Sequence[str]
"""A value that a PowerShell command line gives: a text, a number, bytes or texts."""


def reg_add(
    registry: Registry,
    key: str,
    *,
    name: str | None = None,
    type: str = "REG_SZ",
    data: str = "",
    separator: str = "\\0",
    force: bool = False,
) -> tuple[Edit, ...]:
    r"""`reg add KEY [/v NAME | /ve] [/t TYPE] [/s SEPARATOR] [/d DATA] [/f]`.

    Args:
        registry: what is there.
        key: the path.
        name: of the value; "" is the default value (/ve); None: the key alone is made.
        type: as after /t.
        data: as after /d.
        separator: between the texts of a REG_MULTI_SZ.
        force: whether a value that is there is replaced; without, Windows asks.

    Raises:
        RequestError: no such type, data that is none of it, or a value that is there already, without `force`.
    """
    path = registry.full_path(key)
    made: tuple[Edit, ...] = (CreateKey(path),)
    if name is None:
        return made
    number = _REG_TYPES.get(type.upper())
    if number is None:
        raise RequestError(f"reg add knows no type {type[:40]!r}", hint=f"There are {', '.join(_REG_TYPES)}.")
    if not force and registry.value(path, name) is not None:
        raise RequestError(f"{path} has a value {name or '(default)'!r} already, and reg add would ask", hint="Add /f.")
    return (*made, SetValue(path, name, number, _reg_data(number, data, separator)))


def reg_delete(registry: Registry, key: str, *, name: str | None = None, all_values: bool = False) -> tuple[Edit, ...]:
    """`reg delete KEY [/v NAME | /ve | /va] /f`: a value, every value, or the key with everything below it.

    Raises:
        RequestError: the key or the value is not there, which is an error on Windows too.
    """
    path = registry.full_path(key)
    there = registry.find(path)
    if there is None:
        raise RequestError(f"there is no key {path}")
    if all_values:
        return tuple(DeleteValue(path, value.name) for value in there.values())
    if name is None:
        return (DeleteKey(path),)
    if registry.value(path, name) is None:
        raise RequestError(f"{path} has no value {name or '(default)'!r}")
    return (DeleteValue(path, name),)


def reg_copy(registry: Registry, source: str, target: str, *, recursive: bool = False) -> tuple[Edit, ...]:
    """`reg copy SOURCE TARGET [/s] /f`: values, and with /s everything below too.

    Raises:
        RequestError: the source is not there, or is the target or above it.
    """
    path, below = registry.full_path(source), registry.full_path(target)
    there = registry.find(path)
    if there is None:
        raise RequestError(f"there is no key {path}")
    if upcase(below + "\\").startswith(upcase(path + "\\")):
        raise RequestError(f"{path} cannot be copied into itself")
    copied: list[tuple[str, Key]] = list(walk(there)) if recursive else [("", there)]
    edits: list[Edit] = []
    for place, key in copied:
        to = f"{below}\\{place}" if place else below
        edits.append(CreateKey(to))
        edits.extend(SetValue(to, value.name, value.type, value.data) for value in key.values())
    return tuple(edits)


def reg_import(registry: Registry, data: bytes) -> tuple[Edit, ...]:
    """`reg import FILE`, and `regedit /s FILE`, of the file's bytes.

    Raises:
        Malformed: it is no .reg file; the line is named.
        RequestError: a path in it is in no hive that is at hand.
    """
    edits = parse_reg(data)
    for edit in edits:
        registry.locate(edit.path)
    return edits


def new_item(registry: Registry, path: str, *, force: bool = False) -> tuple[Edit, ...]:
    """`New-Item PATH [-Force]`: a key; with -Force those above it too, and one that is there is emptied.

    Raises:
        RequestError: it is there, or the one above is not, without -Force.
    """
    place = registry.full_path(path)
    if not force:
        if registry.find(place) is not None:
            raise RequestError(f"the key {place} is there already", hint="Add -Force to make it anew.")
        if registry.find(place.rpartition("\\")[0]) is None:
            raise RequestError(f"there is no key above {place}", hint="Add -Force to make those above too.")
        return (CreateKey(place),)
    return (DeleteKey(place), CreateKey(place)) if registry.find(place) is not None else (CreateKey(place),)


def remove_item(registry: Registry, path: str, *, recursive: bool = False) -> tuple[Edit, ...]:
    """`Remove-Item PATH [-Recurse]`: a key; without -Recurse PowerShell asks when there is something below it.

    Raises:
        RequestError: it is not there, or has keys below it, without -Recurse.
    """
    place = registry.full_path(path)
    there = registry.find(place)
    if there is None:
        raise RequestError(f"there is no key {place}")
    if not recursive and there.subkeys():
        raise RequestError(f"{place} has keys below it, and PowerShell would ask", hint="Add -Recurse.")
    return (DeleteKey(place),)


def new_item_property(
    registry: Registry, path: str, name: str, value: PowerShellValue = "", *, type: str = "", force: bool = False
) -> tuple[Edit, ...]:
    """`New-ItemProperty -Path PATH -Name NAME [-Value VALUE] [-PropertyType TYPE] [-Force]`.

    Raises:
        RequestError: the key is not there; the value is, without -Force; a type that is none, or a value that is none of it.
    """
    place = _existing(registry, path)
    if not force and registry.value(place, name) is not None:
        raise RequestError(f"{place} has a value {name!r} already", hint="Add -Force, or use Set-ItemProperty.")
    return (_set_property(place, name, value, _powershell_type(type, value)),)


def set_item_property(
    registry: Registry, path: str, name: str, value: PowerShellValue, *, type: str = ""
) -> tuple[Edit, ...]:
    """`Set-ItemProperty -Path PATH -Name NAME -Value VALUE [-Type TYPE]`: a value that is there keeps its type.

    Raises:
        RequestError: the key is not there, a type that is none, or a value that is none of it.
    """
    place = _existing(registry, path)
    known = registry.value(place, name)
    number = known.type if known is not None and not type else _powershell_type(type, value)
    return (_set_property(place, name, value, number),)


def remove_item_property(registry: Registry, path: str, name: str) -> tuple[Edit, ...]:
    """`Remove-ItemProperty -Path PATH -Name NAME`.

    Raises:
        RequestError: the key or the value is not there.
    """
    place = _existing(registry, path)
    if registry.value(place, name) is None:
        raise RequestError(f"{place} has no value {name!r}")
    return (DeleteValue(place, name),)


def set_machine_variable(registry: Registry, name: str, value: str | None) -> tuple[Edit, ...]:
    """`[Environment]::SetEnvironmentVariable(NAME, VALUE, 'Machine')`; no value, or an empty one, removes it.

    Raises:
        RequestError: the name is empty or has an `=`.
    """
    if not name or "=" in name or "\0" in name:
        raise RequestError(f"{name[:80]!r} is no name of an environment variable")
    path = registry.full_path(ENVIRONMENT)
    if not value:
        return (DeleteValue(path, name),) if registry.value(path, name) is not None else ()
    return (SetValue(path, name, EXPAND_SZ if "%" in value else SZ, encode_text(value)),)


def setx(registry: Registry, name: str, value: str) -> tuple[Edit, ...]:
    """`setx NAME VALUE /M`: as `set_machine_variable`; the value has been expanded by the shell already.

    Raises:
        RequestError: as there, or more than 1024 characters, which setx cuts off.
    """
    if len(value) > _SETX_LIMIT:
        raise RequestError(
            f"setx cuts {name} off after {_SETX_LIMIT} characters, and it has {len(value)}",
            hint="Set it with ENV, or with [Environment]::SetEnvironmentVariable.",
        )
    return set_machine_variable(registry, name, value)


def machine_variables(registry: Registry) -> dict[str, str]:
    """The machine's environment variables by name, as they stand there, not expanded."""
    key = registry.find(ENVIRONMENT)
    found = ((value.name, text_of(value)) for value in (key.values() if key is not None else ()))
    return {name: text for name, text in found if text is not None}


def _existing(registry: Registry, path: str) -> str:
    place = registry.full_path(path)
    if registry.find(place) is None:
        raise RequestError(f"there is no key {place}", hint="Make it with New-Item first.")
    return place


def _reg_data(number: int, data: str, separator: str) -> bytes:
    if number in _SIZES:
        return _whole(data or "0", _SIZES[number]).to_bytes(_SIZES[number], _order(number))
    if number == MULTI_SZ:
        if not separator:
            raise RequestError("the separator of a REG_MULTI_SZ is empty")
        return encode_texts([text for text in data.split(separator) if text])
    if number in (BINARY, NONE):
        return _bytes(data)
    return encode_text(data)


def _order(number: int) -> Literal["little", "big"]:
    return "big" if number == DWORD_BIG_ENDIAN else "little"


def _powershell_type(type: str, value: PowerShellValue) -> int:
    if type:
        number = _POWERSHELL_TYPES.get(type.upper())
        if number is None:
            names = "String, ExpandString, Binary, DWord, MultiString and QWord"
            raise RequestError(f"PowerShell knows no type {type[:40]!r} of a value", hint=f"There are {names}.")
        return number
    if isinstance(value, int):
        return DWORD
    if isinstance(value, bytes):
        return BINARY
    return SZ if isinstance(value, str) else MULTI_SZ


def _set_property(path: str, name: str, value: PowerShellValue, number: int) -> SetValue:
    return SetValue(path, "" if name.lower() == "(default)" else name, number, _property_data(number, value))


def _property_data(number: int, value: PowerShellValue) -> bytes:
    if number in _SIZES:
        size = _SIZES[number]
        if isinstance(value, str):
            value = _whole(value, size)
        if not isinstance(value, int) or not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
            raise RequestError(f"{value!r} is not a number of {8 * size} bits")
        return (value % (1 << 8 * size)).to_bytes(size, _order(number))
    if number in (BINARY, NONE):
        if isinstance(value, bytes):
            return value
        if isinstance(value, int) and 0 <= value <= 0xFF:
            return bytes([value])
        raise RequestError(f"{value!r} are no bytes", hint="Write ([byte[]](0x01,0x02)).")
    if isinstance(value, bytes):
        raise RequestError("bytes are no text")
    if number == MULTI_SZ:
        return encode_texts((str(value),) if isinstance(value, str | int) else tuple(value))
    return encode_text(str(value) if isinstance(value, str | int) else " ".join(value))


def _whole(text: str, size: int) -> int:
    digits = text.strip()
    try:
        number = int(digits, 16) if digits.lower().startswith("0x") else int(digits)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 8 * size:
        raise RequestError(f"{text[:40]!r} is not a number of {8 * size} bits", hint="Write it as 4 or 0x4.")
    return number


def _bytes(text: str) -> bytes:
    digits = text.strip()
    try:
        return bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")
    except ValueError:
        raise RequestError(f"{text[:40]!r} are not bytes in hexadecimal", hint="Write them as 00ff.") from None
