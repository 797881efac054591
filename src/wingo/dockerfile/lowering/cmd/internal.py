"""cmd.exe's internal commands."""

from __future__ import annotations

import re
from collections.abc import Callable

from wingo.dockerfile.lowering.cmd.interpreter import MAX_DEPTH, Cmd, Exit, Goto
from wingo.dockerfile.lowering.cmd.syntax import DELIMITERS, split_words
from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.tree import Item
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text

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


class Words:
    """The words of a command, switches apart.

    Attributes:
        switches: letters or names in upper case, without "/".
        rest: the others, without quotes.
    """

    def __init__(self, text: str, *, attached: bool = True) -> None:
        self.switches: list[str] = []
        self.rest: list[str] = []
        for word, quoted in _words(text):
            if word.startswith("/") and not quoted:
                self.switches += [part.upper() for part in word[1:].split("/")]
            elif "/" in word and not quoted and attached:
                first, *others = word.split("/")
                self.rest.append(first)
                self.switches += [part.upper() for part in others]
            else:
                self.rest.append(word)

    def refuse_unknown(self, command: str, known: str) -> None:
        """Fails as cmd does for a switch that the command does not have."""
        for switch in self.switches:
            if switch.partition(":")[0] not in known.split():
                raise CommandFailed(f"{command}: invalid switch - {switch.lower()!r}")


def _words(text: str) -> list[tuple[str, bool]]:
    pieces = re.finditer(rf'(?:"[^"]*"?|[^{DELIMITERS}"\r\n])+', text)
    return [(piece[0].replace('"', ""), piece[0].startswith('"')) for piece in pieces]


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


def mkdir(cmd: Cmd, rest: str) -> int:
    """`mkdir A B`: each word is a directory of its own, and one that is there is an error."""
    words = Words(rest)
    if not words.rest or words.switches:
        raise CommandFailed("mkdir: the syntax of the command is incorrect (a path with / needs quotes)")
    status = 0
    for word in words.rest:
        path = cmd.session.path(word)
        item = cmd.session.find(path)
        if item is not None and not item.unknown:
            cmd.session.last_error = f"a subdirectory or file {word} already exists"
            status = 1
            continue
        cmd.session.make_directory(path)
    return status


def rmdir(cmd: Cmd, rest: str) -> int:
    """`rmdir [/s] [/q] A B`."""
    words = Words(rest)
    words.refuse_unknown("rmdir", "S Q")
    if not words.rest:
        raise CommandFailed("rmdir: the syntax of the command is incorrect")
    status = 0
    for word in words.rest:
        path = cmd.session.path(word)
        item = cmd.session.find(path, follow=False)
        if item is None:
            cmd.session.last_error = f"the system cannot find the file {word}"
            status = 2
        elif item.is_file:
            cmd.session.last_error = f"the directory name {word} is invalid"
            status = 267
        elif "S" not in words.switches and item.is_directory and cmd.session.children(item.path)[0]:
            cmd.session.last_error = f"the directory {word} is not empty"
            status = 145
        elif "S" in words.switches and "Q" not in words.switches:
            raise CannotLower("rmdir /s asks whether you are sure", "Add /q.")
        else:
            cmd.session.remove(item)
    return status


def delete(cmd: Cmd, rest: str) -> int:
    """`del [/f /s /q /a] FILES`: nothing to delete is no error."""
    words = Words(rest)
    words.refuse_unknown("del", "F S Q A P")
    if not words.rest:
        raise CommandFailed("del: the syntax of the command is incorrect")
    if "P" in words.switches:
        raise CannotLower("del /p asks before each file", "Leave /p out.")
    for word in words.rest:
        files, certain = _files_of(cmd, word, recurse="S" in words.switches, quiet="Q" in words.switches)
        for item in files:
            if item.bits & 1 and "F" not in words.switches:
                cmd.session.print(f"{item.text}: access is denied")
                continue
            cmd.session.remove(item)
        if not files and not certain:
            _remove_unknown(cmd, word)
        elif not files:
            cmd.session.print(f"could not find {word}")
    return 0


