"""The process in which a hook's script runs: it reads one question, writes one answer, and can do nothing else.

Started by `wingo.launch.hooks.run` with `python -I`, as a file: it imports nothing of wingo. Before the script is looked
at, the process gives up everything that the kernel lets it give up: files, processes, memory, and with seccomp every
system call but those that compute and write the answer.

Standard input: one JSON object, `Question`'s members. Standard output: `{"answers": {...}}` or
`{"failed": KIND, "message": TEXT}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from typing import Any

_MAX_QUESTION = 64 << 20
_SPARE_MEMORY = 64 << 20
"""Bytes beside the engine's own limit: the interpreter, and the question in both languages."""
_STACK = 512 << 10
_FIRST_LINE = 1000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


def main() -> None:
    """Answers one question and ends, without what a Python does at its end: the kernel would refuse it."""
    question = json.loads(sys.stdin.buffer.read(_MAX_QUESTION))
    sys.path.append(question["engine"])
    import quickjs  # type: ignore[import-untyped]  # it has no stubs

    context = quickjs.Context()
    context.set_memory_limit(question["memory"])
    context.set_time_limit(question["seconds"])
    context.set_max_stack_size(_STACK)
    try:
        _give_up(question)
        answer: dict[str, Any] = {"answers": _answers(context, question)}
    except quickjs.StackOverflow:
        answer = {"failed": "stack", "message": "it calls itself too deeply"}
    except quickjs.JSException as error:
        answer = _failed(str(error))
    except MemoryError:
        answer = {"failed": "memory", "message": ""}
    _write(json.dumps(answer).encode())
    os._exit(0)


def _answers(context: Any, question: dict[str, Any]) -> dict[str, str]:
    call = context.eval(question["guard"])
    # Its lines get numbers that no line of the guard has.
    context.eval("\n" * _FIRST_LINE + str(question["script"]))
    answers = {}
    for name in question["functions"]:
        # What nobody declared is refused by the global object.
        declared = context.eval(f"(() => {{ try {{ return {name} }} catch {{ return null }} }})()")
        if declared is not None:
            answers[name] = call(name, declared, question["event"])
    return answers


def _failed(text: str) -> dict[str, str]:
    """The engine's error as a kind, and its first line with the line of the script that it is about."""
    first, *frames = text.strip().splitlines() or ["it failed"]
    kind = "script"
    if first.startswith("InternalError: interrupted"):
        kind = "time"
    elif first.startswith("InternalError: out of memory"):
        kind = "memory"
    elif first.startswith("HookRefused: "):
        kind, first = "refused", first.removeprefix("HookRefused: ")
    lines = [int(number) for frame in frames for number in re.findall(r"<input>:([0-9]{1,9}):", frame)]
    line = next((number - _FIRST_LINE for number in lines if number > _FIRST_LINE), 0)
    return {"failed": kind, "message": (f"line {line}: " if line else "") + first[:1000]}


def _give_up(question: dict[str, Any]) -> None:
    """Takes every right away from this process that it does not need."""
    if os.name != "posix":
        return
    import resource

    os.closerange(3, 4096)
    memory = int(question["memory"])
    used = _address_space()
    for what, limit in (
        (resource.RLIMIT_AS, used + memory + _SPARE_MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        if what == resource.RLIMIT_AS and not used:
            continue
        resource.setrlimit(what, (limit, limit))
    filter = bytes.fromhex(str(question["filter"]))
    if filter:
        _refuse_calls(filter)


def _address_space() -> int:
    """Bytes of this process's address space; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _refuse_calls(filter: bytes) -> None:
    """Installs a seccomp filter; no way back."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]  # type: ignore[mutable-override]  # as ctypes wants it

    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(filter) // 8, filter)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
