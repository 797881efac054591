"""Whether anything that a build read has changed since: a look at the file system, no process.

As git's index: each file has the size, times, inode and mode that it had when it was read, and only when one of them
differs is its content read again. A record is only kept when every file in it was last changed *before* the build began
(by the file system's own clock), so an edit during the build, or in the same tick, always shows. Any doubt means building.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import msgspec

from wingo.golang.git import VcsFacts, VcsState

_VERSION = 3
_MAX_RECORD_BYTES = 64 << 20
_MAX_READ_BYTES = 64 << 20
_COARSE = 2_000_000_000
_SECOND = 1_000_000_000
_POSIX = os.name == "posix"
_EXTENSIONS = (
    ".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".s", ".S", ".sx",
    ".swig", ".swigcxx", ".syso",
)  # fmt: skip


class Role(Enum):
    """What a change of a file means."""

    SOURCE = "g"
    """A Go file: what it depends on changes only with its head (`gosource.head`)."""
    DATA = "d"
    """An embedded file, a profile, or any other content: no dependency hangs on it."""
    RULE = "m"
    """go.mod and whatever else decides what is built."""
    PRESENCE = "p"
    """Only whether it is there, as a file, a directory or a link, and that link's text."""


class Kind(Enum):
    """Which names of a directory matter."""

    SOURCES = "g"
    """Those that can be part of a package."""
    TREE = "w"
    """Those, and the directories that a `...` pattern looks into."""
    ALL = "a"
    """All: a `//go:embed` pattern looks into it."""


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was when it was read; size -1 when it was missing."""

    path: str
    role: Role
    size: int = -1
    mtime: int = 0
    ctime: int = 0
    inode: int = 0
    mode: int = 0
    digest: str = ""
    head: str = ""
    link: str = ""


class DirectoryState(msgspec.Struct, frozen=True, array_like=True):
    """A directory as it was when it was listed; the listing is "" when it was missing."""

    path: str
    kind: Kind
    mtime: int = 0
    ctime: int = 0
    inode: int = 0
    listing: str = ""
    mode: int = 0


class Watch(msgspec.Struct, frozen=True):
    """What to look at.

    Attributes:
        files: paths by what a change means.
        directories: paths by which of their names matter.
    """

    files: tuple[tuple[str, Role], ...] = ()
    directories: tuple[tuple[str, Kind], ...] = ()


class Binary(msgspec.Struct, frozen=True):
    """A program that was built; its path is named for its content and never holds another.

    Attributes:
        path: of the executable.
        sha256: of its bytes, in hexadecimal.
        size: bytes.
        name: what it is called, without ".exe".
        import_path: of its main package.
        directory: of the sources; "" when they are not on disk.
        module: the main module's path.
        version: the module's version; "" in a checkout.
        vcs: what version control said; None when nothing.
        mtime: of the file, to see whether somebody touched it.
    """

    path: str
    sha256: str
    size: int
    name: str
    import_path: str
    directory: str
    module: str
    version: str = ""
    vcs: VcsFacts | None = None
    mtime: int = 0


class Pinned(msgspec.Struct, frozen=True):
    """A published module that was asked for by a moving name.

    Attributes:
        module: its path.
        asked: "latest" or a branch.
        version: what that was.
    """

    module: str
    asked: str
    version: str


class Record(msgspec.Struct, frozen=True):
    """What a build read and what it made."""

    binaries: tuple[Binary, ...]
    files: tuple[FileState, ...] = ()
    directories: tuple[DirectoryState, ...] = ()
    repositories: tuple[VcsState, ...] = ()
    pinned: tuple[Pinned, ...] = ()
    notes: tuple[str, ...] = ()
    zones: bool = False
    complete: bool = True
    version: int = _VERSION

    def watch(self) -> Watch:
        """What to look at, without how it was."""
        return Watch(
            tuple((file.path, file.role) for file in self.files),
            tuple((folder.path, folder.kind) for folder in self.directories),
        )


class Difference(msgspec.Struct, frozen=True):
    """How the file system differs from a record.

    Attributes:
        reason: for people, the first difference; "" when there is none.
        relist: whether what is depended on may have changed, not only contents.
    """

    reason: str = ""
    relist: bool = False


class Glance:
    """One look at the file system: each path is asked for once, however many builds share it."""

    def __init__(self) -> None:
        self._seen: dict[str, os.stat_result | None] = {}

    def stat(self, path: str) -> os.stat_result | None:
        """`lstat`, or None when there is nothing there (or it cannot be seen, which is never what was recorded)."""
        try:
            return self._seen[path]
        except KeyError:
            pass
        try:
            found: os.stat_result | None = os.lstat(path)
        except OSError:
            found = None
        self._seen[path] = found
        return found

    def stat_if_seen(self, path: str) -> os.stat_result | None:
        """What was seen of a path; None when nothing, or nobody looked."""
        return self._seen.get(path)


def read_record(path: str) -> Record | None:
    """Reads a record; None when there is none, or it is damaged or of another version."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_RECORD_BYTES + 1)
        digest, _, body = data.partition(b"\n")
        if len(data) > _MAX_RECORD_BYTES or digest != hashlib.sha256(body).hexdigest().encode():
            return None
        record = msgspec.json.decode(body, type=Record)
    except (OSError, msgspec.DecodeError, UnicodeError):
        return None
    return record if record.version == _VERSION else None


