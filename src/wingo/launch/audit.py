"""Denials as they happen: the kernel asks here before a program opens, executes, connects or changes something.

The answer for what the policy denies is EACCES, and the denial is written down with its rule; everything else goes on to
the kernel, where Landlock decides. What a program shows here and does then can differ (it may change the path's text in
between): the record may be deceived so, the decision may not.

Source: seccomp_unotify(2).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import socket
import struct
import time
from contextlib import suppress

import msgspec

from wingo.launch import kernel
from wingo.launch.policy import Action, Decision, Policy, decide_path, decide_port

_RECEIVE, _SEND = 0xC050_2100, 0xC018_2101
_CONTINUE = 1
_MAX_PATH = 4096
_MAX_RECORDS = 1000
_TRIES = 3
"""Looks at a process that is running are tried again: a table that is read may change under the reader."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Asked(msgspec.Struct, frozen=True):
    """A call that is asked about.

    Attributes:
        folder: the number of the argument with the directory's descriptor; -1: the current one.
        path: that of the path.
        action: what it does; None: its flags say.
        flags: the number of the argument with the flags; -1: none.
    """

    folder: int
    path: int
    action: Action | None
    flags: int = -1
    address: bool = False


_AMD64 = {
    2: Asked(-1, 0, None, 1),  # open
    85: Asked(-1, 0, Action.WRITE),  # creat
    257: Asked(0, 1, None, 2),  # openat
    437: Asked(0, 1, None, 2),  # openat2, whose flags are in memory
    59: Asked(-1, 0, Action.EXEC),  # execve
    322: Asked(0, 1, Action.EXEC),  # execveat
    42: Asked(-1, 1, Action.CONNECT, address=True),  # connect
    49: Asked(-1, 1, Action.LISTEN, address=True),  # bind
    87: Asked(-1, 0, Action.WRITE),  # unlink
    263: Asked(0, 1, Action.WRITE),  # unlinkat
    83: Asked(-1, 0, Action.WRITE),  # mkdir
    258: Asked(0, 1, Action.WRITE),  # mkdirat
    84: Asked(-1, 0, Action.WRITE),  # rmdir
    82: Asked(-1, 0, Action.WRITE),  # rename
    264: Asked(0, 1, Action.WRITE),  # renameat
    316: Asked(0, 1, Action.WRITE),  # renameat2
    76: Asked(-1, 0, Action.WRITE),  # truncate
    266: Asked(1, 2, Action.WRITE),  # symlinkat
    265: Asked(2, 3, Action.WRITE),  # linkat
}
_ARM64 = {
    56: _AMD64[257],
    437: _AMD64[437],
    221: _AMD64[59],
    281: _AMD64[322],
    203: _AMD64[42],
    200: _AMD64[49],
    35: _AMD64[263],
    34: _AMD64[258],
    38: _AMD64[264],
    276: _AMD64[316],
    45: _AMD64[76],
    36: _AMD64[266],
    37: _AMD64[265],
}
ASKED = {"amd64": _AMD64, "arm64": _ARM64}
"""The calls that are asked about, by their numbers on each machine."""
_OPENAT2 = 437
_FREE = ("/proc", "/dev")
"""The container's own, which a policy has nothing to say about (`landlock.py`)."""


