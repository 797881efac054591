"""The way in: a step's command and shell → an outcome."""

from __future__ import annotations

from collections.abc import Sequence

from wingo.dockerfile.lowering.edits import END_OF_HOLE, HOLE, shown
from wingo.dockerfile.lowering.outcome import (
    Answer,
    CannotLower,
    CommandFailed,
    Impossible,
    Lowered,
    Needs,
    Outcome,
    Waiting,
)
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.state import State
from wingo.dockerfile.lowering.step import MAX_TEXT

DEFAULT_SHELL = ("cmd", "/S", "/C")
"""What `RUN` on Windows runs in without `SHELL` (BuildKit `dockerfile2llb/convert_runargs.go`)."""


def lower(
    command: str | Sequence[str],
    shell: Sequence[str] = DEFAULT_SHELL,
    state: State | None = None,
    *,
    answers: Sequence[Answer] = (),
) -> Outcome:
    """Lowers one step; see the package.

    Args:
        command: the text for the shell, or the words of the JSON form.
        shell: for a text.
        state: before the step; it is not changed.
        answers: what came of the operations that earlier calls said were needed, in order.
    """
    session = Session(state or State(), answers)
    text = command if isinstance(command, str) else " ".join(command)
    try:
        if len(text) > MAX_TEXT:
            raise CannotLower(f"the command has more than {MAX_TEXT} characters")
        if HOLE in text or END_OF_HOLE in text:
            raise CannotLower("the command has characters of the private use area, U+E000 or U+E001")
        status, message = _run(session, command, tuple(shell))
    except CannotLower as error:
        return Impossible(shown(error.reason), error.advice, session.at, error.fails, tuple(session.edits))
    except Waiting as waiting:
        return Needs(waiting.operation, session.state(), tuple(session.edits))
    except RecursionError:
        return Impossible("the command is nested too deeply", at=session.at)
    if status:
        return Impossible(
            f"the step fails with exit code {status}" + (f": {shown(message)}" if message else ""),
            "It fails on Windows too: mend the command.",
            session.at,
            fails=True,
            edits=tuple(session.edits),
        )
    return Lowered(tuple(session.edits), session.state(), tuple(session.notes), session.output, session.late)


def _run(session: Session, command: str | Sequence[str], shell: tuple[str, ...]) -> tuple[int, str]:
    from wingo.dockerfile.lowering.programs.running import run_argv

    if not isinstance(command, str):
        argv: Sequence[str] = command
        line = None
    else:
        argv, line = (*shell, command), " ".join((*shell, command))
    try:
        return run_argv(session, argv, line), session.last_error
    except CommandFailed as error:
        return error.status or 1, error.message
