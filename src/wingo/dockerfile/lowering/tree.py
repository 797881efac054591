r"""A stage's files while its Windows steps are lowered: what the base has, and what the steps did to it.

A tree knows three things of a path: it is there (an `Item`), it is not (None), or that is not known (`Kind.UNKNOWN`),
because the base was not read or because an archive is unpacked only while building.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import Protocol

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.errors import RequestError
from wingo.windows.paths import Components, parse_link_target, path_text
from wingo.windows.paths import fold as fold_path

_MAX_LINKS = 40
fold = lru_cache(maxsize=65_536)(fold_path)
"""A path as NTFS compares it; the same few are asked for again and again."""
MAX_ITEMS = 500_000
"""Files and directories that steps may make."""


class Kind(Enum):
    """What is at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    UNKNOWN = "unknown"


class Item(msgspec.Struct, frozen=True):
    r"""What is at a path.

    Attributes:
        path: as it is spelt.
        kind: what it is.
        content: a file's bytes; None when they are known only while building.
        access: SDDL; "": as the directory that it is in passes on.
        bits: DOS attributes, as in `wingo.windows.requests`.
        target: a link's: the text of a symbolic link, else `C:\…`; of a hard link, the file that it was made of.
        link: "symbolic", "junction", "hard", or "" for what is no link.
        directory_link: a symbolic link that leads to a directory.
        in_base: it is the base's own, unchanged.
        at: seconds since 1970, when the base says so.
    """

    path: Components
    kind: Kind
    content: Content | None = None
    access: str = ""
    bits: int = 0
    target: str = ""
    link: str = ""
    directory_link: bool = False
    in_base: bool = False
    at: int = 0

    @property
    def text(self) -> str:
        r"""The path as `C:\…`."""
        return path_text(self.path)

    @property
    def name(self) -> str:
        r"""The last component; "" of `C:\`."""
        return self.path[-1] if self.path else ""

    @property
    def is_directory(self) -> bool:
        """Whether it is, or may be, a directory."""
        return self.kind is Kind.DIRECTORY

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.kind is Kind.FILE

    @property
    def unknown(self) -> bool:
        """Whether nothing is known but the path."""
        return self.kind is Kind.UNKNOWN


class Base(Protocol):
    """The files below the steps; links in paths are not followed."""

    @property
    def known(self) -> bool:
        """Whether what it does not find is not there."""

    def find(self, path: Components) -> Item | None:
        """What is at a path, in any case; None also for what is not known."""

    def children(self, path: Components) -> Sequence[Item]:
        """What is directly in a directory, as far as it is known."""

    def load(self) -> bool:
        """Makes known what can be; whether anything more is known now."""


class UnreadBase:
    """A base that was not read: only the directories that every Windows has are there for sure."""

    known = False

    def __init__(self, more: Iterable[str] = ()) -> None:
        names = (*_WELL_KNOWN, *more)
        self._directories = {fold(path): path for name in names for path in _with_above(tuple(name.split("/")))}

    def find(self, path: Components) -> Item | None:
        """One of the directories that are there for sure."""
        spelling = self._directories.get(fold(path))
        return Item(spelling, Kind.DIRECTORY, in_base=True) if spelling is not None else None

    def children(self, path: Components) -> Sequence[Item]:
        """The directories of them."""
        key = fold(path)
        return [
            Item(spelling, Kind.DIRECTORY, in_base=True)
            for other, spelling in self._directories.items()
            if len(other) == len(key) + 1 and other[: len(key)] == key
        ]

    def load(self) -> bool:
        """There is nothing to read."""
        return False


_WELL_KNOWN = (
    "Windows/System32/drivers/etc",
    "Windows/System32/config",
    "Windows/Temp",
    "Program Files/Common Files",
    "Program Files (x86)",
    "ProgramData",
    "Users/Public",
    "Users/ContainerAdministrator/AppData/Local/Temp",
    "Users/ContainerUser",
)


class NoBase:
    """No base at all (`FROM scratch`): nothing is there but what steps make."""

    known = True

    def find(self, path: Components) -> Item | None:
        """Nothing."""
        return Item((), Kind.DIRECTORY, in_base=True) if not path else None

    def children(self, path: Components) -> Sequence[Item]:
        """None."""
        del path
        return ()

    def load(self) -> bool:
        """There is nothing to read."""
        return False


