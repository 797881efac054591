from __future__ import annotations

import msgspec
import pytest

from wingo.launch.surroundings import Surroundings
from wingo.pipeline.advice import Advice, advise

PLAIN = Surroundings(processors=8, memory=16 << 30, file_micros=50, temporary_micros=40, pid_one="systemd")


def given(**changes: object) -> dict[str, list[Advice]]:
    found: dict[str, list[Advice]] = {}
    for advice in advise(msgspec.structs.replace(PLAIN, **changes)):
        found.setdefault(advice.topic, []).append(advice)
    return found


def test_where_nothing_is_limited_nothing_is_set() -> None:
    found = given()
    assert not any(advice.setting for several in found.values() for advice in several)
    assert {"GOMAXPROCS", "GOMEMLIMIT", "file system", "signals"} == {*found}


@pytest.mark.parametrize(("quota", "setting"), [(0.5, 2), (2.0, 2), (2.5, 3), (7.9, 8), (64.0, 8)])
def test_a_quota_is_rounded_as_go_does(quota: float, setting: int) -> None:
    assert given(cpu_quota=quota)["GOMAXPROCS"][0].setting == f"GOMAXPROCS={setting}"


def test_throttling_is_advice_of_its_own_with_its_number() -> None:
    assert len(given(cpu_quota=1.0, throttled=(0, 1000))["GOMAXPROCS"]) == 1
    more = given(cpu_quota=1.0, throttled=(250, 1000))["GOMAXPROCS"]
    assert len(more) == 2
    assert "250 of 1000 periods (25.0 %)" in more[1].fact


def test_the_memory_limit_leaves_a_tenth() -> None:
    advice = given(memory_limit=1 << 30, memory_used=1 << 29, gomemlimit="2GiB")["GOMEMLIMIT"][0]
    assert advice.setting == "GOMEMLIMIT=921MiB"
    assert "GOMEMLIMIT is 2GiB" in advice.fact


def test_wsl_and_its_files() -> None:
    assert "WSL" not in given()
    texts = [advice.text for advice in given(wsl="2", slow_filesystem=True, filesystem="9p")["WSL"]]
    assert any("not below /mnt" in text for text in texts)
    assert not any("not below /mnt" in advice.text for advice in given(wsl="2")["WSL"])
    assert "WSL 2" in given(wsl="1")["WSL"][0].text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file_micros": 900.0}, "GOCACHE"),
        ({"slow_filesystem": True, "filesystem": "nfs4"}, "GOCACHE"),
        ({"file_micros": 0.0}, "may write"),
        ({}, "Nothing to do"),
    ],
)
def test_file_systems(changes: dict[str, object], says: str) -> None:
    assert says in given(**changes)["file system"][0].text


def test_every_advice_has_its_fact() -> None:
    for changes in ({}, {"cpu_quota": 1.0, "memory_limit": 1 << 30, "wsl": "2"}):
        assert all(advice.fact and advice.text for several in given(**changes).values() for advice in several)