def write_record(path: str, record: Record) -> None:
    """Writes a record whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    body = msgspec.json.encode(record)
    temporary = f"{path}.{os.getpid()}.{id(record):x}"
    try:
        with open(temporary, "wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def compare(record: Record, glance: Glance) -> Difference:
    """Looks whether the files and directories of a record are as they were."""
    reason, relist = "", False
    for folder in record.directories:
        now = _directory(folder.path, folder.kind, glance, folder)
        if now.listing != folder.listing:
            reason, relist = reason or f"{folder.path} has other files", True
        elif folder.kind is Kind.ALL and now.mode != folder.mode:
            reason = reason or f"{folder.path} has other permissions"
    for file in record.files:
        found = glance.stat(file.path)
        if found is None:
            if file.size >= 0:
                reason, relist = reason or f"{file.path} is gone", True
        elif not _same(file, found):
            how = _content(file, found)
            if how != "same":
                event = "is new" if file.size < 0 else "changed"
                reason, relist = reason or f"{file.path} {event}", relist or how == "rule"
    return Difference(reason, relist)


def binaries_intact(record: Record, glance: Glance) -> bool:
    """Whether what the record's build made is still there as it was left."""
    for binary in record.binaries:
        found = glance.stat(binary.path)
        if found is None or found.st_size != binary.size or found.st_mtime_ns != binary.mtime:
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
    return bool(record.binaries)


class Observation(msgspec.Struct, frozen=True):
    """The state of what is watched, to be recorded.

    Attributes:
        files: in the order of the watch.
        directories: in the order of the watch.
        unsettled: a path that may have changed since the build began; "" when none has.
    """

    files: tuple[FileState, ...]
    directories: tuple[DirectoryState, ...]
    unsettled: str = ""


def observe(
    watch: Watch,
    began: os.stat_result,
    before: Glance,
    known: Iterable[FileState] = (),
    read: Mapping[str, str] | None = None,
) -> Observation:
    """Looks at everything after a build, to record it.

    Args:
        watch: what the build read.
        began: the state of something that was made just before the build began: the file system's idea of that time.
        before: what was seen before the build began; files on other file systems, whose clock may differ, are trusted
            when they have not changed since that look.
        known: states whose digests hold for files that have not changed.
        read: the sha256, in hexadecimal, of files that were read since the build began.
    """
    glance = Glance()
    old = {file.path: file for file in known}
    unsettled = ""
    files: list[FileState] = []
    for path, role in watch.files:
        state = _observe_file(path, role, glance, old.get(path), (read or {}).get(path, ""))
        files.append(state)
        looks_at_link = role is Role.PRESENCE and state.link != ""
        decides = state.size >= 0 and (role is not Role.PRESENCE or looks_at_link)
        if decides and not _settled(path, glance, before, began, follow=not looks_at_link):
            unsettled = unsettled or path
    directories: list[DirectoryState] = []
    for path, kind in watch.directories:
        directory = _directory(path, kind, glance)
        directories.append(directory)
        if directory.listing and not _settled(path, glance, before, began):
            unsettled = unsettled or path
    if not unsettled:
        # Whatever was read above must be what was there when it was looked at.
        again = Glance()
        unsettled = next((path for path, _ in watch.files if not _equal(glance.stat(path), again.stat(path))), "")
    return Observation(tuple(files), tuple(directories), unsettled)


def _observe_file(path: str, role: Role, glance: Glance, old: FileState | None, read: str) -> FileState:
    found = glance.stat(path)
    if found is None:
        return FileState(path, role)
    if old is not None and old.role is role and _same(old, found):
        return old
    link = _target(path) if stat.S_ISLNK(found.st_mode) else ""
    if role is Role.PRESENCE:
        return FileState(path, role, 0, mode=stat.S_IFMT(found.st_mode), link=link)
    data = _read(path) if link or role is Role.SOURCE or not read else None
    digest = hashlib.sha256(data).hexdigest()[:32] if data is not None else "" if link else read[:32]
    return FileState(
        path,
        role,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_mode,
        digest,
        _head(data) if role is Role.SOURCE and data is not None else "",
        link,
    )


