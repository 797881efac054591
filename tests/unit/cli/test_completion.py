"""The completion scripts. What zsh, fish and a real terminal make of them is in tests/system."""

from __future__ import annotations

import argparse
import re
import subprocess

import pytest

from tests.needs import need_tool
from wingo.cli.completion import script
from wingo.cli.main import COMMANDS, build_parser, main
from wingo.pipeline.settings import SETTINGS

SHELLS = ("bash", "zsh", "fish", "powershell")


@pytest.fixture(scope="module")
def scripts():
    parser = build_parser()
    return {shell: script(shell, parser) for shell in SHELLS}


@pytest.fixture(scope="module")
def complete(scripts, tmp_path_factory):
    """Asks bash for the completions of a line, its last word being the one under the cursor."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "wingo.bash").write_text(scripts["bash"])
    place = folder / "here"
    place.mkdir()
    (place / "cmd").mkdir()
    (place / "a b.toml").touch()
    (place / "config.toml").touch()
    bash = need_tool("bash")

    def ask(line):
        # As readline does: "=" and ":" are words of their own.
        words = [word for part in line.split(" ") for word in (re.split(r"([=:]+)", part) if part else [part])]
        words = [word for number, word in enumerate(words) if word or number == len(words) - 1]
        if words[-1] == "" and len(words) > 1 and words[-2] in (":", "="):
            words.pop()
        program = (
            'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wingo; '
            'for item in "${COMPREPLY[@]}"; do printf "%s\\n" "$item"; done'
        )
        asked = [bash, "--norc", "-c", program, "bash", str(folder / "wingo.bash"), *words]
        done = subprocess.run(asked, cwd=place, capture_output=True, text=True, check=True, timeout=30)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return ask


def test_every_command_is_offered(complete):
    assert complete("wingo ") == list(COMMANDS)
    assert complete("wingo pu") == ["push", "pull"]
    assert complete("wingo nothing-like-it") == []
    assert complete("wingo --v") == ["--version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_every_command_is_offered_and_nothing_else(complete, command):
    parser = build_parser(only=command)
    choices = next(item.choices for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    known = {name for action in choices[command]._actions for name in action.option_strings}
    assert set(complete(f"wingo {command} -")) == known
    assert "--help" in known


def test_every_setting_with_a_flag_is_among_builds(complete):
    assert {f"--{setting.name}" for setting in SETTINGS if setting.flag} <= set(complete("wingo build --"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("wingo build --platform ltsc202", ["ltsc2022", "ltsc2025"]),
        ("wingo build --platform=ltsc202", ["ltsc2022", "ltsc2025"]),
        ("wingo build --platform ltsc2019,ltsc202", ["ltsc2019,ltsc2022", "ltsc2019,ltsc2025"]),
        ("wingo build --platform=a", ["all"]),
        ("wingo pull --platform a", []),
        ("wingo build --base s", ["servercore", "static", "scratch"]),
        ("wingo build --metadata-file c", ["cmd", "config.toml"]),
        ("wingo build --metadata-file=con", ["config.toml"]),
        ("wingo build --ca-file a", ["a b.toml"]),
        ("wingo build --user ", []),
        ("wingo build -t ", []),
        ("wingo build -t c", []),
        ("wingo build c", ["cmd"]),
        ("wingo build . c", ["cmd"]),
        ("wingo build --push c", ["cmd"]),
        ("wingo build --user me --push -t localhost:5000/app:v1 c", ["cmd"]),
        ("wingo build -- --p", []),
        ("wingo build -o oci", ["oci:", "oci-archive:"]),
        ("wingo build -o oci:c", ["cmd", "config.toml"]),
        ("wingo build --output=oci-archive:con", ["config.toml"]),
        ("wingo build -t r.io:c", []),
        ("wingo push d", ["docker-archive:"]),
        ("wingo push oci:cm", ["cmd"]),
        ("wingo push oci:cmd ", []),
        ("wingo pull x f", ["files:"]),
        ("wingo pull x oci:y f", ["files:"]),
        ("wingo base ", ["list", "pull", "show"]),
        ("wingo base --json ", ["list", "pull", "show"]),
        ("wingo base --jobs 3 ", ["list", "pull", "show"]),
        ("wingo base --jobs=3 p", ["pull"]),
        ("wingo base pull n", ["nanoserver"]),
        ("wingo base pull nanoserver serv", ["servercore"]),
        ("wingo completion ", ["bash", "zsh", "fish", "powershell"]),
        ("wingo completion bash ", []),
        ("wingo unknown ", []),
        ("wingo unknown -", []),
    ],
)
def test_what_is_offered(complete, line, offered):
    assert sorted(complete(line)) == sorted(offered)


def test_files_are_offered_where_the_help_says_file(complete):
    assert sorted(complete("wingo build --metadata-file ")) == ["a b.toml", "cmd", "config.toml"]
    assert sorted(complete("wingo build -o oci:")) == ["a b.toml", "cmd", "config.toml"]


@pytest.mark.parametrize("shell", SHELLS)
def test_no_script_runs_wingo(scripts, shell):
    """A Tab must be instant: the name stands there for the shell to know it, never to be run."""
    started = re.compile(r"\$\(\s*wingo|`wingo (?!completion)|<\(wingo|\| *wingo|& *wingo")
    assert not started.search(scripts[shell])


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_knows_every_command_and_flag(scripts, shell):
    text = scripts[shell]
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", text), name
    for setting in SETTINGS:
        if setting.flag:
            assert (f"-l {setting.name} " if shell == "fish" else f"--{setting.name}") in text, setting.name
    assert "@" not in re.sub(r"\$@|\"\$\{[^}]*@[^}]*\}\"|@\(|@\{", "", text)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_same_parser_gives_the_same_script(scripts, shell):
    assert script(shell, build_parser()) == scripts[shell]


def hostile_parser():
    parser = argparse.ArgumentParser(prog="wingo")
    commands = parser.add_subparsers()
    odd = commands.add_parser("odd", help='it\'s a [thing]: \\ $(touch pwned) `touch pwned` "x"')
    odd.add_argument("--flag", choices=("a", "b"), help='it\'s a [thing]: \\ $(touch pwned) 100%% "x"')
    return parser


def test_help_texts_cannot_break_out_of_the_script(tmp_path):
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / shell).write_text(script(shell, hostile_parser()))
    subprocess.run([need_tool("bash"), "-n", tmp_path / "bash"], check=True, timeout=30)
    text = (tmp_path / "fish").read_text()
    assert r"-d 'it\'s a [thing]: \\ $(touch pwned) 100% " in text
    assert r"[it'\''s a \[thing\]\: \\ $(touch pwned) 100% " in (tmp_path / "zsh").read_text()


def balanced(text):
    """Whether brackets and quotes close in the right order, outside of PowerShell's single-quoted texts."""
    stack = []
    for piece in re.sub(r"'(?:[^']|'')*'", "", re.sub(r"(?m)^\s*#.*$", "", text)):
        if piece in "({[":
            stack.append({"(": ")", "{": "}", "[": "]"}[piece])
        elif (piece in ")}]" and (not stack or stack.pop() != piece)) or piece == "'":
            return False
    return not stack


