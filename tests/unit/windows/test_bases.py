"""Short base names and what Microsoft publishes under them."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.oci.platform import Platform
from wingo.windows.bases import FLAVOURS, flavour_named, published_base

MCR = "mcr.microsoft.com/"


@pytest.mark.parametrize(
    ("name", "architecture", "version", "reference"),
    [
        ("nanoserver", "amd64", "10.0.17763", "windows/nanoserver:ltsc2019"),
        ("nanoserver", "amd64", "10.0.20348", "windows/nanoserver:ltsc2022"),
        ("NanoServer", "amd64", "ltsc2025", "windows/nanoserver:ltsc2025"),
        ("nanoserver", "arm64", "10.0.26100", "windows/nanoserver:ltsc2025-arm64"),
        ("servercore", "amd64", "1809", "windows/servercore:ltsc2019"),
        ("servercore", "amd64", "10.0.20348.2849", "windows/servercore:10.0.20348.2849"),
        ("servercore", "arm64", "10.0.26100.4061", "windows/servercore:10.0.26100.4061-arm64"),
        ("server", "amd64", "ltsc2022", "windows/server:ltsc2022"),
        ("hostprocess", "amd64", "", "oss/kubernetes/windows-host-process-containers-base-image:v1.0.0"),
        ("hostprocess", "amd64", "ltsc2019", "oss/kubernetes/windows-host-process-containers-base-image:v1.0.0"),
    ],
)
def test_names_are_published_references(name: str, architecture: str, version: str, reference: str) -> None:
    assert str(published_base(name, Platform("windows", architecture, os_version=version))) == MCR + reference


@pytest.mark.parametrize(
    ("name", "platform", "says", "hint"),
    [
        ("nanosever", Platform("windows", "amd64", "ltsc2022"), "no base called", "Did you mean nanoserver?"),
        ("busybox", Platform("windows", "amd64", "ltsc2022"), "no base called", "nanoserver, servercore"),
        (
            "nanoserver",
            Platform("windows", "amd64", "ltsc2016"),
            "ltsc2016 = 10.0.14393",
            "ltsc2019, ltsc2022, ltsc2025",
        ),
        ("nanoserver", Platform("windows", "amd64", "10.0.12345"), "for 10.0.12345 on amd64", "ltsc2022"),
        ("nanoserver", Platform("windows", "arm64", "ltsc2022"), "on arm64", "exists for ltsc2025"),
        ("server", Platform("windows", "amd64", "ltsc2019"), "not published", "ltsc2022, ltsc2025"),
        ("server", Platform("windows", "arm64", "ltsc2025"), "windows/arm64", "amd64"),
        ("hostprocess", Platform("windows", "arm64"), "windows/arm64", "amd64"),
        ("nanoserver", Platform("windows", "amd64"), "says no release", "ltsc2019"),
        ("nanoserver", Platform("linux", "amd64"), "Windows base", "--base"),
        ("nanoserver", Platform("windows", "amd64", "rubbish"), "not a Windows version", ""),
    ],
)
def test_what_is_not_published_is_refused(name: str, platform: Platform, says: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        published_base(name, platform)
    assert says in str(caught.value)
    assert hint in caught.value.hint


def test_only_the_hostprocess_base_fits_every_build() -> None:
    assert [name for name in FLAVOURS if flavour_named(name).fits_every_build] == ["hostprocess"]
