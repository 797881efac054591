"""Ending a container from another process than the one that started it."""

from __future__ import annotations

import time

from wingo.errors import HostError, RequestError
from wingo.launch.channel import Channel
from wingo.launch.containers import Containers
from wingo.launch.start import Outcome

_LAST_SECONDS = 5.0


def stop_container(containers: Containers, name: str, grace: float) -> Outcome | None:
    """Asks a container's keeper to end it, and waits until it has; None when it does not run.

    Args:
        containers: where it is.
        name: its name.
        grace: seconds from its stop signal to SIGKILL.

    Raises:
        RequestError: there is no such container.
    """
    try:
        channel = Channel(containers.connect(name))
    except RequestError:
        if containers.is_kept(name):
            raise
        return None
    try:
        channel.send({"stop": grace})
        received = channel.receive()
    finally:
        channel.close()
    # The keeper lets go of its lock last.
    deadline = time.monotonic() + _LAST_SECONDS
    while containers.is_kept(name) and time.monotonic() < deadline:
        time.sleep(0.005)
    if received is None:
        return None
    return Outcome(int(str(received[0].get("exited", 137))), str(received[0].get("reason", "")))


def find_process(containers: Containers, name: str) -> int:
    """The first process of a container that runs, as this machine numbers it.

    Raises:
        RequestError: it does not run.
        HostError: its keeper does not answer.
    """
    channel = Channel(containers.connect(name))
    try:
        channel.send({"find": True})
        received = channel.receive()
    finally:
        channel.close()
    if received is None or "found" not in received[0]:
        raise HostError(f"the container {name!r} has ended")
    return int(str(received[0]["found"]))
