"""`Entry` and `LayerRecipe`: what goes into a layer, before it has a digest (design, decision 3)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import BinaryIO

import msgspec


class EntryKind(Enum):
    """What an entry is; the value is its ustar type flag (POSIX pax, "ustar Interchange Format")."""

    FILE = "0"
    HARDLINK = "1"
    SYMLINK = "2"
    DIRECTORY = "5"


class Content(msgspec.Struct, frozen=True):
    """A file's bytes.

    Attributes:
        size: in bytes; reading more or fewer is an error.
        open: gives a fresh stream of them.
        origin: where they come from, for messages.
        digest: of the bytes, when somebody already knows it; "" otherwise.
    """

    size: int
    open: Callable[[], BinaryIO]
    origin: str
    digest: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One tar entry.

    Attributes:
        name: forward slashes, relative, no trailing slash.
        kind: what it is.
        mode: permission bits.
        uid: the owner's number.
        gid: the group's number.
        content: a file's bytes; None for everything else.
        link_target: the target's text, exactly as it is to stand in the header.
        pax: extra records (key, value), for instance `MSWINDOWS.rawsd`; written sorted by key.
    """

    name: str
    kind: EntryKind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: Content | None = None
    link_target: str = ""
    pax: tuple[tuple[str, str], ...] = ()


class LayerRecipe(msgspec.Struct, frozen=True):
    """Everything that decides a layer's bytes, but for the compression.

    Attributes:
        entries: in the order in which they are written.
        epoch: every entry's mtime, in seconds since 1970 UTC; atime, ctime and creation times are `Entry.pax` records.
        created_by: the history line.
        comment: the history comment.
    """

    entries: tuple[Entry, ...]
    epoch: int
    created_by: str
    comment: str = ""
