"""The socket that stands for an SSH agent in a step: signing gets through, and nothing else."""

from __future__ import annotations

import os
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from wingo.errors import HostError
from wingo.launch.ssh_agent import agent_proxy


class Agent(socketserver.ThreadingUnixStreamServer):
    """An agent that answers everything with what it was asked."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, Answering)
        self.path = path
        self.asked: list[bytes] = []


class Answering(socketserver.BaseRequestHandler):
    server: Agent
    request: socket.socket

    def handle(self) -> None:
        while data := self.request.recv(1 << 20):
            self.server.asked.append(data[4:])
            self.request.sendall(data[:4] + bytes([data[4] + 1]) + data[5:])


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(str(tmp_path / "agent")) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(path: str, body: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(5)
        stream.connect(path)
        stream.sendall(struct.pack(">I", len(body)) + body)
        return stream.recv(1 << 20)


def test_signing_gets_through_and_nothing_else(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "proxy")
    with agent_proxy(path, agent.path):
        assert ask(path, b"\x0b") == b"\0\0\0\1\x0c"
        assert ask(path, b"\x0dkey") == b"\0\0\0\4\x0ekey"
        for kind in (1, 17, 18, 19, 20, 22, 25, 27):
            assert ask(path, bytes([kind]) + b"more") == b"\0\0\0\1\5"
        assert agent.asked == [b"\x0b", b"\x0dkey"]
    assert not os.path.exists(path)


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\xff\xff\xff\xff\x0b", b"\0\0", b"\0\0\0\x09\x0b"])
def test_what_is_no_message_ends_the_connection(agent: Agent, tmp_path: Path, data: bytes) -> None:
    path = str(tmp_path / "proxy")
    with agent_proxy(path, agent.path), socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(5)
        stream.connect(path)
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):  # it did not read all of it
            assert stream.recv(10) == b""
    assert agent.asked == []


def test_it_ends_with_those_that_still_talk(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "proxy")
    with socket.socket(socket.AF_UNIX) as stream:
        with agent_proxy(path, agent.path):
            stream.connect(path)
            stream.sendall(b"\0\0\0\1\x0b")
            assert stream.recv(10)
        stream.settimeout(5)
        assert stream.recv(10) == b""


def test_an_agent_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be reached"), agent_proxy(str(tmp_path / "x"), str(tmp_path / "none")):
        pass
