"""The settings that steer `go`: the environment, over the go/env file, over the toolchain's go.env (`go help environment`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from wingo.errors import RequestError

_PREFIXES = ("GO", "CGO_", "GIT_", "PKG_CONFIG")
_NAMES = frozenset({"CC", "CXX", "FC", "AR", "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA"})
_MAX_ENV_FILE_BYTES = 1 << 20


def relevant(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that can change what `go build` makes, sorted.

    PATH is not among them: it chooses `go` and `git`, which are identified by themselves, and the C compiler; a build
    that uses one is never taken for unchanged. HOME and the like choose the configuration of go and git.
    """
    return {name: environment[name] for name in sorted(environment) if name.startswith(_PREFIXES) or name in _NAMES}


def env_file(environment: Mapping[str, str]) -> str:
    """The path of the file that `go env -w` writes, or "" when there is none to read."""
    chosen = environment.get("GOENV", "")
    if chosen == "off":
        return ""
    if chosen:
        return chosen
    if sys.platform == "win32":
        folder = environment.get("APPDATA", "")
    elif sys.platform == "darwin":
        home = environment.get("HOME", "")
        folder = os.path.join(home, "Library", "Application Support") if home else ""
    else:
        home = environment.get("HOME", "")
        folder = environment.get("XDG_CONFIG_HOME", "") or (os.path.join(home, ".config") if home else "")
    return os.path.join(folder, "go", "env") if folder else ""


def settings(environment: Mapping[str, str], goroot: str = "") -> dict[str, str]:
    """What `go env` would say of the variables that somebody set."""
    merged: dict[str, str] = {}
    for path in (os.path.join(goroot, "go.env") if goroot else "", env_file(environment)):
        merged.update(_read(path))
    merged.update({name: value for name, value in environment.items() if value})
    return merged


def _read(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_ENV_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier() and not line.startswith("#"):
            found[name] = value
    return found


def split_flags(text: str) -> list[str]:
    """Splits as the go command does GOFLAGS and -ldflags: at spaces, with '…' or "…" around a whole field.

    Raises:
        RequestError: a quote is not closed.
    """
    fields: list[str] = []
    rest = text.strip()
    while rest:
        if rest[0] in "'\"":
            end = rest.find(rest[0], 1)
            if end < 0:
                raise RequestError(f"a quote is not closed in the flags {text[:200]!r}", hint="Close it.")
            fields.append(rest[1:end])
            rest = rest[end + 1 :].lstrip()
        else:
            field, *after = rest.split(None, 1)
            fields.append(field)
            rest = after[0] if after else ""
    return fields


def flag_value(flags: list[str], name: str) -> str | None:
    """The last value that a list of flags gives to `-name`; None when it does not; "true" for a bare switch."""
    found: str | None = None
    for flag in flags:
        word, equals, value = flag.partition("=")
        if word.lstrip("-") == name and word.startswith("-"):
            found = value if equals else "true"
    return found
