"""The way in: the text of `-Command`, or a script with its arguments."""

from __future__ import annotations

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.programs.calls import Call
from wingo.dockerfile.lowering.session import Session


def run_command(session: Session, text: str, call: Call, *, core: bool) -> int:
    """Runs the text of `-Command`; the exit status is 1 when its last command failed."""
    del session, call, core
    raise CannotLower(f"PowerShell is not lowered: {text[:60]}", "Use cmd.")


def run_file(session: Session, script: str, arguments: tuple[str, ...], call: Call, *, core: bool) -> int:
    """Runs a script."""
    del session, arguments, call, core
    raise CannotLower(f"PowerShell is not lowered: {script[:60]}", "Use cmd.")
