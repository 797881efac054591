r"""Sources of the event log: `New-EventLog`, `[Diagnostics.EventLog]::CreateEventSource`.

A source is a key below `Services\EventLog\LOG` with the files that hold its messages (.NET Framework reference source,
`EventLog.CreateEventSource` and `SetSpecialSourceRegValues`). Logs of their own are files that the running system makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Thing, Unknown, Value, text_of
from wingo.dockerfile.lowering.session import Session
from wingo.hive.edit import DeleteKey, SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import DWORD, EXPAND_SZ, encode_text

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell

_LOGS = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog"
_KNOWN = ("Application", "Security", "System")
_MESSAGES = r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\EventLogMessages.dll"
"""Where .NET Framework has messages that are only the text."""


def source_data(arguments: list[Value]) -> Thing:
    """`New-Object Diagnostics.EventSourceCreationData SOURCE, LOG`."""
    texts = [text_of(argument) for argument in arguments]
    if len(texts) != 2:
        raise CommandFailed("EventSourceCreationData wants a source and a log")
    return Thing("event source", {"Source": texts[0], "LogName": texts[1]}, texts[0])


def source_exists(session: Session, source: str) -> Value:
    """Whether a log has a source; a plan without the registry does not know it."""
    logs = session.registry.find(_LOGS)
    for log in logs.subkeys() if logs is not None else ():
        if any(upcase(key.name) == upcase(source) for key in log.subkeys()):
            return True
    return Unknown(f"whether there is an event source {source}") if session.registry.is_assumed(_LOGS) else False


def create_source(
    shell: PowerShell, source: str, log: str, messages: str = "", categories: str = "", count: int = 0
) -> None:
    """Adds a source to a log.

    Raises:
        CommandFailed: there is one of that name.
        CannotLower: a log of its own, or messages in a file that nobody named and PowerShell 7 brings itself.
    """
    session = shell.session
    name = next((known for known in _KNOWN if upcase(known) == upcase(log or "Application")), "")
    if not name:
        raise CannotLower(f"the event log {log} would be a file of the running system", "Use the log Application.")
    if source_exists(session, source) is True:
        raise CommandFailed(f"source {source} already exists")
    if not messages and shell.core:
        raise CannotLower(
            "the messages of PowerShell 7 are in a file of its own", "Name the file: MessageResourceFile."
        )
    key = session.registry.full_path(rf"{_LOGS}\{name}\{source}")
    changes = [SetValue(key, "EventMessageFile", EXPAND_SZ, encode_text(messages or _MESSAGES))]
    if categories:
        changes.append(SetValue(key, "CategoryMessageFile", EXPAND_SZ, encode_text(categories)))
        changes.append(SetValue(key, "CategoryCount", DWORD, count.to_bytes(4, "little")))
    session.change_registry(*changes)


def call_event_log(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    """`[Diagnostics.EventLog]::SourceExists`, `::CreateEventSource`, `::DeleteEventSource`."""
    match name:
        case "sourceexists":
            return source_exists(shell.session, text_of(arguments[0]))
        case "createeventsource":
            first = arguments[0]
            if isinstance(first, Thing) and first.kind == "event source":
                said = {key: text_of(value) for key, value in first.properties.items()}
                create_source(
                    shell, said["source"], said["logname"], said.get("messageresourcefile", ""),
                    said.get("categoryresourcefile", ""), int(said.get("categorycount") or 0),
                )  # fmt: skip
            else:
                create_source(shell, text_of(first), text_of(arguments[1]) if len(arguments) > 1 else "")
            return None
        case "deleteeventsource":
            source = text_of(arguments[0])
            for log in _KNOWN:
                if shell.session.registry.find(rf"{_LOGS}\{log}\{source}") is not None:
                    shell.session.change_registry(DeleteKey(rf"{_LOGS}\{log}\{source}"))
            return None
        case _:
            raise CannotLower(
                f"[Diagnostics.EventLog]::{name} is not lowered", "Register the source with New-EventLog."
            )


def new_event_log(bound: Bound) -> list[Value]:
    """`New-EventLog -LogName Application -Source NAME`."""
    if bound.shell.core:
        raise CommandFailed("the term 'New-EventLog' is not recognized in this version of PowerShell", 9009)
    for source in bound.texts("Source"):
        create_source(
            bound.shell,
            source,
            bound.text("LogName"),
            bound.text("MessageResourceFile"),
            bound.text("CategoryResourceFile"),
        )
    return []


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("New-EventLog", "LogName/LN Source/SRC MessageResourceFile/MRF CategoryResourceFile/CRF ParameterResourceFile/PRF ComputerName", new_event_log, positional="LogName Source"),
)  # fmt: skip
