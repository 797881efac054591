"""Windows programs that are not lowered: run by somebody else, if the build has somebody who can."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import RunProgram, hole
from wingo.dockerfile.lowering.outcome import Answer, CannotLower
from wingo.dockerfile.lowering.programs.advice import advice_for
from wingo.dockerfile.lowering.programs.calls import Call
from wingo.dockerfile.lowering.registry import USER
from wingo.dockerfile.lowering.session import Session
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

THERE = frozenset({"cscript", "msiexec", "regsvr32", "rundll32", "wscript"})
"""Programs of Windows' own that Wine has too, and that do there what they are for."""
_NOWHERE = frozenset({"bcdedit", "choco", "dism", "hostname", "ipconfig", "netsh", "ngen", "schtasks", "scoop", "sfc", "shutdown", "systeminfo", "tzutil", "wevtutil", "winget", "wmic", "powershell", "pwsh", "fsutil", "icacls"})  # fmt: skip
"""Programs that change or ask the running system: Wine has none of them, or one that does nothing and says all is well."""


def run_elsewhere(session: Session, call: Call, name: str, program: str) -> int:
    """Has a program run.

    Args:
        session: what it works on.
        call: its arguments and streams.
        name: in lower case, without directory and `.exe`.
        program: its path, or its name where Windows finds it.

    Raises:
        CannotLower: nobody runs it.
    """
    if name in _NOWHERE or not session.start.runs_programs:
        reason, advice = advice_for(name, call.arguments)
        if name not in _NOWHERE:
            advice += " Or let Wine run it: --run-windows=wine."
        raise CannotLower(reason, advice)
    variables = tuple(session.variables.items())
    operation = RunProgram(
        (program, *call.arguments),
        path_text(session.directory),
        variables,
        call.stdin if call.stdin is not None else "",
    )
    answer = session.perform(operation)
    session.note(f"{name} is run by Wine, which is not Windows: what it leaves may differ from what it leaves there")
    if answer is None:
        session.tree.vague.add(())  # what an installer leaves, and where, is seen while building
        call.output.text += hole(f"output of {name}")
        return 0
    session.place_files(answer.files)
    if answer.registry:
        _change_registry(session, answer)
    call.output.text += answer.output
    if answer.status:
        session.last_error = answer.output[-4000:]
    return answer.status


def _change_registry(session: Session, answer: Answer) -> None:
    users = [change for change in answer.registry if upcase(change.path).startswith("HKEY_CURRENT_USER")]
    changes = [change for change in answer.registry if change not in users]
    if users:
        session.read_user_hive()
        if USER in session.registry.assumed:
            session.note(
                f"{len(users)} changes of HKEY_CURRENT_USER are left out: the base has no hive of {session.start.account}"
            )
        else:
            changes += users
    try:
        session.registry = session.registry.with_changes(changes)
    except RequestError as error:
        raise CannotLower(f"what the program changed in the registry cannot be taken over: {error}") from error
