"""The way from a private network to the outside: slirp4netns or pasta, where one is installed.

Both are user-space network stacks that need no rights (podman uses them too). Without either, a private network has its
published ports and nothing else; the ports never depend on them (`ports.py`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from wingo.launch import kernel
from wingo.launch.channel import close_all
from wingo.launch.machine import Machine
from wingo.launch.mapping import fork

READY_SECONDS = 5.0
"""The longest that a network stack is waited for."""
_DEVICE = "tap0"
_MTU = "65520"


class Outside:
    """A network stack that runs beside a container.

    Attributes:
        name: of the program.
    """

    def __init__(self, name: str, guard: int, ready: int, alive: int) -> None:
        """Takes one that was started.

        Args:
            name: of the program.
            guard: the process that ends it.
            ready: can be read, or is at its end, when the stack is ready or has ended.
            alive: as long as this is open, it runs.
        """
        self.name = name
        self._guard, self._ready, self._alive = guard, ready, alive

    def fileno(self) -> int:
        """For `select.poll`: can be read when it is ready, or will not be."""
        return self._ready

    def stop(self) -> None:
        """Ends it."""
        close_all([self._ready, self._alive])
        with suppress(OSError):
            os.waitpid(self._guard, 0)


def start_outside(holder: int, machine: Machine) -> Outside | None:
    """Starts the network stack of a network namespace; None when there is none installed.

    Args:
        holder: a process in the namespace, whose users are mapped.
        machine: whose tools are looked at.
    """
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return None
    if "slirp4netns" in machine.tools:
        argv = [machine.tools["slirp4netns"], "--configure", f"--mtu={_MTU}", "--disable-host-loopback"]
        return _guarded("slirp4netns", [*argv, "--ready-fd=1", str(holder), _DEVICE])
    if "pasta" in machine.tools:
        # It writes its number when it is ready; other descriptors than the standard ones it closes first.
        argv = [
            machine.tools["pasta"],
            "--config-net",
            "--foreground",
            "--quiet",
            "--no-map-gw",
            "--pid=/proc/self/fd/1",
        ]
        argv += ["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"]
        argv += ["--dns-forward", "10.0.2.3"]
        if machine.uid:
            return _guarded("pasta", [*argv, str(holder)])
        # Started by root it becomes nobody, who may not enter the container; so it is the container's root.
        root = machine.identity.uid_outside(0)
        return _guarded(
            "pasta", [*argv, "--netns-only", "--netns=/proc/self/fd/0", "--no-netns-quit"], of=(holder, root)
        )
    return None


def _guarded(name: str, argv: list[str], of: tuple[int, int] | None = None) -> Outside | None:
    """Starts a program below a process that ends it when this one lets go of a pipe, however this one ends.

    Args:
        name: of the program.
        argv: of it; its standard output says that it is ready.
        of: a process in whose user namespace it is root, and this machine's number of that root; its standard input is then
            the network namespace of that process.
    """
    ready, written = os.pipe()
    dead, alive = os.pipe()
    if of is not None:
        os.fchown(written, of[1], -1)  # it opens it anew
    guard = fork()
    if guard:
        close_all([written, dead])
        return Outside(name, guard, ready, alive)
    try:
        read = nothing = os.open(os.devnull, os.O_RDWR)
        if of is not None:
            read = os.open(f"/proc/{of[0]}/ns/net", os.O_RDONLY)
        for number, stream in enumerate((read, written, nothing)):
            os.dup2(stream, number)
        leave_all_but([dead])
        if of is not None:
            kernel.setns(os.open(f"/proc/{of[0]}/ns/user", os.O_RDONLY | os.O_CLOEXEC), kernel.CLONE_NEWUSER)
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        process = os.posix_spawn(argv[0], argv, os.environ, setsigdef=[signal.SIGPIPE])
        os.close(1)
        os.read(dead, 1)  # until it is let go of
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    finally:
        os._exit(0)


def leave_all_but(kept: Sequence[int]) -> None:
    """Closes every descriptor but the standard streams and some others."""
    numbers = sorted({0, 1, 2, *kept})
    for low, high in zip(numbers, [*numbers[1:], 1 << 16], strict=True):
        os.closerange(low + 1, high)
