"""PowerShell's variables: scopes, `$env:`, and those that it sets by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Thing,
    Unknown,
    Value,
    text_of,
)
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.state import HOST_VARIABLES
from wingo.windows.paths import path_text

if TYPE_CHECKING:
    pass

_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_LATE_VARIABLES = ("host", "pid", "shellid", "stacktrace")


class Scopes:
    """The variables of a PowerShell.

    Attributes:
        session: what it works on.
        core: PowerShell 7, not Windows PowerShell 5.1.
        scopes: variables by lower-case name, the outermost first.
        succeeded: `$?`.
        last_exit: `$LASTEXITCODE`.
        script: the path of the script that runs, or "".
    """

    def __init__(self, session: Session, *, core: bool) -> None:
        self.session = session
        self.core = core
        self.scopes: list[dict[str, Value]] = [
            {"erroractionpreference": "Continue", "progresspreference": "Continue", "error": [], "ofs": " "}
        ]
        self.succeeded = True
        self.last_exit: int | None = None
        self.script = ""

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
            value = self.session.variables.get(rest)
            if value is None and self.session.start.unread_environment:
                self.session.late = True
                return Unknown(f"{rest} of the base")
            return value
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
