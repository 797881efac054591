"""Runs PowerShell over a session: statements, expressions, variables, functions, errors.

Where a plan cannot know which way an `if` goes, the way that does not fail is taken: a plan assumes that the build succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, assert_never

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell import operators
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
    Try,
    TypeLiteral,
    Unary,
    Variable,
)
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
from wingo.dockerfile.lowering.state import HOST_VARIABLES
from wingo.windows.paths import path_text

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.programs.calls import Output

MAX_DEPTH = 40
"""Functions, scripts and blocks in each other while they run."""
MAX_TURNS = 20_000


class ExitScript(Exception):
    """`exit`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Return(Exception):
    """`return`."""

    def __init__(self, values: list[Value]) -> None:
        super().__init__("return")
        self.values = values


class LoopJump(Exception):
    """`break` and `continue`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_LATE_VARIABLES = ("host", "pid", "shellid", "stacktrace")


class PowerShell:
    """A PowerShell.

    Attributes:
        session: what it works on.
        output: where programs that it starts print to.
        core: PowerShell 7, not Windows PowerShell 5.1.
        scopes: variables by lower-case name, the outermost first.
        functions: by lower-case name.
        succeeded: `$?`.
        last_exit: `$LASTEXITCODE`.
        script: the path of the script that runs, or "".
        tries: how many try blocks are open.
    """

    def __init__(self, session: Session, output: Output, *, core: bool) -> None:
        self.session = session
        self.output = output
        self.core = core
        self.scopes: list[dict[str, Value]] = [
            {"erroractionpreference": "Continue", "progresspreference": "Continue", "error": [], "ofs": " "}
        ]
        self.functions: dict[str, ScriptBlock] = {}
        self.succeeded = True
        self.last_exit: int | None = None
        self.script = ""
        self.locations: list[tuple[str, ...]] = []
        self.depth = 0
        self.tries = 0

    # Variables

    def get(self, name: str) -> Value:
        """A variable's value; None when it is not set.

        Raises:
            CannotLower: it depends on where or when the step runs.
        """
        lower = name.lower()
        drive, colon, rest = name.partition(":")
        if colon and drive.lower() == "env":
            if rest.upper() in HOST_VARIABLES:
                raise CannotLower(f"$env:{rest} depends on the machine that builds", "Give the value by ARG.")
            return self.session.variables.get(rest)
        if colon and drive.lower() in ("global", "script", "local", "private", "variable", "using"):
            lower = rest.lower()
            if drive.lower() in ("global", "script"):
                return self.scopes[0].get(lower)
        if lower in _CONSTANTS:
            return _CONSTANTS[lower]
        for scope in reversed(self.scopes):
            if lower in scope:
                return scope[lower]
        return self.automatic(lower)

    def automatic(self, name: str) -> Value:
        """A variable that PowerShell sets by itself."""
        match name:
            case "?":
                return self.succeeded
            case "lastexitcode":
                return self.last_exit
            case "pwd":
                return path_text(self.session.directory)
            case "home":
                return self.session.variables.get("USERPROFILE")
            case "psscriptroot":
                return self.script.rpartition("\\")[0]
            case "pscommandpath":
                return self.script
            case "pshome":
                return r"C:\Program Files\PowerShell\7" if self.core else r"C:\Windows\System32\WindowsPowerShell\v1.0"
            case "iswindows":
                return True if self.core else None
            case "psversiontable":
                table = Table()
                table.set("PSEdition", "Core" if self.core else "Desktop")
                table.set("PSVersion", Unknown("the version of PowerShell"))
                return table
            case _ if name in _LATE_VARIABLES:
                return Thing(name)
            case _:
                return None

    def set(self, name: str, value: Value) -> None:
        """Sets a variable in the scope that runs, or in the environment."""
        drive, colon, rest = name.partition(":")
        kind = drive.lower() if colon else ""
        if kind == "env":
            if value is None or value == "":
                self.session.variables.remove(rest)
            else:
                self.session.variables.set(rest, self.session.check_size(text_of(value)))
            return
        lower = (rest if kind in ("global", "script", "local", "private") else name).lower()
        if lower in _CONSTANTS or lower == "?":
            raise Terminating(f"cannot overwrite variable {name} because it is read-only or constant")
        scope = self.scopes[0] if kind in ("global", "script") else self.scopes[-1]
        scope[lower] = value

    @property
    def error_action(self) -> str:
        """`$ErrorActionPreference` in lower case."""
        return text_of(self.get("ErrorActionPreference")).lower()

    # Blocks and statements

    def block(self, statements: Sequence[Statement]) -> list[Value]:
        """Runs statements; gives what they put out."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CannotLower("PowerShell blocks are nested or call each other too deeply")
        try:
            found: list[Value] = []
            for statement in statements:
                found += self.statement(statement)
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
            raise Terminating(message, record)
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
                return self.run_if(node)
            case Foreach():
                return self.run_foreach(node)
            case Loop():
                return self.run_loop(node)
            case Switch():
                return self.run_switch(node)
            case Function():
                self.functions[node.name.lower()] = node.block
                return []
            case Try():
                return self.run_try(node)
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
                raise Terminating(message, value)
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

    # Control flow

    def run_if(self, node: If) -> list[Value]:
        """`if`."""
        for index, (condition, body) in enumerate(node.branches):
            value = self.value_of(condition)
            truth = truth_of(value)
            if truth is None:
                rest = If(node.branches[index + 1 :], node.otherwise, node.at)
                return self.either(
                    value,
                    lambda body=body: self.block(body),  # type: ignore[misc]
                    lambda rest=rest: self.run_if(rest) if rest.branches else self.block(rest.otherwise or ()),  # type: ignore[misc]
                )
            if truth:
                return self.block(body)
        return self.block(node.otherwise) if node.otherwise is not None else []

    def either(
        self, condition: Value, then: Callable[[], list[Value]], otherwise: Callable[[], list[Value]]
    ) -> list[Value]:
        """In a plan: the way that goes well; the first when both do.

        Raises:
            CannotLower: this is no plan; or both ways fail.
        """
        if not self.session.planning:
            raise CannotLower(f"{text_of(condition)} decides what is done, and is not known")
        trials = []
        for way in (then, otherwise):
            trial = _Trial(self, way)
            trials.append(trial)
            if trial.rank == 0:
                break
        best = min(trials, key=lambda trial: trial.rank)
        if best.error is not None and best.rank > 1:
            raise best.error
        best.take(self)
        self.session.late = True
        if isinstance(condition, Unknown) and condition.equal is not None:
            hash_text, wanted, equal_if_true = condition.equal
            if equal_if_true == (best is trials[0]):
                self.session.expect(hash_text, wanted)
        if best.error is not None:
            raise best.error
        return best.values

    def run_foreach(self, node: Foreach) -> list[Value]:
        """`foreach`."""
        self.session.at = node.at
        items = self.statement(node.items)
        found: list[Value] = []
        for item in list(items):
            if isinstance(item, Unknown):
                return self.unknown_loop(node, item)
            self.session.tick()
            self.store(node.variable, item)
            try:
                found += self.block(node.body)
            except LoopJump as jump:
                if jump.kind == "break":
                    break
        return found

    def unknown_loop(self, node: Foreach, item: Unknown) -> list[Value]:
        """In a plan: a loop over what is not known runs once, with a value that is not known.

        Raises:
            CannotLower: this is no plan.
        """
        if not self.session.planning:
            raise CannotLower(f"a loop goes over {item.about}, which is not known")
        self.session.late = True
        self.store(node.variable, Unknown(item.about))
        try:
            return self.block(node.body)
        except LoopJump:
            return []

    def run_loop(self, node: Loop) -> list[Value]:
        """`while`, `do`, `for`."""
        self.session.at = node.at
        if node.start is not None:
            self.statement(node.start)
        found: list[Value] = []
        for turn in range(MAX_TURNS + 1):
            if turn == MAX_TURNS:
                raise CannotLower(f"a loop takes more than {MAX_TURNS} turns")
            self.session.tick()
            if not node.kind.startswith("do") and node.condition is not None and not self.known_truth(node.condition):
                break
            try:
                found += self.block(node.body)
            except LoopJump as jump:
                if jump.kind == "break":
                    break
            if node.step is not None:
                self.statement(node.step)
            if (
                node.kind.startswith("do")
                and node.condition is not None
                and self.known_truth(node.condition) != (node.kind == "do while")
            ):
                break
        return found

    def known_truth(self, condition: Statement) -> bool:
        """A condition that must be known.

        Raises:
            CannotLower: it is not.
        """
        value = self.value_of(condition)
        truth = truth_of(value)
        if truth is None:
            raise CannotLower(f"a loop depends on {text_of(value)}, which is not known before the build")
        return truth

    def run_switch(self, node: Switch) -> list[Value]:
        """`switch`."""
        self.session.at = node.at
        if unlikely := set(node.options) - {"regex", "wildcard", "exact", "casesensitive"}:
            raise CannotLower(f"switch -{min(unlikely)} is not lowered")
        found: list[Value] = []
        operator = "match" if "regex" in node.options else "like" if "wildcard" in node.options else "eq"
        for subject in self.statement(node.subject):
            matched = False
            self.scopes.append({"_": subject, "psitem": subject})
            try:
                for value, body in node.cases:
                    if value is None:
                        if not matched:
                            found += self.block(body)
                        continue
                    truth = truth_of(operators.binary(self, operator, subject, self.expression(value)))
                    if truth is None:
                        raise CannotLower("a switch depends on what is not known before the build")
                    if truth:
                        matched = True
                        found += self.block(body)
            except LoopJump as jump:
                if jump.kind == "break":
                    return found
            finally:
                self.scopes.pop()
        return found

    def run_try(self, node: Try) -> list[Value]:
        """`try`."""
        found: list[Value] = []
        try:
            self.tries += 1
            try:
                found += self.block(node.body)
            except Terminating as error:
                handler = next((body for types, body in node.handlers if not types or _catches(types)), None)
                if handler is None:
                    raise
                value = error.value if isinstance(error.value, Thing) else self.error_record(error.message)
                self.scopes.append({"_": value, "psitem": value})
                try:
                    found += self.block(handler)
                finally:
                    self.scopes.pop()
                self.succeeded = True
            finally:
                self.tries -= 1
        finally:
            if node.last:
                found += self.block(node.last)
        return found

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
        from wingo.dockerfile.lowering.powershell import dotnet

        owner = self.expression(node.target)
        arguments = [self.expression(argument) for argument in node.arguments]
        self.session.at = node.at
        try:
            return dotnet.call(self, owner, self.name(node.name), arguments, static=node.static)
        except CommandFailed as failure:
            # A method's exception ends the statement, and the script when the preference is Stop or a try is open.
            if self.error_action == "stop" or self.tries:
                raise Terminating(failure.message, self.error_record(failure.message)) from failure
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


