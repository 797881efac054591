"""`wingo VERB …`: finds the command, runs it, turns an error into a message and an exit code.

Nothing is imported here that `wingo --help` does not need: a command's file is loaded when the command is named.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, Protocol

from wingo.cli import exit_codes
from wingo.errors import HostError, RequestError, WingoError
from wingo.version import VERSION

if TYPE_CHECKING:
    from wingo.host import Host

COMMANDS = {
    "build": "compile Go programs and make images of them",
    "check": "find what would fail: the layers, the config, the start, the hosts",
    "plan": "say what a build of a Dockerfile would do, step by step",
    "push": "send an image from a local place to a registry",
    "pull": "fetch an image from a registry to a local place",
    "copy": "copy an image from one place to another",
    "inspect": "show what is at a place: images, layers, bases, what refers to it",
    "ls": "list the files of an image",
    "cat": "print a file of an image",
    "export": "write the files of an image to a tar or a directory",
    "diff": "tell what differs between two images",
    "rebase": "put an image onto a newer base without building it again",
    "run": "start an image's program here, in a sandbox",
    "ps": "list the containers that run",
    "logs": "print what a detached container has printed",
    "stop": "end containers",
    "exec": "execute a program in a container that runs",
    "commit": "make an image of a container and what it wrote",
    "hive": "read, change, compare and check Windows registry hives",
    "optimize": "disable what Windows images start without need, safely and with a way back",
    "base": "list, fetch and show the base images in the cache",
    "bench": "measure images side by side: sizes, start, memory, CPU",
    "login": "store the credentials of a registry",
    "logout": "remove the credentials of a registry",
    "completion": "print the completion script of a shell",
}
"""Every command and its line in `wingo --help`."""

_EPILOG = """\
examples:
  wingo build . --push -t registry.example/team/app:v1
  wingo build ./cmd/... --platform ltsc2022,ltsc2025,linux/amd64 -o oci:out
  wingo rebase registry.example/team/app:v1 --base nanoserver

'wingo COMMAND --help' explains a command. Settings are read from wingo.toml and WINGO_… variables too.
"""


_INVALID_CHOICE = re.compile(r"argument ACTION: invalid choice: '(.*)' \(choose from (.*)\)")


class Command(Protocol):
    """What a command's file offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's description and arguments."""

    def run(self, args: argparse.Namespace, host: Host) -> int:
        """Runs it; the result goes to stdout; returns the exit code."""


def load_command(name: str) -> Command:
    """Imports a command's file."""
    command: Command = import_module(f"wingo.cli.{name}")
    return command


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, with a width of our own finding: it would import `shutil` (10 ms) at every start to find one."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_width())

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  (the list of commands, without a heading twice)
            return "".join(f"  {item.dest:<12}{item.help}\n" for item in action._get_subactions())  # noqa: SLF001
        return super()._format_action(action)


def _width() -> int:
    import os

    try:
        return min(os.get_terminal_size(sys.__stdout__.fileno()).columns, 120) - 2 if sys.__stdout__ else 98
    except (OSError, ValueError):
        return 98


class _Parser(argparse.ArgumentParser):
    """argparse with wingo's way of saying an error."""

    def error(self, message: str) -> NoReturn:
        hint = f"Run '{self.prog} --help' to see what it takes."
        if message.endswith("expected one argument"):
            flag = message.split()[1].rstrip(":").rpartition("/")[2]
            hint = f"Write its value after it; one that begins with '-' after an '=': {flag}=-x."
        matched = _INVALID_CHOICE.fullmatch(message)
        if matched:
            raise _no_such_action(self.prog, matched[1], [item.strip("' ") for item in matched[2].split(",")])
        raise RequestError(message, hint=hint)