class Tree:
    """The files of a stage. `copy` before you change one that is somebody else's.

    Attributes:
        base: what is below.
        changes: by folded path: what steps put there, or None where they removed something.
        cut: folded paths below which nothing of the base shows any more.
        vague: folded directories in which there may be more than is known.
    """

    def __init__(self, base: Base) -> None:
        self.base = base
        self.changes: dict[Components, Item | None] = {}
        self.cut: set[Components] = set()
        self.vague: set[Components] = set()

    def copy(self) -> Tree:
        """Another one that is the same until one of them is changed."""
        tree = Tree(self.base)
        tree.changes, tree.cut, tree.vague = dict(self.changes), set(self.cut), set(self.vague)
        return tree

    def find(self, path: Components, *, follow: bool = True) -> Item | None:
        """What is at a path; None: nothing, for sure.

        Args:
            path: in any case.
            follow: also the last component's link; those before it are always followed.

        Raises:
            CannotLower: links in a circle.
        """
        return self._at(self.resolve(path, follow=follow))

    def resolve(self, path: Components, *, follow: bool = True) -> Components:
        """The path without links, as it is spelt in the tree as far as it is there.

        Raises:
            CannotLower: links in a circle, or one that leads out of `C:`.
        """
        links = 0
        done: Components = ()
        left = list(path)
        while left:
            name = left.pop(0)
            item = self._at((*done, name))
            if item is None or item.kind is Kind.UNKNOWN:
                done = (*done, name)
            elif item.kind is Kind.LINK and (follow or left):
                links += 1
                if links > _MAX_LINKS:
                    raise CannotLower(f"{path_text(path)}: the links lead in a circle", fails=True)
                try:
                    _, leads_to = parse_link_target(item.target, item.path)
                except RequestError as error:
                    raise CannotLower(f"{item.text} leads to {item.target!r}: {error}") from error
                done, left = (), [*leads_to, *left]
            else:
                done = item.path
        return done

    def _at(self, path: Components) -> Item | None:
        key = fold(path)
        if key in self.changes:
            return self.changes[key]
        if not key:
            return Item((), Kind.DIRECTORY, in_base=True)
        vague = () in self.vague
        for length in range(len(key) - 1, 0, -1):
            above = key[:length]
            vague = vague or above in self.vague
            if above in self.cut:
                return Item(path, Kind.UNKNOWN) if vague else None
            if above in self.changes:
                item = self.changes[above]
                if item is None or item.kind is Kind.FILE:
                    return None
                vague = vague or item.kind is Kind.UNKNOWN
        if found := self.base.find(path):
            return found
        return Item(path, Kind.UNKNOWN) if vague or not self.base.known else None

    def children(self, path: Components) -> list[Item]:
        """What is known to be directly in a directory, by name; the path without links."""
        key = fold(path)
        found: dict[Components, Item] = {}
        if not any(key[:length] in self.cut for length in range(len(key) + 1)):
            found = {fold(item.path): item for item in self.base.children(path)}
        depth = len(key) + 1
        for other, item in self.changes.items():
            if len(other) == depth and other[: depth - 1] == key:
                if item is None:
                    found.pop(other, None)
                else:
                    found[other] = item
        return [found[other] for other in sorted(found)]

    def below(self, path: Components) -> Iterator[Item]:
        """Everything known below a directory, each directory before what is in it; links are not followed."""
        for item in self.children(path):
            yield item
            if item.kind is Kind.DIRECTORY:
                yield from self.below(item.path)

    def is_vague(self, path: Components) -> bool:
        """Whether there may be more in a directory than is known."""
        key = fold(path)
        for length in range(len(key), -1, -1):
            if key[:length] in self.vague:
                return True
            if key[:length] in self.cut or self.changes.get(key[:length], _NOTHING) is None:
                return False
        return not self.base.known

    def put(self, item: Item) -> None:
        """Puts something in its place; the directories above must be there.

        Raises:
            CannotLower: more than `MAX_ITEMS`.
        """
        key = fold(item.path)
        if key not in self.changes and len(self.changes) >= MAX_ITEMS:
            raise CannotLower(f"the steps make more than {MAX_ITEMS} files")
        self.changes[key] = item

    def remove(self, path: Components) -> None:
        """Removes what is at a path, and below it."""
        key = fold(path)
        for other in [other for other in self.changes if other[: len(key)] == key]:
            del self.changes[other]
        self.vague = {other for other in self.vague if other[: len(key)] != key}
        if self._at(path) is not None or not self.base.known:
            self.changes[key] = None
            self.cut.add(key)

    def make_directories(self, path: Components) -> list[Components]:
        """Makes a directory and those above it, where they are not there.

        Returns:
            The ones that were made.

        Raises:
            CannotLower: one is a file.
        """
        made = []
        place: Components = ()
        for name in path:
            place = self.resolve((*place, name))
            item = self._at(place)
            if item is not None and item.kind is Kind.FILE:
                raise CannotLower(f"{item.text} is a file, and a directory is needed there", fails=True)
            if item is None or item.kind is not Kind.DIRECTORY:
                # Where a directory is only likely, it is named all the same: the layer needs it, and it does no harm.
                self.put(Item(place, Kind.DIRECTORY))
                made.append(place)
        return made


_NOTHING = Item((), Kind.UNKNOWN)


def _with_above(path: Components) -> Iterator[Components]:
    for length in range(len(path) + 1):
        yield path[:length]
