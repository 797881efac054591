"""The files of a toolchain stage, kept as what they are and not on a disk, until something must run over them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.source import printable
from wingo.errors import HostError, RequestError
from wingo.pipeline.content import MAX_FILES, file_content
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, LINK, Found

_CHUNK = 1 << 20
_TICK = 50_000_000
"""Nanoseconds in which a file system's clock surely goes on."""


class MemoryTree:
    """Files by their paths, see `wingo.pipeline.dockerfile_files.Tree`."""

    def __init__(self, found: Mapping[str, Found] | None = None) -> None:
        self.found: dict[str, Found] = dict(found or {})
        self._names: dict[str, list[str]] | None = None

    def find(self, path: str) -> Found | None:
        """What is at a path."""
        return Found("", DIRECTORY, 0o755) if not path else self.found.get(path)

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""
        if self._names is None:
            self._names = {}
            for other in sorted(self.found):
                self._names.setdefault(other.rpartition("/")[0], []).append(other)
        return [self.found[other] for other in self._names.get(path, ())]

    def put(self, path: str, item: Found) -> None:
        """Puts something at a path, with the directories above it."""
        self._names = None
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
        self._names = None
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


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was written: its content's digest, and mode, size, change and modification time, and inode."""

    digest: str
    state: tuple[int, int, int, int, int]


def _state(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_mode, status.st_size, status.st_ctime_ns, status.st_mtime_ns, status.st_ino


def _kind(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return DIRECTORY
    return LINK if stat.S_ISLNK(status.st_mode) else FILE if stat.S_ISREG(status.st_mode) else ""


def _signature(status: os.stat_result) -> tuple[str, int, int, int]:
    kind = _kind(status)
    return (
        (kind, status.st_mode, 0, 0)
        if kind == DIRECTORY
        else (kind, status.st_mode, status.st_mtime_ns, status.st_size)
    )


def _look(root: str) -> dict[str, os.stat_result]:
    """Everything below a directory."""
    seen: dict[str, os.stat_result] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                seen[path] = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
        if len(seen) > MAX_FILES:
            raise RequestError(f"a step left more than {MAX_FILES} files")
    return seen


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
        """Begins anew with these files; those that are there already, from the last time, stay as they are.

        Raises:
            RequestError: a path leads out of it.
            HostError: it cannot be written.
        """
        wanted: dict[str, Found] = {}
        links: set[str] = set()
        for item in sorted(items, key=lambda found: found.path):
            _check(item.path, links)
            parts = item.path.split("/")
            for length in range(1, len(parts)):
                above = "/".join(parts[:length])
                wanted.setdefault(above, Found(above, DIRECTORY, 0o755))
            wanted[item.path] = item
            if item.kind == LINK:
                links.add(item.path)
        try:
            try:
                self._write(wanted)
            except PermissionError:  # a program took its own permissions away
                shutil.rmtree(self.root, ignore_errors=True)
                self._write(wanted)
        except OSError as error:
            raise HostError(f"cannot write {error.filename or self.root}: {error.strerror}") from error

    def _write(self, wanted: Mapping[str, Found]) -> None:
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        known = {} if self._mounted else self._read_state()
        there = _look(self.root)
        for path in sorted(there, reverse=True):
            item = wanted.get(path)
            if item is None or _kind(there[path]) != item.kind:
                full = os.path.join(self.root, path)
                os.rmdir(full) if stat.S_ISDIR(there[path].st_mode) else os.unlink(full)
                del there[path]
        for path, item in wanted.items():
            if self._write_one(item, there.get(path), known.get(path)):
                there[path] = os.lstat(os.path.join(self.root, path))
        for path in sorted(wanted, reverse=True):
            item = wanted[path]
            if item.kind == DIRECTORY and stat.S_IMODE(there[path].st_mode) != item.mode | 0o700:
                os.chmod(os.path.join(self.root, path), item.mode | 0o700)
                there[path] = os.lstat(os.path.join(self.root, path))
        self._before = {path: _signature(status) for path, status in there.items()}
        if not self._mounted:
            self._keep_state(wanted, there)

    def _write_one(self, item: Found, status: os.stat_result | None, known: _Written | None) -> bool:
        """Writes one thing, if it is not there as it is to be; whether it wrote."""
        path = os.path.join(self.root, item.path)
        if item.kind == DIRECTORY:
            if status is None:
                os.mkdir(path, 0o700)
            return status is None
        if item.kind == LINK:
            target = item.target if self._mounted else self._target(item)
            if status is not None:
                if os.readlink(path) == target:
                    return False
                os.unlink(path)
            os.symlink(target, path)
            return True
        if item.content is None:
            return False
        same = status is not None and known == _Written(item.content.digest, _state(status))
        if same and item.content.digest and status is not None:
            if stat.S_IMODE(status.st_mode) == item.mode | 0o600:
                return False
        else:
            if status is not None:
                os.unlink(path)
            with item.content.open() as source, open(path, "xb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
        os.chmod(path, item.mode | 0o600)
        return True

    def _target(self, item: Found) -> str:
        """As if the directory were the root: what lies above the root is the root."""
        target = posixpath.normpath(item.target)
        parts = [part for part in target.split("/") if part]
        ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
        if not target.startswith("/") and ups <= item.path.count("/"):
            return target
        return os.path.join(self.root, *[part for part in parts[ups:] if part != "."])

    def _read_state(self) -> dict[str, _Written]:
        """What `write` left here the last time."""
        try:
            with open(f"{self.root}.json", "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, _Written])
        except (OSError, msgspec.DecodeError):
            return {}

    def _keep_state(self, wanted: Mapping[str, Found], there: Mapping[str, os.stat_result]) -> None:
        """For the next time, but for what is so young that a program could change it and not be seen to."""
        with open(f"{self.root}.json.new", "wb") as file:
            now = os.fstat(file.fileno()).st_ctime_ns
            found = {
                path: _Written(item.content.digest, _state(there[path]))
                for path, item in wanted.items()
                if item.kind == FILE and item.content is not None and there[path].st_ctime_ns < now - _TICK
            }
            file.write(msgspec.json.encode(found))
        os.replace(f"{self.root}.json.new", f"{self.root}.json")

    def changes(self) -> Changed:
        """What is other than when it was written; contents stay on the disk until `write` is called again."""
        after = {path: _signature(status) for path, status in _look(self.root).items()}
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
            elif kind == FILE:
                found.append(Found(path, FILE, mode & 0o7777, content=file_content(full, size)))
            else:
                raise RequestError(f"the step left /{printable(path, 200)}, a socket, a pipe or a device")
        removed = [path for path in self._before if path not in after]
        return Changed(tuple(sorted(found, key=lambda item: item.path)), tuple(removed))
