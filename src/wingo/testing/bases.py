"""Base images of the same shape as the published ones, made here: small, the same every time, free of other's files.

A Windows base of Microsoft's is one layer (Server Core: two) in gzip, with `Files`, `Hives` of `*_BASE`, `UtilityVM`,
registry hives, hard links, security descriptors; its manifest and index are Docker's schema 2, written over several
lines; its config has an os.version in four parts, `Env` null and a `Cmd`. So have these. Their programs are
placeholders: nothing in them runs.
"""

from __future__ import annotations

import base64
import random
import struct
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from wingo.archive.entry import Entry, EntryKind
from wingo.image.model import Image, Index, Layer
from wingo.oci.media_types import DOCKER_FOREIGN_LAYER, Family
from wingo.testing.images import CREATED, directory_entry, file_entry, image_of, index_of, layer_of
from wingo.windows.osversion import NAMES
from wingo.windows.sddl import sddl_bytes
from wingo.windows.security import READ_ONLY_DIRECTORY, READ_ONLY_FILE

_REVISIONS = {"ltsc2019": 5820, "ltsc2022": 2849, "ltsc2025": 4061}
_RELEASES_OF_ARCHITECTURE = {"amd64": ("ltsc2019", "ltsc2022", "ltsc2025"), "arm64": ("ltsc2025",)}
_CONFIG_HIVES = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
_LAYER_HIVES = ("DEFAULTUSER", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
_EMPTY_SETTINGS: Mapping[str, object] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": ["c:\\windows\\system32\\cmd.exe"],
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
_DOCKER_INDENT = 3


def os_version(release: str, month: int = 0) -> str:
    """The os.version that the test base of a release has in a month: every month another revision."""
    return f"{NAMES[release]}.{_REVISIONS[release] + 37 * month}"


def windows_base(
    flavour: str = "nanoserver",
    release: str = "ltsc2022",
    *,
    architecture: str = "amd64",
    month: int = 0,
    foreign: bool = False,
    family: Family = Family.DOCKER,
    size: int = 4096,
    hives: Mapping[str, bytes] | None = None,
    files: Sequence[str] = (),
) -> Image:
    r"""A base like Microsoft's.

    Args:
        flavour: "nanoserver" (user ContainerUser) or "servercore" (two layers, os.features win32k).
        release: "ltsc2019", "ltsc2022" or "ltsc2025".
        architecture: "amd64" or "arm64".
        month: which monthly rebuild: another revision, another top layer.
        foreign: the layers as before 2023: Docker's foreign type with the address in `urls`.
        family: Docker's as published, or OCI.
        size: bytes of incompressible content in each layer.
        hives: registry hives by name ("SYSTEM"), in place of those without content, and their logs ("SYSTEM.LOG1").
        files: more files below `C:\`, placeholders: "Windows/System32/svchost.exe".
    """
    server_core = flavour == "servercore"
    version = os_version(release, month)
    what = f"{flavour} {release} {architecture}"
    if server_core:
        contents = [
            [*_base_entries(f"{what} rtm", size, hives or {}, files)],
            [*_update_entries(f"{what} {month}", size)],
        ]
    else:
        contents = [[*_base_entries(f"{what} {month}", size, hives or {}, files)]]
    layers = [layer_of(entries, family=family) for entries in contents]
    if foreign:
        address = f"https://mcr.microsoft.com/v2/windows/{flavour}/blobs/"
        layers = [_foreign(layer, address) for layer in layers]
    if server_core:
        steps = [f"Apply image {NAMES[release]}.1", f"Install update {version}"]
    else:
        steps = [f"Apply image {version}"]
    config: dict[str, object] = {
        "architecture": architecture,
        "config": {**_EMPTY_SETTINGS, "User": "" if server_core else "ContainerUser"},
        "created": CREATED,
        "history": [{"created": CREATED, "created_by": step} for step in steps],
        "os": "windows",
        "os.version": version,
        **({"os.features": ["win32k"]} if server_core else {}),
    }
    return image_of(layers, config, family=family, indent=_DOCKER_INDENT)


def _foreign(layer: Layer, address: str) -> Layer:
    urls = (f"{address}{layer.descriptor.digest}",)
    descriptor = msgspec.structs.replace(layer.descriptor, media_type=DOCKER_FOREIGN_LAYER, urls=urls)
    return msgspec.structs.replace(layer, descriptor=descriptor)


def hostprocess_base() -> Image:
    """A base like the HostProcess one: hives, a licence, no os.version."""
    entries = [
        *_directories("Files", "Files/Windows", "Files/Windows/System32", "Files/Windows/System32/config"),
        *(_file(f"Files/Windows/System32/config/{name}", minimal_hive(name)) for name in _CONFIG_HIVES),
        _file("Files/License.txt", b"A placeholder for a licence.\r\n"),
    ]
    config: dict[str, object] = {
        "architecture": "amd64",
        "config": {},
        "created": CREATED,
        "history": [{"created": CREATED, "created_by": "ADD layer.tar / # buildkit"}],
        "os": "windows",
    }
    return image_of([layer_of(entries, family=Family.DOCKER)], config, family=Family.DOCKER, indent=_DOCKER_INDENT)


def static_base(architecture: str = "amd64", *, variant: str = "", month: int = 0) -> Image:
    """A Linux base like distroless' static one: certificates, time zones, a user without rights; OCI."""
    passwd = b"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    entries = [
        *(directory_entry(name) for name in ("etc", "etc/ssl", "etc/ssl/certs", "home")),
        Entry("home/nonroot", EntryKind.DIRECTORY, mode=0o700, uid=65532, gid=65532),
        directory_entry("tmp", mode=0o1777),
        *(directory_entry(name) for name in ("usr", "usr/share", "usr/share/zoneinfo")),
        file_entry("etc/passwd", passwd),
        file_entry("etc/ssl/certs/ca-certificates.crt", b"# A placeholder for certificates.\n"),
        file_entry("usr/share/zoneinfo/UTC", b"TZif2" + bytes(39)),
        file_entry("etc/os-release", f'ID="test"\nVERSION_ID="{month}"\nARCH="{architecture}"\n'.encode()),
    ]
    config: dict[str, object] = {
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "config": {
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            ],
            "User": "65532",
            "WorkingDir": "/home/nonroot",
        },
        "created": CREATED,
        "history": [{"created": CREATED, "created_by": "bazel build ..."}],
        "os": "linux",
    }
    return image_of([layer_of(entries)], config)