def _files_of(cmd: Cmd, word: str, *, recurse: bool, quiet: bool) -> tuple[list[Item], bool]:
    """The files that `del` means, and whether they are all."""
    session = cmd.session
    item = None if is_pattern(word, brackets=False) else session.find(session.path(word), follow=False)
    pattern = "*" if item is not None and item.is_directory else word.replace("/", "\\").rpartition("\\")[2]
    folder: Components
    if item is not None and item.is_directory:
        folder = item.path
    elif item is not None and not recurse:
        return [item], True
    else:
        folder = session.path(word.replace("/", "\\").rpartition("\\")[0] or ".")
    if pattern in ("*", "*.*") and not quiet:
        raise CannotLower(f"del {word} asks whether you are sure", "Add /q.")
    if not is_pattern(word, brackets=False) and pattern != "*" and not recurse:
        return [], True
    folders = [folder]
    if recurse:
        folders += [below.path for below in session.tree.below(folder) if below.is_directory]
    found: list[Item] = []
    certain = True
    for place in folders:
        items, late = session.glob(pattern, place, brackets=False)
        found += [item for item in items if not item.is_directory]
        certain = certain and not late
    return found, certain


def _remove_unknown(cmd: Cmd, word: str) -> None:
    from wingo.dockerfile.lowering.edits import RemovePath, hole

    cmd.session.late = True
    folder, _, name = word.replace("/", "\\").rpartition("\\")
    cmd.session.add(RemovePath(path_text((*cmd.session.path(folder or "."), hole(name)))))


def copy(cmd: Cmd, rest: str) -> int:
    """`copy [/y] A[+B] [TARGET]`."""
    words = Words(rest)
    words.refuse_unknown("copy", "Y -Y A B D V N Z L")
    if not 1 <= len(words.rest) <= 2:
        raise CommandFailed("copy: the syntax of the command is incorrect")
    sources = words.rest[0].split("+")
    target = words.rest[1] if len(words.rest) > 1 else "."
    if len(sources) > 1:
        return _join(cmd, sources, target)
    source = sources[0]
    items, late = cmd.session.glob(source, brackets=False)
    if items and items[0].is_directory and len(items) == 1:
        items, late = cmd.session.glob(source + "\\*", brackets=False)
    files = [item for item in items if not item.is_directory]
    if not files and late:
        _copy_unknown(cmd, source, target)
        return 0
    if not files:
        raise CommandFailed(f"the system cannot find the file {source}")
    for item in files:
        path = _into(cmd, target, item, several=len(files) > 1 or is_pattern(source, brackets=False))
        _refuse_prompt(cmd, path, "copy", words.switches)
        cmd.session.copy_file(item, path)
    return 0


def _into(cmd: Cmd, target: str, item: Item, *, several: bool) -> Components:
    path = cmd.session.path(target)
    there = cmd.session.find(path)
    if there is not None and there.is_directory:
        return (*path, item.name)
    if target.rstrip().endswith(("\\", "/")):
        if there is not None and there.unknown:
            return (*path, item.name)
        raise CommandFailed(f"the system cannot find the path {target}")
    if several and (there is None or there.is_file):
        raise CannotLower(
            f"copy of several files into the one file {target} joins them", "Name a directory that is there."
        )
    return path


def _refuse_prompt(cmd: Cmd, path: Components, command: str, switches: list[str]) -> None:
    there = cmd.session.find(path)
    if there is not None and there.is_file and "Y" not in switches and not cmd.batch:
        raise CannotLower(f"{command} asks before it overwrites {path_text(path)}", "Add /y.")


def _join(cmd: Cmd, sources: list[str], target: str) -> int:
    data = b""
    for source in sources:
        piece = cmd.session.read(cmd.session.path(source))
        if piece is None:
            cmd.session.write(cmd.session.path(target), None)
            return 0
        data += piece
    cmd.session.write(cmd.session.path(target), data)
    return 0


def _copy_unknown(cmd: Cmd, source: str, target: str) -> None:
    from wingo.dockerfile.lowering.edits import CopyPath, hole

    cmd.session.late = True
    folder, _, name = source.replace("/", "\\").rpartition("\\")
    path = cmd.session.path(target)
    cmd.session.add(CopyPath(path_text((*cmd.session.path(folder or "."), hole(name))), path_text(path)))
    cmd.session.tree.vague.add(tuple(map(upcase, path)))


