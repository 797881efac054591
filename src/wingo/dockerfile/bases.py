"""What a stage starts from: facts about a base image, read from its config or known by its name.

A plan needs no registry: what Microsoft's, docker-library's and other well-known images say of themselves is known
here. What was read is better, and a build reads every base that its images stand on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from wingo.dockerfile.toolchains import ToolchainImage, toolchain_image
from wingo.errors import RequestError
from wingo.oci.config import ImageConfig
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference, parse_reference
from wingo.windows.osversion import NAMES

LINUX_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WINDOWS_TAG = re.compile(
    r"nanoserver|windowsservercore|servercore|ltsc20[0-9]{2}|windows|winamd64|\bwin[0-9]*\b|(?:^|[-_])(?:1809|1903|1909|2004|20h2|sac2016)(?:\Z|[-_])"
)
_LINUX_TAG = re.compile(
    r"alpine|debian|ubuntu|bookworm|bullseye|buster|trixie|jammy|focal|noble|linux|mariner|fedora|\bubi|musl"
)
_LAST_GO_ON_2016 = 10
"""The last Go whose `nanoserver` image stands on the Nano Server of 2016."""
_POWERSHELL = ("powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';")


class BaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a base.

    Attributes:
        platform: whose it is; the os_version is a release name's or the config's.
        config: as its config says, or as is known of such an image.
        on_build: its triggers.
        flavour: "nanoserver", "nanoserver2016", "servercore", "server", "hostprocess"; "" on Linux, or when nobody knows.
        libc: "glibc", "musl", "none" (there is no C library), or "" when nobody knows.
        assumed: nothing was read: all this is known by the image's name.
        known_config: the config is that of a well-known image, so that what is not in it is not set.
        toolchain: it is a Go toolchain.
    """

    platform: Platform
    config: ImageConfig = ImageConfig()
    on_build: tuple[str, ...] = ()
    flavour: str = ""
    libc: str = ""
    assumed: bool = False
    known_config: bool = True
    toolchain: ToolchainImage | None = None


def base_reference(image: str) -> Reference:
    """The reference of a FROM or a COPY --from.

    Raises:
        RequestError: it is none.
    """
    try:
        return parse_reference(image, default_tag="latest")
    except RequestError as error:
        if image != image.lower() and "/" not in image and ":" not in image:
            raise RequestError(str(error), hint="If it is a stage, define it before this one.") from error
        raise


def read_facts(config: ImageConfig, raw_settings: Mapping[str, object], reference: Reference) -> BaseFacts:
    """The facts of a base whose config was read.

    Args:
        config: parsed.
        raw_settings: its `config` member, for what wingo does not parse.
        reference: its name, which tells the flavour.
    """
    triggers = raw_settings.get("OnBuild")
    return BaseFacts(
        platform=config.platform,
        config=config,
        on_build=tuple(item for item in triggers if isinstance(item, str)) if isinstance(triggers, list) else (),
        flavour=_flavour(reference) if config.os == "windows" else "",
        libc=_libc(reference) if config.os != "windows" else "",
        toolchain=toolchain_image(reference),
    )


def assume_facts(reference: Reference, platform: Platform) -> BaseFacts:
    """What is known of a base by its name.

    Args:
        reference: its name.
        platform: what is asked for; its os decides.
    """
    toolchain = toolchain_image(reference)
    windows = platform.os == "windows"
    settings: dict[str, object] = {}
    flavour = _flavour(reference) if windows else ""
    if toolchain is not None:
        settings = _of_golang(toolchain, windows=windows, powershell=flavour != "nanoserver")
    elif windows and reference.repository.rpartition("/")[2] == "powershell":
        settings = {"cmd": ("pwsh.exe",)}
    elif windows:
        settings = {"cmd": (r"c:\windows\system32\cmd.exe",)}
    if windows and flavour == "nanoserver":
        settings["user"] = "ContainerUser"
    if not windows and "env" not in settings:
        settings["env"] = (f"PATH={LINUX_PATH}",)
    config = ImageConfig(os=platform.os, architecture=platform.architecture, variant=platform.variant)
    config = msgspec.structs.replace(config, config=msgspec.structs.replace(config.settings, **settings))
    return BaseFacts(
        platform=platform,
        config=config,
        flavour=flavour,
        libc="" if windows else _libc(reference),
        assumed=True,
        known_config=toolchain is not None or not windows or _is_microsofts(reference),
        toolchain=toolchain,
    )


