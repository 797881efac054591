"""What is copied into an image beside its program: `--copy`, the `files` table, `wingodata/`, ko's `kodata/`.

Directories are walked in name order; links inside the tree stay links, a link that leads out of it is refused, because
what it means would depend on the machine. Owners, modes and times of the machine do not travel: a file is executable
or it is not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import BinaryIO

import msgspec

from wingo.archive.entry import Content
from wingo.errors import HostError, RequestError

MAX_FILES = 1_000_000
"""Files that one build may copy."""


class ItemKind(Enum):
    """What is copied."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


class Item(msgspec.Struct, frozen=True):
    """One thing to put into the image, before the platform's rules.

    Attributes:
        target: the path in the image as the user wrote it, then "/" and the path below the source.
        kind: what it is.
        source: where it comes from, for messages.
        attributes: the text after the second colon of `--copy`.
        content: a file's.
        link_target: a link's text, with forward slashes, relative.
        to_directory: whether the link leads to a directory (Windows tells the two apart).
        executable: whether the owner may execute it.
    """

    target: str
    kind: ItemKind
    source: str
    attributes: str = ""
    content: Content | None = None
    link_target: str = ""
    to_directory: bool = False
    executable: bool = False


class CopyRequest(msgspec.Struct, frozen=True):
    """`SRC:DST[:ATTRIBUTES]`.

    Attributes:
        source: an absolute path on this machine.
        target: a path in the image; with a trailing slash: the directory that the source goes into.
        attributes: as the platforms' rooms read them.
        origin: the flag or key, for messages.
        follow: a link that leads out of the source is followed, not refused; ko's `kodata` often links to `.git/HEAD`.
    """

    source: str
    target: str
    attributes: str = ""
    origin: str = ""
    follow: bool = False


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Says which path could not be read, and why."""
    try:
        yield
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror or error}") from error


def parse_copy(text: str, origin: str) -> CopyRequest:
    r"""Reads `SRC:DST[:ATTRIBUTES]`; a drive letter's colon belongs to its path (`conf:C:\app\conf:ro`).

    Raises:
        RequestError: there is no DST.
    """
    source, rest = _until_colon(text)
    target, attributes = _until_colon(rest)
    if not source or not target:
        raise RequestError(
            f"{origin} takes SRC:DST[:ATTRIBUTES], not {text!r}", hint="Write for instance conf:C:\\app\\conf."
        )
    return CopyRequest(source, target, attributes, origin)


def _until_colon(text: str) -> tuple[str, str]:
    start = 2 if len(text) > 2 and text[0].isalpha() and text[1] == ":" and text[2] in "\\/" else 0
    head, _, rest = text[start:].partition(":")
    return text[:start] + head, rest


def read_items(request: CopyRequest) -> list[Item]:
    """Everything that a request copies: the file, or the directory with all that is below it.

    Raises:
        RequestError: the source does not exist, has a socket, a device or a pipe in it, or a link that leads out of it.
        HostError: it cannot be read.
    """
    source = request.source
    into_directory = request.target.endswith(("/", "\\"))
    if not os.path.lexists(source):
        raise RequestError(f"{request.origin}: {source} does not exist")
    with reading(source):
        status = os.stat(source)
    if stat.S_ISREG(status.st_mode):
        target = request.target + os.path.basename(source) if into_directory else request.target
        return [_file(source, target, status, request)]
    if not stat.S_ISDIR(status.st_mode):
        raise RequestError(f"{request.origin}: {source} is neither a file nor a directory")
    target = request.target.rstrip("/\\") if into_directory else request.target
    # The root itself is the base's: only what is in the directory goes there.
    to_root = not target or target[1:] == ":"
    items = [] if to_root else [Item(target, ItemKind.DIRECTORY, source, request.attributes)]
    _walk(source, target, "", request, items)
    return items


def _walk(folder: str, target: str, below: str, request: CopyRequest, items: list[Item]) -> None:
    with reading(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        name = f"{target}/{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            _add_link(entry.path, name, f"{below}{entry.name}", request, items)
        elif stat.S_ISDIR(status.st_mode):
            items.append(Item(name, ItemKind.DIRECTORY, entry.path, request.attributes))
            _walk(entry.path, name, f"{below}{entry.name}/", request, items)
        elif stat.S_ISREG(status.st_mode):
            items.append(_file(entry.path, name, status, request))
        else:
            raise RequestError(f"{request.origin}: {entry.path} is a socket, a pipe or a device and cannot be copied")
        if len(items) > MAX_FILES:
            raise RequestError(f"{request.origin}: {request.source} has more than {MAX_FILES} files")


def _file(path: str, target: str, status: os.stat_result, request: CopyRequest) -> Item:
    return Item(
        target,
        ItemKind.FILE,
        path,
        request.attributes,
        content=file_content(path, status.st_size),
        executable=bool(status.st_mode & stat.S_IXUSR),
    )


def _add_link(path: str, target: str, below: str, request: CopyRequest, items: list[Item]) -> None:
    text = os.readlink(path).replace(os.sep, "/")
    reached = os.path.normpath(os.path.join(os.path.dirname(below), text)).replace(os.sep, "/")
    if not (os.path.isabs(text) or reached == ".." or reached.startswith("../")):
        to_directory = os.path.isdir(path)
        items.append(Item(target, ItemKind.LINK, path, request.attributes, link_target=text, to_directory=to_directory))
        return
    if not request.follow:
        raise RequestError(
            f"{request.origin}: the link {path} leads out of {request.source}, to {text}",
            hint="Copy the file that it leads to, or make the link relative and inside the directory.",
        )
    with reading(path):
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise RequestError(f"{request.origin}: the link {path} leads out of {request.source}, and not to a file")
    items.append(_file(path, target, status, request))


def file_content(path: str, size: int) -> Content:
    """A file of this machine as content.

    Opening it later raises `HostError` when it has gone by then.
    """

    def open_file() -> BinaryIO:
        with reading(path):
            return open(path, "rb")

    return Content(size, open_file, path)


def bytes_content(data: bytes, origin: str) -> Content:
    """Bytes at hand as content."""
    from io import BytesIO

    return Content(len(data), lambda: BytesIO(data), origin)


class DataFolder(msgspec.Struct, frozen=True):
    """A directory beside a main package that travels with the program without being asked for.

    Attributes:
        target: where it goes; relative: beside the program.
        variable: the environment variable that tells the program where that is.
        follow: see `CopyRequest`.
    """

    target: str
    variable: str
    follow: bool = False


DATA_FOLDERS = {
    "wingodata": DataFolder("wingodata", "WINGO_DATA_PATH"),
    "kodata": DataFolder("/var/run/ko", "KO_DATA_PATH", follow=True),
}
"""Such directories by their names; the second is ko's (ko.build/features/static-assets)."""


def data_requests(directory: str) -> list[CopyRequest]:
    """The data folders that are there beside a main package."""
    return [
        CopyRequest(os.path.join(directory, name), folder.target, origin=name, follow=folder.follow)
        for name, folder in DATA_FOLDERS.items()
        if os.path.isdir(os.path.join(directory, name))
    ]
