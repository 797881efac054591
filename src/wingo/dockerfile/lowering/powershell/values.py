"""PowerShell's values, and how it converts and compares them.

Texts, numbers, booleans and None are Python's; arrays are lists. `Unknown` is a value that a plan cannot know; a text of which
a part is not known is a text with a hole (`wingo.dockerfile.lowering.edits.hole`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from wingo.dockerfile.lowering.edits import has_hole, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.nodes import ScriptBlock
from wingo.dockerfile.lowering.tree import Item
from wingo.hive.upcase import upcase

MAX_ITEMS = 100_000
MAX_MATCHED = 1 << 16
"""Characters of a text that a regular expression is matched with."""


class Unknown:
    """A value that only the build shows.

    Attributes:
        about: what it is.
        equal: when this is a comparison of a hash with a text: the two, and whether True means that they are equal.
    """

    def __init__(self, about: str, equal: tuple[str, str, bool] | None = None) -> None:
        self.about = about
        self.equal = equal

    @property
    def text(self) -> str:
        """It as a text with a hole."""
        return hole(self.about)


class Table:
    """A hash table: keys without case, in their order."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[str, Value]] = {}

    def set(self, key: str, value: Value) -> None:
        """Sets a key."""
        self._items[upcase(key)] = (key, value)

    def get(self, key: str) -> Value:
        """A key's value, or None."""
        found = self._items.get(upcase(key))
        return found[1] if found else None

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return upcase(key) in self._items

    def items(self) -> list[tuple[str, Value]]:
        """Keys and values."""
        return list(self._items.values())


class Thing:
    """An object: of .NET, of a cmdlet.

    Attributes:
        kind: a word, in lower case: "file", "webclient", "version".
        properties: by lower-case name.
        text: it as a text.
        item: of a file or directory.
        data: what a method needs, by kind.
    """

    def __init__(
        self,
        kind: str,
        properties: Mapping[str, Value] | None = None,
        text: str = "",
        item: Item | None = None,
        data: Any = None,
    ) -> None:
        self.kind = kind
        self.properties: dict[str, Value] = {name.lower(): value for name, value in (properties or {}).items()}
        self.text = text
        self.item = item
        self.data = data


class TypeName:
    """A type: `[Environment]`.

    Attributes:
        name: in lower case, without `System.`.
    """

    def __init__(self, name: str) -> None:
        self.name = name.lower().removeprefix("system.")


Value: TypeAlias = (
    bool | int | float | str | bytes | list["Value"] | Table | Thing | TypeName | ScriptBlock | Unknown | None
)


class Terminating(Exception):
    """An error that ends a script, unless it is caught.

    Attributes:
        message: what it says.
        value: what was thrown.
        ends_script: it was thrown, or an error that the preference made one; else it ends its statement alone.
    """

    def __init__(self, message: str, value: Value = None, *, ends_script: bool = False) -> None:
        super().__init__(message)
        self.message, self.value, self.ends_script = message, value, ends_script


def text_of(value: Value) -> str:
    """A value as a text, as in `"$x"`."""
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case bytes():
            return " ".join(map(str, value))
        case list():
            return " ".join(map(text_of, value))
        case Table():
            return "System.Collections.Hashtable"
        case Thing():
            return value.text
        case TypeName():
            return value.name
        case Unknown():
            return value.text
        case _:
            return "{...}"


def truth_of(value: Value) -> bool | None:
    """A value as a condition; None: not known."""
    match value:
        case None:
            return False
        case bool() | int() | float():
            return bool(value)
        case str():
            return bool(value)
        case list():
            if len(value) == 1:
                return truth_of(value[0])
            return bool(value)
        case Unknown():
            return None
        case _:
            return True


