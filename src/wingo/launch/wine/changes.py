r"""What a program changed in Wine's registry, as edits of a Windows registry: two of Wine's files compared.

Wine keeps devices, fonts, drives and settings of its own there as well; those are no part of an image. Source of the values'
spelling: Wine `server/registry.c`, `dump_value`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wingo.errors import Malformed
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import DWORD, SZ, Value
from wingo.launch.wine.registry import WineRegistry, names_of, unescaped, value_lines

MACHINE: Final = "HKEY_LOCAL_MACHINE"
USER: Final = "HKEY_CURRENT_USER"
MAX_CHANGES: Final = 20_000

_VALUE = re.compile(r'(?:@|"((?:[^"\\]|\\.)*)")=(.*)\Z', re.DOTALL)
_TEXT = re.compile(r'(?:str(?:\(([0-9a-f]+)\))?:)?"((?:[^"\\]|\\.)*)"\Z', re.DOTALL | re.IGNORECASE)
_BYTES = re.compile(r"hex(?:\(([0-9a-f]+)\))?:(.*)\Z", re.DOTALL | re.IGNORECASE)
_BINARY = 3
_WINES_OWN: Final = (
    ("HARDWARE",),
    ("SOFTWARE", "WINE"),
    ("SOFTWARE", "MICROSOFT", "WINDOWS", "CURRENTVERSION", "EXPLORER"),
    ("SOFTWARE", "MICROSOFT", "WINDOWS NT", "CURRENTVERSION", "FONTS"),
    ("SOFTWARE", "MICROSOFT", "WINDOWS NT", "CURRENTVERSION", "FONTLINK"),
    ("SOFTWARE", "MICROSOFT", "WINDOWS NT", "CURRENTVERSION", "NETWORKCARDS"),
    ("SOFTWARE", "MICROSOFT", "WINDOWS NT", "CURRENTVERSION", "PERFLIB"),
    ("SYSTEM", "CURRENTCONTROLSET", "CONTROL", "CLASS"),
    ("SYSTEM", "CURRENTCONTROLSET", "CONTROL", "DEVICECLASSES"),
    ("SYSTEM", "CURRENTCONTROLSET", "CONTROL", "VIDEO"),
    ("SYSTEM", "CURRENTCONTROLSET", "CONTROL", "WINDOWS"),
    ("SYSTEM", "CURRENTCONTROLSET", "ENUM"),
    ("SYSTEM", "CURRENTCONTROLSET", "HARDWARE PROFILES"),
    ("SYSTEM", "MOUNTEDDEVICES"),
    ("VOLATILE ENVIRONMENT",),
)
"""Keys, in capitals, that Wine itself writes while it runs."""


def registry_changes(before: str, after: str, root: str) -> list[Edit]:
    """The edits that make one registry of another.

    Args:
        before: the text of a registry file.
        after: the same, when the program has ended.
        root: what its keys are below: `MACHINE` or `USER`.

    Raises:
        Malformed: one is no such file, or more was changed than a program does.
    """
    old, new = WineRegistry(before).sections, WineRegistry(after).sections
    # A key that has others below it and no values has no section of its own.
    left = {key[:length] for key in new for length in range(1, len(key) + 1)}
    gone = {}
    for key, section in old.items():
        if key not in left and not _is_wines(key):
            length = next(length for length in range(1, len(key) + 1) if key[:length] not in left)
            gone[key[:length]] = "\\".join((root, *names_of(section)[:length]))
    edits: list[Edit] = [DeleteKey(path) for path in gone.values()]
    for key, section in new.items():
        if not _is_wines(key) and old.get(key) != section:
            edits += _changed(old.get(key), section, root)
    if len(edits) > MAX_CHANGES:
        raise Malformed("Wine registry", f"the program made {len(edits)} changes, and {MAX_CHANGES} are taken at most")
    return edits


def value_in(text: str, key: tuple[str, ...], name: str) -> Value:
    """A value of a registry file's text; an empty text where there is none.

    Args:
        text: of the file.
        key: the names on its path, in capitals.
        name: the value's.
    """
    section = WineRegistry(text).sections.get(key, "")
    return next((value for value in _values(section) if upcase(value.name) == upcase(name)), Value(name, SZ, b""))


def _changed(old: str | None, new: str, root: str) -> Iterator[Edit]:
    path = _path(new, root)
    before = {upcase(value.name): value for value in _values(old)} if old is not None else {}
    after = {upcase(value.name): value for value in _values(new)}
    if old is None and not after:
        yield CreateKey(path)
    for name, value in after.items():
        if name not in before or (before[name].type, before[name].data) != (value.type, value.data):
            yield SetValue(path, value.name, value.type, value.data)
    for name, value in before.items():
        if name not in after:
            yield DeleteValue(path, value.name)


def _path(section: str, root: str) -> str:
    return "\\".join((root, *names_of(section)))


def _is_wines(key: tuple[str, ...]) -> bool:
    plain = ("SYSTEM", "CURRENTCONTROLSET", *key[2:]) if key[:2] == ("SYSTEM", "CONTROLSET001") else key
    return any(plain[: len(own)] == own for own in _WINES_OWN)


def _values(section: str) -> Iterator[Value]:
    for line in (line.replace("\0", "") for line in value_lines(section)):
        matched = _VALUE.match(line)
        if matched is None:
            continue  # a time, a class, a symbolic link's mark
        name, written = unescaped(matched[1] or ""), matched[2]
        if (text := _TEXT.match(written)) is not None:
            data = unescaped(text[2]).encode("utf-16-le", "surrogatepass") + b"\0\0"
            yield Value(name, int(text[1], 16) if text[1] else SZ, data)
        elif written.lower().startswith("dword:"):
            yield Value(name, DWORD, int(written[6:], 16).to_bytes(4, "little"))
        elif (found := _BYTES.match(written)) is not None:
            digits = re.sub(r"[^0-9a-fA-F]", "", found[2])
            yield Value(name, int(found[1], 16) if found[1] else _BINARY, bytes.fromhex(digits))
        else:
            raise Malformed("Wine registry", f"a value that cannot be read: {line[:80]!r}")
