"""Reads the `builds` of a `.ko.yaml`, so that ko's users can switch: https://ko.build/configuration/."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

import msgspec

from wingo.errors import RequestError
from wingo.golang.command import GoFlags
from wingo.golang.environment import flag_value

_KNOWN = frozenset({"id", "dir", "main", "env", "flags", "ldflags", "linux_capabilities"})
_TESTS = frozenset({"testldflags", "testflags"})


class KoBuild(msgspec.Struct, frozen=True):
    """One entry of `builds`.

    Attributes:
        directory: its `dir` joined with its `main`, relative to the .ko.yaml; the main package's directory.
        flags: how to compile it.
    """

    directory: str
    flags: GoFlags


class KoSettings(msgspec.Struct, frozen=True):
    """What a .ko.yaml says of Go builds.

    Attributes:
        builds: its entries.
        notes: what it says that wingo does not do.
    """

    builds: tuple[KoBuild, ...] = ()
    notes: tuple[str, ...] = ()

    def flags_for(self, directory: str) -> GoFlags | None:
        """The flags for a main package's directory relative to the .ko.yaml; None when it has none.

        As in ko, an entry holds for the package that its `dir` and `main` name.
        """
        wanted = posixpath.normpath(directory)
        return next((build.flags for build in self.builds if build.directory == wanted), None)


def read_ko(document: Mapping[str, object]) -> KoSettings:
    """Reads a parsed `.ko.yaml`; `defaultBaseImage` and the like are not this room's.

    Raises:
        RequestError: an entry is not what ko takes.
    """
    entries = document.get("builds") or []
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise RequestError("builds in .ko.yaml is not a list")
    builds: list[KoBuild] = []
    notes: list[str] = []
    common_env = _pairs(document.get("defaultEnv"), "defaultEnv")
    common_flags = _words(document.get("defaultFlags"), "defaultFlags")
    common_ldflags = _texts(document.get("defaultLdflags"), "defaultLdflags")
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise RequestError(f"builds[{number}] in .ko.yaml is not a mapping")
        values = {str(name).lower(): value for name, value in entry.items()}
        where = f"builds[{number}]"
        notes += [f".ko.yaml: {where}.{name} is not used" for name in sorted(values.keys() - _KNOWN - _TESTS)]
        if values.get("linux_capabilities"):
            notes.append(f".ko.yaml: {where}.linux_capabilities is not supported")
        env = _pairs(values.get("env"), f"{where}.env")
        platform = [name for name, _ in env if name in ("GOOS", "GOARCH")]
        if platform:
            notes.append(f".ko.yaml: {where}.env sets {' and '.join(platform)}, which --platform decides")
        words = _words(values.get("flags"), f"{where}.flags") or common_flags
        tags = flag_value(list(words), "tags") or ""
        flags = GoFlags(
            tags=tuple(tag for tag in tags.replace(",", " ").split() if tag),
            ldflags=_texts(values.get("ldflags"), f"{where}.ldflags") or common_ldflags,
            extra=tuple(
                word for word in words if word.lstrip("-").partition("=")[0] not in ("tags", "trimpath", "v", "x")
            ),
            env=tuple((name, value) for name, value in (env or common_env) if name not in platform),
        )
        builds.append(KoBuild(_directory(values, where), flags))
    return KoSettings(tuple(builds), tuple(notes))


def _directory(values: Mapping[str, object], where: str) -> str:
    folder, main = _text(values.get("dir"), f"{where}.dir"), _text(values.get("main"), f"{where}.main")
    if main.endswith(".go"):
        main = posixpath.dirname(main)
    path = posixpath.normpath(posixpath.join(folder or ".", main or "."))
    if posixpath.isabs(path):
        raise RequestError(f"{where} in .ko.yaml has an absolute path: {path[:160]}")
    return path


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError(f"{where} in .ko.yaml is not a text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise RequestError(f"{where} in .ko.yaml is not a list of texts")
    return tuple(value)


def _words(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    words: list[str] = []
    for text in _texts(value, where):
        # ko takes "-tags foo" in two items; go takes "-tags=foo" alike.
        if words and words[-1] in ("-tags", "--tags", "-mod", "--mod") and not text.startswith("-"):
            words[-1] += f"={text}"
        else:
            words.append(text)
    return tuple(words)


def _pairs(value: object, where: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for text in _texts(value, where):
        name, equals, content = text.partition("=")
        if not equals or not name:
            raise RequestError(f"{where} in .ko.yaml has {text[:80]!r}, not NAME=VALUE")
        pairs.append((name, content))
    return tuple(pairs)