def move(cmd: Cmd, rest: str) -> int:
    """`move [/y] A TARGET`."""
    words = Words(rest)
    words.refuse_unknown("move", "Y -Y")
    if not 1 <= len(words.rest) <= 2:
        raise CommandFailed("move: the syntax of the command is incorrect")
    source = words.rest[0]
    target = words.rest[1] if len(words.rest) > 1 else "."
    items, late = cmd.session.glob(source, brackets=False)
    if not items and not late:
        raise CommandFailed(f"the system cannot find the file {source}")
    if not items:
        from wingo.dockerfile.lowering.edits import MovePath, hole

        cmd.session.late = True
        cmd.session.add(
            MovePath(path_text((*cmd.session.directory, hole(source))), path_text(cmd.session.path(target)))
        )
        cmd.session.tree.vague.add(tuple(map(upcase, cmd.session.path(target))))
        return 0
    for item in items:
        path = cmd.session.path(target)
        there = cmd.session.find(path)
        if there is not None and there.is_directory:
            path = (*path, item.name)
            there = cmd.session.find(path)
        if there is not None and there.is_file:
            _refuse_prompt(cmd, path, "move", words.switches)
            cmd.session.remove(there)
        elif there is not None and there.is_directory:
            raise CommandFailed(f"{path_text(path)} is there: access is denied")
        cmd.session.move(item, path)
    return 0


def rename(cmd: Cmd, rest: str) -> int:
    r"""`ren PATH NAME`: the new name has no directory."""
    words = Words(rest)
    if len(words.rest) != 2 or words.switches:
        raise CommandFailed("ren: the syntax of the command is incorrect")
    source, name = words.rest
    if any(character in name for character in '\\/:<>|"'):
        raise CommandFailed("ren: the new name cannot have a directory")
    items, late = cmd.session.glob(source, brackets=False)
    if not items and not late:
        raise CommandFailed(f"the system cannot find the file {source}")
    if is_pattern(name, brackets=False) or len(items) != 1:
        raise CannotLower(f"ren {source} {name} renames by a pattern", "Name each file.")
    item = items[0]
    path = (*item.path[:-1], name)
    there = cmd.session.find(path, follow=False)
    if there is not None and not there.unknown and there.path != item.path:
        raise CommandFailed(f"a duplicate file name exists: {path_text(path)}")
    cmd.session.move(item, path)
    return 0


def type_(cmd: Cmd, rest: str) -> int:
    """`type FILES`."""
    words = Words(rest, attached=False)
    for word in words.rest:
        data = b"" if upcase(word) == "NUL" else cmd.session.read(cmd.session.path(word))
        if data is None:
            cmd.output.text += cmd.unknown_text(f"content of {word}")
        else:
            cmd.output.text += data.decode("utf-16") if data[:2] == b"\xff\xfe" else data.decode("cp437")
    if not words.rest:
        raise CommandFailed("type: the syntax of the command is incorrect")
    return 0


def mklink(cmd: Cmd, rest: str) -> int:
    """`mklink [/d | /h | /j] LINK TARGET`."""
    words = Words(rest)
    words.refuse_unknown("mklink", "D H J")
    if len(words.rest) != 2:
        raise CommandFailed("mklink: the syntax of the command is incorrect")
    link, target = words.rest
    kind = "hard" if "H" in words.switches else "junction" if "J" in words.switches else "symbolic"
    path = cmd.session.path(link)
    leads_to = cmd.session.path(target, path[:-1] if kind == "symbolic" else None)
    there = cmd.session.find(leads_to)
    if there is None:
        cmd.session.note(f"{path_text(path)} leads to {path_text(leads_to)}, which is not there")
    elif not there.unknown and kind == "symbolic" and there.is_directory != ("D" in words.switches):
        what = "a directory, and mklink without /d makes" if there.is_directory else "a file, and mklink /d makes"
        cmd.session.note(f"{path_text(leads_to)} is {what} a link that Windows cannot follow")
    cmd.session.link(path, target.replace("/", "\\"), kind, directory="D" in words.switches)
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
    """`dir`: what it prints depends on times and disks; whether it finds something does not."""
    words = Words(rest, attached=False)
    cmd.output.unknown = "dir"
    for word in words.rest:
        items, late = cmd.session.glob(word, brackets=False)
        if not items and not late:
            raise CommandFailed("file not found")
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
