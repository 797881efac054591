"""What a `.ko.yaml` says, as settings, so that ko's users can switch (https://ko.build/configuration/)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wingo.errors import RequestError
from wingo.golang.ko import read_ko

if TYPE_CHECKING:
    from wingo.golang.command import GoFlags
    from wingo.golang.ko import KoSettings
    from wingo.pipeline.settings import Layer

KO_FILE = ".ko.yaml"
_READ = frozenset(
    {"defaultBaseImage", "defaultPlatforms", "builds", "defaultEnv", "defaultFlags", "defaultLdflags", "verbose"}
)


def from_ko(text: str, path: str, targets: Sequence[str], directory: str) -> tuple[Layer, list[str]]:
    """Reads a .ko.yaml.

    A `builds` entry holds for the one package that it names, so it counts when that package alone is built.

    Args:
        text: of the file.
        path: of the file; its entries are seen from its directory.
        targets: what is being built, as written.
        directory: that the targets are seen from, absolute.

    Returns:
        Settings, and notes on what wingo does not take from it.

    Raises:
        RequestError: it is not what ko takes.
    """
    document = _document(text, path)
    ko = read_ko(document)
    notes = [f"settings were read from {path}", *ko.notes]
    notes += [f"{KO_FILE}: {name} is not used" for name in sorted(document.keys() - _READ)]
    values: Layer = {}
    platforms = _texts(document.get("defaultPlatforms"), "defaultPlatforms")
    if platforms:
        values["platform"] = platforms
    base = document.get("defaultBaseImage")
    if isinstance(base, str) and base:
        # ko's bases are for Linux, unless somebody has asked it for Windows too.
        both = any(platform == "all" or platform.startswith("windows") for platform in platforms)
        values["base"] = {"" if both else "linux": base}
    if ko.builds:
        flags = _flags_for(ko, targets, directory, os.path.dirname(path))
        if flags is None:
            notes.append(f"{KO_FILE}: no entry of builds is for {', '.join(targets)} alone, and none is used")
        else:
            values |= _settings(flags)
            notes += [f"{KO_FILE}: the flag {flag} is not used; set it in GOFLAGS" for flag in flags.extra]
    return values, notes


def _document(text: str, path: str) -> Mapping[str, object]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{path} is not YAML: {str(error)[:300]}") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise RequestError(f"{path} is not a mapping of settings")
    return document


def _flags_for(ko: KoSettings, targets: Sequence[str], directory: str, folder: str) -> GoFlags | None:
    if len(targets) != 1 or "..." in targets[0] or "@" in targets[0]:
        return None
    package = os.path.normpath(os.path.join(directory, targets[0]))
    return ko.flags_for(os.path.relpath(package, folder).replace(os.sep, "/"))


def _settings(flags: GoFlags) -> Layer:
    return {
        "tags": list(flags.tags),
        "ldflags": list(flags.ldflags),
        "go-env": dict(flags.env),
    }


def _texts(value: object, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RequestError(f"{name} in {KO_FILE} is not a list of texts")
    return list(value)
