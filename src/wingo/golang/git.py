"""What git says of the sources: for template values, for labels, and for the VCS stamp that go puts into binaries.

The stamp has the commit, whether anything is uncommitted or untracked, and (Go 1.24) a version made from tags. One
`git status` answers the first two as go itself asks; the tags' refs are read from the repository's files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.golang.toolchain import find_program

if TYPE_CHECKING:
    from wingo.golang.runner import Completed, Runner

MARKERS = (".git", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_")
"""What makes a directory the root of a repository for the go command (`cmd/go/internal/vcs`)."""

_MAX_REFS = 20_000
_MAX_REF_FILE_BYTES = 1 << 16
_MAX_CONFIG_BYTES = 1 << 20


class Repository(msgspec.Struct, frozen=True):
    """Where version control keeps its files.

    Attributes:
        root: the top of the working tree.
        kind: "git", or another system that wingo cannot ask: "other".
    """

    root: str
    kind: str


class VcsFacts(msgspec.Struct, frozen=True):
    """What the sources were when they were built.

    Attributes:
        revision: the commit, in hexadecimal.
        modified: whether something was uncommitted or untracked.
        source: the web address of the repository, without credentials; "" when there is none.
    """

    revision: str
    modified: bool
    source: str = ""


class VcsState(msgspec.Struct, frozen=True):
    """All that the VCS stamp depends on.

    Attributes:
        root: the repository.
        token: equal tokens, equal stamps; "" when that cannot be told.
        facts: for labels; None when there is no commit, or no git.
    """

    root: str
    token: str
    facts: VcsFacts | None = None


def find_repository(directory: str) -> Repository | None:
    """The repository that a directory is in, looked for as the go command does; no process."""
    folder = directory
    while True:
        for marker in MARKERS:
            if os.path.lexists(os.path.join(folder, marker)):
                return Repository(folder, "git" if marker == ".git" else "other")
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def vcs_state(repository: Repository, environment: Mapping[str, str], runner: Runner) -> VcsState:
    """What the stamp of a build from that repository would depend on; runs `git status` once."""
    root = repository.root
    if repository.kind != "git":
        return VcsState(root, "")
    git = find_program("git.exe" if os.name == "nt" else "git", environment)
    if git is None:
        return VcsState(root, "no git")  # the go command leaves the stamp out, too
    argv = (git, "status", "--porcelain=v2", "--branch", "--no-ahead-behind")
    done = runner.run(argv, cwd=root, env=environment)
    refs = _refs(root)
    if done.status != 0 or refs is None:
        return VcsState(root, "")
    commit, modified = "", False
    for line in done.stdout.splitlines():
        if line.startswith(b"# branch.oid "):
            commit = line[13:].decode("ascii", "replace").strip()
        elif not line.startswith(b"#"):
            modified = True
            break
    facts = None
    if re.fullmatch(r"[0-9a-f]{40,64}", commit):
        facts = VcsFacts(commit, modified, _origin(root))
    source = facts.source if facts else ""
    return VcsState(root, f"{git} {commit} {modified} {refs} {source}", facts)


def template_values(
    names: Iterable[str], directory: str, environment: Mapping[str, str], runner: Runner
) -> dict[str, str]:
    """The values of templates that git knows; runs only what the names need.

    Args:
        names: from `templates.names_in`.
        directory: of the sources.
        environment: for git; SOURCE_DATE_EPOCH wins over the commit's date in Date and Timestamp.
        runner: runs git.

    Raises:
        RequestError: the directory is in no git repository, or it has no commit.
    """
    wanted = set(names)
    values: dict[str, str] = {}
    epoch = environment.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        values["Timestamp"], values["Date"] = timestamp(epoch), rfc3339(int(timestamp(epoch)))
    missing = wanted - values.keys()
    repository = find_repository(directory)
    if not missing:
        return values
    if missing <= {"Date", "Timestamp"} and repository is None:
        return {"Timestamp": "0", "Date": rfc3339(0)}
    git = _Git(directory, environment, runner, first=min(missing))
    if missing & {"Commit", "ShortCommit", "CommitDate", "CommitTimestamp", "Date", "Timestamp"}:
        commit, short, seconds = git.ask("log", "-1", "--no-show-signature", "--format=%H %h %ct").split(" ")
        values |= {"Commit": commit, "ShortCommit": short, "CommitTimestamp": seconds}
        values["CommitDate"] = rfc3339(int(seconds))
        values.setdefault("Date", values["CommitDate"])
        values.setdefault("Timestamp", seconds)
    if missing & {"IsDirty", "IsClean", "TreeState"}:
        dirty = git.ask("status", "--porcelain") != ""
        values |= {"IsDirty": str(dirty).lower(), "IsClean": str(not dirty).lower()}
        values["TreeState"] = "dirty" if dirty else "clean"
    if "Branch" in missing:
        values["Branch"] = git.ask("rev-parse", "--abbrev-ref", "HEAD")
    if "Tag" in missing:
        # As in ko and GoReleaser: the last tag, even when commits came after it.
        values["Tag"] = git.ask("describe", "--tags", "--abbrev=0", otherwise="v0.0.0")
    if "Version" in missing:
        values["Version"] = git.ask("describe", "--tags", "--always", "--dirty")
    return values


class _Git:
    def __init__(self, directory: str, environment: Mapping[str, str], runner: Runner, *, first: str) -> None:
        path = find_program("git.exe" if os.name == "nt" else "git", environment)
        if path is None:
            raise RequestError(
                f"{{{{.{first}}}}} needs git, and there is none on PATH",
                hint="Install git, or take the template out of the flags.",
            )
        self.path, self.directory, self.environment, self.runner, self.first = (
            path,
            directory,
            environment,
            runner,
            first,
        )

    def ask(self, *arguments: str, otherwise: str | None = None) -> str:
        done: Completed = self.runner.run((self.path, *arguments), cwd=self.directory, env=self.environment)
        if done.status == 0:
            return done.stdout.decode("utf-8", "replace").strip()
        if otherwise is not None:
            return otherwise
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise RequestError(
            f"{{{{.{self.first}}}}} needs a git commit, and git says of {self.directory}: {said}",
            hint="Build from a git checkout, or take the template out of the flags.",
        )


def timestamp(epoch: str) -> str:
    """SOURCE_DATE_EPOCH as it was meant.

    Raises:
        RequestError: it is no number.
    """
    if not re.fullmatch(r"[0-9]{1,12}", epoch):
        raise RequestError(
            f"SOURCE_DATE_EPOCH is {epoch[:40]!r}, not a number of seconds", hint="Set it to whole seconds since 1970."
        )
    return str(int(epoch))


def rfc3339(seconds: int) -> str:
    """A moment, in seconds since 1970, as RFC 3339 writes it in UTC."""
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(seconds, 253402300799))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _git_directories(root: str) -> tuple[str, ...]:
    """The repository's own directory, and the shared one when it is a linked working tree."""
    own = os.path.join(root, ".git")
    if os.path.isfile(own):
        text = _text(own, _MAX_REF_FILE_BYTES)
        if not text.startswith("gitdir:"):
            return ()
        own = os.path.normpath(os.path.join(root, text.removeprefix("gitdir:").strip()))
    shared = _text(os.path.join(own, "commondir"), _MAX_REF_FILE_BYTES).strip()
    return (own, os.path.normpath(os.path.join(own, shared))) if shared else (own,)


