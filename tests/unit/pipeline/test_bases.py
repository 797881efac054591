from __future__ import annotations

import msgspec
import pytest

from wingo.errors import RequestError
from wingo.image.derive import ConfigPatch, derive, make_index
from wingo.oci.platform import Platform, parse_platform
from wingo.pipeline.bases import choose_bases, find_bases, fits


def _image(platform):
    patch = ConfigPatch(
        os=platform.os, architecture=platform.architecture, variant=platform.variant, os_version=platform.os_version
    )
    return derive(None, (), patch)


WINDOWS_2022 = Platform("windows", "amd64", os_version="10.0.20348")
WINDOWS_2025 = Platform("windows", "amd64", os_version="10.0.26100")
LINUX = Platform("linux", "amd64")


class Place:
    def __init__(self, artifact):
        self.artifact = artifact
        self.reads = 0

    def read(self, wanted=lambda entry: True):
        self.reads += 1
        if not hasattr(self.artifact, "children"):
            return self.artifact
        kept = {entry.digest for entry in self.artifact.manifest.manifests if wanted(entry)}
        children = tuple(child for child in self.artifact.children if child.digest in kept)
        return msgspec.structs.replace(self.artifact, children=children)


def _names(platforms, bases):
    return [choice.name for choice in choose_bases(platforms, bases)]


def test_the_defaults_suit_the_system():
    assert _names([WINDOWS_2022, LINUX], {}) == ["nanoserver", "static"]


def test_a_windows_name_for_everything_leaves_linux_alone_and_the_reverse():
    assert _names([WINDOWS_2022, LINUX], {"": "servercore"}) == ["servercore", "static"]
    assert _names([WINDOWS_2022, LINUX], {"": "static"}) == ["nanoserver", "static"]
    assert _names([WINDOWS_2022, LINUX], {"": "scratch"}) == ["scratch", "scratch"]


@pytest.mark.parametrize(("platform", "name"), [(WINDOWS_2022, "static"), (LINUX, "servercore")])
def test_a_base_that_suits_no_platform_is_refused(platform, name):
    with pytest.raises(RequestError, match=name):
        choose_bases([platform], {"": name})


def test_the_most_specific_pattern_wins_whatever_the_order():
    rules = {"": "nanoserver", "windows": "servercore", "windows/amd64": "scratch", "ltsc2025": "nanoserver"}
    for bases in (rules, dict(reversed(rules.items()))):
        assert _names([WINDOWS_2022, WINDOWS_2025], bases) == ["scratch", "nanoserver"]


def test_a_pattern_without_a_version_is_every_version():
    arm = Platform("windows", "arm64", os_version="10.0.20348")
    assert _names([arm], {"windows/arm64": "scratch"}) == ["scratch"]


def test_short_names_become_published_references():
    (choice,) = choose_bases([WINDOWS_2022], {})
    assert str(choice.place) == "mcr.microsoft.com/windows/nanoserver:ltsc2022"


@pytest.mark.parametrize(
    ("platform", "bases", "message"),
    [
        (WINDOWS_2022, {"": "nanosever"}, "no base called"),
        (WINDOWS_2022, {"windows": "static"}, "static is for Linux"),
        (LINUX, {"linux": "nanoserver"}, "is a Windows base"),
        (WINDOWS_2022, {"windos": "nanoserver"}, "is not a platform"),
    ],
)
def test_wrong_bases_are_refused(platform, bases, message):
    with pytest.raises(RequestError, match=message) as caught:
        choose_bases([platform], bases)
    assert caught.value.hint


def test_the_nearest_name_is_suggested():
    with pytest.raises(RequestError) as caught:
        choose_bases([WINDOWS_2022], {"": "nanosever"})
    assert "nanoserver" in caught.value.hint


def test_an_index_is_read_once_and_gives_every_platform_its_newest_child():
    old, new = "10.0.20348.100", "10.0.20348.2000"
    index = make_index(
        [
            _image(Platform("windows", "amd64", os_version=old)),
            _image(Platform("windows", "amd64", os_version=new)),
            _image(Platform("windows", "amd64", os_version="10.0.26100.9")),
            _image(LINUX),
        ]
    )
    place = Place(index)
    choices = choose_bases([WINDOWS_2022, WINDOWS_2025, LINUX], {"": "registry.example/base:multi"})
    bases = find_bases(choices, lambda _: place, 2)
    assert [base.platform.os_version for base in bases] == [new, "10.0.26100.9", ""]
    assert place.reads == 1


def test_a_missing_os_version_lists_what_there_is():
    index = make_index([_image(Platform("windows", "amd64", os_version="10.0.17763.1")), _image(LINUX)])
    choices = choose_bases([WINDOWS_2022], {"": "registry.example/base:multi"})
    with pytest.raises(RequestError, match=r"no image for windows/amd64:10\.0\.20348") as caught:
        find_bases(choices, lambda _: Place(index), 1)
    assert "10.0.17763.1" in caught.value.hint
    assert "linux/amd64" in caught.value.hint


def test_a_single_image_must_be_for_the_platform():
    choices = choose_bases([WINDOWS_2022], {"": "registry.example/base:linux"})
    with pytest.raises(RequestError, match="has no image"):
        find_bases(choices, lambda _: Place(_image(LINUX)), 1)


def test_scratch_on_windows_takes_its_version_from_the_name():
    choices = choose_bases([WINDOWS_2022], {"": "scratch"})
    (base,) = find_bases(choices, lambda _: pytest.fail("nothing to read"), 1)
    assert base.image is None
    assert base.platform.os_version == "10.0.20348.0"


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", True),
        ("windows/amd64", "windows/amd64:10.0.20348", True),
        ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348", False),
        ("linux/amd64", "linux/arm64", False),
    ],
)
def test_fits(found, wanted, expected):
    assert fits(parse_platform(found), parse_platform(wanted)) is expected
