"""Messages between the processes of one start: JSON over a socket pair, with descriptors beside."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from wingo.errors import ContentError, HostError, RequestError, TrustError, WingoError

_MAX_BYTES = 1 << 16
_MAX_DESCRIPTORS = 64
_ERRORS: dict[str, type[WingoError]] = {
    kind.__name__: kind for kind in (RequestError, HostError, ContentError, TrustError)
}


class Channel:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """For `selectors`."""
        return self._socket.fileno()

    def send(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> bool:
        """Sends a message; False when nobody is there to read it."""
        data = json.dumps(message).encode()
        try:
            if descriptors:
                socket.send_fds(self._socket, [data], list(descriptors))
            else:
                self._socket.sendall(data)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[dict[str, object], list[int]] | None:
        """The next message and its descriptors; None when the other end has gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _MAX_BYTES, _MAX_DESCRIPTORS)
        except OSError:
            return None
        for descriptor in descriptors:
            # recv_fds takes flags, and forgets MSG_CMSG_CLOEXEC: a program would have them too.
            os.set_inheritable(descriptor, False)
        if not data:
            return None
        return json.loads(data), list(descriptors)

    def expect(self, word: str) -> tuple[dict[str, object], list[int]]:
        """The next message, which has a member of this name.

        Raises:
            WingoError: the other end tells of an error.
            HostError: it has gone.
        """
        received = self.receive()
        if received is None:
            raise HostError(f"a process of this start ended before {word!r}")
        raise_error(received[0])
        if word not in received[0]:
            raise HostError(f"a process of this start said {sorted(received[0])} instead of {word!r}")
        return received

    def close(self) -> None:
        """Closes this end."""
        with suppress(OSError):
            self._socket.close()


def error_message(error: BaseException) -> dict[str, object]:
    """An error as a message."""
    if isinstance(error, WingoError):
        kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), "HostError")
        return {"error": str(error), "kind": kind, "hint": error.hint}
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        return {"error": f"{what}{error.strerror or error}", "kind": "HostError", "hint": ""}
    return {"error": f"{type(error).__name__}: {error}", "kind": "HostError", "hint": ""}


def raise_error(message: dict[str, object]) -> None:
    """Raises the error that a message tells of, if it does."""
    if "error" in message:
        kind = _ERRORS.get(str(message.get("kind")), HostError)
        raise kind(str(message["error"]), hint=str(message.get("hint", "")))


def close_all(descriptors: Sequence[int]) -> None:
    """Closes descriptors, whether they are open or not."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
