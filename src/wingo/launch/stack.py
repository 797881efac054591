"""Layers that are unpacked, stacked to one tree with a writable layer on top: overlayfs, fuse-overlayfs, or a copy.

All of it happens inside the container's user and mount namespaces, so it needs no root, and ends with them.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum

import msgspec

from wingo.errors import HostError
from wingo.launch.kernel import MS_BIND, MS_NODEV, MS_REC, mount

OPAQUE = "user.overlay.opaque"
"""The attribute of a directory that hides what is below it, in a mount with `userxattr` (overlayfs.rst)."""
_MAX_OPTIONS = 4000
"""mount(2) takes one page of options."""
_FUSE_SECONDS = 10.0
_PIECE = 1 << 30


class Storage(Enum):
    """How layers are stacked."""

    OVERLAY = "overlay"
    FUSE = "fuse-overlayfs"
    COPY = "copy"


class Stack(msgspec.Struct, frozen=True):
    """Directories that make a container's files.

    Attributes:
        lowers: the layers, lowest first; never written.
        upper: what the container writes; for a copy: everything.
        work: overlayfs's own, beside `upper`.
        storages: the ways to try, in order.
        fuse: the path of fuse-overlayfs; "" when it is not installed.
    """

    lowers: tuple[str, ...]
    upper: str
    work: str
    storages: tuple[Storage, ...] = (Storage.OVERLAY, Storage.FUSE, Storage.COPY)
    fuse: str = ""


class OpenStack(msgspec.Struct, frozen=True):
    """The same as descriptors, opened while the account's own rights still hold."""

    lowers: tuple[int, ...]
    upper: int
    work: int
    parent: int


def open_stack(stack: Stack) -> OpenStack:
    """Opens the directories.

    Raises:
        OSError: one is not there.
    """
    flags = os.O_PATH | os.O_DIRECTORY
    return OpenStack(
        tuple(os.open(path, flags) for path in stack.lowers),
        os.open(stack.upper, flags),
        os.open(stack.work, flags),
        os.open(os.path.dirname(stack.upper), flags),
    )


def mount_stack(
    stack: Stack, opened: OpenStack, target: str, tell: Callable[[str], None], *, start: Callable[[Sequence[str]], None]
) -> Storage:
    """Mounts the layers with the writable layer on top.

    Args:
        stack: what to stack, and which ways to try.
        opened: its directories.
        target: where to; a directory.
        tell: is told why a way could not be gone.
        start: starts fuse-overlayfs, which runs as long as the container does.

    Raises:
        HostError: no way could be gone.
    """
    problems: list[str] = []
    for storage in stack.storages:
        try:
            if storage is Storage.OVERLAY:
                _overlay(opened, target)
            elif storage is Storage.FUSE:
                _fuse(stack, opened, target, start)
            else:
                if problems:
                    tell(f"the layers are copied for this container ({'; '.join(problems)})")
                _copy(opened, target)
        except OSError as error:
            problems.append(f"{storage.value}: {error.strerror or error}")
            continue
        return storage
    raise HostError(
        f"the image's layers cannot be stacked: {'; '.join(problems)}",
        hint="Leave out --storage: wingo then copies the layers where nothing else works.",
    )


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _options(lowers: Sequence[str], upper: str, work: str) -> str:
    options = f"lowerdir={':'.join(reversed(lowers))},upperdir={upper},workdir={work}"
    if len(options) > _MAX_OPTIONS:
        raise OSError(7, f"{len(lowers)} layers are more than one mount takes")
    return options


def _overlay(opened: OpenStack, target: str) -> None:
    if not opened.lowers:
        mount(_path(opened.upper), target, flags=MS_BIND | MS_REC)
        return
    options = _options([_path(each) for each in opened.lowers], _path(opened.upper), _path(opened.work))
    mount("overlay", target, "overlay", MS_NODEV, f"{options},userxattr")


def _fuse(stack: Stack, opened: OpenStack, target: str, start: Callable[[Sequence[str]], None]) -> None:
    if not stack.fuse:
        raise OSError(2, "it is not installed")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise OSError(13, "/dev/fuse cannot be opened")
    before = os.stat(target).st_dev
    # It is a program like others: it looks for the directories by their paths, which may lead through others' directories.
    folder = f"{target}-layers"
    os.mkdir(folder)
    lowers = []
    for number, layer in enumerate(opened.lowers):
        lowers.append(f"{folder}/{number}")
        os.mkdir(lowers[-1])
        mount(_path(layer), lowers[-1], flags=MS_BIND)
    os.mkdir(f"{folder}/own")
    mount(_path(opened.parent), f"{folder}/own", flags=MS_BIND)
    own = [f"{folder}/own/{os.path.basename(path)}" for path in (stack.upper, stack.work)]
    start([stack.fuse, "-f", "-o", _options(lowers, *own), target])
    deadline = time.monotonic() + _FUSE_SECONDS
    while os.stat(target).st_dev == before:
        if time.monotonic() > deadline:
            raise OSError(110, f"it did not mount within {_FUSE_SECONDS:.0f} seconds")
        with suppress(ChildProcessError):
            if os.waitpid(-1, os.WNOHANG)[0]:
                raise OSError(5, "it ended at once")
        time.sleep(0.002)


def _copy(opened: OpenStack, target: str) -> None:
    if not os.listdir(_path(opened.upper)):
        for layer in opened.lowers:
            copy_layer(_path(layer), _path(opened.upper))
    mount(_path(opened.upper), target, flags=MS_BIND | MS_REC)


def copy_layer(source: str, target: str) -> None:
    """Lays an unpacked layer over a directory, its whiteouts and opaque directories obeyed."""
    if is_opaque(source):
        for name in os.listdir(target):
            _remove(os.path.join(target, name))
    for entry in sorted(os.scandir(source), key=lambda item: item.name):
        status = entry.stat(follow_symlinks=False)
        over = os.path.join(target, entry.name)
        if is_whiteout(status):
            _remove(over)
        elif stat.S_ISDIR(status.st_mode):
            if not (os.path.isdir(over) and not os.path.islink(over)):
                _remove(over)
                os.mkdir(over)
            copy_layer(entry.path, over)
            _like(status, over)
        else:
            _remove(over)
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(entry.path), over)
                os.chown(over, status.st_uid, status.st_gid, follow_symlinks=False)
            elif stat.S_ISREG(status.st_mode):
                _copy_file(entry.path, over)
                _like(status, over)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether it is overlayfs's sign that what is below is gone: a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str) -> bool:
    """Whether a directory hides what is below it."""
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _like(status: os.stat_result, path: str) -> None:
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
    else:
        for entry in os.scandir(path):
            _remove(entry.path)
        os.rmdir(path)


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as read, open(target, "wb") as written:
        while os.sendfile(written.fileno(), read.fileno(), None, _PIECE):
            pass