def _no_such_action(prog: str, word: str, actions: Sequence[str]) -> RequestError:
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), actions, n=1)
    hint = f"There are {', '.join(actions)}; the action comes first: {prog} {actions[0]} {word}"
    return RequestError(f"{prog} has no action {word!r}", hint=f"Did you mean {near[0]}?" if near else hint)


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser, with every command's arguments; with `only`, just that command's."""
    parser = _Parser(
        prog="wingo",
        description="Container images for Go programs, Windows first: no Docker daemon, no Windows host.",
        epilog=_EPILOG,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wingo {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Parser)
    for name, summary in COMMANDS.items() if only not in COMMANDS else [(only, COMMANDS[only])]:
        command = commands.add_parser(
            name,
            help=summary,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )
        if only in (None, name):
            load_command(name).configure(command)
            command.usage = _usage(command)
    return parser


def _usage(parser: argparse.ArgumentParser) -> str:
    """One line: the options stand below it."""
    words = [parser.prog, "[OPTION ...]"]
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to ask)
        if not action.option_strings:
            name = "|".join(action.choices) if action.choices else str(action.metavar)
            words.append({"*": f"[{name} ...]", "+": f"{name} [...]", "?": f"[{name}]"}.get(str(action.nargs), name))
    return " ".join(words)


def main(argv: Sequence[str], host: Host | None = None) -> int:
    """Runs one command line.

    Args:
        argv: without the program's name.
        host: the machine; by default this one.

    Returns:
        The exit code.
    """
    from wingo.cli.render import Console

    name = argv[0] if argv else ""
    console = Console.for_streams(argv) if host is None else host.console
    try:
        if name and not name.startswith("-") and name not in COMMANDS:
            raise _unknown_command(name)
        parser = build_parser(only=name if name in COMMANDS else "")
        args, unknown = _parsed(parser, argv)
        if unknown:
            raise _unknown_argument(parser, name, unknown[0])
        if not args.command:
            parser.print_help()
            return exit_codes.OK
        if host is None:
            from wingo.host import this_host

            host = this_host(console)
        try:
            return load_command(args.command).run(args, host)
        except OSError as error:
            raise _from_system(error) from error
        except UnicodeEncodeError as error:
            raise _not_text(error) from error
        finally:
            host.stop()
    except WingoError as error:
        console.error(error)
        return exit_codes.exit_code(error)
    except KeyboardInterrupt:
        console.interrupted()
        return exit_codes.INTERRUPTED


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and what was not understood; flags may stand between a command's other words."""
    command = _commands(parser).get(argv[0]) if argv else None
    if command is None or any(isinstance(action, argparse._SubParsersAction) for action in command._actions):  # noqa: SLF001
        return parser.parse_known_args(argv)
    if "--" in argv and any(action.dest == "args" and action.nargs == "*" for action in command._actions):  # noqa: SLF001
        # argparse loses the '--' where an optional word may stand before it.
        cut = argv.index("--")
        args, unknown = command.parse_known_intermixed_args(argv[1:cut], argparse.Namespace(command=argv[0]))
        args.args = [*args.args, *argv[cut + 1 :]]
        return args, unknown
    return command.parse_known_intermixed_args(argv[1:], argparse.Namespace(command=argv[0]))


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(item for item in parser._actions if isinstance(item, argparse._SubParsersAction)).choices  # noqa: SLF001


def _from_system(error: OSError) -> WingoError:
    """What the operating system refused and no room has translated: a full disk in an unexpected place, mostly."""
    if isinstance(error, BrokenPipeError):
        raise error
    where = f"{error.filename}: " if error.filename else ""
    return HostError(f"{where}{error.strerror or error}")


def _not_text(error: UnicodeEncodeError) -> RequestError:
    """A path or an argument with bytes that are no characters, which Python has as lone surrogates."""
    around = error.object[max(error.start - 60, 0) : error.end + 20]
    return RequestError(
        f"{around!r} is not text in the encoding of this locale",
        hint="Set LC_ALL=C.UTF-8, or rename what has bytes in its name that are not UTF-8.",
    )


def _unknown_command(name: str) -> RequestError:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), COMMANDS, n=1)
    hint = f"Did you mean 'wingo {near[0]}'?" if near else "Run 'wingo --help' to see the commands."
    return RequestError(f"there is no command {name!r}", hint=hint)


def _unknown_argument(parser: argparse.ArgumentParser, command: str, argument: str) -> RequestError:
    from difflib import get_close_matches

    if command not in COMMANDS:
        return RequestError(f"wingo does not know {argument!r}", hint="Write flags after the command: wingo COMMAND …")
    name = f"wingo {command}"
    hint = f"Run '{name} --help' to see what it takes."
    flag = argument.partition("=")[0]
    if flag.startswith("-"):
        near = get_close_matches(flag, _commands(parser)[command]._option_string_actions, n=1)  # noqa: SLF001
        hint = f"Did you mean {near[0]}?" if near else hint
    return RequestError(f"{name} does not know {argument!r}", hint=hint)


def entry() -> NoReturn:
    """The console script: a stop from outside is the same as Ctrl-C, and a reader that went away is no error."""
    import atexit
    import gc
    import os
    import signal

    # An image's files are hundreds of thousands of objects without a circle among them: looking for circles after each 700 new
    # ones took a third of the time of reading a layer.
    gc.set_threshold(50_000, 20, 100)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _open_streams()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = exit_codes.OK
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # Nothing else is left to be tidied up: taking two hundred modules down one by one takes longer than `--help` does.
    atexit._run_exitfuncs()  # noqa: SLF001  (there is no other way to ask)
    os._exit(code)


def _open_streams() -> None:
    """Whoever closed a standard stream (`>&-`) wants nothing of it; no file of ours may get its number."""
    import os
    from io import TextIOWrapper

    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (for as long as the process lives)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (for as long as the process lives)
    for stream in (sys.stdout, sys.__stdout__):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # as stderr: what a locale cannot spell is no reason to end
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (for as long as the process lives)
