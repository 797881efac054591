"""Runs a function over many items on a few threads (`concurrent.futures` costs 8 ms at start, and waits on Ctrl-C)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_JOIN_SECONDS = 1.0


def each(jobs: int, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """The function's results, in the order of the items.

    The first error stops what has not begun and is raised. Neither it nor an interrupt waits for what has begun, or
    hardly: the threads end with the process at the latest (`Host.stop` ends the programs that they wait for).

    Args:
        jobs: the most that run at once.
        function: called with each item once.
        items: what it is called with.
    """
    todo = list(items)
    if len(todo) <= 1 or jobs <= 1:
        return [function(item) for item in todo]
    results: dict[int, _Result] = {}
    errors: list[BaseException] = []
    waiting = iter(enumerate(todo))
    lock = threading.Lock()
    over = threading.Event()

    def work() -> None:
        while True:
            with lock:
                if errors:
                    return
                at, item = next(waiting, (-1, None))  # (-1: the end)
            if at < 0:
                return
            try:
                result = function(item)  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001  (raised again where it was asked for)
                with lock:
                    errors.append(error)
                over.set()
                return
            results[at] = result
            if len(results) == len(todo):
                over.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(todo)))]
    try:
        for thread in threads:
            thread.start()
        over.wait()
    except BaseException as error:
        with lock:
            errors.append(error)
        _let_go(threads)
        raise
    if errors:
        _let_go(threads)
        raise errors[0]
    return [results[at] for at in range(len(todo))]


def _let_go(threads: list[threading.Thread]) -> None:
    """Gives them a moment to clean up."""
    for thread in threads:
        if thread.ident is not None:
            thread.join(_JOIN_SECONDS / len(threads))
