"""Runs PowerShell over a session: statements, expressions, variables, functions, errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell import control, operators
from wingo.dockerfile.lowering.powershell.control import MAX_TURNS
from wingo.dockerfile.lowering.powershell.jumps import ExitScript, LoopJump, Return
from wingo.dockerfile.lowering.powershell.nodes import (
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
    Parenthesis,
    Pipeline,
    ScriptBlock,
    Statement,
    Step,
    SubExpression,
    Switch,
    Trap,
    Try,
    TypeLiteral,
    Unary,
    Variable,
)
from wingo.dockerfile.lowering.powershell.scopes import Scopes
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Thing,
    TypeName,
    Unknown,
    Value,
    is_unknown,
    list_of,
    number_of,
    text_of,
    truth_of,
    unwrap,
)
from wingo.dockerfile.lowering.session import Session

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.programs.calls import Output

MAX_DEPTH = 40
"""Functions, scripts and blocks in each other while they run."""


class PowerShell(Scopes):
    """A PowerShell.

    Attributes:
        output: where programs that it starts print to.
        functions: by lower-case name.
        locations: what `Push-Location` keeps.
        depth: how many blocks are open.
        tries: how many try blocks are open.
        slept: `Start-Sleep` ran since a loop last looked.
    """

    def __init__(self, session: Session, output: Output, *, core: bool) -> None:
        super().__init__(session, core=core)
        self.output = output
        self.functions: dict[str, ScriptBlock] = {}
        self.locations: list[tuple[str, ...]] = []
        self.depth = 0
        self.tries = 0
        self.slept = False

    def block(self, statements: Sequence[Statement]) -> list[Value]:
        """Runs statements; gives what they put out."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CannotLower("PowerShell blocks are nested or call each other too deeply")
        try:
            found: list[Value] = []
            trap = next((node for node in statements if isinstance(node, Trap)), None)
            for statement in statements:
                try:
                    found += self.statement(statement)
                except Terminating as error:
                    if trap is None:
                        raise
                    found += control.run_trap(self, trap, error)
                if len(found) > MAX_TURNS * 5:
                    raise CannotLower("a block puts out too many values")
            return found
        finally:
            self.depth -= 1

    def statement(self, node: Statement) -> list[Value]:
        """Runs a statement; an error of a method ends it, and the script only when the preference says so."""
        self.session.tick()
        try:
            return self._statement(node)
        except CommandFailed as failure:
            self.report(failure.message)
            return []
        except Terminating as error:
            # What an expression cannot do ends its statement; the script only when the preference is Stop or a try is open.
            if error.ends_script or self.tries or self.error_action == "stop":
                raise
            self.report(error.message)
            return []

    def report(self, message: str, action: str = "") -> None:
        """An error that is only noted, unless the preference is Stop.

        Raises:
            Terminating: it is.
        """
        wanted = action or self.error_action
        self.succeeded = False
        self.session.last_error = message
        errors = self.scopes[0].get("error")
        record = self.error_record(message)
        if isinstance(errors, list) and wanted != "ignore":
            errors.insert(0, record)
            del errors[50:]
        if wanted == "stop":
            raise Terminating(message, record, ends_script=True)
        if wanted not in ("silentlycontinue", "ignore"):
            self.session.print(message)

    @staticmethod
    def error_record(message: str) -> Thing:
        """What `$_` is in a catch block."""
        exception = Thing("exception", {"Message": message}, message)
        return Thing("error", {"Exception": exception, "Message": message}, message)

    def _statement(self, node: Statement) -> list[Value]:
        match node:
            case Pipeline():
                return self.pipeline(node)
            case Assignment():
                self.session.at = node.at
                self.assign(node)
                return []
            case If():
                self.session.at = node.at
                return control.run_if(self, node)
            case Foreach():
                return control.run_foreach(self, node)
            case Loop():
                return control.run_loop(self, node)
            case Switch():
                return control.run_switch(self, node)
            case Function():
                self.functions[node.name.lower()] = node.block
                return []
            case Try():
                return control.run_try(self, node)
            case Trap():
                return []
            case Jump():
                return self.jump(node)
            case Chain():
                found = self.statement(node.left)
                if self.succeeded == (node.operator == "&&"):
                    found += self.statement(node.right)
                return found
            case _:
                assert_never(node)

    def jump(self, node: Jump) -> list[Value]:
        """`break`, `continue`, `return`, `exit`, `throw`."""
        self.session.at = node.at
        values = self.statement(node.value) if node.value is not None else []
        match node.kind:
            case "return":
                raise Return(values)
            case "exit":
                status = unwrap(values)
                raise ExitScript(int(number_of(status)) & 0xFFFF_FFFF if status is not None else 0)
            case "throw":
                value = unwrap(values)
                message = text_of(value) or "ScriptHalted"
                self.session.last_error = message
                raise Terminating(message, value, ends_script=True)
            case _:
                raise LoopJump(node.kind)

    def value_of(self, node: Statement) -> Value:
        """What a statement gives, as a value."""
        return unwrap(self.statement(node))

    def assign(self, node: Assignment) -> None:
        """`=` and its like."""
        if (
            isinstance(node.value, Pipeline)
            and len(node.value.elements) == 1
            and not isinstance(node.value.elements[0], Command)
        ):
            self.session.at = node.value.at
            value = self.expression(node.value.elements[0])
            self.succeeded = True
        else:
            value = unwrap(self.statement(node.value))
        if node.operator != "=":
            value = operators.binary(self, node.operator[0], self.expression(_untyped(node.target)), value)
        self.store(node.target, value)

    def store(self, target: Expression, value: Value) -> None:
        """Puts a value where an expression says.

        Raises:
            CannotLower: it is no place that is lowered.
        """
        from wingo.dockerfile.lowering.powershell import dotnet

        match target:
            case Variable(name):
                self.set(name, value)
            case Cast(type_, operand):
                self.store(operand, operators.cast(type_, value))
            case ArrayLiteral(items):
                values = list_of(value)
                for index, item in enumerate(items):
                    last = index == len(items) - 1
                    rest = values[index:] if last else values[index : index + 1]
                    self.store(item, unwrap(rest))
            case Member(of, name, static):
                owner = self.expression(of)
                dotnet.set_member(self, owner, self.name(name), value, static=static)
            case Index(of, index):
                owner, key = self.expression(of), self.expression(index)
                if isinstance(owner, Table):
                    owner.set(text_of(key), value)
                elif isinstance(owner, list) and isinstance(key, int) and -len(owner) <= key < len(owner):
                    owner[key] = value
                else:
                    raise Terminating("array assignment failed: the index is out of range")
            case _:
                raise CannotLower("this assignment is not lowered")

    def name(self, name: str | Expression) -> str:
        """A member's name."""
        return name if isinstance(name, str) else text_of(self.expression(name))

    # Pipelines

    def pipeline(self, node: Pipeline) -> list[Value]:
        """Commands and expressions one after the other."""
        from wingo.dockerfile.lowering.powershell.commands import run_command, write_redirected

        self.session.at = node.at
        piped: list[Value] | None = None
        for index, element in enumerate(node.elements):
            if isinstance(element, Command):
                piped = run_command(self, element, piped, captured=index < len(node.elements) - 1)
            else:
                if piped is not None:
                    raise Terminating("expressions are only allowed as the first element of a pipeline")
                if len(node.elements) == 1 and isinstance(element, Step):
                    self.expression(element)
                    piped = []
                else:
                    piped = list_of(self.expression(element))
                self.succeeded = True
        result = piped or []
        return write_redirected(self, node.redirections, result) if node.redirections else result

    # Expressions

    def expression(self, node: Expression) -> Value:
        """An expression's value."""
        self.session.tick()
        match node:
            case Const(value):
                return value
            case Expandable(parts):
                return self.expanded(parts)
            case Variable(name):
                return self.get(name)
            case Member(target, name, static):
                return self.member(target, name, static=static)
            case Invoke():
                return self.invoke(node)
            case Index(target, index):
                return operators.index(self, self.expression(target), self.expression(index))
            case Unary(operator, operand):
                return operators.unary(self, operator, self.expression(operand))
            case Binary():
                return self.binary(node)
            case ArrayLiteral(items):
                return [self.expression(item) for item in items]
            case SubExpression(body, array):
                values = self.block(body)
                return values if array else unwrap(values)
            case Parenthesis(body):
                return self.parenthesis(body)
            case Hash(pairs):
                return self.table(pairs)
            case ScriptBlock():
                return node
            case TypeLiteral(name):
                return TypeName(name)
            case Cast(type_, operand):
                return operators.cast(type_, self.expression(operand))
            case Step(target, delta, after):
                before = self.expression(target)
                now = operators.binary(self, "+", before if before is not None else 0, delta)
                self.store(target, now)
                return before if after else now
            case _:
                assert_never(node)

    def parenthesis(self, body: Statement) -> Value:
        """`( … )`; an assignment in it gives its value."""
        if isinstance(body, Assignment):
            self.assign(body)
            return self.expression(_untyped(body.target))
        return unwrap(self.statement(body))

    def expanded(self, parts: Sequence[str | Expression]) -> str:
        """A text with its variables filled in."""
        found = []
        for part in parts:
            if isinstance(part, str):
                found.append(part)
                continue
            value = self.expression(part)
            if value is None and isinstance(part, Variable):
                self.session.note(f"${part.name} is not set: PowerShell puts nothing in its place")
            found.append(text_of(value))
        return self.session.check_size("".join(found))

    def table(self, pairs: Sequence[tuple[Expression, Statement]]) -> Table:
        """`@{ … }`."""
        table = Table()
        for key, statement in pairs:
            table.set(text_of(self.expression(key)), self.value_of(statement))
        return table

    def member(self, target: Expression, name: str | Expression, *, static: bool) -> Value:
        """`target.name`."""
        from wingo.dockerfile.lowering.powershell import dotnet

        owner = self.expression(target)
        return dotnet.get_member(self, owner, self.name(name), static=static)

    def invoke(self, node: Invoke) -> Value:
        """`target.name(arguments)`."""
        from wingo.dockerfile.lowering.powershell import methods

        owner = self.expression(node.target)
        arguments = [self.expression(argument) for argument in node.arguments]
        self.session.at = node.at
        try:
            return methods.call(self, owner, self.name(node.name), arguments, static=node.static)
        except CommandFailed as failure:
            # A method's exception ends the statement, and the script when the preference is Stop or a try is open.
            if self.error_action == "stop" or self.tries:
                raise Terminating(failure.message, self.error_record(failure.message), ends_script=True) from failure
            raise

    def binary(self, node: Binary) -> Value:
        """A binary operator; `-and` and `-or` look at the right side only when they must."""
        left = self.expression(node.left)
        if node.operator in ("and", "or"):
            truth = truth_of(left)
            if truth is not None and truth == (node.operator == "or"):
                return truth
            right = self.expression(node.right)
            other = truth_of(right)
            if truth is None or other is None:
                if other is not None and other == (node.operator == "or"):
                    return other
                decided = left if truth is None else right
                return Unknown("condition", decided.equal if isinstance(decided, Unknown) and other != truth else None)
            return other
        return operators.binary(self, node.operator, left, self.expression(node.right))

    def known_text(self, value: Value, what: str) -> str:
        """A value as a text that must be known.

        Raises:
            CannotLower: it is not.
        """
        text = text_of(value)
        if has_hole(text) or is_unknown(value):
            raise CannotLower(f"{what} is not known before the build")
        return text


def _untyped(target: Expression) -> Expression:
    while isinstance(target, Cast):
        target = target.operand
    return target
