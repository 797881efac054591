"""How a long action tells what it is doing; the CLI draws it, the library is silent by default."""

from __future__ import annotations

from typing import Protocol


class Task(Protocol):
    """One thing under way."""

    def advance(self, count: int) -> None:
        """Some more of the total is done (bytes, mostly)."""

    def done(self, note: str = "") -> None:
        """It is over; the note says how, for instance "already there"."""


class Progress(Protocol):
    """Somebody who wants to know; called from several threads."""

    def start(self, what: str, total: int | None = None) -> Task:
        """Something starts.

        Args:
            what: for people, for instance "layer sha256:0123456789ab".
            total: what `advance` adds up to, when known.
        """

    def note(self, text: str) -> None:
        """Something that a person should know, once."""


class _Silence:
    def start(self, what: str, total: int | None = None) -> _Silence:  # noqa: ARG002  (the protocol's)
        return self

    def note(self, text: str) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def done(self, note: str = "") -> None:
        pass


NO_PROGRESS: Progress = _Silence()
