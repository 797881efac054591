"""A tar file on disk by the names in it, and writing one whole or not at all; for the archives."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO, cast

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.streams import Stream
from wingo.archive.tar import tar_stream
from wingo.archive.unpack import MemberKind, read_tar, safe_components
from wingo.errors import Malformed, RequestError
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Hasher
from wingo.oci.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from wingo.stores.blobs import NewFile, host_errors, make_directory
from wingo.stores.layout import left_out
from wingo.stores.verified import VerifiedReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_LINKS = 8
_MAGICS = ((b"\x1f\x8b", "gunzip"), (b"\x28\xb5\x2f\xfd", "unzstd"), (b"BZh", "bunzip2"), (b"\xfd7zXZ", "unxz"))


def write_tar(path: str, files: Mapping[str, Content]) -> None:
    """Writes a tar of files and the directories that they are in, in that order, and renames it into its place."""
    target = os.path.realpath(path)
    with host_errors("write", path):
        try:
            if not stat.S_ISREG(os.stat(target).st_mode):
                raise RequestError(f"{path} is no regular file, and cannot be replaced by an archive")
        except FileNotFoundError:
            pass
    folder = os.path.dirname(target)
    make_directory(folder)
    with NewFile(folder) as new:
        for piece in tar_stream(LayerRecipe(tuple(_entries(files)), 0, "")):
            new.write(piece)
        new.commit(target)


def _entries(files: Mapping[str, Content]) -> Iterator[Entry]:
    folders: set[str] = set()
    for name, content in files.items():
        parts = name.split("/")
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            if folder not in folders:
                folders.add(folder)
                yield Entry(folder, EntryKind.DIRECTORY, 0o755)
        yield Entry(name, EntryKind.FILE, content=content)


class _Section(Stream):
    """A part of a file, which is closed with it."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._left = size
        file.seek(offset)

    def some(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class TarFile:
    """A tar on disk by the names in it; nothing is unpacked."""

    def __init__(self, path: str) -> None:
        """Goes through the headers once.

        Raises:
            RequestError: there is no such file, or it is compressed.
            Malformed: it is no tar.
            HostError: it cannot be read.
        """
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._described: dict[tuple[int, int], Descriptor] = {}
        with self._file() as file:
            self._refuse_compressed(file.read(6))
            file.seek(0)
            for member, _ in read_tar(file):
                parts = safe_components(member.name)
                name = "/".join(parts)
                if member.kind is MemberKind.FILE:
                    self._places[name] = (member.offset, member.size)
                    self._links.pop(name, None)
                elif member.kind is MemberKind.SYMLINK:
                    # As docker save wrote them before version 25: relative to where the link is.
                    self._links[name] = "/".join((*parts[:-1], member.link_target))
                    self._places.pop(name, None)
                elif member.kind is MemberKind.HARDLINK:
                    self._links[name] = member.link_target
                    self._places.pop(name, None)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, links followed."""
        return self._place(name) is not None

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file's bytes; None when it is not there."""
        place = self._place(name)
        if place is None:
            return None
        if place[1] > limit:
            raise Malformed(name[:80], f"{place[1]} bytes in {self._path}, more than the {limit} that wingo reads")
        with self._section(place) as section:
            data = section.read()
        if len(data) != place[1]:
            raise Malformed("tar", f"{self._path} is cut short")
        return data

    def open(self, name: str, descriptor: Descriptor) -> BinaryIO:
        """Opens a blob, which is checked while it is read.

        Raises:
            RequestError: it is not there.
        """
        place = self._place(name)
        if place is None:
            raise left_out(descriptor, self._path)
        what = f"{name} in {self._path}"
        return cast("BinaryIO", VerifiedReader(self._section(place), descriptor.digest, descriptor.size, what))

    def describe(self, name: str) -> Descriptor:
        """The descriptor of a layer, made from its bytes."""
        place = self._place(name)
        if place is None:
            raise AssertionError(name)
        if place in self._described:
            return self._described[place]
        hasher = Hasher()
        with self._section(place) as section:
            data = section.read(1 << 20)
            media_type = OCI_LAYER
            if data.startswith(b"\x1f\x8b"):
                media_type = OCI_LAYER_GZIP
            elif data.startswith(b"\x28\xb5\x2f\xfd"):
                media_type = OCI_LAYER_ZSTD
            while data:
                hasher.update(data)
                data = section.read(1 << 20)
        self._described[place] = Descriptor(media_type, hasher.digest(), hasher.size)
        return self._described[place]

    def _place(self, name: str) -> tuple[int, int] | None:
        for _ in range(_MAX_LINKS):
            name = _normal(name)
            if name not in self._links:
                break
            name = self._links[name]
        return self._places.get(name)

    def _section(self, place: tuple[int, int]) -> BinaryIO:
        return cast("BinaryIO", _Section(self._file(), *place))

    def _file(self) -> BinaryIO:
        with host_errors("read", self._path):
            try:
                return open(self._path, "rb", buffering=0)
            except FileNotFoundError as error:
                raise RequestError(f"there is no file {self._path}") from error
            except IsADirectoryError as error:
                raise RequestError(f"{self._path} is a directory, not an archive", hint="Write oci:DIR.") from error

    def _refuse_compressed(self, start: bytes) -> None:
        for magic, tool in _MAGICS:
            if start.startswith(magic):
                raise RequestError(
                    f"{self._path} is compressed, and an archive is read in place", hint=f"Unpack it first: {tool}."
                )


def _normal(name: str) -> str:
    """A name without `.` and `..`, which cannot lead out: what is above the top is the top."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
