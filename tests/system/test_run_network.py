"""The way outside of a private network, through each stack that wingo knows; in a network that the test makes, without any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import missing, need_tool
from tests.system.containers import MARK, PROGRAMS, WHO, Wingo, build, folder_for, leftovers, settles

HELD = f"{MARK}-held"
NETWORK = """
ip link set lo up
ip link add v0 type veth peer name v1
ip addr add 10.99.0.1/24 dev v0
ip addr add 10.99.0.2/24 dev v1
ip link set v0 up
ip link set v1 up
ip route add default via 10.99.0.254 dev v0
exec "$0" -c "$1"
"""
SERVERS = """
import socket, sys
kept = [socket.create_server(("10.99.0.2", 8000)), socket.create_server(("127.0.0.1", 8001))]
print("up", flush=True)
sys.stdin.read()
"""


class There(Wingo):
    """wingo in another network than the test's."""

    def __init__(self, who: str, folder: Path, network: int) -> None:
        super().__init__(who, folder)
        self._network = network

    def command(self, *argv: str) -> list[str]:
        become = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"] if self.uid else []
        return ["nsenter", f"--net=/proc/{self._network}/ns/net", *become, *super().command(*argv)]

    def user(self) -> dict[str, object]:
        return {}


@pytest.fixture(scope="module")
def probe() -> Iterator[str]:
    with folder_for(os.geteuid()) as folder:
        yield build(PROGRAMS / "probe", folder / f"{MARK}-image")


@pytest.fixture(scope="module")
def network() -> Iterator[int]:
    """A network namespace with a server on an address of its own, and one on its loopback; a process in it."""
    if os.geteuid():
        missing("root, to make a network")
    for tool in ("ip", "unshare", "nsenter", "setpriv"):
        need_tool(tool)
    argv = ["unshare", "-n", "sh", "-eu", "-c", NETWORK, sys.executable, SERVERS]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process.pid
        process.kill()


@pytest.fixture
def wingo(request: pytest.FixtureRequest, network: int) -> Iterator[There]:
    before = leftovers()
    with folder_for(0 if request.param == "root" else 65534) as folder:
        found = There(request.param, folder, network)
        yield found
        settles(before)
        assert found.containers == []


@WHO
@pytest.mark.parametrize("stack", ["slirp4netns", "pasta"])
def test_each_stack_leads_outside_but_not_to_this_machines_loopback(wingo: There, probe: str, stack: str) -> None:
    tools = wingo.folder / "tools"
    tools.mkdir()
    for name in ("nsenter", "setpriv", stack):
        (tools / name).symlink_to(need_tool(name))
    wingo.environment["PATH"] = str(tools)
    run = ["run", probe, "--explain", "--engine", "wingo"]
    done = wingo(*run, "--", "dial", "tcp", "10.99.0.2:8000")
    assert (done.returncode, f"network private, {stack}" in done.stderr) == (0, True), done.stderr
    for address in ("10.0.2.2", "10.99.0.254"):
        assert wingo(*run, "--", "dial", "tcp", f"{address}:8001").returncode == 1
    assert wingo(*run, "--network", "none", "--", "dial", "tcp", "10.99.0.2:8000").returncode == 1
    # However wingo ends, the stack ends.
    assert wingo("run", probe, "-d", "--name", HELD, "--", "sleep").returncode == 0
    os.kill(json.loads(wingo("ps", "--json").stdout)[0]["keeper"], signal.SIGKILL)
    time.sleep(0.3)
    assert wingo("stop", "--rm", HELD).returncode == 0


@WHO
def test_without_a_stack_a_private_network_reaches_nothing(wingo: There, probe: str) -> None:
    tools = wingo.folder / "tools"
    tools.mkdir()
    for name in ("nsenter", "setpriv"):
        (tools / name).symlink_to(need_tool(name))
    wingo.environment["PATH"] = str(tools)
    done = wingo("run", probe, "--explain", "--engine", "wingo", "--", "dial", "tcp", "10.99.0.2:8000")
    assert (done.returncode, "network private, no way outside" in done.stderr) == (1, True), done.stderr
