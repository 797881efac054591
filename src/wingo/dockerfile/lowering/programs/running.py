r"""From a command line to the program that it starts: found by PATH as Windows finds it, then by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.dockerfile.lowering.edits import CheckProgram, has_hole, shown
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.advice import is_verification
from wingo.dockerfile.lowering.programs.calls import Call, Output
from wingo.dockerfile.lowering.programs.elsewhere import THERE, run_elsewhere
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.command import command_line, split_command_line
from wingo.windows.paths import Components, fold, path_text

NOT_FOUND = 9009
"""The exit code of cmd when there is no such program."""
_MAX_DEPTH = 24
_OTHERS = frozenset({"go", "git", "git-lfs", "arc", "innoextract", "7z", "7za", "pwsh", "sh", "bash"})
"""Programs that are lowered and are none of Windows' own."""


def run_argv(session: Session, argv: Sequence[str], line: str | None = None, output: Output | None = None) -> int:
    """Runs a program by its words, as the JSON form of `RUN` does.

    Args:
        session: what it works on.
        argv: the program and its arguments.
        line: the command line, when it is not simply made of them.
        output: where it prints to.

    Raises:
        CommandFailed: there is no such program.
        CannotLower: it cannot be lowered.
    """
    if not argv or not argv[0]:
        raise CommandFailed("there is no program to run")
    try:
        text = command_line(argv) if line is None else line
    except RequestError as error:
        raise CannotLower(str(error), error.hint) from error
    words = tuple(argv) if line is None else split_command_line(text)
    return _run(session, words, text, output or Output(), None, here_first=False)


def run_line(session: Session, line: str, output: Output, stdin: str | None = None) -> int:
    """Runs a program by its command line, as cmd does: the directory it is in comes before PATH.

    Raises:
        CommandFailed: there is no such program.
        CannotLower: it cannot be lowered.
    """
    words = split_command_line(line)
    if not words or not words[0]:
        raise CommandFailed("the command line begins with an empty name", 1)
    return _run(session, words, line, output, stdin, here_first=True)


def _run(
    session: Session, words: tuple[str, ...], line: str, output: Output, stdin: str | None, *, here_first: bool
) -> int:
    from wingo.dockerfile.lowering.programs.table import PROGRAMS

    session.tick()
    name = program_name(words[0])
    known = name in PROGRAMS or (session.start.runs_programs and name in THERE)
    own = known and not re.search(r"[\\/]", words[0]) and name not in _OTHERS
    if own and not session.tree.base.known:
        # One of Windows' own: it is not worth reading the base's layers to see that it is there.
        lacks = name == "powershell" and session.start.flavour == "nanoserver"
        found = _brought(session, words[0]) if lacks else Item((), Kind.UNKNOWN)
    else:
        found = find_program(session, words[0], here_first=here_first)
    if found is not None and found.unknown and not own and not session.planning and session.tree.base.load():
        found = find_program(session, words[0], here_first=here_first)
    if found is None and not (session.start.toolchain and name in ("go", "git", "gofmt")):
        raise _missing(session, words[0], name)
    rest = _behind_name(line)
    call = Call(words[0], words[1:], rest, output, stdin)
    if found is not None and found.path and upcase(found.path[-1]).endswith((".BAT", ".CMD")):
        return run_batch(session, found, call)
    if (program := PROGRAMS.get(name)) is not None:
        session.depth += 1
        if session.depth > _MAX_DEPTH:
            raise CannotLower("shells start each other too deeply")
        try:
            return program(session, call)
        finally:
            session.depth -= 1
    if is_verification(call.arguments):
        session.add(CheckProgram(path_text(found.path) if found is not None and found.path else words[0], words))
        output.unknown = name
        return 0
    return run_elsewhere(session, call, name, path_text(found.path) if found is not None and found.path else words[0])


