r"""Runs commands of cmd.exe over a session.

What a line prints is kept, because `>` and `for /f` use it. `ERRORLEVEL` and `&&` follow the commands' own results: a `del` of
nothing succeeds, a `mkdir` of what is there does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import assert_never

from wingo.dockerfile.lowering.cmd.syntax import (
    Block,
    Condition,
    For,
    If,
    Node,
    Pair,
    Redirection,
    Simple,
    SyntaxFault,
    expand_percent,
    modified,
    parse,
    split_words,
)
from wingo.dockerfile.lowering.edits import has_hole, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.programs.calls import Output
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.state import HOST_VARIABLES
from wingo.dockerfile.lowering.tree import Kind
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

MAX_DEPTH = 24
"""Shells, scripts and subroutines in each other."""
MAX_TURNS = 20_000


class Exit(Exception):
    """`exit`.

    Attributes:
        status: the exit status.
        only_script: `exit /b`: it ends the script, not the shell.
    """

    def __init__(self, status: int, *, only_script: bool) -> None:
        super().__init__(status)
        self.status, self.only_script = status, only_script


class Goto(Exception):
    """`goto LABEL`."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


class Cmd:
    """A cmd.exe.

    Attributes:
        session: what it works on.
        error_level: `%ERRORLEVEL%`.
        output: where it prints to.
        stdin: what is piped into it, or None.
    """

    def __init__(
        self, session: Session, output: Output, *, batch: bool = False, arguments: tuple[str, ...] = ()
    ) -> None:
        self.session = session
        self.output = output
        self.batch = batch
        self.arguments = arguments
        self.error_level = 0
        self.echoes = True
        self.stdin: str | None = None
        self.loop_variables: dict[str, str] = {}
        self.directories: list[tuple[str, ...]] = []
        self.script: list[str] = []

    # Lines and scripts

    def run_line(self, line: str) -> int:
        """Runs the line behind `cmd /C`.

        Raises:
            CannotLower: it cannot be lowered.
        """
        first, _, rest = line.partition("\n")
        if rest.strip():
            self.session.note("cmd /C runs its first line alone: the lines below it do nothing")
        try:
            return self.run_text(first)
        except Exit as done:
            return done.status
        except Goto as jump:
            raise CommandFailed(f"goto {jump.label} works in a script alone") from jump

    def run_text(self, text: str) -> int:
        """Expands, reads and runs a text."""
        expanded = expand_percent(text, self.lookup, batch=self.batch, arguments=self.arguments)
        try:
            node = parse(expanded)
        except SyntaxFault as fault:
            self.session.last_error = f"the syntax of the command is incorrect: {fault.message}"
            self.error_level = 255
            if not self.batch:
                return 255
            raise Exit(255, only_script=False) from fault
        succeeded = self.run(node)
        if self.batch:
            return self.error_level
        # cmd /C ends with what its last command returned, also where that leaves ERRORLEVEL alone.
        return 0 if succeeded else self.error_level or 1

    def run_script(self, text: str) -> int:
        """Runs the lines of a .cmd or .bat file."""
        self.script = join_blocks(text)
        index = 0
        turns = 0
        try:
            while index < len(self.script):
                turns += 1
                if turns > MAX_TURNS:
                    raise CannotLower("the script does not come to its end")
                line = self.script[index]
                index += 1
                if line.lstrip().startswith(":"):
                    continue
                try:
                    self.run_text(line)
                except Goto as jump:
                    index = self.label(jump.label)
        except Exit as done:
            if not done.only_script:
                raise
            return done.status
        return self.error_level

    def label(self, name: str) -> int:
        """The line behind a label."""
        wanted = name.lstrip(":").split()[0].lower() if name.strip(": ") else ""
        if wanted == "eof":
            return len(self.script)
        for index, line in enumerate(self.script):
            words = line.strip().lstrip(":").split()
            if line.lstrip().startswith(":") and words and words[0].lower() == wanted:
                return index + 1
        raise CommandFailed(f"there is no label {name}")

    def lookup(self, name: str) -> str | None:
        """A variable, also the ones that cmd makes up.

        Raises:
            CannotLower: one that depends on where or when the step runs.
        """
        upper = upcase(name)
        value = self.session.variables.get(name)
        if value == "":
            self.session.note(
                f"{name} is set to nothing: whether cmd puts nothing in the place of %{name}% is not proven"
            )
        if value is not None:
            return value
        if upper == "CD":
            return path_text(self.session.directory)
        if upper == "ERRORLEVEL":
            return str(self.error_level)
        if upper == "CMDEXTVERSION":
            return "2"
        if upper in HOST_VARIABLES:
            raise CannotLower(f"%{name}% depends on the machine that builds", "Give the value by ARG.")
        if self.session.start.unread_environment:
            self.session.late = True
            return hole(f"{name} of the base")
        return None

    # Nodes

    def run(self, node: Node) -> bool:
        """Runs a command; whether it succeeded."""
        self.session.tick()
        match node:
            case None:
                return True
            case Simple():
                return self.simple(node)
            case Block(body, redirections):
                return self.redirected(redirections, lambda: self.run(body))
            case Pair(left, operator, right):
                return self.pair(left, operator, right)
            case If(condition, then, otherwise, at):
                self.session.at = at
                return self.run_if(condition, then, otherwise)
            case For():
                self.session.at = node.at
                return self.run_for(node)
            case _:
                assert_never(node)

    def pair(self, left: Node, operator: str, right: Node) -> bool:
        """Two commands and what is between them."""
        if operator == "|":
            outer, self.output = self.output, Output()
            try:
                self.run(left)
                piped = self.output
            finally:
                self.output = outer
            before = self.stdin
            self.stdin = None if piped.unknown else piped.text
            try:
                return self.run(right)
            finally:
                self.stdin = before
        succeeded = self.run(left)
        if (operator == "&&" and not succeeded) or (operator == "||" and succeeded):
            return succeeded
        return self.run(right)

    def run_if(self, condition: Condition, then: Node, otherwise: Node) -> bool:
        """`if`: where a plan cannot know, the way that does not fail."""
        truth = self.holds(condition)
        if truth is None:
            return self.either(then, otherwise)
        if truth:
            return self.run(then)
        return self.run(otherwise) if otherwise is not None else True

    def either(self, then: Node, otherwise: Node) -> bool:
        """In a plan: the way that goes well; the first if both do."""
        session = self.session
        for index, way in enumerate((then, otherwise)):
            trial = session.fork()
            self.session = trial
            level = self.error_level
            try:
                succeeded = self.run(way) if way is not None else True
                failed = False
            except Exit as done:
                failed = bool(done.status)
                if not failed:
                    session.become(trial)
                    self.session = session
                    raise
                succeeded = False
            except (CommandFailed, CannotLower):
                failed, succeeded = True, False
            if not failed:
                session.become(trial)
                self.session = session
                session.late = True
                return succeeded
            self.session = session
            self.error_level = level
            if index:
                raise CannotLower("both ways of an if fail, and which is taken is not known before the build")
        return True

    def holds(self, condition: Condition) -> bool | None:
        """Whether a condition holds; None: a plan cannot know."""
        left, right = self.loops(condition.left), self.loops(condition.right)
        result: bool | None
        if condition.kind == "exist":
            result = self.exists(left)
        elif condition.kind == "defined":
            result = self.session.variables.get(left.strip('"')) is not None
            if not result and self.session.start.unread_environment:
                self.session.late = True
                return None
        elif condition.kind in ("errorlevel", "cmdextversion"):
            level = self.error_level if condition.kind == "errorlevel" else 2
            try:
                result = level >= int(left)
            except ValueError as error:
                raise CommandFailed(f"{left!r} is no number for if {condition.kind}") from error
        elif has_hole(left + right):
            self.session.late = True
            return None
        else:
            result = compare(condition.kind, left, right, ignore_case=condition.ignore_case)
        return None if result is None else result != condition.negated

    def exists(self, text: str) -> bool | None:
        """`if exist`."""
        name = text.strip('"')
        if upcase(name.rpartition("\\")[2]) == "NUL":
            return self.session.is_directory(self.session.path(name[:-3] or "."))
        if is_pattern(name, brackets=False):
            items, late = self.session.glob(name, brackets=False)
            return True if items else None if late else False
        item = self.session.find(self.session.path(name))
        if item is not None and item.kind is Kind.UNKNOWN:
            return None
        return item is not None

    def run_for(self, node: For) -> bool:
        """`for`."""
        succeeded = True
        before = self.loop_variables.get(node.variable)
        for turn in self.items(node):
            self.session.tick()
            self.loop_variables.update(turn)
            succeeded = self.run(node.body)
        if before is None:
            self.loop_variables.pop(node.variable, None)
        else:
            self.loop_variables[node.variable] = before
        return succeeded

    def items(self, node: For) -> list[dict[str, str]]:
        """What the variables of a `for` become, turn by turn.

        Raises:
            CannotLower: it depends on what is not known.
        """
        text = self.loops(node.items)
        if node.switch == "l":
            return [{node.variable: str(number)} for number in counted(split_words(text))]
        if node.switch == "f":
            from wingo.dockerfile.lowering.cmd.lines import for_f

            return for_f(self, node, text)
        words: list[str] = []
        if node.switch in ("", "d"):
            for word in split_words(text):
                if not is_pattern(word, brackets=False):
                    if node.switch == "" or not is_pattern(word, brackets=False):
                        words.append(word)
                    continue
                items, late = self.session.glob(word, brackets=False)
                if late and not items:
                    # In a plan one turn stands for those that are not known.
                    words.append(self.unknown_text(word))
                    continue
                folder = word.replace("/", "\\").rpartition("\\")
                words += [
                    folder[0] + folder[1] + item.path[-1] for item in items if item.is_directory == (node.switch == "d")
                ]
        elif node.switch == "r":
            root = self.session.path(self.loops(node.option) or ".")
            places = [root, *(item.path for item in self.session.tree.below(root) if item.is_directory)]
            for place in places:
                for word in split_words(text):
                    if is_pattern(word, brackets=False):
                        items, _ = self.session.glob(word, place, brackets=False)
                        words += [item.text for item in items if item.is_file]
                    else:
                        words.append(f"{path_text(place)}\\{word}")
        else:
            raise CommandFailed(f"for has no /{node.switch}")
        return [{node.variable: word} for word in words]

    def loops(self, text: str) -> str:
        """`%i` and `%~nxi` of the loops that are open."""
        if not self.loop_variables or "%" not in text:
            return text
        names = "".join(map(re.escape, self.loop_variables))
        return re.sub(
            rf"%{{1,2}}(?:~([fdpnxFDPNXsatzSATZ]*?))?([{names}])",
            lambda found: (
                modified(self.loop_variables[found[2]], found[1])
                if found[1] is not None
                else self.loop_variables[found[2]]
            ),
            text,
        )

    # Simple commands

    def simple(self, node: Simple) -> bool:
        """A command: an internal one, a label's call, or a program."""
        self.session.at = node.at
        text = self.loops(node.text).lstrip(" \t,;=")
        if not text:
            return self.redirected(node.redirections, lambda: True)
        return self.redirected(node.redirections, lambda: self.command(text))

    def command(self, text: str) -> bool:
        """A command's text, run; whether it succeeded."""
        from wingo.dockerfile.lowering.cmd.internal import INTERNAL, KEEP_LEVEL, internal_name
        from wingo.dockerfile.lowering.programs.running import run_line

        name, rest = internal_name(text)
        try:
            if name:
                status = INTERNAL[name](self, rest)
                if status or name not in KEEP_LEVEL:
                    self.error_level = status
                return status == 0
            status = run_line(self.session, text, self.output, self.stdin)
        except CommandFailed as failure:
            self.session.last_error = failure.message
            self.session.print(failure.message)
            self.error_level = failure.status if not name else 1
            if name == "cd" or not name:
                self.error_level = failure.status or 1
            return False
        self.error_level = status
        return status == 0

    def redirected(self, redirections: tuple[Redirection, ...], run: Callable[[], bool]) -> bool:
        """Runs something with its streams where they are sent to."""
        target: tuple[str, bool] | None = None
        captured = False
        stdin = self.stdin
        for redirection in redirections:
            name = self.loops(redirection.target).strip('"')
            if redirection.operator == ">&":
                captured = captured or redirection.stream == 1
                continue
            is_nul = upcase(name) in ("NUL", "NUL:")
            if redirection.operator == "<":
                data = b"" if is_nul else self.session.read(self.session.path(name))
                stdin = self.unknown_text(f"content of {name}") if data is None else data.decode("cp1252", "replace")
            elif redirection.stream == 1:
                captured = True
                target = None if is_nul else (name, redirection.operator == ">>")
            elif not is_nul:
                # What goes wrong is not known word for word; that the file is there is.
                path = self.session.path(name)
                if redirection.operator == ">" or self.session.find(path) is None:
                    self.session.write(path, b"")
        if not captured and stdin is self.stdin:
            return run()
        outer, outer_stdin = self.output, self.stdin
        if captured:
            self.output = Output()
        self.stdin = stdin
        try:
            if target is not None:
                # cmd opens the file first, and does not run the command when it cannot.
                path = self.session.path(target[0])
                try:
                    self.session.target(path)
                except CommandFailed as failure:
                    self.session.last_error = failure.message
                    self.error_level = 1
                    return False
            succeeded = run()
            if target is not None:
                self.write_output(target[0], append=target[1])
            return succeeded
        finally:
            self.output, self.stdin = outer, outer_stdin

    def write_output(self, name: str, *, append: bool) -> None:
        """What was printed, into a file, in the code page of consoles.

        Raises:
            CannotLower: what was printed is not known, or cannot be written in that code page.
        """
        path = self.session.path(name)
        item = self.session.find(path)
        before: bytes | None = b""
        if append and item is not None:
            before = None if item.unknown else self.session.read(path)
        text = self.output.known()
        if before is None or has_hole(text):
            self.session.write(path, None)
            self.session.late = True
            return
        try:
            data = text.encode("cp437")
        except UnicodeEncodeError as error:
            raise CannotLower(
                f"{text[error.start : error.start + 10]!r} cannot be written in code page 437, which cmd writes in",
                "COPY the file from the build context.",
            ) from error
        self.session.write(path, before + data)

    def unknown_text(self, about: str) -> str:
        """A text that a plan cannot know."""
        self.session.late = True
        return hole(about)


