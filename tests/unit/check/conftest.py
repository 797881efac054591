"""Checks what is written on disk, as the command does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wingo.check.policy import Policy
from wingo.oci.place import parse_place
from wingo.pipeline.checking import PlaceReport, check_artifact
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost

NOTHING_SAID = Policy()
NOW = 1_700_000_000.0


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., PlaceReport]:
    """Checks a place, by its text."""
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))

    def check(text: str, policy: Policy = NOTHING_SAID, now: float = NOW) -> PlaceReport:
        with Places(host, Settings()) as places:
            return check_artifact(text, places.open(parse_place(text)).read(), places, policy, now)

    return check
