"""Likely values of arguments that have none, for planning Dockerfiles of others without their build's command line.

How FROM uses an argument says most of it; else its name does. Nothing of a build ever comes from here.
"""

from __future__ import annotations

import base64
import re

from wingo.dockerfile.instructions import Dockerfile, Run, Shell, Stage

_WINDOWS = "ltsc2022"
_DIGITS = {"md5": 32, "sha1": 40, "sha512": 128}
_CHECKSUM = re.compile(r"(?:^|_)(?:CHECKSUM|HASH|MD5|SHA|SHA1|SHA256|SHA512|SHA256SUM|SHASUM|DIGEST)(?:_|\Z|\d)")


def likely_value(dockerfile: Dockerfile, name: str) -> str:
    """What an argument before the first FROM is likely to be given: a base, a tag, a digest, or what its name says."""
    variable = re.compile(rf"\$(?:{re.escape(name)}\b|\{{{re.escape(name)}[}}:])")
    for stage in dockerfile.stages:
        image = stage.start.image
        found = variable.search(image)
        if found is None:
            continue
        before = image[: found.start()]
        if before.endswith("@sha256:"):
            return "0" * 64
        if before.endswith("@"):
            return f"sha256:{'0' * 64}"
        if not before.strip('"') and not image[found.end() :].strip('}"'):
            return _likely_base(stage, name.upper())
        if re.search(r"golang[^/]*:[^/]*\Z", before):
            return "1.21"
    return _by_name(name.upper())


def _likely_base(stage: Stage, name: str) -> str:
    if "GO" in re.split(r"[^A-Z]+", name) or "GOLANG" in name:
        return "golang:1.21"
    starts = {_program(item.arguments[0]) for item in stage.instructions if isinstance(item, Shell) and item.arguments}
    for item in stage.instructions:
        if isinstance(item, Run):
            starts.update(_program(part) for part in re.split(r"&&|\|\||[\n|;]", item.command.text))
    pwsh, powershell = "pwsh" in starts or "PWSH" in name, "powershell" in starts
    if pwsh and powershell:
        return f"mcr.microsoft.com/powershell:lts-windowsservercore-{_WINDOWS}"
    if pwsh or ("POWERSHELL" in name and not powershell):
        return f"mcr.microsoft.com/powershell:lts-nanoserver-{_WINDOWS}"
    if powershell or "SERVERCORE" in name:
        return f"mcr.microsoft.com/windows/servercore:{_WINDOWS}"
    return f"mcr.microsoft.com/windows/nanoserver:{_WINDOWS}"


def _program(command: str) -> str:
    """The program's name of a command, without its directory and `.exe`."""
    first = re.match(r'[\s@(\["]*([^\s",]*)', command.lower())
    return re.split(r"[\\/]", first[1])[-1].removesuffix(".exe") if first is not None else ""


def _by_name(name: str) -> str:
    words = name.split("_")
    if "ARCH" in name:
        return "amd64"
    if name in ("OS", "GOOS", "TARGETOS", "BUILDOS"):
        return "windows"
    if "GOLANG" in name or name in ("GOVERSION", "GO_VERSION", "GO_VER", "GOVER", "GO"):
        return "1.21"
    if "REGISTRY" in name or "REPO" in words or "REPOSITORY" in words:
        return "registry.example"
    if name.endswith(("IMAGE", "BASE")):
        return f"mcr.microsoft.com/windows/nanoserver:{_WINDOWS}"
    return _WINDOWS


def likely_argument(name: str) -> str | None:
    """What a stage's argument is likely to be given; None: it may well stay empty."""
    upper = name.upper()
    if upper.startswith(("GO", "CGO")) and "VERSION" not in upper:
        return None
    if _CHECKSUM.search(upper) and "GIT_SHA" not in upper and "COMMIT" not in upper:
        kind = next((kind for kind in _DIGITS if kind in upper.lower()), "")
        return "0" * _DIGITS.get(kind, 64)
    if "ARCH" in upper.split("_"):
        return "amd64"
    if "BASE64" in upper:
        return base64.b64encode(f"https://host.example/{name.lower()}.zip".encode("utf-16-le")).decode()
    if "URL" in upper.split("_"):
        return f"https://host.example/{name.lower()}.zip"
    if any(word.startswith(("VERSION", "VER", "RELEASE", "BUILD")) for word in upper.split("_")):
        return "1.0.0"
    return None
