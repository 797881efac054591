r"""Environment variables of a Windows image: names without case, and a PATH that never loses Windows.

Microsoft's bases have no environment in their config: PATH is in the registry, and any PATH in the config *replaces* it
(buildkit#5445). Nothing in a config is expanded when the container starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from wingo.errors import RequestError
from wingo.hive.upcase import upcase

SYSTEM_PATH = (r"C:\Windows\System32", r"C:\Windows")
"""What every PATH must end with, so that Windows' own programs and DLLs are found."""

MAX_VALUE = 32_767
"""Characters of one variable, its name and value together (SetEnvironmentVariable)."""

_ITSELF = re.compile(r"%PATH%|\$\{PATH\}|\$PATH\b|\$Env:PATH\b", re.IGNORECASE)
_DRIVE = re.compile(r"\A[A-Za-z]:[\\/]")
_LINUX = re.compile(r"(?:^|:)/(?:usr/|s?bin|opt/|ko-app|go/|root|home/)")


class Environment(msgspec.Struct, frozen=True):
    """A planned environment.

    Attributes:
        variables: `NAME=value` items, for the config.
        notes: what was mended, one sentence each.
    """

    variables: tuple[str, ...]
    notes: tuple[str, ...] = ()


def merge_environment(
    base: Sequence[str] | None, changes: Iterable[tuple[str, str]], *, prepend_path: Sequence[str] = ()
) -> Environment:
    r"""The environment of an image over a base's.

    Names are the same whatever their case; a later value replaces an earlier one in its place, under the spelling that
    was there first. A PATH gets `SYSTEM_PATH` where it lacks it; one for Linux is refused when asked for, and left out
    with a note when the base has it. `%PATH%` and `$PATH` in a PATH mean what there was before. Without any PATH, none
    is written: the registry's holds.

    Args:
        base: the base config's `Env`; items that are no `NAME=value` are left out with a note.
        changes: names and values, in order.
        prepend_path: directories that come first in PATH.

    Raises:
        RequestError: a name with `=` or NUL, an empty name, a value with NUL, an over-long one, a PATH for Linux.
    """
    variables: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    for item in base or ():
        name, equals, value = item.partition("=")
        if not equals or not name or "\0" in item:
            notes.append(f"the base's environment item {item[:80]!r} is no NAME=value and is left out")
        elif upcase(name) == "PATH" and _is_linux(value):
            notes.append(f"the base's PATH is for Linux and is left out: {value[:120]}")
        else:
            _set(variables, name, value)
    for name, value in changes:
        _check(name, value)
        if upcase(name) == "PATH":
            value = _asked_path(value, variables, notes)  # noqa: PLW2901  (the mended value is the value)
        _set(variables, name, value)
    if prepend_path:
        for directory in prepend_path:
            if ";" in directory or "\0" in directory:
                raise RequestError(f"{directory[:120]!r} cannot be one directory of PATH")
        _, before = variables.get("PATH", ("PATH", ";".join(SYSTEM_PATH)))
        _set(variables, "PATH", ";".join((*prepend_path, before)))
    if "PATH" in variables:
        name, value = variables["PATH"]
        mended = _with_system(value)
        if mended != value:
            notes.append(f"PATH would replace the registry's and lacks Windows itself: it becomes {mended}")
            variables["PATH"] = (name, mended)
    return Environment(tuple(f"{name}={value}" for name, value in variables.values()), tuple(notes))


def path_of(variables: Iterable[str]) -> tuple[str, ...] | None:
    """The directories of the PATH in a config's `Env`, or None when it sets none."""
    found = None
    for item in variables:
        name, _, value = item.partition("=")
        if upcase(name) == "PATH":
            found = tuple(part for part in value.split(";") if part)
    return found


def keeps_system(directories: Iterable[str]) -> bool:
    """Whether a PATH still finds Windows' own programs, that is, has System32."""
    return any(_same_directory(directory, SYSTEM_PATH[0]) for directory in directories)


def _asked_path(value: str, variables: dict[str, tuple[str, str]], notes: list[str]) -> str:
    if _is_linux(value):
        raise RequestError(
            f"PATH={value[:120]} is for Linux",
            hint=r"Write for instance PATH=C:\app;%PATH%, with ';' between directories.",
        )
    _, before = variables.get("PATH", ("", ";".join(SYSTEM_PATH)))
    expanded = _ITSELF.sub(lambda _: before, value)
    if expanded != value:
        notes.append(f"PATH is not expanded when a container starts: it is written out as {expanded}")
    return expanded


def _with_system(value: str) -> str:
    directories = [directory for directory in value.split(";") if directory]
    missing = [
        wanted for wanted in SYSTEM_PATH if not any(_same_directory(directory, wanted) for directory in directories)
    ]
    return ";".join((*directories, *missing)) if missing else value


def _same_directory(left: str, right: str) -> bool:
    plain = upcase(left.strip().strip('"').replace("/", "\\")).rstrip("\\")
    for name in ("%SYSTEMROOT%", "%WINDIR%"):
        plain = plain.replace(name, r"C:\WINDOWS")
    return plain == upcase(right)


def _is_linux(value: str) -> bool:
    """Whether a PATH has a Linux directory in it; `C:/opt` is none."""
    return any(_LINUX.search(_DRIVE.sub("", directory)) for directory in value.split(";"))


def _check(name: str, value: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise RequestError(f"{name[:80]!r} cannot be the name of an environment variable")
    if "\0" in value:
        raise RequestError(f"the value of {name[:80]} contains a NUL character")
    if len(name) + len(value) + 1 > MAX_VALUE:
        raise RequestError(f"{name[:80]} is longer than {MAX_VALUE} characters, which Windows cannot hold")


def _set(variables: dict[str, tuple[str, str]], name: str, value: str) -> None:
    key = upcase(name)
    variables[key] = (variables[key][0] if key in variables else name, value)
