"""The files of a toolchain stage, kept as what they are and not on a disk, until something must run over them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.source import printable
from wingo.errors import HostError, RequestError
from wingo.pipeline.content import file_content
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, LINK, DirectoryTree, Found

_CHUNK = 1 << 20


class MemoryTree:
    """Files by their paths, see `wingo.pipeline.dockerfile_files.Tree`."""

    def __init__(self, found: Mapping[str, Found] | None = None) -> None:
        self.found: dict[str, Found] = dict(found or {})

    def find(self, path: str) -> Found | None:
        """What is at a path."""
        return Found("", DIRECTORY, 0o755) if not path else self.found.get(path)

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""
        prefix = f"{path}/" if path else ""
        length = len(prefix)
        return [
            self.found[other]
            for other in sorted(self.found)
            if other.startswith(prefix) and "/" not in other[length:] and other != path
        ]

    def put(self, path: str, item: Found) -> None:
        """Puts something at a path, with the directories above it."""
        parts = path.split("/")
        for length in range(1, len(parts)):
            above = "/".join(parts[:length])
            if above not in self.found:
                self.found[above] = Found(above, DIRECTORY, 0o755)
        there = self.found.get(path)
        if there is not None and there.kind == DIRECTORY and item.kind != DIRECTORY:
            self.remove(path)
        self.found[path] = msgspec.structs.replace(item, path=path)

    def remove(self, path: str) -> None:
        """Removes what is at a path, and below it."""
        for other in [other for other in self.found if other == path or other.startswith(f"{path}/")]:
            del self.found[other]

    def digest(self) -> str:
        """Of everything that is here."""
        hasher = hashlib.sha256()
        for path in sorted(self.found):
            hasher.update(identity(self.found[path]).encode() + b"\0")
        return hasher.hexdigest()


def identity(item: Found) -> str:
    """What a thing is, its content by its digest, as a text."""
    digest = digest_of(item.content) if item.content is not None else ""
    return f"{item.path}\x01{item.kind}\x01{item.mode:o}\x01{item.uid}:{item.gid}\x01{item.target}\x01{digest}"


def digest_of(content: Content) -> str:
    """The sha256 of a file's bytes, as hexadecimal."""
    if content.digest:
        return content.digest.rpartition(":")[2]
    with content.open() as stream:
        hasher = hashlib.sha256()
        while data := stream.read(_CHUNK):
            hasher.update(data)
    return hasher.hexdigest()


def with_digest(item: Found) -> Found:
    """The same, its content knowing its digest."""
    if item.content is None or item.content.digest:
        return item
    content = msgspec.structs.replace(item.content, digest=f"sha256:{digest_of(item.content)}")
    return msgspec.structs.replace(item, content=content)


class Changed(msgspec.Struct, frozen=True):
    """What a program did to a directory.

    Attributes:
        found: what is new or other than before.
        removed: paths.
    """

    found: tuple[Found, ...]
    removed: tuple[str, ...]


def work_directory(cache: str, *parts: str) -> str:
    """Where a stage's programs run: the same place in every build, so that Go's build cache finds its own again."""
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return os.path.join(cache, "dockerfile", "work", name)


def is_plain(path: str) -> bool:
    """Whether a path, of Linux or Windows, names something below its root without going up."""
    return bool(path) and "\0" not in path and not {"..", ".", ""} & set(path.replace("\\", "/").split("/"))


def _check(path: str, links: Collection[str]) -> None:
    parts = path.split("/")
    if not is_plain(path):
        raise RequestError(f"{printable(path, 200)!r} cannot be a path in a stage")
    above = next((link for n in range(1, len(parts)) if (link := "/".join(parts[:n])) in links), None)
    if above is not None:
        raise RequestError(f"/{printable(path, 200)} would be written through the link /{printable(above, 200)}")


class WorkDirectory:
    """A tree's files on the disk, for programs to run over; what they change is found by comparing.

    Nobody trusts the tree: nothing is written out of the directory, and none of its links leads out of it.
    """

    def __init__(self, root: str, *, mounted: bool = False) -> None:
        """Makes nothing yet.

        Args:
            root: the directory.
            mounted: programs see it as a part of a root of their own, where links mean what they say.
        """
        self.root, self._mounted = root, mounted
        self._before: dict[str, tuple[str, int, int, int]] = {}

    def write(self, items: Iterable[Found]) -> None:
        """Begins anew with these files.

        Raises:
            RequestError: a path leads out of it.
            HostError: it cannot be written.
        """
        shutil.rmtree(self.root, ignore_errors=True)
        links: set[str] = set()
        try:
            os.makedirs(self.root, mode=0o700)
            directories = []
            for item in sorted(items, key=lambda found: found.path):
                _check(item.path, links)
                path = os.path.join(self.root, *item.path.split("/"))
                if item.kind == DIRECTORY:
                    os.makedirs(path, exist_ok=True)
                    directories.append((path, item.mode))
                    continue
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if item.kind == LINK:
                    os.symlink(item.target if self._mounted else self._target(item), path)
                    links.add(item.path)
                elif item.content is not None:
                    with item.content.open() as source, open(path, "wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
                    os.chmod(path, item.mode | 0o600)
            for path, mode in reversed(directories):
                os.chmod(path, mode | 0o700)
        except OSError as error:
            raise HostError(f"cannot write {error.filename or self.root}: {error.strerror}") from error
        self._before = self._look()

    def _target(self, item: Found) -> str:
        """As if the directory were the root: what lies above the root is the root."""
        target = posixpath.normpath(item.target)
        parts = [part for part in target.split("/") if part]
        ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
        if not target.startswith("/") and ups <= item.path.count("/"):
            return target
        return os.path.join(self.root, *[part for part in parts[ups:] if part != "."])

    def _look(self) -> dict[str, tuple[str, int, int, int]]:
        seen: dict[str, tuple[str, int, int, int]] = {}
        tree = DirectoryTree(self.root)
        stack = [""]
        while stack:
            for item in tree.children(stack.pop()):
                status = os.lstat(os.path.join(self.root, item.path))
                if item.kind == DIRECTORY:
                    stack.append(item.path)
                    seen[item.path] = (item.kind, status.st_mode, 0, 0)
                else:
                    seen[item.path] = (item.kind, status.st_mode, status.st_mtime_ns, status.st_size)
        return seen

    def changes(self) -> Changed:
        """What is other than when it was written; contents stay on the disk until `write` is called again."""
        after = self._look()
        found = []
        for path, (kind, mode, _, size) in after.items():
            if self._before.get(path) == after[path]:
                continue
            full = os.path.join(self.root, path)
            if kind == DIRECTORY:
                if path not in self._before:
                    found.append(Found(path, DIRECTORY, mode & 0o7777))
            elif kind == LINK:
                target = os.readlink(full)
                if target.startswith(self.root + "/"):
                    target = target[len(self.root) :]
                found.append(Found(path, LINK, 0o777, target=target))
            else:
                found.append(Found(path, FILE, mode & 0o7777, content=file_content(full, size)))
        removed = [path for path in self._before if path not in after]
        return Changed(tuple(sorted(found, key=lambda item: item.path)), tuple(removed))
