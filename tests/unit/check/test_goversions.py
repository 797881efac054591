"""Which Go is mended still, years after this was written."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.checks.programs import elf, lin
from wingo.check.goversions import KNOWN, newest_go, same_until
from wingo.check.policy import Policy
from wingo.pipeline.checking import check_artifact
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost


@pytest.mark.parametrize(
    ("day", "newest", "until"),
    [
        ((2012, 1, 1), KNOWN, (2012, 3, 31)),
        ((2026, 11, 25), 27, (2027, 3, 31)),
        ((2027, 3, 31), 27, (2027, 3, 31)),
        ((2027, 4, 1), 28, (2027, 9, 30)),
        ((2027, 9, 30), 28, (2027, 9, 30)),
        ((2027, 10, 1), 29, (2028, 3, 31)),
        ((2030, 1, 1), 33, (2030, 3, 31)),
        ((9999, 12, 31), 2 * (9999 - 2013) + 1, (9999, 3, 31)),
    ],
)
def test_two_a_year(day: tuple[int, int, int], newest: int, until: tuple[int, int, int]) -> None:
    assert newest_go(dt.date(*day)) == newest
    assert same_until(dt.date(*day)) == dt.date(*until)


def test_what_is_new_today_is_old_in_some_years(tmp_path) -> None:
    image = lin(elf("go1.27.3"))

    def found(day: dt.datetime) -> list[str]:
        with Places(FakeHost(str(tmp_path), str(tmp_path / "cache")), Settings()) as places:
            report = check_artifact("a test", image, places, Policy(), day.timestamp())
        return [each.message for each in report.findings if each.rule == "WGO302"]

    assert found(dt.datetime(2027, 12, 1, tzinfo=dt.UTC)) == [
        "app/app was built with go1.27.3, which gets no fixes any more (Go 1.29 and 1.28 do, by Go's schedule of releases)"
    ]
    assert found(dt.datetime(2027, 9, 1, tzinfo=dt.UTC)) == []
