"""Platforms in both spellings."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.oci.platform import Platform, parse_platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("Linux/AMD64", Platform("linux", "amd64")),
        (" linux/amd64 ", Platform("linux", "amd64")),
        ("linux/arm/v7", Platform("linux", "arm", variant="v7")),
        ("linux/arm64/V8", Platform("linux", "arm64", variant="v8")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("windows/amd64:10.0.20348.2849", Platform("windows", "amd64", os_version="10.0.20348.2849")),
        ("windows(10.0.20348.2849)/amd64", Platform("windows", "amd64", os_version="10.0.20348.2849")),
        ("windows/amd64:ltsc2022", Platform("windows", "amd64", os_version="ltsc2022")),
        ("windows(ltsc2022)/amd64", Platform("windows", "amd64", os_version="ltsc2022")),
        ("windows/arm64/v8:10.0.26100", Platform("windows", "arm64", os_version="10.0.26100", variant="v8")),
        ("windows(10.0.26100)/arm64/v8", Platform("windows", "arm64", os_version="10.0.26100", variant="v8")),
    ],
)
def test_both_spellings_are_read(text, platform):
    assert parse_platform(text) == platform
    assert parse_platform(str(platform)) == platform


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "linux",
        "linux/",
        "/amd64",
        "linux/arm/v7/x",
        "linux//v7",
        "windows/amd64:",
        "windows()/amd64",
        "windows(10.0/amd64",
        "windows10.0)/amd64",
        "windows(10.0)amd64",
        "windows(10.0)",
        "windows((10.0))/amd64",
        "windows(10.0)/amd64:10.0",
        "windows/amd64(10.0)",
        "windows/amd64:10:0",
        "windows/amd64:10.0/v8",
        "linux/am d64",
        "linux/amd64\nx",
        "linux/" + "a" * 65,
        "windows/amd64:" + "1" * 65,
        "linux/\u00e4",
        "linux,amd64",
        "linux\\amd64",
    ],
)
def test_what_is_no_platform_is_refused(text):
    with pytest.raises(RequestError, match="is not a platform") as caught:
        parse_platform(text)
    assert "linux/arm64" in caught.value.hint


def test_the_message_for_a_huge_text_is_short():
    with pytest.raises(RequestError) as caught:
        parse_platform("x" * 1_000_000)
    assert len(str(caught.value)) < 300
