"""Microsoft's published bases by their short names.

Sources: the tag lists of the repositories on mcr.microsoft.com; Windows-Containers#586 (arm64); the HostProcess base's
repository, microsoft/windows-host-process-containers-base-image.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.errors import RequestError
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference, parse_reference
from wingo.windows.osversion import NAMES, name_of, parse_os_version

REGISTRY = "mcr.microsoft.com"


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One of Microsoft's bases.

    Attributes:
        name: the short name.
        repository: on `REGISTRY`.
        releases: the release names that are published, by architecture.
        fixed_tag: the one tag of a base that is not tied to a release; "" for those that are.
        about: one line for people.
    """

    name: str
    repository: str
    releases: Mapping[str, tuple[str, ...]] = {}
    fixed_tag: str = ""
    about: str

    @property
    def fits_every_build(self) -> bool:
        """Whether the base has no os.version, so that one image is for every host."""
        return bool(self.fixed_tag)


_ALL_RELEASES = {"amd64": ("ltsc2019", "ltsc2022", "ltsc2025"), "arm64": ("ltsc2025",)}

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        Flavour(
            name="nanoserver",
            repository="windows/nanoserver",
            releases=_ALL_RELEASES,
            about="the smallest Windows; no PowerShell, few DLLs",
        ),
        Flavour(
            name="servercore",
            repository="windows/servercore",
            releases=_ALL_RELEASES,
            about="Windows without a desktop; PowerShell, .NET Framework",
        ),
        Flavour(
            name="server",
            repository="windows/server",
            releases={"amd64": ("ltsc2022", "ltsc2025")},
            about="the whole Windows interface, several gigabytes",
        ),
        Flavour(
            name="hostprocess",
            repository="oss/kubernetes/windows-host-process-containers-base-image",
            releases={"amd64": ()},
            fixed_tag="v1.0.0",
            about="next to nothing: for Kubernetes HostProcess pods on any build",
        ),
    )
}
"""The bases by their short names."""


def published_base(name: str, platform: Platform) -> Reference:
    """The published reference of a base for a platform.

    A version with all four parts gives the tag of that very rebuild; without its revision, the release's moving tag.

    Args:
        name: a short name, for instance "nanoserver".
        platform: a Windows platform; its os_version dotted or a release name, and ignored where the base fits all.

    Raises:
        RequestError: no such base, or it is not published for the platform; the hint says what there is.
    """
    flavour = flavour_named(name)
    if platform.os != "windows":
        raise RequestError(
            f"the base {flavour.name} is a Windows base, and {platform} is not",
            hint="Use --base static or scratch for Linux; wingo.toml takes one base per platform.",
        )
    releases = flavour.releases.get(platform.architecture)
    if releases is None:
        raise RequestError(
            f"{flavour.name} is not published for {platform.os}/{platform.architecture}",
            hint=f"It exists for {' and '.join(sorted(flavour.releases))}.",
        )
    if flavour.fixed_tag:
        return _reference(flavour, flavour.fixed_tag)
    existing = ", ".join(releases)
    if not platform.os_version:
        raise RequestError(f"which {flavour.name}? {platform} says no release", hint=f"Add one of {existing}.")
    version = parse_os_version(platform.os_version)
    suffix = "" if platform.architecture == "amd64" else f"-{platform.architecture}"
    if version.complete:
        return _reference(flavour, f"{version}{suffix}")
    release = next((release for release in releases if NAMES[release] == version.prefix), "")
    if not release:
        asked = name_of(version.prefix)
        raise RequestError(
            f"{flavour.name} is not published for {asked + ' = ' if asked else ''}{version} on {platform.architecture}",
            hint=f"It exists for {existing}.",
        )
    return _reference(flavour, f"{release}{suffix}")


def flavour_named(name: str) -> Flavour:
    """The base of a short name.

    Raises:
        RequestError: there is none; the hint suggests the nearest, or lists them.
    """
    if flavour := FLAVOURS.get(name.lower()):
        return flavour
    import difflib

    near = difflib.get_close_matches(name.lower(), FLAVOURS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(FLAVOURS)}; or write a reference with a tag."
    raise RequestError(f"there is no base called {name[:80]!r}", hint=hint)


def _reference(flavour: Flavour, tag: str) -> Reference:
    return parse_reference(f"{REGISTRY}/{flavour.repository}:{tag}")
