"""How a program is called, and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.session import Session


class Output:
    """Where a command prints to.

    Attributes:
        text: what it printed.
        unknown: what printed something that nobody can know without running it; "" when all is known.
    """

    def __init__(self) -> None:
        self.text = ""
        self.unknown = ""

    def line(self, text: str = "") -> None:
        """Prints a line."""
        self.text += text + "\r\n"

    def known(self) -> str:
        """What was printed.

        Raises:
            CannotLower: it is not known.
        """
        if self.unknown:
            raise CannotLower(f"the output of {self.unknown} is used, and it is not known without running it")
        return self.text


class Call(msgspec.Struct, frozen=True):
    """A program with its arguments.

    Attributes:
        name: as it was called.
        arguments: as the program sees them.
        line: the command line's text behind the name, for those that read that.
        output: where it prints to.
        stdin: what it reads, or None.
        quoted: for each argument, whether a part of it was in quotes; only cmd tells.
    """

    name: str
    arguments: tuple[str, ...]
    line: str
    output: Output
    stdin: str | None = None


Program: TypeAlias = Callable[[Session, Call], int]
"""Does what the program does and returns its exit status."""
