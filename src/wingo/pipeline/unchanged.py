"""A build in which nothing changed: whether bases' tags stand for what they stood for, and shipping the last result."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.errors import WingoError
from wingo.oci.digest import Digest
from wingo.oci.place import Place
from wingo.pipeline.report import BuildReport
from wingo.pipeline.request import check_one_name_each

if TYPE_CHECKING:
    from wingo.pipeline.memo import Memo
    from wingo.pipeline.places import Places
    from wingo.pipeline.request import BuildRequest


class Asking:
    """Asks what the bases' tags stand for while the file system is looked at.

    Attributes:
        found: what they stand for; whole when `digests` has returned.
    """

    def __init__(self, wanted: Sequence[Place], places: Places) -> None:
        self._wanted = tuple(dict.fromkeys(wanted))
        self._places = places
        self.found: dict[Place, Digest] = {}
        self._error: WingoError | None = None
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Asks for each in a thread."""
        self._threads = [threading.Thread(target=self._ask, args=(place,), daemon=True) for place in self._wanted]
        for thread in self._threads:
            thread.start()

    def digests(self) -> dict[str, str]:
        """What each place stands for now.

        Raises:
            WingoError: a place cannot be asked.
        """
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return {str(place): digest for place, digest in self.found.items()}

    def _ask(self, place: Place) -> None:
        try:
            digest = self._places.digest_at(place)
        except WingoError as error:
            self._error = error
            return
        if digest is not None:
            self.found[place] = digest


def ship_again(memo: Memo, request: BuildRequest, places: Places) -> BuildReport | None:
    """Sends the last build's results where they are not yet; None when the cache has lost a part of them."""
    from wingo.pipeline.ship import ship

    check_one_name_each(request, len(memo.results))
    results = ship([(result, None) for result in memo.results], request, places)
    return None if results is None else BuildReport(results, memo.notes, unchanged=True, findings=memo.findings)
