"""References: registry, repository, and a tag or a digest.

The grammar is distribution's (`reference/regexp.go`), the short forms are Docker's: a first part without a dot, a colon
or "localhost" is a repository on Docker Hub, and one without a slash is an official one.
"""

from __future__ import annotations

import re

import msgspec

from wingo.errors import RequestError, WingoError
from wingo.oci.digest import Digest, parse_digest

DOCKER_HUB = "docker.io"
_REPOSITORY_PART = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_LABEL = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)"
_HOST = re.compile(rf"(?:\[[0-9a-fA-F:]{{2,45}}\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?\Z")
_MAX_NAME = 255


class Reference(msgspec.Struct, frozen=True):
    """A name in a registry.

    Attributes:
        registry: host, with its port when it has one; "docker.io" for Docker Hub.
        repository: the path, for instance "team/app".
        tag: "" when there is none.
        digest: "" when there is none; with a tag too, the digest decides.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest = Digest("")

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """What is asked of the registry: the digest, else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository, pinned: without the tag."""
        return Reference(self.registry, self.repository, digest=digest)

    def with_tag(self, tag: str) -> Reference:
        """The same repository under a tag."""
        return Reference(self.registry, self.repository, tag=parse_tag(tag))


def parse_tag(text: str) -> str:
    """Checks a tag's spelling.

    Raises:
        RequestError: it is not a tag.
    """
    if not _TAG.match(text):
        raise RequestError(
            f"{text[:160]!r} is not a tag", hint="Use letters, digits, '_', '.' and '-', 128 characters at most."
        )
    return text


def parse_reference(text: str, *, default_tag: str = "") -> Reference:
    """Reads `[registry/]repository[:tag][@digest]`.

    Args:
        text: as a user writes it.
        default_tag: the tag when neither a tag nor a digest is written; which one that is, is the caller's policy.

    Raises:
        RequestError: it is not a reference; the message says which part.
    """
    if "://" in text[:40]:
        raise RequestError(
            f"{text.rpartition('@')[2][:200]!r} is not a reference: it has no scheme",
            hint=f"Write it without {text.partition('://')[0]}://.",
        )
    rest, at, digest_text = text.partition("@")
    digest = Digest("")
    if at:
        try:
            digest = parse_digest(digest_text)
        except WingoError as error:
            # Without what stands before the "@": it may be somebody's password.
            raise RequestError(
                f"after '@' there must be a digest, sha256: and 64 hex digits, not {digest_text[:200]!r}"
            ) from error
    name, tag = rest, ""
    if (colon := rest.rfind(":")) > rest.rfind("/"):
        name, tag = rest[:colon], rest[colon + 1 :]
        parse_tag(tag)
    first, slash, path = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        registry, repository = first, path
    else:
        registry, repository = DOCKER_HUB, name if slash else f"library/{name}"
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    _check_name(text, registry, repository)
    return Reference(registry, repository, tag=tag or ("" if digest else default_tag), digest=digest)


def _check_name(text: str, registry: str, repository: str) -> None:
    if not _HOST.match(registry):
        raise RequestError(f"{text[:200]!r}: {registry[:100]!r} is not a registry's host name")
    if len(registry) + 1 + len(repository) > _MAX_NAME:
        raise RequestError(f"{text[:80]!r}…: the name has more than {_MAX_NAME} characters")
    for part in repository.split("/"):
        if _REPOSITORY_PART.match(part):
            continue
        hint = "Write the repository in lower case." if part != part.lower() else ""
        raise RequestError(
            f"{text[:200]!r} is not a reference: {part[:100]!r} cannot be part of a repository", hint=hint
        )
