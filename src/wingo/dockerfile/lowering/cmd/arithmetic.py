"""`set /a`: whole numbers of 32 bits."""

from __future__ import annotations

import re
from collections.abc import Callable

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed

_TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|[0-9]+|[A-Za-z_][\w.]*|<<=|>>=|<<|>>|[-+*/%&|^]=|[-+*/%&|^~!()=,])")
_LEVELS = (("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "%"))
_MAX_DEPTH = 100


def evaluate(text: str, get: Callable[[str], int], put: Callable[[str, int], None]) -> int:
    """The value of the last of the expressions between commas.

    Raises:
        CommandFailed: it is no expression, or divides by zero.
        CannotLower: it is nested too deeply.
    """
    return _Expression(text, get, put).all()


class _Expression:
    def __init__(self, text: str, get: Callable[[str], int], put: Callable[[str, int], None]) -> None:
        self.tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            found = _TOKEN.match(stripped, position)
            if found is None:
                raise CommandFailed(f"set /a: {stripped[position : position + 10]!r} is no part of an expression", 9165)
            self.tokens.append(found[1])
            position = found.end()
        self.index = 0
        self.depth = 0
        self.get, self.put = get, put

    def peek(self, ahead: int = 0) -> str:
        index = self.index + ahead
        return self.tokens[index] if index < len(self.tokens) else ""

    def take(self) -> str:
        word = self.peek()
        self.index += 1
        return word

    def all(self) -> int:
        value = self.assignment()
        while self.peek() == ",":
            self.take()
            value = self.assignment()
        if self.peek():
            raise CommandFailed(f"set /a: {self.peek()!r} was not expected", 9165)
        return value

    def assignment(self) -> int:
        operator = self.peek(1)
        if re.match(r"[A-Za-z_]", self.peek()) and operator.endswith("=") and operator:
            name = self.take()
            self.take()
            value = self.assignment()
            if operator != "=":
                value = _apply(operator[:-1], self.get(name), value)
            self.put(name, value)
            return value
        return self.binary(0)

    def binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self.unary()
        value = self.binary(level + 1)
        while self.peek() in _LEVELS[level]:
            operator = self.take()
            value = _apply(operator, value, self.binary(level + 1))
        return value

    def unary(self) -> int:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise CannotLower("an expression of set /a is nested too deeply")
        try:
            word = self.take()
            if word == "-":
                return _wrap(-self.unary())
            if word == "+":
                return self.unary()
            if word == "~":
                return _wrap(~self.unary())
            if word == "!":
                return int(not self.unary())
            if word == "(":
                value = self.binary(0)
                if self.take() != ")":
                    raise CommandFailed("set /a: a ( is not closed", 9165)
                return value
            if word[:1].isdigit():
                return _wrap(
                    int(word, 16 if word[:2].lower() == "0x" else 8 if word[0] == "0" and len(word) > 1 else 10)
                )
            if word:
                return self.get(word)
            raise CommandFailed("set /a: an operand is missing", 9165)
        except ValueError as error:
            raise CommandFailed(f"set /a: {error}", 9165) from error
        finally:
            self.depth -= 1


def _apply(operator: str, left: int, right: int) -> int:
    if operator in ("/", "%") and right == 0:
        raise CommandFailed("set /a: a division by zero", 9169)
    if operator == "/":
        return _wrap(int(left / right))
    if operator == "%":
        return _wrap(left - int(left / right) * right)
    if operator in ("<<", ">>"):
        return _wrap(left << (right & 31)) if operator == "<<" else left >> (right & 31)
    return _wrap({"+": left + right, "-": left - right, "*": left * right, "&": left & right, "|": left | right, "^": left ^ right}[operator])  # fmt: skip


def _wrap(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value
