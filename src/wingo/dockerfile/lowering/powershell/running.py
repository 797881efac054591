"""The way in: the text of `-Command`, or a script with its arguments."""

from __future__ import annotations

from collections.abc import Callable

from wingo.dockerfile.lowering.outcome import CommandFailed
from wingo.dockerfile.lowering.powershell.commands import call_block, load_script
from wingo.dockerfile.lowering.powershell.evaluate import PowerShell
from wingo.dockerfile.lowering.powershell.jumps import ExitScript, LoopJump, Return
from wingo.dockerfile.lowering.powershell.nodes import Argument, Const
from wingo.dockerfile.lowering.powershell.parser import parse_script
from wingo.dockerfile.lowering.powershell.quotes import lost_quotes
from wingo.dockerfile.lowering.powershell.reader import ParseFault
from wingo.dockerfile.lowering.powershell.values import Terminating, Unknown, Value, text_of
from wingo.dockerfile.lowering.programs.calls import Call
from wingo.dockerfile.lowering.session import Session


def run_command(session: Session, text: str, call: Call, *, core: bool) -> int:
    """Runs the text of `-Command`; the exit status is 1 when its last command failed."""
    try:
        block = parse_script(text, core=core)
    except ParseFault as fault:
        session.last_error = f"PowerShell cannot read the command: {fault.message}: {text[fault.at : fault.at + 30]!r}"
        if lost_quotes(call.line, None, core=core):
            session.last_error += " (double quotes do not reach PowerShell here: write single ones)"
        return 1
    if '"' in call.line and (lost := lost_quotes(call.line, block, core=core)):
        session.note(
            f"double quotes do not reach PowerShell here, and without them {lost[:60]!r} means something else: "
            'write single quotes, or \\"'
        )
    shell = PowerShell(session, call.output, core=core)
    if call.stdin is not None:
        lines: list[Value] = list(call.stdin.splitlines())
        shell.scopes[0]["input"] = lines
    return _run(shell, lambda: shell.block(block.body), call, command=True)


def run_file(session: Session, script: str, arguments: tuple[str, ...], call: Call, *, core: bool) -> int:
    """Runs a script; the exit status is what it says with `exit`, and 1 when an error ended it."""
    from wingo.windows.paths import path_text

    shell = PowerShell(session, call.output, core=core)
    path = session.path(script)
    if session.find(path) is None:
        session.last_error = f"the script {script!r} is not there"
        return 1 if not core else 64
    if not script.lower().endswith(".ps1"):
        raise CommandFailed(f"powershell -File {script}: the file has no .ps1 at its end")
    try:
        block = load_script(shell, path)
    except CommandFailed as failure:
        session.last_error = failure.message
        return 1
    if block is None:
        call.output.unknown = script
        return 0
    shell.script = path_text(path)
    words = tuple(_argument(word) for word in arguments)
    return _run(shell, lambda: call_block(shell, block, words, None, new_scope=True, name=script), call, command=False)


def _argument(word: str) -> Argument:
    """A word behind `-File`: a text, never an expression."""
    if word.startswith("-") and len(word) > 1 and word[1].isalpha():
        name, colon, value = word[1:].partition(":")
        del value
        return Argument(None, name, word, joined=bool(colon))
    return Argument(Const(word), text=word, bare=True)


def _run(shell: PowerShell, run: Callable[[], list[Value]], call: Call, *, command: bool) -> int:
    session = shell.session
    before, variables = session.directory, session.variables.copy()
    try:
        values = run()
        status = 0 if shell.succeeded or not command else 1
    except Return as done:
        values, status = done.values, 0 if shell.succeeded or not command else 1
    except LoopJump:
        values, status = [], 0
    except ExitScript as done:
        values, status = [], done.status
    except Terminating as error:
        session.last_error = error.message
        session.print(error.message)
        values, status = [], 1
    finally:
        shell.session.directory, shell.session.variables = before, variables
    for value in values:
        if isinstance(value, Unknown):
            call.output.unknown = value.about
        else:
            call.output.line(text_of(value))
    return status