def test_the_powershell_script_is_well_formed(scripts):
    """By structure alone: there is no PowerShell on the machines that test wingo."""
    for text in (scripts["powershell"], script("powershell", hostile_parser())):
        assert balanced(text)
    text = scripts["powershell"]
    assert "Register-ArgumentCompleter -Native -CommandName wingo" in text
    assert "'build --base' = [ordered]@{ 'nanoserver' = 'nanoserver'; 'servercore' = 'servercore'" in text
    assert "'build --metadata-file' = $null" in text
    assert "'base 0' = [ordered]@{ 'list' = 'list'; 'pull' = 'pull'; 'show' = 'show' }" in text
    assert "'base *' = [ordered]@{ 'nanoserver'" in text
    assert re.search(r"'build' = \[ordered\]@\{ .*'--push' = 'push the image under its names'", text)
    assert "'it''s a [thing]" in script("powershell", hostile_parser())


def test_the_check_of_the_structure_can_fail():
    assert not balanced("{ ( } )")
    assert not balanced("@{ 'a' = 'it's' }")
    assert not balanced("{")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script_and_nothing_else(scripts, shell, capsys):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr()
    assert printed.out == scripts[shell]
    assert printed.err == ""


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "tcsh" in printed.err
    assert "powershell" in printed.err