def _brought(session: Session, written: str) -> Item | None:
    """A program that Windows lacks: the file that steps put on PATH, or perhaps did."""
    for text in (session.variables.get("PATH") or "").split(";"):
        if has_hole(text) or not text.strip('" '):
            continue
        place = session.path(text.strip('" '), ())
        item = _with_ending(session, (*place, written))
        folded = fold(place)
        filled = any(
            folded[:length] in session.tree.vague
            or ((put := session.tree.changes.get(folded[:length])) and put.unknown)
            for length in range(1, len(folded) + 1)
        )
        if item is not None and (item.is_file or filled) and folded[:1] != ("WINDOWS",):
            return item
    return None


def _missing(session: Session, written: str, name: str) -> CommandFailed | CannotLower:
    if name in ("powershell", "pwsh") and session.start.flavour == "nanoserver":
        return CannotLower(
            f"nanoserver has no {name}",
            "Use cmd, or do the step in a stage on servercore and COPY --from it.",
            fails=True,
        )
    return CommandFailed(f"{shown(written)!r} is not recognised: there is no such program in the image", NOT_FOUND)


def program_name(written: str) -> str:
    """A program's name in lower case, without directory and `.exe`."""
    name = written.replace("/", "\\").rpartition("\\")[2].lower()
    for ending in (".exe", ".com"):
        name = name.removesuffix(ending)
    return name


def find_program(session: Session, written: str, *, here_first: bool) -> Item | None:
    """The file that a name starts; an item of an unknown kind where that is not known; None: there is none."""
    plain = written.strip('"').replace("/", "\\")
    if has_hole(plain):
        session.late = True
        return Item((), Kind.UNKNOWN)
    if "\\" in plain or plain[1:2] == ":":
        return _with_ending(session, session.path(plain))
    places: list[Components] = [session.directory] if here_first else []
    vague = False
    for text in (session.variables.get("PATH") or "").split(";"):
        if has_hole(text):
            vague = True
            continue
        if text.strip('" '):
            try:
                places.append(session.path(text.strip('" '), ()))
            except (CommandFailed, CannotLower):
                continue
    # A script of the directory that the step is in is meant to be that one, also where a plan cannot see it.
    script = re.search(r"\.(?:bat|cmd)\Z", plain, re.IGNORECASE) is not None
    unknown: Item | None = Item((), Kind.UNKNOWN) if vague and not script else None
    for place in places:
        item = _with_ending(session, (*place, plain))
        if item is not None and not item.unknown:
            return item
        unknown = unknown or item
    if unknown is not None:
        session.late = session.late or session.planning
    return unknown


def _with_ending(session: Session, path: Components) -> Item | None:
    if not path:
        return None
    endings = [ending for ending in (session.variables.get("PATHEXT") or ".COM;.EXE;.BAT;.CMD").split(";") if ending]
    names = [path[-1]] if "." in path[-1] else []
    names += [path[-1] + ending.lower() for ending in endings]
    unknown = None
    for name in names:
        item = session.tree.find((*path[:-1], name))
        if item is not None and item.is_file:
            return item
        if item is not None and item.unknown:
            unknown = unknown or item
    return unknown


def _behind_name(line: str) -> str:
    text = line.lstrip(" \t")
    if text.startswith('"'):
        return text[1:].partition('"')[2]
    for index, character in enumerate(text):
        if character in " \t":
            return text[index:]
    return ""


def run_batch(session: Session, item: Item, call: Call) -> int:
    """Runs a .cmd or .bat file of the image."""
    from wingo.dockerfile.lowering.cmd.interpreter import Cmd, Exit
    from wingo.dockerfile.lowering.cmd.syntax import split_words

    data = session.read(item.path)
    if data is None:
        session.note(f"what {item.text} does is seen only while building")
        call.output.unknown = item.text
        return 0
    session.depth += 1
    if session.depth > _MAX_DEPTH:
        raise CannotLower("scripts start each other too deeply")
    inner = Cmd(session, call.output, batch=True, arguments=(call.name, *split_words(call.line)))
    inner.stdin = call.stdin
    try:
        return inner.run_script(data.decode("cp1252", "replace"))
    except Exit as done:
        return done.status
    finally:
        session.depth -= 1
