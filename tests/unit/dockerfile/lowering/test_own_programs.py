r"""Programs that an image brings itself and that are lowered all the same: its git, git-lfs, busybox; PowerShell where Windows has none."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.lowering.stages import lines, plan_stage, ps, refuse, run, stage, text_of
from wingo.dockerfile.lowering.edits import WriteFile
from wingo.dockerfile.lowering.programs.git_settings import set_value, unset_all
from wingo.dockerfile.lowering.tree import Item, Kind

MINGIT = {
    "git/cmd/git.exe": b"MZ",
    "git/etc/gitconfig": b"[core]\n\tsymlinks = false\n[include]\n\t; more\n\tpath = C:/x\n",
}
GIT = r"C:\git\cmd\git.exe"


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        ("", "core.longpaths", "true", "[core]\n\tlongpaths = true\n"),
        ("[core]\n\ta = b\n", "core.longpaths", "true", "[core]\n\ta = b\n\tlongpaths = true\n"),
        ("[core]\n\tLongPaths = false\n[x]\n", "CORE.longpaths", "true", "[core]\n\tlongpaths = true\n[x]\n"),
        ("[a]\n\tk = 1\n[b]\n\tk = 2\n", "a.k", "3", "[a]\n\tk = 3\n[b]\n\tk = 2\n"),
        ("", "filter.lfs.clean", "git-lfs clean -- %f", '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n'),
        ("", "url.https://x/.insteadOf", "git@x:", '[url "https://x/"]\n\tinsteadOf = git@x:\n'),
        ("", "safe.directory", "C:\\src", "[safe]\n\tdirectory = C:\\\\src\n"),
        ("", "alias.x", "a # b", '[alias]\n\tx = "a # b"\n'),
    ],
)
def test_git_writes_a_value(before: str, name: str, value: str, after: str) -> None:
    assert set_value(before, name, value) == after


def test_git_removes_a_value() -> None:
    assert unset_all("[include]\n\t; more\n\tpath = a\n\tpath = b\n", "include.path") == "[include]\n\t; more\n"
    assert unset_all("[include]\n", "include.path") is None


def test_the_images_git_keeps_its_settings_in_its_own_directory() -> None:
    after = run(f"{GIT} config --system core.longpaths true", stage(MINGIT))
    assert lines(after)[0].startswith(r"write C:\git\etc\gitconfig")
    assert b"[core]\n\tsymlinks = false\n\tlongpaths = true\n" in (text_of(after.state, "/git/etc/gitconfig") or b"")
    gone = run(f"{GIT} config --system --unset-all include.path", stage(MINGIT))
    assert b"path" not in (text_of(gone.state, "/git/etc/gitconfig") or b"path")
    assert refuse(f"{GIT} config --system --unset-all include.path", stage({"git/cmd/git.exe": b"MZ"})).fails


def test_git_is_found_on_path_and_its_global_file_is_the_accounts() -> None:
    state = stage(MINGIT, environment=(("PATH", r"C:\Windows\System32;C:\git\cmd"),))
    after = run("git config --global user.name me", state)
    assert text_of(after.state, "/Users/ContainerAdministrator/.gitconfig") == b"[user]\n\tname = me\n"
    system = run("git config --system user.name me", state)
    assert b"name = me" in (text_of(system.state, "/git/etc/gitconfig") or b"")
    assert (
        "not known"
        in refuse(
            "git config --system a.b c",
            stage({"x/git.exe": b"MZ"}, environment=(("PATH", r"C:\Windows\System32;C:\x"),)),
        ).reason
    )


def test_git_lfs_install_sets_its_filters() -> None:
    state = stage({**MINGIT, "git/cmd/git-lfs.exe": b"MZ"}, environment=(("PATH", r"C:\Windows\System32;C:\git\cmd"),))
    for command in ("git lfs install --skip-repo", "git-lfs install"):
        text = text_of(run(command, state).state, "/Users/ContainerAdministrator/.gitconfig") or b""
        assert text.startswith(b'[filter "lfs"]\n\tclean = git-lfs clean -- %f\n'), command
        assert text.count(b"\n") == 5
    assert "not lowered" in refuse("git lfs fetch", state).reason
    assert "not lowered" in refuse("git lfs install --local", state).reason


def test_a_plan_knows_which_file_git_changes() -> None:
    after = ps(r"& $env:ProgramFiles\git\cmd\git.exe config --system core.longpaths true", plan_stage())
    edit = after.edits[-1]
    assert isinstance(edit, WriteFile)
    assert edit.path == r"C:\Program Files\git\etc\gitconfig"
    assert edit.size is None


def busybox() -> dict[str, bytes | None]:
    return {"bin/busybox.exe": b"MZ", "Git/bin/bash.exe": b"MZ", "t": None}


def test_plain_shell_commands_of_busybox() -> None:
    state = stage(busybox())
    state.tree.put(Item(("bin", "sh.exe"), Kind.LINK, target="busybox.exe", link="symbolic"))
    after = run(
        '/bin/sh.exe -c "mkdir -p /t/a && echo one two > /t/a/f; echo three >> /t/a/f && cp /t/a/f /t/g && rm /t/a/f"',
        state,
    )
    assert text_of(after.state, "/t/g") == b"one two\nthree\n"
    assert text_of(after.state, "/t/a/f") is None
    assert refuse('/bin/sh.exe -c "rm /t/none"', state).fails


@pytest.mark.parametrize(
    "text", ["echo $X > /t/f", "make all", "echo a | cat", "rm /t/*", "echo `x`", "if true; then x; fi"]
)
def test_what_needs_a_posix_shell_says_so(text: str) -> None:
    state = stage(busybox())
    state.tree.put(Item(("bin", "sh.exe"), Kind.LINK, target="busybox.exe", link="symbolic"))
    found = refuse(f'/bin/sh.exe -c "{text}"', state)
    assert not found.fails
    assert "Linux stage" in found.advice


def test_bash_of_git_has_paths_of_its_own() -> None:
    after = run(r'C:\Git\bin\bash.exe -c "echo x > /c/t/f"', stage(busybox()))
    assert text_of(after.state, "/t/f") == b"x\n"
    assert "own directories" in refuse(r'C:\Git\bin\bash.exe -c "echo x > /tmp/f"', stage(busybox())).reason


def test_powershell_on_nanoserver_is_what_a_step_brought() -> None:
    files: dict[str, bytes | None] = {"Windows/System32/cmd.exe": b"MZ"}
    path = (("PATH", r"C:\Windows\System32;C:\PowerShell"),)
    nano = {"programs": False, "flavour": "nanoserver", "user": "ContainerAdministrator", "environment": path}
    assert "nanoserver has no powershell" in refuse("powershell -Command mkdir C:\\x", stage(files, **nano)).reason
    brought = stage({**files, "PowerShell/powershell.exe": b"MZ"}, **nano)
    assert lines(run("powershell -Command mkdir C:\\x", brought)) == [r"make directory C:\x"]
    # In a plan the base is not read: what a COPY brought may have it, and Windows' own directories have not.
    planned = plan_stage(flavour="nanoserver", user="ContainerAdministrator", environment=path)
    assert "nanoserver has no powershell" in refuse("powershell -Command mkdir C:\\x", planned).reason
    planned.tree.make_directories(("PowerShell",))
    planned.tree.vague.add(("POWERSHELL",))
    assert lines(run("powershell -Command mkdir C:\\x", planned)) == [r"make directory C:\x"]


def test_start_with_wait_is_the_program_itself() -> None:
    assert lines(run(r'start "title" /w /b cmd /c mkdir C:\x')) == [r"make directory C:\x"]
    assert lines(run(r"start /d C:\Windows /wait cmd /c mkdir C:\x")) == [r"make directory C:\x"]
    assert "beside the step" in refuse("start cmd /c mkdir x").reason
