"""Which DLLs Microsoft's bases are known to have, and to lack, each with where that is known from.

No Microsoft base can be read where wingo is developed, so this is no list of a base's files: it is what public sources and
Go's own behaviour show. A DLL in neither table is *not known*, and a check says so as a warning. Where a base's layers are at
hand, they are looked at instead; `scripts/base_libraries.py` writes a base's own list.
"""

from __future__ import annotations

from enum import Enum

import msgspec

_GO_RUNS = (
    "Go's runtime and standard library load it, and the Go toolchain itself runs on nanoserver (docker-library/golang)"
)
_NETAPI = "golang/go#21867, microsoft/Windows-Containers#72, docker-library/golang#348: removed in nanoserver 1709"
_NO_DESKTOP = "nanoserver has no desktop and no GDI (Microsoft, 'Nano Server'; dotnet/dotnet-docker#1098)"
_NOT_IN_CORE = "adamrehn/ue4-docker copies it out of the full Windows image, because Server Core lacks it"


class Knowledge(Enum):
    """What is known of a DLL in a base."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "not known"


class Library(msgspec.Struct, frozen=True):
    """A DLL in a base.

    Attributes:
        knowledge: whether it is there.
        source: where that is known from.
    """

    knowledge: Knowledge
    source: str = ""


_UNKNOWN = Library(Knowledge.UNKNOWN)

_PRESENT_IN_NANOSERVER = dict.fromkeys(
    (
        *("kernel32.dll", "kernelbase.dll", "ntdll.dll", "advapi32.dll", "bcryptprimitives.dll", "ws2_32.dll"),
        *("mswsock.dll", "dnsapi.dll", "iphlpapi.dll", "crypt32.dll", "userenv.dll", "secur32.dll", "bcrypt.dll"),
        *("sechost.dll", "rpcrt4.dll", "ucrtbase.dll", "msvcrt.dll"),
    ),
    _GO_RUNS,
)
_ABSENT_IN_NANOSERVER = {
    "netapi32.dll": _NETAPI,
    **dict.fromkeys(("gdiplus.dll", "comctl32.dll", "comdlg32.dll", "uxtheme.dll", "dwmapi.dll"), _NO_DESKTOP),
    "dwrite.dll": "dotnet/wpf#7953: DllNotFoundException on nanoserver, and not on Server Core",
    "opengl32.dll": _NO_DESKTOP,
    "mscoree.dll": "nanoserver has no .NET Framework (Microsoft, 'Windows container base images')",
}
_PRESENT_IN_SERVERCORE = {
    **_PRESENT_IN_NANOSERVER,
    "netapi32.dll": "kubernetes-csi/csi-driver-smb and others copy it from servercore to nanoserver",
    "mscoree.dll": "servercore has the .NET Framework (Microsoft, 'Windows container base images')",
    "ntdsapi.dll": "kubernetes test/images/windows copies it from servercore",
    "gdiplus.dll": "dotnet/dotnet-docker#1098: works on servercore",
    "user32.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "gdi32.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "ole32.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "oleaut32.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "shell32.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "shlwapi.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "version.dll": "PowerShell and the .NET Framework, which servercore has, import it",
    "dwrite.dll": "dotnet/wpf#7953: works on Server Core",
}
_ABSENT_IN_SERVERCORE = dict.fromkeys(
    ("avicap32.dll", "avifil32.dll", "dsound.dll", "dxva2.dll", "glu32.dll", "opengl32.dll", "msvfw32.dll"),
    _NOT_IN_CORE,
)
TABLES = {
    "nanoserver": (_PRESENT_IN_NANOSERVER, _ABSENT_IN_NANOSERVER),
    "servercore": (_PRESENT_IN_SERVERCORE, _ABSENT_IN_SERVERCORE),
    "server": (_PRESENT_IN_SERVERCORE, {}),
}
"""By flavour: what is known to be there, and what is known not to be; each with its source."""
_API_SETS = ("api-ms-", "ext-ms-")


def is_api_set(name: str) -> bool:
    """Whether a name is an API set's, which the loader maps to a DLL of its own choice, and no file."""
    return name.lower().startswith(_API_SETS)


def library_in(flavour: str, name: str) -> Library:
    """What is known of a DLL in a base.

    Args:
        flavour: "nanoserver", "servercore" or "server"; of others nothing is known.
        name: "netapi32.dll", in any case.
    """
    plain = name.lower()
    present, absent = TABLES.get(flavour, ({}, {}))
    if plain in absent:
        return Library(Knowledge.ABSENT, absent[plain])
    if plain in present:
        return Library(Knowledge.PRESENT, present[plain])
    return _UNKNOWN