class Auditor:
    """Answers for one container.

    Attributes:
        record: where denials are written to.
    """

    def __init__(self, policy: Policy, architecture: str, record: int) -> None:
        """Takes a policy.

        Args:
            policy: the rules.
            architecture: as GOARCH.
            record: a descriptor that denials are written to, a JSON line each.
        """
        self._policy = policy
        self._asked = ASKED[architecture]
        self.record = record
        self._known: set[tuple[Action, str]] = set()
        self._proc = -1

    def serve(self, listener: int, ended: int, proc: int) -> None:
        """Answers until a process has ended.

        Args:
            listener: from `kernel.seccomp`.
            ended: a descriptor of the process (pidfd_open(2)).
            proc: the /proc that numbers processes as this one does; by the time that somebody asks, another may be mounted.
        """
        self._proc = proc
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if ready.get(listener, 0) & select.POLLIN:
                self._answer(listener)
            elif listener in ready:
                poll.unregister(listener)  # nobody can ask any more
            elif ended in ready:
                return

    def _answer(self, listener: int) -> None:
        try:
            notice = fcntl.ioctl(listener, _RECEIVE, bytes(80))
        except OSError:
            return  # whoever asked has been killed
        number, process = struct.unpack_from("<QI", notice)
        call = struct.unpack_from("<i", notice, 16)[0]
        arguments = struct.unpack_from("<6Q", notice, 32)
        decision = None
        for _ in range(_TRIES):
            with suppress(OSError, ValueError, struct.error):
                decision = self._decide(process, self._asked[call], call, arguments)
                break
        if decision is not None and not decision.allowed:
            self.write_down(decision, process)
            reply = struct.pack("<QqiI", number, 0, -errno.EACCES, 0)
        else:
            reply = struct.pack("<QqiI", number, 0, 0, _CONTINUE)
        with suppress(OSError):
            fcntl.ioctl(listener, _SEND, reply)

    def _decide(self, process: int, asked: Asked, call: int, arguments: tuple[int, ...]) -> Decision | None:
        if asked.address:
            data = _memory(self._proc, process, arguments[1], min(arguments[2], 128))
            return self._decide_address(process, asked, arguments[0], data)
        text = _memory(self._proc, process, arguments[asked.path], _MAX_PATH).partition(b"\0")[0]
        if not text:
            return None  # of a descriptor that was opened before
        action = asked.action
        if action is None:
            flags = arguments[asked.flags]
            if call == _OPENAT2:
                flags = struct.unpack("<Q", _memory(self._proc, process, flags, 8))[0]
            if flags & os.O_PATH:
                return None
            action = Action.WRITE if flags & _WRITES else Action.READ
        path = os.fsdecode(text)
        if not _is_free(os.path.normpath(path)):
            folder = _signed(arguments[asked.folder]) if asked.folder >= 0 else -100
            path = resolve(self._proc, process, folder, path)
        if _is_free(os.path.normpath(path)):
            return None
        return decide_path(self._policy, action, path)

    def _decide_address(self, process: int, asked: Asked, descriptor: int, data: bytes) -> Decision | None:
        family = struct.unpack_from("<H", data)[0]
        if family not in (socket.AF_INET, socket.AF_INET6) or asked.action is None:
            return None
        port = struct.unpack_from(">H", data, 2)[0]
        protocol = "udp" if _is_datagram(self._proc, process, descriptor) else "tcp"
        if port == 0:
            return None  # a bind to any port, as every client may make
        return decide_port(self._policy, asked.action, protocol, port)

    def write_down(self, decision: Decision, process: int) -> None:
        """Writes a denial down, each once."""
        key = (decision.action, decision.resource)
        if key in self._known or len(self._known) >= _MAX_RECORDS:
            return
        self._known.add(key)
        line = {
            "time": round(time.time(), 3),
            "role": self._policy.role,
            "action": decision.action.value,
            "resource": decision.resource[:300],
            "rule": str(decision.rule) if decision.rule is not None else "",
            "process": process,
        }
        with suppress(OSError):
            os.write(self.record, json.dumps(line).encode() + b"\n")


def resolve(proc: int, process: int, folder: int, text: str) -> str:
    """A path as a process means it, with links followed as far as it exists.

    Args:
        proc: a descriptor of the /proc that numbers the process so.
        process: its number.
        folder: a descriptor of its; -100: its current directory.
        text: absolute or relative.
    """
    if not text.startswith("/"):
        base = os.readlink(f"{process}/cwd" if folder == -100 else f"{process}/fd/{folder}", dir_fd=proc)
        text = f"{base}/{text}"
    return os.path.realpath(text)


def _is_free(path: str) -> bool:
    return any(path == free or path.startswith(f"{free}/") for free in _FREE)


def _signed(number: int) -> int:
    return struct.unpack("<i", struct.pack("<I", number & 0xFFFF_FFFF))[0]  # type: ignore[no-any-return]


def _memory(proc: int, process: int, address: int, size: int) -> bytes:
    """Bytes of a process; fewer where the mapping ends."""
    with open(os.open(f"{process}/mem", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), "rb", buffering=0) as file:
        file.seek(address)
        try:
            # Not over a page's end in one: what is after it may be nobody's.
            first = min(size, 4096 - address % 4096)
            data = file.read(first) or b""
            if len(data) == first and b"\0" not in data and first < size:
                with suppress(OSError):
                    data += file.read(size - first) or b""
        except OSError:
            return b""
        return data


def _is_datagram(proc: int, process: int, descriptor: int) -> bool:
    """Whether a process's socket is one of datagrams: a copy of it is asked."""
    with open(os.open(f"{process}/status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), "rb") as file:
        leader = next(int(line.split()[1]) for line in file if line.startswith(b"Tgid:"))
    owner = os.pidfd_open(leader)
    try:
        with socket.socket(fileno=kernel.call("pidfd_getfd", owner, descriptor, 0)) as copy:
            return copy.type == socket.SOCK_DGRAM
    finally:
        os.close(owner)


def read_denials(path: str, limit: int = _MAX_RECORDS) -> list[dict[str, object]]:
    """What was written down of a container's denials."""
    found: list[dict[str, object]] = []
    with suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            with suppress(ValueError):
                found.append(json.loads(line))
            if len(found) >= limit:
                break
    return found


def open_record(directory: str) -> int:
    """The file that a container's denials are written to, opened for adding."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(os.path.join(directory, "denials"), flags, 0o600)
