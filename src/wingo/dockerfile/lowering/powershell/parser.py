r"""PowerShell's grammar (Windows PowerShell Language Specification 3.0, chapters 2 and 8), read without a lexer.

What a character means depends on whether a command's words or an expression are read, so the parser looks at characters.
"""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import (
    Argument,
    ArrayLiteral,
    Assignment,
    Binary,
    Cast,
    Chain,
    Command,
    Const,
    Expandable,
    Expression,
    Foreach,
    Function,
    Hash,
    If,
    Index,
    Invoke,
    Jump,
    Loop,
    Member,
    Parameter,
    Parenthesis,
    Pipeline,
    RedirectionNode,
    ScriptBlock,
    Statement,
    Step,
    SubExpression,
    Switch,
    Try,
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


_SPACE = re.compile(r"(?:[ \t\f\v\u00a0\u0085]|`\r?\n|<#.*?#>)+", re.DOTALL)
_BLANK = re.compile(r"(?:[\s;]|`\r?\n|#[^\n]*|<#.*?#>)+", re.DOTALL)
_BLANK_NO_SEMICOLON = re.compile(r"(?:\s|`\r?\n|#[^\n]*|<#.*?#>)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|((?:[A-Za-z]+:(?!:))?[\w?]+)|([$^?]))")
_NUMBER = re.compile(
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
_DASHED_OPERATOR = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z]+)(?![\w-])")
_ASSIGNMENTS = ("+=", "-=", "*=", "/=", "%=", "=")
_KEYWORDS = frozenset({
    "if", "while", "do", "for", "foreach", "switch", "function", "filter", "try", "throw", "return", "exit", "break",
    "continue", "param", "trap", "begin", "process", "end", "data", "class", "enum", "using", "workflow", "configuration",
})  # fmt: skip
_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "e": "e", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SINGLE = "'\u2018\u2019\u201a\u201b"
_DOUBLE = '"\u201c\u201d\u201e'
_DASHES = "-\u2013\u2014\u2015"
_WORD_END = " \t\r\n\f\v;|&(){},"
_MULTIPLES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


def parse_script(text: str, *, core: bool = False) -> ScriptBlock:
    """Reads a text as a script.

    Args:
        text: of `-Command`, of a file, or of a block.
        core: PowerShell 7, which has `&&` and `||`.

    Raises:
        ParseFault: PowerShell refuses it; nothing of it runs then.
        CannotLower: it uses a part of the language that is not read here, or is nested too deeply.
    """
    parser = _Parser(text, core=core)
    parameters, body = parser.block_body("")
    return ScriptBlock(body, parameters)


