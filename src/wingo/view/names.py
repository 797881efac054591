r"""Names in an image: what a tar's name means, what a person may write, and when two names are the same file.

A path in the view is text with `/` between its components and none at its ends: `Windows/System32/cmd.exe`; "" is the
root. On Windows it is what lies below `Files/`, and names are the same whatever their case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wingo.hive.upcase import upcase

MAX_DEPTH = 1000
"""Components of one path, as in `wingo.stores.files`."""

_ENDS = ("", ".", "/")
_DRIVE = re.compile(r"[A-Za-z]:")


def clean(name: str) -> tuple[str, bool]:
    """A tar's name below some root, and whether it tried to leave it.

    `./a//b`, `/a/b` and `a/x/../b` are `a/b`; `../a` is `a`, as every runtime contains it (containerd `archive/tar.go`,
    `fs.RootPath`).
    """
    # Almost all names are clean, and there may be a hundred thousand.
    if not ("//" in name or "/." in name or "\0" in name or name[:1] in _ENDS or name[-1] == "/"):
        return name, False
    parts: list[str] = []
    escapes = "\0" in name
    for part in name.replace("\0", "\ufffd").split("/"):
        if part == "..":
            if parts:
                parts.pop()
            else:
                escapes = True
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts), escapes


def same(component: str) -> str:
    """A Linux name as the kernel compares it: as it is."""
    return component


def folding(os: str) -> Callable[[str], str]:
    """What makes two components of one name equal: `upcase` on Windows, nothing elsewhere."""
    return upcase if os == "windows" else same


class Route:
    """Where a text leads: from the root or from where it stands, and by which components.

    Attributes:
        absolute: from the root.
        parts: the components; `..` among them on Linux, on Windows at the beginning only.
    """

    __slots__ = ("absolute", "parts")

    def __init__(self, parts: Sequence[str], *, absolute: bool) -> None:
        self.absolute = absolute
        self.parts = tuple(parts)


def read_route(text: str, os: str) -> Route | None:
    r"""Reads a path that a person wrote, or the text of a symbolic link.

    On Windows `C:\a`, `\a`, `/a`, `a\b`, `\\?\C:\a` and `\??\C:\a` are understood, and `..` goes before any link is
    followed, as in Win32; on Linux the kernel's rules hold.

    Returns:
        None when it leads out of the image: another drive, a network or device path.
    """
    if os != "windows":
        parts = [part for part in text.split("/") if part not in ("", ".")]
        return Route(parts, absolute=text.startswith("/"))
    plain = text.replace("\\", "/")
    for prefix in ("/??/", "//?/", "//./"):
        if plain.startswith(prefix):
            plain = plain[len(prefix) :]
            if not _DRIVE.match(plain):
                return None
    if plain.startswith("//"):
        return None
    absolute = plain.startswith("/")
    if _DRIVE.match(plain):
        if plain[0] not in "cC":
            return None
        plain, absolute = plain[2:], True
    parts = []
    for part in plain.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and not (part == ".." and absolute):
            parts.append(part)
    return Route(parts, absolute=absolute)
