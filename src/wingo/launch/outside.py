"""The way from a private network to the outside: slirp4netns or pasta, where one is installed.

Both are user-space network stacks that need no rights (podman uses them too). Without either, a private network has its
published ports and nothing else; the ports never depend on them (`ports.py`).
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from wingo.launch.channel import close_all
from wingo.launch.machine import Machine

if TYPE_CHECKING:
    import subprocess

_READY_SECONDS = 5.0
_DEVICE = "tap0"
_MTU = "65520"


class Outside:
    """A network stack that runs beside a container."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], ready: int, alive: int) -> None:
        self.name = name
        self._alive = alive
        self._process = process
        self._ready = ready

    def wait(self) -> None:
        """Waits until it is ready, or will not be."""
        if self._ready >= 0:
            select.select([self._ready], [], [], _READY_SECONDS)
            os.close(self._ready)
            self._ready = -1

    def stop(self) -> None:
        """Ends it."""
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1
        os.close(self._alive)
        with suppress(OSError):
            self._process.kill()
        self._process.wait()


def start_outside(holder: int, machine: Machine) -> Outside | None:
    """Starts the network stack of a network namespace; None when there is none installed.

    Args:
        holder: a process in the namespace.
        machine: whose tools are looked at.
    """
    if "slirp4netns" in machine.tools and os.access("/dev/net/tun", os.R_OK | os.W_OK):
        read_end, write_end = os.pipe()
        argv = [machine.tools["slirp4netns"], "--configure", f"--mtu={_MTU}", "--disable-host-loopback"]
        # It ends when nobody holds the other end of this any more, however the keeper ends.
        dead, alive = os.pipe()
        argv += [f"--ready-fd={write_end}", f"--exit-fd={dead}", str(holder), _DEVICE]
        return _started("slirp4netns", argv, read_end, (write_end, dead), alive)
    if "pasta" in machine.tools and os.access("/dev/net/tun", os.R_OK | os.W_OK):
        argv = [machine.tools["pasta"], "--config-net", "--foreground", "--quiet", "--no-map-gw"]
        argv += ["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"]
        argv += ["--dns-forward", "10.0.2.3", str(holder)]
        dead, alive = os.pipe()
        return _started("pasta", argv, -1, (dead,), alive)
    return None


def _started(name: str, argv: list[str], ready: int, theirs: tuple[int, ...], alive: int) -> Outside | None:
    import subprocess

    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=theirs,
        )
    except OSError:
        close_all([alive, *([ready] if ready >= 0 else [])])
        return None
    finally:
        close_all(theirs)
    return Outside(name, process, ready, alive)
