"""Which images are Go toolchains, and which Go they ask for.

An image called `golang` is not pulled for a stage that only compiles: the local toolchain does it, as the version that
the tag names. What such an image says of itself is known from docker-library/golang's Dockerfiles.
"""

from __future__ import annotations

import re

import msgspec

from wingo.oci.reference import Reference

_TAG = re.compile(r"(?:go)?(1(?:\.[0-9]+){0,2})(?:(rc|beta)([0-9]+))?(?:\Z|[-_])")
_LAST_PATCH = {
    13: 15, 14: 15, 15: 15, 16: 15, 17: 13, 18: 10, 19: 13, 20: 14, 21: 13, 22: 12, 23: 12, 24: 13,
}  # fmt: skip
"""The last release of each Go that gets no more of them (go.dev/doc/devel/release)."""
_OLDEST = 13
"""The oldest Go that the go command can fetch as a toolchain: golang.org/toolchain has no older ones."""
_FIRST_WITH_ZERO = 21
"""The first Go whose first release has a ".0"."""


class ToolchainImage(msgspec.Struct, frozen=True):
    """A `golang` image as a wish for a toolchain.

    Attributes:
        version: as in the tag: "1.21", "1.21.3", "1.22rc1"; "" for whichever is newest.
        windows: "nanoserver" or "windowsservercore"; "" for a Linux image or one that is both.
        alpine: its C library is musl.
        microsoft: Microsoft's build of Go, which has experiments of its own (`GOEXPERIMENT=ms_…`).
    """

    version: str = ""
    windows: str = ""
    alpine: bool = False
    microsoft: bool = False

    def toolchain(self, local: str) -> str:
        """What GOTOOLCHAIN is set to: "local", or the name of a release that the go command fetches.

        Args:
            local: the version of the local toolchain, "go1.26.8".
        """
        if not self.version or self.version == "1" or self.too_old:
            return "local"
        have = local.removeprefix("go").split(" ")[0]
        version = self.full_version
        moves = version.count(".") == 1 and version.replace(".", "").isdigit()
        if version.endswith(".0") and int(version.split(".")[1]) < _FIRST_WITH_ZERO:
            return f"go{version.removesuffix('.0')}"
        if have == version or (moves and have.startswith(f"{version}.")):
            return "local"
        # Which patch an image of a release line that goes on has today is not known; its first can be fetched.
        first = moves and int(version.split(".")[1]) >= _FIRST_WITH_ZERO
        return f"go{version}.0" if first else f"go{version}"

    def newer(self, wanted: str) -> str:
        """The release to take instead, when go.mod wants one that the image may have and the local toolchain is not.

        Args:
            wanted: of go.mod's `go` line, "1.26.9".

        Returns:
            A value for GOTOOLCHAIN; "" when no image of that name has it.
        """
        moves = not self.version or self.version == "1"
        if not moves and not (self.version.count(".") == 1 and wanted.startswith(f"{self.version}.")):
            return ""
        return ToolchainImage(wanted).toolchain("")

    @property
    def too_old(self) -> bool:
        """Whether no such toolchain can be had any more, so that the local one compiles."""
        words = self.version.split(".")
        return len(words) > 1 and words[1].isdigit() and int(words[1]) < _OLDEST

    @property
    def full_version(self) -> str:
        """The version with its patch, as far as that is known for ever."""
        if self.version.count(".") != 1 or not self.version.replace(".", "").isdigit():
            return self.version
        minor = int(self.version.split(".")[1])
        return f"{self.version}.{_LAST_PATCH[minor]}" if minor in _LAST_PATCH else self.version


def toolchain_image(reference: Reference) -> ToolchainImage | None:
    """The toolchain that an image stands for; None when it is none: its repository's last part is not "golang"."""
    if reference.repository.rpartition("/")[2] != "golang":
        return None
    tag = reference.tag.lower()
    matched = _TAG.match(tag)
    version = "" if matched is None else matched[1] + (f"{matched[2]}{matched[3]}" if matched[2] else "")
    windows = ""
    if "nanoserver" in tag:
        windows = "nanoserver"
    elif "windowsservercore" in tag or "servercore" in tag or re.search(r"ltsc20[0-9]{2}|\b1809\b|windows", tag):
        windows = "windowsservercore"
    return ToolchainImage(version, windows, "alpine" in tag, "microsoft" in reference.repository.split("/"))
