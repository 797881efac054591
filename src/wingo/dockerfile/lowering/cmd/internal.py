"""cmd.exe's internal commands."""

from __future__ import annotations

import re
from collections.abc import Callable

from wingo.dockerfile.lowering.cmd.files import copy, delete, mkdir, mklink, move, rename, rmdir, type_
from wingo.dockerfile.lowering.cmd.interpreter import MAX_DEPTH, Cmd, Exit, Goto
from wingo.dockerfile.lowering.cmd.syntax import split_words
from wingo.dockerfile.lowering.cmd.words import Words
from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

KEEP_LEVEL = frozenset({"echo", "rem", "set", "cls", "title", "color", "prompt", "path", "setlocal", "endlocal"})
"""Commands that leave ERRORLEVEL as it is when they succeed."""


def internal_name(text: str) -> tuple[str, str]:
    """The internal command that a text begins with, and the rest; "" when it is a program's."""
    found = _NAME.match(text)
    if found is None:
        return "", text
    name, rest = found[1].lower(), text[found.end() :]
    name = _ALIASES.get(name, name)
    following = rest[:1]
    if following and following not in " \t,;=/" and following not in _DIRECT.get(name, ""):
        return "", text
    return name, rest


def echo(cmd: Cmd, rest: str) -> int:
    """`echo`: the text behind one separator, its quotes too."""
    text = rest[1:] if rest[:1] and rest[0] in " \t.,:;=([/\\]+" else rest
    if rest[:1] in ("", " ", "\t", ",", ";", "=") and text.strip().lower() in ("on", "off"):
        cmd.echoes = text.strip().lower() == "on"
        return 0
    if not text.strip() and rest[:1] in ("", " "):
        cmd.output.line(f"ECHO is {'on' if cmd.echoes else 'off'}.")
        return 0
    cmd.output.line(text)
    cmd.session.print(text)
    return 0


def set_(cmd: Cmd, rest: str) -> int:
    """`set NAME=value`, `set /a`, `set /p`."""
    text = rest.lstrip(" \t,;=")
    lower = text[:2].lower()
    if lower == "/a":
        return _set_number(cmd, text[2:])
    if lower == "/p":
        name, _, _ = _unquoted(text[2:].lstrip()).partition("=")
        if cmd.stdin is None:
            return 1
        line, _, cmd.stdin = cmd.stdin.partition("\n")
        if line.strip("\r"):
            cmd.session.variables.set(name, line.strip("\r"))
            return 0
        return 1
    text = _unquoted(text)
    name, equals, value = text.partition("=")
    if not equals:
        prefix = upcase(name.strip())
        if prefix and not any(upcase(known).startswith(prefix) for known, _ in cmd.session.variables.items()):
            cmd.session.last_error = f"environment variable {name.strip()} not defined"
            return 1
        cmd.output.unknown = "set"
        return 0
    if value:
        cmd.session.variables.set(name, cmd.session.check_size(value))
    else:
        cmd.session.variables.remove(name)
    return 0


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        inside = text[1:]
        last = inside.rfind('"')
        return inside[:last] if last >= 0 else inside
    return text


def _set_number(cmd: Cmd, text: str) -> int:
    from wingo.dockerfile.lowering.cmd.arithmetic import evaluate

    def get(name: str) -> int:
        value = cmd.session.variables.get(name) or "0"
        if has_hole(value):
            raise CannotLower(f"set /a uses {name}, which is not known before the build")
        try:
            return int(value, 0)
        except ValueError:
            return 0

    result = evaluate(_unquoted(text.strip()), get, lambda name, value: cmd.session.variables.set(name, str(value)))
    cmd.output.text += str(result)
    return 0


def cd(cmd: Cmd, rest: str) -> int:
    """`cd [/d] PATH`."""
    text = re.sub(r"^\s*/d(?=\s|\Z)", "", rest, flags=re.IGNORECASE).strip()
    if not text:
        cmd.output.line(path_text(cmd.session.directory))
        return 0
    _change_directory(cmd, text.strip('"'))
    return 0


def _change_directory(cmd: Cmd, text: str) -> None:
    path = cmd.session.path(text)
    if not cmd.session.is_directory(path):
        raise CommandFailed(f"the system cannot find the path {text}", 1)
    cmd.session.directory = cmd.session.tree.resolve(path)


def pushd(cmd: Cmd, rest: str) -> int:
    """`pushd PATH`."""
    before = cmd.session.directory
    if rest.strip():
        _change_directory(cmd, rest.strip().strip('"'))
    cmd.directories.append(before)
    return 0


def popd(cmd: Cmd, rest: str) -> int:
    """`popd`."""
    del rest
    if not cmd.directories:
        return 1
    cmd.session.directory = cmd.directories.pop()
    return 0


def call(cmd: Cmd, rest: str) -> int:
    """`call SCRIPT`, `call :LABEL`, `call COMMAND`: the text is expanded once more."""
    from wingo.dockerfile.lowering.cmd.syntax import expand_percent

    text = expand_percent(rest.strip(), cmd.lookup, batch=cmd.batch, arguments=cmd.arguments)
    if text.startswith(":"):
        if not cmd.batch:
            raise CommandFailed("call :label works in a script alone")
        return _call_label(cmd, text)
    if not text:
        return 0
    # A directory that the command changes stays changed: it is the same cmd.
    cmd.session.depth += 1
    if cmd.session.depth > MAX_DEPTH:
        raise CannotLower("scripts call each other too deeply")
    try:
        cmd.command(text)
    finally:
        cmd.session.depth -= 1
    return cmd.error_level


