"""The command line: what it answers, where it answers, and with which exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import types

import pytest

from wingo import errors
from wingo.cli import exit_codes
from wingo.cli import main as command_line
from wingo.cli.exit_codes import exit_code
from wingo.cli.main import COMMANDS, build_parser, load_command, main
from wingo.cli.render import Console
from wingo.version import VERSION


class FakeHost:
    """A machine that only says something."""

    def __init__(self, **options):
        self.out, self.err = io.StringIO(), io.StringIO()
        self.console = Console(self.out, self.err, **options)
        self.stopped = 0

    def stop(self):
        self.stopped += 1


@pytest.fixture
def fake(monkeypatch):
    """Puts a command in the place of `wingo logout`."""

    def put(action):
        def configure(parser):
            parser.add_argument("rest", nargs="*")
            parser.add_argument("-q", "--quiet", action="store_true")

        command = types.SimpleNamespace(configure=configure, run=action)
        monkeypatch.setattr(command_line, "load_command", lambda _: command)

    return put


def raising(error):
    def action(args, host):
        raise error

    return action


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_help_goes_to_stdout(argv, capsys):
    # argparse ends the process itself
    with contextlib.suppress(SystemExit) if argv else contextlib.nullcontext():
        assert main(argv) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for name, summary in COMMANDS.items():
        assert name in printed.out
        assert summary in printed.out


def test_the_version_goes_to_stdout(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    printed = capsys.readouterr()
    assert printed.out == f"wingo {VERSION}\n"
    assert printed.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"usage: wingo {name} ")
    assert callable(load_command(name).run)


def test_the_whole_parser_has_every_commands_arguments():
    whole = build_parser()
    one = build_parser(only="build")
    assert whole.parse_args(["build", "--push"]).push is True
    assert one.parse_args(["build", "--push"]).push is True
    assert whole.parse_args(["completion", "zsh"]).shell == "zsh"
    with pytest.raises(errors.RequestError):
        one.parse_args(["completion", "zsh"])


@pytest.mark.parametrize(
    ("argv", "problem", "hint"),
    [
        (["biuld"], "there is no command 'biuld'", "Did you mean 'wingo build'?"),
        (["BUILD"], "there is no command 'BUILD'", "Did you mean 'wingo build'?"),
        (["frobnicate"], "there is no command 'frobnicate'", "Run 'wingo --help' to see the commands."),
        (["build", "--psuh"], "wingo build does not know '--psuh'", "Did you mean --push?"),
        (["build", "--platfrom=x"], "wingo build does not know '--platfrom=x'", "Did you mean --platform?"),
        (
            ["build", "--qqqqqq"],
            "wingo build does not know '--qqqqqq'",
            "Run 'wingo build --help' to see what it takes.",
        ),
        # no abbreviations: a new flag must not change what an old line means
        (["build", "--plat", "all"], "wingo build does not know '--plat'", "Did you mean --platform?"),
        (["build", ".", "--push", "./x"], "--push needs a name", "-t REGISTRY/NAME:TAG"),
        (["completion", "bash", "zsh"], "wingo completion does not know 'zsh'", "Run 'wingo completion --help'"),
        (["build", "--platform"], "--platform: expected one argument", "--platform=-x"),
        (["build", "--push=yes"], "--push: ignored explicit argument 'yes'", "Run 'wingo build --help'"),
        (["completion"], "required: shell", "Run 'wingo completion --help'"),
        (["completion", "csh"], "invalid choice: 'csh'", "Run 'wingo completion --help'"),
        (["--quiet"], "wingo does not know '--quiet'", "after the command"),
        (["-q", "build"], "wingo does not know '-q'", "after the command"),
    ],
)
def test_what_it_does_not_know_is_an_error_with_a_hint(argv, problem, hint, capsys):
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert problem in printed.err
    assert hint in printed.err
    assert "Traceback" not in printed.err
    assert "usage:" not in printed.err


ERRORS = [
    (errors.ChecksFailed(["x"]), 1),
    (errors.RequestError("m"), 2),
    (errors.HostError("m"), 3),
    (errors.ToolFailed(["go", "build"], 1, "t"), 3),
    (errors.RemoteError("m"), 4),
    (errors.ContentError("m"), 5),
    (errors.DigestMismatch("w", "a", "b"), 5),
    (errors.SizeMismatch("w", 1, 2), 5),
    (errors.Malformed("f", "p"), 5),
    (errors.TrustError("m"), 6),
]


def branches(kind=errors.WingoError):
    for branch in kind.__subclasses__():
        yield branch
        yield from branches(branch)


def test_every_error_of_the_tree_is_tried():
    own = {branch for branch in branches() if branch.__module__ == "wingo.errors"}
    assert {type(error) for error, _ in ERRORS} == own


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda item: type(item).__name__)
def test_every_branch_of_errors_has_its_exit_code(error, code, fake):
    fake(raising(error))
    host = FakeHost()
    assert main(["logout"], host) == code == exit_code(error)
    assert host.out.getvalue() == ""
    assert host.err.getvalue() == f"error: {error}\n"
    assert host.stopped == 1


def test_the_codes_are_told_apart():
    assert len({exit_code(error) for error, _ in ERRORS}) == 6
    assert exit_codes.OK not in {exit_code(error) for error, _ in ERRORS}
    assert exit_codes.INTERRUPTED not in {exit_code(error) for error, _ in ERRORS}


def test_a_hint_has_a_line_of_its_own(fake):
    fake(raising(errors.RequestError("it is wrong", hint="Mend it.")))
    host = FakeHost()
    assert main(["logout"], host) == 2
    assert host.err.getvalue() == "error: it is wrong\nhint: Mend it.\n"


def test_colours_are_for_terminals(fake):
    fake(raising(errors.RequestError("it is wrong", hint="Mend it.")))
    host = FakeHost(drawing=True, colour=True)
    assert main(["logout"], host) == 2
    assert host.err.getvalue() == "\x1b[31merror:\x1b[0m it is wrong\n\x1b[33mhint:\x1b[0m Mend it.\n"


def test_errors_are_told_even_when_quiet(fake):
    fake(raising(errors.RequestError("it is wrong")))
    host = FakeHost(quiet=True)
    assert main(["logout", "-q"], host) == 2
    assert "it is wrong" in host.err.getvalue()


def test_what_others_wrote_cannot_steer_the_terminal(fake):
    fake(raising(errors.RemoteError("evil \x1b[2J\x9b31m\r\b\x00 text\u202e", hint="also \x1b]0;x\x07")))
    host = FakeHost()
    assert main(["logout"], host) == 4
    printed = host.err.getvalue()
    assert all(char == "\n" or char.isprintable() for char in printed), printed
    assert "evil " in printed


def test_a_compilers_lines_stay_lines(fake):
    fake(raising(errors.ToolFailed(["go", "build", "secret"], 1, "./a.go:1:2: no\n\t./b.go:3:4: no\n")))
    host = FakeHost()
    assert main(["logout"], host) == 3
    assert host.err.getvalue() == "error: go build failed with exit status 1\n./a.go:1:2: no\n\t./b.go:3:4: no\n"


def test_ctrl_c_is_said_and_everything_stopped(fake):
    fake(raising(KeyboardInterrupt()))
    host = FakeHost()
    assert main(["logout"], host) == 130
    assert host.out.getvalue() == ""
    assert host.err.getvalue().startswith("interrupted: ")
    assert host.stopped == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "/out/app.tar"), "/out/app.tar: No space left on device"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_the_system_refuses_is_no_traceback(error, message, fake):
    fake(raising(error))
    host = FakeHost()
    assert main(["logout"], host) == 3
    assert host.err.getvalue() == f"error: {message}\n"
    assert host.stopped == 1


def test_a_bug_is_a_traceback_not_a_message(fake):
    fake(raising(AssertionError("a bug")))
    host = FakeHost()
    with pytest.raises(AssertionError, match="a bug"):
        main(["logout"], host)
    assert host.err.getvalue() == ""
    assert host.stopped == 1


def test_a_command_gets_its_arguments_and_gives_its_code(fake):
    seen = []

    def action(args, host):
        seen.append((args.command, args.rest))
        host.console.result("the result")
        host.console.say("a message")
        return 7

    fake(action)
    host = FakeHost()
    assert main(["logout", "a", "b"], host) == 7
    assert seen == [("logout", ["a", "b"])]
    assert host.out.getvalue() == "the result\n"
    assert host.err.getvalue() == "a message\n"


# The console


def test_quiet_leaves_results_and_errors(capsys):
    for argv, quiet in (
        (["build", "-q"], True),
        (["build", "--quiet"], True),
        (["build"], False),
        (["build", "--", "-q"], False),
    ):
        console = Console.for_streams(argv, {})
        assert console.quiet is quiet, argv
        console.result("result")
        console.say("message")
        console.note("note")
        printed = capsys.readouterr()
        assert printed.out == "result\n"
        assert printed.err == ("" if quiet else "message\nnote: note\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_shown_on_terminals_that_want_them(stream, environment, colour, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    assert Console.for_streams([], environment).colour is colour


# The process


def run(program, *argv, **options):
    done = [sys.executable, "-c", f"import sys; sys.argv[1:] = {list(argv)!r}\n{program}"]
    return subprocess.run(done, capture_output=True, text=True, timeout=60, check=False, **options)


ENTRY = "from wingo.cli.main import entry; entry()"


def test_the_process_ends_with_the_code(tmp_path):
    good, bad = run(ENTRY, "completion", "bash", cwd=tmp_path), run(ENTRY, "biuld", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("# Completion of wingo")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.splitlines() == ["error: there is no command 'biuld'", "hint: Did you mean 'wingo build'?"]


def test_a_reader_that_went_away_is_no_error(tmp_path):
    done = subprocess.run(
        [
            "bash",
            "-c",
            'set -o pipefail; "$0" -c "$1" | head -c 1',
            sys.executable,
            f"import sys; sys.argv[1:] = ['completion', 'zsh']\n{ENTRY}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_under_stdout_is_said(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv[1:] = ['completion', 'bash']\n{ENTRY}"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number, tmp_path):
    program = f"""
import os, types, wingo.cli.main as line
def action(args, host):
    print("begun", flush=True)
    try:
        os.kill(os.getpid(), {int(number)})
        import time; time.sleep(30)
    finally:
        print("tidied up", flush=True)
line.load_command = lambda name: types.SimpleNamespace(configure=lambda parser: None, run=action)
line.entry()
"""
    done = run(program, "logout", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stdout == "begun\ntidied up\n"
    assert done.stderr.startswith("interrupted: ")
    assert "Traceback" not in done.stderr


def test_a_directory_that_is_gone_is_said(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run(f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n{ENTRY}", "completion", "bash")
    assert done.returncode == 3
    assert done.stderr.startswith("error: the current directory does not exist any more\n")
