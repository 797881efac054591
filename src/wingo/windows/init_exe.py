r"""The first program in a Windows container under Wine: starts the image's program, stops it, tells how it ended.

Wine gives a Unix parent only the low 8 bits of an exit code, and of Unix signals it turns SIGINT alone into a console event.
So `init_exe` starts the program with its own command line less the first word, waits for it, and writes what happened into
a file; and when it gets SIGINT, it looks which file there is, `SHUTDOWN` or `INTERRUPT`, removes it, and raises that event in the
program the way Windows does, by a thread at `CtrlRoutine`: a Go program gets it as SIGTERM or os.Interrupt. Without a file the
Ctrl-C came from a terminal, which has told the program too.

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
_PATH_UNITS: Final = 1024
_VALUE_UNITS: Final = 32_768


def unix_path(path: str) -> str:
    """An absolute path of Linux as a Windows program under Wine writes it, whatever drives there are."""
    return "\\\\?\\unix" + path.replace("/", "\\")


def variable_for(name: str) -> str:
    """The variable that carries one of `OWN_VARIABLES` past Wine."""
    return f"WINGO_SET_{name}"


SHUTDOWN: Final = "/run/wingo-shutdown"
"""Made before SIGINT, as Wine's Unix file names go: CTRL_SHUTDOWN_EVENT is meant."""
INTERRUPT: Final = "/run/wingo-interrupt"
"""The same for CTRL_C_EVENT."""


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
    code.refer("48 8D 0D", "handler")
    code.put("BA 01000000")  # add it
    code.call("SetConsoleCtrlHandler")
    code.refer("48 8B 0D", "process")
    code.put("BA FFFFFFFF")  # however long
    code.call("WaitForSingleObject")
    code.refer("E9", "ended")
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
    code.refer("48 8B 0D", "process")
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
    code.ends()
    _handler(code)
    return small_pe(code, {_KERNEL32: _IMPORTS}, variables=_variables(), buffers=_BUFFERS)


def _handler(code: Code) -> None:
    """What Wine calls in a thread of its own when SIGINT comes; it says that the event was dealt with."""
    code.label("handler")
    code.put("48 83 EC 48")  # sub rsp, 72
    code.refer("48 8D 0D", "shutdown")
    code.call("DeleteFileW")
    code.put("85 C0", "B8 06000000")  # CTRL_SHUTDOWN_EVENT
    code.refer("0F 85", "raise")
    code.refer("48 8D 0D", "interrupt")
    code.call("DeleteFileW")
    code.put("85 C0", "B8 00000000")  # CTRL_C_EVENT
    code.refer("0F 84", "handled")
    code.label("raise")
    code.put("48 89 44 24 20")
    code.put("C7 44 24 28 00000000", "48 C7 44 24 30 00000000")  # runs at once; its number is not wanted
    code.refer("48 8B 0D", "process")
    code.put("31 D2", "45 31 C0")  # no attributes; the usual stack
    code.refer("4C 8B 0D", "CtrlRoutine")  # mov r9, [CtrlRoutine]: the same address in every process
    code.call("CreateRemoteThread")
    code.label("handled")
    code.put("B8 01000000", "48 83 C4 48", "C3")  # mov eax, 1; add rsp, 72; ret


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


_IMPORTS: Final = (
    "CreateFileW",
    "CreateProcessW",
    "CreateRemoteThread",
    "CtrlRoutine",
    "DeleteFileW",
    "ExitProcess",
    "GetCommandLineW",
    "GetEnvironmentVariableW",
    "GetExitCodeProcess",
    "GetLastError",
    "SetConsoleCtrlHandler",
    "SetCurrentDirectoryW",
    "SetEnvironmentVariableW",
    "WaitForSingleObject",
    "WriteFile",
)


def _variables() -> dict[str, bytes]:
    names = [RESULT_VARIABLE, DIRECTORY_VARIABLE]
    for name in OWN_VARIABLES:
        names += [name, variable_for(name)]
    files = {"shutdown": _wide(unix_path(SHUTDOWN)), "interrupt": _wide(unix_path(INTERRUPT))}
    return {**{name: _wide(name) for name in names}, **files, "startup": struct.pack("<I", 104) + bytes(100)}


_BUFFERS: Final = {
    "process": 24,
    "result": 8,
    "written": 4,
    "path": 2 * _PATH_UNITS,
    "value": 2 * _VALUE_UNITS,
}


def _wide(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")
