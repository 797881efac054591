"""`go` and `git` in a stage on a Go toolchain image: somebody else runs the local ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.dockerfile.lowering.edits import CheckProgram, RunGit, RunGo
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs import git_settings
from wingo.dockerfile.lowering.programs.advice import is_verification
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

_PASSED_ON = re.compile(
    r"GO[A-Z0-9]*|CGO_[A-Z_]+|CC|CXX|AR|HTTPS?_PROXY|NO_PROXY|GIT_CONFIG_(?:COUNT|KEY_\d+|VALUE_\d+)"
)
"""Variables that go and git read, and that choose no program for git to run."""
_RUNNING = {
    "run": "runs a Windows program",
    "generate": "runs programs that the source names",
    "tool": "runs a tool",
    "bug": "opens a browser",
    "telemetry": "changes this machine's settings",
}
_GIT_VERBS = frozenset({"clone", "checkout", "fetch", "submodule", "rev-parse", "describe", "init", "pull", "reset", "log", "status", "switch", "show", "tag", "branch", "remote"})  # fmt: skip


def go(session: Session, call: Call) -> int:
    """`go …`: what compiles is run, what runs programs is not."""
    words = call.arguments
    if not words:
        raise CommandFailed("go: no command given", 2)
    verb = words[0]
    if not session.start.toolchain:
        if is_verification(words):
            return _verify(session, call)
        session.note("the local Go toolchain runs in place of the one that the stage installed")
    flags = " ".join((*words, session.variables.get("GOFLAGS") or ""))
    if re.search(r"(?:^|\s)--?(?:toolexec|exec|vettool)\b", flags):
        raise CannotLower("go -toolexec, -exec and -vettool run programs of the Dockerfile's choice", "Leave it out.")
    if verb in _RUNNING:
        raise CannotLower(f"go {verb} {_RUNNING[verb]}", "Do it before the build, or in a Linux stage.")
    if verb == "test":
        session.note("go test would run a Windows program: it is left out, and only that go is there is checked")
        return _verify(session, call)
    if verb == "env":
        return _go_env(session, call)
    return _run(session, call, RunGo(("go", *words), path_text(session.directory), environment(session)))


def _go_env(session: Session, call: Call) -> int:
    """`go env -w NAME=VALUE` is for the stage's later steps; without -w it only shows."""
    if "-w" in call.arguments:
        pairs = [word.partition("=") for word in call.arguments[1:] if not word.startswith("-")]
        session.stage_variables += [(name, value) for name, _, value in pairs]
        for name, _, value in pairs:
            session.variables.set(name, value)
        return 0
    call.output.unknown = "go env"
    return 0


def git(session: Session, call: Call) -> int:
    """`git …`: what fetches, checks out and asks; settings are for the stage's own git alone, never this machine's."""
    words = call.arguments
    if is_verification(words):
        return _verify(session, call)
    verb = words[0] if words else ""
    if verb == "config":
        return _git_config(session, call)
    if verb == "lfs":
        return _git_lfs(session, call, words[1:])
    if verb not in _GIT_VERBS:
        raise CannotLower(f"git {' '.join(words)[:80]} is not lowered", f"git {', '.join(sorted(_GIT_VERBS))} are.")
    if any(
        re.match(r"--?(?:upload-pack|receive-pack|u|exec|config|c|template)\b", word) or re.match(r"\w+::", word)
        for word in words
    ):
        raise CannotLower("this git command runs a program of the Dockerfile's choice", "Clone with an https address.")
    if not session.start.toolchain:
        session.note("the local git runs in place of the one that the stage installed")
    return _run(session, call, RunGit(("git", *words), path_text(session.directory), environment(session)))


def _git_config(session: Session, call: Call) -> int:
    """`git config --global NAME VALUE`: as variables that git and go read (git-config, GIT_CONFIG_COUNT)."""
    words = [word for word in call.arguments[1:] if word not in ("--global", "--system", "--add", "--replace-all")]
    scoped = any(word in ("--global", "--system") for word in call.arguments)
    if scoped and not session.start.toolchain:
        return git_settings.configure(session, call, call.arguments[1:])
    if len(words) == 4 and words[0] in ("--file", "-f") and not any(word.startswith("-") for word in words[1:]):
        return _run(session, call, RunGit(("git", *call.arguments), path_text(session.directory), environment(session)))
    if not scoped and len(words) == 2 and not words[0].startswith("-"):
        return _run(session, call, RunGit(("git", *call.arguments), path_text(session.directory), environment(session)))
    if len(words) != 2 or words[0].startswith("-"):
        raise CannotLower(f"git {' '.join(call.arguments)[:80]} is not lowered", "git config --global NAME VALUE is.")
    if re.match(
        r"(?i)(?:core\.(?:sshcommand|gitproxy|editor|pager|fsmonitor|hookspath)|credential\b.*|alias\.|filter\.|diff\.|include)",
        words[0],
    ):
        raise CannotLower(f"the git setting {words[0]} runs programs or reads secrets", "Use a secret mount.")
    count = int(session.variables.get("GIT_CONFIG_COUNT") or 0)
    pairs = [
        ("GIT_CONFIG_COUNT", str(count + 1)),
        (f"GIT_CONFIG_KEY_{count}", words[0]),
        (f"GIT_CONFIG_VALUE_{count}", words[1]),
    ]
    session.stage_variables += pairs
    for name, value in pairs:
        session.variables.set(name, value)
    session.note(f"git config {words[0]} holds for the stage's later steps, and is not shipped")
    return 0


def git_lfs(session: Session, call: Call) -> int:
    """`git-lfs …`, which is `git lfs …`."""
    return _git_lfs(session, call, call.arguments)


def _git_lfs(session: Session, call: Call, words: Sequence[str]) -> int:
    """`git lfs install` sets git's filters; the version is only shown."""
    if words[:1] == ("install",):
        if session.start.toolchain:
            session.note("git lfs install is for the stage's own git: the local one is left as it is")
            return 0
        return git_settings.install_lfs(session, call, words[1:])
    if is_verification(tuple(words)) or tuple(words) == ("env",):
        return _verify(session, call)
    raise CannotLower(f"git lfs {' '.join(words)[:80]} is not lowered", "git lfs install is.")


def _verify(session: Session, call: Call) -> int:
    session.add(CheckProgram(call.name, (call.name, *call.arguments)))
    call.output.unknown = call.name
    return 0


def environment(session: Session) -> tuple[tuple[str, str], ...]:
    """The variables that a toolchain reads."""
    return tuple((name, value) for name, value in session.variables.items() if _PASSED_ON.fullmatch(upcase(name)))


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


PROGRAMS: dict[str, Program] = {"go": go, "git": git, "git-lfs": git_lfs}
