"""What a container wrote, as the entries of a layer: overlayfs's whiteouts and opaque directories become the image's.

Source: image-spec `layer.md`, "Whiteouts" and "Opaque Whiteout"; `Documentation/filesystems/overlayfs.rst`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from wingo.archive.entry import Content, Entry, EntryKind
from wingo.errors import HostError
from wingo.launch.identity import Identity
from wingo.launch.stack import Storage, is_opaque, is_whiteout

_CAPABILITY = "security.capability"
_OPAQUE, _WHITEOUT = ".wh..wh..opq", ".wh."


def capture(
    upper: str,
    identity: Identity,
    *,
    storage: Storage = Storage.OVERLAY,
    lowers: Iterable[str] = (),
    made: Iterable[str] = (),
) -> tuple[Entry, ...]:
    """The writable layer of a container, sorted by name.

    Args:
        upper: its directory.
        identity: whose numbers the owners are.
        storage: how it was stacked: a copy has everything, and is compared with the layers.
        lowers: the layers, lowest first; for a copy.
        made: paths that were made only to mount something on them; they are left out where they are still empty.

    Raises:
        HostError: something cannot be read.
    """
    try:
        entries = list(_walk(upper, "", identity, {*made}, {}))
        lowers = list(lowers)
        if storage is Storage.COPY:
            entries = _changes(entries, upper, lowers)
        entries = _without_marks(entries, upper, {*made}, lowers)
    except OSError as error:
        raise HostError(f"cannot read {error.filename or upper}: {error.strerror}") from error
    return tuple(entries)


def _walk(
    root: str, below: str, identity: Identity, made: set[str], seen: dict[tuple[int, int], str]
) -> Iterator[Entry]:
    for entry in sorted(os.scandir(os.path.join(root, below)), key=lambda item: item.name):
        name = f"{below}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if f"/{name}" in made and _is_empty(entry.path, status):
            continue
        if entry.name.startswith(_WHITEOUT):
            # fuse-overlayfs's own spelling, which is the image's too.
            if entry.name != _OPAQUE or not is_opaque(os.path.dirname(entry.path)):
                yield Entry(name, EntryKind.FILE, content=_nothing())
            continue
        if is_whiteout(status):
            yield Entry(f"{below}{_WHITEOUT}{entry.name}", EntryKind.FILE, content=_nothing())
            continue
        described = _described(name, entry.path, status, identity, seen)
        if described is None:
            continue  # a pipe or a socket: what was at its other end is not in a layer
        yield described
        if described.kind is EntryKind.DIRECTORY:
            if is_opaque(entry.path):
                yield Entry(f"{name}/{_OPAQUE}", EntryKind.FILE, content=_nothing())
            yield from _walk(root, f"{name}/", identity, made, seen)


def _described(
    name: str, path: str, status: os.stat_result, identity: Identity, seen: dict[tuple[int, int], str]
) -> Entry | None:
    mode = stat.S_IMODE(status.st_mode)
    uid, gid = identity.uid_inside(status.st_uid), identity.gid_inside(status.st_gid)
    if stat.S_ISDIR(status.st_mode):
        return Entry(name, EntryKind.DIRECTORY, mode, uid, gid)
    if stat.S_ISLNK(status.st_mode):
        return Entry(name, EntryKind.SYMLINK, 0o777, uid, gid, link_target=os.readlink(path))
    if not stat.S_ISREG(status.st_mode):
        return None
    first = seen.setdefault((status.st_dev, status.st_ino), name)
    if first != name:
        return Entry(name, EntryKind.HARDLINK, mode, uid, gid, link_target=first)
    content = Content(status.st_size, lambda: _open(path), path)
    return Entry(name, EntryKind.FILE, mode, uid, gid, content=content, pax=_attributes(path))


def _attributes(path: str) -> tuple[tuple[str, str], ...]:
    """A file's capabilities, as an image has them: without the user namespace that they were set in (capabilities(7))."""
    try:
        value = os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return ()
    magic = int.from_bytes(value[:4], "little")
    if magic >> 24 == 3 and len(value) == 24:
        value = ((magic & 0xFFFFFF) | 2 << 24).to_bytes(4, "little") + value[4:20]
    return ((f"SCHILY.xattr.{_CAPABILITY}", value.decode("utf-8", "surrogateescape")),)


