"""The five steps of a start, and how long each took."""

from __future__ import annotations

from enum import Enum

import msgspec


class Step(Enum):
    """A step; the value says what happens in it."""

    METADATA = "load the image's metadata"
    LAYERS = "mount its read-only layers in order"
    WRITABLE = "create the writable layer"
    NAMESPACES = "initialise namespaces and network"
    EXECUTE = "execute the entrypoint"


class Timed(msgspec.Struct, frozen=True):
    """A step that was made.

    Attributes:
        seconds: how long it took.
        detail: what was done, for people.
    """

    step: Step
    seconds: float
    detail: str = ""