def compare(operator: str, left: str, right: str, *, ignore_case: bool) -> bool:
    """`==` and its like: as numbers where both are, else as texts."""
    if ignore_case:
        left, right = upcase(left), upcase(right)
    if operator == "==":
        return left == right
    numbers = [_number(left), _number(right)]
    one: int | str
    other: int | str
    if numbers[0] is not None and numbers[1] is not None:
        one, other = numbers[0], numbers[1]
        order = (one > other) - (one < other)
    else:
        order = (left > right) - (left < right)
    return {
        "equ": order == 0,
        "neq": order != 0,
        "lss": order < 0,
        "leq": order <= 0,
        "gtr": order > 0,
        "geq": order >= 0,
    }[operator]


def _number(text: str) -> int | None:
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"[+-]?0[0-7]+", text):
        return int(text, 8)
    return int(text) if re.fullmatch(r"[+-]?(?:0|[1-9][0-9]*)", text) else None


def counted(words: list[str]) -> list[int]:
    """`for /l %i in (start,step,end)`.

    Raises:
        CommandFailed: those are not three numbers.
        CannotLower: it would not end, or take too many turns.
    """
    try:
        start, step, end = (int(word) for word in words)
    except ValueError as error:
        raise CommandFailed("for /l wants (start,step,end)") from error
    if step == 0 or abs(end - start) // max(abs(step), 1) > MAX_TURNS:
        raise CannotLower(f"for /l takes more than {MAX_TURNS} turns")
    return list(range(start, end + (1 if step > 0 else -1), step))