def _same(file: FileState, found: os.stat_result) -> bool:
    if file.role is Role.PRESENCE:
        there = file.size >= 0 and file.mode == stat.S_IFMT(found.st_mode)
        return there and (not file.link or _target(file.path) == file.link)
    return (
        file.mtime == found.st_mtime_ns
        and file.ctime == found.st_ctime_ns
        and file.size == found.st_size
        and file.inode == found.st_ino
        and file.mode == found.st_mode
        and not file.link  # a link says nothing of the file it leads to: that is read each time
    )


def _content(file: FileState, found: os.stat_result) -> str:
    """How a file with another state differs: "same", "body" (the same dependencies), or "rule"."""
    if file.role is Role.PRESENCE or file.size < 0 or stat.S_IFMT(file.mode) != stat.S_IFMT(found.st_mode):
        return "rule"
    if file.link and _target(file.path) != file.link:
        return "rule"
    data = _read(file.path)
    if data is None:
        return "rule"
    if file.digest and hashlib.sha256(data).hexdigest()[:32] == file.digest:
        # Go ignores permissions; whoever watches other data (files to copy) may not.
        return "body" if file.role is Role.DATA and file.mode != found.st_mode else "same"
    if file.role is Role.DATA or (file.role is Role.SOURCE and file.head and _head(data) == file.head):
        return "body"
    return "rule"


def _head(data: bytes) -> str:
    from wingo.golang.gosource import head  # only when something changed

    return head(data)


def _read(path: str) -> bytes | None:
    """A file's content; None when it cannot be read, is too large, or is no regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            data = file.read(_MAX_READ_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= _MAX_READ_BYTES else None


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "?"


def _directory(path: str, kind: Kind, glance: Glance, old: DirectoryState | None = None) -> DirectoryState:
    found = glance.stat(path)
    if found is not None and stat.S_ISLNK(found.st_mode):
        try:
            found = os.stat(path)
        except OSError:
            found = None
    if found is None or not stat.S_ISDIR(found.st_mode):
        return old if old is not None and not old.listing else DirectoryState(path, kind)
    if (
        old is not None
        and old.listing
        and old.mtime == found.st_mtime_ns
        and old.ctime == found.st_ctime_ns
        and old.inode == found.st_ino
    ):
        return old
    listing = _listing(path, kind)
    return DirectoryState(
        path, kind, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, listing, found.st_mode if listing else 0
    )


def _listing(path: str, kind: Kind) -> str:
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                letter = "l" if entry.is_symlink() else "d" if entry.is_dir(follow_symlinks=False) else "f"
                if kind is Kind.ALL or relevant_name(name, letter, kind):
                    names.append(f"{name}\0{letter}")
    except OSError:
        return "unreadable"
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def relevant_name(name: str, letter: str, kind: Kind) -> bool:
    """Whether a name in a directory can matter to the go command (`go help packages`, `go help buildconstraint`)."""
    if name in ("go.mod", "default.pgo"):
        return True
    if name.startswith(("_", ".")):
        return False
    if letter == "d":
        return kind is Kind.TREE and name != "testdata"
    return name.endswith(_EXTENSIONS) and not name.endswith("_test.go")


def _settled(path: str, glance: Glance, before: Glance, began: os.stat_result, *, follow: bool = True) -> bool:
    found = glance.stat(path)
    if follow and found is not None and stat.S_ISLNK(found.st_mode):
        try:
            found = os.stat(path)
        except OSError:
            return False
    if found is None:
        return False
    changed, limit = (found.st_ctime_ns, began.st_ctime_ns) if _POSIX else (found.st_mtime_ns, began.st_mtime_ns)
    slack = 0
    if changed % _SECOND == 0:
        slack = _COARSE  # a file system that counts in seconds
    elif found.st_dev != began.st_dev:
        seen = before.stat_if_seen(path)
        slack = 0 if seen is not None and _equal(seen, found) else _COARSE
    return changed < limit - slack


def _equal(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.st_mtime_ns, one.st_ctime_ns, one.st_size, one.st_ino, one.st_mode) == (
        other.st_mtime_ns,
        other.st_ctime_ns,
        other.st_size,
        other.st_ino,
        other.st_mode,
    )


def first_changed(states: Sequence[VcsState], now: Sequence[VcsState]) -> str:
    """Why the VCS stamp would be another; "" when it would be the same."""
    current = {state.root: state.token for state in now}
    for state in states:
        if not state.token or current.get(state.root) != state.token:
            return f"the repository {state.root} has another commit, tags or changes"
    return ""
