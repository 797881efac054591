"""Limits by cgroups that were given to an ordinary account; root's own, and limits without any, are in test_run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.needs import missing
from tests.system.containers import (
    MARK,
    NOBODY,
    PROGRAMS,
    Delegated,
    build,
    delegated_cgroups,
    folder_for,
    leftovers,
    settles,
)


@pytest.fixture(scope="module")
def probe() -> Iterator[str]:
    with folder_for(os.geteuid()) as folder:
        yield build(PROGRAMS / "probe", folder / f"{MARK}-image")


def test_an_account_that_was_given_cgroups_uses_them(probe: str) -> None:
    """Without rights, as in a session of systemd's: the kernel counts, and nothing is watched."""
    if os.geteuid():
        missing("root, who alone gives cgroups away")
    before = leftovers()
    with folder_for(NOBODY) as folder, delegated_cgroups(NOBODY, ("memory", "pids", "cpu")) as directories:
        given = Delegated("ordinary", folder, directories)
        flags = ["--cpus", "1", "--pids", "60", "--memory", "96m", "--network", "none"]
        hog = given("run", probe, *flags, "--", "memory")
        assert (hog.returncode, "more memory than the 96 MiB allowed (--memory)" in hog.stderr) == (137, True), (
            hog.stderr
        )
        assert ("this account may make no cgroup" in hog.stderr) == (not directories), hog.stderr
        bomb = given("run", probe, *flags, "--", "forkbomb")
        assert bomb.returncode in (2, 11), bomb.stdout + bomb.stderr
        assert "never refused" not in bomb.stdout
        assert not directories or "60 processes allowed (--pids)" in bomb.stderr, bomb.stderr
        assert given.containers == []
        settles(before)
