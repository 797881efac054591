r"""What can be asked of a Windows layer, each request with its source for messages, and the attributes text.

Paths are texts in any spelling that `wingo.windows.paths.parse_path` reads.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from wingo.archive.entry import Content
from wingo.errors import RequestError
from wingo.windows.sddl import parse_sddl
from wingo.windows.security import (
    DATA_DIRECTORY,
    DATA_FILE,
    READ_ONLY_DIRECTORY,
    READ_ONLY_FILE,
)

FILE_ATTRIBUTE_READONLY = 0x1
FILE_ATTRIBUTE_HIDDEN = 0x2
FILE_ATTRIBUTE_SYSTEM = 0x4
FILE_ATTRIBUTE_DIRECTORY = 0x10
FILE_ATTRIBUTE_ARCHIVE = 0x20
FILE_ATTRIBUTE_REPARSE_POINT = 0x400

HIVES = ("DEFAULTUSER", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
"""The registry hives that a layer can change (hcsshim `internal/wclayer/cim/common.go`)."""


class Attributes(msgspec.Struct, frozen=True):
    """Who may change a file or directory, and its DOS attributes.

    Attributes:
        access: "read-only" or "data" for the service's account, or SDDL; "": as the directory that it is in.
        bits: of `FILE_ATTRIBUTE_READONLY`, `_HIDDEN`, `_SYSTEM`.
    """

    access: str = ""
    bits: int = 0

    @property
    def file_sddl(self) -> str:
        """The descriptor of a file; "" when it is to be inherited."""
        return {"read-only": READ_ONLY_FILE, "data": DATA_FILE}.get(self.access, self.access)

    @property
    def directory_sddl(self) -> str:
        """The descriptor of a directory; "" when it is to be inherited."""
        return {"read-only": READ_ONLY_DIRECTORY, "data": DATA_DIRECTORY}.get(self.access, self.access)


UNSAID = Attributes()
READ_ONLY = Attributes("read-only")
DATA = Attributes("data")

_BITS = {
    "readonly": FILE_ATTRIBUTE_READONLY,
    "hidden": FILE_ATTRIBUTE_HIDDEN,
    "system": FILE_ATTRIBUTE_SYSTEM,
}
_ACCESS = {"ro": "read-only", "data": "data"}


_FOR_LINUX = re.compile(r"(?:[0-7]{3,4}|[0-9]+:[0-9]+)\Z")


def parse_attributes(text: str) -> Attributes:
    """Reads the attributes of `--copy SRC:DST:ATTRIBUTES` and of `wingo.toml`: words with commas between them.

    ======================== ==========================================================================
    `ro`                     the service's account may read and run it, not change it
    `data`                   the service's account may change it; in a directory, create and delete too
    `O:…G:…D:…`              SDDL, with owner, group and access list; instead of `ro` and `data`
    `readonly hidden system` the DOS attributes of these names
    `0640`, `1000:1000`      for Linux: passed over, so that one list serves both systems
    ======================== ==========================================================================

    Without a word for the access it is that of the directory: `ro`, unless somebody said otherwise of one above.

    Raises:
        RequestError: an unknown word, a word twice, two words for the access, or SDDL that is not complete.
    """
    access, bits = "", 0
    for word in (part.strip() for part in text.split(",")) if text.strip() else ():
        chosen = _ACCESS.get(word, word if word[:2] in ("O:", "G:", "D:", "S:") else "")
        if word in _BITS:
            if bits & _BITS[word]:
                raise RequestError(f"attributes {text[:120]!r}: {word} stands there twice")
            bits |= _BITS[word]
        elif _FOR_LINUX.match(word):
            continue
        elif not chosen:
            raise RequestError(
                f"attributes {text[:120]!r}: there is no attribute {word[:40]!r}",
                hint="Use ro, data, readonly, hidden, system, or SDDL that begins with O:.",
            )
        elif access:
            raise RequestError(
                f"attributes {text[:120]!r} say twice who may change it", hint="Use one of ro, data, SDDL."
            )
        else:
            access = chosen
            if word not in _ACCESS:
                check_complete(word)
    return Attributes(access, bits)


def check_complete(sddl: str) -> None:
    """Refuses SDDL that leaves out the owner, the group or the access list: what Windows fills in is not in the text.

    Raises:
        RequestError: it is incomplete or not SDDL.
    """
    if not parse_sddl(sddl).complete:
        raise RequestError(
            f"SDDL {sddl[:120]!r} must name owner, group and access list", hint=f"For instance {READ_ONLY_FILE}"
        )


class WindowsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file.

    Attributes:
        path: where in the image.
        content: its bytes.
        attributes: who may change it.
        source: who asked for it, for messages.
    """

    path: str
    content: Content
    attributes: Attributes = UNSAID
    source: str


class WindowsDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """A directory with attributes of its own; the ones on the way to a file need no request."""

    path: str
    attributes: Attributes = UNSAID
    source: str


class WindowsSymlink(msgspec.Struct, frozen=True, kw_only=True):
    r"""A symbolic link.

    Attributes:
        target: relative to the link's directory (`..\x` too), or absolute on drive C:.
        directory: whether it leads to a directory; Windows needs to know.
    """

    path: str
    target: str
    directory: bool
    source: str


class WindowsJunction(msgspec.Struct, frozen=True, kw_only=True):
    r"""A junction: a directory that is another one.

    Attributes:
        target: absolute on drive C:.
    """

    path: str
    target: str
    source: str


class WindowsHardLink(msgspec.Struct, frozen=True, kw_only=True):
    """One more name of a file.

    Attributes:
        target: the file's path.
        in_base: the file is in a layer below, not in this one.
    """

    path: str
    target: str
    in_base: bool = False
    source: str


class Whiteout(msgspec.Struct, frozen=True, kw_only=True):
    """Removes a file or a whole directory of the layers below."""

    path: str
    source: str


class HiveDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to one registry hive.

    Attributes:
        name: one of `HIVES`.
        content: a delta hive's bytes.
    """

    name: str
    content: Content
    source: str


LayerRequest: TypeAlias = (
    WindowsFile | WindowsDirectory | WindowsSymlink | WindowsJunction | WindowsHardLink | Whiteout | HiveDelta
)