class _Parser:
    def __init__(self, text: str, *, core: bool) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.core = core

    # Small steps

    def peek(self, count: int = 1) -> str:
        return self.text[self.position : self.position + count]

    def skip(self, pattern: re.Pattern[str] = _SPACE) -> None:
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        if pattern is _SPACE and self.peek() == "#":
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end

    def blank(self) -> None:
        """Passes over spaces, new lines and comments."""
        self.skip(_BLANK_NO_SEMICOLON)

    def take(self, text: str) -> bool:
        if self.text.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def need(self, text: str, what: str) -> None:
        self.blank()
        if not self.take(text):
            raise ParseFault(f"{what}: {text} is missing", self.position)

    def fault(self, message: str) -> ParseFault:
        return ParseFault(message, self.position)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CannotLower("the PowerShell text is nested too deeply")

    def word(self) -> str:
        """The keyword or name that stands here, in lower case; nothing is passed over."""
        found = _NAME.match(self.text, self.position)
        return found[0].lower() if found else ""

    # Statements

    def block_body(self, closing: str) -> tuple[tuple[Parameter, ...], tuple[Statement, ...]]:
        """Statements up to a closing brace or parenthesis, which stays; "" is the end of the text."""
        self.deeper()
        parameters: tuple[Parameter, ...] = ()
        self.skip(_BLANK)
        while self.peek() == "[" and re.compile(r"\[CmdletBinding\(", re.IGNORECASE).match(self.text, self.position):
            self.type_name_attribute()
            self.skip(_BLANK)
        if self.word() == "param" and re.compile(r"param\s*\(", re.IGNORECASE).match(self.text, self.position):
            self.position += len("param")
            self.blank()
            parameters = self.parameter_list()
        statements: list[Statement] = []
        while True:
            self.skip(_BLANK)
            if not self.peek():
                if closing:
                    raise self.fault(f"{closing} is missing")
                break
            if closing and self.peek() == closing:
                break
            if self.peek() in ")}":
                raise self.fault(f"unexpected {self.peek()}")
            statements.append(self.statement())
            self.skip()
            if self.peek() and self.peek() not in ";\r\n" and self.peek() != closing and self.peek() not in ")}":
                if isinstance(statements[-1], If | Loop | Foreach | Switch | Function | Try):
                    continue
                if self.peek(2) in ("&&", "||"):
                    raise self.fault(f"{self.peek(2)} is not a valid statement separator in this version")
                raise self.fault(f"unexpected {self.text[self.position : self.position + 20]!r}")
        self.depth -= 1
        return parameters, tuple(statements)

    def braces(self) -> tuple[Statement, ...]:
        """`{ … }`."""
        self.need("{", "a block")
        _, body = self.block_body("}")
        self.position += 1
        return body

    def type_name_attribute(self) -> None:
        """Passes over `[CmdletBinding()]`, `[Parameter(…)]`."""
        depth = 0
        while self.peek():
            character = self.peek()
            if character in _SINGLE + _DOUBLE:
                self.quoted()
                continue
            depth += (character == "[") - (character == "]")
            self.position += 1
            if depth == 0:
                return
        raise self.fault("] is missing")

    def parameter_list(self) -> tuple[Parameter, ...]:
        self.need("(", "parameters")
        found: list[Parameter] = []
        while True:
            self.blank()
            if self.take(")"):
                return tuple(found)
            type_ = ""
            while self.peek() == "[":
                start = self.position
                self.type_name_attribute()
                name = self.text[start + 1 : self.position - 1]
                if "(" not in name:
                    type_ = name.strip().lower()
                self.blank()
            variable = _VARIABLE.match(self.text, self.position)
            if variable is None:
                raise self.fault("a parameter's name is missing")
            self.position = variable.end()
            default = None
            self.blank()
            if self.take("="):
                self.blank()
                default = self.expression(0)
                self.blank()
            switch = type_ in ("switch", "system.management.automation.switchparameter", "switchparameter")
            found.append(Parameter(variable[1] or variable[2], default, switch, type_))
            if not self.take(",") and self.peek() != ")":
                raise self.fault("parameters: , or ) is missing")

    def statement(self) -> Statement:
        self.deeper()
        try:
            return self._statement()
        finally:
            self.depth -= 1

    def _statement(self) -> Statement:
        word = self.word()
        at = self.position
        behind = self.text[at + len(word) : at + len(word) + 1]
        if word in _KEYWORDS and behind not in ("-", "\\", ".", "/", "=") and not (behind == ":" and word != "switch"):
            self.position += len(word)
            return self.keyword(word, at)
        return self.chain()

    def keyword(self, word: str, at: int) -> Statement:
        match word:
            case "if":
                return self.if_statement(at)
            case "while":
                condition = self.condition()
                return Loop("while", None, condition, None, self.braces(), at)
            case "do":
                body = self.braces()
                self.blank()
                kind = self.word()
                if kind not in ("while", "until"):
                    raise self.fault("do: while or until is missing")
                self.position += len(kind)
                return Loop(f"do {kind}", None, self.condition(), None, body, at)
            case "for":
                return self.for_statement(at)
            case "foreach":
                return self.foreach_statement(at)
            case "switch":
                return self.switch_statement(at)
            case "function" | "filter":
                return self.function()
            case "try":
                return self.try_statement()
            case "throw" | "return" | "exit" | "break" | "continue":
                self.skip()
                value = None if self.at_end() else self.chain()
                return Jump(word, value, at)
            case _:
                raise CannotLower(f"PowerShell's {word} is not lowered", "Write the commands themselves.")

    def at_end(self) -> bool:
        return not self.peek() or self.peek() in ";\r\n})"

    def condition(self) -> Statement:
        self.need("(", "a condition")
        self.blank()
        condition = self.chain()
        self.need(")", "a condition")
        return condition

    def if_statement(self, at: int) -> Statement:
        branches = [(self.condition(), self.braces())]
        otherwise = None
        while True:
            place = self.position
            self.blank()
            word = self.word()
            if word == "elseif":
                self.position += len(word)
                branches.append((self.condition(), self.braces()))
            elif word == "else":
                self.position += len(word)
                self.blank()
                otherwise = self.braces()
                break
            else:
                self.position = place
                break
        return If(tuple(branches), otherwise, at)

    def for_statement(self, at: int) -> Statement:
        self.need("(", "for")
        parts: list[Statement | None] = []
        for closing in (";", ";", ")"):
            self.blank()
            parts.append(None if self.peek() == closing else self.chain())
            self.need(closing, "for")
        return Loop("for", parts[0], parts[1], parts[2], self.braces(), at)

    def foreach_statement(self, at: int) -> Statement:
        self.need("(", "foreach")
        self.blank()
        variable = self.primary()
        self.blank()
        if self.word() != "in":
            raise self.fault("foreach: in is missing")
        self.position += 2
        self.blank()
        items = self.chain()
        self.need(")", "foreach")
        return Foreach(variable, items, self.braces(), at)

    def switch_statement(self, at: int) -> Statement:
        options = []
        self.blank()
        while self.peek() == "-":
            self.position += 1
            options.append(self.word())
            self.position += len(self.word())
            self.blank()
        subject = self.condition()
        self.need("{", "switch")
        cases: list[tuple[Expression | None, tuple[Statement, ...]]] = []
        while True:
            self.skip(_BLANK)
            if self.take("}"):
                return Switch(subject, tuple(cases), tuple(options), at)
            if self.word() == "default":
                self.position += len("default")
                cases.append((None, self.braces()))
                continue
            if self.peek() == "{":
                raise CannotLower("a switch whose case is a block is not lowered", "Write if and elseif.")
            value = self.argument_value() if self.peek() not in "$(@" + _SINGLE + _DOUBLE else self.primary()
            cases.append((value, self.braces()))

    def function(self) -> Statement:
        self.blank()
        found = re.compile(r"[\w:-]+").match(self.text, self.position)
        if found is None:
            raise self.fault("a function's name is missing")
        self.position = found.end()
        self.blank()
        parameters: tuple[Parameter, ...] = ()
        if self.peek() == "(":
            parameters = self.parameter_list()
        self.need("{", "a function")
        more, body = self.block_body("}")
        self.position += 1
        return Function(found[0].rpartition(":")[2], ScriptBlock(body, (*parameters, *more)))

    def try_statement(self) -> Statement:
        body = self.braces()
        handlers = []
        last: tuple[Statement, ...] = ()
        while True:
            place = self.position
            self.blank()
            word = self.word()
            if word == "catch":
                self.position += len(word)
                types = []
                self.blank()
                while self.peek() == "[":
                    start = self.position
                    self.type_name_attribute()
                    types.append(self.text[start + 1 : self.position - 1].strip().lower())
                    self.blank()
                    self.take(",")
                    self.blank()
                handlers.append((tuple(types), self.braces()))
            elif word == "finally":
                self.position += len(word)
                last = self.braces()
            else:
                self.position = place
                break
        if not handlers and not last:
            raise self.fault("try has neither catch nor finally")
        return Try(body, tuple(handlers), last)

    def chain(self) -> Statement:
        left = self.assignment_or_pipeline()
        while True:
            self.skip()
            operator = self.peek(2)
            if operator not in ("&&", "||"):
                return left
            if not self.core:
                raise self.fault(f"the token {operator!r} is not a valid statement separator in this version")
            self.position += 2
            self.blank()
            left = Chain(left, operator, self.assignment_or_pipeline())

    def assignment_or_pipeline(self) -> Statement:
        at = self.position
        if self.peek() and self.peek() in "$[@(":
            place = self.position
            target = self.try_assignment_target()
            if target is not None:
                self.skip()
                for operator in _ASSIGNMENTS:
                    if self.text.startswith(operator, self.position) and self.peek(2) != "==":
                        self.position += len(operator)
                        self.blank()
                        return Assignment(target, operator, self.statement(), at)
            self.position = place
        return self.pipeline()

    def try_assignment_target(self) -> Expression | None:
        """What may stand before `=`: a variable, perhaps with a type, a member, an index; or None."""
        if not re.compile(r"(?:\[[^\]]*\]\s*)*[$\[(@]").match(self.text, self.position):
            return None
        try:
            types = []
            while self.peek() == "[":
                place = self.position
                type_name = self.type_literal()
                self.skip()
                if self.peek(2) == "::" or self.peek() not in ("$", "["):
                    self.position = place
                    break
                types.append(type_name)
            target = self.primary()
            self.skip()
            if self.peek() == ",":
                targets = [target]
                while self.take(","):
                    self.skip()
                    targets.append(self.primary())
                    self.skip()
                target = ArrayLiteral(tuple(targets))
        except ParseFault:
            return None
        if not isinstance(target, Variable | Member | Index | ArrayLiteral):
            return None
        for name in reversed(types):
            target = Cast(name, target)
        return target

    def pipeline(self) -> Statement:
        at = self.position
        elements: list[Command | Expression] = [self.element()]
        redirections: tuple[RedirectionNode, ...] = ()
        while True:
            self.skip()
            if self.peek() == "|" and self.peek(2) != "||":
                self.position += 1
                self.blank()
                elements.append(self.element())
            elif (self.peek() == ">" or re.compile(r"[1-6*]>").match(self.text, self.position)) and (
                redirection := self.redirection()
            ):
                redirections = (*redirections, redirection)
            else:
                return Pipeline(tuple(elements), at, redirections)

    def element(self) -> Command | Expression:
        """A command or an expression: told apart by how it begins (specification 8.2)."""
        self.skip()
        character = self.peek()
        if not character:
            raise self.fault("an expression or command is missing")
        if character in "&.":
            following = self.text[self.position + 1 : self.position + 2]
            if character == "&" or (following in " \t'\"$(" and following):
                self.position += 1
                self.skip()
                return self.command(character)
        if character in "$@([{+!,<" or character in _SINGLE + _DOUBLE or (character in _DASHES):
            if character in _DASHES and re.compile(r"[-\u2013\u2014\u2015][A-Za-z]").match(self.text, self.position):
                operator = _DASHED_OPERATOR.match(self.text, self.position)
                if operator is None or operator[1].lower() not in ("not", "bnot", "join", "split", "isplit", "csplit"):
                    return self.command("")
            return self.expression(0)
        if _NUMBER.match(self.text, self.position):
            return self.expression(0)
        return self.command("")

    # Commands

    def command(self, operator: str) -> Command:
        self.deeper()
        at = self.position
        name = self.argument_value()
        arguments: list[Argument] = []
        redirections: list[RedirectionNode] = []
        raw = ""
        while True:
            self.skip()
            character = self.peek()
            if not character or character in ";|\r\n)}" or character == "&":
                if self.peek(2) in ("&&", "||") or character != "&":
                    break
                raise self.fault("the ampersand (&) is not allowed here")
            if self.peek(3) == "--%":
                end = re.compile(r"[\r\n|]|\Z").search(self.text, self.position)
                stop = end.start() if end else len(self.text)
                raw = self.text[self.position + 3 : stop].strip()
                self.position = stop
                break
            if (character == ">" or re.compile(r"[1-6*]>").match(self.text, self.position)) and (
                redirection := self.redirection()
            ):
                redirections.append(redirection)
                continue
            if character == "<":
                raise self.fault("the '<' operator is reserved for future use")
            arguments.append(self.argument())
        self.depth -= 1
        return Command(name, tuple(arguments), operator, tuple(redirections), at, raw)

    def redirection(self) -> RedirectionNode | None:
        found = re.compile(r"([1-6*]?)(>>|>)(?:&([1-6]))?").match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        if found[3]:
            return RedirectionNode(found[1] or "1", ">&", Const(found[3]))
        self.skip()
        return RedirectionNode(found[1] or "1", found[2], self.argument_value())

    def argument(self) -> Argument:
        character = self.peek()
        if character in _DASHES:
            found = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z_?][\w-]*)(:?)").match(self.text, self.position)
            if found is not None:
                following = self.text[found.end() : found.end() + 1]
                if found[2] or not following or following in _WORD_END or following in _SINGLE + _DOUBLE + "$@":
                    self.position = found.end()
                    if not found[2] and following and following in _SINGLE + _DOUBLE + "$@":
                        # `-D"x"` is one word for a program; no cmdlet has such a parameter.
                        self.position = found.start()
                    else:
                        return Argument(None, found[1], found[0], joined=bool(found[2]))
        if character == "@" and re.compile(r"@[A-Za-z_]\w*").match(self.text, self.position):
            self.position += 1
            name = self.word()
            written = self.text[self.position : self.position + len(name)]
            self.position += len(name)
            return Argument(Variable(written), splat=True)
        start = self.position
        items = [self.argument_value()]
        while True:
            place = self.position
            self.skip()
            if self.peek() != ",":
                self.position = place
                break
            self.position += 1
            self.blank()
            items.append(self.argument_value())
        text = self.text[start : self.position]
        bare = bool(text) and text[0] not in _SINGLE + _DOUBLE + "$({@"
        return Argument(items[0] if len(items) == 1 else ArrayLiteral(tuple(items)), text=text, bare=bare)

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
        number = _NUMBER.match(self.text, self.position)
        if number is not None and self.text[number.end() : number.end() + 1] in (*_WORD_END, ""):
            self.position = number.end()
            return Const(_number(number))
        if character == "(":
            return self.postfix(self.parenthesis())
        if character == "{":
            return self.script_block()
        if character == "@" and self.peek(2) in ("@(", "@{", '@"', "@'"):
            return self.primary()
        if character in _SINGLE + _DOUBLE:
            start = self.position
            value = self.quoted()
            if self.peek() == ".":
                return self.postfix(value)
            if not self.peek() or self.peek() in _WORD_END:
                return value
            self.position = start
            return self.bare_word()
        if character == "[" and re.compile(r"\[[\w.]+\]::").match(self.text, self.position):
            # A type in a command's words is a text; only in parentheses it is an expression.
            return self.bare_word()
        if character == "$":
            start = self.position
            value = self.primary()
            if not self.peek() or self.peek() in _WORD_END:
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

        while self.peek() and self.peek() not in _WORD_END:
            character = self.peek()
            if character == "`":
                escaped = self.text[self.position + 1 : self.position + 2]
                if escaped in ("\r", "\n"):
                    break
                text.append(_ESCAPES.get(escaped, escaped))
                self.position += 2
            elif character == "$" and (self.peek(2) == "$(" or _VARIABLE.match(self.text, self.position)):
                flush()
                parts.append(self.variable_or_subexpression())
            elif character in _SINGLE + _DOUBLE:
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

    # Expressions

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
        place = self.position
        self.skip()
        wanted = _OPERATORS[level]
        dashed = _DASHED_OPERATOR.match(self.text, self.position)
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
        dashed = _DASHED_OPERATOR.match(self.text, self.position)
        if dashed is not None and dashed[1].lower() in ("not", "bnot", "join", "split"):
            self.position = dashed.end()
            self.blank()
            return Unary(dashed[1].lower(), self.unary())
        if character in ("+", "-"):
            number = _NUMBER.match(self.text, self.position + 1)
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
            if (following and following in "$([@{+-" + _SINGLE + _DOUBLE) or _NUMBER.match(self.text, self.position):
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
        character = self.peek()
        if not character:
            raise self.fault("a value is missing")
        if character == "$":
            return self.variable_or_subexpression()
        if character in _SINGLE + _DOUBLE:
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
        if (number := _NUMBER.match(self.text, self.position)) is not None:
            self.position = number.end()
            return Const(_number(number))
        raise self.fault(f"unexpected {self.text[self.position : self.position + 20]!r}")

    def parenthesis(self) -> Expression:
        self.position += 1
        self.blank()
        body = self.statement()
        self.need(")", "(")
        return Parenthesis(body)

    def script_block(self) -> Expression:
        self.position += 1
        parameters, body = self.block_body("}")
        self.position += 1
        return ScriptBlock(body, parameters)

    def type_literal(self) -> str:
        found = re.compile(r"\[\s*([\w.+]+(?:\[[\w.,\s]*\])*)\s*\]").match(self.text, self.position)
        if found is None:
            raise self.fault("a type's name is missing behind [")
        self.position = found.end()
        return found[1]

    def postfix(self, value: Expression) -> Expression:
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
                elif self.peek() and self.peek() in _SINGLE + _DOUBLE:
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
        self.position += 2
        pairs: list[tuple[Expression, Statement]] = []
        while True:
            self.skip(_BLANK)
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

    # Texts

    def variable_or_subexpression(self) -> Expression:
        if self.peek(2) == "$(":
            self.position += 2
            _, body = self.block_body(")")
            self.position += 1
            return SubExpression(body, array=False)
        found = _VARIABLE.match(self.text, self.position)
        if found is None:
            raise self.fault("unexpected $")
        self.position = found.end()
        return Variable((found[1] if found[1] is not None else found[2] or found[3]).replace("`", ""))

    def quoted(self) -> Expression:
        """A text in single or double quotes."""
        if self.peek() in _SINGLE:
            start = self.position
            self.position += 1
            text: list[str] = []
            while True:
                character = self.peek()
                if not character:
                    raise ParseFault("the string is missing the terminator: '", start)
                self.position += 1
                if character in _SINGLE:
                    if self.peek() and self.peek() in _SINGLE:
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
            elif character in _DOUBLE:
                self.position += 1
                if self.peek() and self.peek() in _DOUBLE:
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
            elif character == "$" and (self.peek(2) == "$(" or _VARIABLE.match(self.text, self.position)):
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
