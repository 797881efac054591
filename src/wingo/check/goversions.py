"""Which Go releases are mended: the newest two (https://go.dev/doc/devel/release, "Release Policy").

A new one comes each February and August (https://go.dev/s/release), so that a wingo of some years ago still knows about what there is.
"""

from __future__ import annotations

import datetime as dt

KNOWN = 27
"""The newest Go 1.x when this was written (November 2026)."""
_FIRST_YEAR = 2013
"""Go 1.26 came in February 2026: two a year from this one on, if it had been so from the beginning."""
_CERTAIN = (4, 10)
"""The months in which a release is taken for there; of those so far, the latest came on 15 March and 3 September."""


def newest_go(today: dt.date) -> int:
    """The newest Go 1.x on a day: the x; never less than what is known for certain."""
    halves = sum(today.month >= month for month in _CERTAIN)
    return max(KNOWN, 2 * (today.year - _FIRST_YEAR) - 1 + halves)


def same_until(today: dt.date) -> dt.date:
    """The last day on which `newest_go` says what it says on this one."""
    for month in _CERTAIN:
        if today.month < month:
            return dt.date(today.year, month, 1) - dt.timedelta(1)
    return dt.date(min(today.year + 1, dt.MAXYEAR), _CERTAIN[0], 1) - dt.timedelta(1)
