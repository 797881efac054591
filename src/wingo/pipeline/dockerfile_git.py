"""Fetches a Git repository for ADD: with the local git, none of this machine's settings, and no more than one commit."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from wingo.dockerfile.git_sources import GitSource
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.errors import HostError
from wingo.golang.toolchain import find_program
from wingo.pipeline.dockerfile_files import DirectoryTree, Found, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wingo.host import Host

_OF_THE_MACHINE = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")  # fmt: skip
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.file.allow=never", "advice.detachedHead=false", "init.defaultBranch=main")  # fmt: skip
_SSH = "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=/dev/null"
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]*\Z")
_CREDENTIALS = re.compile(r"(?<=//)[^/@]+@")


class GitRunner:
    """Runs the local git for a build."""

    def __init__(self, host: Host, agents: Mapping[str, str], *, allow_network: bool) -> None:
        """Looks for nothing yet.

        Args:
            host: with git on PATH.
            agents: the sockets of SSH agents, by id; git gets "default".
            allow_network: nothing is fetched without.
        """
        self._host, self._agents, self._allow_network = host, agents, allow_network

    def resolve(self, source: GitSource, at: At, checksum: str = "") -> str:
        """The commit that a source stands for now; "" when only fetching it tells.

        Args:
            source: what.
            at: for messages.
            checksum: the commit that it must be, or the beginning of it.

        Raises:
            DockerfileError: there is no such repository or reference, or it is another commit.
            HostError: there is no git here.
        """
        self._check(source, at)
        if source.pinned:
            commit = source.reference
        else:
            wanted = source.reference or "HEAD"
            output = self._git(["ls-remote", source.remote, wanted, f"{wanted}^{{}}"], "/", source, at)
            commit = _chosen(output, wanted)
            if not commit and not _COMMIT.match(wanted):
                raise DockerfileError(at, f"{shown(source.remote)} has no branch or tag {printable(wanted, 80)}")
        _require(commit, checksum, source, at)
        return commit

    def fetch(
        self,
        source: GitSource,
        commit: str,
        at: At,
        checksum: str,
        *,
        keep: bool,
        take: Callable[[str, Sequence[Found]], None],
    ) -> None:
        """Checks a commit out.

        Args:
            source: what.
            commit: of `resolve`.
            at: for messages.
            checksum: the commit that it must be, or the beginning of it.
            keep: `.git` is one of the files.
            take: is given the commit and the files, as long as they are there.

        Raises:
            DockerfileError: there is no such repository, reference or directory, or it is another commit.
            HostError: there is no git here.
        """
        self._check(source, at)
        with _scratch() as root:
            self._git(["init", "--quiet", "."], root, source, at)
            self._git(["remote", "add", "origin", source.remote], root, source, at)
            wanted = source.reference or "HEAD"
            try:
                self._git(["fetch", "--quiet", "--depth=1", "--no-tags", "origin", wanted], root, source, at)
                found = "FETCH_HEAD"
            except DockerfileError:
                # Not every server gives less than everything away, and a short commit is none of its names.
                self._git(["fetch", "--quiet", "--tags", "origin", "+refs/*:refs/remotes/origin/*"], root, source, at)
                found = commit or wanted
            commit = self._git(["rev-parse", "--verify", f"{found}^{{commit}}"], root, source, at).strip()
            _require(commit, checksum, source, at)
            self._git(["checkout", "--quiet", "--force", "--detach", commit], root, source, at)
            if os.path.isfile(os.path.join(root, ".gitmodules")):
                words = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]
                self._git(words, root, source, at)
            take(commit, _files(root, source, at, keep=keep))

    def _check(self, source: GitSource, at: At) -> None:
        if not self._allow_network:
            raise DockerfileError(
                at, f"{shown(source.remote)} is to be fetched, and the build may not use the network",
                hint="Give --allow-network.",
            )  # fmt: skip
        if source.reference and not _PLAIN.match(source.reference):
            raise DockerfileError(at, f"{printable(source.reference, 80)!r} is no branch, tag or commit")
        if ".." in source.directory.split("/"):
            raise DockerfileError(at, f"{printable(source.directory, 80)!r} leads out of the repository")

    def _git(self, words: Sequence[str], root: str, source: GitSource, at: At) -> str:
        host = self._host.environment
        git = find_program("git", host)
        if git is None:
            raise HostError("there is no git on PATH, and ADD needs it", hint="Install git.")
        environment = {name: value for name, value in host.items() if name.upper() in _OF_THE_MACHINE}
        known = os.path.join(host.get("HOME", "/nonexistent"), ".ssh", "known_hosts")
        environment |= {
            "HOME": root,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:git:ssh",
            "GIT_SSH_COMMAND": f"{_SSH} -o UserKnownHostsFile='{known}'",
            "LC_ALL": "C.UTF-8",
        }
        if agent := self._agents.get("default"):
            environment["SSH_AUTH_SOCK"] = agent
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        done = self._host.runner.run((git, *settings, *words), cwd=root, env=environment)
        if done.status:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            problem = printable(shown(said[-1]) if said else f"git ended with {done.status}", 300)
            hint = ""
            if not agent and source.remote.startswith(("ssh://", "git@")):
                hint = "Give --ssh default, if it is your keys that are missing."
            raise DockerfileError(at, f"git cannot fetch {shown(source.remote)}: {problem}", hint=hint)
        return done.stdout.decode("utf-8", "replace")


def shown(remote: str) -> str:
    """A repository's address for people, without a password."""
    return printable(_CREDENTIALS.sub("", remote), 200)


@contextmanager
def _scratch() -> Iterator[str]:
    root = tempfile.mkdtemp(prefix="wingo-git-")
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _chosen(output: str, wanted: str) -> str:
    """The commit of `git ls-remote`: a tag's own before the tag, tags before branches, as git itself looks names up."""
    found = {name: commit for commit, _, name in (line.partition("\t") for line in output.splitlines())}
    for name in (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}", f"{wanted}^{{}}", wanted):
        if name in found:
            return found[name]
    return ""


def _require(commit: str, checksum: str, source: GitSource, at: At) -> None:
    if checksum and commit and not commit.startswith(checksum):
        raise DockerfileError(
            at, f"{shown(source.remote)} is at {commit}, and --checksum says {printable(checksum, 80)}",
            hint="Mend --checksum, or name the commit: …#COMMIT.",
        )  # fmt: skip


def _files(root: str, source: GitSource, at: At, *, keep: bool) -> list[Found]:
    top = os.path.join(root, *source.directory.split("/")) if source.directory else root
    if os.path.realpath(top) != os.path.join(os.path.realpath(root), source.directory).rstrip("/") or not os.path.isdir(
        top
    ):
        raise DockerfileError(at, f"{shown(source.remote)} has no directory {printable(source.directory, 80)}")
    found = []
    for item in walk(DirectoryTree(top), ""):
        if ".git" in item.path.split("/") and not (keep and item.path.split("/")[0] == ".git"):
            continue
        mode = item.mode if item.kind != "file" else 0o755 if item.mode & 0o100 else 0o644
        found.append(msgspec.structs.replace(item, mode=0o755 if item.kind == "directory" else mode, uid=0, gid=0))
    return found