def alpine_base(architecture: str = "amd64", *, month: int = 0) -> Image:
    """A Linux base like Alpine's: Docker schema 2, a `Cmd`, and a line of history without a layer."""
    entries = [
        *(directory_entry(name) for name in ("bin", "etc")),
        file_entry("bin/busybox", b"\x7fELF placeholder", mode=0o755),
        Entry("bin/sh", EntryKind.SYMLINK, mode=0o777, link_target="/bin/busybox"),
        file_entry("etc/alpine-release", f"3.20.{month}\n".encode()),
        file_entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
    ]
    config: dict[str, object] = {
        "architecture": architecture,
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]},
        "created": CREATED,
        "history": [
            {"created": CREATED, "created_by": "/bin/sh -c #(nop) ADD file:0123 in / "},
            {"created": CREATED, "created_by": '/bin/sh -c #(nop)  CMD ["/bin/sh"]', "empty_layer": True},
        ],
        "os": "linux",
    }
    return image_of([layer_of(entries, family=Family.DOCKER)], config, family=Family.DOCKER, indent=_DOCKER_INDENT)


def microsoft_catalogue(month: int = 0) -> dict[str, Image | Index]:
    """What mcr.microsoft.com has, as far as wingo asks for it: by `repository:tag`.

    Args:
        month: which monthly rebuild the moving tags lead to.
    """
    catalogue: dict[str, Image | Index] = {
        "oss/kubernetes/windows-host-process-containers-base-image:v1.0.0": hostprocess_base()
    }
    for flavour in ("nanoserver", "servercore"):
        images = {
            (release, architecture): windows_base(flavour, release, architecture=architecture, month=month)
            for architecture, releases in _RELEASES_OF_ARCHITECTURE.items()
            for release in releases
        }
        for (release, architecture), image in images.items():
            version = os_version(release, month)
            if architecture == "amd64":
                # The plain tags lead to a list, of amd64 alone even for ltsc2025.
                alone = index_of([image], family=Family.DOCKER, indent=_DOCKER_INDENT)
                for tag in (release, version, *(["1809"] if release == "ltsc2019" else [])):
                    catalogue[f"windows/{flavour}:{tag}"] = alone
            for tag in (release, version):
                catalogue[f"windows/{flavour}:{tag}-{architecture}"] = image
    return catalogue


def linux_catalogue(month: int = 0) -> dict[str, Image | Index]:
    """Linux bases by `repository:tag`: an OCI index, Docker's list, and a single image."""
    static = [
        static_base("amd64", month=month),
        static_base("arm64", month=month),
        static_base("arm", variant="v7", month=month),
    ]
    alpine = [alpine_base(architecture, month=month) for architecture in ("amd64", "arm64")]
    return {
        "distroless/static:nonroot": index_of(static),
        "library/alpine:latest": index_of(alpine, family=Family.DOCKER, indent=_DOCKER_INDENT),
        "library/alpine:amd64": alpine[0],
    }


