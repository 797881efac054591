"""The host simulator, held to the rules and the examples that the runtimes publish."""

from __future__ import annotations

import json

import pytest

from wingo.errors import Malformed, RequestError
from wingo.oci.platform import Platform
from wingo.windows.hosts import (
    HostProfile,
    Runtime,
    describe,
    hcsshim_compatible,
    parse_host,
    picks,
    read_nodes,
    runtime_of,
)

OLD, R22, R23, NEXT, MOBY = (
    Runtime.CONTAINERD_1_7,
    Runtime.CONTAINERD_2_2,
    Runtime.CONTAINERD_2_3,
    Runtime.CONTAINERD_NEXT,
    Runtime.MOBY,
)


def windows(version: str, architecture: str = "amd64", *features: str) -> Platform:
    return Platform("windows", architecture, os_version=version, os_features=features)


def host(version: str, runtime: Runtime | None = None, architecture: str = "amd64") -> HostProfile:
    return HostProfile(name=version, platform=windows(version, architecture), runtime=runtime)


def taken(candidates, version, runtime, architecture="amd64"):
    [pick] = picks(candidates, host(version, runtime, architecture))
    return None if pick.taken is None else candidates[pick.taken]


# Build compatibility: (host, image, hcsshim and containerd 2.2/2.3, containerd 1.7 to 2.1, rc.5)
BUILDS = [
    (17763, 17763, True, True, True),
    (17763, 20348, False, False, False),
    (20348, 17763, False, False, False),
    (20348, 20348, True, True, True),
    (22621, 17763, False, False, False),
    (22621, 20348, True, True, True),
    (25398, 17763, False, False, False),
    (25398, 20348, True, True, True),
    (26100, 20348, True, True, True),
    (20348, 26100, False, False, False),
    (20348, 22621, False, False, False),
    (26100, 22621, True, True, True),
    (26200, 20348, False, True, True),  # hcsshim#2566: a Windows 11 25H2 host
    (26200, 26100, True, True, True),
    (26200, 22621, False, True, True),
    (26200, 17763, False, False, False),
    (14393, 14393, True, True, True),
]


@pytest.mark.parametrize(("ours", "theirs", "strict", "first", "newest"), BUILDS)
def test_which_builds_a_host_takes(ours, theirs, strict, first, newest):
    image, machine = f"10.0.{theirs}.1", f"10.0.{ours}"
    assert hcsshim_compatible(image, machine) == strict
    for runtime, expected in ((R22, strict), (R23, strict), (OLD, first), (NEXT, newest)):
        assert (taken([windows(image)], machine, runtime) is not None) == expected, runtime


def test_old_containerd_takes_the_first_that_fits():
    index = [windows("10.0.20348.3091"), windows("10.0.26100.2894")]
    assert taken(index, "10.0.26100", OLD) == index[0]
    assert taken(index[::-1], "10.0.26100", OLD) == index[1]


def test_new_containerd_takes_the_greatest_os_version_as_text():
    linux, ws2022 = Platform("linux", "amd64"), windows("10.0.20348.3091")
    ws2025, newer = windows("10.0.26100.2894"), windows("10.0.26100.3000")
    assert taken([linux, ws2022, ws2025], "10.0.20348", R22) == ws2022
    assert taken([linux, ws2022, ws2025], "10.0.26100", R22) == ws2025
    assert taken([linux, ws2022, newer], "10.0.26100", R22) == newer
    # As text, .999 is greater than .3091, and no version at all is the least.
    assert taken([windows("10.0.20348.3091"), windows("10.0.20348.999")], "10.0.20348", R22).os_version.endswith(".999")
    assert taken([windows(""), ws2022], "10.0.20348", R22) == ws2022


def test_features_are_looked_at_since_2_3_but_for_win32k():
    core = windows("10.0.20348.1", "amd64", "win32k")
    other = windows("10.0.20348.1", "amd64", "gpu")
    for runtime in (OLD, R22):
        assert taken([other], "10.0.20348", runtime) == other
    for runtime in (R23, NEXT):
        assert taken([core], "10.0.20348", runtime) == core
        assert taken([other], "10.0.20348", runtime) is None


def test_moby_prefers_the_hosts_own_build_and_takes_older_ones():
    index = [windows("10.0.17763.1"), windows("10.0.20348.1"), windows("10.0.26100.1")]
    assert taken(index, "10.0.20348", MOBY) == index[1]
    assert taken(index[:1], "10.0.20348", MOBY) == index[0]
    [pick] = picks(index[:1], host("10.0.20348", MOBY))
    assert not pick.starts
    assert taken(index[2:], "10.0.20348", MOBY) is None
    # Where none is its own, the order of the index decides.
    assert taken(index[:2], "10.0.26100", MOBY) == index[0]


def test_an_entry_without_os_version_fits_every_host():
    for runtime in Runtime:
        assert taken([windows("")], "10.0.17763", runtime) == windows("")


