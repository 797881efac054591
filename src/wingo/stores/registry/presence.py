"""Which blobs are in which repositories, as far as this process has seen: nothing is asked or sent twice."""

from __future__ import annotations

import threading

from wingo.oci.digest import Digest


class Presence:
    """What was seen or put somewhere; safe to share between threads."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, Digest], list[str]] = {}
        self._lock = threading.Lock()

    def add(self, registry: str, repository: str, digest: Digest) -> None:
        """A repository has a blob."""
        with self._lock:
            repositories = self._places.setdefault((registry, digest), [])
            if repository not in repositories:
                repositories.append(repository)

    def has(self, registry: str, repository: str, digest: Digest) -> bool:
        """Whether a repository is known to have a blob."""
        with self._lock:
            return repository in self._places.get((registry, digest), ())

    def elsewhere(self, registry: str, repository: str, digest: Digest) -> str:
        """Another repository of the registry that has the blob, "" when none is known."""
        with self._lock:
            return next((path for path in self._places.get((registry, digest), ()) if path != repository), "")

    def forget(self, registry: str, repository: str, digest: Digest) -> None:
        """What was known turned out to be wrong."""
        with self._lock:
            repositories = self._places.get((registry, digest), [])
            if repository in repositories:
                repositories.remove(repository)
