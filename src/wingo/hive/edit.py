r"""Edits as values, and a view of keys with edits applied: nothing is copied that was not touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wingo.errors import RequestError
from wingo.hive.cells import MAX_VALUE_NAME
from wingo.hive.keys import EMPTY_CLASS, Key, split_path
from wingo.hive.upcase import upcase
from wingo.hive.values import Value


class CreateKey(msgspec.Struct, frozen=True, tag_field="edit", tag="create-key"):
    """Makes a key, and those above it; one that is there stays as it is.

    Attributes:
        path: below the hive's root, with backslashes.
        security: its descriptor; None: that of the key above.
        class_name: its class, as UTF-16LE bytes.
    """

    path: str
    security: bytes | None = None
    class_name: bytes = EMPTY_CLASS


class DeleteKey(msgspec.Struct, frozen=True, tag_field="edit", tag="delete-key"):
    """Removes a key and everything below it; one that is not there is no error."""

    path: str


class SetValue(msgspec.Struct, frozen=True, tag_field="edit", tag="set-value"):
    """Sets a value of a key, which is made if need be."""

    path: str
    name: str
    type: int
    data: bytes


class DeleteValue(msgspec.Struct, frozen=True, tag_field="edit", tag="delete-value"):
    """Removes a value; one that is not there is no error."""

    path: str
    name: str


Edit = CreateKey | DeleteKey | SetValue | DeleteValue


def apply_edits(root: Key, edits: Iterable[Edit], *, timestamp: int = 0) -> EditedKey:
    """The view of a key after edits, in their order.

    Args:
        root: the root of the hive.
        edits: what to change.
        timestamp: when keys that are made or whose values change were written: units of 100 ns since 1601. A change
            with 0 keeps the time that was there.

    Raises:
        RequestError: a path or a name cannot be, or the root is to be removed.
        Malformed: the hive that is read on the way is not what its format says.
    """
    draft = EditedKey(root, root.name, root.security)
    for edit in edits:
        names = split_path(edit.path)
        match edit:
            case CreateKey():
                draft.reach(names, timestamp, edit)
            case DeleteKey():
                if not names:
                    raise RequestError("the root of a hive cannot be deleted")
                draft.delete(names)
            case SetValue():
                _check_value(edit)
                draft.reach(names, timestamp).put(edit.name, Value(edit.name, edit.type, edit.data), timestamp)
            case DeleteValue():
                key = draft.find(names)
                if key is not None and any(upcase(value.name) == upcase(edit.name) for value in key.values()):
                    draft.reach(names, timestamp).put(edit.name, None, timestamp)
    return draft


def _check_value(edit: SetValue) -> None:
    if len(edit.name) > MAX_VALUE_NAME:
        raise RequestError(f"the value's name {edit.name[:40]!r}... has more than {MAX_VALUE_NAME} characters")
    if not 0 <= edit.type <= 0xFFFF_FFFF:
        raise RequestError(f"{edit.type} is no type of a value")


class EditedKey:
    """A key with edits (see `wingo.hive.keys.Key`); made by `apply_edits`, which alone changes it.

    Attributes:
        base: the key as it was; None for one that was made.
        changed_values: by upper-cased name: the new value, or None when it was removed.
        changed_keys: by upper-cased name: the key with its edits, or None when it was removed.
    """

    __slots__ = (
        "_class_name",
        "_last_written",
        "_security",
        "_values",
        "base",
        "changed_keys",
        "changed_values",
        "name",
    )

    def __init__(
        self, base: Key | None, name: str, security: bytes, class_name: bytes = b"", timestamp: int = 0
    ) -> None:
        self.base = base
        self.name = name
        self.changed_values: dict[str, Value | None] = {}
        self.changed_keys: dict[str, EditedKey | None] = {}
        self._values: dict[str, Value] | None = None
        self._security = security
        self._class_name = class_name if base is None else base.class_name
        self._last_written = timestamp if base is None else base.last_written

    @property
    def flags(self) -> int:
        """The flags that it has."""
        return self.base.flags if self.base else 0

    @property
    def user_flags(self) -> int:
        """The user and virtualisation flags that it has."""
        return self.base.user_flags if self.base else 0

    @property
    def layer(self) -> int:
        """No layer: a view is of merged keys."""
        return 0

    @property
    def last_written(self) -> int:
        """When it was last written."""
        return self._last_written

    @property
    def security(self) -> bytes:
        """Its security descriptor."""
        return self._security

    @property
    def class_name(self) -> bytes:
        """Its class."""
        return self._class_name

    def values(self) -> Sequence[Value]:
        """Its values: a changed one where it was, new ones after them."""
        if not self.changed_values:
            return self.base.values() if self.base else ()
        return tuple(self._by_name().values())

    def _by_name(self) -> dict[str, Value]:
        """Its values by their upper-cased names; kept, as views lie on each other and each asks the one below it."""
        if self._values is None:
            if isinstance(self.base, EditedKey):
                found = dict(self.base._by_name())  # noqa: SLF001  (of the same class)
            else:
                found = {upcase(value.name): value for value in (self.base.values() if self.base else ())}
            for upper, value in self.changed_values.items():
                if value is not None:
                    found[upper] = value
                else:
                    found.pop(upper, None)
            self._values = found
        return self._values

    def subkeys(self) -> Sequence[Key]:
        """The keys directly below it, in the order of the registry."""
        before = self.base.subkeys() if self.base else ()
        if not self.changed_keys:
            return before
        return merge_keys(before, self.changed_keys)

    def subkey(self, name: str) -> Key | None:
        """The key of that name directly below it."""
        upper = upcase(name)
        if upper in self.changed_keys:
            return self.changed_keys[upper]
        return self.base.subkey(name) if self.base else None

    def find(self, names: Sequence[str]) -> Key | None:
        """The key at a path below it."""
        key: Key | None = self
        for name in names:
            key = key.subkey(name) if key is not None else None
        return key

    def reach(self, names: Sequence[str], timestamp: int, made: CreateKey | None = None) -> EditedKey:
        """The key at a path, open to changes; made if need be."""
        key = self
        for index, name in enumerate(names):
            upper = upcase(name)
            below = key.changed_keys.get(upper)
            if below is None:
                known = None if upper in key.changed_keys or key.base is None else key.base.subkey(name)
                if known is not None:
                    below = EditedKey(known, known.name, known.security)
                else:
                    last = made if index == len(names) - 1 else None
                    security = last.security if last is not None and last.security is not None else key.security
                    below = EditedKey(None, name, security, last.class_name if last else b"", timestamp)
                key.changed_keys[upper] = below
            key = below
        return key

    def delete(self, names: Sequence[str]) -> None:
        """Removes the key at a path."""
        if self.find(names) is None:
            return
        above = self.reach(names[:-1], 0)
        upper = upcase(names[-1])
        if above.base is not None and above.base.subkey(names[-1]) is not None:
            above.changed_keys[upper] = None
        else:
            del above.changed_keys[upper]

    def put(self, name: str, value: Value | None, timestamp: int) -> None:
        """Sets a value, or removes it; the spelling of a name stays as it was."""
        upper = upcase(name)
        known = self._by_name()
        before = known.get(upper)
        comes_back = before is None and upper in self.changed_values
        if value is not None and before is not None:
            value = Value(before.name, value.type, value.data)
        self.changed_values[upper] = value
        if value is None:
            known.pop(upper, None)
        elif comes_back:
            self._values = None  # to where it was
        else:
            known[upper] = value
        self._last_written = timestamp or self._last_written


def merge_keys(before: Sequence[Key], changed: dict[str, EditedKey | None]) -> list[Key]:
    """Keys in their order, with some replaced, removed (None) or new."""
    left = dict(changed)
    found: list[Key] = []
    for key in before:
        upper = upcase(key.name)
        now: Key | None = left.pop(upper) if upper in left else key
        if now is not None:
            found.append(now)
    if new := [key for key in left.values() if key is not None]:
        found = sorted([*found, *new], key=lambda key: upcase(key.name))
    return found
