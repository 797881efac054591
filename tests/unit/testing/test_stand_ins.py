"""Stand-ins say of themselves what the bases say that they stand in for."""

from __future__ import annotations

import pytest

from tests.unit.testing.test_bases import members
from wingo.dockerfile.bases import assume_facts, read_facts
from wingo.hive.keys import find_key
from wingo.hive.read import open_hive
from wingo.image.derive import raw_settings
from wingo.oci.config import decode_config
from wingo.oci.platform import Platform
from wingo.oci.reference import parse_reference
from wingo.oci.wire import MAX_CONFIG_BYTES, document
from wingo.testing.stand_ins import stand_in, system_hive
from wingo.windows.osversion import NAMES


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("mcr.microsoft.com/windows/nanoserver:ltsc2022", NAMES["ltsc2022"]),
        ("mcr.microsoft.com/windows/servercore:ltsc2019", NAMES["ltsc2019"]),
        ("microsoft/nanoserver:1709", NAMES["1709"]),
        ("golang:1.21-windowsservercore-ltsc2022", NAMES["ltsc2022"]),
        ("golang:1.15-nanoserver-1809", NAMES["1809"]),
    ],
)
def test_windows(name: str, version: str) -> None:
    reference, platform = parse_reference(name), Platform("windows", "amd64", os_version=version)
    image = stand_in(reference, platform)
    assert image.platform.os_version.rpartition(".")[0] == version
    read = read_facts(
        decode_config(image.config_bytes),
        raw_settings(document(image.config_bytes, "config", limit=MAX_CONFIG_BYTES)),
        reference,
    )
    known = assume_facts(reference, platform)
    assert (read.flavour, read.toolchain) == (known.flavour, known.toolchain)
    for member in ("env", "shell", "working_dir", "cmd"):
        assert getattr(read.config.settings, member) == getattr(known.config.settings, member)
    powershell = any("powershell.exe" in item for item in members(image))
    assert powershell == (known.flavour == "servercore")


def test_linux_and_hostprocess() -> None:
    image = stand_in(parse_reference("alpine:3"), Platform("linux", "amd64"), busybox=b"ELF", applets=["sh", "busybox"])
    assert {"bin/busybox", "bin/sh", "etc/passwd"} <= set(members(image))
    name = "mcr.microsoft.com/oss/kubernetes/windows-host-process-containers-base-image:v1.0.0"
    assert not stand_in(parse_reference(name), Platform("windows", "amd64")).platform.os_version


def test_services() -> None:
    root = open_hive(system_hive(("A", "B"))).root
    assert find_key(root, r"ControlSet001\Services\B") is not None
    assert find_key(root, r"ControlSet001\Services\WSearch") is None