def _is_microsofts(reference: Reference) -> bool:
    """Whether it is one of Windows' own images, whose config sets no variables, or PowerShell's, which sets its own alone."""
    if reference.registry == "mcr.microsoft.com":
        return reference.repository.startswith(("windows/", "powershell", "oss/kubernetes/windows-host-process")) and (
            not reference.repository.startswith("windows/servercore/")
        )
    return reference.repository in ("microsoft/nanoserver", "microsoft/windowsservercore")


def _of_golang(toolchain: ToolchainImage, *, windows: bool, powershell: bool) -> dict[str, object]:
    version = f"GOLANG_VERSION={toolchain.full_version}"
    if not windows:
        path = f"PATH=/go/bin:/usr/local/go/bin:{LINUX_PATH}"
        return {"env": (path, version, "GOTOOLCHAIN=local", "GOPATH=/go"), "working_dir": "/go"}
    # Go itself was in C:\go until 1.16.
    minor = toolchain.version.split(".")[1:2]
    gopath = r"C:\gopath" if minor and minor[0].isdigit() and int(minor[0]) < 17 else r"C:\go"
    return {
        "env": (f"GOPATH={gopath}", version, "GOTOOLCHAIN=local"),
        "working_dir": gopath,
        "shell": _POWERSHELL if powershell else ("cmd", "/S", "/C"),
        "cmd": (r"c:\windows\system32\cmd.exe",),
    }


def windows_by_name(reference: Reference) -> bool:
    """Whether a name alone says that an image is for Windows."""
    if reference.registry == "mcr.microsoft.com" and reference.repository.startswith(
        ("windows/", "windows-", "windows")
    ):
        return True
    name = reference.repository.rpartition("/")[2]
    if "windows" in name or name in ("nanoserver", "servercore"):
        return True
    return _WINDOWS_TAG.search(reference.tag.lower()) is not None


def linux_by_name(reference: Reference) -> bool:
    """Whether a name alone says that an image is for Linux; `golang`, which is for both, does not."""
    if _LINUX_TAG.search(reference.tag.lower()):
        return True
    return _libc(reference) != "" and toolchain_image(reference) is None


def release_by_name(reference: Reference) -> str:
    """The Windows release that a tag names, as a dotted version ("10.0.20348"); "" for none."""
    tag = reference.tag.lower()
    found = [name for name in NAMES if re.search(rf"(?<![0-9a-z]){name.lower()}(?![0-9a-z])", tag)]
    if found:
        return NAMES[max(found, key=len)]
    written = re.match(r"10\.0\.[0-9]{5}(?:\.[0-9]+)?", tag)
    return written[0] if written else ""


def _first_nanoserver(reference: Reference) -> bool:
    """Whether it is the Nano Server of 2016, which has PowerShell and runs as ContainerAdministrator; "latest" is that one."""
    tag = reference.tag.lower()
    toolchain = toolchain_image(reference)
    if toolchain is not None and "nanoserver" in tag and not re.search(r"-(?:1[78]\d\d|ltsc)", tag):
        minor = toolchain.version.split(".")[1:2]
        return bool(minor and minor[0].isdigit() and int(minor[0]) <= _LAST_GO_ON_2016)
    if reference.repository.rpartition("/")[2] == "nanoserver" and tag == "latest":
        return True
    return "sac2016" in tag or release_by_name(reference).startswith("10.0.14393")


def _flavour(reference: Reference) -> str:
    text = f"{reference.repository}:{reference.tag}".lower()
    if "nanoserver" in text:
        return "nanoserver2016" if _first_nanoserver(reference) else "nanoserver"
    if "host-process" in text or "hostprocess" in text:
        return "hostprocess"
    if "servercore" in text or re.search(r"\b(?:iis|aspnet|framework)\b", text):
        return "servercore"
    if reference.repository.endswith(("windows/server", "windows")):
        return "server"
    if toolchain_image(reference) is not None:
        return "servercore"
    return ""


def _libc(reference: Reference) -> str:
    name, tag = reference.repository.rpartition("/")[2], reference.tag.lower()
    if name == "alpine" or "alpine" in tag or "musl" in tag:
        return "musl"
    if name in ("static", "static-debian11", "static-debian12", "static-debian13") or (
        name == "busybox" and "glibc" not in tag
    ):
        return "none"
    known = ("debian", "ubuntu", "golang", "buildpack-deps", "fedora", "centos", "rockylinux", "almalinux")
    return "glibc" if name in known or name.startswith(("ubi", "base-debian", "cc-debian")) else ""
