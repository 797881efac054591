"""Limits by cgroups, version 1 and 2: found where this process may make one, removed when the container ends.

A container's cgroup lies below wingo's own, so that what limits wingo limits the container. Under version 2 an account
may do so where systemd (or an administrator) has delegated a part of the tree to it.

Sources: `Documentation/admin-guide/cgroup-v1/`, `cgroup-v2.rst`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from wingo.launch.spec import Limits

_PERIOD = 100_000
"""Microseconds over which processor time is counted."""
_NEEDED = {"memory": "memory", "cpus": "cpu", "pids": "pids"}
_REMOVE_SECONDS = 2.0


class Cgroup(msgspec.Struct, frozen=True):
    """A container's cgroups.

    Attributes:
        directories: what was made, by controller.
        version: 1 or 2.
        missing: the limits ("memory", "cpus", "pids") that no cgroup holds.
    """

    directories: Mapping[str, str]
    version: int
    missing: tuple[str, ...]


def wanted_controllers(limits: Limits) -> tuple[str, ...]:
    """The limits that are set."""
    return tuple(name for name in _NEEDED if getattr(limits, name))


def make_cgroup(name: str, limits: Limits, root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> Cgroup:
    """Makes a container's cgroups and writes the limits.

    Args:
        name: of the container.
        limits: what it may use.
        root: where cgroups are mounted.
        own: tells which cgroups this process is in.
    """
    places = _places(own)
    wanted = wanted_controllers(limits)
    directories: dict[str, str] = {}
    missing = []
    version = 2 if os.path.exists(os.path.join(root, "cgroup.controllers")) else 1
    for limit in wanted:
        controller = _NEEDED[limit]
        try:
            if version == 2:
                directory = directories.get("") or _make_v2(root, places.get("", "/"), name, wanted)
                directories[""] = directory
            else:
                if controller not in places:
                    raise FileNotFoundError(controller)
                directory = os.path.join(root, controller, places[controller].strip("/"), f"wingo-{name}")
                os.mkdir(directory)
                directories[controller] = directory
            for file, value in _values(limit, limits, version).items():
                _write(os.path.join(directory, file), value)
            if version == 2 and limit == "memory":
                with suppress(OSError):  # a kernel that does not count swap has none to give
                    _write(os.path.join(directory, "memory.swap.max"), "0")
        except OSError:
            missing.append(limit)
    return Cgroup(directories, version, tuple(missing))


def join(cgroup: Cgroup, process: int) -> None:
    """Puts a process into a container's cgroups.

    Raises:
        OSError: it cannot be put there.
    """
    for directory in cgroup.directories.values():
        _write(os.path.join(directory, "cgroup.procs"), str(process))


def remove(directories: Iterable[str]) -> None:
    """Removes cgroups; waits a little for processes that the kernel still takes down."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for directory in directories:
        while True:
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            else:
                break


def out_of_memory(cgroup: Cgroup) -> bool:
    """Whether the kernel has killed something in there for its memory."""
    directory = cgroup.directories.get("memory" if cgroup.version == 1 else "")
    file = "memory.oom_control" if cgroup.version == 1 else "memory.events"
    return directory is not None and _counter(os.path.join(directory, file), "oom_kill") > 0


def pids_were_refused(cgroup: Cgroup) -> bool:
    """Whether something in there could not start a process for its limit."""
    directory = cgroup.directories.get("pids" if cgroup.version == 1 else "")
    return directory is not None and _counter(os.path.join(directory, "pids.events"), "max") > 0


def peak_memory(cgroup: Cgroup) -> int:
    """The most bytes that were in use at once; 0 when it is not known."""
    directory = cgroup.directories.get("memory" if cgroup.version == 1 else "")
    file = "memory.max_usage_in_bytes" if cgroup.version == 1 else "memory.peak"
    with suppress(OSError, ValueError), open(os.path.join(directory or "", file), encoding="utf-8") as opened:
        return int(opened.read())
    return 0


def _counter(path: str, name: str) -> int:
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        for line in file:
            word, _, number = line.partition(" ")
            if word == name:
                return int(number)
    return 0


def _values(limit: str, limits: Limits, version: int) -> dict[str, str]:
    if limit == "memory":
        if version == 1:
            return {"memory.limit_in_bytes": str(limits.memory)}
        return {"memory.max": str(limits.memory)}
    if limit == "cpus":
        quota = max(int(limits.cpus * _PERIOD), 1000)
        if version == 1:
            return {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota)}
        return {"cpu.max": f"{quota} {_PERIOD}"}
    return {"pids.max": str(limits.pids)}


def _places(own: str) -> dict[str, str]:
    """The cgroups that this process is in, by controller; "" for version 2."""
    found: dict[str, str] = {}
    with suppress(OSError), open(own, encoding="utf-8") as file:
        for line in file:
            _, _, rest = line.rstrip("\n").partition(":")
            controllers, _, path = rest.partition(":")
            for controller in controllers.split(","):
                found[controller] = path
    return found


def _make_v2(root: str, path: str, name: str, wanted: tuple[str, ...]) -> str:
    """A cgroup below the nearest one that has the controllers to give and that this account may write.

    Raises:
        OSError: there is none.
    """
    controllers = {_NEEDED[limit] for limit in wanted}
    where = path.strip("/")
    while True:
        folder = os.path.join(root, where)
        if os.access(os.path.join(folder, "cgroup.procs"), os.W_OK) and _give(folder, controllers):
            made = os.path.join(folder, f"wingo-{name}")
            os.mkdir(made)
            return made
        if not where:
            raise PermissionError(13, "no cgroup here may be written")
        where = os.path.dirname(where)


def _give(folder: str, controllers: set[str]) -> bool:
    file = os.path.join(folder, "cgroup.subtree_control")
    try:
        with open(file, encoding="utf-8") as opened:
            given = set(opened.read().split())
        for controller in sorted(controllers - given):
            _write(file, f"+{controller}")
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
