"""What differs between two views, name by name; times do not count."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wingo.archive.unpack import MemberKind
from wingo.view.layer import Node
from wingo.view.merged import View
from wingo.view.names import folding

_NOT_COMPARED = frozenset({"atime", "ctime", "mtime", "LIBARCHIVE.creationtime"})
_SECURITY = ("MSWINDOWS.rawsd", "MSWINDOWS.sd")
_ATTRIBUTES = "MSWINDOWS.fileattr"


class FileChange(msgspec.Struct, frozen=True):
    """One name that differs.

    Attributes:
        path: where it is, or was.
        before: None: it was not there.
        after: None: it is not there any more.
        what: of one that is in both: "kind", "content", "link", "mode", "owner", "attributes", "security", "records",
            "spelling"; ("moved",) when only its path differs, which `before` has.
    """

    path: str
    before: Node | None
    after: Node | None
    what: tuple[str, ...] = ()


def diff_views(before: View, after: View) -> list[FileChange]:
    """What differs, by path; a file with the same content under another name has moved, when there is one such pair."""
    windows = after.image.config.os == "windows"
    old, new = _by_fold(before.walk(), after), _by_fold(after.walk(), after)
    changes = []
    for key in old.keys() | new.keys():
        was, now = old.get(key), new.get(key)
        if now is None:
            changes.append(FileChange(key if was is None else was.path, was, None))
        elif was is None:
            changes.append(FileChange(now.path, None, now))
        elif what := _compared(was, now, windows=windows):
            changes.append(FileChange(now.path, was, now, what))
    return sorted(_with_moves(changes), key=lambda change: change.path.split("/"))


def _by_fold(nodes: Iterable[Node], view: View) -> dict[str, Node]:
    fold = folding(view.image.config.os)
    return {fold(node.path): node for node in nodes}


def _compared(was: Node, now: Node, *, windows: bool) -> tuple[str, ...]:
    if was.kind is not now.kind:
        return ("kind",)
    found = []
    if was.path != now.path:
        found.append("spelling")
    if was.sha256 != now.sha256:
        found.append("content")
    if was.kind in (MemberKind.SYMLINK, MemberKind.HARDLINK) and was.link_target != now.link_target:
        found.append("link")
    if was.implied or now.implied:
        return tuple(found)
    if not windows and was.mode != now.mode:
        found.append("mode")
    if not windows and (was.uid, was.gid) != (now.uid, now.gid):
        found.append("owner")
    if was.pax is not now.pax and was.pax != now.pax:
        found += _records(was, now)
    return tuple(found)


def _records(was: Node, now: Node) -> list[str]:
    differ = {
        key
        for key in was.pax.keys() | now.pax.keys()
        if key not in _NOT_COMPARED and was.pax.get(key) != now.pax.get(key)
    }
    found = []
    if _ATTRIBUTES in differ:
        found.append("attributes")
    if not differ.isdisjoint(_SECURITY):
        found.append("security")
    if differ - {_ATTRIBUTES, *_SECURITY}:
        found.append("records")
    return found


def _with_moves(changes: list[FileChange]) -> list[FileChange]:
    gone: dict[bytes, list[FileChange]] = {}
    come: dict[bytes, list[FileChange]] = {}
    for change in changes:
        node = change.after or change.before
        if node is not None and node.sha256 and (change.after is None or change.before is None):
            (gone if change.after is None else come).setdefault(node.sha256, []).append(change)
    moved: dict[int, FileChange | None] = {}
    for digest, left in gone.items():
        there = come.get(digest, [])
        if len(left) == len(there) == 1:
            moved[id(left[0])] = None
            moved[id(there[0])] = FileChange(there[0].path, left[0].before, there[0].after, ("moved",))
    kept = (moved.get(id(change), change) for change in changes)
    return [change for change in kept if change is not None]
