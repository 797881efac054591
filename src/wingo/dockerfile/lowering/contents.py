"""Files' bytes: made, read within a limit, digested."""

from __future__ import annotations

import hashlib
import io
from functools import partial

from wingo.archive.entry import Content
from wingo.dockerfile.lowering.outcome import CannotLower


def content_of(data: bytes, origin: str) -> Content:
    """Bytes as a file's content."""
    return Content(len(data), partial(io.BytesIO, data), origin, "sha256:" + hashlib.sha256(data).hexdigest())


def read_content(content: Content, limit: int) -> bytes:
    """A content's bytes.

    Raises:
        CannotLower: there are more than the limit.
    """
    if content.size > limit:
        raise CannotLower(f"{content.origin} has {content.size} bytes; the step may look into files of {limit}")
    with content.open() as stream:
        return stream.read(limit + 1)


def hash_of(content: Content, algorithm: str) -> str:
    """A content's digest in lower-case hexadecimal."""
    if algorithm == "sha256" and content.digest.startswith("sha256:"):
        return content.digest[7:]
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with content.open() as stream:
        while block := stream.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
