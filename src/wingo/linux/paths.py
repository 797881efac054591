"""Linux paths inside a container: what may be asked for, and its one spelling.

A path is a tuple of components below `/`. Linux itself forbids only `/` and NUL in a name; refused besides is what a
layer cannot say (names that are not UTF-8, names that begin with `.wh.`) and `..`.

Sources: POSIX.1-2024 `limits.h` as Linux sets it (NAME_MAX, PATH_MAX); image-spec `layer.md`, "Whiteouts".
"""

from __future__ import annotations

from typing import TypeAlias

from wingo.errors import RequestError

Components: TypeAlias = tuple[str, ...]
"""A path's components below `/`; `()` is `/` itself."""

MAX_COMPONENT = 255
"""Bytes of one name (NAME_MAX)."""
MAX_PATH = 4095
"""Bytes of a whole path: PATH_MAX counts the final NUL."""
WHITEOUT_PREFIX = ".wh."

_HINT = "Write an absolute path, for instance /app/data."


def parse_path(text: str) -> Components:
    """Reads an absolute Linux path.

    `.` components, repeated slashes and a slash at the end are dropped, as the kernel does; `..` is refused.

    Returns:
        The components below `/`; `()` for `/`.

    Raises:
        RequestError: empty, relative, with `..`, too long, or a name that a layer cannot have (see `check_component`).
    """
    if not text.startswith("/"):
        raise _refused(text, "it is not absolute" if text else "it is empty")
    components = tuple(part for part in text.split("/") if part not in ("", "."))
    for component in components:
        if component == "..":
            raise _refused(text, "it contains ..")
        if problem := _problem(component):
            raise _refused(text, problem)
    if len(path_text(components).encode()) > MAX_PATH:
        raise _refused(text[:60] + "…", f"it is longer than {MAX_PATH} bytes")
    return components


def path_text(components: Components) -> str:
    """A path's one spelling: `/app/x`."""
    return "/" + "/".join(components)


def check_component(name: str) -> None:
    """Refuses a file name that a layer for Linux cannot have.

    Raises:
        RequestError: empty, with NUL, not UTF-8, beginning with `.wh.`, or more than 255 bytes.
    """
    if problem := _problem(name):
        raise _refused(name, problem)


def _problem(name: str) -> str:
    """Why a name is refused, or ""."""
    if not name:
        return "a name is empty"
    if "\0" in name:
        return f"{name[:40]!r} contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return f"the name {name[:40]!r} is not UTF-8"
    if name.startswith(WHITEOUT_PREFIX):
        return f"{name[:40]!r} would be read as the removal of another file"
    if len(name.encode()) > MAX_COMPONENT:
        return f"{name[:40] + '…'!r} is longer than {MAX_COMPONENT} bytes"
    return ""


def _refused(text: str, problem: str) -> RequestError:
    return RequestError(f"{text[:200]!r} is not a path for a Linux image: {problem}", hint=_HINT)
