"""An SSH agent of this machine, reached through a socket that lets nothing through but listing keys and signing.

What runs at the other end may use the keys as long as it runs, and can neither take them away nor add or lock any; the same
as BuildKit's (`session/sshforward/sshprovider`). Source: draft-miller-ssh-agent-14, section 5.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wingo.errors import HostError

_FAILURE = b"\0\0\0\1\5"
_REQUEST_IDENTITIES, _SIGN_REQUEST = 11, 13
_MAX_MESSAGE = 256 << 10
_MAX_CONNECTIONS = 64


@contextmanager
def agent_proxy(path: str, agent: str) -> Iterator[None]:
    """Listens on a socket for as long as the block runs.

    Args:
        path: of the new socket.
        agent: of the agent's.

    Raises:
        HostError: the agent cannot be reached, or the socket cannot be made.
    """
    _connect(agent).close()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        # Through a descriptor, as an address has no more than 107 bytes.
        listening.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        listening.listen(16)
    except OSError as error:
        listening.close()
        raise HostError(f"cannot make the socket {path}: {error.strerror}") from error
    finally:
        os.close(folder)
    proxy = _Proxy(listening, agent)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        proxy.close()
        thread.join()
        with suppress(FileNotFoundError):
            os.unlink(path)


class _Proxy:
    def __init__(self, listening: socket.socket, agent: str) -> None:
        self._listening, self._agent = listening, agent
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._closed = False

    def serve(self) -> None:
        while not self._closed:
            try:
                visitor, _ = self._listening.accept()
            except OSError:
                return
            with self._guard:
                if len(self._open) >= _MAX_CONNECTIONS:
                    visitor.close()
                    continue
                self._open.add(visitor)
            threading.Thread(target=self._talk, args=(visitor,), daemon=True).start()

    def _talk(self, visitor: socket.socket) -> None:
        agent: socket.socket | None = None
        try:
            while (message := _receive(visitor)) is not None:
                if message[4] not in (_REQUEST_IDENTITIES, _SIGN_REQUEST):
                    visitor.sendall(_FAILURE)
                    continue
                if agent is None:
                    agent = _connect(self._agent)
                agent.sendall(message)
                answer = _receive(agent)
                if answer is None:
                    return
                visitor.sendall(answer)
        except (OSError, HostError):
            return
        finally:
            with self._guard:
                self._open.discard(visitor)
            visitor.close()
            if agent is not None:
                agent.close()

    def close(self) -> None:
        with self._guard:
            self._closed = True
            for visitor in self._open:
                with suppress(OSError):
                    visitor.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _connect(agent: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.connect(agent)
    except OSError as error:
        made.close()
        raise HostError(
            f"the SSH agent at {agent} cannot be reached: {error.strerror}",
            hint="Start one: eval $(ssh-agent) && ssh-add.",
        ) from error
    return made


def _receive(stream: socket.socket) -> bytes | None:
    """A whole message with its length; None at the end, or for one that no agent has."""
    head = _exactly(stream, 4)
    if head is None:
        return None
    (size,) = struct.unpack(">I", head)
    if not 0 < size <= _MAX_MESSAGE:
        return None
    body = _exactly(stream, size)
    return None if body is None else head + body


def _exactly(stream: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            return None
        data += more
    return data