def join_blocks(text: str) -> list[str]:
    """A script's lines, those of one ( … ) together, and those that a caret continues."""
    lines: list[str] = []
    pending = ""
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = f"{pending}\n{raw}" if pending else raw
        if line.lstrip().startswith(":"):
            lines.append(raw)
            continue
        if ends_with_caret(line) or open_blocks(line) > 0:
            pending = line
            continue
        lines.append(line)
        pending = ""
    if pending:
        lines.append(pending)
    return lines


def ends_with_caret(line: str) -> bool:
    """Whether the last caret of a line escapes its end."""
    count = len(line) - len(line.rstrip("^"))
    return count % 2 == 1


def open_blocks(text: str) -> int:
    """How many ( stand open: outside quotes, at the beginning of a command or behind in, do, else."""
    depth = 0
    quoted = False
    index = 0
    while index < len(text):
        character = text[index]
        if character == '"':
            quoted = not quoted
        elif character == "\n":
            quoted = False
        elif not quoted:
            if character == "^":
                index += 1
            elif character == "(" and (depth or _begins_block(text[:index])):
                depth += 1
            elif character == ")" and depth:
                depth -= 1
        index += 1
    return depth


_BLOCK_START = re.compile(r"(?:^|[&|(\n]|\b(?:in|do|else)|\bif\b[^\n]*)[\s@]*\Z", re.IGNORECASE)


def _begins_block(before: str) -> bool:
    return _BLOCK_START.search(before) is not None
