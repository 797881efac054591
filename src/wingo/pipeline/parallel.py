"""Things done side by side in threads (design, decision 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(function: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> list[_Result]:
    """Applies a function to items side by side.

    Args:
        function: called once with each item, in some thread.
        items: what to work on.
        jobs: how many at a time.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first error in the items' order. What has not begun by then is not begun; what runs is not waited
            for: whoever catches the error stops it (`Host.stop`).
    """
    if len(items) <= 1 or jobs <= 1:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(jobs, len(items)))
    futures = [pool.submit(function, item) for item in items]
    try:
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
