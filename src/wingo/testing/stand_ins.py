r"""Stand-ins for the bases that Dockerfiles name, so that they can be built where the real ones cannot be pulled.

A Windows one has the shape of Microsoft's, the programs that `RUN` steps ask for as placeholders, a machine PATH, and
for a Go toolchain the config of docker-library/golang's; nothing in it runs. A Linux one is busybox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wingo.archive.entry import Entry, EntryKind
from wingo.dockerfile.bases import LINUX_PATH, assume_facts
from wingo.hive.edit import CreateKey, SetValue, apply_edits
from wingo.hive.keys import TreeKey
from wingo.hive.values import DWORD, EXPAND_SZ, encode_text
from wingo.hive.write import write_hive
from wingo.image.derive import ConfigPatch, derive
from wingo.image.model import Image
from wingo.oci.media_types import Family
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference
from wingo.testing.bases import hostprocess_base, windows_base
from wingo.testing.hives import SYSTEM_SECURITY
from wingo.testing.images import CREATED, directory_entry, file_entry, image_of, layer_of
from wingo.windows.osversion import NAMES

PROGRAMS = tuple(
    f"Windows/System32/{name}"
    for name in (
        *("attrib.exe", "certutil.exe", "curl.exe", "find.exe", "findstr.exe", "icacls.exe", "more.com", "net.exe", "netapi32.dll"),
        *("reg.exe", "robocopy.exe", "sc.exe", "setx.exe", "tar.exe", "where.exe", "xcopy.exe"),
    )
)  # fmt: skip
_SERVERCORE_PROGRAMS = (
    "Windows/System32/msiexec.exe",
    "Windows/System32/timeout.exe",
    "Windows/System32/WindowsPowerShell/v1.0/powershell.exe",
)
_MACHINE_PATH = (
    r"%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\Wbem;%SystemRoot%\System32\WindowsPowerShell\v1.0\\"
)
_RELEASES = ("ltsc2025", "ltsc2022", "ltsc2019")


def system_hive(services: Sequence[str] = ("WSearch",)) -> bytes:
    """A SYSTEM hive with the machine's PATH and services that start by themselves."""
    environment = r"ControlSet001\Control\Session Manager\Environment"
    edits = [
        SetValue("Select", "Current", DWORD, (1).to_bytes(4, "little")),
        SetValue(environment, "Path", EXPAND_SZ, encode_text(_MACHINE_PATH)),
    ]
    for name in services:
        edits.append(SetValue(rf"ControlSet001\Services\{name}", "Start", DWORD, (2).to_bytes(4, "little")))
        edits.append(SetValue(rf"ControlSet001\Services\{name}", "Type", DWORD, (16).to_bytes(4, "little")))
    return write_hive(apply_edits(TreeKey("ROOT", SYSTEM_SECURITY), edits))


def software_hive() -> bytes:
    """A SOFTWARE hive with the keys that others are made below."""
    keys = [CreateKey(name) for name in (r"Microsoft\Windows NT\CurrentVersion", "Policies", "WOW6432Node")]
    return write_hive(apply_edits(TreeKey("ROOT", SYSTEM_SECURITY), keys))


def stand_in(
    reference: Reference,
    platform: Platform,
    *,
    busybox: bytes = b"",
    applets: Sequence[str] = (),
    hives: Mapping[str, bytes] | None = None,
) -> Image:
    """A base in the place of the one that a Dockerfile names.

    Args:
        reference: its name, which says what it is.
        platform: whose it is.
        busybox: a statically linked busybox, for Linux.
        applets: what it can do (`busybox --list`).
        hives: registry hives by name, in place of small ones.
    """
    if platform.os != "windows":
        return busybox_base(busybox, applets, architecture=platform.architecture)
    facts = assume_facts(reference, platform)
    if facts.flavour == "hostprocess":
        return hostprocess_base()
    nanoserver = facts.flavour == "nanoserver"
    base = windows_base(
        "nanoserver" if nanoserver else "servercore",
        nearest_release(platform.os_version),
        architecture=platform.architecture,
        hives={"SYSTEM": system_hive(), "SOFTWARE": software_hive(), **(hives or {})},
        files=PROGRAMS if nanoserver else (*PROGRAMS, *_SERVERCORE_PROGRAMS),
    )
    known, settings = facts.config.settings, {}
    if facts.toolchain is not None:
        settings = {name: value for name in ("env", "shell", "working_dir", "cmd") if (value := getattr(known, name))}
    # Releases that nothing is rebuilt for any more have the same shape.
    older = None if base.platform.os_version.startswith(platform.os_version) else f"{platform.os_version}.1"
    return derive(base, [], ConfigPatch(settings=settings, os_version=older), family=Family.DOCKER)


def nearest_release(os_version: str) -> str:
    """The release that there are stand-ins of: the one asked for, else the oldest."""
    return next((name for name in _RELEASES if os_version.startswith(NAMES[name])), _RELEASES[-1])


def busybox_base(
    program: bytes, applets: Sequence[str], *, files: Sequence[Entry] = (), architecture: str = "amd64"
) -> Image:
    """A small Linux like Alpine: busybox, accounts, a shell.

    Args:
        program: busybox, statically linked.
        applets: what it can do (`busybox --list`).
        files: more of them.
        architecture: the program's.
    """
    own = {entry.name for entry in files}
    entries = [
        directory_entry("bin"),
        file_entry("bin/busybox", program, mode=0o755),
        *(
            Entry(f"bin/{name}", EntryKind.SYMLINK, 0o777, link_target="busybox")
            for name in sorted(applets)
            if name != "busybox" and f"bin/{name}" not in own
        ),
        directory_entry("etc"),
        file_entry("etc/group", b"root:x:0:\nstaff:x:50:\nme:x:1000:\n"),
        file_entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n"),
        directory_entry("root", mode=0o700),
        directory_entry("tmp", mode=0o1777),
        directory_entry("usr"),
        Entry("usr/bin", EntryKind.SYMLINK, 0o777, link_target="../bin"),
        *files,
    ]
    config: dict[str, object] = {
        "os": "linux",
        "architecture": architecture,
        "created": CREATED,
        "config": {"Env": [f"PATH={LINUX_PATH}"], "Cmd": ["/bin/sh"]},
        "history": [{"created": CREATED, "created_by": "busybox"}],
    }
    return image_of([layer_of(entries)], config)
