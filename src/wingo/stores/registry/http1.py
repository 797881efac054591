"""HTTP/1.1 on a connected socket: one request and its answer (RFC 9112), with limits on everything a peer may send.

Written on `socket` because `http.client` brings `email` and `ssl` along, 38 ms of a build that has 100 (ADR 0003).
A connection never sends chunked bodies, never pipelines, and is closed at the first thing that it does not understand.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from typing import BinaryIO, Self

MAX_LINE = 32 << 10
"""Bytes of a status line, a header or a chunk's size; signed storage addresses in Location have a few KB."""
MAX_HEADERS = 128
_MAX_INTERIM = 8
_PIECE = 256 << 10
_DRAIN = 64 << 10
_NO_BODY = (204, 304)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class NotHttp(Exception):
    """The peer's bytes are not HTTP/1.1, or more than we read."""


class TooLong(NotHttp):
    """An answer of more bytes than we read."""


class Cut(ConnectionError):
    """The peer ended the connection before its answer was whole.

    Attributes:
        answered: whether some of the answer had come.
    """

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class Body(msgspec.Struct, frozen=True):
    """A request's body that is too large to be held.

    Attributes:
        size: bytes that will be sent.
        open: gives a stream that has at least so many; called once per attempt.
        sent: told of every piece that went out.
    """

    size: int
    open: Callable[[], BinaryIO]
    sent: Callable[[int], None] | None = None


