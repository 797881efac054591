r"""`sh -c` and `bash -c` of the image (busybox, Git for Windows): plain commands on files, and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.windows.paths import Components

_ADVICE = "Do it in a Linux stage, where RUN is executed, and COPY --from it."
_SPECIAL = re.compile(r"[$`*?\[\]{}~\\#!<(]")
"""What would need a shell: variables, patterns, substitutions."""
_SEPARATORS = ("&&", ";")


def shell(session: Session, call: Call) -> int:
    """`sh -c TEXT`."""
    words = call.arguments
    if len(words) < 2 or not re.fullmatch(r"-l?c", words[0]):
        if words in (("--version",), ("--help",)):
            call.output.unknown = call.name
            return 0
        raise CannotLower(f"{call.name} {' '.join(words)[:60]} is not lowered in a Windows stage", _ADVICE)
    text = words[1]
    if _SPECIAL.search(text):
        raise CannotLower(f"{call.name} -c {text[:80]!r} needs a POSIX shell", _ADVICE)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&;|>")
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise CommandFailed(f"{call.name}: {error}", 2) from error
    before = session.directory
    try:
        command: list[str] = []
        for token in (*tokens, ";"):
            if token not in _SEPARATORS:
                command.append(token)
                continue
            if command:
                _run(session, call, command)
            command = []
    finally:
        session.directory = before
    return 0


def _run(session: Session, call: Call, words: list[str]) -> None:
    name, *rest = words
    target, append = "", False
    for mark in (">", ">>"):
        if mark in rest:
            place = rest.index(mark)
            if place + 2 != len(rest):
                raise CannotLower(f"{call.name}: {' '.join(words)[:80]!r} is not lowered", _ADVICE)
            target, append = rest[place + 1], mark == ">>"
            rest = rest[:place]
    action = _COMMANDS.get(name)
    if action is None or (any(re.search(r"[&;|>]", word) for word in words if set(word) <= set("&;|>")) and not target):
        raise CannotLower(f"{call.name} runs {name[:40]}, which is not lowered in a Windows stage", _ADVICE)
    flags = "".join(word[1:] for word in rest if word.startswith("-") and name != "echo")
    plain = [word for word in rest if name == "echo" or not word.startswith("-")]
    printed = action(session, _Paths(session, call), flags, plain)
    if target:
        path = _Paths(session, call)(target)
        old = session.read(path) if append and session.find(path) is not None else b""
        session.write(path, None if old is None else old + printed.encode())
    else:
        call.output.text += printed


class _Paths:
    r"""Paths as the shell's program reads them: busybox takes `/x` for `C:\x`, Git's bash `/c/x`."""

    def __init__(self, session: Session, call: Call) -> None:
        self.session = session
        item = session.find(session.path(call.name), follow=False) if re.search(r"[\\/]", call.name) else None
        self.busybox = item is not None and "busybox" in item.target.lower()

    def __call__(self, word: str) -> Components:
        drive = re.fullmatch(r"/([A-Za-z])(/.*)?", word)
        if word.startswith("/") and not self.busybox:
            if drive is None:
                raise CannotLower(f"{word[:80]!r} is inside the shell's own directories", r"Write C:/… .")
            word = f"{drive[1]}:{drive[2] or '/'}"
        return self.session.path(word)


def _echo(session: Session, paths: _Paths, flags: str, words: Sequence[str]) -> str:
    del session, paths, flags
    quiet = words[:1] == ["-n"]
    return " ".join(words[1:] if quiet else words) + ("" if quiet else "\n")


def _mkdir(session: Session, paths: _Paths, flags: str, words: Sequence[str]) -> str:
    for word in words:
        path = paths(word)
        if "p" not in flags and session.find(path) is not None and session.is_known_directory(path):
            raise CommandFailed(f"mkdir: {word}: file exists")
        session.make_directory(path)
    return ""


def _rm(session: Session, paths: _Paths, flags: str, words: Sequence[str]) -> str:
    for word in words:
        item = session.find(paths(word), follow=False)
        if item is None:
            if "f" not in flags:
                raise CommandFailed(f"rm: {word}: no such file or directory")
            continue
        if item.is_directory and not set("rR") & set(flags):
            raise CommandFailed(f"rm: {word}: is a directory")
        session.remove(item)
    return ""


def _transfer(session: Session, paths: _Paths, flags: str, words: Sequence[str], *, move: bool) -> str:
    if len(words) != 2:
        raise CannotLower("cp and mv of several files are not lowered in a Windows stage", _ADVICE)
    item = session.find(paths(words[0]))
    if item is None:
        raise CommandFailed(f"{words[0]}: no such file or directory")
    target = paths(words[1])
    if session.is_known_directory(target):
        target = (*target, item.name)
    if move:
        session.move(item, target)
    elif item.is_directory:
        if not set("rRa") & set(flags):
            raise CommandFailed(f"cp: {words[0]} is a directory")
        session.copy_tree(item, target)
    else:
        session.copy_file(item, target)
    return ""


def _touch(session: Session, paths: _Paths, flags: str, words: Sequence[str]) -> str:
    del flags
    for word in words:
        if session.find(paths(word)) is None:
            session.write(paths(word), b"")
    return ""


def _cd(session: Session, paths: _Paths, flags: str, words: Sequence[str]) -> str:
    del flags
    path = paths(words[0]) if words else ()
    if not session.is_directory(path):
        raise CommandFailed(f"cd: {words[0] if words else '/'}: no such directory")
    session.directory = path
    return ""


_COMMANDS: dict[str, Callable[[Session, _Paths, str, Sequence[str]], str]] = {
    "cd": _cd,
    "cp": lambda session, paths, flags, words: _transfer(session, paths, flags, words, move=False),
    "echo": _echo,
    "mkdir": _mkdir,
    "mv": lambda session, paths, flags, words: _transfer(session, paths, flags, words, move=True),
    "rm": _rm,
    "touch": _touch,
    "true": lambda session, paths, flags, words: "",  # noqa: ARG005  (every command has the same arguments)
}

PROGRAMS: dict[str, Program] = {"sh": shell, "bash": shell}
