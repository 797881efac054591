"""What is different between two views of a hive: as a tree of changes, as edits, and as the hive of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from wingo.hive.cells import INHERIT_CLASS, MERGE, TOMBSTONE
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, EditedKey, SetValue
from wingo.hive.keys import Key, TreeKey
from wingo.hive.upcase import upcase
from wingo.hive.values import NONE, Value


class KeyChange(msgspec.Struct, frozen=True):
    """A key that differs, or below which something does.

    Attributes:
        old: the key before; None for a new one.
        new: the key after; None for one that was removed. What is below either is not in `children` then.
        values: each value that differs, before and after.
        children: the keys directly below that differ, in the order of the registry.
        own: whether its class, its security or its flags differ.
    """

    old: Key | None
    new: Key | None
    values: tuple[tuple[Value | None, Value | None], ...] = ()
    children: tuple[KeyChange, ...] = ()
    own: bool = False

    @property
    def name(self) -> str:
        """The key's name."""
        key = self.new if self.old is None else self.old
        assert key is not None
        return key.name


def diff(old: Key, new: Key) -> KeyChange | None:
    """What differs; None when nothing does. The times of keys and the order of values do not count.

    What is edited is compared with what it was made from by its edits alone, and what is one cell of one hive in both
    views is not looked at: the cost is that of the changes.

    Raises:
        Malformed: a hive that is read is not what its format says.
    """
    values = _changed_values(old, new)
    children = []
    for before, after in _pairs(old, new):
        if before is None or after is None:
            children.append(KeyChange(before, after))
        elif (change := diff(before, after)) is not None:
            children.append(change)
    own = (old.class_name, old.security, old.flags, old.user_flags) != (
        new.class_name,
        new.security,
        new.flags,
        new.user_flags,
    )
    if not (values or children or own):
        return None
    return KeyChange(old, new, values, tuple(children), own)


def edits_between(change: KeyChange | None, path: str = "") -> Iterator[Edit]:
    """The edits that make the new view of the old one, but for the security and class of keys that are in both."""
    if change is None:
        return
    if change.new is None:
        yield DeleteKey(path)
        return
    if change.old is None:
        yield from _creation(change.new, path)
        return
    for before, after in change.values:
        if after is not None:
            yield SetValue(path, after.name, after.type, after.data)
        elif before is not None:
            yield DeleteValue(path, before.name)
    for child in change.children:
        yield from edits_between(child, f"{path}\\{child.name}" if path else child.name)


def delta_of(change: KeyChange | None, root: Key) -> TreeKey:
    """The root of a layer's hive that makes the new view of the old one.

    A key that is in both has the old spelling, the new security and time, and takes its class from below unless that
    changed; a key that is gone has the old security and no time; a new key is as it is.

    Args:
        change: what `diff` found; None gives a layer that changes nothing.
        root: the root of the old view.
    """
    if change is None:
        change = KeyChange(root, root)
    return _delta(change, is_root=True)


def _delta(change: KeyChange, *, is_root: bool = False) -> TreeKey:
    old, new = change.old, change.new
    if new is None:
        assert old is not None
        return TreeKey(old.name, old.security, layer=TOMBSTONE)
    if old is None:
        return _copy(new)
    same_class = new.class_name == old.class_name
    return TreeKey(
        old.name,
        new.security,
        contents=tuple(
            after if after is not None else Value(_name(before), NONE, b"", tombstone=True)
            for before, after in change.values
        ),
        children=tuple(_delta(child) for child in change.children),
        class_name=b"" if same_class and not is_root else new.class_name,
        flags=new.flags,
        user_flags=new.user_flags,
        layer=INHERIT_CLASS if same_class and not is_root else MERGE,
        last_written=new.last_written,
    )


def _copy(key: Key) -> TreeKey:
    return TreeKey(
        key.name,
        key.security,
        contents=tuple(key.values()),
        children=tuple(map(_copy, key.subkeys())),
        class_name=key.class_name,
        flags=key.flags,
        user_flags=key.user_flags,
        last_written=key.last_written,
    )


def _name(value: Value | None) -> str:
    assert value is not None
    return value.name


def _creation(key: Key, path: str) -> Iterator[Edit]:
    yield CreateKey(path, key.security, key.class_name)
    for value in key.values():
        yield SetValue(path, value.name, value.type, value.data)
    for child in key.subkeys():
        yield from _creation(child, f"{path}\\{child.name}" if path else child.name)


def _changed_values(old: Key, new: Key) -> tuple[tuple[Value | None, Value | None], ...]:
    if _made_from(new, old) and not _edits(new).changed_values:
        return ()
    before = {upcase(value.name): value for value in old.values()}
    changed: list[tuple[Value | None, Value | None]] = []
    added: list[tuple[Value | None, Value | None]] = []
    kept = set()
    for after in new.values():
        upper = upcase(after.name)
        known = before.get(upper)
        if known is None:
            added.append((None, after))
            continue
        kept.add(upper)
        if (known.type, known.data) != (after.type, after.data):
            changed.append((known, after))
    changed.extend((value, None) for upper, value in before.items() if upper not in kept)
    return (*changed, *added)


def _pairs(old: Key, new: Key) -> Sequence[tuple[Key | None, Key | None]]:
    """The keys directly below that may differ, before and after."""
    if _made_from(new, old):
        edited = _edits(new).changed_keys
        return [(old.subkey(name), after) for name, after in sorted(edited.items())]
    if old == new:
        return ()
    befores = {upcase(key.name): key for key in old.subkeys()}
    afters = {upcase(key.name): key for key in new.subkeys()}
    names = sorted(befores.keys() | afters.keys())
    found = [(befores.get(name), afters.get(name)) for name in names]
    return [(before, after) for before, after in found if before is None or after is None or before != after]


def _made_from(new: Key, old: Key) -> bool:
    return isinstance(new, EditedKey) and new.base is not None and new.base == old


def _edits(key: Key) -> EditedKey:
    assert isinstance(key, EditedKey)
    return key
