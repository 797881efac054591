"""A registry in this process for every test that asks for one, and a peer that says exactly what it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Self

import pytest

from wingo.stores.registry import RegistryClient
from wingo.testing.registry import RegistryServer
from wingo.testing.registry_client import make_client


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with make_client() as made:
        yield made


class RawServer:
    """Answers each connection with fixed bytes after it has read one request's head, then closes it.

    `heads` has what was received, one item per connection.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.heads: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    head += piece
                self.heads.append(head)
                try:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(0.3)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
