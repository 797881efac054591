"""The synthetic bases have the shape of the published ones."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import tarfile

import pytest

from wingo.image.model import Image, Index, images_of
from wingo.oci.media_types import (
    DOCKER_FOREIGN_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Family,
)
from wingo.oci.platform import Platform
from wingo.testing.bases import (
    alpine_base,
    hostprocess_base,
    linux_catalogue,
    microsoft_catalogue,
    minimal_hive,
    os_version,
    static_base,
    windows_base,
)
from wingo.windows.bases import FLAVOURS, REGISTRY, published_base
from wingo.windows.osversion import parse_os_version
from wingo.windows.security import decode_descriptor


def members(image: Image, number: int = 0) -> dict[str, tarfile.TarInfo]:
    with image.layers[number].open() as stream:
        data = gzip.decompress(stream.read())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getmembers()
    assert len({member.name for member in found}) == len(found)
    return {member.name: member for member in found}


@pytest.mark.parametrize(
    ("flavour", "release", "architecture", "user", "features"),
    [
        ("nanoserver", "ltsc2019", "amd64", "ContainerUser", ()),
        ("nanoserver", "ltsc2022", "amd64", "ContainerUser", ()),
        ("nanoserver", "ltsc2025", "arm64", "ContainerUser", ()),
        ("servercore", "ltsc2022", "amd64", "", ("win32k",)),
    ],
)
def test_windows_bases_have_the_published_shape(
    flavour: str, release: str, architecture: str, user: str, features: tuple[str, ...]
) -> None:
    image = windows_base(flavour, release, architecture=architecture)
    assert image.platform == Platform("windows", architecture, os_version(release), features)
    assert parse_os_version(image.platform.os_version).complete
    settings = image.config.settings
    assert (settings.user, settings.env, settings.cmd) == (user, None, (r"c:\windows\system32\cmd.exe",))
    assert image.media_type == DOCKER_MANIFEST
    assert len(image.layers) == len(image.config.history or ()) == (2 if flavour == "servercore" else 1)
    assert {layer.descriptor.media_type for layer in image.layers} == {DOCKER_LAYER_GZIP}
    names = members(image)
    assert {"Files", "Hives", "UtilityVM", "Files/Windows/System32/config/SYSTEM", "Hives/SYSTEM_BASE"} <= set(names)
    for name, member in names.items():
        parent = name.rpartition("/")[0]
        assert not parent or list(names).index(parent) < list(names).index(name)
        if member.isfile() or member.isdir():
            assert decode_descriptor(base64.b64decode(member.pax_headers["MSWINDOWS.rawsd"])).complete
    assert names["Files/Windows/WinSxS/kernel32.dll"].linkname in names


def test_every_month_is_another_base() -> None:
    now, then = windows_base(month=1), windows_base(month=0)
    assert now.platform.os_version > then.platform.os_version
    assert now.digest != then.digest
    assert now.layers[0].diff_id != then.layers[0].diff_id
    core_now, core_then = windows_base("servercore", month=1), windows_base("servercore")
    assert core_now.layers[0].diff_id == core_then.layers[0].diff_id
    assert core_now.layers[1].diff_id != core_then.layers[1].diff_id


def test_old_bases_have_foreign_layers() -> None:
    for layer in windows_base("servercore", foreign=True).layers:
        assert layer.descriptor.media_type == DOCKER_FOREIGN_LAYER
        assert layer.descriptor.urls[0].endswith(layer.descriptor.digest)


def test_bases_come_in_oci_too() -> None:
    image = windows_base(family=Family.OCI)
    assert (image.media_type, image.layers[0].descriptor.media_type) == (OCI_MANIFEST, OCI_LAYER_GZIP)
    assert image.layers[0].diff_id == windows_base().layers[0].diff_id


def test_the_hostprocess_base_fits_every_build() -> None:
    image = hostprocess_base()
    assert image.platform == Platform("windows", "amd64")
    assert "Files/Windows/System32/config/SYSTEM" in members(image)


def test_linux_bases_have_a_user_and_empty_history_lines() -> None:
    static, alpine = static_base("arm", variant="v7"), alpine_base()
    assert str(static.platform) == "linux/arm/v7"
    assert (static.config.settings.user, static.media_type) == ("65532", OCI_MANIFEST)
    assert members(static)["tmp"].mode == 0o1777
    assert [line.empty_layer for line in alpine.config.history or ()] == [False, True]
    assert alpine.media_type == DOCKER_MANIFEST
    assert static_base(month=1).digest != static_base().digest
    assert alpine_base(month=1).digest != alpine_base().digest


def test_the_catalogue_has_what_the_short_names_lead_to() -> None:
    catalogue = microsoft_catalogue()
    asked = 0
    for flavour in FLAVOURS.values():
        if flavour.name == "server":
            continue
        for architecture, releases in flavour.releases.items():
            for release in releases or ("",):
                for version in {release, release and os_version(release)}:
                    reference = published_base(flavour.name, Platform("windows", architecture, version))
                    assert reference.registry == REGISTRY
                    artifact = catalogue[f"{reference.repository}:{reference.tag}"]
                    (image,) = images_of(artifact)
                    assert image.platform.architecture == architecture
                    assert image.platform.os_version == (os_version(release) if release else "")
                    assert isinstance(artifact, Index) is (architecture == "amd64" and bool(release))
                    if isinstance(artifact, Index):
                        assert artifact.media_type == DOCKER_LIST
                        assert artifact.manifest.manifests[0].platform == image.platform
                    asked += 1
    assert asked == 17


def test_catalogues_are_the_same_every_time_and_change_every_month() -> None:
    for catalogue in (microsoft_catalogue, linux_catalogue):
        first, again, later = catalogue(), catalogue(), catalogue(1)
        assert {name: item.digest for name, item in first.items()} == {
            name: item.digest for name, item in again.items()
        }
        moved = {name for name in first if name in later and first[name].digest != later[name].digest}
        assert {name for name in first if name in later} - moved <= {
            "oss/kubernetes/windows-host-process-containers-base-image:v1.0.0"
        }


def test_the_linux_catalogue_has_every_kind() -> None:
    kinds = {name: item.media_type for name, item in linux_catalogue().items()}
    assert kinds == {
        "distroless/static:nonroot": OCI_INDEX,
        "library/alpine:latest": DOCKER_LIST,
        "library/alpine:amd64": DOCKER_MANIFEST,
    }


def test_the_hive_is_whole() -> None:
    hive = minimal_hive("SYSTEM")
    assert len(hive) == 0x2000
    words = struct.unpack("<127I", hive[:508])
    checksum = 0
    for word in words:
        checksum ^= word
    assert struct.unpack("<I", hive[508:512]) == (checksum,)
    # Cells fill the bin exactly; the first is the root key, the second its descriptor, the last is free.
    offset, cells = 0x1020, []
    while offset < len(hive):
        (size,) = struct.unpack_from("<i", hive, offset)
        cells.append((size < 0, hive[offset + 4 : offset + 6]))
        assert size % 8 == 0
        offset += abs(size)
    assert offset == len(hive)
    assert cells == [(True, b"nk"), (True, b"sk"), (False, b"\0\0")]
    (name_length,) = struct.unpack_from("<H", hive, 0x1024 + 72)
    assert hive[0x1024 + 76 : 0x1024 + 76 + name_length] == b"SYSTEM"
    (security,) = struct.unpack_from("<I", hive, 0x1024 + 44)
    assert hive[0x1000 + security + 4 :][:2] == b"sk"
    (length,) = struct.unpack_from("<I", hive, 0x1000 + security + 4 + 16)
    descriptor = hive[0x1000 + security + 4 + 20 :][:length]
    assert decode_descriptor(descriptor).complete
