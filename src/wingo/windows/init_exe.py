r"""The first program in a Windows container under Wine: starts the image's program, stops it, tells how it ended.

Wine gives a Unix parent only the low 8 bits of an exit code, and turns SIGTERM into a sudden end. So `init_exe` starts
the program with its own command line less the first word, waits for it, and writes what happened into a file; and when
one of two events is set, it raises that console event in the program the way Windows does, by a thread at `CtrlRoutine`,
which a Go program gets as SIGTERM or os.Interrupt. `signal_exe` is a second program, which sets such an event.

Sources: Microsoft's pages on the functions named here, "Console Process Shutdown"; golang/go#33311.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Final

from wingo.windows.small_pe import Code, small_pe

RESULT_VARIABLE: Final = "WINGO_RESULT"
r"""Names the file for the result, such as `\\?\unix\run\result`; like the other variables of wingo's, the program does not get it."""

DIRECTORY_VARIABLE: Final = "WINGO_DIRECTORY"
"""Names the directory that the program begins in."""

OWN_VARIABLES: Final = ("PATH", "TEMP", "TMP", "HOME", "PWD")
"""What Wine does not take over from its own environment: each comes in as `variable_for` it and is set by `init_exe`."""

_KERNEL32: Final = "kernel32.dll"
_EVENT_MODIFY_STATE: Final = "02000000"
_PATH_UNITS: Final = 1024
_VALUE_UNITS: Final = 32_768


def variable_for(name: str) -> str:
    """The variable that carries one of `OWN_VARIABLES` past Wine."""
    return f"WINGO_SET_{name}"


class ConsoleEvent(Enum):
    """What is raised in a program, by the names of its event objects."""

    SHUTDOWN = "wingo-shutdown"
    INTERRUPT = "wingo-interrupt"


class Ending(Enum):
    """What the first 32 bits of the result mean; the second 32 are the exit code, or the error's number."""

    EXITED = 1
    NOT_STARTED = 2
    NO_DIRECTORY = 3


def read_result(data: bytes) -> tuple[Ending, int] | None:
    """What `init_exe` wrote; None when it had no time to."""
    if len(data) != 8:
        return None
    kind, number = struct.unpack("<II", data)
    try:
        return Ending(kind), number
    except ValueError:
        return None


def init_exe() -> bytes:
    """The program that starts the image's program; for amd64, the same bytes always."""
    code = Code(frame=104)
    for event, place in ((ConsoleEvent.SHUTDOWN, "handles+8"), (ConsoleEvent.INTERRUPT, "handles+16")):
        code.put("31 C9", "31 D2", "45 31 C0")  # no attributes; reset by whoever waits; not set yet
        code.refer("4C 8D 0D", event.value)  # lea r9, name
        code.call("CreateEventW")
        code.refer("48 89 05", place)  # mov [place], rax
    _take_variable(code, RESULT_VARIABLE, "path", _PATH_UNITS)
    _take_variable(code, DIRECTORY_VARIABLE, "value", _VALUE_UNITS)
    code.refer("0F 84", "no directory")
    code.refer("48 8D 0D", "value")
    code.call("SetCurrentDirectoryW")
    code.put("85 C0")
    code.refer("0F 84", "bad directory")
    code.label("no directory")
    for name in OWN_VARIABLES:
        _take_variable(code, variable_for(name), "value", _VALUE_UNITS)
        code.refer("0F 84", f"no {name}")
        code.refer("48 8D 0D", name)
        code.refer("48 8D 15", "value")
        code.call("SetEnvironmentVariableW")
        code.label(f"no {name}")
    _skip_first_word(code)
    code.put("31 C9", "48 89 DA", "45 31 C0", "45 31 C9")  # no name apart; mov rdx, rbx (the line); no attributes
    code.put("C7 44 24 20 01000000", "C7 44 24 28 00000000")  # handles are inherited; no flags
    code.put("48 C7 44 24 30 00000000", "48 C7 44 24 38 00000000")  # this environment, this directory
    code.refer("48 8D 05", "startup")
    code.put("48 89 44 24 40")
    code.refer("48 8D 05", "process")  # PROCESS_INFORMATION begins with it
    code.put("48 89 44 24 48")
    code.call("CreateProcessW")
    code.put("85 C0")  # test eax, eax
    code.refer("0F 84", "not started")  # jz
    code.refer("48 8B 05", "process")
    code.refer("48 89 05", "handles")
    # Ctrl-C at a terminal goes to both; only the program is to act on it. Before, it would have inherited this.
    code.put("31 C9", "BA 01000000")  # no handler; ignore
    code.call("SetConsoleCtrlHandler")
    code.label("wait")
    code.put("B9 03000000")  # mov ecx, 3
    code.refer("48 8D 15", "handles")
    code.put("45 31 C0", "41 B9 FFFFFFFF")  # any of them; however long
    code.call("WaitForMultipleObjects")
    code.put("85 C0")
    code.refer("0F 84", "ended")  # the first: the process
    code.put("83 F8 01", "B8 06000000", "BA 00000000", "0F 45 C2")  # CTRL_SHUTDOWN_EVENT for the second, else CTRL_C
    code.put("48 89 44 24 20")
    code.put("C7 44 24 28 00000000", "48 C7 44 24 30 00000000")  # runs at once; its number is not wanted
    code.refer("48 8B 0D", "handles")
    code.put("31 D2", "45 31 C0")  # no attributes; the usual stack
    code.refer("4C 8B 0D", "CtrlRoutine")  # mov r9, [CtrlRoutine]: the same address in every process
    code.call("CreateRemoteThread")
    code.refer("E9", "wait")
    code.label("bad directory")
    code.call("GetLastError")
    code.refer("89 05", "result+4")
    code.refer("C7 05", "result", struct.pack("<I", Ending.NO_DIRECTORY.value).hex())
    code.refer("E9", "report")
    code.label("not started")
    code.call("GetLastError")
    code.refer("89 05", "result+4")
    code.refer("C7 05", "result", struct.pack("<I", Ending.NOT_STARTED.value).hex())
    code.refer("E9", "report")
    code.label("ended")
    code.refer("48 8B 0D", "handles")
    code.refer("48 8D 15", "result+4")
    code.call("GetExitCodeProcess")
    code.refer("C7 05", "result", struct.pack("<I", Ending.EXITED.value).hex())
    code.label("report")
    code.refer("48 8D 0D", "path")
    code.put("BA 00000040", "45 31 C0", "45 31 C9")  # GENERIC_WRITE; not shared; no attributes
    code.put("C7 44 24 20 02000000", "C7 44 24 28 80000000", "48 C7 44 24 30 00000000")  # CREATE_ALWAYS; a normal file
    code.call("CreateFileW")
    code.put("48 89 C1")  # mov rcx, rax
    code.refer("48 8D 15", "result")
    code.put("41 B8 08000000")
    code.refer("4C 8D 0D", "written")
    code.put("48 C7 44 24 20 00000000")
    code.call("WriteFile")
    code.refer("8B 0D", "result+4")  # mov ecx, [number]
    code.call("ExitProcess")
    return small_pe(code, {_KERNEL32: _INIT_IMPORTS}, variables=_variables(), buffers=_BUFFERS)


