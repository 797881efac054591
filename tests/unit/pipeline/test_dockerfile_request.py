"""What a request for a Dockerfile's build comes to."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.pipeline.dockerfile_request import _platforms


@pytest.mark.parametrize(
    ("words", "platforms"),
    [
        (("windows/amd64",), ["windows/amd64"]),
        (("windows",), ["windows/amd64"]),
        (("windows/arm64,linux/amd64",), ["windows/arm64", "linux/amd64"]),
        (("ltsc2022",), ["windows/amd64:10.0.20348"]),
        (("windows/amd64:ltsc2019", "linux/arm64"), ["windows/amd64:10.0.17763", "linux/arm64"]),
        (("windows/amd64,windows",), ["windows/amd64"]),
    ],
)
def test_windows_without_a_release_is_the_one_of_the_bases(words: tuple[str, ...], platforms: list[str]) -> None:
    found = _platforms(words)
    assert [
        f"{item.os}/{item.architecture}" + (f":{item.os_version}" if item.os_version else "") for item in found
    ] == platforms


@pytest.mark.parametrize("word", ["", "windows/386", "plan9/amd64", "ltsc1"])
def test_what_is_no_platform_is_refused(word: str) -> None:
    with pytest.raises(RequestError):
        _platforms((word,))