class Response:
    """An answer: its head at once, its body as it is read.

    Attributes:
        status: the status code.
        headers: by lower-case name; repeated ones joined with ", " (RFC 9110, 5.3).
    """

    def __init__(
        self, stream: BinaryIO, status: int, headers: Mapping[str, str], *, bodiless: bool, done: Callable[[bool], None]
    ) -> None:
        self.status = status
        self.headers = headers
        self._stream = stream
        self._done: Callable[[bool], None] | None = done
        self._keep = headers.get("connection", "").lower() != "close"
        self._chunked = False
        self._within_chunks = False
        self._left: int | None = 0
        if not bodiless:
            self._frame()
        if self._left == 0 and not self._chunked:
            self._finish(keep=True)

    def _frame(self) -> None:
        encoding = self.headers.get("transfer-encoding", "").lower()
        if encoding:
            if encoding != "chunked":
                raise NotHttp(f"transfer encoding {encoding[:40]!r}")
            self._chunked = True
            return
        length = self.headers.get("content-length")
        if length is None:
            self._left = None
            self._keep = False
            return
        values = {value.strip() for value in length.split(",")}
        text = values.pop()
        if values or not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise NotHttp(f"content length {length[:40]!r}")
        self._left = int(text)

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced; None when the answer does not say."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdigit() and "transfer-encoding" not in self.headers else None

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`, b"" at the end.

        Raises:
            Cut: the connection ended within the body.
            NotHttp: a broken chunk.
        """
        if self._done is None:
            return b""
        try:
            if self._chunked and self._left == 0 and not self._next_chunk():
                self._finish(keep=True)
                return b""
            wanted = count if self._left is None else min(count, self._left)
            data = self._stream.read(wanted)
        except BaseException:
            self._finish(keep=False)
            raise
        if self._left is None:
            if not data:
                self._finish(keep=False)
            return data
        if not data and wanted:
            self._finish(keep=False)
            raise Cut("the connection was cut within the answer", answered=True)
        self._left -= len(data)
        if self._left == 0 and not self._chunked:
            self._finish(keep=True)
        return data

    def read_all(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            TooLong: it has more than `limit` bytes.
            Cut: the connection ended within it.
        """
        if self._left is not None and not self._chunked and self._left > limit:
            self.close()
            raise TooLong(f"an answer of {self._left} bytes, more than {limit}")
        pieces = []
        seen = 0
        while piece := self.read(min(_PIECE, limit + 1 - seen)):
            pieces.append(piece)
            seen += len(piece)
            if seen > limit:
                self.close()
                raise TooLong(f"an answer of more than {limit} bytes")
        return b"".join(pieces)

    def _next_chunk(self) -> bool:
        if self._within_chunks and self._stream.readline(3) not in (b"\r\n", b"\n"):
            raise NotHttp("a chunk without its end")
        self._within_chunks = True
        line = _line(self._stream)
        size = line.partition(b";")[0].strip()
        if not size or len(size) > 15 or not all(byte in b"0123456789abcdefABCDEF" for byte in size):
            raise NotHttp("a chunk without a size")
        self._left = int(size, 16)
        if self._left:
            return True
        for _ in range(MAX_HEADERS):  # trailers: read over
            if not _line(self._stream):
                return False
        raise NotHttp("too many trailers")

    def close(self) -> None:
        """Gives the connection back, or closes it when much of the body is unread."""
        if self._done is None:
            return
        if not self._chunked and self._left is not None and self._left <= _DRAIN:
            try:
                while self._left and self._done is not None:
                    self.read(self._left)
            except (OSError, NotHttp):
                return
        else:
            self._finish(keep=False)

    def _finish(self, *, keep: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(keep and self._keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self.close()
        else:
            self._finish(keep=False)  # whoever is interrupted does not want to wait for the rest


class Connection:
    """One socket and the buffer in front of it.

    Attributes:
        reused: whether it has carried an exchange before.
        idle_since: when it was given back, by the pool's clock.
    """

    def __init__(self, sock: socket.socket, *, buffer: int = _PIECE) -> None:
        self._socket = sock
        self._stream: BinaryIO = sock.makefile("rb", buffer)  # type: ignore[assignment]
        self.reused = False
        self.idle_since = 0.0

    def stale(self) -> bool:
        """Whether an idle connection has been closed by the peer, or has bytes that nobody asked for."""
        try:
            if not hasattr(select, "poll"):
                return bool(select.select([self._socket], [], [], 0)[0])
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True

    def let_go(self) -> None:
        """Leaves the socket to somebody else, open."""
        self._stream.close()

    def close(self) -> None:
        """Ends it."""
        try:
            self._stream.close()
        finally:
            self._socket.close()

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Body | None,
        *,
        timeout: float,
        done: Callable[[bool], None],
    ) -> Response:
        """Sends a request and reads the head of its answer.

        Args:
            method: the method.
            target: path and query, or what a proxy wants.
            headers: everything but Content-Length.
            body: what is sent with it.
            timeout: seconds without a byte.
            done: called once, when the answer is read or given up; whether the connection can be used again.

        Raises:
            OSError, NotHttp: the connection is of no further use; `done` has been called.
        """
        try:
            self._socket.settimeout(timeout)
            broken = self._send(method, target, headers, body)
            response = self._receive(method, done if broken is None else lambda _keep: done(False))
        except BaseException:
            done(False)
            raise
        return response

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Body | None) -> OSError | None:
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        size = body.size if isinstance(body, Body) else len(body or b"")
        if body is not None or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {size}")
        for line in lines:
            if not line.isprintable() or not line.isascii() or " " in target:
                raise NotHttp("a request header with a character that none may have")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        try:
            if isinstance(body, Body):
                self._socket.sendall(head)
                self._send_stream(body)
            else:
                self._socket.sendall(head + body if body else head)
        except (BrokenPipeError, ConnectionResetError) as error:
            # The peer may have answered before it hung up: a 401 or 413 says more than "connection reset".
            if self.reused and not isinstance(body, Body):
                raise
            return error
        return None

    def _send_stream(self, body: Body) -> None:
        left = body.size
        with body.open() as stream:
            while left:
                piece = stream.read(min(_PIECE, left))
                if not piece:
                    raise NotHttp(f"{left} bytes fewer than announced could be read for sending")
                self._socket.sendall(piece)
                left -= len(piece)
                if body.sent is not None:
                    body.sent(len(piece))

    def _receive(self, method: str, done: Callable[[bool], None]) -> Response:
        for _ in range(_MAX_INTERIM):
            status, version = self._status_line()
            headers = self._headers()
            if status >= 200:
                break
        else:
            raise NotHttp("interim answers without end")
        if version == "HTTP/1.0" and headers.get("connection", "").lower() != "keep-alive":
            headers["connection"] = "close"
        self.reused = True
        return Response(self._stream, status, headers, bodiless=method == "HEAD" or status in _NO_BODY, done=done)

    def _status_line(self) -> tuple[int, str]:
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            raise Cut("the connection was closed without an answer", answered=False)
        version, _, rest = line.decode("latin-1").partition(" ")
        code = rest.partition(" ")[0].rstrip()
        if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit() or not line.endswith(b"\n"):
            raise NotHttp("the answer is not HTTP")
        return int(code), version

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = _line(self._stream)
            if not line:
                return headers
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or not _TOKEN.issuperset(name):
                raise NotHttp("a header without a name")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        raise NotHttp(f"more than {MAX_HEADERS} headers")


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(MAX_LINE + 1)
    if not line.endswith(b"\n"):
        if len(line) > MAX_LINE:
            raise NotHttp(f"a line of more than {MAX_LINE} bytes")
        raise Cut("the connection was cut within the answer", answered=True)
    return line.rstrip(b"\r\n")
