"""`Stream`: what a read-only stream needs besides the one method that matters."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_SIZE = 1 << 18


class Stream(io.RawIOBase):
    """A stream that is read forward; a subclass says what `some` gives."""

    def some(self, size: int) -> bytes:
        """At least one byte and at most `size`, which is positive; b"" at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, at most `size`; all that are left when it is negative; raises what `some` raises."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.some(_READ_SIZE), b""))
        return self.some(size) if size else b""

    def readall(self) -> bytes:
        """All that is left; raises what `some` raises."""
        return self.read(-1)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fills a buffer as far as it goes at once; raises what `some` raises."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
