r"""Wine's registry files (`system.reg`): read, changed by an image's registry deltas, written back.

They are text: a section for each key, `[Software\\Name] TIME`, then `#` lines and values. What is not touched stays as it
is, byte for byte. Source: Wine `server/registry.c`, `load_keys` and `dump_value`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wingo.errors import Malformed
from wingo.hive.cells import SUPERSEDE_LOCAL, SUPERSEDE_TREE, TOMBSTONE
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import Value

if TYPE_CHECKING:
    from wingo.hive.keys import Key

_FIRST_LINE = "WINE REGISTRY Version 2"
_ESCAPE = re.compile(r'[\x00-\x1f"\[\]\\\x7f-\U0010ffff]')
_UNESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,4})|([0-7]{1,3})|(.))", re.DOTALL)
_SECTION = re.compile(r"\[((?:[^\]\\]|\\.)*)\]")
_SIMPLE = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}


class WineRegistry:
    """One such file."""

    def __init__(self, text: str) -> None:
        """Reads it.

        Raises:
            Malformed: it is none.
        """
        head, *sections = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
        if not head.startswith(_FIRST_LINE):
            raise Malformed("Wine registry", f"it does not begin with {_FIRST_LINE!r}")
        self._head = head
        self._sections: dict[tuple[str, ...], str] = {}
        for section in sections:
            matched = _SECTION.match(section)
            if matched is None:
                raise Malformed("Wine registry", f"a section without an end: {section[:80]!r}")
            self._sections[_folded(_names(matched[1]))] = section

    @property
    def sections(self) -> Mapping[tuple[str, ...], str]:
        """The text of each key, by the names on its path in capitals."""
        return self._sections

    def change(self, edit: Edit, path: tuple[str, ...]) -> None:
        """Makes one change.

        Args:
            edit: what to change.
            path: of its key in this file.
        """
        match edit:
            case SetValue(_, name, kind, data):
                self._put(path, [_line(Value(name, kind, data))], [name])
            case DeleteValue(_, name):
                if _folded(path) in self._sections:
                    self._put(path, [], [name])
            case CreateKey():
                self._put(path, [], [])
            case DeleteKey():
                self.remove(*path)

    def has(self, *path: str) -> bool:
        """Whether there is a key, or one below it."""
        wanted = _folded(path)
        return any(key[: len(wanted)] == wanted for key in self._sections)

    def set_number(self, path: Iterable[str], name: str, number: int) -> None:
        """Sets a value of 32 bits; the key is made where it is missing."""
        self._put(tuple(path), [f'"{_escaped(name)}"=dword:{number:08x}'], [name])

    def remove(self, *path: str) -> None:
        """Removes a key and what is below it."""
        wanted = _folded(path)
        for key in [key for key in self._sections if key[: len(wanted)] == wanted]:
            del self._sections[key]

    def keys_below(self, *path: str) -> list[str]:
        """The names, in capitals, of the keys directly below one."""
        wanted = _folded(path)
        depth = len(wanted)
        return sorted({key[depth] for key in self._sections if key[:depth] == wanted and len(key) > depth})

    def number(self, path: Iterable[str], name: str) -> int | None:
        """A value of 32 bits; None when there is none."""
        section = self._sections.get(_folded(path), "")
        matched = re.search(
            rf'^"{re.escape(_escaped(name))}"=dword:([0-9a-f]{{8}})$', section, re.MULTILINE | re.IGNORECASE
        )
        return int(matched[1], 16) if matched else None

    def apply(self, delta: Key, at: tuple[str, ...] = (), renamed: Mapping[str, str] = {}) -> None:
        """Lays the hive of an image's layer over a key; what the layers mean is as in `wingo.hive.merge`.

        Args:
            delta: the hive's root.
            at: the key's path in this file.
            renamed: keys directly below the root that have another name in this file.
        """
        pending = [(at, delta)]
        while pending:
            path, key = pending.pop()
            meaning = key.layer & 3
            if meaning == TOMBSTONE:
                self.remove(*path)
                continue
            if meaning == SUPERSEDE_TREE:
                self.remove(*path)
            elif meaning == SUPERSEDE_LOCAL:
                self._sections.pop(_folded(path), None)
            values = key.values()
            self._put(path, [_line(value) for value in values if not value.tombstone], [value.name for value in values])
            names = renamed if key is delta else {}
            pending += [((*path, names.get(child.name, child.name)), child) for child in key.subkeys()]

    def replace_text(self, old: str, new: str) -> None:
        """Replaces a text wherever it stands, in the file's own spelling."""
        self._sections = {key: section.replace(old, new) for key, section in self._sections.items()}

    def text(self) -> str:
        """The file."""
        return self._head + "".join(self._sections.values())

    def _put(self, path: tuple[str, ...], lines: list[str], names: list[str]) -> None:
        """Sets values of a key and removes others: all of `names` go, and `lines` come."""
        if not path or (not lines and not names and _folded(path) in self._sections):
            return
        section = self._sections.get(_folded(path))
        if section is None:
            spelt = r"\\".join(map(_escaped, path))
            section = f"[{spelt}] 0\n"
        gone = {upcase(name) for name in names}
        kept = [line.replace("\0", "\\\n") for line in value_lines(section) if _name_of(line) not in gone]
        while kept and not kept[-1]:
            kept.pop()
        self._sections[_folded(path)] = "\n".join([*kept, *lines, "", ""])


def _folded(path: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(upcase, path))


def _names(text: str) -> list[str]:
    """A section's path as names: a backslash between them is written as two."""
    return [unescaped(name) for name in text.split("\\\\")]


def names_of(section: str) -> list[str]:
    """The names on the path of a section's key, as they are spelt."""
    matched = _SECTION.match(section)
    return _names(matched[1]) if matched else []


def unescaped(text: str) -> str:
    """A name or a text as it is, from Wine's spelling of it."""

    def plain(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2]:
            return chr(int(found[2], 8))
        return _SIMPLE.get(found[3], found[3])

    return _UNESCAPE.sub(plain, text)


def _escaped(text: str) -> str:
    """A name as Wine reads it: everything beyond ASCII by its UTF-16 units, four digits each."""

    def escape(found: re.Match[str]) -> str:
        if found[0] in '"[]\\':
            return "\\" + found[0]
        units = found[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"\\x{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

    return _ESCAPE.sub(escape, text)


def value_lines(section: str) -> list[str]:
    """A section's lines, those that go on behind a backslash put together."""
    return section.rstrip("\n").replace("\\\n", "\0").split("\n")


def _name_of(line: str) -> str | None:
    """The name of the value that a line sets, folded; None for any other line."""
    if line.startswith("@="):
        return ""
    matched = re.match(r'"((?:[^"\\]|\\.)*)"=', line, re.DOTALL)
    return upcase(unescaped(matched[1])) if matched else None


def _line(value: Value) -> str:
    name = f'"{_escaped(value.name)}"' if value.name else "@"
    data = ",".join(f"{byte:02x}" for byte in value.data)
    return f"{name}=hex({value.type:x}):{data}"
