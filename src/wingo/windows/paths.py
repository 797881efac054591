r"""Windows paths inside a container: what may be asked for, its one spelling, and when two names are the same file.

A path is a tuple of components below `C:\`; the text forms `C:\app\x`, `c:/app/x`, `/app/x` and `app\x` all mean
`("app", "x")`. Whatever Win32 would rewrite, cannot open, or reads as something else (a device, a stream, another
drive) is refused, because the importer creates names through the NT interface, which would take most of it literally.

Sources: Microsoft's "Naming Files, Paths, and Namespaces"; hcsshim `internal/safefile/safeopen.go`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from wingo.errors import RequestError
from wingo.hive.upcase import upcase

Components: TypeAlias = tuple[str, ...]
r"""A path's components below `C:\`; `()` is `C:\` itself."""

MAX_COMPONENT = 255
"""UTF-16 units of one name (NTFS)."""
MAX_PATH = 32_767
"""UTF-16 units of a whole path (hcsshim `ntRelativePath`)."""
LONG_PATH = 240
"""UTF-16 units beyond which a program without the longPathAware manifest has no room left for a file's name."""

_SEPARATORS = re.compile(r"[\\/]+")
_FORBIDDEN = re.compile('[<>:"|?*\x00-\x1f\\\\/]')
_SURROGATE = re.compile("[\ud800-\udfff]")
# Win32 reads these as devices in every directory and with any extension; COM and LPT also take superscript digits.
# CLOCK$ was DOS's alone: NT's RtlIsDosDeviceName does not know it.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[1-9\u00b9\u00b2\u00b3])\Z")
_HINT = r"Write a path on drive C:, for instance C:\app\data or /app/data."


def parse_path(text: str) -> Components:
    r"""Reads a Windows path in any of its spellings.

    `.` components and repeated separators are dropped, as Win32 does; `..` is refused.

    Returns:
        The components below `C:\`; `()` for `C:\`.

    Raises:
        RequestError: empty, on another drive, a network, device or drive-relative path, or a name that Windows cannot
            have (see `check_component`).
    """
    if not text:
        raise RequestError("a Windows path is empty", hint=_HINT)
    if text[:2] in ("\\\\", "//", "\\/", "/\\"):
        raise _refused(text, "network and device paths have no place in an image")
    rest = text
    if text[1:2] == ":" and text[0].isascii() and text[0].isalpha():
        if text[0] not in "cC":
            raise _refused(text, f"an image has no drive {text[0].upper()}:")
        rest = text[2:]
        if rest[:1] not in ("\\", "/"):
            raise _refused(text, "it is relative to whatever the current directory of drive C: is")
    components = tuple(part for part in _SEPARATORS.split(rest) if part not in ("", "."))
    for component in components:
        if component == "..":
            raise _refused(text, "it contains ..")
        if problem := _problem(component):
            raise _refused(text, problem)
    # What the importer measures is the path below its root: `Files\app\x`.
    if utf16_units("\\".join(("Files", *components))) > MAX_PATH:
        raise _refused(text[:60] + "…", f"it is longer than {MAX_PATH} UTF-16 units")
    return components


def parse_link_target(text: str, link: Components) -> tuple[str, Components]:
    r"""Reads what a symbolic link leads to.

    Args:
        text: relative to the link's directory, with `..` where needed, or a path that `parse_path` reads.
        link: the link's own path.

    Returns:
        The text for the reparse point, with backslashes, and the path that it leads to.

    Raises:
        RequestError: empty, the link's own directory, out of drive C:, or a name that Windows cannot have.
    """
    if not text or text[0] in "\\/" or text[1:2] == ":":
        path = parse_path(text)
        return path_text(path), path
    parts = [part for part in _SEPARATORS.split(text) if part not in ("", ".")]
    if not parts:
        raise _refused(text, "a link cannot lead to the directory that it is in")
    leads_to = list(link[:-1])
    for part in parts:
        if part != "..":
            check_component(part)
            leads_to.append(part)
        elif leads_to:
            leads_to.pop()
        else:
            raise _refused(text, "it leads out of drive C:")
    return "\\".join(parts), tuple(leads_to)


def path_text(components: Components) -> str:
    r"""A path's one spelling: `C:\app\x`."""
    return "C:\\" + "\\".join(components)


def check_component(name: str) -> None:
    """Refuses a file name that Windows cannot have or would read as something else.

    Raises:
        RequestError: empty, a device's name (`NUL`, `com1.txt`), a trailing dot or space, one of `<>:"|?*` (a `:` would
            be an alternate data stream), a control character, an unpaired surrogate, or more than 255 UTF-16 units.
    """
    if problem := _problem(name):
        raise _refused(name, problem)


@lru_cache(maxsize=65_536)
def _problem(name: str) -> str:
    """Why a name is refused, or ""."""
    if not name:
        return "a name is empty"
    if found := _FORBIDDEN.search(name):
        if found[0] == ":":
            return f"{name!r} contains ':', which would name an alternate data stream"
        return f"{name!r} contains {found[0]!r}, which no Windows file name may"
    if name[-1] in ". ":
        return f"{name!r} ends with a {'dot' if name[-1] == '.' else 'space'}, which Windows programs cannot open"
    if _DEVICE.match(upcase(name.partition(".")[0].rstrip(" "))):
        return f"{name!r} is the name of a device in every Windows directory"
    if _SURROGATE.search(name):
        return f"{name!r} is not valid Unicode"
    if utf16_units(name) > MAX_COMPONENT:
        return f"{name[:40] + '…'!r} is longer than {MAX_COMPONENT} UTF-16 units"
    return ""


def _refused(text: str, problem: str) -> RequestError:
    return RequestError(f"{text[:200]!r} is not a path for a Windows image: {problem}", hint=_HINT)


def utf16_units(text: str) -> int:
    """How many UTF-16 code units a text has, which is how Windows counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fold(components: Components) -> Components:
    """A path as NTFS compares it: two paths with the same fold are the same file.

    A volume's `$UpCase` is taken to be NT's own table (`wingo.hive.upcase`), which formatting writes. Names are not
    normalised: NTFS does not either.
    """
    return tuple(upcase(component) for component in components)
