"""One build, and once more when the cache was found damaged on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import ContentError, HostError
from wingo.pipeline.places import Places

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.report import BuildReport
    from wingo.pipeline.settings import Settings


def build_healing(host: Host, settings: Settings, build: Callable[[Places], BuildReport]) -> BuildReport:
    """Builds, with the time that it took in all.

    Args:
        host: the machine.
        settings: of the places.
        build: builds and ships.

    Raises:
        WingoError: what `build` raises; a damaged cache only when it is so the second time.
    """
    started = time.monotonic()
    with Places(host, settings) as places:
        try:
            report = build(places)
        except (ContentError, HostError):
            # What is damaged in the cache is thrown out when it is read: what it was is made or fetched again, once.
            if not places.healed:
                raise
            report = build(places)
    timings = {**report.timings, "total": round(time.monotonic() - started, 3)}
    return msgspec.structs.replace(report, timings=timings)
