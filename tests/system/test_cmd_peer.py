r"""cmd's internal commands against Wine's cmd.exe: what a directory holds after them.

Wine's is not Windows': where the two are known to differ (`echo(`, `/a` quotes, `copy a+b` onto one of them), the case is left out, and
[lowering](../../docs/explanation/lowering.md) says what stands without proof.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import need_tool
from tests.unit.dockerfile.lowering.stages import stage, text_of
from wingo.dockerfile.lowering import Lowered, lower

pytestmark = pytest.mark.peers

BEFORE = {"a.txt": b"one\r\n", "b.txt": b"two\r\n", "d/x.txt": b"x\r\n", "d/y.dat": b"y\r\n", "sp ace/f.txt": b"f\r\n"}
CASES = r"""
echo hello>f
echo hello >f
echo  two  blanks>f
echo a&echo b>f
echo a>f&echo b>>f
echo.>f
echo %X%>f
echo ^&>f
echo a>f 2>&1
>f echo a
echo a 1>f
echo a1>f
echo a,b;c=d>f
echo "quoted text">f
echo "a^b">f
type a.txt>f
type a.txt b.txt>f
type nothing>f
if exist a.txt (echo yes>f) else echo no>f
if exist nothing (echo yes>f) else echo no>f
if exist d\ (echo yes>f) else echo no>f
if not exist z echo z>f
if "%X%"=="value" echo same>f
if /i "VALUE"=="%x%" echo same>f
if defined X (echo d>f) else echo n>f
if defined Y (echo d>f) else echo n>f
if 1 lss 2 echo l>f
if 10 gtr 9 echo g>f
if abc equ ABC (echo e>f) else echo n>f
for %i in (1 2 3) do echo %i>>f
for %i in (*.txt) do echo %i>>f
for %i in (a,b;c) do echo %i>>f
for /l %i in (1,2,7) do echo %i>>f
for /f %i in (a.txt) do echo [%i]>>f
for /f "tokens=1,2 delims=," %i in ("a,b,c") do echo %i-%j>>f
for /d %i in (*) do echo %i>>f
for %i in (d\x.txt) do echo %~ni %~xi %~nxi>>f
set /a Z=7/2>f
mkdir m
mkdir m\n\o
mkdir m n
mkdir "m n"
mkdir d
md m&cd m&echo x>f
mkdir m && echo ok>f
mkdir d && echo ok>f
copy a.txt c.txt
copy a.txt d
copy a.txt d\new.txt
copy a.txt+b.txt c.txt
copy /b a.txt+b.txt c.txt
copy *.txt d
copy nothing c
copy /y a.txt b.txt
copy "sp ace\f.txt" g.txt
move a.txt c.txt
move a.txt d
move d e
ren a.txt c.txt
ren a.txt b.txt
ren *.txt *.bak
ren d\x.txt z.txt
del a.txt
del *.txt
del nothing
del /q d
del "sp ace\f.txt"
rmdir d
rmdir /s /q d
xcopy d e /i /e
cd d&echo x>f
cd "sp ace"&echo x>f
pushd d&popd&echo x>f
cd nothing
cd nothing & echo x>f
call echo %X%>f
cmd /c echo x>f
echo x>f&&exit 4
echo %X:a=b%>f
echo %X:~1,2%>f
echo a>>f&echo b>>f
echo x>d\new
""".strip().splitlines()


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def ours(command: str) -> dict[str, bytes | None] | None:
    """What the directory holds; None: the step fails, and an image would not be made."""
    state = stage({f"t/{name}": data for name, data in BEFORE.items()}, environment=(("X", "value"),), directory=("t",))
    outcome = lower(command, ("cmd", "/S", "/C"), state)
    if not isinstance(outcome, Lowered):
        return None
    items = outcome.state.tree.below(("t",))
    return {
        "/".join(item.path[1:]): None if item.is_directory else text_of(outcome.state, "/" + "/".join(item.path))
        for item in items
    }


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes | None]]:
    """What Wine's cmd leaves of each case: one start for all of them, each in a directory and a cmd of its own."""
    need_tool("wine")
    prefix = tmp_path_factory.mktemp("wine")
    environment = {
        **os.environ,
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "X": "value",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
    }
    subprocess.run(
        ["wine", "cmd", "/c", "exit"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=True,
    )
    drive, script = prefix / "drive_c", ["@echo off"]
    for number, command in enumerate(CASES):
        folder = drive / f"t{number}"
        for name, data in BEFORE.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        script += [f"cd /d C:\\t{number}", f'cmd /S /C "{command.replace("%", "%%")}"']
    (drive / "all.cmd").write_text("\r\n".join(script) + "\r\n")
    try:
        subprocess.run(
            ["wine", "cmd", "/c", "C:\\all.cmd"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
    finally:
        subprocess.run(["wineserver", "-k"], env=environment, capture_output=True, timeout=60, check=False)
    return {command: tree(drive / f"t{number}") for number, command in enumerate(CASES)}


@pytest.mark.parametrize("command", CASES)
def test_a_directory_is_as_wine_leaves_it(command: str, wines: dict[str, dict[str, bytes | None]]) -> None:
    found = ours(command)
    if found is not None:
        assert found == wines[command]


def test_most_cases_are_compared() -> None:
    assert sum(ours(command) is not None for command in CASES) > len(CASES) * 0.8
