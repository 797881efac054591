r"""PowerShell's expressions, words and texts (Windows PowerShell Language Specification 3.0, chapters 2 and 7).

What a character means depends on whether a command's words or an expression are read, so there is no lexer: the parser
looks at characters.
"""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import (
    ArrayLiteral,
    Binary,
    Cast,
    Const,
    Expandable,
    Expression,
    Hash,
    Index,
    Invoke,
    Member,
    Parameter,
    Parenthesis,
    ScriptBlock,
    Statement,
    Step,
    SubExpression,
    TypeLiteral,
    Unary,
    Variable,
)

MAX_DEPTH = 80
"""Parentheses, blocks and operators in each other."""


class ParseFault(Exception):
    """PowerShell would not run anything of the text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


SPACE = re.compile(r"(?:[ \t\f\v\u00a0\u0085]|`\r?\n|<#.*?#>)+", re.DOTALL)
BLANK = re.compile(r"(?:[\s;]|`\r?\n|#[^\n]*|<#.*?#>)+", re.DOTALL)
BLANK_NO_SEMICOLON = re.compile(r"(?:\s|`\r?\n|#[^\n]*|<#.*?#>)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|((?:[A-Za-z]+:(?!:))?[\w?]+)|([$^?]))")
NUMBER = re.compile(
    r"(0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)([dDlL]?)(kb|mb|gb|tb)?(?!\w|\.(?!\.))",
    re.IGNORECASE,
)
_OPERATORS = (
    ("and", "or", "xor"),
    ("band", "bor", "bxor"),
    (*(
        prefix + name
        for name in ("eq", "ne", "gt", "ge", "lt", "le", "like", "notlike", "match", "notmatch", "replace", "contains", "notcontains", "in", "notin", "split")
        for prefix in ("", "i", "c")
    ), "join", "is", "isnot", "as"),
    ("+", "-"),
    ("*", "/", "%"),
    ("f",),
    ("..",),
)  # fmt: skip
"""The binary operators, from the weakest to the strongest (specification 7.2.2, 7.11)."""
_DASHED = {name for level in _OPERATORS for name in level if name[0].isalpha()}
DASHED_OPERATOR = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z]+)(?![\w-])")
ASSIGNMENTS = ("+=", "-=", "*=", "/=", "%=", "=")
KEYWORDS = frozenset({
    "if", "while", "do", "for", "foreach", "switch", "function", "filter", "try", "throw", "return", "exit", "break",
    "continue", "param", "trap", "begin", "process", "end", "data", "class", "enum", "using", "workflow", "configuration",
})  # fmt: skip
_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "e": "e", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
SINGLE = "'\u2018\u2019\u201a\u201b"
DOUBLE = '"\u201c\u201d\u201e'
DASHES = "-\u2013\u2014\u2015"
WORD_END = " \t\r\n\f\v;|&(){},"
_MULTIPLES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


class ExpressionParser:
    """Reads a text at its position; statements are read by a class on top of this one."""

    def __init__(self, text: str, *, core: bool) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
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

    def argument_value(self) -> Expression:
        """One value of a command's word."""
        self.deeper()
        try:
            return self._argument_value()
        finally:
            self.depth -= 1

    def _argument_value(self) -> Expression:
        character = self.peek()
        if not character or character in ";|\r\n)},":
            raise self.fault("an argument is missing")
        number = NUMBER.match(self.text, self.position)
        if number is not None and self.text[number.end() : number.end() + 1] in (*WORD_END, ""):
            self.position = number.end()
            return Const(_number(number))
        if character == "(":
            return self.postfix(self.parenthesis())
        if character == "{":
            return self.script_block()
        if character == "@" and self.peek(2) in ("@(", "@{", '@"', "@'"):
            return self.primary()
        if character in SINGLE + DOUBLE:
            start = self.position
            value = self.quoted()
            if self.peek() == ".":
                return self.postfix(value)
            if not self.peek() or self.peek() in WORD_END:
                return value
            self.position = start
            return self.bare_word()
        if character == "[" and re.compile(r"\[[\w.]+\]::").match(self.text, self.position):
            # A type in a command's words is a text; only in parentheses it is an expression.
            return self.bare_word()
        if character == "$":
            start = self.position
            value = self.primary()
            if not self.peek() or self.peek() in WORD_END:
                return value
            self.position = start
        return self.bare_word()

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
                text.append(character)
                self.position += 1
        flush()
        if not parts:
            if self.peek() == "&":
                raise self.fault("unexpected &")
            raise self.fault(f"unexpected {self.peek()!r}")
        if all(isinstance(part, str) for part in parts):
            return Const("".join(part for part in parts if isinstance(part, str)))
        return Expandable(tuple(parts))

    def type_name_attribute(self) -> None:
        """Passes over `[CmdletBinding()]`, `[Parameter(…)]`."""
        depth = 0
        while self.peek():
            character = self.peek()
            if character in SINGLE + DOUBLE:
                self.quoted()
                continue
            depth += (character == "[") - (character == "]")
            self.position += 1
            if depth == 0:
                return
        raise self.fault("] is missing")

    def expression(self, level: int) -> Expression:
        """Binary operators of a level and stronger ones; on the way, `,` binds stronger than all of them."""
        self.deeper()
        try:
            if level == len(_OPERATORS):
                return self.comma()
            left = self.expression(level + 1)
            while (operator := self.binary_operator(level)) is not None:
                self.blank()
                left = Binary(operator, left, self.expression(level + 1))
            return left
        finally:
            self.depth -= 1

    def binary_operator(self, level: int) -> str | None:
        """The operator of a level that stands here, passed over; None: there is none."""
        place = self.position
        self.skip()
        wanted = _OPERATORS[level]
        dashed = DASHED_OPERATOR.match(self.text, self.position)
        if dashed is not None and dashed[1].lower() in _DASHED:
            if dashed[1].lower() in wanted:
                self.position = dashed.end()
                return dashed[1].lower()
            self.position = place
            return None
        for operator in wanted:
            if not operator[0].isalpha() and self.text.startswith(operator, self.position):
                following = self.text[self.position + len(operator) : self.position + len(operator) + 1]
                if following == "=" or (operator in "+-" and following == operator):
                    continue
                if operator == "%" and level == 4 and following == "=":
                    continue
                self.position += len(operator)
                return operator
        self.position = place
        return None

    def comma(self) -> Expression:
        """Values with commas between them, which bind stronger than all binary operators."""
        first = self.unary()
        items = [first]
        while True:
            place = self.position
            self.skip()
            if self.peek() != ",":
                self.position = place
                break
            self.position += 1
            self.blank()
            items.append(self.unary())
        return first if len(items) == 1 else ArrayLiteral(tuple(items))

    def unary(self) -> Expression:
        """A value with its unary operators."""
        self.deeper()
        try:
            return self._unary()
        finally:
            self.depth -= 1

    def _unary(self) -> Expression:
        self.skip()
        character = self.peek()
        if character == "!":
            self.position += 1
            self.blank()
            return Unary("not", self.unary())
        if character == ",":
            self.position += 1
            self.blank()
            return ArrayLiteral((self.unary(),))
        if self.peek(2) in ("++", "--"):
            delta = 1 if self.peek() == "+" else -1
            self.position += 2
            return Step(self.primary(), delta, after=False)
        dashed = DASHED_OPERATOR.match(self.text, self.position)
        if dashed is not None and dashed[1].lower() in ("not", "bnot", "join", "split"):
            self.position = dashed.end()
            self.blank()
            return Unary(dashed[1].lower(), self.unary())
        if character in ("+", "-"):
            number = NUMBER.match(self.text, self.position + 1)
            self.position += 1
            if number is not None:
                self.position = number.end()
                value = _number(number)
                return self.postfix(Const(-value if character == "-" else value))
            self.skip()
            return Unary(character, self.unary())
        if character == "[":
            place = self.position
            name = self.type_literal()
            self.skip()
            following = self.peek()
            if (following and following in "$([@{+-" + SINGLE + DOUBLE) or NUMBER.match(self.text, self.position):
                if self.peek(2) == "::" or (
                    following in "+-" and not re.compile(r"[+-]\s*[\d(]").match(self.text, self.position)
                ):
                    self.position = place
                else:
                    return Cast(name, self.unary())
            self.position = place
        return self.primary()

    def primary(self) -> Expression:
        """A value with its members, indexes and calls."""
        self.deeper()
        try:
            return self.postfix(self.atom())
        finally:
            self.depth -= 1

    def atom(self) -> Expression:
        """A value without what stands behind it."""
        character = self.peek()
        if not character:
            raise self.fault("a value is missing")
        if character == "$":
            return self.variable_or_subexpression()
        if character in SINGLE + DOUBLE:
            return self.quoted()
        if character == "@":
            if self.peek(2) == "@(":
                self.position += 2
                _, body = self.block_body(")")
                self.position += 1
                return SubExpression(body, array=True)
            if self.peek(2) == "@{":
                return self.hash()
            if self.peek(2) in ('@"', "@'"):
                return self.here_string()
            raise self.fault("@ is not followed by (, { or a here-string")
        if character == "(":
            return self.parenthesis()
        if character == "{":
            return self.script_block()
        if character == "[":
            return TypeLiteral(self.type_literal())
        if (number := NUMBER.match(self.text, self.position)) is not None:
            self.position = number.end()
            return Const(_number(number))
        raise self.fault(f"unexpected {self.text[self.position : self.position + 20]!r}")

    def parenthesis(self) -> Expression:
        """`( … )`."""
        self.position += 1
        self.blank()
        body = self.statement()
        self.need(")", "(")
        return Parenthesis(body)

    def script_block(self) -> Expression:
        """`{ … }`."""
        self.position += 1
        parameters, body = self.block_body("}")
        self.position += 1
        return ScriptBlock(body, parameters)

    def type_literal(self) -> str:
        """A type's name, in brackets."""
        found = re.compile(r"\[\s*([\w.+]+(?:\[[\w.,\s]*\])*)\s*\]").match(self.text, self.position)
        if found is None:
            raise self.fault("a type's name is missing behind [")
        self.position = found.end()
        return found[1]

    def postfix(self, value: Expression) -> Expression:
        """A value with its members, indexes and calls."""
        while True:
            character = self.peek()
            if self.peek(2) == "::" or (character == "." and self.peek(2) != ".."):
                static = self.peek(2) == "::"
                place = self.position
                self.position += 2 if static else 1
                name: str | Expression
                found = re.compile(r"\w+").match(self.text, self.position)
                if found is not None:
                    self.position = found.end()
                    name = found[0]
                elif self.peek() and self.peek() in SINGLE + DOUBLE:
                    name = self.quoted()
                elif self.peek() in ("$", "("):
                    name = self.atom()
                else:
                    self.position = place
                    return value
                if self.peek() == "(":
                    at = self.position
                    value = Invoke(value, name, self.call_arguments(), static, at)
                else:
                    value = Member(value, name, static)
            elif character == "[" and not isinstance(value, TypeLiteral):
                self.position += 1
                self.blank()
                index = self.expression(0)
                self.need("]", "an index")
                value = Index(value, index)
            elif self.peek(2) in ("++", "--") and isinstance(value, Variable | Member | Index):
                delta = 1 if character == "+" else -1
                self.position += 2
                value = Step(value, delta, after=True)
            else:
                return value

    def call_arguments(self) -> tuple[Expression, ...]:
        """A method's arguments."""
        self.position += 1
        found: list[Expression] = []
        self.blank()
        if self.take(")"):
            return ()
        while True:
            self.blank()
            # Inside a call, commas separate arguments.
            found.append(self.argument_expression(0))
            self.blank()
            if self.take(")"):
                return tuple(found)
            if not self.take(","):
                raise self.fault("a method's arguments: , or ) is missing")

    def argument_expression(self, level: int) -> Expression:
        """An expression in which commas end it."""
        self.deeper()
        try:
            if level == len(_OPERATORS):
                return self.unary()
            left = self.argument_expression(level + 1)
            while (operator := self.binary_operator(level)) is not None:
                self.blank()
                left = Binary(operator, left, self.argument_expression(level + 1))
            return left
        finally:
            self.depth -= 1

    def hash(self) -> Expression:
        """`@{ … }`."""
        self.position += 2
        pairs: list[tuple[Expression, Statement]] = []
        while True:
            self.skip(BLANK)
            if self.take("}"):
                return Hash(tuple(pairs))
            found = re.compile(r"[\w-]+").match(self.text, self.position)
            if found is not None:
                self.position = found.end()
                key: Expression = Const(found[0])
            else:
                key = self.primary()
            self.need("=", "a hash table")
            self.blank()
            pairs.append((key, self.statement()))

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
                character = self.peek()
                if not character:
                    raise ParseFault("the string is missing the terminator: '", start)
                self.position += 1
                if character in SINGLE:
                    if self.peek() and self.peek() in SINGLE:
                        self.position += 1
                        text.append("'")
                        continue
                    return Const("".join(text))
                text.append(character)
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
                text.append(character)
                self.position += 1
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


def _number(found: re.Match[str]) -> int | float:
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
