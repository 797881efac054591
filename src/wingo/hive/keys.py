"""What a key is, wherever it comes from: a hive, a merge of hives, an edit, or memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from wingo.errors import RequestError
from wingo.hive import values as value_types
from wingo.hive.cells import INHERIT_CLASS, KEY_LINK, KEY_NO_DELETE, KEY_ROOT, MAX_NAME
from wingo.hive.upcase import upcase
from wingo.hive.values import Value

KEPT_FLAGS = KEY_ROOT | KEY_NO_DELETE | KEY_LINK
"""The flags of a key that say something of the key itself."""

EMPTY_CLASS = b""


class Key(Protocol):
    """A key and what is below it; reading it does not change it."""

    @property
    def name(self) -> str:
        """Its name, in the case it was made with."""

    @property
    def flags(self) -> int:
        """`KEPT_FLAGS` of it."""

    @property
    def user_flags(self) -> int:
        """The byte of user and virtualisation flags."""

    @property
    def layer(self) -> int:
        """The layer byte: 0 but in a hive with layers."""

    @property
    def last_written(self) -> int:
        """When it was last written: units of 100 ns since 1601."""

    @property
    def security(self) -> bytes:
        """Its security descriptor, self-relative."""

    @property
    def class_name(self) -> bytes:
        """Its class, as UTF-16LE bytes."""

    def values(self) -> Sequence[Value]:
        """Its values, in the order of the hive."""

    def subkeys(self) -> Sequence[Key]:
        """The keys directly below it, in the order of the registry."""

    def subkey(self, name: str) -> Key | None:
        """The key of that name, in any case, directly below it."""


class TreeKey(msgspec.Struct, frozen=True):
    """A key in memory.

    Attributes:
        children: what is below it, in any order.
    """

    name: str
    security: bytes
    contents: tuple[Value, ...] = ()
    children: tuple[TreeKey, ...] = ()
    class_name: bytes = EMPTY_CLASS
    flags: int = 0
    user_flags: int = 0
    layer: int = 0
    last_written: int = 0

    def values(self) -> Sequence[Value]:
        """Its values."""
        return self.contents

    def subkeys(self) -> Sequence[TreeKey]:
        """The keys directly below it, in the order of the registry."""
        return sorted(self.children, key=lambda child: upcase(child.name))

    def subkey(self, name: str) -> TreeKey | None:
        """The key of that name directly below it."""
        wanted = upcase(name)
        return next((child for child in self.children if upcase(child.name) == wanted), None)


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    r"""A path below a hive's root, as names: `ControlSet001\Services\BITS`; "" is the root.

    Raises:
        RequestError: a name is empty, longer than 255 characters, or has a NUL.
    """
    stripped = path.strip("\\")
    if not stripped:
        return ()
    names = tuple(stripped.split("\\"))
    for name in names:
        check_key_name(name)
    return names


def check_key_name(name: str) -> None:
    """Refuses what Windows would not take as the name of a key.

    Raises:
        RequestError: it is empty, longer than 255 characters, or has a NUL or a backslash.
    """
    if not name or "\0" in name or "\\" in name:
        raise RequestError(f"{name!r} is no name of a key: it is empty or has a NUL or a backslash")
    if len(name) > MAX_NAME // 2 and len(name.encode("utf-16-le", "surrogatepass")) > 2 * MAX_NAME:
        raise RequestError(f"the key's name {name[:40]!r}... has more than {MAX_NAME} characters")


def find_key(root: Key, path: str) -> Key | None:
    """The key at a path below a root, or None.

    Raises:
        RequestError: the path is none.
        Malformed: the hive is not what its format says.
    """
    key: Key | None = root
    for name in split_path(path):
        if key is None:
            return None
        key = key.subkey(name)
    return key


def find_value(key: Key, name: str) -> Value | None:
    """A key's value of that name, in any case; a tombstone is none."""
    value = value_types.find(key.values(), name)
    return None if value is None or value.tombstone else value


def walk(root: Key, path: str = "") -> Iterator[tuple[str, Key]]:
    """Every key with its path below the root, each before what is below it, in the order of the registry."""
    stack = [(path, root)]
    while stack:
        path, key = stack.pop()
        yield path, key
        prefix = f"{path}\\" if path else ""
        stack.extend((prefix + child.name, child) for child in reversed(key.subkeys()))


def inherits_class(key: Key) -> bool:
    """Whether a layer's key takes the class of the key below."""
    return bool(key.layer & INHERIT_CLASS)
