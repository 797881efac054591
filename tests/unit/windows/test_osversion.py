"""Names, builds, which host takes which image, and platforms as people write them."""

from __future__ import annotations

import random

import pytest

from wingo.errors import RequestError
from wingo.oci.platform import Platform
from wingo.windows.osversion import (
    ALL_PLATFORMS,
    NAMES,
    expand_platform,
    expand_platforms,
    index_order,
    matches,
    name_of,
    parse_os_version,
    satisfies,
)

V2019, V2022, V22H2, V23H2, V2025, V25H2 = (f"10.0.{build}" for build in (17763, 20348, 22621, 25398, 26100, 26200))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("ltsc2022", V2022),
        ("LTSC2022", V2022),
        ("1809", V2019),
        ("ltsc2019", V2019),
        ("23h2", V23H2),
        ("ltsc2016", "10.0.14393"),
        ("10.0.20348", V2022),
        ("10.0.20348.2849", "10.0.20348.2849"),
        ("10.0.20348.0", "10.0.20348.0"),
        ("10.0.65535.65535", "10.0.65535.65535"),
    ],
)
def test_versions_are_read(text: str, written: str) -> None:
    assert str(parse_os_version(text)) == written
    assert parse_os_version(written) == parse_os_version(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ltsc2202", "ltsc2022"),
        ("ltsc2020", "Did you mean"),
        ("windows-eleven", "ltsc2019, ltsc2022, ltsc2025"),
        ("10.0", "ltsc2025"),
        ("10.0.20348.1.2", ""),
        ("10.0.x.1", ""),
        ("10.0.65536", ""),
        ("10.0.²", ""),
        ("-10.0.1", ""),
        ("", "ltsc2025"),
    ],
)
def test_other_versions_are_refused(text: str, hint: str) -> None:
    with pytest.raises(RequestError, match="not a Windows version") as caught:
        parse_os_version(text)
    assert hint in caught.value.hint


def test_versions_are_ordered_by_number() -> None:
    assert parse_os_version("10.0.20348.999") < parse_os_version("10.0.20348.3091")
    assert parse_os_version("10.0.9200") < parse_os_version("10.0.20348")


def test_builds_have_their_best_name() -> None:
    assert name_of("10.0.17763.5820") == "ltsc2019"
    assert name_of(V2022) == "ltsc2022"
    assert name_of("10.0.12345.1") == name_of("") == name_of("rubbish") == ""


# containerd/platforms and hcsshim test the first ten; the rest is platforms#34 (v1.0.0-rc.5): hosts past the newest
# long-term release go on running the one before it.
HOSTS = [
    (V2019, V2019, True),
    (V2019, V2022, False),
    (V2022, V2019, False),
    (V2022, V2022, True),
    (V22H2, V2019, False),
    (V22H2, V2022, True),
    (V2025, V2022, True),
    (V2022, V2025, False),
    (V2022, V22H2, False),
    (V2025, V22H2, True),
    (V25H2, V2022, True),
    (V25H2, V2025, True),
    (V25H2, V2019, False),
    (V25H2, "10.0.26201", False),
    (V23H2, V2022, True),
    (V23H2, V23H2, True),
    (V23H2, V2025, False),
    ("10.0.19045", "10.0.19044", False),
    ("10.0.19045", "10.0.19045", True),
    ("6.3.20348", V2022, False),
    ("10.1.20348", V2022, False),
]


@pytest.mark.parametrize(("host", "image", "takes"), HOSTS)
def test_hosts_take_what_containerd_lets_them(host: str, image: str, takes: bool) -> None:
    assert matches(image, host) is takes
    assert matches(f"{image}.4000", f"{host}.7") is takes, "the revision decides nothing"


def test_the_next_release_drops_the_one_before_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wingo.windows.osversion._STABLE", (20348, 26100, 30000))
    for host, floor in ((20348, 20348), (26099, 20348), (26100, 20348), (29999, 20348), (30000, 26100), (31000, 26100)):
        assert matches(f"10.0.{floor}", f"10.0.{host}")
        assert not matches(f"10.0.{floor - 1}", f"10.0.{host}")


def test_an_image_without_version_fits_every_host() -> None:
    assert matches("", V2019)
    assert matches(V2019, "")
    assert matches(V2019, "unknown")
    assert not matches("10.0", V2022)
    assert not matches("rubbish", V2022)


