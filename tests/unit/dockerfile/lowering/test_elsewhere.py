"""Windows programs that are no edits: impossible, unless the build has something that runs them."""

from __future__ import annotations

import io

import pytest

from wingo.archive.entry import Content
from wingo.dockerfile.lowering import (
    Answer,
    Impossible,
    Item,
    Kind,
    Lowered,
    Needs,
    NoBase,
    State,
    Tree,
    UnpackedFile,
    lower,
)
from wingo.dockerfile.lowering.edits import RunProgram, WriteFile
from wingo.hive.edit import SetValue


def state(*, runs: bool, planning: bool = False) -> State:
    tree = Tree(NoBase())
    tree.make_directories(("tools",))
    tree.put(Item(("tools", "setup.exe"), Kind.FILE, content=content(b"MZ")))
    return State(tree=tree, runs_programs=runs, planning=planning, flavour="servercore")


def content(data: bytes) -> Content:
    return Content(len(data), lambda: io.BytesIO(data), "test", "")


def test_it_is_denied_by_default_with_the_flag_in_the_advice() -> None:
    outcome = lower(r"C:\tools\setup.exe /S", state=state(runs=False))
    assert isinstance(outcome, Impossible)
    assert "--run-windows=wine" in outcome.advice


@pytest.mark.parametrize("program", ["dism", "choco", "netsh", "icacls /bad"])
def test_what_wine_only_pretends_is_never_run(program: str) -> None:
    base = state(runs=True)
    base.tree.put(Item((f"{program.split(maxsplit=1)[0]}.exe",), Kind.FILE, content=content(b"MZ")))
    outcome = lower(f"C:\\{program} x", state=base)
    assert not isinstance(outcome, Needs)
    if isinstance(outcome, Impossible):
        assert "wine" not in outcome.advice


def test_files_registry_and_code_are_taken_over() -> None:
    base = state(runs=True)
    command = r'cd C:\tools&& echo yes| setup.exe "a b" /S > C:\log.txt || exit 5'
    outcome = lower(command, state=base)
    assert isinstance(outcome, Needs)
    operation = outcome.operation
    assert isinstance(operation, RunProgram)
    assert operation.argv == (r"C:\tools\setup.exe", "a b", "/S")
    assert (operation.directory, operation.input) == (r"C:\tools", "yes\r\n")
    assert dict(operation.environment)["SystemRoot"] == r"C:\Windows"
    answer = Answer(
        (
            UnpackedFile(r"C:\Program Files\x\a.txt", content(b"new")),
            UnpackedFile(r"C:\tools\setup.exe", kind="removed"),
            UnpackedFile(r"C:\empty", kind="directory"),
        ),
        0,
        "installed\r\n",
        (SetValue(r"HKEY_LOCAL_MACHINE\Software\Acme", "A", 1, b"x\0\0\0"),),
    )
    done = lower(command, state=base, answers=[answer])
    assert isinstance(done, Lowered)
    tree = done.state.tree
    assert tree.find(("Program Files", "x", "a.txt")) is not None
    assert tree.find(("tools", "setup.exe")) is None
    assert tree.find(("empty",)) is not None
    log = tree.find(("log.txt",))
    assert log is not None
    assert log.content is not None
    assert log.content.open().read() == b"installed\r\n"
    assert [(change.path, change.name) for change in done.state.registry.changes if isinstance(change, SetValue)] == [
        (r"HKEY_LOCAL_MACHINE\SOFTWARE\Acme", "A")
    ]
    assert any("which is not Windows" in note for note in done.notes)
    failed = lower(command, state=base, answers=[Answer(status=3, output="no\r\n")])
    assert isinstance(failed, Impossible)
    assert "exit code 5" in failed.reason


def test_changes_of_an_account_without_a_hive_are_left_out_and_said() -> None:
    answer = Answer(registry=(SetValue(r"HKEY_CURRENT_USER\Software\Acme", "A", 1, b"x\0\0\0"),))
    done = lower(r"C:\tools\setup.exe", state=state(runs=True), answers=[answer])
    assert isinstance(done, Lowered)
    assert done.state.registry.changes == ()
    assert any("1 changes of HKEY_CURRENT_USER are left out" in note for note in done.notes)


def test_a_plan_takes_for_granted_what_the_program_leaves() -> None:
    command = r"C:\tools\setup.exe /S > C:\log.txt && copy C:\made\x.dll C:\tools\x.dll && C:\made\other.exe"
    planned = lower(command, state=state(runs=True, planning=True))
    assert isinstance(planned, Lowered), planned
    assert planned.decided_late
    assert [type(edit) for edit in planned.edits].count(RunProgram) == 2
    assert any(isinstance(edit, WriteFile) and edit.path == r"C:\log.txt" for edit in planned.edits)
