"""A program that is being read: its facts, and its bytes by address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wingo.binary.data import Data, Memory
    from wingo.binary.facts import Binary


class Program:
    """What the readers of one format hand to those of what is in it.

    Attributes:
        data: the bytes of the file; of a fat Mach-O, those of the slice.
        facts: from the headers.
        memory: the bytes by address.
        data_start: address and size of where Go's build information is, if it is there at all.
    """

    __slots__ = ("data", "data_start", "facts", "memory")

    def __init__(self, data: Data, facts: Binary, memory: Memory, data_start: tuple[int, int]) -> None:
        self.data, self.facts, self.memory, self.data_start = data, facts, memory, data_start
