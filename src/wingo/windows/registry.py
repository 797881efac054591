r"""The registry of an image as a value: its hives' merged views, and what changes when edits are applied.

Nothing is changed in place: `edited` gives another registry, and `hive_deltas` the hives of a layer that makes the one of
the other. Paths begin with their root, as people write them (`HKLM\SYSTEM\CurrentControlSet\...`).
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from wingo.archive.entry import Content
from wingo.errors import RequestError
from wingo.hive.diff import KeyChange, delta_of, diff, edits_between
from wingo.hive.edit import Edit, apply_edits
from wingo.hive.keys import Key, find_key, find_value
from wingo.hive.paths import DEFAULT, HIVES, SAM, SECURITY, SOFTWARE, SYSTEM, parse_where, resolve_control_set
from wingo.hive.values import Value
from wingo.hive.write import write_delta
from wingo.windows.requests import HiveDelta

LAYER_NAMES: Mapping[str, str] = {
    SYSTEM: "System",
    SOFTWARE: "Software",
    SAM: "Sam",
    SECURITY: "Security",
    DEFAULT: "DefaultUser",
}
"""What a hive is called in a layer: `Hives/System_Delta`, `Hives/System_Base` (facts: hcsshim `cim/common.go`)."""


class Registry(msgspec.Struct, frozen=True):
    """The hives that are at hand.

    Attributes:
        hives: the root of each one's view, by its name (`wingo.hive.paths.HIVES`).
    """

    hives: Mapping[str, Key]

    def locate(self, path: str) -> tuple[str, str]:
        """The name of the hive that a path is in, and the path below its root, `CurrentControlSet` resolved.

        Raises:
            RequestError: the path names no root, no hive of an image holds it, or its hive is not at hand.
        """
        where = parse_where(path)
        if not where.hive:
            raise RequestError(f"{path!r} does not begin with a root", hint="Begin it with HKLM\\SYSTEM, for instance.")
        root = self.hives.get(where.hive)
        if root is None:
            there = ", ".join(HIVES[name] for name in HIVES if name in self.hives)
            raise RequestError(f"the image has no hive for {path}", hint=f"It has {there or 'none'}.")
        if where.hive != SYSTEM:
            return where.hive, where.path
        return where.hive, resolve_control_set(root, where.path)

    def full_path(self, path: str) -> str:
        r"""A path in its one spelling: `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\...`.

        Raises:
            RequestError: see `locate`.
        """
        hive, below = self.locate(path)
        return f"{HIVES[hive]}\\{below}" if below else HIVES[hive]

    def find(self, path: str) -> Key | None:
        """The key at a path, or None.

        Raises:
            RequestError: see `locate`.
        """
        hive, below = self.locate(path)
        return find_key(self.hives[hive], below)

    def value(self, path: str, name: str) -> Value | None:
        """The value of a key, or None where either is missing.

        Raises:
            RequestError: see `locate`.
        """
        key = self.find(path)
        return None if key is None else find_value(key, name)


def edited(registry: Registry, edits: Iterable[Edit]) -> Registry:
    """The registry after edits, in their order.

    Raises:
        RequestError: a path is none, its hive is not at hand, or an edit cannot be made.
    """
    routed: dict[str, list[Edit]] = {}
    for edit in edits:
        hive, path = registry.locate(edit.path)
        routed.setdefault(hive, []).append(msgspec.structs.replace(edit, path=path))
    changed = {hive: apply_edits(registry.hives[hive], own) for hive, own in routed.items()}
    return Registry({**registry.hives, **changed})


def changes(before: Registry, after: Registry) -> dict[str, KeyChange]:
    """What differs, by hive; a hive that is the same in both is not there."""
    found = {}
    for hive in HIVES:
        old, new = before.hives.get(hive), after.hives.get(hive)
        if old is not None and new is not None and old is not new and (change := diff(old, new)) is not None:
            found[hive] = change
    return found


def edits_to(before: Registry, after: Registry) -> Iterator[Edit]:
    """The edits that make `after` of `before`; those that undo them are the other way round."""
    for hive, change in changes(before, after).items():
        yield from edits_between(change, HIVES[hive])


def delta_hives(before: Registry, after: Registry, hives: Collection[str] = ()) -> dict[str, bytes]:
    """The hives of a layer that makes `after` of `before`, by their names.

    Args:
        before: what the layer lies on.
        after: what is to be seen.
        hives: those that get a layer's hive even when nothing in them changes.
    """
    found = changes(before, after)
    return {
        hive: write_delta(delta_of(found.get(hive), before.hives[hive]), name=f"{LAYER_NAMES[hive]}_Delta")
        for hive in HIVES
        if hive in found or (hive in hives and hive in before.hives)
    }


def hive_deltas(before: Registry, after: Registry, source: str, hives: Collection[str] = ()) -> tuple[HiveDelta, ...]:
    """`delta_hives` as requests for a layer; `source` says who asks, for messages."""
    return hive_requests(delta_hives(before, after, hives), source)


def hive_requests(deltas: Mapping[str, bytes], source: str) -> tuple[HiveDelta, ...]:
    """Hives of a layer, by their names, as requests."""
    return tuple(
        HiveDelta(name=LAYER_NAMES[hive].upper(), content=_content(data, hive), source=source)
        for hive, data in deltas.items()
    )


def _content(data: bytes, hive: str) -> Content:
    return Content(len(data), lambda: io.BytesIO(data), f"the changes of {HIVES[hive]}")