def test_a_broken_os_version_fits_none_with_containerd():
    for runtime in (OLD, R22, R23, NEXT):
        assert taken([windows("ltsc2022")], "10.0.20348", runtime) is None


def test_other_processors_and_systems_are_left_out():
    assert taken([windows("10.0.26100.1", "arm64")], "10.0.26100", R22) is None
    assert taken([windows("10.0.26100.1", "arm64")], "10.0.26100", R22, "arm64") is not None
    assert taken([windows("10.0.20348.1", "386")], "10.0.20348", OLD) is not None
    assert taken([windows("10.0.20348.1", "386")], "10.0.20348", R22) is None
    [pick] = picks([Platform("linux", "amd64")], host("10.0.20348", R22))
    assert pick.why_not == ("it is for linux",)


def test_reasons_say_what_is_in_the_way():
    [pick] = picks([windows("10.0.17763.1"), windows("10.0.26100.1")], host("10.0.20348", R22))
    assert "older than 20348" in pick.why_not[0]
    assert "newer than the host's 20348" in pick.why_not[1]
    [pick] = picks([windows("10.0.20348.1")], host("10.0.17763", R22))
    assert "before 20348 it must be" in pick.why_not[0]


@pytest.mark.parametrize(
    ("candidates", "machine", "expected"),
    [
        (["linux/amd64", "linux/arm64"], "linux/arm64", "linux/arm64"),
        (["linux/arm64/v8"], "linux/arm64", "linux/arm64/v8"),
        (["linux/amd64/v2", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["linux/386"], "linux/amd64", "linux/386"),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm64", "linux/arm/v7"),
        (["linux/arm/v7"], "linux/arm/v6", None),
        (["linux/s390x"], "linux/ppc64le", None),
        (["windows/amd64:10.0.20348.1"], "linux/amd64", None),
    ],
)
def test_linux_hosts_take_the_nearest_processor(candidates, machine, expected):
    from wingo.oci.platform import parse_platform

    found = [parse_platform(text) for text in candidates]
    [pick] = picks(found, parse_host(machine))
    assert (None if pick.taken is None else str(found[pick.taken])) == expected


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("containerd://1.7.20", OLD),
        ("containerd://2.1.4", OLD),
        ("containerd://2.2.0", R22),
        ("containerd://2.3.1", R23),
        ("containerd://2.4.0", NEXT),
        ("containerd://v2.2.0-rc.1", R22),
        ("docker://20.10.9", MOBY),
        ("cri-o://1.30", None),
        ("", None),
    ],
)
def test_the_runtime_of_a_node(text, runtime):
    assert runtime_of(text) is runtime


def nodes(*items):
    return json.dumps({"kind": "List", "items": items}).encode()


def node(name, version, runtime="containerd://1.7.20", os="windows", architecture="amd64"):
    info = {
        "operatingSystem": os,
        "architecture": architecture,
        "kernelVersion": version,
        "containerRuntimeVersion": runtime,
    }
    return {"kind": "Node", "metadata": {"name": name}, "status": {"nodeInfo": info}}


def test_equal_nodes_are_one_host():
    found = read_nodes(nodes(node("a", "10.0.20348.1"), node("b", "10.0.20348.2"), node("c", "6.1", os="linux")))
    assert [(item.name, item.platform.os_version) for item in found] == [("a and 1 more", "10.0.20348"), ("c", "")]
    assert found[0].runtime is OLD


def test_one_node_and_labels():
    assert read_nodes(json.dumps(node("a", "10.0.20348.1")).encode())[0].name == "a"
    labels = {"kubernetes.io/os": "windows", "node.kubernetes.io/windows-build": "10.0.26100"}
    [found] = read_nodes(nodes({"kind": "Node", "metadata": {"name": "x", "labels": labels}}))
    assert found.platform == windows("10.0.26100")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"items": [{}]}', b'{"items": 1}', b"\xff", b'{"items":[' * 9999]
)
def test_what_is_no_list_of_nodes_is_refused(data):
    with pytest.raises(Malformed) as caught:
        read_nodes(data)
    assert "kubectl" in caught.value.hint


@pytest.mark.parametrize("text", ["darwin/arm64", "windows/amd64", "ltsc2020", "", "linux", "10.0"])
def test_what_is_no_host_is_refused(text):
    with pytest.raises(RequestError) as caught:
        parse_host(text)
    assert caught.value.hint


def test_hosts_for_people():
    assert describe(parse_host("10.0.20348")) == "10.0.20348 (ltsc2022)"
    assert describe(parse_host("ltsc2022")) == "ltsc2022 (10.0.20348)"
    assert describe(parse_host("linux/arm64")) == "linux/arm64"
    assert describe(read_nodes(nodes(node("a", "10.0.26200.1")))[0]) == "a (10.0.26200)"