class _Trial:
    """One way of an `if` in a plan, tried on a copy."""

    def __init__(self, shell: PowerShell, way: Callable[[], list[Value]]) -> None:
        session = shell.session
        self.session = session
        self.trial = session.fork()
        before = ([dict(scope) for scope in shell.scopes], shell.succeeded, shell.last_exit, list(shell.locations))
        shell.session = self.trial
        shell.succeeded = True
        self.values: list[Value] = []
        self.error: Exception | None = None
        try:
            self.values = way()
            self.rank = 0 if shell.succeeded else 1
        except (LoopJump, Return) as jump:
            self.error, self.rank = jump, 0
        except ExitScript as done:
            self.error, self.rank = done, 0 if done.status == 0 else 3
        except Terminating as error:
            self.error, self.rank = error, 3
        except CannotLower as error:
            self.error, self.rank = error, 2
        self.after = (shell.scopes, shell.succeeded, shell.last_exit, shell.locations)
        shell.scopes, shell.succeeded, shell.last_exit, shell.locations = before
        shell.session = session

    def take(self, shell: PowerShell) -> None:
        """Makes this way the one that was gone."""
        self.session.become(self.trial)
        shell.scopes, shell.succeeded, shell.last_exit, shell.locations = self.after


def _catches(types: tuple[str, ...]) -> bool:
    """Whether a catch with types takes an error; which class an error has is not followed."""
    del types
    return True


def _untyped(target: Expression) -> Expression:
    while isinstance(target, Cast):
        target = target.operand
    return target
