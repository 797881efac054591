r"""cmd.exe's language and commands, as `RUN` steps use them."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.lowering.stages import (
    fetched,
    lines,
    only,
    plan_stage,
    refuse,
    run,
    stage,
    text_of,
    there,
    unpacked,
)
from wingo.dockerfile.lowering import Needs, lower
from wingo.dockerfile.lowering.cmd.syntax import expand_percent
from wingo.dockerfile.lowering.edits import Download, MakeLink, SetVariable


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("%A%", "value"),
        ("%a%x", "valuex"),
        ("%UNKNOWN% %A%", "%UNKNOWN% value"),
        ("100%", "100%"),
        ("%A:~1%", "alue"),
        ("%A:~0,2%", "va"),
        ("%A:~-2%", "ue"),
        ("%A:~0,-1%", "valu"),
        ("%A:al=X%", "vXue"),
        ("%A:AL=%", "vue"),
        ("%A:*l=%", "ue"),
        ("%%A%%", "%value%"),
        ("${A}", "${A}"),
        ("%A:nothing%", "%A:nothing%"),
    ],
)
def test_percent_signs_on_a_command_line(line: str, wanted: str) -> None:
    assert expand_percent(line, {"A": "value"}.get if line != "%a%x" else lambda name: "value" if name.upper() == "A" else None, batch=False) == wanted  # fmt: skip


def test_percent_signs_in_a_script() -> None:
    assert expand_percent("%UNKNOWN%-%%i-%1-%*-%~nx1", {}.get, batch=True, arguments=("s.cmd", r"C:\a\b.txt", "x")) == (
        r"-%i-C:\a\b.txt-C:\a\b.txt x-b.txt"
    )


def test_a_line_is_expanded_before_it_runs() -> None:
    after = run(r"set A=new&& echo %A%> C:\f.txt", stage(environment=(("A", "old"),))).state
    assert text_of(after, "/f.txt") == b"old\r\n"


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (r"echo hello>C:\f", b"hello\r\n"),
        (r"echo hello > C:\f", b"hello \r\n"),
        (r"echo a^&b^^>C:\f", b"a&b^\r\n"),
        (r'echo "a & b">C:\f', b'"a & b"\r\n'),
        (r"echo.>C:\f", b"\r\n"),
        (r"(echo one& echo two)>C:\f", b"one\r\ntwo\r\n"),
        (r"echo one>C:\f& echo two>>C:\f", b"one\r\ntwo\r\n"),
        (r"> C:\f echo behind", b"behind\r\n"),
        (r"echo a 1>C:\f 2>&1", b"a  \r\n"),
        (r"if 1==1 (echo yes>C:\f) else echo no>C:\f", b"yes\r\n"),
        (r'if /i "A"=="a" echo same>C:\f', b"same\r\n"),
        (r"if not defined NOPE echo none>C:\f", b"none\r\n"),
        (r"if 10 gtr 9 echo more>C:\f", b"more\r\n"),
        (r"for %i in (a,b c) do @echo %i>>C:\f", b"a\r\nb\r\nc\r\n"),
        (r"for /l %i in (1,2,5) do echo %i>>C:\f", b"1\r\n3\r\n5\r\n"),
        (r'for /f "tokens=2 delims=," %i in ("x,y,z") do echo %i>C:\f', b"y\r\n"),
        (r"for /f %i in ('echo out') do echo %i>C:\f", b"out\r\n"),
        (r"cd Windows && cd>C:\f", b"C:\\Windows\r\n"),
        (r"pushd Windows& popd& cd>C:\f", b"C:\\\r\n"),
        (r"set /a 1+2*3>C:\f", b"7"),
        (r"cmd /c echo inner>C:\f", b"inner\r\n"),
        (r'cmd /c "echo a & echo b">C:\f', b"a \r\nb\r\n"),
        (r"ver>nul & echo x>C:\f", b"x\r\n"),
        (r"echo first| more >C:\f", b"first\r\n"),
        (r"type nul >C:\f", b""),
        (r"mkdir Windows 2>nul || echo failed>C:\f", b"failed\r\n"),
        (r"call echo %PATHEXT%>C:\f", b".COM;.EXE;.BAT;.CMD\r\n"),
    ],
)
def test_what_is_written(command: str, data: bytes) -> None:
    assert text_of(run(command).state, "/f") == data


def test_unquoted_words_make_directories_of_their_own() -> None:
    after = run("mkdir %D%", stage(environment=(("D", r"C:\two words"),))).state
    assert there(after, "/two")
    assert there(after, "/words")
    assert not there(after, "/two words")
    assert there(run('mkdir "%D%"', stage(environment=(("D", r"C:\two words"),))).state, "/two words")


def test_a_directory_that_is_there_fails_the_step() -> None:
    found = refuse("mkdir Windows")
    assert found.fails
    assert "already exists" in found.reason
    run("if not exist Windows mkdir Windows")


def test_a_slash_in_a_path_of_mkdir_is_a_switch() -> None:
    assert refuse("mkdir a/b").fails
    assert there(run('mkdir "a/b"').state, "/a/b")


@pytest.mark.parametrize(
    "command",
    [
        "del nothing.txt",
        r"del /q C:\nothing",
        "rem mkdir Windows",
        "title x",
        "exit /b 0",
        "ver",
        "echo x 2>nul",
        "@echo off",
        "timeout /t 5",
        "ping -n 3 127.0.0.1 >nul",
    ],
)
def test_these_change_nothing(command: str) -> None:
    assert run(command).edits == ()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("exit 3", 3),
        ("exit /b 4", 4),
        ("nothere.exe", 9009),
        ("cd nowhere", 1),
        ("rmdir nowhere", 2),
        ("(", 255),
        ("copy a b", 1),
    ],
)
def test_steps_that_fail(command: str, status: int) -> None:
    found = refuse(command)
    assert found.fails
    assert f"exit code {status}" in found.reason


def test_files_are_copied_moved_renamed_and_removed() -> None:
    state = stage({"in/a.txt": b"a", "in/sub/b.txt": b"b"})
    after = run(
        r"copy in\a.txt out.txt && move in\a.txt moved.txt && ren moved.txt new.txt && rmdir /s /q in", state
    ).state
    assert text_of(after, "/out.txt") == b"a"
    assert text_of(after, "/new.txt") == b"a"
    assert not there(after, "/moved.txt")
    assert not there(after, "/in/sub/b.txt")


def test_what_would_ask_is_impossible() -> None:
    state = stage({"a": b"1", "b": b"2"})
    assert "/y" in refuse("copy a b", state).advice
    assert text_of(run("copy /y a b", state).state, "/b") == b"1"
    assert "/q" in refuse("rmdir /s Windows").advice


def test_a_directory_with_something_in_it_needs_s() -> None:
    assert refuse("rmdir d", stage({"d/x": b""})).fails


def test_xcopy_and_robocopy() -> None:
    state = stage({"in/a.txt": b"a", "in/sub/b.txt": b"b", "in/empty": None})
    after = run(r"xcopy in out /e /i /y", state).state
    assert text_of(after, "/out/sub/b.txt") == b"b"
    assert there(after, "/out/empty")
    assert not there(run(r"xcopy in out /s /i /y", state).state, "/out/empty")
    assert "directory" in refuse("xcopy in out /e", state).reason
    found = refuse("robocopy in out /e", state)
    assert "exit code 1" in found.reason
    assert text_of(run("robocopy in out /e || exit /b 0", state).state, "/out/a.txt") == b"a"


def test_setx_of_the_path_takes_what_there_is_while_building() -> None:
    edit = only(run(r'setx /M PATH "%PATH%;C:\x"'))
    assert isinstance(edit, SetVariable)
    assert edit == SetVariable(
        "PATH", r"C:\Windows\system32;C:\Windows;C:\Windows\System32\WindowsPowerShell\v1.0;C:\x"
    )
    assert only(run(r'setx path "C:\x" /M')) == SetVariable("path", r"C:\x")
    # With ENV PATH the step sees that one, and the registry's is lost.
    assert only(
        run(r'setx /M PATH "%PATH%;C:\x"', stage(environment=(("PATH", r"C:\Windows\System32"),)))
    ) == SetVariable("PATH", r"C:\Windows\System32;C:\x")


def test_the_next_step_sees_a_variable_that_setx_set() -> None:
    after = run(r"setx /M TOOL C:\tool").state
    assert text_of(run(r"echo %TOOL%>C:\f", after).state, "/f") == b"C:\\tool\r\n"
    assert text_of(run(r"setx /M TOOL C:\tool & echo %TOOL%>C:\f").state, "/f") == b"%TOOL%\r\n"


def test_setx_without_m_is_for_the_account_and_says_so() -> None:
    outcome = run(r"setx TOOL C:\tool")
    assert only(outcome) == SetVariable("TOOL", r"C:\tool", "user")
    assert any("ContainerAdministrator alone" in note for note in outcome.notes)


def test_setx_drops_what_is_beyond_1024_characters() -> None:
    outcome = run(f"setx /M LONG {'x' * 2000}")
    edit = only(outcome)
    assert isinstance(edit, SetVariable)
    assert edit.value == "x" * 1024
    assert any("1024" in note for note in outcome.notes)


def test_a_user_without_rights_cannot_change_the_machine() -> None:
    found = refuse(r"setx /M A B", stage(user="ContainerUser"))
    assert found.fails
    assert "ContainerUser" in found.reason
    run(r"setx /M A B", stage(flavour="nanoserver", user="ContainerAdministrator"))
    assert refuse(r"setx /M A B", stage(flavour="nanoserver")).fails


def test_a_download_is_asked_for_and_then_unpacked() -> None:
    command = r"curl -fsSL -o t.zip https://registry.example/t.zip && tar -xf t.zip -C C:\ && del t.zip"
    first = lower(command, state=stage())
    assert isinstance(first, Needs)
    assert first.operation == Download("https://registry.example/t.zip", r"C:\t.zip")
    answers = [fetched(b"PK"), unpacked(**{"tool/x.exe": b"MZ", "tool/readme": b"r"})]
    after = run(command, answers=answers)
    assert text_of(after.state, "/tool/x.exe") == b"MZ"
    assert not there(after.state, "/t.zip")
    assert not after.decided_late
    planned = run(command, plan_stage())
    assert planned.decided_late
    assert lines(planned) == [
        r"download https://registry.example/t.zip to C:\t.zip",
        r"extract C:\t.zip into C:\ ".rstrip(),
        r"remove C:\t.zip",
    ]


def test_an_archive_whose_members_lead_out_is_refused() -> None:
    found = refuse(r"tar -xf t.tar", stage({"t.tar": b"x"}), answers=[unpacked(**{"../evil": b""})])
    assert "leads out" in found.reason


def test_links() -> None:
    outcome = run("FOR %i in (cat dog) do (mklink %i.exe b.exe)", stage({"b.exe": b"MZ"}))
    assert outcome.edits == (MakeLink(r"C:\cat.exe", "b.exe"), MakeLink(r"C:\dog.exe", "b.exe"))
    assert text_of(outcome.state, "/cat.exe") == b"MZ"
    assert refuse("mklink Windows b.exe").fails
    assert text_of(run(r"mklink /h hard.exe b.exe", stage({"b.exe": b"MZ"})).state, "/hard.exe") == b"MZ"


def test_verification_needs_the_program() -> None:
    run("app.exe --version", stage({"app.exe": b"MZ"}))
    assert refuse("app.exe --version").fails
    found = refuse("app.exe --serve", stage({"app.exe": b"MZ"}))
    assert not found.fails
    assert found.advice


def test_json_form_runs_the_program_itself() -> None:
    outcome = run(["cmd", "/c", r"echo x>C:\f"])
    assert text_of(outcome.state, "/f") == b"x\r\n"
    assert refuse([]).fails


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("msiexec /i x.msi /quiet", "MSI"),
        ("choco install git", "choco"),
        ("echo %RANDOM%", "machine"),
        ("echo %COMPUTERNAME%>x", "machine"),
        ("start notepad", "beside"),
        (r"copy D:\x y", "drive D:"),
        (r"copy \\server\share\x y", "network"),
        ("curl -u me:secret https://registry.example/x -o x", "--user"),
    ],
)
def test_what_cannot_be_lowered_says_why_and_what_to_write(command: str, word: str) -> None:
    state = stage({"Windows/System32/choco.exe": b"MZ"})
    found = refuse(command, state)
    assert not found.fails
    assert word in found.reason


def test_a_script_of_the_context_is_read() -> None:
    script = (
        "@echo off\r\nset /a N=1\r\n:again\r\n>>C:\\f echo %N%\r\nset /a N+=1\r\nif %N% leq 3 goto again\r\n"
        "call :sub word\r\nexit /b 0\r\n:sub\r\necho sub %1>>C:\\f\r\nif 1==1 (\r\n  echo block>>C:\\f\r\n)\r\ngoto :eof\r\n"
    )
    after = run("setup.cmd", stage({"setup.cmd": script.encode()})).state
    assert text_of(after, "/f") == b"1\r\n2\r\n3\r\nsub word\r\nblock\r\n"


def test_a_loop_without_end_is_stopped() -> None:
    found = refuse("loop.cmd", stage({"loop.cmd": b":a\r\ngoto a\r\n"}))
    assert "end" in found.reason
    assert "deeply" in refuse("self.cmd", stage({"self.cmd": b"call self.cmd\r\n"})).reason


def test_the_state_before_is_not_changed() -> None:
    state = stage()
    run(r"mkdir C:\x && setx /M A B", state)
    assert not there(state, "/x")
    assert state.registry.changes == ()


def test_a_run_is_never_expanded_by_docker() -> None:
    # ${NAME} means nothing to cmd: it is written as it stands, also where an ARG has that name.
    state = stage(environment=(("MACHINEGUID", "1-2-3"),))
    after = run(
        r"reg add HKLM\SOFTWARE\Microsoft\Cryptography /v MachineGuid /t REG_SZ /d ${MACHINEGUID} /f", state
    ).state
    value = after.registry.value(r"HKLM\SOFTWARE\Microsoft\Cryptography", "MachineGuid")
    assert value is not None
    assert value.data.decode("utf-16-le") == "${MACHINEGUID}\0"


def test_current_control_set_is_the_one_that_select_names() -> None:
    after = run(r"reg add hklm\system\currentcontrolset\control /v WaitToKillServiceTimeout /t REG_SZ /d 2000 /f").state
    assert [edit.path for edit in after.registry.edits_of("SYSTEM")] == [r"ControlSet001\control"]
    assert refuse("reg add HKLM\\SOFTWARE\\Microsoft\\Known /v Text /d other").fails
    assert refuse("reg delete HKLM\\SOFTWARE\\Nothing /f").fails
    assert "/f" in refuse("reg delete HKLM\\SOFTWARE\\Microsoft\\Known").advice
    assert refuse("reg add HKLM\\HARDWARE\\X /f").fails


def test_registration_files_and_services() -> None:
    script = b'Windows Registry Editor Version 5.00\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Tool]\r\n"Mode"=dword:00000007\r\n"Gone"=-\r\n'
    after = run("reg import x.reg", stage({"x.reg": script})).state
    value = after.registry.value(r"HKLM\SOFTWARE\Tool", "Mode")
    assert value is not None
    assert value.data == b"\7\0\0\0"
    assert refuse("reg import x.reg", stage({"x.reg": b"no reg file"})).fails
    after = run(
        r'sc create Tool binPath= "C:\tool.exe -s" start= delayed-auto depend= WSearch & sc description Tool "my tool" '
        r"& sc failure Tool reset= 86400 actions= restart/60000/restart/60000// & sc config WSearch start= disabled"
    ).state
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\Tool"
    found = {value.name: value.data for value in after.registry.find(key).values()}
    assert found["Start"] == b"\2\0\0\0"
    assert found["DelayedAutostart"] == b"\1\0\0\0"
    assert found["ImagePath"].decode("utf-16-le") == "C:\\tool.exe -s\0"
    assert found["FailureActions"] == bytes.fromhex(
        "80510100" + "00000000" * 2 + "03000000" + "14000000" + "0100000060ea0000" * 2 + "0000000000000000"
    )
    assert refuse("sc config Nothing start= disabled").fails
    assert refuse("sc config WSearch start= never").fails
    assert after.registry.find(r"HKLM\SYSTEM\CurrentControlSet\Services\Tool") is not None
    assert run("sc delete Tool", after).state.registry.find(key) is None


@pytest.mark.parametrize(
    "command",
    [
        "copy C:\\ C:\\Windows\\x",
        "move C:\\ C:\\Windows",
        "ren C:\\ x",
        "powershell -Command Move-Item C:\\ C:\\Windows\\x -ErrorAction Stop",
        "powershell -Command Rename-Item C:\\ x -ErrorAction Stop",
    ],
)
def test_the_root_has_no_name_and_goes_nowhere(command: str) -> None:
    assert refuse(command).reason


def test_joined_texts_end_with_control_z_and_joined_bytes_do_not() -> None:
    state = stage({"a": b"one\r\n\x1arest", "b": b"two\r\n"})
    assert text_of(run("copy a+b c", state).state, "/c") == b"one\r\ntwo\r\n\x1a"
    assert text_of(run("copy /b a+b c", state).state, "/c") == b"one\r\n\x1aresttwo\r\n"


def test_endings_are_renamed_together() -> None:
    after = run("ren *.txt *.bak", stage({"a.txt": b"1", "b.c.txt": b"2"}))
    assert lines(after) == [r"move C:\a.txt to C:\a.bak", r"move C:\b.c.txt to C:\b.c.bak"]
    assert "pattern" in refuse("ren *.txt ?.bak", stage({"a.txt": b"1"})).reason


def test_advice_for_chocolatey_names_the_package() -> None:
    found = refuse("choco install -y hugo --version 1.2", stage({"Windows/System32/choco.exe": b"MZ"}))
    assert "choco install hugo" in found.reason
    assert "community.chocolatey.org/packages/hugo" in found.advice
    assert "Leave it out" in refuse("choco feature enable -n x", stage({"Windows/System32/choco.exe": b"MZ"})).advice


def test_a_variable_that_is_set_to_nothing_is_noted() -> None:
    found = run("echo [%EMPTY%]>f", stage(environment=(("EMPTY", ""),)))
    assert text_of(found.state, "/f") == b"[]\r\n"
    assert any("not proven" in note for note in found.notes)


def test_a_plan_shows_what_it_cannot_see_as_it_is_written() -> None:
    assert lines(run("xcopy /s /e /y src C:\\dest\\", plan_stage())) == [
        r"make directory C:\dest",
        r"copy C:\src to C:\dest",
    ]
    assert lines(run("for %f in (C:\\a\\*.zip) do tar -xf %f", plan_stage())) == [
        r"extract C:\«C:\a\*.zip» into C:\ ".strip()
    ]
    loop = 'for /f "tokens=1,2 delims=," %i in (list.txt) do mkdir C:\\%i-%j'
    assert lines(run(loop, plan_stage())) == [r"make directory C:\«lines of list.txt»-«lines of list.txt»"]
    assert lines(run("set /p X=<version.txt & call mkdir C:\\%X%", plan_stage()))
    assert run("call setup.bat", plan_stage()).decided_late


def test_names_that_dir_prints_can_be_used() -> None:
    state = stage({"a/z.zip": b"1", "a/b.zip": b"2", "a/sub/x": b"3"})
    loop = "for /f %i in ('dir /b /a-d C:\\a') do mkdir C:\\%~ni"
    assert lines(run(loop, state)) == [r"make directory C:\b", r"make directory C:\z"]
    assert "not known" in refuse("for /f %i in ('dir C:\\a') do mkdir C:\\%i", state).reason


def test_nanoservers_certoc_is_certutil() -> None:
    assert lines(run("certoc.exe -addstore root ca.crt", plan_stage())) == lines(
        run("certutil -addstore root ca.crt", plan_stage())
    )
    assert "not lowered" in refuse("certoc -ImportPFX x", plan_stage()).reason


def test_what_only_prints_is_left_out() -> None:
    for command in ("hostname", "ipconfig /all", "systeminfo", "whoami"):
        assert not run(command, plan_stage()).edits
    assert (
        "not known"
        in refuse("for /f %i in ('hostname') do echo %i>C:\\f", stage({"Windows/System32/hostname.exe": b"MZ"})).reason
    )
