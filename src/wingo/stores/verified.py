"""`VerifiedReader`: a stream that is what its descriptor says, or ends in an error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from wingo.archive.streams import Stream
from wingo.errors import ContentError, DigestMismatch, HostError, SizeMismatch
from wingo.oci.digest import Digest, Hasher, algorithm_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class VerifiedReader(Stream):
    """Passes bytes on and checks them against a digest and a size.

    The last bytes are only given out after all of them were found right: whoever has as many bytes as the size says
    has the right ones, and whoever stops before must not believe what he has.
    """

    def __init__(
        self,
        stream: BinaryIO,
        digest: Digest,
        size: int,
        what: str,
        on_damage: Callable[[ContentError], None] | None = None,
    ) -> None:
        """Takes over a stream, which is closed together with this one.

        Args:
            stream: where the bytes come from.
            digest: what they should be.
            size: how many there should be.
            what: their name, for people.
            on_damage: is told before the error is raised; the stream is closed by then.
        """
        super().__init__()
        self._stream = stream
        self._digest = digest
        self._left = size
        self._size = size
        self._what = what
        self._hasher = Hasher(algorithm_of(digest))
        self._on_damage = on_damage
        self._checked = False

    def some(self, size: int) -> bytes:
        """Some bytes.

        Raises:
            DigestMismatch: all have come, and they are others.
            SizeMismatch: there are more or fewer.
            HostError: the operating system cannot read them.
        """
        with self._readable():
            data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        self._hasher.update(data)
        if not data or not self._left:
            self._check_end()
        return data

    def _check_end(self) -> None:
        if self._checked:
            return
        if self._left:
            raise self._damaged(SizeMismatch(self._what, self._size, self._size - self._left))
        with self._readable():
            more = self._stream.read(1)
        if more:
            raise self._damaged(SizeMismatch(self._what, self._size, self._size + 1))
        actual = self._hasher.digest()
        if actual != self._digest:
            raise self._damaged(DigestMismatch(self._what, self._digest, actual))
        self._checked = True

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(f"cannot read {self._what}: {error.strerror or error}") from error

    def _damaged(self, error: ContentError) -> ContentError:
        self._stream.close()
        if self._on_damage is not None:
            self._on_damage(error)
        return error

    def close(self) -> None:
        """Closes the stream below as well."""
        if not self.closed:
            self._stream.close()
        super().close()
