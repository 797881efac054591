"""The completion scripts in real shells: bash and zsh on a terminal, with a Tab; fish by its own `complete -C`."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time

import pytest

from tests.needs import need_tool
from wingo.cli.completion import script
from wingo.cli.main import COMMANDS, build_parser

SECONDS = 30


@pytest.fixture
def folder(tmp_path):
    parser = build_parser()
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"_wingo.{shell}").write_text(script(shell, parser))
    (tmp_path / "here" / "cmd" / "server").mkdir(parents=True)
    (tmp_path / "here" / "config.toml").touch()
    return tmp_path


class Terminal:
    """A shell on a terminal of its own; `^X` makes it show the line as it stands."""

    def __init__(self, argv, folder):
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.chdir(folder / "here")
            os.execve(argv[0], argv, {"TERM": "dumb", "PATH": os.environ["PATH"], "HOME": str(folder), "PS1": "> "})
        self.seen = ""

    def send(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        limit = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, limit - time.monotonic()))
            if not ready:
                pytest.fail(f"the shell did not answer {pattern!r}: {self.seen!r}")
            try:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                pytest.fail(f"the shell ended before {pattern!r}: {self.seen!r}")
        self.seen = self.seen[found.end() :]
        return found

    def complete(self, line):
        self.send(f"{line}\t")
        # The Tab is over when the shell reads the next key.
        self.send("\x18")
        shown = self.wait_for(r"LINE<([^>]*)>")[1]
        self.send("\x15")
        return shown

    def close(self):
        os.close(self.master)
        os.waitpid(self.process, 0)


LINES = [
    ("wingo comp", "wingo completion "),
    ("wingo build --metadata-f", "wingo build --metadata-file"),
    ("wingo build --platform windows/a", "wingo build --platform windows/a"),
    ("wingo build --platform windows/am", "wingo build --platform windows/amd64"),
    ("wingo build --platform ltsc2019,linux/am", "wingo build --platform ltsc2019,linux/amd64"),
    ("wingo build --base nano", "wingo build --base nanoserver "),
    ("wingo build cm", "wingo build cmd/"),
    ("wingo build --ca-file conf", "wingo build --ca-file config.toml "),
    ("wingo build -o docker", "wingo build -o docker-archive:"),
    ("wingo build -o oci:conf", "wingo build -o oci:config.toml "),
    ("wingo push oci:cm", "wingo push oci:cmd/"),
    ("wingo build -t conf", "wingo build -t conf"),
    ("wingo base pu", "wingo base pull "),
    ("wingo base pull host", "wingo base pull hostprocess "),
    ("wingo base --jobs 3 sh", "wingo base --jobs 3 show "),
    ("wingo completion pow", "wingo completion powershell "),
]


@pytest.fixture
def bash(folder):
    terminal = Terminal([need_tool("bash"), "--norc", "--noprofile", "-i"], folder)
    terminal.send("bind 'set enable-bracketed-paste off'; bind 'set bell-style none'\n")
    terminal.send(f"source {folder}/_wingo.bash\n")
    terminal.send("""bind -x '"\\C-x": printf "LINE<%s>\\n" "$READLINE_LINE"'\necho rea''dy\n""")
    terminal.wait_for("ready")
    yield terminal
    terminal.close()


def test_bash_completes_lines(bash):
    for line, completed in LINES:
        assert bash.complete(line).rstrip() == completed.rstrip(), line


@pytest.fixture
def zsh(folder):
    terminal = Terminal([need_tool("zsh"), "-f", "-i"], folder)
    terminal.send(
        "unsetopt zle_bracketed_paste prompt_sp beep; setopt no_list_beep; autoload -U compinit; compinit -u -D\n"
    )
    terminal.send(f"source {folder}/_wingo.zsh\n")
    terminal.send(
        "show() { print -r -- \"LINE<$BUFFER>\" }; zle -N show; bindkey '^X' show; bindkey '^U' kill-buffer\n"
    )
    terminal.send("bindkey '^I' complete-word; unsetopt auto_menu menu_complete; echo rea''dy\n")
    terminal.wait_for("ready\r")
    yield terminal
    terminal.close()


def test_zsh_completes_lines(zsh):
    for line, completed in LINES:
        # zsh adds what may follow: the "=" of a flag, the "," of a list
        assert zsh.complete(line).rstrip(" =,") == completed.rstrip(), line


def test_zsh_finds_the_script_in_its_function_path(folder):
    (folder / "functions").mkdir()
    (folder / "functions" / "_wingo").write_text((folder / "_wingo.zsh").read_text())
    terminal = Terminal([need_tool("zsh"), "-f", "-i"], folder)
    try:
        terminal.send(f"fpath=({folder}/functions $fpath); unsetopt prompt_sp; autoload -U compinit; compinit -u -D\n")
        terminal.send("show() { print -r -- \"LINE<$BUFFER>\" }; zle -N show; bindkey '^X' show; echo rea''dy\n")
        terminal.wait_for("ready\r")
        assert terminal.complete("wingo comp") == "wingo completion "
    finally:
        terminal.close()


@pytest.fixture
def fish(folder):
    program = need_tool("fish")

    def ask(line):
        asked = [program, "--no-config", "-c", f"source {folder}/_wingo.fish; complete -C $argv[1]", line]
        done = subprocess.run(
            asked,
            cwd=folder / "here",
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert done.stderr == ""
        return [item.split("\t")[0] for item in done.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("wingo ", sorted(COMMANDS)),
        ("wingo bu", ["build"]),
        ("wingo build --platform ltsc202", ["ltsc2022", "ltsc2025"]),
        ("wingo build --platform=ltsc2019,linux/am", ["--platform=ltsc2019,linux/amd64"]),
        ("wingo build cm", ["cmd/"]),
        ("wingo build -o doc", ["docker-archive:"]),
        ("wingo build -o oci:conf", ["oci:config.toml"]),
        ("wingo build --ca-file conf", ["config.toml"]),
        ("wingo build -t conf", []),
        ("wingo build --user build --base nano", ["nanoserver"]),
        ("wingo base ", ["list", "pull", "show"]),
        ("wingo base pull nan", ["nanoserver"]),
        ("wingo base pull nanoserver nan", ["nanoserver"]),
        # "pull" is a command of its own too, with a flag that base lacks
        ("wingo base --jobs 3 pu", ["pull"]),
        ("wingo logout --plat", []),
        ("wingo pull --plat", ["--platform"]),
        ("wingo completion b", ["bash"]),
        ("wingo completion bash b", []),
    ],
)
def test_fish_offers(fish, line, offered):
    assert sorted(fish(line)) == offered


def test_fish_shows_the_help_beside_the_flag(folder):
    asked = [need_tool("fish"), "--no-config", "-c", f"source {folder}/_wingo.fish; complete -C 'wingo build --thi'"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    assert done.stdout == "--thin\tleave base layers out of local outputs\n"
