"""Git repositories as sources of ADD and as build contexts (BuildKit `util/gitutil` and `frontend/dockerfile/dfgitutil`)."""

from __future__ import annotations

import re

import msgspec

_SCHEME = re.compile(r"(?:git|ssh|https?)://[^/]", re.IGNORECASE)
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^/]")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class GitSource(msgspec.Struct, frozen=True):
    """A repository, what of its history, and what of its files.

    Attributes:
        remote: as git takes it.
        reference: a branch, tag or commit; "" for the default branch.
        directory: below the repository's root; "" for all.
    """

    remote: str
    reference: str = ""
    directory: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the reference is a whole commit: it is the same for ever."""
        return _COMMIT.match(self.reference) is not None


def parse_git(text: str) -> GitSource | None:
    """Reads `https://host/repo.git#ref:directory`, `git@host:repo.git`, `ssh://…` and `git://…`; None: it is none."""
    remote, _, fragment = text.partition("#")
    reference, _, directory = fragment.partition(":")
    if not _SCP.match(remote):
        if not _SCHEME.match(remote):
            return None
        web = remote.lower().startswith(("http://", "https://"))
        if web and not remote.partition("?")[0].endswith(".git"):
            return None
    return GitSource(remote, reference, directory.strip("/"))
