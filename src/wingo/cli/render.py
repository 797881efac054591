"""What a person sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from wingo.errors import HostError, WingoError

if TYPE_CHECKING:
    from wingo.cli.progress import Drawing
    from wingo.image.progress import Progress

_RED, _YELLOW, _GREEN, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[2m", "\x1b[1m", "\x1b[0m"

_SEVERITIES = {"error": _RED, "warning": _YELLOW}


class Console:
    """The two streams, and whether a person looks at them.

    Attributes:
        quiet: only results and errors.
        drawing: whether stderr is a terminal, on which bars can be drawn.
        colour: whether it may have colours too (no NO_COLOR).
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, quiet: bool = False, drawing: bool = False, colour: bool = False
    ) -> None:
        self._out = out
        self._err = err
        self.quiet = quiet
        self.drawing = drawing
        self.colour = colour
        self._drawing: dict[str, Drawing] = {}

    @classmethod
    def for_streams(cls, argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Console:
        """A console on this process's streams."""
        own = argv[: list(argv).index("--")] if "--" in argv else argv
        drawing = sys.stderr.isatty() and environment.get("TERM") != "dumb"
        quiet = "--quiet" in own or "-q" in own
        return cls(
            sys.stdout, sys.stderr, quiet=quiet, drawing=drawing, colour=drawing and not environment.get("NO_COLOR")
        )

    def result(self, text: str) -> None:
        """Prints a result.

        Raises:
            HostError: nobody can have it: the disk that stdout goes to is full, for instance.
            BrokenPipeError: nobody wants it any more.
        """
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise HostError(f"cannot write the result to standard output: {error.strerror}") from error

    def result_bytes(self, data: bytes) -> None:
        """Prints a piece of a result that is no text; on a terminal, what would steer it is replaced.

        Raises:
            HostError, BrokenPipeError: as `result`.
        """
        binary = getattr(self._out, "buffer", None)
        try:
            if binary is None or self._out.isatty():
                self._out.write(printable(data.decode("utf-8", "replace").replace("\r\n", "\n")))
            else:
                self._out.flush()
                binary.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise HostError(f"cannot write the result to standard output: {error.strerror}") from error

    def say(self, text: str) -> None:
        """Tells what happens."""
        if not self.quiet:
            self._write(text)

    def note(self, text: str) -> None:
        """Tells something that a person should know; what images and hives put into it is made harmless here."""
        if not self.quiet:
            self._write(f"{self.paint('note:', _YELLOW)} {printable(text)}")

    def error(self, error: WingoError) -> None:
        """Tells what went wrong, and how to mend it."""
        self._end_progress()
        self._write(f"{self.paint('error:', _RED)} {printable(str(error))}")
        if error.hint:
            self._write(f"{self.paint('hint:', _YELLOW)} {printable(error.hint)}")

    def ended(self, reason: str, hint: str = "") -> None:
        """Tells why a program that wingo started has ended."""
        self._write(f"{self.paint('ended:', _RED)} {printable(reason)}")
        if hint:
            self._write(f"{self.paint('hint:', _YELLOW)} {printable(hint)}")

    def interrupted(self) -> None:
        """Tells that Ctrl-C was heard."""
        self._end_progress()
        self._write(f"{self.paint('interrupted:', _RED)} nothing half-made was left behind; run it again to go on")

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, where colours are shown."""
        return f"{colour}{text}{_PLAIN}" if self.colour else text

    def dim(self, text: str) -> str:
        """The text, made less loud."""
        return self.paint(text, _DIM)

    def strong(self, text: str) -> str:
        """The text, made louder."""
        return self.paint(text, _BOLD)

    def good(self, text: str) -> str:
        """The text, as good news."""
        return self.paint(text, _GREEN)

    def severity(self, word: str) -> str:
        """A severity as part of a result: in its colour when a person reads the results too."""
        if not self.colour or not self._out.isatty():
            return word
        return f"{_SEVERITIES.get(word, _DIM)}{word}{_PLAIN}"

    @property
    def progress(self) -> Progress:
        """Draws long actions: bars on a terminal, lines elsewhere, nothing when quiet."""
        if not self._drawing:
            from wingo.cli.progress import progress_on

            # Of two threads that come here at once, both get the first one's: two would draw over each other.
            self._drawing.setdefault("", progress_on(self, self._err))
        return self._drawing[""]

    def _end_progress(self) -> None:
        for drawing in self._drawing.values():
            drawing.close()

    def _write(self, text: str) -> None:
        if any(drawing.above(text) for drawing in self._drawing.values()):
            return
        # What cannot be told is no reason to end: the result counts.
        with suppress(OSError):
            self._err.write(text + "\n")
            self._err.flush()


def one_line(text: str) -> str:
    """As `printable`, without line ends and tabs too: for a name or a value within a line."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def printable(text: str) -> str:
    """Without control characters: names and messages of others must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" or char.isprintable() else "\ufffd" for char in text)
