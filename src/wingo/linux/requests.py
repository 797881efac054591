"""What can be asked of a Linux layer, each request with its source for messages, and the attributes text.

The shapes are those of `wingo.windows.requests`, where they mean the same.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from wingo.archive.entry import Content
from wingo.errors import RequestError
from wingo.linux.users import Owner, parse_owner


class Attributes(msgspec.Struct, frozen=True):
    """Who owns a file or directory, and who may do what with it.

    Attributes:
        access: "read-only": root's, everybody may read; "data": the service user's, who may change it, its group may
            read it, nobody else may; "": as the directory that it is in.
        mode: permission bits in place of those that `access` gives; for a directory, whoever may read may also enter.
        owner: in place of the one that `access` gives.
    """

    access: str = ""
    mode: int | None = None
    owner: Owner | None = None


UNSAID = Attributes()
READ_ONLY = Attributes("read-only")
DATA = Attributes("data")

_ACCESS = {"ro": "read-only", "data": "data"}
_MODE = re.compile(r"[0-7]{3,4}\Z")
_OWNER = re.compile(r"[0-9]+:[0-9]+\Z")
_FOR_WINDOWS = re.compile(r"(?:readonly|hidden|system|[OGDS]:.*)\Z", re.DOTALL)


def parse_attributes(text: str) -> Attributes:
    """Reads the attributes of `--copy SRC:DST:ATTRIBUTES` and of `wingo.toml`: words with commas between them.

    ======================== ==========================================================================
    `ro`                     root's, everybody may read and run it: 0444, 0555 when executable, 0755 a directory
    `data`                   the service user's, who may change it: 0640, 0750 when executable or a directory
    `0640`                   the mode, three or four octal digits; a directory gets the right to enter with that to read
    `1000:1000`              the owner's and the group's number
    `readonly hidden system` for Windows, and so are texts of SDDL: passed over, so that one list serves both systems
    ======================== ==========================================================================

    Without `ro` and `data` it is as the directory: `ro`, unless somebody said `data` of one above, as on Windows.

    Raises:
        RequestError: an unknown word, or two words for the same thing.
    """
    access, mode, owner = "", None, None
    for word in (part.strip() for part in text.split(",")) if text.strip() else ():
        repeated = False
        if word in _ACCESS:
            repeated, access = bool(access), _ACCESS[word]
        elif _MODE.match(word):
            repeated, mode = mode is not None, int(word, 8)
        elif _OWNER.match(word):
            repeated, owner = owner is not None, parse_owner(word)
        elif not _FOR_WINDOWS.match(word):
            raise RequestError(
                f"attributes {text[:120]!r}: there is no attribute {word[:40]!r}",
                hint="Use ro, data, a mode such as 0640, or an owner such as 1000:1000.",
            )
        if repeated:
            raise RequestError(f"attributes {text[:120]!r}: {word[:40]} contradicts or repeats an earlier word")
    return Attributes(access, mode, owner)


class LinuxFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file.

    Attributes:
        path: where in the image, absolute.
        content: its bytes.
        attributes: who may change it.
        executable: whether it is a program.
        source: who asked for it, for messages.
    """

    path: str
    content: Content
    attributes: Attributes = UNSAID
    executable: bool = False
    source: str


class LinuxDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """A directory with attributes of its own; the ones on the way to a file need no request."""

    path: str
    attributes: Attributes = UNSAID
    source: str


class LinuxSymlink(msgspec.Struct, frozen=True, kw_only=True):
    """A symbolic link.

    Attributes:
        target: relative to the link's directory, or absolute in the image; written as it is.
    """

    path: str
    target: str
    source: str


class LinuxHardLink(msgspec.Struct, frozen=True, kw_only=True):
    """One more name of a file of the same layer.

    Attributes:
        target: the file's path.
    """

    path: str
    target: str
    source: str


LayerRequest: TypeAlias = LinuxFile | LinuxDirectory | LinuxSymlink | LinuxHardLink
