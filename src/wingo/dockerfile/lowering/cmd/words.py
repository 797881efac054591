"""The words of cmd's internal commands."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.cmd.syntax import DELIMITERS
from wingo.dockerfile.lowering.outcome import CommandFailed


class Words:
    """The words of a command, switches apart.

    Attributes:
        switches: letters or names in upper case, without "/".
        rest: the others, without quotes.
    """

    def __init__(self, text: str, *, attached: bool = True) -> None:
        self.switches: list[str] = []
        self.rest: list[str] = []
        for word, quoted in _words(text):
            if word.startswith("/") and not quoted:
                self.switches += [part.upper() for part in word[1:].split("/")]
            elif "/" in word and not quoted and attached:
                first, *others = word.split("/")
                self.rest.append(first)
                self.switches += [part.upper() for part in others]
            else:
                self.rest.append(word)

    def refuse_unknown(self, command: str, known: str) -> None:
        """Fails as cmd does for a switch that the command does not have."""
        for switch in self.switches:
            if switch.partition(":")[0] not in known.split():
                raise CommandFailed(f"{command}: invalid switch - {switch.lower()!r}")


def _words(text: str) -> list[tuple[str, bool]]:
    pieces = re.finditer(rf'(?:"[^"]*"?|[^{DELIMITERS}"\r\n])+', text)
    return [(piece[0].replace('"', ""), piece[0].startswith('"')) for piece in pieces]
