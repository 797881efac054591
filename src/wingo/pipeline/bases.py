"""Which base each platform stands on, and finding it: manifests and configs only, never a layer's bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, images_of
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.oci.platform import Platform
from wingo.stores.parallel import each
from wingo.windows.bases import FLAVOURS, published_base
from wingo.windows.osversion import expand_platform, index_order, parse_os_version, satisfies

if TYPE_CHECKING:
    from wingo.pipeline.places import Readable

NO_BASE = ("scratch", "static")
"""Bases that need nothing from a registry: on Linux wingo supplies the system's files, on Windows nothing."""
_DEFAULT = {"windows": "nanoserver", "linux": "static"}


class BaseChoice(msgspec.Struct, frozen=True):
    """The base that a platform is to stand on, not yet looked up.

    Attributes:
        platform: as asked for: its os_version may lack the revision.
        name: "scratch", "static", a short name, or what the user wrote.
        place: where it is; None for a base that needs nothing.
    """

    platform: Platform
    name: str
    place: Place | None


class Base(msgspec.Struct, frozen=True):
    """A base that was found.

    Attributes:
        choice: what was asked for.
        image: the base image; None: nothing is below.
        platform: what an image on it is for: the base's own os.version, all four parts.
        reference: where it came from, for the annotation; "" for none.
        top: the digest of what its place holds, an index mostly; "" for none.
    """

    choice: BaseChoice
    image: Image | None
    platform: Platform
    reference: str
    top: str = ""


def choose_bases(platforms: Sequence[Platform], bases: Mapping[str, str]) -> tuple[BaseChoice, ...]:
    """Picks the base of each platform: the most specific pattern wins.

    Args:
        platforms: as asked for.
        bases: by pattern: "" (every platform), "windows", "linux/arm64", "ltsc2019", …

    Raises:
        RequestError: a pattern is no platform, or a base is not for the platform.
    """
    rules = [(pattern, _matcher(pattern), name) for pattern, name in bases.items()]
    general = bases.get("", "")
    if general and not any(_plausible(general, platform) for platform in platforms):
        return tuple(_choice(platform, general) for platform in platforms)  # says why not
    return tuple(_choose(platform, rules) for platform in platforms)


_Rule = tuple[str, tuple[Platform, ...], str]


def _choose(platform: Platform, rules: Sequence[_Rule]) -> BaseChoice:
    best, name = -1, _DEFAULT[platform.os]
    for pattern, patterns, candidate in rules:
        rank = max((_rank(item, platform) for item in patterns), default=0 if not pattern else -1)
        # A short name of a Windows base that is given for everything is not meant for Linux, nor static for Windows.
        if not pattern and not _plausible(candidate, platform):
            continue
        if rank > best:
            best, name = rank, candidate
    return _choice(platform, name)


def _plausible(name: str, platform: Platform) -> bool:
    if name in FLAVOURS:
        return platform.os == "windows"
    return name != "static" or platform.os == "linux"


def _matcher(pattern: str) -> tuple[Platform, ...]:
    if not pattern:
        return ()
    if pattern in ("windows", "linux"):
        return (Platform(pattern, ""),)
    expanded = expand_platform(pattern)
    if "/" in pattern and not any(mark in pattern for mark in ":("):
        # "windows/arm64" here is every version of it, not those that are built by default.
        return (msgspec.structs.replace(expanded[0], os_version=""),)
    return expanded


def _rank(pattern: Platform, platform: Platform) -> int:
    """How closely a pattern names a platform; -1 when it does not."""
    if pattern.os != platform.os:
        return -1
    if not pattern.architecture:
        return 1
    if pattern.architecture != platform.architecture or (pattern.variant and pattern.variant != platform.variant):
        return -1
    if pattern.os_version:
        return 4 if satisfies(platform.os_version, pattern.os_version) else -1
    return 3 if pattern.variant else 2


def _choice(platform: Platform, name: str) -> BaseChoice:
    if name in NO_BASE:
        if name == "static" and platform.os != "linux":
            raise RequestError(
                f"the base static is for Linux, and {platform} is not",
                hint=f"There are {', '.join(FLAVOURS)} and scratch for Windows.",
            )
        return BaseChoice(platform, name, None)
    if name in FLAVOURS:
        return BaseChoice(platform, name, Place(PlaceKind.REGISTRY, reference=published_base(name, platform)))
    if "/" not in name and ":" not in name and "." not in name:
        from difflib import get_close_matches

        known = (*FLAVOURS, *NO_BASE)
        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}; or write a reference with a tag."
        raise RequestError(f"there is no base called {name[:80]!r}", hint=hint)
    return BaseChoice(platform, name, parse_place(name, default_tag="latest"))


def find_bases(choices: Sequence[BaseChoice], open_place: Callable[[Place], Readable], jobs: int) -> tuple[Base, ...]:
    """Looks every base up; each place is read once, whatever the number of platforms that stand on it.

    Raises:
        RequestError: a base has no image for the platform; the hint lists what it has.
    """
    wanted: dict[Place, list[Platform]] = {}
    for choice in choices:
        if choice.place is not None:
            wanted.setdefault(choice.place, []).append(choice.platform)

    def read(place: Place) -> Image | Index:
        platforms = wanted[place]
        return open_place(place).read(lambda entry: entry.platform is None or _any_fits(entry.platform, platforms))

    found = dict(zip(wanted, each(jobs, read, wanted), strict=True))
    return tuple(_base(choice, found) for choice in choices)


def _any_fits(found: Platform, platforms: Sequence[Platform]) -> bool:
    return any(fits(found, platform) for platform in platforms)


def fits(found: Platform, wanted: Platform) -> bool:
    """Whether a base's platform is the one asked for; a base without os.version fits every Windows version."""
    if (found.os, found.architecture) != (wanted.os, wanted.architecture):
        return False
    if wanted.variant and _variant(found) != wanted.variant:
        return False
    return not found.os_version or satisfies(found.os_version, wanted.os_version)


def _variant(platform: Platform) -> str:
    """The variant, with the defaults that containerd fills in (platforms `database.go`)."""
    return platform.variant or {"arm": "v7", "arm64": "v8", "amd64": "v1"}.get(platform.architecture, "")


def _base(choice: BaseChoice, found: Mapping[Place, Image | Index]) -> Base:
    if choice.place is None:
        return Base(choice, None, _without_base(choice.platform), "")
    candidates = [image for image in images_of(found[choice.place]) if fits(image.platform, choice.platform)]
    if not candidates:
        raise _no_such_platform(choice, found[choice.place])
    image = min(candidates, key=lambda item: index_order(item.platform))
    platform = image.platform
    reference = choice.place.reference
    return Base(choice, image, platform, str(reference) if reference is not None else "", found[choice.place].digest)


def _without_base(platform: Platform) -> Platform:
    """Without a base, the os.version comes from the name; the importer wants four parts, and ignores the last."""
    if platform.os != "windows":
        return platform
    version = parse_os_version(platform.os_version)
    full = str(version) if version.complete else f"{version}.0"
    return msgspec.structs.replace(platform, os_version=full)


def _no_such_platform(choice: BaseChoice, found: Image | Index) -> RequestError:
    if isinstance(found, Index):
        has = [str(entry.platform) for entry in found.manifest.manifests if entry.platform is not None]
    else:
        has = [str(found.platform)]
    listed = ", ".join(item for item in has[:20] if "unknown" not in item)
    return RequestError(
        f"the base {choice.place} has no image for {choice.platform}",
        hint=f"It has {listed or 'none with a platform'}.",
    )
