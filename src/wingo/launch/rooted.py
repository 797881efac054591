"""Paths inside a directory that somebody else filled: no link in it leads out of it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from wingo.errors import ContentError
from wingo.launch.kernel import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_MAX_SMALL = 1 << 20
_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def open_in_root(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Opens a path as a program would whose root the directory is.

    Args:
        root: a descriptor of the directory.
        path: absolute or relative to it.
        flags: as for open(2).

    Raises:
        OSError: it is not there, or cannot be opened.
    """
    return openat2(root, path, flags, _RESOLVE)


def read_in_root(root: int, path: str) -> str:
    """A small text file; "" when it is not there or is no file."""
    try:
        found = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(found, "rb") as file:
        try:
            return file.read(_MAX_SMALL).decode("utf-8", "replace")
        except OSError:
            return ""


def make_target(root: int, path: str, *, directory: bool) -> tuple[int, list[str]]:
    """Opens what a mount is to cover, and makes it where it is missing.

    Args:
        root: a descriptor of the directory.
        path: where.
        directory: whether a directory is mounted there, or a file.

    Returns:
        A descriptor, and the paths that were made.

    Raises:
        ContentError: the image has something there that nothing can be mounted on.
        OSError: it cannot be made.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    made: list[str] = []
    there = os.dup(root)
    for at, part in enumerate(parts):
        below = "/".join(parts[: at + 1])
        last = at == len(parts) - 1
        try:
            found = open_in_root(root, below)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                os.close(there)
                raise ContentError(f"nothing can be mounted on {path}: {error.strerror}") from error
            # A link that leads nowhere is in the way too: it is covered only if it can be replaced, so it is refused.
            if last and not directory:
                with suppress(FileExistsError):
                    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o644, dir_fd=there))
            else:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=there)
            made.append("/" + below)
            try:
                found = open_in_root(root, below)
            except OSError as again:
                os.close(there)
                raise ContentError(
                    f"nothing can be mounted on {path}: the image's /{below} is a link that leads nowhere"
                ) from again
        os.close(there)
        there = found
    is_directory = os.path.isdir(f"/proc/self/fd/{there}")
    if is_directory != directory:
        os.close(there)
        wanted, has = ("directory", "file") if directory else ("file", "directory")
        raise ContentError(f"a {wanted} cannot be mounted on {path}, which is a {has} in the image")
    return there, made