def minimal_hive(name: str) -> bytes:
    """A valid registry hive with nothing but its root key (regf 1.5; one hive bin of 4 KiB).

    Args:
        name: the root key's, in ASCII.
    """
    descriptor = sddl_bytes("O:BAG:SYD:P(A;CI;KA;;;BA)(A;CI;KA;;;SY)(A;CI;KR;;;BU)")
    nothing = 0xFFFFFFFF
    key_size = -(-(4 + 76 + len(name)) // 8) * 8
    root, security = 0x20, 0x20 + key_size
    key = struct.pack(
        "<2sHQ15I2H",
        b"nk",
        0x2C,  # the hive's entry, not to be deleted, its name in one byte a character
        0,
        *(0, 0),  # access bits, parent
        *(0, 0, nothing, nothing),  # subkeys and their lists
        *(0, nothing, security, nothing),  # values and their list, security cell, class
        *(0, 0, 0, 0, 0),  # largest lengths, a spare word
        *(len(name), 0),
    )
    key += name.encode("ascii")
    cells = _cell(key)
    cells += _cell(struct.pack("<2sHIIII", b"sk", 0, security, security, 1, len(descriptor)) + descriptor)
    free = 0x1000 - 0x20 - len(cells)
    cells += struct.pack("<i", free) + bytes(free - 4)
    bin_header = struct.pack("<4sIIQQI", b"hbin", 0, 0x1000, 0, 0, 0)
    file_name = name.encode("utf-16-le")[:62].ljust(64, b"\0")
    base = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 5, 0, 1, root, 0x1000, 1) + file_name
    base = base.ljust(508, b"\0")
    checksum = 0
    for (word,) in struct.iter_unpack("<I", base):
        checksum ^= word
    base += struct.pack("<I", {0: 1, nothing: nothing - 1}.get(checksum, checksum))
    return base.ljust(0x1000, b"\0") + bin_header + cells


def _cell(body: bytes) -> bytes:
    size = -(-(4 + len(body)) // 8) * 8
    return struct.pack("<i", -size) + body.ljust(size - 4, b"\0")


def _base_entries(seed: str, size: int, hives: Mapping[str, bytes], files: Sequence[str]) -> Iterator[Entry]:
    filler = random.Random(seed).randbytes(size)
    yield from _directories("Files")
    yield _file("Files/License.txt", b"A placeholder for a licence.\r\n")
    yield from _directories(
        "Files/ProgramData",
        "Files/Users",
        "Files/Users/ContainerUser",
        "Files/Windows",
        "Files/Windows/System32",
        "Files/Windows/System32/config",
    )
    for name in _CONFIG_HIVES:
        yield _file(f"Files/Windows/System32/config/{name}", hives.get(name) or minimal_hive(name))
    for name in hives:
        if name not in _CONFIG_HIVES:
            yield _file(f"Files/Windows/System32/config/{name}", hives[name])
    yield _file("Files/Windows/System32/cmd.exe", b"MZ placeholder for cmd.exe")
    yield from _directories("Files/Windows/System32/drivers", "Files/Windows/System32/drivers/etc")
    yield _file("Files/Windows/System32/drivers/etc/hosts", b"# placeholder\r\n")
    yield _file("Files/Windows/System32/kernel32.dll", b"MZ placeholder for kernel32.dll" + filler)
    yield from _directories("Files/Windows/WinSxS")
    yield Entry(
        "Files/Windows/WinSxS/kernel32.dll", EntryKind.HARDLINK, link_target="Files/Windows/System32/kernel32.dll"
    )
    for path in files:
        yield _file(f"Files/{path}", b"a placeholder")
    yield from _directories("Hives")
    for name in _LAYER_HIVES:
        yield _file(f"Hives/{name}_BASE", hives.get(name.removesuffix("USER")) or minimal_hive(name))
    yield from _directories("UtilityVM", "UtilityVM/Files", "UtilityVM/Files/EFI")
    yield _file("UtilityVM/Files/EFI/BCD", minimal_hive("NewStoreRoot"))


def _update_entries(seed: str, size: int) -> Iterator[Entry]:
    filler = random.Random(seed).randbytes(size)
    yield from _directories("Files", "Files/Windows", "Files/Windows/System32")
    yield _file("Files/Windows/System32/kernel32.dll", b"MZ placeholder for a newer kernel32.dll" + filler)
    yield from _directories("Hives")
    for name in _LAYER_HIVES:
        yield _file(f"Hives/{name}_DELTA", minimal_hive(name))


def _directories(*names: str) -> Iterator[Entry]:
    for name in names:
        yield directory_entry(name, pax=_records("16", READ_ONLY_DIRECTORY))


def _file(name: str, data: bytes) -> Entry:
    return file_entry(name, data, pax=_records("32", READ_ONLY_FILE))


def _records(attributes: str, sddl: str) -> tuple[tuple[str, str], ...]:
    return (
        ("LIBARCHIVE.creationtime", "1704758400"),
        ("MSWINDOWS.fileattr", attributes),
        ("MSWINDOWS.rawsd", base64.b64encode(sddl_bytes(sddl)).decode()),
    )
