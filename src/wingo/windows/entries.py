"""Tar entries as the Windows importer reads them: the PAX records, attributes, link targets and tombstones.

Sources: go-winio `backuptar/tar.go`, `reparse.go`; hcsshim `pkg/ociwclayer/import.go`; image-spec `layer.md`.
"""

from __future__ import annotations

import binascii
import io
from functools import lru_cache

from wingo.archive.entry import Content, Entry, EntryKind
from wingo.windows.paths import Components
from wingo.windows.requests import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT,
)
from wingo.windows.security import SecurityDescriptor, encode_descriptor

WHITEOUT_PREFIX = ".wh."
_NOTHING = Content(0, io.BytesIO, "a whiteout")


def entry_name(path: Components) -> str:
    """A path's name in a layer: `Files/app/x`."""
    return "/".join(("Files", *path))


class EntryWriter:
    """Makes entries that all have the same times.

    mtime is the recipe's; the other three are records here, because the importer takes absent ones for the year 1754.
    """

    def __init__(self, epoch: int) -> None:
        time = str(epoch)
        self._times = (("LIBARCHIVE.creationtime", time), ("atime", time), ("ctime", time))

    def directory(self, name: str, descriptor: SecurityDescriptor | None = None, bits: int = 0) -> Entry:
        """A directory; `bits` are attributes beyond the one that makes it a directory."""
        records = self._records(FILE_ATTRIBUTE_DIRECTORY | bits, descriptor)
        return Entry(name, EntryKind.DIRECTORY, mode=0o755, pax=records)

    def file(self, name: str, content: Content, descriptor: SecurityDescriptor, bits: int = 0) -> Entry:
        """A file."""
        records = self._records(FILE_ATTRIBUTE_ARCHIVE | bits, descriptor)
        return Entry(name, EntryKind.FILE, mode=0o644, content=content, pax=records)

    def link(
        self, name: str, target: str, descriptor: SecurityDescriptor, *, directory: bool, junction: bool = False
    ) -> Entry:
        """A symbolic link or a junction; `target` is the text of the reparse point, in Windows' spelling."""
        bits = FILE_ATTRIBUTE_REPARSE_POINT | (FILE_ATTRIBUTE_DIRECTORY if directory else FILE_ATTRIBUTE_ARCHIVE)
        records = self._records(bits, descriptor, (("MSWINDOWS.mountpoint", "1"),) if junction else ())
        return Entry(name, EntryKind.SYMLINK, mode=0o777, link_target=target, pax=records)

    def hard_link(self, name: str, target: Components) -> Entry:
        """One more name of a file; the target's text is a name in a layer, unlike a symbolic link's."""
        records = self._records(FILE_ATTRIBUTE_ARCHIVE)
        return Entry(name, EntryKind.HARDLINK, link_target=entry_name(target), pax=records)

    def whiteout(self, path: Components) -> Entry:
        """A tombstone."""
        name = entry_name((*path[:-1], WHITEOUT_PREFIX + path[-1]))
        return Entry(name, EntryKind.FILE, content=_NOTHING, pax=self._records(FILE_ATTRIBUTE_ARCHIVE))

    def _records(
        self, bits: int, descriptor: SecurityDescriptor | None = None, more: tuple[tuple[str, str], ...] = ()
    ) -> tuple[tuple[str, str], ...]:
        described = (("MSWINDOWS.rawsd", _base64(descriptor)),) if descriptor is not None else ()
        return tuple(sorted((*self._times, ("MSWINDOWS.fileattr", str(bits)), *more, *described)))


@lru_cache(maxsize=1024)
def _base64(descriptor: SecurityDescriptor) -> str:
    return binascii.b2a_base64(encode_descriptor(descriptor), newline=False).decode()
