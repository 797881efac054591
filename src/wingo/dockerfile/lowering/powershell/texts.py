"""PowerShell's texts and numbers: quotes, here-strings, words without quotes (Windows PowerShell Language Specification 3.0, 2.3.5)."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import (
    Const,
    Expandable,
    Expression,
    SubExpression,
    Variable,
)
from wingo.dockerfile.lowering.powershell.reader import DOUBLE, SINGLE, VARIABLE, WORD_END, ParseFault, Reader

_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "e": "e", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SINGLE = re.compile(f"[{SINGLE}]")
_BARE_RUN = re.compile(rf"[^{re.escape(WORD_END)}{SINGLE}{DOUBLE}`$>]*")
_DOUBLE_RUN = re.compile(rf"[^{DOUBLE}`$\r\n]*")
"""Runs of characters that only stand for themselves; a here-string may end where a line does."""
_MULTIPLES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


class TextReader(Reader):
    """Reads texts with what is in them."""

    def bare_word(self) -> Expression:
        """A word without quotes around it; variables and quotes may be in it."""
        parts: list[str | Expression] = []
        text: list[str] = []

        def flush() -> None:
            if text:
                parts.append("".join(text))
                text.clear()

        while self.peek() and self.peek() not in WORD_END:
            character = self.peek()
            if character == "`":
                escaped = self.text[self.position + 1 : self.position + 2]
                if escaped in ("\r", "\n"):
                    break
                text.append(_ESCAPES.get(escaped, escaped))
                self.position += 2
            elif character == "$" and (self.peek(2) == "$(" or VARIABLE.match(self.text, self.position)):
                flush()
                parts.append(self.variable_or_subexpression())
            elif character in SINGLE + DOUBLE:
                flush()
                inner = self.quoted()
                parts += (
                    inner.parts
                    if isinstance(inner, Expandable)
                    else [str(inner.value)]
                    if isinstance(inner, Const)
                    else [inner]
                )
            elif character == "(" or (character == ">" and (text or parts)):
                break
            else:
                text.append(self.run_of(_BARE_RUN))
        flush()
        if not parts:
            if self.peek() == "&":
                raise self.fault("unexpected &")
            raise self.fault(f"unexpected {self.peek()!r}")
        if all(isinstance(part, str) for part in parts):
            return Const("".join(part for part in parts if isinstance(part, str)))
        return Expandable(tuple(parts))

    def variable_or_subexpression(self) -> Expression:
        """`$name`, `${name}`, `$( … )`."""
        if self.peek(2) == "$(":
            self.position += 2
            _, body = self.block_body(")")
            self.position += 1
            return SubExpression(body, array=False)
        found = VARIABLE.match(self.text, self.position)
        if found is None:
            raise self.fault("unexpected $")
        self.position = found.end()
        return Variable((found[1] if found[1] is not None else found[2] or found[3]).replace("`", ""))

    def quoted(self) -> Expression:
        """A text in single or double quotes."""
        if self.peek() in SINGLE:
            start = self.position
            self.position += 1
            text: list[str] = []
            while True:
                end = _SINGLE.search(self.text, self.position)
                if end is None:
                    raise ParseFault("the string is missing the terminator: '", start)
                text.append(self.text[self.position : end.start()])
                self.position = end.end()
                if self.peek() and self.peek() in SINGLE:
                    self.position += 1
                    text.append("'")
                    continue
                return Const("".join(text))
        start = self.position
        self.position += 1
        return self.expandable(start)

    def expandable(self, start: int, terminator: re.Pattern[str] | None = None) -> Expression:
        """The inside of a text in double quotes, up to its end."""
        parts: list[str | Expression] = []
        text: list[str] = []
        while True:
            character = self.peek()
            if not character:
                raise ParseFault('the string is missing the terminator: "', start)
            if terminator is not None:
                end = terminator.match(self.text, self.position)
                if end is not None:
                    self.position = end.end()
                    break
            elif character in DOUBLE:
                self.position += 1
                if self.peek() and self.peek() in DOUBLE:
                    text.append('"')
                    self.position += 1
                    continue
                break
            if character == "`":
                escaped = self.text[self.position + 1 : self.position + 2]
                if not escaped:
                    raise ParseFault('the string is missing the terminator: "', start)
                if (
                    escaped == "u"
                    and self.core
                    and (code := re.compile(r"u\{([0-9a-fA-F]{1,6})\}").match(self.text, self.position + 1))
                ):
                    text.append(chr(min(int(code[1], 16), 0x10FFFF)))
                    self.position = code.end()
                    continue
                text.append(_ESCAPES.get(escaped, escaped))
                self.position += 2
            elif character == "$" and (self.peek(2) == "$(" or VARIABLE.match(self.text, self.position)):
                if text:
                    parts.append("".join(text))
                    text = []
                parts.append(self.variable_or_subexpression())
            else:
                text.append(self.run_of(_DOUBLE_RUN))
        if text or not parts:
            parts.append("".join(text))
        if len(parts) == 1 and isinstance(parts[0], str):
            return Const(parts[0])
        return Expandable(tuple(parts))

    def here_string(self) -> Expression:
        """`@" … "@` and `@' … '@`."""
        quote = self.peek(2)[1]
        start = self.position
        begin = re.compile(r"@[\"'][ \t]*\r?\n").match(self.text, self.position)
        if begin is None:
            raise self.fault("no characters are allowed after a here-string header, before the end of the line")
        self.position = begin.end()
        if quote == "'":
            end = re.compile(r"(?:\r?\n|(?<=\n))'@").search(self.text, self.position - 1)
            if end is None:
                raise ParseFault("the string is missing the terminator: '@", start)
            inside = self.text[self.position : max(end.start(), self.position)]
            self.position = end.end()
            return Const(inside)
        return self.expandable(start, re.compile(r"(?:\r?\n|(?<=\n))\"@"))


def number_value(found: re.Match[str]) -> int | float:
    """What a number that `NUMBER` found is worth."""
    text, suffix, multiple = found[1], found[2].lower(), (found[3] or "").lower()
    factor = _MULTIPLES[multiple]
    if text[:2].lower() == "0x":
        return int(text, 16) * factor
    if len(text) > 400:
        raise CannotLower("a number with more than 400 digits")
    if suffix != "d" and re.fullmatch(r"[0-9]+", text):
        return int(text) * factor
    try:
        value = float(text) * factor
    except OverflowError as error:
        raise CannotLower(f"the number {text[:20]} is too large") from error
    return int(value) if value.is_integer() and abs(value) < 1 << 53 and "e" in text.lower() else value
