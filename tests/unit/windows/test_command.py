"""Command lines, entrypoints, working directories and accounts."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.windows.command import (
    command_line,
    host_process_path,
    plan_entrypoint,
    quote_argument,
    split_command_line,
    user_name,
    working_directory,
)


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a\tb", '"a\tb"'),
        (r"C:\x\y", r"C:\x\y"),
        ("C:\\a b\\", '"C:\\a b\\\\"'),
        ('say "hi"', r'"say \"hi\""'),
        ('"', r'"\""'),
        ("\\\\", "\\\\"),
        ('a\\"b', r'"a\\\"b"'),
        ('a\\\\"', r'"a\\\\\""'),
        ("%PATH%", "%PATH%"),
    ],
)
def test_arguments_are_quoted_as_they_are_read(argument: str, quoted: str) -> None:
    assert quote_argument(argument) == quoted
    assert split_command_line(f"x.exe {quoted}") == ("x.exe", argument)


# The examples of Microsoft's "Parsing C++ command-line arguments", behind a program's name; `""` as Go and msvcrt.dll read it.
@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (r'"a b c" d e', ("a b c", "d", "e")),
        (r'"ab\"c" "\\" d', ('ab"c', "\\", "d")),
        (r'a\\\b d"e f"g h', (r"a\\\b", "de fg", "h")),
        (r"a\\\"b c d", (r"a\"b", "c", "d")),
        (r'a\\\\"b c" d e', (r"a\\b c", "d", "e")),
        ('a"b"" c d', ('ab"', "c", "d")),
        ('-o"""C: y\\""" z', ('-o"C:', 'y"', "z")),
        ('"""a b""" c', ('"a', 'b"', "c")),
        ("  a \t b  ", ("a", "b")),
        ('""', ("",)),
        ("", ()),
    ],
)
def test_lines_are_split_as_windows_does(line: str, arguments: tuple[str, ...]) -> None:
    assert split_command_line(f"x.exe {line}") == ("x.exe", *arguments)


def test_the_programs_name_has_rules_of_its_own() -> None:
    assert split_command_line(r'"C:\a b\x.exe" y') == (r"C:\a b\x.exe", "y")
    assert split_command_line(r"C:\a\x.exe") == (r"C:\a\x.exe",)
    assert split_command_line("  ") == ()
    assert command_line([r"C:\a b\x.exe", "y z"]) == r'"C:\a b\x.exe" "y z"'
    assert command_line(["C:\\a\\x.exe"]) == "C:\\a\\x.exe"


@pytest.mark.parametrize("arguments", [[], [""], ['a"b.exe'], ["a\0.exe"], ["a.exe", "b\0"], ["a.exe", "x" * 32_762]])
def test_impossible_command_lines_are_refused(arguments: list[str]) -> None:
    with pytest.raises(RequestError):
        command_line(arguments)


def test_the_longest_command_line_is_taken() -> None:
    assert len(command_line(["a.exe", "x" * 32_760])) == 32_766
    with pytest.raises(RequestError, match="32766"):
        command_line(["a.exe", "😀" * 16_381])


@pytest.mark.parametrize("program", [r"C:\app\server.exe", "c:/app/server.exe", "/app/server.exe", r"app\server.exe"])
def test_an_entrypoint_is_a_whole_path(program: str) -> None:
    assert plan_entrypoint(program, ["--x", "a b"]) == (r"C:\app\server.exe", "--x", "a b")


@pytest.mark.parametrize(
    ("program", "arguments", "says"),
    [
        (r"C:\app\server", [], "no .exe"),
        (r"C:\app\.exe", [], "no .exe"),
        ("C:\\", [], "no .exe"),
        (r"C:\app\run.cmd", [], "script"),
        (r"C:\app\run.BAT", [], "script"),
        (r"C:\app\run.ps1", [], "script"),
        (r"D:\app\x.exe", [], "no drive D:"),
        (r"C:\app\x.exe", ["a\0b"], "NUL"),
        (r"C:\app\x.exe", ["x" * 40_000], "characters"),
    ],
)
def test_what_windows_does_not_start_is_refused(program: str, arguments: list[str], says: str) -> None:
    with pytest.raises(RequestError) as caught:
        plan_entrypoint(program, arguments)
    assert says in str(caught.value)


def test_working_directories_have_backslashes() -> None:
    assert working_directory("/app/data/") == working_directory("c:/app/data") == r"C:\app\data"
    assert working_directory("/") == "C:\\"
    with pytest.raises(RequestError):
        working_directory(r"E:\x")


def test_a_host_process_finds_its_image_by_a_variable() -> None:
    root = "%CONTAINER_SANDBOX_MOUNT_POINT%"
    assert plan_entrypoint("/app/x.exe", ["C:\\y"], host_process=True) == (rf"{root}\app\x.exe", r"C:\y")
    assert working_directory("/app/data", host_process=True) == host_process_path(r"C:\app\data") == rf"{root}\app\data"
    assert host_process_path("/") == root
    with pytest.raises(RequestError, match=r"no \.exe"):
        plan_entrypoint("/app/x", host_process=True)


def test_a_host_process_runs_as_an_account_of_the_host() -> None:
    assert user_name(r"NT AUTHORITY\SYSTEM", host_process=True) == r"NT AUTHORITY\SYSTEM"
    for account in ("ContainerUser", "containeradministrator"):
        with pytest.raises(RequestError, match="HostProcess") as caught:
            user_name(account, host_process=True)
        assert "SYSTEM" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x" * 104, "x" * 104),
        ("d" * 255 + r"\x", "d" * 255 + r"\x"),
        ("containeruser", "ContainerUser"),
        ("ContainerAdministrator", "ContainerAdministrator"),
        (r"NT AUTHORITY\SYSTEM", r"NT AUTHORITY\SYSTEM"),
        (r"corp.example\svc-app", r"corp.example\svc-app"),
        ("gMSA$", "gMSA$"),
    ],
)
def test_accounts_are_taken(text: str, name: str) -> None:
    assert user_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65532",
        "1000:1000",
        "root",
        "nobody:nogroup",
        "\\x",
        "a\\",
        "a\\b\\c",
        "a/b",
        "...",
        "a*",
        "x" * 105,
        "a\0",
    ],
)
def test_other_accounts_are_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        user_name(text)
    assert "ContainerUser" in caught.value.hint