def test_a_version_without_revision_is_satisfied_by_any() -> None:
    assert satisfies("10.0.20348.2849", "10.0.20348")
    assert satisfies("10.0.20348.2849", "ltsc2022")
    assert satisfies("10.0.20348.2849", "10.0.20348.2849")
    assert satisfies("anything", "")
    assert not satisfies("10.0.20348.2849", "10.0.20348.2850")
    assert not satisfies("10.0.20348.28490", "10.0.20348.2849")
    assert not satisfies("10.0.2034.1", "10.0.20348")
    assert not satisfies("10.0.20348", "10.0.20348.1")
    assert not satisfies("", "ltsc2022")
    with pytest.raises(RequestError):
        satisfies("10.0.20348.1", "ltsc")


def test_an_index_has_the_newest_windows_first() -> None:
    wanted = [
        Platform("windows", "amd64", os_version="10.0.26100.33158"),
        Platform("windows", "amd64", os_version="10.0.26100.4061"),
        Platform("windows", "arm64", os_version="10.0.26100.4061"),
        Platform("windows", "amd64", os_version="10.0.20348.10000"),
        Platform("windows", "amd64", os_version="10.0.20348.9999"),
        Platform("windows", "amd64", os_version="10.0.17763.1"),
        Platform("windows", "amd64", os_version="10.0.9600.1"),
        Platform("windows", "amd64"),
        Platform("linux", "amd64"),
        Platform("linux", "arm", variant="v6"),
        Platform("linux", "arm", variant="v7"),
        Platform("linux", "arm64"),
    ]
    shuffled = wanted.copy()
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=index_order) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("windows/amd64:ltsc2022", [f"windows/amd64:{V2022}"]),
        ("ltsc2019", [f"windows/amd64:{V2019}"]),
        ("1809", [f"windows/amd64:{V2019}"]),
        ("10.0.20348.2849", ["windows/amd64:10.0.20348.2849"]),
        ("windows(10.0.20348)/amd64", [f"windows/amd64:{V2022}"]),
        ("windows(ltsc2025)/arm64", [f"windows/arm64:{V2025}"]),
        ("windows/amd64:10.0.20348", [f"windows/amd64:{V2022}"]),
        ("windows/amd64:10.0.20348.2849", ["windows/amd64:10.0.20348.2849"]),
        ("windows/x86_64:23H2", [f"windows/amd64:{V23H2}"]),
        ("windows", [f"windows/amd64:{V2022}", f"windows/amd64:{V2025}"]),
        ("windows/amd64", [f"windows/amd64:{V2022}", f"windows/amd64:{V2025}"]),
        ("windows/arm64", [f"windows/arm64:{V2025}"]),
        ("linux/arm64", ["linux/arm64"]),
        ("linux/arm64/v8", ["linux/arm64"]),
        ("linux/arm/v7", ["linux/arm/v7"]),
        (" linux/amd64 ", ["linux/amd64"]),
        ("all", [str(platform) for platform in ALL_PLATFORMS]),
    ],
)
def test_platforms_are_expanded(text: str, wanted: list[str]) -> None:
    assert [str(platform) for platform in expand_platform(text)] == wanted


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("ltsc2202", "not a platform", "ltsc2022"),
        ("linux", "not a platform", "linux/amd64"),
        ("linux/amd65", "does not build for linux/amd65", "linux/amd64"),
        ("linux/vax", "does not build for linux/vax", "riscv64"),
        ("", "not a platform", "os/arch"),
        ("darwin/arm64", "no containers for the system 'darwin'", "linux/ARCH"),
        ("windwos/amd64", "no containers for the system 'windwos'", "windows/amd64"),
        ("windows/386", "no Windows containers for windows/386", "windows/arm64"),
        ("windows/amd64/v3", "no Windows containers", ""),
        ("windows/amd64:ltsc2021x", "not a Windows version", "Did you mean"),
        ("windows/amd64:", "not a platform", ""),
        ("linux/amd64:ltsc2022", "only Windows platforms have an os.version", "Write linux/amd64."),
        ("windows(10.0.20348/amd64", "not a platform", ""),
    ],
)
def test_other_platforms_are_refused(text: str, says: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        expand_platform(text)
    assert says in str(caught.value)
    assert hint in caught.value.hint


def test_lists_of_platforms_are_merged() -> None:
    platforms = expand_platforms(["ltsc2022,linux/amd64", "windows/amd64", "linux/amd64"])
    assert list(map(str, platforms)) == [f"windows/amd64:{V2022}", "linux/amd64", f"windows/amd64:{V2025}"]
    with pytest.raises(RequestError, match="no platform"):
        expand_platforms([])
    with pytest.raises(RequestError, match="not a platform"):
        expand_platforms(["ltsc2022,"])


def test_every_name_is_a_version() -> None:
    for name, dotted in NAMES.items():
        assert str(parse_os_version(name)) == dotted
        assert name_of(dotted)
