"""Windows versions: names and builds, which host runs which image, and platforms as people ask for them.

An `os.version` is `10.0.BUILD.REV`. BUILD says what the kernel interface is; REV moves with every monthly rebuild and
decides nothing about compatibility.

Sources: hcsshim `osversion/windowsbuilds.go`; containerd/platforms v1.0.0-rc.5 `platform_windows_compat.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from wingo.errors import RequestError
from wingo.oci.platform import Platform, parse_platform

NAMES = {
    "ltsc2016": "10.0.14393",
    "1607": "10.0.14393",
    "1709": "10.0.16299",
    "1803": "10.0.17134",
    "ltsc2019": "10.0.17763",
    "1809": "10.0.17763",
    "1903": "10.0.18362",
    "1909": "10.0.18363",
    "2004": "10.0.19041",
    "20H2": "10.0.19042",
    "ltsc2022": "10.0.20348",
    "23H2": "10.0.25398",
    "ltsc2025": "10.0.26100",
}
"""Release names of Windows Server images, and their os.version without the revision."""

_STABLE = (20348, 26100)
"""Builds of the long-term releases that later hosts go on running, oldest first ("stable ABI", since ltsc2022)."""

DEFAULT_WINDOWS = {"amd64": ("ltsc2022", "ltsc2025"), "arm64": ("ltsc2025",)}
"""The releases that `windows/ARCH` alone means; Microsoft publishes arm64 bases for ltsc2025 only."""

_LINUX = (
    *("amd64", "arm64", "386", "arm", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"),
    *("riscv64", "s390x"),
)
"""What go builds for on Linux (`go tool dist list`)."""
ALL_PLATFORMS = (
    Platform("windows", "amd64", os_version=NAMES["ltsc2025"]),
    Platform("windows", "arm64", os_version=NAMES["ltsc2025"]),
    Platform("windows", "amd64", os_version=NAMES["ltsc2022"]),
    Platform("windows", "amd64", os_version=NAMES["ltsc2019"]),
    Platform("linux", "amd64"),
    Platform("linux", "arm64"),
)
"""What `all` means: every Windows release that Microsoft still rebuilds, and Linux on the same machines."""

_NAMES_UPPER = {name.upper(): name for name in NAMES}
_DOTTED = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){2,3}\Z")
_UNSIGNED_16 = 0xFFFF


class OsVersion(msgspec.Struct, frozen=True, order=True):
    """A Windows version; ordered by its numbers, not by its text.

    Attributes:
        major: 10 since 2015.
        minor: 0 since 2015.
        build: which Windows.
        revision: which monthly rebuild; -1 when not given.
    """

    major: int
    minor: int
    build: int
    revision: int = -1

    def __str__(self) -> str:
        return f"{self.prefix}.{self.revision}" if self.revision >= 0 else self.prefix

    @property
    def prefix(self) -> str:
        """The version without its revision, for instance "10.0.20348"."""
        return f"{self.major}.{self.minor}.{self.build}"

    @property
    def complete(self) -> bool:
        """Whether it has all four parts, as an image's must."""
        return self.revision >= 0


def parse_os_version(text: str) -> OsVersion:
    """Reads a release name or `10.0.BUILD[.REV]`.

    Raises:
        RequestError: neither; the hint names the nearest release or lists them.
    """
    if name := _NAMES_UPPER.get(text.upper()):
        return parse_os_version(NAMES[name])
    if _DOTTED.match(text):
        numbers = [int(part) for part in text.split(".")]
        if max(numbers) <= _UNSIGNED_16:
            return OsVersion(*numbers)
    import difflib

    near = difflib.get_close_matches(text.lower(), [name.lower() for name in NAMES], n=2)
    known = "ltsc2019, ltsc2022, ltsc2025"
    hint = (
        f"Did you mean {' or '.join(_NAMES_UPPER[name.upper()] for name in near)}?"
        if near
        else f"Write one of {known}, or 10.0.BUILD[.REV]."
    )
    raise RequestError(f"{text[:80]!r} is not a Windows version", hint=hint)


def name_of(os_version: str) -> str:
    """The long-term or other release name of an os.version, for people; "" when it has none."""
    version = _lenient(os_version)
    if version is None:
        return ""
    return next((name for name, dotted in NAMES.items() if dotted == version.prefix), "")


def satisfies(found: str, wanted: str) -> bool:
    """Whether an image's os.version is the one asked for.

    A wanted version without a revision is satisfied by every revision of that build, and one with it by that alone
    (ko#568). Nothing wanted is satisfied by anything.

    Args:
        found: the image's, as its config or index says.
        wanted: a release name or dotted, "" for any.

    Raises:
        RequestError: `wanted` is not a version.
    """
    if not wanted:
        return True
    asked, version = parse_os_version(wanted), _lenient(found)
    if version is None:
        return False
    return asked == version if asked.complete else asked.prefix == version.prefix


