"""PowerShell's statements and commands (Windows PowerShell Language Specification 3.0, chapter 8)."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.expressions import DASHED_OPERATOR, ExpressionParser
from wingo.dockerfile.lowering.powershell.nodes import (
    Argument,
    ArrayLiteral,
    Assignment,
    Cast,
    Chain,
    Command,
    Const,
    Expression,
    Foreach,
    Function,
    If,
    Index,
    Jump,
    Loop,
    Member,
    Parameter,
    Pipeline,
    RedirectionNode,
    ScriptBlock,
    Statement,
    Switch,
    Trap,
    Try,
    Variable,
)
from wingo.dockerfile.lowering.powershell.reader import (
    ASSIGNMENTS,
    BLANK,
    DASHES,
    DOUBLE,
    KEYWORDS,
    NUMBER,
    SINGLE,
    VARIABLE,
    WORD_END,
    ParseFault,
)


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


class _Parser(ExpressionParser):
    def block_body(self, closing: str) -> tuple[tuple[Parameter, ...], tuple[Statement, ...]]:
        """Statements up to a closing brace or parenthesis, which stays; "" is the end of the text."""
        self.deeper()
        parameters: tuple[Parameter, ...] = ()
        self.skip(BLANK)
        while self.peek() == "[" and re.compile(r"\[CmdletBinding\(", re.IGNORECASE).match(self.text, self.position):
            self.type_name_attribute()
            self.skip(BLANK)
        if self.word() == "param" and re.compile(r"param\s*\(", re.IGNORECASE).match(self.text, self.position):
            self.position += len("param")
            self.blank()
            parameters = self.parameter_list()
        statements: list[Statement] = []
        while True:
            self.skip(BLANK)
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
                if isinstance(statements[-1], If | Loop | Foreach | Switch | Function | Try | Trap):
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
            variable = VARIABLE.match(self.text, self.position)
            if variable is None:
                raise self.fault("a parameter's name is missing")
            self.position = variable.end()
            default = None
            self.blank()
            if self.take("="):
                self.blank()
                default = self.expression()
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
        if word in KEYWORDS and behind not in ("-", "\\", ".", "/", "=") and not (behind == ":" and word != "switch"):
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
            case "trap":
                self.blank()
                while self.peek() == "[":
                    self.type_name_attribute()
                    self.blank()
                return Trap(self.braces())
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
            self.skip(BLANK)
            if self.take("}"):
                return Switch(subject, tuple(cases), tuple(options), at)
            if self.word() == "default":
                self.position += len("default")
                cases.append((None, self.braces()))
                continue
            if self.peek() == "{":
                raise CannotLower("a switch whose case is a block is not lowered", "Write if and elseif.")
            value = self.argument_value() if self.peek() not in "$(@" + SINGLE + DOUBLE else self.primary()
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
                for operator in ASSIGNMENTS:
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
        if character in "$@([{+!,<" or character in SINGLE + DOUBLE or (character in DASHES):
            if character in DASHES and re.compile(r"[-\u2013\u2014\u2015][A-Za-z]").match(self.text, self.position):
                operator = DASHED_OPERATOR.match(self.text, self.position)
                if operator is None or operator[1].lower() not in ("not", "bnot", "join", "split", "isplit", "csplit"):
                    return self.command("")
            return self.expression()
        if NUMBER.match(self.text, self.position):
            return self.expression()
        return self.command("")

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
        if character in DASHES:
            found = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z_?][\w-]*)(:?)").match(self.text, self.position)
            if found is not None:
                following = self.text[found.end() : found.end() + 1]
                if found[2] or not following or following in WORD_END or following in SINGLE + DOUBLE + "$@":
                    self.position = found.end()
                    if not found[2] and following and following in SINGLE + DOUBLE + "$@":
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
        bare = bool(text) and text[0] not in SINGLE + DOUBLE + "$({@"
        return Argument(items[0] if len(items) == 1 else ArrayLiteral(tuple(items)), text=text, bare=bare)
