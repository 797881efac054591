"""Starting a container and waiting for it, from the process that wants it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import msgspec

from wingo.errors import HostError
from wingo.launch.channel import Channel, raise_error
from wingo.launch.keeper import Start, keep, published
from wingo.launch.mapping import fork
from wingo.launch.spec import Port
from wingo.launch.steps import Step, Timed


class Outcome(msgspec.Struct, frozen=True):
    """How a container ended.

    Attributes:
        exit_code: the program's; 124 after a timeout, 126 and 127 when it could not be executed, 128 + N by signal N.
        reason: why, when the program did not end by itself.
        hint: what mends it.
        denied: what its role was not allowed, in the words of `wingo.launch.audit.Auditor`.
    """

    exit_code: int
    reason: str = ""
    hint: str = ""
    denied: tuple[dict[str, object], ...] = ()


class Running:
    """A container that was started.

    Attributes:
        name: its name.
        ports: what is published, with the numbers that were free.
        steps: the steps so far.
        notes: what is to be said.
    """

    def __init__(self, name: str, keeper: int, channel: Channel, tidy: Callable[[], object] = lambda: None) -> None:
        """Takes a container whose keeper was started.

        Args:
            name: its name.
            keeper: its keeper's process.
            channel: to it.
            tidy: called when the keeper was killed: removes what it cannot remove itself.
        """
        self.name = name
        self.ports: tuple[Port, ...] = ()
        self.steps: list[Timed] = []
        self.notes: list[str] = []
        self._keeper = keeper
        self._channel = channel
        self._tidy = tidy
        self._refused = ("", "")
        self._outcome: Outcome | None = None

    def fileno(self) -> int:
        """For `selectors`: can be read when there is something to `hear`."""
        return self._channel.fileno()

    def started(self) -> bool:
        """Waits until the program runs; False when it cannot.

        Raises:
            WingoError: the start failed.
        """
        while self._outcome is None:
            message = self._hear()
            if "running" in message:
                return True
        return False

    def hear(self) -> Outcome | None:
        """Reads one message; the outcome when it was that.

        Raises:
            WingoError: the container failed.
        """
        self._hear()
        return self._outcome

    def wait(self) -> Outcome:
        """Waits for the end.

        Raises:
            WingoError: the container failed.
        """
        while self._outcome is None:
            self._hear()
        return self._outcome

    def signal(self, number: int) -> None:
        """Sends the program a signal."""
        self._channel.send({"signal": number})

    def stop(self, grace: float, number: int = 0) -> None:
        """Asks the program to end: its stop signal, or another, then SIGKILL.

        Args:
            grace: seconds in between.
            number: the signal; 0: the image's.
        """
        self._channel.send({"stop": grace, "signal": number})

    def close(self) -> None:
        """Lets go: a detached container lives on, another ends."""
        self._channel.close()
        with suppress(ChildProcessError):
            os.waitpid(self._keeper, os.WNOHANG)

    def _hear(self) -> dict[str, object]:
        received = self._channel.receive()
        if received is None:
            self._reap()
            self._tidy()
            raise HostError("the container's keeper was killed, and the container with it")
        message = received[0]
        if "error" in message:
            self._reap()
            raise_error(message)
        if "step" in message:
            step = Step[str(message["step"])]
            self.steps.append(Timed(step, float(str(message["seconds"])), str(message.get("detail", ""))))
        elif "note" in message:
            self.notes.append(str(message["note"]))
        elif "refused" in message:
            self._refused = (str(message["refused"]), str(message.get("hint", "")))
        elif "running" in message:
            self.ports = published(message["ports"])
        elif "exited" in message:
            reason, hint = str(message["reason"]), self._refused[1]
            denied = message.get("denied")
            told = tuple(denied) if isinstance(denied, list) else ()
            self._outcome = Outcome(int(str(message["exited"])), reason or self._refused[0], hint, told)
            self._reap()
        return message

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self._keeper, 0)


def start(what: Start) -> Running:
    """Starts a container.

    Args:
        what: complete, its directory made.
    """
    ours, theirs = Channel.pair()
    keeper = fork()
    if keeper == 0:
        ours.close()
        keep(what, theirs)
    theirs.close()
    return Running(what.spec.name, keeper, ours, lambda: what.containers.sweep(what.machine.tools))