def _refs(root: str) -> str | None:
    """A digest of what the tags are; None when there are too many to look at."""
    digest = hashlib.sha256()
    for folder in _git_directories(root):
        for name in ("packed-refs", "shallow", os.path.join("reftable", "tables.list"), "info/grafts"):
            try:
                stat = os.stat(os.path.join(folder, name))
                digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}\n".encode())
            except OSError:
                continue
        count = 0
        waiting = [os.path.join(folder, "refs", "tags"), os.path.join(folder, "refs", "replace")]
        while waiting:
            current = waiting.pop()
            try:
                entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                count += 1
                if count > _MAX_REFS:
                    return None
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    digest.update(f"{entry.path} {_text(entry.path, 200)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _text(path: str, limit: int) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _origin(root: str) -> str:
    """The address of the remote "origin", as a web address without credentials."""
    inside = False
    for folder in reversed(_git_directories(root)):
        for line in _text(os.path.join(folder, "config"), _MAX_CONFIG_BYTES).splitlines():
            text = line.strip()
            if text.startswith("["):
                inside = text == '[remote "origin"]'
            elif inside and text.split("=")[0].strip() == "url":
                return web_address(text.partition("=")[2].strip())
    return ""


def web_address(remote: str) -> str:
    """A git remote as a web address without credentials; "" when it is no network address."""
    matched = re.fullmatch(
        r"(?:https?|ssh|git)://(?:[^/@]*@)?([A-Za-z0-9.-]+)(?::[0-9]+)?/([\w.~/+-]+)", remote, re.ASCII
    )
    if matched is None:
        matched = re.fullmatch(r"[\w.-]+@([A-Za-z0-9.-]+):(?!/)([\w.~/+-]+)", remote, re.ASCII)
    return f"https://{matched[1]}/{matched[2].rstrip('/').removesuffix('.git')}" if matched else ""
