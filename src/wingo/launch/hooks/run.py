"""`run_hook`: asks a script's functions one question, in a process of its own that can only answer.

A hook is a file of JavaScript that declares `function admit(event)`, `function transform(event)`, or both. It gets the
event as a plain object and answers with plain data, at once. It has the language (ECMAScript, by QuickJS-ng) and nothing
else: no modules, no files, no network, no clock, no random numbers, no way to make code of text.

Three walls, each of which would do (docs/explanation/hooks.md): the engine has no such functions; the global object refuses
what it does not have, and nothing of it can be changed; the process that it runs in has given up files, other processes,
memory beyond its limit, and under seccomp every system call but those for computing.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec

import msgspec

from wingo.errors import HostError, RequestError
from wingo.launch.seccomp import computing_program

FUNCTIONS = ("admit", "transform")
"""What a script may declare for wingo."""
MAX_SCRIPT_BYTES = 1 << 20
"""The largest script."""
MAX_ANSWER_BYTES = 1 << 20
"""The largest answer."""
_STARTING_SECONDS = 5.0
"""Wall-clock seconds beside the script's own, in which the process must have started, and computed what native code of the
engine does without looking at the clock."""


class HookLimits(msgspec.Struct, frozen=True):
    """How much a script may use.

    Attributes:
        seconds: of processor time.
        memory: bytes of the script's objects.
    """

    seconds: float = 1.0
    memory: int = 64 << 20


LIMITS = HookLimits()
"""Where nobody says otherwise."""


class HookFailed(RequestError):
    """A script gave no answer.

    Attributes:
        kind: "time", "memory", "stack", "refused" (it used what no hook has), "answer" (of the wrong shape, too large), "script" (an error of its own).
    """

    def __init__(self, hook: str, kind: str, problem: str, *, hint: str = "") -> None:
        self.kind = kind
        super().__init__(f"the hook {hook}: {problem}", hint=hint)


def run_hook(
    script: str, event: Mapping[str, object], *, name: str, architecture: str, limits: HookLimits = LIMITS
) -> dict[str, object]:
    """Asks the functions that a script declares.

    Args:
        script: the text of its file.
        event: what they are given; plain data.
        name: the file's name, for messages.
        architecture: this machine's, as GOARCH: whose system calls are refused.
        limits: how much it may use.

    Returns:
        The answers by the functions' names; one that the script does not declare is not there.

    Raises:
        HookFailed: it gave none, or declares no such function.
        HostError: there is no engine.
    """
    if len(script.encode()) > MAX_SCRIPT_BYTES:
        raise HookFailed(name, "script", f"it has more than {MAX_SCRIPT_BYTES} bytes")
    engine = find_spec("quickjs")
    if engine is None or engine.origin is None:
        raise HostError(
            f"the hook {name} needs a JavaScript engine",
            hint="Install it: pipx inject wingo quickjs-ng, or wingo[hooks].",
        )
    question = json.dumps(
        {
            # Its Python looks at no PYTHONPATH.
            "engine": os.path.dirname(os.path.dirname(engine.origin)),
            "guard": _guard(),
            "script": script,
            "functions": FUNCTIONS,
            "event": json.dumps(event),
            "seconds": limits.seconds,
            "memory": limits.memory,
            "filter": _filter(architecture).hex(),
        }
    )
    written = _exchange(question.encode(), limits.seconds + _STARTING_SECONDS, name)
    return _read_answer(written, name, limits)


def _read_answer(written: bytes, name: str, limits: HookLimits) -> dict[str, object]:
    """What the process wrote; a script that broke out of the engine could have written anything."""
    try:
        answer = json.loads(written)
        if isinstance(answer, dict) and isinstance(answers := answer.get("answers"), dict):
            found = {key: json.loads(text) for key, text in answers.items() if key in FUNCTIONS}
            if found:
                return found
            raise HookFailed(
                name, "answer", "it declares no function that wingo asks", hint="Write: function admit(event) { … }"
            )
        kind, message = str(answer["failed"]), str(answer["message"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HookFailed(name, "memory", "its process ended without an answer") from error
    problem = {
        "time": f"it did not answer within {limits.seconds:g} s",
        "memory": f"it needs more than {limits.memory >> 20} MiB",
    }.get(kind, message[:500])
    hint = "A hook decides by the event that it is given, and nothing else." if kind == "refused" else ""
    raise HookFailed(name, kind, problem, hint=hint)


def _exchange(question: bytes, seconds: float, name: str) -> bytes:
    """Gives the process its question and takes its answer, for so long and no more."""
    worker = os.path.join(os.path.dirname(__file__), "worker.py")
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", worker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/" if os.name == "posix" else None,
            env={},
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(f"cannot start the process of the hook {name}: {error.strerror}") from error
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # The process reads everything before it does anything.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(question)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            return _read_all(process.stdout.fileno(), time.monotonic() + seconds, name)
        finally:
            process.kill()


def _read_all(descriptor: int, until: float, name: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(max(until - time.monotonic(), 0)):
                raise HookFailed(name, "time", "it did not answer, and its process was ended")
            data = os.read(descriptor, 1 << 16)
            if not data:
                return b"".join(pieces)
            pieces.append(data)
            size += len(data)
            if size > MAX_ANSWER_BYTES:
                raise HookFailed(name, "answer", f"its answer has more than {MAX_ANSWER_BYTES} bytes")


@lru_cache(1)
def _guard() -> str:
    with open(os.path.join(os.path.dirname(__file__), "guard.js"), encoding="utf-8") as file:
        return file.read()


def _filter(architecture: str) -> bytes:
    """The filter for this machine; none where there is no seccomp, or wingo does not know its numbers."""
    try:
        return computing_program(architecture) if sys.platform == "linux" else b""
    except KeyError:
        return b""