def matches(image: str, host: str) -> bool:
    """Whether containerd on a host takes an image for process isolation, by both os.versions.

    The rule of containerd/platforms v1.0.0-rc.5: the same major and minor number; on hosts before ltsc2022 the same
    build; on later ones any build from the long-term release before the host's own generation up to the host's. The
    revision is ignored. An image without os.version, or a host of unknown version, matches always.
    """
    machine = _lenient(host)
    if machine is None or not image:
        return True
    version = _lenient(image)
    if version is None or (version.major, version.minor) != (machine.major, machine.minor):
        return False
    if machine.build < _STABLE[0]:
        return version.build == machine.build
    generation = sum(release <= machine.build for release in _STABLE) - 1
    return _STABLE[max(generation - 1, 0)] <= version.build <= machine.build


def index_order(platform: Platform) -> tuple[object, ...]:
    """The sort key of an index's entries: Windows before others, newest os.version first.

    Older containerd takes the first entry that fits rather than the best (containerd#11366), so the order decides. An
    entry without os.version fits every host and therefore comes last of the Windows ones.
    """
    windows = platform.os == "windows"
    version = _lenient(platform.os_version) if windows else None
    numbers = (-version.major, -version.minor, -version.build, -version.revision) if version is not None else (1,)
    return (not windows, numbers, platform.os, platform.architecture, platform.variant, platform.os_version)


def expand_platform(text: str) -> tuple[Platform, ...]:
    """What one `--platform` word asks for.

    Takes `all`, a release name (`ltsc2022`: on amd64), `windows` or `windows/ARCH` (the default releases),
    `windows/ARCH:VERSION` and `windows(VERSION)/ARCH` with a release name or a dotted version, and `OS/ARCH[/VARIANT]`.

    Returns:
        Platforms whose os_version is dotted, with or without its revision.

    Raises:
        RequestError: no such platform, or one that has no containers.
    """
    asked = text.strip()
    if asked.lower() == "all":
        return ALL_PLATFORMS
    if asked.lower() == "windows":
        asked = "windows/amd64"
    if "/" not in asked:
        return (Platform("windows", "amd64", os_version=str(_release(asked))),)
    platform = parse_platform(asked)
    if platform.os == "windows":
        return _expand_windows(platform, asked)
    if platform.os != "linux":
        raise RequestError(
            f"there are no containers for the system {platform.os!r} in {asked[:80]!r}",
            hint="Write windows/amd64, windows/arm64 or linux/ARCH.",
        )
    if platform.os_version:
        raise RequestError(
            f"{asked[:80]!r}: only Windows platforms have an os.version", hint=f"Write {_bare(platform)}."
        )
    if platform.architecture not in _LINUX:
        import difflib

        near = difflib.get_close_matches(platform.architecture, _LINUX, n=1)
        raise RequestError(
            f"go does not build for {_bare(platform)}",
            hint=f"Did you mean linux/{near[0]}?" if near else f"There are {', '.join(_LINUX)}.",
        )
    if platform.architecture == "arm64" and platform.variant == "v8":
        # Every arm64 is v8; containerd writes and compares it without.
        return (msgspec.structs.replace(platform, variant=""),)
    return (platform,)


def expand_platforms(texts: Iterable[str]) -> tuple[Platform, ...]:
    """What a list of `--platform` words asks for, each word itself a list with commas; the first mention counts.

    Raises:
        RequestError: a word is not a platform, or there is none.
    """
    words = [word for text in texts for word in text.split(",")]
    platforms = dict.fromkeys(platform for word in words for platform in expand_platform(word))
    if not platforms:
        raise RequestError("no platform was asked for", hint="Write for instance --platform ltsc2022,linux/amd64.")
    return tuple(platforms)


def _expand_windows(platform: Platform, text: str) -> tuple[Platform, ...]:
    if platform.architecture not in DEFAULT_WINDOWS or platform.variant:
        raise RequestError(
            f"there are no Windows containers for {_bare(platform)}", hint="Write windows/amd64 or windows/arm64."
        )
    if not platform.os_version:
        names = DEFAULT_WINDOWS[platform.architecture]
        return tuple(msgspec.structs.replace(platform, os_version=NAMES[name]) for name in names)
    try:
        version = parse_os_version(platform.os_version)
    except RequestError as error:
        raise RequestError(f"platform {text[:80]!r}: {error}", hint=error.hint) from error
    return (msgspec.structs.replace(platform, os_version=str(version)),)


def _release(text: str) -> OsVersion:
    try:
        return parse_os_version(text)
    except RequestError as error:
        raise RequestError(
            f"{text[:80]!r} is not a platform",
            hint=error.hint
            if error.hint.startswith("Did")
            else f"Write {'linux/amd64' if text.lower() == 'linux' else 'os/arch'}, ltsc2019, ltsc2022, ltsc2025 or all.",
        ) from error


def _bare(platform: Platform) -> str:
    return str(msgspec.structs.replace(platform, os_version=""))


def _lenient(text: str) -> OsVersion | None:
    """A version out of an image or a host, or None when it is not dotted numbers; never raises."""
    if not _DOTTED.match(text):
        return None
    numbers = [int(part) for part in text.split(".")]
    return OsVersion(*numbers) if max(numbers) <= _UNSIGNED_16 else None