def _call_label(cmd: Cmd, text: str) -> int:
    words = split_words(text)
    index = cmd.label(words[0])
    inner = Cmd(cmd.session, cmd.output, batch=True, arguments=(words[0], *words[1:]))
    inner.error_level = cmd.error_level
    cmd.session.depth += 1
    if cmd.session.depth > MAX_DEPTH:
        raise CannotLower("labels call each other too deeply")
    try:
        return inner.run_script("\n".join(["goto :_begin_", *cmd.script[:index], ":_begin_", *cmd.script[index:]]))
    finally:
        cmd.session.depth -= 1


def goto(cmd: Cmd, rest: str) -> int:
    """`goto LABEL`."""
    del cmd
    raise Goto(rest.strip().lstrip(":"))


def exit_(cmd: Cmd, rest: str) -> int:
    """`exit [/b] [STATUS]`."""
    words = rest.split()
    only_script = bool(words) and words[0].lower() == "/b"
    numbers = words[1:] if only_script else words
    status = cmd.error_level
    if numbers:
        try:
            status = int(numbers[0])
        except ValueError:
            status = cmd.error_level
    raise Exit(status, only_script=only_script)


def nothing(cmd: Cmd, rest: str) -> int:
    """A command that changes nothing."""
    del cmd, rest
    return 0


def setlocal(cmd: Cmd, rest: str) -> int:
    """`setlocal`: delayed expansion is not read."""
    if "enabledelayedexpansion" in rest.lower():
        raise CannotLower("delayed expansion (!NAME!) is not lowered", "Write %NAME%, or the steps one by one.")
    del cmd
    return 0


def directory_listing(cmd: Cmd, rest: str) -> int:
    """`dir`: what it prints depends on times and disks, but for `/b`; whether it finds something does not."""
    words = Words(rest, attached=False)
    names: list[str] = []
    unsure = "B" not in words.switches or bool(set(words.switches) - {"B", "S", "AD", "A:D", "A-D", "A:-D"})
    for word in words.rest or ["."]:
        items, late = cmd.session.glob(word, brackets=False)
        if not items and not late:
            raise CommandFailed("file not found")
        if not is_pattern(word, brackets=False) and items and items[0].is_directory:
            items, late = cmd.session.children(items[0].path)
        if "S" in words.switches:
            unsure = True
        unsure = unsure or late or any(item.unknown for item in items)
        if {"AD", "A:D"} & set(words.switches):
            items = [item for item in items if item.is_directory]
        elif {"A-D", "A:-D"} & set(words.switches):
            items = [item for item in items if not item.is_directory]
        names += sorted((item.name for item in items), key=upcase)
    if unsure:
        cmd.output.unknown = "dir"
    for name in names if not unsure else ():
        cmd.output.line(name)
    return 0


def set_path(cmd: Cmd, rest: str) -> int:
    """`path DIRECTORIES`."""
    text = rest.strip().removeprefix("=").strip()
    if not text:
        cmd.output.line(f"PATH={cmd.session.variables.get('PATH') or ''}")
    elif text == ";":
        cmd.session.variables.remove("PATH")
    else:
        cmd.session.variables.set("PATH", text)
    return 0


def version(cmd: Cmd, rest: str) -> int:
    """`ver`, `vol`, `date`, `time`: what they print depends on the machine."""
    del rest
    cmd.output.unknown = "ver, vol, date or time"
    return 0


def start(cmd: Cmd, rest: str) -> int:
    """`start`: with /wait the program itself; what runs beside a step ends with it."""
    found = re.match(r"\s*(?:\"[^\"]*\"\s+)?((?:/(?:d\s+(?:\"[^\"]*\"|\S+)|\w+)\s+)*)(.+)", rest, re.IGNORECASE)
    if found is not None and {"/w", "/wait"} & set(found[1].lower().split()):
        cmd.command(found[2])
        return cmd.error_level
    raise CannotLower(
        f"start{rest[:60]} runs something beside the step", "Run it in the step itself, or when the container starts."
    )


INTERNAL: dict[str, Callable[[Cmd, str], int]] = {
    "assoc": nothing,
    "break": nothing,
    "call": call,
    "cd": cd,
    "cls": nothing,
    "color": nothing,
    "copy": copy,
    "date": version,
    "del": delete,
    "dir": directory_listing,
    "echo": echo,
    "endlocal": nothing,
    "exit": exit_,
    "ftype": nothing,
    "goto": goto,
    "mkdir": mkdir,
    "mklink": mklink,
    "move": move,
    "path": set_path,
    "pause": nothing,
    "popd": popd,
    "prompt": nothing,
    "pushd": pushd,
    "rem": nothing,
    "ren": rename,
    "rmdir": rmdir,
    "set": set_,
    "setlocal": setlocal,
    "start": start,
    "time": version,
    "title": nothing,
    "type": type_,
    "ver": version,
    "verify": nothing,
    "vol": version,
}
_ALIASES = {"md": "mkdir", "rd": "rmdir", "erase": "del", "chdir": "cd", "rename": "ren"}
_NAME = re.compile(rf"({'|'.join(sorted((*INTERNAL, *_ALIASES), key=len, reverse=True))})(?![\w-])", re.IGNORECASE)
_DIRECT = {"echo": ".:([]+\\", "cd": ".\\", "mkdir": ".\\", "rmdir": ".\\", "dir": ".\\", "del": ".\\", "type": ".\\", "call": ":", "goto": ":"}  # fmt: skip
"""What may stand directly behind a name, beyond the separators."""
