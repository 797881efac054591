r"""PowerShell's expressions (Windows PowerShell Language Specification 3.0, chapter 7)."""

from __future__ import annotations

import re
from collections.abc import Callable

from wingo.dockerfile.lowering.powershell.nodes import (
    ArrayLiteral,
    Binary,
    Cast,
    Const,
    Expression,
    Hash,
    Index,
    Invoke,
    Member,
    Parenthesis,
    ScriptBlock,
    Statement,
    Step,
    SubExpression,
    TypeLiteral,
    Unary,
    Variable,
)
from wingo.dockerfile.lowering.powershell.reader import BLANK, DOUBLE, NUMBER, SINGLE, WORD_END, ParseFault
from wingo.dockerfile.lowering.powershell.texts import TextReader, number_value

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
_DASHED = {name: number for number, level in enumerate(_OPERATORS) for name in level if name[0].isalpha()}
_SYMBOLS = tuple((sign, number) for number, level in enumerate(_OPERATORS) for sign in level if not sign[0].isalpha())
DASHED_OPERATOR = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z]+)(?![\w-])")


class ExpressionParser(TextReader):
    """Reads expressions; statements are read by a class on top of this one."""

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
            return Const(number_value(number))
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

    def expression(self, level: int = 0) -> Expression:
        """Binary operators of a level and stronger ones; on the way, `,` binds stronger than all of them."""
        return self._operation(level, self.comma)

    def argument_expression(self) -> Expression:
        """An expression in which commas end it."""
        return self._operation(0, self.unary)

    def _operation(self, level: int, value: Callable[[], Expression]) -> Expression:
        self.deeper()
        try:
            left = value()
            while (found := self.binary_operator(level)) is not None:
                operator, level_of_it = found
                self.blank()
                left = Binary(operator, left, self._operation(level_of_it + 1, value))
            return left
        finally:
            self.depth -= 1

    def binary_operator(self, level: int) -> tuple[str, int] | None:
        """The operator of a level or a stronger one that stands here, passed over, with its level; None: there is none."""
        place = self.position
        self.skip()
        dashed = DASHED_OPERATOR.match(self.text, self.position)
        if dashed is not None and (name := dashed[1].lower()) in _DASHED:
            if _DASHED[name] >= level:
                self.position = dashed.end()
                return name, _DASHED[name]
            self.position = place
            return None
        for operator, level_of_it in _SYMBOLS:
            if level_of_it >= level and self.text.startswith(operator, self.position):
                following = self.text[self.position + len(operator) : self.position + len(operator) + 1]
                if following == "=" or (operator in "+-" and following == operator):
                    continue
                self.position += len(operator)
                return operator, level_of_it
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
                value = number_value(number)
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
        # What may be assigned to is read before it is seen that nothing is: without memory each level would double the work.
        at = self.position
        if at not in self.known:
            self.deeper()
            try:
                self.known[at] = self.postfix(self.atom()), self.position
            except ParseFault as fault:
                self.known[at] = fault, self.position
            finally:
                self.depth -= 1
        found, self.position = self.known[at]
        if isinstance(found, ParseFault):
            raise found
        return found

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
            return Const(number_value(number))
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
                index = self.expression()
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
            found.append(self.argument_expression())
            self.blank()
            if self.take(")"):
                return tuple(found)
            if not self.take(","):
                raise self.fault("a method's arguments: , or ) is missing")

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
