"""Where an instruction stands in its Dockerfile, and errors that point there."""

from __future__ import annotations

import re

import msgspec

from wingo.errors import RequestError

_MAX_SHOWN = 160
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class At(msgspec.Struct, frozen=True):
    """A place in a Dockerfile.

    Attributes:
        file: the Dockerfile's name, as the user gave it.
        line: the first line, from 1.
        end_line: the last line, heredocs included.
        text: the instruction as it reads with its continuation lines joined.
    """

    file: str
    line: int
    end_line: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class DockerfileError(RequestError):
    """Something in a Dockerfile is wrong; the message begins with file:line and ends with the source line.

    Users and passwords of addresses are left out.

    Attributes:
        at: where.
        problem: what is wrong, without the place.
    """

    def __init__(self, at: At, problem: str, *, hint: str = "") -> None:
        self.at, self.problem = at, _CREDENTIALS.sub("", problem)
        shown = f"\n  {at.line:>4} | {printable(_CREDENTIALS.sub('', at.text))}" if at.text else ""
        super().__init__(f"{at}: {self.problem}{shown}", hint=hint)


def printable(text: str, limit: int = _MAX_SHOWN) -> str:
    """Foreign text for one line of a terminal: control characters are escaped, the rest is cut off."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    if short.isprintable():
        return short
    return "".join(
        character if character.isprintable() or character == "\t" else ascii(character)[1:-1] for character in short
    )


def nearest(word: str, known: list[str] | tuple[str, ...], form: str = "Did you mean {}?") -> str:
    """A hint that names the known word that is meant, or "" when none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    return form.format(near[0]) if near else ""
