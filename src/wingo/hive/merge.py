"""Layers: what Windows sees when the hives of an image's layers lie on the hive of its base.

A key of a layer merges with the key below, hides its values, hides its whole subtree, or deletes it; a value replaces the
value below or deletes it. The topmost says what the security and the class are; the newest time wins; the spelling of a name
is that of the lowest layer that has it. Source: the specification's "Layered keys" (US patent application 20170279678).
"""

from __future__ import annotations

from collections.abc import Sequence

from wingo.hive.cells import SUPERSEDE_LOCAL, SUPERSEDE_TREE, TOMBSTONE
from wingo.hive.keys import Key, inherits_class
from wingo.hive.upcase import upcase
from wingo.hive.values import Value


def merge(base: Key, *deltas: Key) -> Key:
    """The view of a base with layers on it.

    Args:
        base: the root of the base's hive, or another view.
        deltas: the roots of the layers' hives, the lowest first.
    """
    view = base
    for delta in deltas:
        view = MergedKey(view, delta)
    return view


def flatten(delta: Key) -> Key:
    """The view of a layer alone: what it makes, without what it deletes."""
    return MergedKey(None, delta)


class MergedKey:
    """A key of a layer on the key below (see `wingo.hive.keys.Key`).

    Attributes:
        lower: what is below, itself a view without layers; None when there is nothing.
        upper: the layer's key; no tombstone.
    """

    __slots__ = ("lower", "upper")

    def __init__(self, lower: Key | None, upper: Key) -> None:
        self.lower = None if upper.layer & 3 == SUPERSEDE_TREE else lower
        self.upper = upper

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MergedKey) and other.lower == self.lower and other.upper == self.upper

    def __hash__(self) -> int:
        return hash((self.lower, self.upper))

    @property
    def name(self) -> str:
        """Its name, as the lower spells it."""
        return self.lower.name if self.lower else self.upper.name

    @property
    def flags(self) -> int:
        """The flags of the upper."""
        return self.upper.flags

    @property
    def user_flags(self) -> int:
        """The user and virtualisation flags of the upper."""
        return self.upper.user_flags

    @property
    def layer(self) -> int:
        """No layer: this is the merged view."""
        return 0

    @property
    def last_written(self) -> int:
        """The newest time."""
        return max(self.lower.last_written, self.upper.last_written) if self.lower else self.upper.last_written

    @property
    def security(self) -> bytes:
        """The descriptor of the upper."""
        return self.upper.security

    @property
    def class_name(self) -> bytes:
        """The class of the upper, or of the lower where the upper says so."""
        if self.lower is not None and inherits_class(self.upper):
            return self.lower.class_name
        return self.upper.class_name

    def values(self) -> Sequence[Value]:
        """The lower's values, each replaced or deleted by the upper's; then what only the upper has."""
        lower = self.lower.values() if self.lower and self.upper.layer & 3 != SUPERSEDE_LOCAL else ()
        upper = {upcase(value.name): value for value in self.upper.values()}
        if not upper:
            return lower
        found: list[Value] = []
        for value in lower:
            over = upper.pop(upcase(value.name), None)
            if over is None:
                found.append(value)
            elif not over.tombstone:
                found.append(Value(value.name, over.type, over.data))
        found.extend(value for value in upper.values() if not value.tombstone)
        return found

    def subkeys(self) -> Sequence[Key]:
        """The keys directly below it, in the order of the registry; those that only the lower has are its own."""
        upper = {upcase(key.name): key for key in self.upper.subkeys()}
        lower = self.lower.subkeys() if self.lower else ()
        if not upper:
            return lower
        found: list[Key] = []
        for key in lower:
            over = upper.pop(upcase(key.name), None)
            if over is None:
                found.append(key)
            elif over.layer & 3 != TOMBSTONE:
                found.append(MergedKey(key, over))
        if new := [MergedKey(None, key) for key in upper.values() if key.layer & 3 != TOMBSTONE]:
            found = sorted([*found, *new], key=lambda key: upcase(key.name))
        return found

    def subkey(self, name: str) -> Key | None:
        """The key of that name directly below it."""
        lower = self.lower.subkey(name) if self.lower else None
        over = self.upper.subkey(name)
        if over is None:
            return lower
        return None if over.layer & 3 == TOMBSTONE else MergedKey(lower, over)