def _take_variable(code: Code, name: str, buffer: str, units: int) -> None:
    """Moves a variable's value into a buffer; the zero flag says that there is none."""
    code.refer("48 8D 0D", name)  # lea rcx, name
    code.refer("48 8D 15", buffer)  # lea rdx, buffer
    code.put("41 B8", struct.pack("<I", units).hex())  # mov r8d, units
    code.call("GetEnvironmentVariableW")
    code.put("89 C3")  # mov ebx, eax
    code.refer("48 8D 0D", name)
    code.put("31 D2")  # no value: the variable goes
    code.call("SetEnvironmentVariableW")
    code.put("85 DB")  # test ebx, ebx


def _skip_first_word(code: Code) -> None:
    """Into rbx: the command line after its first word, which may be quoted, and the blanks."""
    code.call("GetCommandLineW")
    code.put("48 89 C3", "66 83 3B 22")  # mov rbx, rax; cmp word [rbx], '"'
    code.refer("0F 85", "plain")
    code.label("quoted")
    code.put("48 83 C3 02", "0F B7 03", "85 C0")  # add rbx, 2; movzx eax, word [rbx]; test eax, eax
    code.refer("0F 84", "blanks")
    code.put("83 F8 22")
    code.refer("0F 85", "quoted")
    code.put("48 83 C3 02")
    code.refer("E9", "blanks")
    code.label("plain")
    code.put("0F B7 03", "85 C0")
    code.refer("0F 84", "blanks")
    code.put("83 F8 20")
    code.refer("0F 84", "blanks")
    code.put("48 83 C3 02")
    code.refer("E9", "plain")
    code.label("skip")
    code.put("48 83 C3 02")
    code.label("blanks")
    code.put("66 83 3B 20")
    code.refer("0F 84", "skip")


_INIT_IMPORTS: Final = (
    "CreateEventW",
    "CreateFileW",
    "CreateProcessW",
    "CreateRemoteThread",
    "CtrlRoutine",
    "ExitProcess",
    "GetCommandLineW",
    "GetEnvironmentVariableW",
    "GetExitCodeProcess",
    "GetLastError",
    "SetConsoleCtrlHandler",
    "SetCurrentDirectoryW",
    "SetEnvironmentVariableW",
    "WaitForMultipleObjects",
    "WriteFile",
)


def _variables() -> dict[str, bytes]:
    names = [RESULT_VARIABLE, DIRECTORY_VARIABLE]
    for name in OWN_VARIABLES:
        names += [name, variable_for(name)]
    names += [event.value for event in ConsoleEvent]
    return {**{name: _wide(name) for name in names}, "startup": struct.pack("<I", 104) + bytes(100)}


_BUFFERS: Final = {
    "process": 24,
    "handles": 24,
    "result": 8,
    "written": 4,
    "path": 2 * _PATH_UNITS,
    "value": 2 * _VALUE_UNITS,
}


def signal_exe(event: ConsoleEvent) -> bytes:
    """A program that sets an event of `init_exe`; it exits with 0 when somebody waits for it."""
    code = Code(frame=40)
    code.put("B9", _EVENT_MODIFY_STATE, "31 D2")  # mov ecx, the right; not inherited
    code.refer("4C 8D 05", "name")  # lea r8, name
    code.call("OpenEventW")
    code.put("48 85 C0")
    code.refer("0F 84", "nobody")
    code.put("48 89 C1")
    code.call("SetEvent")
    code.put("31 C9")
    code.refer("E9", "end")
    code.label("nobody")
    code.put("B9 01000000")
    code.label("end")
    code.call("ExitProcess")
    return small_pe(
        code, {_KERNEL32: ("ExitProcess", "OpenEventW", "SetEvent")}, variables={"name": _wide(event.value)}
    )


def _wide(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")
