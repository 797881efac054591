"""Programs that cannot be lowered, and what to write instead."""

from __future__ import annotations

import re

_VERIFYING = re.compile(r"(?:--?|/)?(?:version|help|v|vv|h|\?|info|about)\Z|-V\Z", re.IGNORECASE)


def is_verification(arguments: tuple[str, ...]) -> bool:
    """Whether a program is only asked for its version or help."""
    if not 0 < len(arguments) <= 3:
        return False
    *before, last = arguments
    plain = all(_VERIFYING.match(argument) or re.fullmatch(r"[a-z][a-z-]*", argument) for argument in before)
    return bool(plain and _VERIFYING.match(last)) and not (before and last.lower() in ("v", "h", "/v"))


_INSTALLERS = "COPY the program's own files, or download its zip and use Expand-Archive or tar."
_SANDBOX = "Do it in a Linux stage, where RUN is executed, and COPY --from it."
_KNOWN = {
    "msiexec": ("an MSI installer runs code of its own", _INSTALLERS),
    "choco": ("choco runs install scripts of its packages", _INSTALLERS),
    "winget": ("winget runs installers", _INSTALLERS),
    "scoop": ("scoop runs install scripts", _INSTALLERS),
    "nuget": ("nuget is a program that is not lowered", "Download the .nupkg, which is a zip, and use tar."),
    "dism": ("dism changes Windows' component store", "Use a base that has the feature, for instance server or servercore."),
    "bcdedit": ("a container has no boot configuration", "Leave it out."),
    "netsh": ("netsh changes the running system, and an image keeps nothing of most of it", "Leave it out, or set the registry value it writes."),
    "schtasks": ("a scheduled task is kept in files signed by the running system", "Start it when the container starts."),
    "wmic": ("wmic asks the running system", "Write the value itself."),
    "ngen": ("ngen compiles .NET assemblies", "Use a .NET base where that is done."),
    "regsvr32": ("regsvr32 runs code of the DLL", "Write the registry values that it makes with reg add."),
    "sfc": ("sfc checks the running system", "Leave it out."),
    "make": ("make is not lowered in a Windows stage", _SANDBOX),
    "mingw32-make": ("make is not lowered in a Windows stage", _SANDBOX),
    "npm": ("npm is not lowered in a Windows stage", _SANDBOX),
    "node": ("node is not lowered in a Windows stage", _SANDBOX),
    "python": ("python is not lowered in a Windows stage", _SANDBOX),
    "pip": ("pip is not lowered in a Windows stage", _SANDBOX),
    "tzutil": ("the time zone is the running system's", "Set TZ with ENV, which Go programs read."),
    "wevtutil": ("event logs are the running system's", "Leave it out."),
    "shutdown": ("a step cannot restart Windows", "Leave it out."),
}  # fmt: skip


def advice_for(name: str, arguments: tuple[str, ...]) -> tuple[str, str]:
    """Why a program cannot be lowered, and what to write instead."""
    if name == "choco":
        names = [word for word in arguments[1:] if re.fullmatch(r"[A-Za-z0-9][\w.-]*", word)][:1]
        if arguments[:1] in (("install",), ("upgrade",)) and names:
            return (
                f"choco install {names[0]} runs the install script of the package",
                f"Fetch the zip that the script fetches (https://community.chocolatey.org/packages/{names[0]} shows it) and unpack it.",
            )
        return "choco: what it sets is for the chocolatey of the image", "Leave it out."
    if name in _KNOWN:
        reason, advice = _KNOWN[name]
        return f"{name}: {reason}", advice
    shown = " ".join((name, *arguments))[:120]
    return (
        f"{shown}: running a Windows program is not lowered",
        "Do it in a Linux stage, or COPY what it makes.",
    )