def list_of(value: Value) -> list[Value]:
    """A value as what `foreach` goes over."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def unwrap(values: list[Value]) -> Value:
    """What a pipeline gives: nothing, its one value, or an array."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def number_of(value: Value) -> int | float:
    """A value as a number.

    Raises:
        CannotLower: it is not known.
        Terminating: it is none.
    """
    match value:
        case None:
            return 0
        case bool():
            return int(value)
        case int() | float():
            return value
        case str() if not has_hole(value):
            text = value.strip()
            if not text:
                return 0
            try:
                if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]{1,16}", text):
                    return int(text, 16)
                if re.fullmatch(r"[+-]?[0-9]{1,30}", text):
                    return int(text)
                if re.fullmatch(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", text):
                    return float(text)
            except ValueError:
                pass
            raise Terminating(f"cannot convert {value[:40]!r} to a number")
        case str() | Unknown():
            raise CannotLower(f"{text_of(value)} is used as a number, and is not known before the build")
        case _:
            raise Terminating(f"cannot convert {text_of(value)[:40]!r} to a number")


def is_unknown(value: Value) -> bool:
    """Whether a value, or a part of it, is not known."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, str):
        return has_hole(value)
    return isinstance(value, list) and any(map(is_unknown, value))


def version_of(text: str) -> tuple[int, ...]:
    """A version's numbers.

    Raises:
        Terminating: it is none.
    """
    if not re.fullmatch(r"\s*[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}\s*", text):
        raise Terminating(f"cannot convert {text[:40]!r} to System.Version")
    return tuple(int(part) for part in text.strip().split("."))


def compare(left: Value, right: Value, *, sensitive: bool) -> int | None:
    """-1, 0 or 1; None: not known. The right one becomes what the left one is.

    Raises:
        Terminating: the right one cannot.
    """
    if is_unknown(left) or is_unknown(right):
        return None
    if isinstance(left, Thing) and left.kind == "version":
        other = right.data if isinstance(right, Thing) and right.kind == "version" else version_of(text_of(right))
        one_version: tuple[int, ...] = left.data
        return (one_version > other) - (one_version < other)
    if isinstance(left, bool):
        one, two = int(left), int(bool(truth_of(right)))
        return (one > two) - (one < two)
    if isinstance(left, int | float) and not isinstance(right, Thing | Table):
        if right is None:
            return 1
        try:
            number = number_of(right)
        except Terminating:
            return 1
        return (left > number) - (left < number)
    if left is None or right is None:
        if left is None and right is None:
            return 0
        return -1 if left is None else 1
    if isinstance(left, Table | ScriptBlock | TypeName) or (isinstance(left, Thing) and not left.text):
        return 0 if left is right else 1
    first, second = text_of(left), text_of(right)
    if not sensitive:
        first, second = upcase(first), upcase(second)
    return (first > second) - (first < second)


def wildcard(text: str, pattern: str, *, sensitive: bool = False) -> bool:
    """`-like`."""
    from wingo.dockerfile.lowering.patterns import Pattern

    if sensitive:
        raise CannotLower("-clike is not lowered", "Use -like.")
    return Pattern(pattern, brackets=True).match(text)


_DOTNET_ONLY = re.compile(r"\(\?<[^=!]|\(\?'|\\p\{|\\P\{|\(\?\(|\(\?>|\\G|\\c|\[[^\]]*-\[")
_NESTED_REPEAT = re.compile(r"\([^)]*[*+][^)]*\)[*+{]")


def regex(pattern: str, *, sensitive: bool) -> re.Pattern[str]:
    """A .NET regular expression, where Python's means the same.

    Raises:
        CannotLower: it does not, or could take for ever.
        Terminating: it is none.
    """
    plain = re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", pattern)
    if _DOTNET_ONLY.search(plain):
        raise CannotLower(f"the regular expression {pattern[:60]!r} uses what .NET alone has", "Write it more plainly.")
    if len(pattern) > 1000 or _NESTED_REPEAT.search(plain):
        raise CannotLower(f"the regular expression {pattern[:60]!r} could take too long", "Write it more plainly.")
    try:
        return re.compile(plain, 0 if sensitive else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise Terminating(f"the regular expression {pattern[:60]!r} is not valid: {error}") from error


def substitution(text: str) -> Callable[[re.Match[str]], str]:
    """A .NET replacement text: `$1`, `${name}`, `$&`, `$$`."""
    token = re.compile(r"\$(?:(\$)|(&)|([0-9]{1,2})|\{(\w+)\})")

    def replaced(match: re.Match[str]) -> str:
        def one(found: re.Match[str]) -> str:
            if found[1]:
                return "$"
            if found[2]:
                return match[0]
            name = found[3] or found[4]
            try:
                return match[int(name) if name.isdigit() else name] or ""
            except (IndexError, error_type):
                return found[0]

        return token.sub(one, text)

    error_type = re.error
    return replaced


def format_text(template: str, values: list[Value]) -> str:
    """`-f`: `{0}`, `{0,5}`, `{0:D4}`, `{{`.

    Raises:
        Terminating: it is not in the right form.
        CannotLower: a format that is not lowered.
    """
    done: list[str] = []
    position = 0
    token = re.compile(r"\{\{|\}\}|\{([0-9]{1,6})(?:,\s*(-?[0-9]{1,4}))?(?::([^{}]*))?\}|[{}]")
    for found in token.finditer(template):
        done.append(template[position : found.start()])
        position = found.end()
        if found[0] in ("{{", "}}"):
            done.append(found[0][0])
            continue
        if found[1] is None or int(found[1]) >= len(values):
            raise Terminating(f"error formatting a string: {template[:60]!r}")
        text = _formatted(values[int(found[1])], found[3] or "")
        width = int(found[2] or 0)
        done.append(text.ljust(-width) if width < 0 else text.rjust(width))
    done.append(template[position:])
    return "".join(done)


def _formatted(value: Value, form: str) -> str:
    if not form or isinstance(value, str):
        return text_of(value)
    found = re.fullmatch(r"([dDxXnNfF])([0-9]{0,2})|(0+)", form)
    if found is None or isinstance(value, Unknown) or not isinstance(value, int | float):
        raise CannotLower(f"the format {form!r} is not lowered")
    if found[3]:
        return str(int(value)).zfill(len(found[3]))
    digits = int(found[2] or 0)
    kind = found[1].lower()
    if kind == "d":
        return str(int(value)).zfill(digits)
    if kind == "x":
        text = format(int(value), "x").zfill(digits)
        return text.upper() if found[1] == "X" else text
    places = int(found[2]) if found[2] else 2
    return f"{value:,.{places}f}" if kind == "n" else f"{value:.{places}f}"


def fail(message: str) -> CommandFailed:
    """An error that is only noted, unless the preference is Stop."""
    return CommandFailed(message)
