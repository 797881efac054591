"""Mutated scripts of both shells through the lowering: always an outcome, never an error of another kind, never without end.

`WINGO_FUZZ=100000` sets how many; without it, enough to notice. What is mutated are the scripts of this room's own tests.
"""

from __future__ import annotations

import ast
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.dockerfile.lowering.stages import plan_stage, stage
from wingo.dockerfile.lowering import Answer, Impossible, Lowered, Needs, State, UnpackedFile, lower
from wingo.dockerfile.lowering.contents import content_of

COUNT = int(os.environ.get("WINGO_FUZZ") or 800)
SEED = int(os.environ.get("WINGO_FUZZ_SEED") or 1)
TESTS = Path(__file__).parents[1] / "unit" / "dockerfile" / "lowering"
SECONDS = 10.0
"""Processor time of one script; what people write takes milliseconds."""
SHELLS = (
    ("cmd", "/S", "/C"),
    ("powershell", "-Command"),
    ("powershell", "-NoProfile", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"),
    ("pwsh", "-Command"),
)  # fmt: skip
PIECES = (
    "&&", "||", "&", "|", ";", "(", ")", "{", "}", "[", "]", '"', "'", "`", "^", "%", "!", "$", "@", "#", "<#", "#>", "@'\n", "\n'@",
    "$(", "@(", "@{", "${", "$env:", "%~dp0", "%A:~-1,2%", "%%i", "-f", "-join", "-replace", "..", "::", "\n", "\r\n", "\t", " ", "\0",
    "\ud800", "\u202e", "\U0001f600", "C:\\", "\\\\?\\", "HKLM\\", "HKCU:\\", "0x7fffffff", "-1", "9" * 400, "if", "for /f", "foreach",
    "while ($true)", "function f", "try", "catch", "switch", "goto", "call", "exit /b", "setlocal enabledelayedexpansion", "a" * 5000,
)  # fmt: skip


class Hang(BaseException):
    """A script took too long; no `except Exception` swallows it."""


def seeds() -> list[str]:
    """Every text in the tests of this room that looks like a command."""
    found: set[str] = set()
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and 8 < len(node.value) < 4000:
                found.add(node.value)
    return sorted(text for text in found if " " in text)


def mutated(scripts: list[str], chance: random.Random) -> str:
    """A script with some of it changed."""
    text = chance.choice(scripts)
    for _ in range(chance.randrange(6)):
        start, end = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        match chance.randrange(8):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + text[start:end] * 2 + text[end:]
            case 2:
                text = text[:start] + chance.choice(PIECES) + text[start:]
            case 3:
                text = text[:start] + chance.choice(PIECES) + text[end:]
            case 4:
                other = chance.choice(scripts)
                text = text[:start] + other[chance.randrange(len(other) + 1) :]
            case 5:
                text = text + chance.choice((" && ", "; ", " | ", "\n", " & ")) + chance.choice(scripts)
            case 6:
                words = text.split(" ")
                chance.shuffle(words)
                text = " ".join(words)
            case _:
                piece = chance.choice(("(", "{", '"', "$(", "if (1) {", "cmd /c "))
                text = piece * chance.choice((2, 50, 3000)) + text
        text = text[:20_000] or "x"
    return text


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(text: str, shell: tuple[str, ...], state: State) -> Lowered | Impossible | Needs:
    """An outcome; what is to be done is answered with something small."""
    answers: list[Answer] = []
    while True:
        outcome = lower(text, shell, state, answers=answers)
        if not isinstance(outcome, Needs) or len(answers) > 5:
            return outcome
        answers.append(Answer((UnpackedFile("x", content_of(b"x", "x")),), output="x\r\n"))


def test_every_script_has_an_outcome() -> None:
    scripts, chance = seeds(), random.Random(SEED)
    assert len(scripts) > 300
    states = (plan_stage(), stage())
    kinds: dict[str, int] = {}
    for number in range(COUNT):
        text, shell = mutated(scripts, chance), chance.choice(SHELLS)
        state = chance.choice(states)
        try:
            with limited(SECONDS):
                outcome = run(text, shell, state)
        except (Exception, Hang) as error:  # noqa: BLE001  (that is what is looked for)
            pytest.fail(f"seed {SEED}, script {number}: {type(error).__name__}: {error}\n{shell} {text!r}")
        name = type(outcome).__name__
        kinds[name] = kinds.get(name, 0) + 1
    assert kinds.get("Lowered", 0) > COUNT // 50
    assert kinds.get("Impossible", 0) > COUNT // 50


def test_a_hang_would_be_noticed() -> None:
    with pytest.raises(Hang), limited(0.05):
        while True:
            pass
