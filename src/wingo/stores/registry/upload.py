"""Puts one blob into a repository: asked for, mounted, sent at once, or sent in pieces and resumed.

distribution-spec 1.1, "Pushing Blobs": end-4a (session), end-4c and end-11 (mount), end-5 (piece), end-6 (close), end-13 (status).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from wingo.errors import HostError, RemoteError, SizeMismatch
from wingo.oci.digest import Digest
from wingo.stores.registry.api import (
    ACCEPTED_STATUS,
    CREATED,
    NO_CONTENT,
    NOT_FOUND,
    OK,
    RANGE_NOT_SATISFIABLE,
    Repository,
)
from wingo.stores.registry.auth import pull_scope
from wingo.stores.registry.faults import Refusal, refusal
from wingo.stores.registry.http1 import Body

if TYPE_CHECKING:
    from typing import BinaryIO, Self

    from wingo.image.model import Opener
    from wingo.image.progress import Task
    from wingo.stores.registry.http1 import Response
    from wingo.stores.registry.url import Url

FALLBACK_PIECE_BYTES = 32 << 20
"""The size of pieces for a registry, or a proxy before it, that finds whole blobs too large."""
_MAX_TRIES = 5
_TOO_LARGE = 413
_SKIP = 1 << 20


class Pieces(msgspec.Struct, frozen=True):
    """How blobs are cut for sending, in bytes.

    Attributes:
        at_once: up to this size a blob goes with the request that closes its session: two requests instead of three.
        piece: larger ones go in pieces of this size; 0: in one, which is what every registry takes. Either way a piece
            that is cut off goes on where it was cut.
    """

    at_once: int = 32 << 20
    piece: int = 0


DEFAULT_PIECES = Pieces()


class Upload:
    """One blob on its way."""

    def __init__(
        self,
        repository: Repository,
        digest: Digest,
        size: int,
        open_blob: Opener,
        task: Task,
        pieces: Pieces = DEFAULT_PIECES,
    ) -> None:
        """Sends nothing yet.

        Args:
            repository: where it goes.
            digest: the blob's.
            size: its bytes.
            open_blob: gives its bytes, anew for every try.
            task: told of the bytes that went out.
            pieces: how it is cut.
        """
        self._repository = repository
        self._digest = digest
        self._size = size
        self._open = open_blob
        self._task = task
        self._at_once = pieces.at_once
        self._piece = pieces.piece
        self._doing = f"sending the blob {digest} to {repository.name}"

    def run(self, mount_from: str = "") -> bool:
        """Gets the blob there.

        Args:
            mount_from: another repository of the same registry that has it; "" when none is known.

        Returns:
            Whether it was mounted, so that nothing was sent.

        Raises:
            RemoteError: the registry refuses, or fails again and again.
            WingoError: the blob's own bytes are not what they should be.
        """
        transport = self._repository.registry.transport
        for tried in range(1, _MAX_TRIES + 1):
            try:
                if tried > 1 and self._repository.has_blob(self._digest):
                    return False  # the answer was lost, not the bytes
                session, minimum = self._begin(mount_from)
                if session is None:
                    return True
                if self._size <= self._at_once:
                    self._close(session, Body(self._size, self._source(0), self._task.advance))
                else:
                    self._close(self._send_pieces(session, minimum), b"")
            except RemoteError as error:
                too_large = error.status == _TOO_LARGE and self._smaller()
                lost = error.status in (NOT_FOUND, RANGE_NOT_SATISFIABLE)  # the session is gone
                if tried == _MAX_TRIES or not (error.temporary or too_large or lost):
                    raise
                mount_from = ""
                transport.rest(tried, _asked(error))
                continue
            return False
        raise AssertionError("the last try returns or raises")

    def _smaller(self) -> bool:
        """Goes over to pieces of a size that most body limits allow; False when they are as small already."""
        if 0 < self._piece <= FALLBACK_PIECE_BYTES or self._size <= FALLBACK_PIECE_BYTES // 4:
            return False
        self._piece = FALLBACK_PIECE_BYTES // 4 if self._size <= FALLBACK_PIECE_BYTES else FALLBACK_PIECE_BYTES
        self._at_once = 0
        return True

    def _begin(self, mount_from: str) -> tuple[Url | None, int]:
        """Mounts the blob (no session then), or opens a session; with the least size of pieces that it takes."""
        url = self._repository.url("blobs/uploads/")
        scopes: tuple[str, ...] = ()
        if mount_from:
            url = url.with_query("mount", self._digest).with_query("from", mount_from)
            scopes = (pull_scope(mount_from),)
        # A session that nobody goes on with is cleared away by the registry, so opening two does no harm.
        with self._repository.send("POST", url, self._doing, body=b"", again=True, scopes=scopes) as response:
            if response.status == CREATED and mount_from:
                return None, 0
            if response.status != ACCEPTED_STATUS:
                error = refusal(response, self._doing, url)
                if mount_from and error.status in (401, 403, 404, 405):
                    # The other repository is not ours to read after all: send the bytes.
                    return self._begin("")
                raise error
            least = response.headers.get("oci-chunk-min-length", "")
            minimum = int(least) if least.isdigit() and len(least) < 12 else 0
            return self._repository.registry.session(url, response, self._doing), minimum

    def _begin_again(self) -> Url:
        session, _ = self._begin("")
        assert session is not None, "nothing was to be mounted"
        return session

    def _close(self, session: Url, body: bytes | Body) -> None:
        url = session.with_query("digest", self._digest)
        headers = {"Content-Type": "application/octet-stream"}
        with self._repository.send("PUT", url, self._doing, headers=headers, body=body) as response:
            if response.status not in (CREATED, OK, NO_CONTENT):
                raise refusal(response, self._doing, url)

    def _send_pieces(self, session: Url, minimum: int) -> Url:
        """Sends everything, and gives the address at which the session is closed.

        What was cut goes on where the registry says that it stopped.
        """
        start = 0
        failures = 0
        whole = self._piece == 0
        while start < self._size:
            length = self._size - start if whole else min(max(self._piece, minimum), self._size - start)
            try:
                session, start = self._send_piece(session, start, length, ranged=start > 0 or not whole)
            except RemoteError as error:
                failures += 1
                resumable = error.temporary or error.status == RANGE_NOT_SATISFIABLE
                if not resumable or failures >= _MAX_TRIES:
                    raise
                self._repository.registry.transport.rest(failures, _asked(error))
                session, reached = self._status(session)
                if not reached:
                    session = self._begin_again()  # "0-0" is none or one byte: a new session is sure
                if reached > start:
                    failures = 0
                start = reached
        return session

    def _send_piece(self, session: Url, start: int, length: int, *, ranged: bool) -> tuple[Url, int]:
        headers = {"Content-Type": "application/octet-stream"}
        if ranged:
            headers["Content-Range"] = f"{start}-{start + length - 1}"
        body = Body(length, self._source(start), self._task.advance)
        with self._repository.send("PATCH", session, self._doing, headers=headers, body=body) as response:
            if response.status not in (ACCEPTED_STATUS, CREATED, NO_CONTENT):
                raise refusal(response, self._doing, session)
            following = self._repository.registry.session(session, response, self._doing)
            reached = _reached(response)
        if reached is None or reached == start + length:
            return following, start + length
        if start <= reached < start + length:
            return following, reached  # it took a part of it
        raise RemoteError(f"{self._doing}: the registry says that it has {reached} bytes after {start + length}")

    def _status(self, session: Url) -> tuple[Url, int]:
        """How far the registry has got.

        Raises:
            Refusal: it has no such session any more.
        """
        with self._repository.send("GET", session, self._doing) as response:
            if response.status not in (NO_CONTENT, OK, ACCEPTED_STATUS):
                raise refusal(response, self._doing, session)
            reached = _reached(response) or 0
            if "location" in response.headers:
                session = self._repository.registry.session(session, response, self._doing)
        if reached > self._size:
            raise Refusal(f"{self._doing}: the registry has more bytes than there are", status=response.status)
        return session, reached

    def _source(self, start: int) -> Opener:
        def open_source() -> BinaryIO:
            source = _Source(self._open(), self._doing, self._size)
            try:
                source.skip(start)
            except BaseException:
                source.close()
                raise
            return cast("BinaryIO", source)

        return open_source


class _Source:
    """The bytes of a blob on their way out: errors of the disk are not taken for errors of the network."""

    def __init__(self, stream: BinaryIO, doing: str, size: int) -> None:
        self._stream = stream
        self._doing = doing
        self._size = size
        self._seen = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            raise HostError(f"{self._doing}: its bytes cannot be read: {error.strerror or error}") from error
        self._seen += len(data)
        if not data and size:
            raise SizeMismatch("the layer that is sent", self._size, self._seen)
        return data

    def skip(self, count: int) -> None:
        """Reads over what the registry has already; a verifying stream cannot seek."""
        while count:
            count -= len(self.read(min(count, _SKIP)))

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _asked(error: RemoteError) -> float:
    return error.retry_after if isinstance(error, Refusal) else 0.0


def _reached(response: Response) -> int | None:
    """Bytes that the registry has, by its Range header, `0-LAST`; "0-0" is what some say for none."""
    first, dash, last = response.headers.get("range", "").removeprefix("bytes=").partition("-")
    if not dash or first != "0" or not last.isdigit() or len(last) > 18:
        return None
    return int(last) + 1 if int(last) else 0
