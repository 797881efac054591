"""Registry servers on loopback for the benchmarks, and a proxy that counts the bytes which pass."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(port: int, process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            message = f"the registry server ended with status {process.returncode} before it answered"
            raise RuntimeError(message)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"the registry server did not answer on port {port} within {seconds:.0f} s"
    raise RuntimeError(message)


@contextlib.contextmanager
def docker_registry(root: Path, program: str = "docker-registry") -> Iterator[int]:
    """Runs Debian's docker-registry with its storage under `root`; gives its port."""
    port = free_port()
    root.mkdir(parents=True, exist_ok=True)
    config = root / "config.yml"
    config.write_text(_REGISTRY_CONFIG.format(root=root / "data", port=port))
    with _running([program, "serve", str(config)], root / "log") as process:
        _wait_until_up(port, process)
        yield port


@contextlib.contextmanager
def olareg(root: Path, program: str = "olareg") -> Iterator[int]:
    """Runs olareg (OCI 1.1 with referrers) with its storage under `root`; gives its port."""
    port = free_port()
    root.mkdir(parents=True, exist_ok=True)
    command = [program, "serve", "--dir", str(root / "data"), "--addr", "127.0.0.1", "--port", str(port)]
    with _running(command, root / "log") as process:
        _wait_until_up(port, process)
        yield port


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which(command[0])
    if program is None:
        message = f"{command[0]} is not installed"
        raise RuntimeError(message)
    with log.open("wb") as sink:
        process = subprocess.Popen([program, *command[1:]], stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class Traffic:
    """Bytes that crossed the counting proxy, HTTP headers included."""

    to_server: int = 0
    to_client: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def total(self) -> int:
        """Both directions together."""
        return self.to_server + self.to_client


@contextlib.contextmanager
def counting_proxy(target_port: int) -> Iterator[tuple[int, Traffic]]:
    """A TCP forwarder on loopback in front of `target_port`: its port, and what passed so far.

    It costs time, so nothing is timed through it.
    """
    traffic = Traffic()
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", target_port))
            threading.Thread(target=_pump, args=(client, server, traffic, "to_server"), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, traffic, "to_client"), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield port, traffic
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _pump(source: socket.socket, sink: socket.socket, traffic: Traffic, direction: str) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            with traffic.lock:
                setattr(traffic, direction, getattr(traffic, direction) + len(data))
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
