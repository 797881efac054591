r"""What cmd's internal commands do to files: `mkdir rmdir del copy move ren type mklink`."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.cmd.interpreter import Cmd
from wingo.dockerfile.lowering.cmd.words import Words
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.tree import Item
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text

END_OF_TEXT = b"\x1a"


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
        return _join(cmd, sources, target, binary="B" in words.switches)
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


def _join(cmd: Cmd, sources: list[str], target: str, *, binary: bool) -> int:
    """Without /b the files are texts: each ends at a Ctrl+Z, and one is put at the end (`copy /?`)."""
    data = b""
    for source in sources:
        piece = cmd.session.read(cmd.session.path(source))
        if piece is None:
            cmd.session.write(cmd.session.path(target), None)
            return 0
        data += piece if binary else piece.partition(END_OF_TEXT)[0]
    cmd.session.write(cmd.session.path(target), data if binary else data + END_OF_TEXT)
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
    ending = name[1:] if re.fullmatch(r"\*\.[^*?.]*", name) else None
    if not items or (ending is None and (is_pattern(name, brackets=False) or len(items) != 1)):
        raise CannotLower(f"ren {source} {name} renames by a pattern", "Name each file.")
    for item in items:
        # A star takes the name up to its last dot.
        path = (*item.path[:-1], name if ending is None else (item.name.rpartition(".")[0] or item.name) + ending)
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
