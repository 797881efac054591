"""Platforms (image-spec `image-index.md`) and their two spellings.

containerd and buildx write ``windows(10.0.20348)/amd64``, go-containerregistry, ko and crane write
``windows/amd64:10.0.20348``; both are read, the second is written.
"""

from __future__ import annotations

import re

import msgspec

from wingo.errors import RequestError
from wingo.oci.wire import rename

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}


class Platform(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename):
    """Where an image can run.

    Attributes:
        os: as GOOS: "windows", "linux".
        architecture: as GOARCH: "amd64", "arm64".
        os_version: "10.0.20348.2849" on Windows; "" elsewhere.
        os_features: for instance ("win32k",).
        variant: "v7" for 32-bit ARM, "v8" for arm64, "v2" to "v4" for amd64; often "".
    """

    os: str
    architecture: str
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""

    def __str__(self) -> str:
        variant = f"/{self.variant}" if self.variant else ""
        version = f":{self.os_version}" if self.os_version else ""
        return f"{self.os}/{self.architecture}{variant}{version}"


def parse_platform(text: str) -> Platform:
    """Reads `os/arch[/variant][:os.version]` or `os(os.version)/arch[/variant]`.

    The os.version is taken as written: what "ltsc2022" means is known in `wingo.windows.osversion`.

    Raises:
        RequestError: it is neither spelling.
    """
    body, os_version = text.strip(), ""
    if matched := re.fullmatch(r"([^()/:]+)\(([^()]*)\)(/[^()]*)", body):
        body, os_version = matched[1] + matched[3], matched[2]
    elif ":" in body:
        body, _, os_version = body.partition(":")
    words = body.split("/")
    if not 2 <= len(words) <= 3 or not all(_WORD.match(word) for word in words):
        raise _not_a_platform(text)
    if (os_version or "(" in text or ":" in text) and not _WORD.match(os_version):
        raise _not_a_platform(text)
    architecture = _ARCHITECTURES.get(words[1].lower(), words[1].lower())
    variant = words[2].lower() if len(words) == 3 else ""
    return Platform(words[0].lower(), architecture, os_version=os_version, variant=variant)


def _not_a_platform(text: str) -> RequestError:
    return RequestError(
        f"{text[:160]!r} is not a platform",
        hint="Write os/arch, for instance linux/arm64, windows/amd64:ltsc2022 or windows(10.0.20348)/amd64.",
    )
