"""`go` and `git` in a stage on a Go toolchain image: somebody else runs the local ones."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import RunGit, RunGo
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import CommandFailed, Session
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

_PASSED_ON = ("GO", "CGO_", "GIT_", "CC", "CXX", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PATH")


def go(session: Session, call: Call) -> int:
    """`go …`."""
    if not session.start.toolchain:
        raise CannotLower(
            "go runs in a stage whose base is a Go toolchain image",
            "Begin the stage FROM golang, and COPY --from it what it builds.",
        )
    if not call.arguments:
        raise CommandFailed("go: no command given", 2)
    return _run(session, call, RunGo(("go", *call.arguments), path_text(session.directory), environment(session)))


def git(session: Session, call: Call) -> int:
    """`git …`."""
    if not session.start.toolchain:
        raise CannotLower(
            "git runs in a stage whose base is a Go toolchain image",
            "Begin the stage FROM golang, or use ADD with a Git address.",
        )
    if call.arguments[:1] == ("config",) and any(word in call.arguments for word in ("--global", "--system")):
        session.note(f"git {' '.join(call.arguments)} changes the settings of the stage's git, which is not shipped")
    return _run(session, call, RunGit(("git", *call.arguments), path_text(session.directory), environment(session)))


def environment(session: Session) -> tuple[tuple[str, str], ...]:
    """The variables that a toolchain reads."""
    return tuple((name, value) for name, value in session.variables.items() if upcase(name).startswith(_PASSED_ON))


def _run(session: Session, call: Call, operation: RunGo | RunGit) -> int:
    answer = session.perform(operation)
    if answer is None:
        # What it leaves is seen while building: a binary, a clone, a module cache.
        session.tree.vague.add(tuple(map(upcase, session.directory)))
        if operation.argv[1:2] in (("build",), ("install",), ("clone",), ("get",)):
            _expect_output(session, operation)
        call.output.unknown = operation.argv[0]
        return 0
    session.place_files(answer.files)
    call.output.text += answer.output
    if answer.status:
        session.last_error = answer.output[-400:]
    return answer.status


def _expect_output(session: Session, operation: RunGo | RunGit) -> None:
    """In a plan: what is certain to be there afterwards."""
    argv = operation.argv
    for index, word in enumerate(argv):
        target = ""
        if word == "-o" and index + 1 < len(argv):
            target = argv[index + 1]
        elif word.startswith("-o="):
            target = word[3:]
        if target:
            path = session.path(target)
            session.tree.make_directories(path[:-1])
            if not session.is_known_directory(path) and not target.endswith(("\\", "/")):
                session.write(path, None, quiet=True)
    if argv[1] == "clone":
        plain = [word for word in argv[2:] if not word.startswith("-")]
        if plain:
            name = plain[-1].rstrip("/\\").rpartition("/")[2].removesuffix(".git") if len(plain) == 1 else plain[-1]
            path = session.path(name)
            session.tree.make_directories(path)
            session.tree.vague.add(tuple(map(upcase, path)))


PROGRAMS: dict[str, Program] = {"go": go, "git": git}