def _open(path: str) -> BinaryIO:
    try:
        return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise HostError(
            f"cannot read {path}: {error.strerror}",
            hint="A file of the container's that only another user may read: as root.",
        ) from error


def _without_marks(entries: list[Entry], upper: str, made: set[str], lowers: list[str]) -> list[Entry]:
    """Without directories that are there only because something was made in them to mount on."""
    folders = {path.rpartition("/")[0].lstrip("/") for path in made} | {path.lstrip("/") for path in made}
    left: list[Entry] = []
    occupied: set[str] = set()
    for entry in reversed(entries):
        plain = entry.kind is EntryKind.DIRECTORY and entry.name in folders and entry.name not in occupied
        if plain and (f"/{entry.name}" in made or _is_below(entry.name, upper, lowers)):
            continue
        occupied.add(entry.name.rpartition("/")[0])
        left.append(entry)
    return left[::-1]


def _is_below(name: str, upper: str, lowers: list[str]) -> bool:
    """Whether a directory of the writable layer is as the layers have it."""
    for layer in reversed(lowers):
        path = os.path.join(layer, name)
        if os.path.isdir(path) and not os.path.islink(path):
            return _is_same(os.path.join(upper, name), path)
    return False


def _is_empty(path: str, status: os.stat_result) -> bool:
    if stat.S_ISDIR(status.st_mode):
        return all(name.startswith(_WHITEOUT) for name in os.listdir(path))
    return stat.S_ISREG(status.st_mode) and not status.st_size


def _nothing() -> Content:
    from io import BytesIO

    return Content(0, lambda: BytesIO(b""), "a whiteout")


def _changes(entries: list[Entry], upper: str, lowers: Iterable[str]) -> list[Entry]:
    """Of a whole tree, what is not in the layers as it is; and whiteouts of what is in the layers alone."""
    below = _merged(lowers)
    found = []
    kept_folders: set[str] = set()
    for entry in reversed(entries):
        path = below.pop(entry.name, None)
        if path is None or entry.name in kept_folders or not _is_same(os.path.join(upper, entry.name), path):
            found.append(entry)
            parent = entry.name.rpartition("/")[0]
            if parent:
                kept_folders.add(parent)
    gone = [name for name in below if name.rpartition("/")[0] not in below]
    for name in gone:
        folder, _, last = name.rpartition("/")
        found.append(Entry(f"{folder}/{_WHITEOUT}{last}".lstrip("/"), EntryKind.FILE, content=_nothing()))
    return sorted(found, key=lambda entry: entry.name)


def _merged(lowers: Iterable[str]) -> dict[str, str]:
    """Every path of stacked layers, and where it is."""
    merged: dict[str, str] = {}
    for layer in lowers:
        for folder, folders, files in os.walk(layer):
            below = os.path.relpath(folder, layer)
            prefix = "" if below == "." else f"{below}/"
            if is_opaque(folder) and prefix:
                merged = {name: path for name, path in merged.items() if not name.startswith(prefix)}
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                status = os.lstat(path)
                full = prefix + name
                if is_whiteout(status) or not stat.S_ISDIR(status.st_mode):
                    merged = {known: at for known, at in merged.items() if not known.startswith(f"{full}/")}
                if is_whiteout(status):
                    merged.pop(full, None)
                else:
                    merged[full] = path
    return merged


def _is_same(one: str, other: str) -> bool:
    first, second = os.lstat(one), os.lstat(other)
    if (first.st_mode, first.st_uid, first.st_gid) != (second.st_mode, second.st_uid, second.st_gid):
        return False
    if stat.S_ISDIR(first.st_mode):
        return True
    if stat.S_ISLNK(first.st_mode):
        return os.readlink(one) == os.readlink(other)
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)
