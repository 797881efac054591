"""What COPY reads from: a directory of this machine, a stage's or an image's files; and how sources are found in it.

Paths are relative to the tree's root, with forward slashes; "" is the root. A link never leads out of its tree: as with
chroot, one that would is followed from the root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.ignore import IgnorePatterns, clean_path, compile_wildcards, has_wildcards, read_ignore_file
from wingo.errors import HostError, RequestError
from wingo.golang.fingerprint import Kind, Role, Watch
from wingo.pipeline.content import MAX_FILES, file_content, reading

_MAX_LINKS = 40
_MAX_IGNORE_BYTES = 1 << 20
FILE, DIRECTORY, LINK, SPECIAL = "file", "directory", "link", "special"


class Found(msgspec.Struct, frozen=True):
    """One thing in a tree.

    Attributes:
        path: in the tree.
        kind: "file", "directory", "link"; "special" is a socket, a pipe or a device, which nobody can copy.
        mode: permission bits.
        content: a file's bytes.
        target: a link's text.
        pax: extended records to keep, attributes among them.
        to_directory: a link that leads to a directory, where that is known.
    """

    path: str
    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: Content | None = None
    target: str = ""
    pax: tuple[tuple[str, str], ...] = ()
    to_directory: bool = False

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.rpartition("/")[2]


class Tree(Protocol):
    """Files that COPY can read."""

    def find(self, path: str) -> Found | None:
        """What is at a path whose directories are no links; None for nothing. A link is given as itself."""

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""


def follow(tree: Tree, path: str) -> Found | None:
    """What a path leads to, links followed within the tree; None for nothing.

    Raises:
        RequestError: links in a circle.
    """
    links = 0
    done: list[str] = []
    left = [part for part in clean_path("/" + path).split("/") if part]
    while left:
        name = left.pop(0)
        if name == "..":
            done = done[:-1]
            continue
        found = tree.find("/".join((*done, name)))
        if found is None:
            return None
        if found.kind == LINK:
            links += 1
            if links > _MAX_LINKS:
                raise RequestError(f"{path}: the links lead in a circle")
            target = found.target.replace("\\", "/") if "\\" in found.target else found.target
            if target[1:2] == ":":
                target = target[2:]
            if target.startswith("/"):
                done = []
            left = [part for part in target.split("/") if part not in ("", ".")] + left
            continue
        if left and found.kind != DIRECTORY:
            return None
        done = found.path.split("/")
    return tree.find("/".join(done)) if done else tree.find("")


def expand_pattern(tree: Tree, pattern: str) -> list[str]:
    """The paths that a pattern with wildcards matches, sorted; links in the directories before it are followed.

    Raises:
        RequestError: it is no pattern.
    """
    before: list[str] = []
    parts = [part for part in clean_path("/" + pattern).split("/") if part]
    while parts and not has_wildcards(parts[0]):
        before.append(parts.pop(0))
    start = follow(tree, "/".join(before))
    if start is None or start.kind != DIRECTORY:
        return []
    found = [start.path]
    for number, part in enumerate(parts):
        match = compile_wildcards(part)
        deeper: list[str] = []
        for folder in found:
            place = follow(tree, folder) if number else start
            if place is None or place.kind != DIRECTORY:
                continue
            deeper += [child.path for child in tree.children(place.path) if match(child.name)]
        found = deeper
    return sorted(found)


def walk(tree: Tree, folder: str) -> Iterator[Found]:
    """Everything below a directory, each directory before what is in it; links are not followed."""
    left = [iter(tree.children(folder))]  # a stack of our own: directories may be nested deeper than calls
    while left:
        child = next(left[-1], None)
        if child is None:
            left.pop()
            continue
        yield child
        if child.kind == DIRECTORY:
            left.append(iter(tree.children(child.path)))


class DirectoryTree:
    """A directory of this machine, less what its ignore file leaves out. It knows what of it was looked at."""

    def __init__(self, root: str, patterns: Iterable[str] = ()) -> None:
        """Begins with nothing read.

        Raises:
            RequestError: a pattern is none.
        """
        self.root = root
        self.ignore = IgnorePatterns(patterns)
        self._children: dict[str, tuple[Found, ...]] = {}
        self._seen = 0
        self._looked_at: dict[str, Role] = {}

    def watch(self) -> Watch:
        """What was looked at: files that were opened, links, names that were asked for, directories that were listed."""
        folders = [os.path.join(self.root, *path.split("/")) if path else self.root for path in self._children]
        return Watch(tuple(self._looked_at.items()), tuple((folder, Kind.ALL) for folder in folders))

    def find(self, path: str) -> Found | None:
        """What is at a path; None also for what is left out."""
        if not path:
            return Found("", DIRECTORY, 0o755)
        full = os.path.join(self.root, *path.split("/"))
        self._looked_at.setdefault(full, Role.PRESENCE)
        if self.is_ignored(path):
            return None
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise HostError(f"cannot read {full}: {getattr(error, 'strerror', None) or error}") from error
        return self._found(path, full, status)

    def is_ignored(self, path: str) -> bool:
        """Whether a path is left out; a directory is not when something in it may be taken back in."""
        if not self.ignore.ignores(path):
            return False
        return not (self.ignore.takes_back and os.path.isdir(os.path.join(self.root, path)))

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory."""
        if path in self._children:
            return self._children[path]
        folder = os.path.join(self.root, *path.split("/")) if path else self.root
        with reading(folder), os.scandir(folder) as entries:
            names = sorted(entries, key=lambda entry: entry.name)
        found = []
        for entry in names:
            below = f"{path}/{entry.name}" if path else entry.name
            if self.is_ignored(below):
                continue
            with reading(entry.path):
                status = entry.stat(follow_symlinks=False)
            item = self._found(below, entry.path, status)
            if item.kind == DIRECTORY and self.ignore.ignores(below) and not any(True for _ in self.children(below)):
                continue  # nothing in it was taken back in
            found.append(item)
        self._seen += len(found)
        if self._seen > MAX_FILES:
            raise RequestError(
                f"the context {self.root} has more than {MAX_FILES} files", hint="Leave some out with a .dockerignore."
            )
        self._children[path] = tuple(found)
        return self._children[path]

    def _found(self, path: str, full: str, status: os.stat_result) -> Found:
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            return Found(path, DIRECTORY, mode)
        if stat.S_ISLNK(status.st_mode):
            for looked_at in (full, os.path.realpath(full)):
                self._looked_at.setdefault(looked_at, Role.PRESENCE)
            return Found(
                path, LINK, 0o777, target=os.readlink(full).replace(os.sep, "/"), to_directory=os.path.isdir(full)
            )
        if stat.S_ISREG(status.st_mode):
            return Found(path, FILE, mode, content=self._content(full, status.st_size))
        return Found(path, SPECIAL, mode)

    def _content(self, full: str, size: int) -> Content:
        content = file_content(full, size)

        def open_file() -> BinaryIO:
            self._looked_at[full] = Role.DATA
            return content.open()

        return msgspec.structs.replace(content, open=open_file)


class Context(DirectoryTree):
    """The build context, with its `.dockerignore` (or the Dockerfile's own, `NAME.dockerignore`)."""

    def __init__(self, root: str, dockerfile: str = "") -> None:
        """Reads the ignore file.

        Raises:
            RequestError: a pattern in it is none.
            HostError: it cannot be read.
        """
        paths = [f"{dockerfile}.dockerignore"] if dockerfile else []
        paths.append(os.path.join(root, ".dockerignore"))
        super().__init__(root, _ignore_patterns(paths))
        self._looked_at.update(dict.fromkeys(paths, Role.DATA))


def _ignore_patterns(paths: Sequence[str]) -> tuple[str, ...]:
    for path in paths:
        if os.path.isfile(path):
            with reading(path), open(path, "rb") as file:
                data = file.read(_MAX_IGNORE_BYTES + 1)
            if len(data) > _MAX_IGNORE_BYTES:
                raise HostError(f"{path} is larger than {_MAX_IGNORE_BYTES >> 20} MiB")
            return read_ignore_file(data)
    return ()
