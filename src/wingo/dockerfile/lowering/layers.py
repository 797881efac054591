"""What lies between two states of a stage, as requests for a layer."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wingo.dockerfile.lowering import security
from wingo.dockerfile.lowering.contents import content_of
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.registry import USER
from wingo.dockerfile.lowering.state import State
from wingo.dockerfile.lowering.tree import Item, Kind, Tree
from wingo.hive.edit import Edit
from wingo.hive.keys import Key
from wingo.hive.read import Hive, open_hive
from wingo.hive.write import write_hive
from wingo.windows.paths import Components, fold, path_text
from wingo.windows.requests import (
    Attributes,
    LayerRequest,
    Whiteout,
    WindowsDirectory,
    WindowsFile,
    WindowsHardLink,
    WindowsJunction,
    WindowsSymlink,
)
from wingo.windows.sddl import format_sddl
from wingo.windows.security import SecurityDescriptor, inherited

_MAX_HIVE = 64 << 20
_OF_WINDOWS = frozenset({"WINDOWS", "PROGRAM FILES", "PROGRAM FILES (X86)", "PROGRAMDATA", "USERS", "INETPUB"})
"""Directories that `plan_layer` itself describes when something goes below them."""


def layer_requests(before: Tree, after: Tree, source: str) -> list[LayerRequest]:
    r"""The files that a layer adds and removes to make one tree of another.

    Everything gets the descriptor that Windows would give it there: its own, or what its directory passes on, up to what
    `C:\` passes on in Microsoft's bases. Directories on the way that steps made are described again, as the importer
    applies what an entry says.

    Args:
        before: what the layer lies on; the two share their base.
        after: what is to be there.
        source: who asks, for messages.

    Raises:
        CannotLower: what is in a file is not known.
    """
    return list(_Difference(before, after, source).requests())


class _Difference:
    def __init__(self, before: Tree, after: Tree, source: str) -> None:
        self.before, self.after, self.source = before, after, source
        self.descriptors: dict[Components, SecurityDescriptor] = {}
        self.sent: set[Components] = set()

    def requests(self) -> Iterator[LayerRequest]:
        changed = [
            (key, item)
            for key, item in self.after.changes.items()
            if item is not None and key and not item.in_base and self.before.changes.get(key) != item
        ]
        self.sent = {key for key, _ in changed}
        for key, item in sorted(changed, key=lambda pair: pair[0]):
            if item.kind is Kind.DIRECTORY and self._is_same_directory(key, item):
                continue
            yield self.request(item)
        yield from self.on_the_way([key for key, _ in changed])
        for path in self.removed():
            yield Whiteout(path=path_text(path), source=self.source)

    def _is_same_directory(self, key: Components, item: Item) -> bool:
        """Whether a directory was there before, with the same descriptor: nothing needs to be said of it."""
        there = self.before.find(item.path, follow=False)
        if there is None or not there.is_directory or item.access or item.bits != there.bits:
            return False
        self.sent.discard(key)
        return True

    def request(self, item: Item) -> LayerRequest:
        path = path_text(item.path)
        attributes = Attributes(format_sddl(self.descriptor(item.path)), item.bits)
        if item.kind is Kind.DIRECTORY:
            return WindowsDirectory(path=path, attributes=attributes, source=self.source)
        if item.kind is Kind.LINK:
            if item.link == "junction":
                return WindowsJunction(path=path, target=item.target, source=self.source)
            return WindowsSymlink(path=path, target=item.target, directory=item.directory_link, source=self.source)
        if item.link == "hard":
            target = fold(tuple(item.target[3:].split("\\")))
            return WindowsHardLink(path=path, target=item.target, in_base=target not in self.sent, source=self.source)
        if item.content is None:
            raise CannotLower(f"what is in {path} is not known")
        return WindowsFile(path=path, content=item.content, attributes=attributes, source=self.source)

    def on_the_way(self, keys: list[Components]) -> Iterator[LayerRequest]:
        """Directories above what changes that earlier steps made: their descriptors are applied anew."""
        seen: set[Components] = set()
        for key in sorted(keys):
            for length in range(1, len(key)):
                above = key[:length]
                if above in seen or above in self.sent or above[0] in _OF_WINDOWS:
                    continue
                seen.add(above)
                item = self.after.find(above, follow=False)
                if item is not None and item.is_directory:
                    yield self.request(item)

    def descriptor(self, path: Components) -> SecurityDescriptor:
        """`security.descriptor_of`, remembered."""
        key = fold(path)
        found = self.descriptors.get(key)
        if found is None:
            item = self.after.find(path, follow=False) if path else None
            if not path or (item is not None and item.access):
                found = security.descriptor_of(self.after, path)
            else:
                directory = item is not None and item.is_directory
                found = inherited(self.descriptor(path[:-1]), directory=directory)
            self.descriptors[key] = found
        return found

    def removed(self) -> list[Components]:
        """What was there and is not any more, each with all that is below it."""
        roots = [
            key for key in self.before.changes if self.before.changes[key] is not None and key not in self.after.changes
        ]
        roots += [
            key
            for key, item in self.after.changes.items()
            if item is None and self.before.changes.get(key, _SOMETHING) is not None
        ]
        roots += [key for key in self.after.cut if key not in self.before.cut]
        found: dict[Components, Components] = {}
        above: set[Components] = set()
        for key in sorted(set(roots), key=lambda one: (len(one), one)):
            if any(key[:length] in above for length in range(1, len(key))):
                continue
            above.add(key)
            for path in self.gone(key):
                found[fold(path)] = path
        return [path for key, path in found.items() if not any(key[:length] in found for length in range(1, len(key)))]

    def gone(self, path: Components) -> Iterator[Components]:
        there = self.before.find(path, follow=False)
        if there is None or there.unknown:
            return
        now = self.after.find(path, follow=False)
        if now is None:
            # A directory that was made anew may be spelt otherwise than the base's: the layer has one spelling.
            yield (*self.after.resolve(there.path[:-1], follow=False), there.path[-1])
        elif there.is_directory and now.is_directory:
            for child in self.before.children(there.path):
                yield from self.gone(child.path)


_SOMETHING = Item((), Kind.UNKNOWN)


def registry_edits(state: State) -> list[Edit]:
    """The changes of the image's hives, in order; those of the account's own hive are a file: see `with_user_hive`."""
    return [change for change in state.registry.changes if state.registry.locate(change.path)[0] != USER]


def user_hive_path(tree: Tree, account: str) -> Components:
    r"""Where the hive of an account is: in its profile, or in the one that profiles are made of at the first logon."""
    own = ("Users", account, "NTUSER.DAT")
    item = tree.find(own)
    return own if item is not None and item.is_file else ("Users", "Default", "NTUSER.DAT")


def read_user_hive(tree: Tree, account: str) -> Key | None:
    """The root of an account's hive; None when the tree has none.

    Raises:
        Malformed: it is no hive.
    """
    hive = _user_hive(tree, account)
    return None if hive is None else hive.root


def _user_hive(tree: Tree, account: str) -> Hive | None:
    item = tree.find(user_hive_path(tree, account))
    if item is None or item.content is None:
        return None
    if item.content.size > _MAX_HIVE:
        raise CannotLower(f"{item.text} has {item.content.size} bytes")
    logs = []
    for ending in (".LOG1", ".LOG2"):
        log = tree.find((*item.path[:-1], item.path[-1] + ending))
        if log is not None and log.content is not None and log.content.size <= _MAX_HIVE:
            with log.content.open() as stream:
                logs.append(stream.read())
    with item.content.open() as stream:
        return open_hive(stream.read(_MAX_HIVE + 1), [log for log in logs if log])


def with_user_hive(state: State) -> State:
    """A state whose tree has the account's hive with the changes of `HKCU` in it, as a file.

    Raises:
        CannotLower: there is no such hive.
    """
    if USER not in state.registry.changed:
        return state
    path = user_hive_path(state.tree, state.account)
    hive = _user_hive(state.tree, state.account)
    item = state.tree.find(path)
    if hive is None or item is None or USER in state.registry.assumed:
        raise CannotLower(
            f"the base has no hive of {state.account}, into which HKCU is written", "Use HKLM, setx /M or ENV."
        )
    data = write_hive(state.registry.hives[USER], name=hive.base.name, last_written=hive.base.last_written)
    tree = state.tree.copy()
    tree.put(msgspec.structs.replace(item, content=content_of(data, path_text(path)), in_base=False))
    return msgspec.structs.replace(state, tree=tree)
