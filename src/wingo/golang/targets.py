"""What users ask to build: directories, import paths, patterns, published programs; grouped by what go can do in one run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from wingo.errors import HostError, RequestError
from wingo.golang.environment import settings

_PUBLISHED = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z0-9.-]+(?:/[A-Za-z0-9._~/+-]+)?@[A-Za-z0-9._~/+-]{1,200}\Z")
_EXACT = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?\Z")
_META = frozenset({"all", "std", "cmd", "tool", "work"})


class TargetSet(msgspec.Struct, frozen=True):
    """Targets that one go command can build together.

    Attributes:
        directory: where go runs; for published programs the directory that was asked from.
        root: the top of the module or workspace, or "path@version" without the package for published programs.
        patterns: as go takes them, seen from `directory`.
        published: whether they come from the module proxy.
    """

    directory: str
    root: str
    patterns: tuple[str, ...]
    published: bool = False


def group_targets(targets: Sequence[str], directory: str, environment: Mapping[str, str]) -> tuple[TargetSet, ...]:
    """Sorts targets into sets that go can build in one run; looks for go.mod and go.work, runs nothing.

    Args:
        targets: as written; none means ".".
        directory: the absolute directory that they are seen from.
        environment: GOWORK and the go/env file are honoured.

    Raises:
        RequestError: a target is a file, or cannot be understood.
        HostError: a directory is missing.
    """
    gowork = settings(environment).get("GOWORK", "")
    here = find_root(directory, gowork) or directory
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for target in targets or (".",):
        if "@" in target:
            key, pattern = _published(target, directory), target
        elif _is_path(target):
            key, pattern = _local(target, directory, here, gowork)
        elif not target or target.startswith("-") or any(ord(character) < 33 for character in target):
            raise RequestError(
                f"{target[:160]!r} is not a target", hint="Name a directory, ./cmd/app, or an import path."
            )
        elif target in _META:
            raise RequestError(f"the target {target!r} is too wide", hint="Write ./... for every main package here.")
        else:
            key, pattern = (directory, here, False), target
        patterns = groups.setdefault(key, [])
        if pattern not in patterns:
            patterns.append(pattern)
    return tuple(
        TargetSet(folder, root, tuple(patterns), published) for (folder, root, published), patterns in groups.items()
    )


def is_exact(version: str) -> bool:
    """Whether a version after the "@" names one version for ever, so that no query is needed."""
    return _EXACT.match(version) is not None


def binary_name(import_path: str) -> str:
    """How `go install` names the program, without ".exe": the last element, or the one before a "/v2"."""
    elements = import_path.split("/")
    last = elements[-1]
    if len(elements) > 1 and re.fullmatch(r"v(?:[2-9]|[1-9][0-9]+)", last):
        last = elements[-2]
    return last


def find_root(directory: str, gowork: str = "") -> str | None:
    """The top of the workspace or module that a directory is in, found as the go command does; None: there is none."""
    if gowork and gowork != "off":
        return os.path.dirname(os.path.abspath(gowork))
    module = _find_up(directory, "go.mod")
    workspace = None if gowork == "off" else _find_up(directory, "go.work")
    return workspace or module


def _find_up(directory: str, name: str) -> str | None:
    folder = directory
    while not os.path.isfile(os.path.join(folder, name)):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def _is_path(target: str) -> bool:
    first = target.replace("\\", "/").split("/", 1)[0] if os.name == "nt" else target.split("/", 1)[0]
    # A bare file name is no package, whatever the go command makes of it.
    return first in (".", "..") or os.path.isabs(target) or target.endswith(".go")


def _published(target: str, directory: str) -> tuple[str, str, bool]:
    if "..." in target:
        raise RequestError(
            f"{target[:160]!r} is a pattern, and of published programs go builds those alone that are named",
            hint="Name each program with its version.",
        )
    if not _PUBLISHED.match(target):
        raise RequestError(
            f"{target[:160]!r} is not a published program",
            hint="Write the import path and a version, for instance github.com/traefik/whoami@latest.",
        )
    path, _, version = target.partition("@")
    # `go install` takes several packages of one module version; the host and the first two elements are enough to
    # keep modules apart, and it says itself when that guess was too generous.
    return directory, "/".join(path.split("/")[:3]) + "@" + version, True


def _local(target: str, directory: str, here: str, gowork: str) -> tuple[tuple[str, str, bool], str]:
    before, dots, after = target.partition("...")
    base = before if not dots else before[: before.rfind("/") + 1]
    start = os.path.normpath(os.path.join(directory, base))
    if not os.path.isdir(start):
        if os.path.isfile(start):
            raise RequestError(
                f"{target} is a file", hint=f"Name its directory: {os.path.dirname(target.rstrip('/')) or '.'}"
            )
        raise HostError(f"there is no directory {start}", hint="Check the spelling of the target.")
    root = find_root(start, gowork) or start
    folder = directory if root == here else root
    relative = os.path.relpath(start, folder).replace(os.sep, "/")
    pattern = relative if relative.startswith("..") else f"./{relative}" if relative != "." else "."
    if dots:
        pattern = f"{pattern}/{before[len(base) :]}...{after}"
    return (folder, root, False), pattern
