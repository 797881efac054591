"""Digests (image-spec `descriptor.md`, "Digests")."""

from __future__ import annotations

import hashlib
from typing import NewType

from wingo.errors import Malformed

Digest = NewType("Digest", str)
"""`algorithm:hex` in lower case, as `parse_digest` lets it through."""

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdef")


def parse_digest(text: str) -> Digest:
    """Checks a digest's spelling.

    Only the two registered algorithms, in lower case: a digest becomes a file name and part of a URL.

    Raises:
        Malformed: it is not a digest.
    """
    algorithm, _, encoded = text.partition(":")
    if len(encoded) != _HEX_LENGTH.get(algorithm, -1) or not _HEX.issuperset(encoded):
        raise Malformed("digest", f"{text[:160]!r} is not sha256: or sha512: with lower-case hex digits")
    return Digest(text)


def sha256_digest(data: bytes) -> Digest:
    """The sha256 digest of bytes that we hold."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def algorithm_of(digest: Digest) -> str:
    """The digest's algorithm: "sha256" or "sha512"."""
    return digest.partition(":")[0]


def encoded_of(digest: Digest) -> str:
    """The digest's hex digits, without the algorithm."""
    return digest.partition(":")[2]


class Hasher:
    """Digests a stream piece by piece and counts its bytes.

    Attributes:
        size: the number of bytes seen.
    """

    __slots__ = ("_algorithm", "_hash", "size")

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Takes in the next bytes."""
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        """The digest of all bytes so far."""
        return Digest(f"{self._algorithm}:{self._hash.hexdigest()}")
