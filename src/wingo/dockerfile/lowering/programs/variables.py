"""`setx`."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session

MAX_SETX = 1024
"""Characters that setx keeps of a value (`setx /?`)."""


def setx(session: Session, call: Call) -> int:
    """`setx NAME VALUE [/M]`: the switch may stand anywhere; a value with `%` is kept as REG_EXPAND_SZ."""
    words: list[str] = []
    machine = False
    for word in call.arguments:
        upper = word.upper()
        if upper in ("/M", "-M"):
            machine = True
        elif upper in ("/S", "/U", "/P", "/F", "/K", "/A", "/R", "/X") and len(words) != 1:
            raise CannotLower(
                f"setx {word} reads from another machine, a file or the registry", "Write the value itself."
            )
        else:
            words.append(word)
    if len(words) != 2:
        raise CommandFailed("setx: invalid syntax: it wants a name and a value (a value with spaces needs quotes)")
    name, value = words
    if len(value) > MAX_SETX and not has_hole(value):
        session.note(f"setx keeps {MAX_SETX} characters of {name} and drops the other {len(value) - MAX_SETX}")
        value = value[:MAX_SETX]
    session.set_variable(name, value, machine=machine, expand="%" in value)
    return 0


PROGRAMS: dict[str, Program] = {"setx": setx}
