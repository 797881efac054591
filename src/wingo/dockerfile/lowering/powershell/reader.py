r"""Characters of a PowerShell text, and what they are part of: spaces, names, numbers, variables, quotes.

What a character means depends on whether a command's words or an expression are read, so there is no lexer: the parser
looks at characters.
"""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import (
    Expression,
    Parameter,
    Statement,
)

MAX_DEPTH = 80
"""Parentheses, blocks and operators in each other."""


class ParseFault(Exception):
    """PowerShell would not run anything of the text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


SPACE = re.compile(r"(?:[ \t\f\v\u00a0\u0085]|`(?:\r?\n|[ \t])|<#.*?#>)+", re.DOTALL)
BLANK = re.compile(r"(?:[\s;]|`\s|#[^\n]*|<#.*?#>)+", re.DOTALL)
BLANK_NO_SEMICOLON = re.compile(r"(?:\s|`\s|#[^\n]*|<#.*?#>)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|((?:[A-Za-z]+:(?!:))?[\w?]+)|([$^?]))")
NUMBER = re.compile(
    r"(0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)([dDlL]?)(kb|mb|gb|tb)?(?!\w|\.(?!\.))",
    re.IGNORECASE,
)
ASSIGNMENTS = ("+=", "-=", "*=", "/=", "%=", "=")
KEYWORDS = frozenset({
    "if", "while", "do", "for", "foreach", "switch", "function", "filter", "try", "throw", "return", "exit", "break",
    "continue", "param", "trap", "begin", "process", "end", "data", "class", "enum", "using", "workflow", "configuration",
})  # fmt: skip
SINGLE = "'\u2018\u2019\u201a\u201b"
DOUBLE = '"\u201c\u201d\u201e'
DASHES = "-\u2013\u2014\u2015"
WORD_END = " \t\r\n\f\v;|&(){},"


class Reader:
    """Reads a text at its position."""

    def __init__(self, text: str, *, core: bool) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.known: dict[int, tuple[Expression | ParseFault, int]] = {}
        self.core = core

    def peek(self, count: int = 1) -> str:
        """The next characters, at most so many."""
        return self.text[self.position : self.position + count]

    def skip(self, pattern: re.Pattern[str] = SPACE) -> None:
        """Passes over what a pattern takes; over spaces, also a comment."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        if pattern is SPACE and self.peek() == "#":
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end

    def blank(self) -> None:
        """Passes over spaces, new lines and comments."""
        self.skip(BLANK_NO_SEMICOLON)

    def run_of(self, pattern: re.Pattern[str]) -> str:
        """Takes the character that stands here, and what follows it and a pattern takes."""
        found = pattern.match(self.text, self.position + 1)
        start, self.position = self.position, found.end() if found is not None else self.position + 1
        return self.text[start : self.position]

    def take(self, text: str) -> bool:
        """Passes over a text, if it stands here."""
        if self.text.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def need(self, text: str, what: str) -> None:
        """Passes over blanks and a text that must stand here."""
        self.blank()
        if not self.take(text):
            raise ParseFault(f"{what}: {text} is missing", self.position)

    def fault(self, message: str) -> ParseFault:
        """A fault at this place."""
        return ParseFault(message, self.position)

    def deeper(self) -> None:
        """Counts one more level; the caller counts it back."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CannotLower("the PowerShell text is nested too deeply")

    def word(self) -> str:
        """The keyword or name that stands here, in lower case; nothing is passed over."""
        found = _NAME.match(self.text, self.position)
        return found[0].lower() if found else ""

    def block_body(self, closing: str) -> tuple[tuple[Parameter, ...], tuple[Statement, ...]]:
        """Statements up to a closing brace or parenthesis, which stays; "" is the end of the text."""
        raise NotImplementedError

    def statement(self) -> Statement:
        """One statement."""
        raise NotImplementedError
