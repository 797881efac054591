"""The keeper: one process outside of a container, for as long as the container lives.

It maps the container's users, holds its limits, forwards its ports, writes its log, keeps its time, and cleans up.
Whoever started it in the foreground holds the other end of its channel: when that end closes, it ends the container.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn

import msgspec

from wingo.errors import HostError, WingoError
from wingo.launch import cgroups, kernel
from wingo.launch.audit import Auditor, read_denials
from wingo.launch.channel import Channel, close_all, error_message, raise_error
from wingo.launch.containers import Container, Containers, State, remove_directory
from wingo.launch.machine import Machine
from wingo.launch.mapping import fork, write_maps
from wingo.launch.namespaces import Inside, hold, leave_streams
from wingo.launch.outside import READY_SECONDS, Outside, leave_all_but, start_outside
from wingo.launch.ports import Forwarder, socket_of
from wingo.launch.records import LogWriter
from wingo.launch.runtime import Runtime
from wingo.launch.spec import MountKind, Network, Port, RunSpec
from wingo.launch.stack import Stack
from wingo.launch.steps import Step
from wingo.launch.usage import disk_used, free_bytes, memory_used

TIMED_OUT = 124
"""The exit code of what ran longer than `--timeout`, as timeout(1) has it."""
_WATCH_SECONDS, _WATCH_CLOSELY = 0.1, 0.01
"""Seconds between two looks at what a container uses; and when it is near a limit."""
_FASTEST = 4 << 30
"""Bytes a second that a program can fill at most, roughly: how soon it could reach a limit."""
_RLIMIT_NPROC, _RLIMIT_DATA = 6, 2
_MAPPED = 64 << 20
_DISK_STEP = 64 << 20
_TOLD_DENIALS = 100
_SPARE = 0.9
"""The part of the free disk that one container may fill at most."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a keeper needs.

    Attributes:
        spec: what is to run.
        container: what is written down of it.
        containers: where.
        stack: its files.
        runtime: what executes it.
        machine: where.
        stdio: the program's streams; None for one that the keeper makes: an empty input, the log.
        terminal: whether they are a terminal.
        now: the clock, in seconds since 1970.
        signals: see `wingo.launch.runtime.Prepared`.
        ending: the same.
        auditor: writes down what the container's policy denies.
    """

    spec: RunSpec
    container: Container
    containers: Containers
    stack: Stack
    runtime: Runtime
    machine: Machine
    stdio: tuple[int, int, int] | None
    terminal: bool
    now: Callable[[], float]
    signals: Mapping[int, tuple[str, int]] = {}
    ending: Callable[[int, str], tuple[int, str]] | None = None
    auditor: Auditor | None = None


def keep(start: Start, client: Channel) -> NoReturn:
    """Is the keeper; a fork that does not return."""
    code = 1
    try:
        os.setsid()
        _close_others(client, start.stdio or (), start.auditor)
        if start.stdio is None:
            # Who captures what `run -d` prints is not to wait for the container's end.
            leave_streams(())
        keeper = _Keeper(start, client)
        code = keeper.run()
    except (WingoError, OSError) as error:
        client.send(error_message(error))
    except BaseException as error:  # noqa: BLE001  (a fork must not return into its parent's code)
        client.send(error_message(error))
    finally:
        os._exit(code)


def _close_others(client: Channel, stdio: tuple[int, ...], auditor: Auditor | None) -> None:
    """Closes what the parent has open: a lock or a connection of its own is not to live as long as this does."""
    leave_all_but([client.fileno(), *stdio, *([auditor.record] if auditor is not None else [])])


class _Keeper:
    """The state of one container's life."""

    def __init__(self, start: Start, client: Channel) -> None:
        self._start = start
        self._spec = start.spec
        self._client: Channel | None = client
        self._directory = start.containers.directory(start.spec.name)
        self._selector = selectors.DefaultSelector()
        self._state = State(keeper=os.getpid())
        self._holder = 0
        self._channel: Channel | None = None
        self._asked: list[Callable[[socket.socket | None], None]] = []
        self._finders: list[socket.socket] = []
        self._waiters: list[socket.socket] = []
        self._forwarder = Forwarder(self._selector, self._ask)
        self._outside: Outside | None = None
        self._cgroup = cgroups.Cgroup({}, 1, ())
        self._log: LogWriter | None = None
        self._deadline = self._kill_at = 0.0
        self._reason, self._code = "", -1
        self._exit: int | None = None
        self._logs_open = 0
        self._free = self._disk_checked = 0
        self._watch_memory = False
        self._init = 0
        self._files = self._peak = 0

    def run(self) -> int:
        """Starts the container, waits for its end, cleans up; the exit code."""
        lock = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        wake = self._take_signals()
        try:
            try:
                self._begin()
                self._live()
            finally:
                self._end()
                wake.close()
        except (WingoError, OSError) as error:
            self._finish(125, str(error))
            self._dispose()
            self._tell(error_message(error))
            return 125
        denied = read_denials(os.path.join(self._directory, "denials"), _TOLD_DENIALS)
        self._dispose()
        self._tell({"exited": self._code, "reason": self._reason, "denied": denied})
        return self._code

    def _take_signals(self) -> socket.socket:
        """A stop of the keeper itself is a stop of the container."""
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

        def woken(_: int) -> None:
            reading.recv(64)
            self._stop(self._spec.grace)

        self._selector.register(reading, selectors.EVENT_READ, woken)
        self._writing = writing
        return reading

    def _begin(self) -> None:
        spec, start = self._spec, self._start
        self._make_cgroup()
        stdio = start.stdio or self._make_streams()
        ours, theirs = Channel.pair()
        self._channel = ours
        inside = Inside(
            spec=spec,
            stack=start.stack,
            runtime=start.runtime,
            rlimits=self._rlimits(),
            stdio=stdio,
            terminal=start.terminal,
            files=_files(spec),
            has_groups=start.machine.identity.way != "single",
            signals=start.signals,
            policy=start.container.policy,
            auditor=start.auditor,
        )
        began = time.monotonic()
        self._holder = fork()
        if self._holder == 0:
            ours.close()
            hold(inside, theirs)
        theirs.close()
        if not start.stdio:
            close_all(stdio)
        ours.expect("unshared")
        with suppress(OSError):
            cgroups.join(self._cgroup, self._holder)
        write_maps(self._holder, start.machine.identity, start.machine.tools)
        trees = self._trees()
        ours.send({"mapped": True}, trees)
        close_all(trees)
        if spec.network is Network.PRIVATE:
            self._outside = start_outside(self._holder, start.machine)
        ports = tuple(self._forwarder.listen(port) for port in spec.ports)
        notes = list(self._notes())
        while True:
            message = self._next()
            if "storage" in message:
                self._state = msgspec.structs.replace(
                    self._state, storage=str(message["storage"]), made=_texts(message["made"])
                )
                notes += _texts(message["notes"])
                break
        self._step(Step.NAMESPACES, time.monotonic() - began - self._mounting, self._network_detail())
        if self._outside is not None:
            self._wait_for(self._outside, READY_SECONDS)
        ours.send({"network": True})
        message = self._next("started", "refused")
        if "refused" in message:
            self._reason, self._exit = str(message["refused"]), int(str(message["code"]))
            self._tell({"refused": self._reason, "hint": message.get("hint", "")})
            return
        self._init = int(str(message["started"]))
        self._state = msgspec.structs.replace(
            self._state,
            status="running",
            started=start.now(),
            ports=ports,
            notes=tuple(notes),
            cgroups=self._cgroup_paths,
        )
        start.containers.write(spec.name, self._state)
        self._listen()
        for note in notes:
            self._tell({"note": note})
        self._tell({"running": True, "ports": msgspec.to_builtins(ports), "keeper": os.getpid()})
        self._free = free_bytes(start.stack.upper)

    _mounting = 0.0

    @property
    def _cgroup_paths(self) -> tuple[str, ...]:
        return tuple(self._cgroup.directories.values())

    def _next(self, *words: str) -> dict[str, object]:
        """The holder's next message; with words: the next with one of them. Steps are passed on."""
        assert self._channel is not None
        while True:
            self._wait_for(self._channel)
            received = self._channel.receive()
            if received is None:
                raise HostError("the container's first process ended before its program started")
            message = received[0]
            raise_error(message)
            if "step" in message:
                if message["step"] == Step.WRITABLE.name:
                    self._mounting = float(str(message["seconds"]))
                self._tell(message)
                continue
            if not words or any(word in message for word in words):
                return message

    def _wait_for(self, what: Channel | Outside, seconds: float | None = None) -> None:
        """Waits until something can be read, for so long.

        Raises:
            HostError: whoever wanted this start was killed meanwhile.
        """
        waiting = select.poll()
        waiting.register(what, select.POLLIN)
        if self._client is not None:
            waiting.register(self._client, 0)  # for its end alone: what it says is heard when the program runs
        found = dict(waiting.poll(None if seconds is None else seconds * 1000))
        if self._client is not None and self._client.fileno() in found:
            raise HostError("wingo was killed")

    def _make_cgroup(self) -> None:
        self._cgroup = cgroups.make_cgroup(self._spec.name, self._spec.limits)
        self._state = msgspec.structs.replace(self._state, cgroups=self._cgroup_paths)
        self._start.containers.write(self._spec.name, self._state)
        self._watch_memory = "memory" in self._cgroup.missing

    def _rlimits(self) -> dict[int, int]:
        limits, found = self._spec.limits, {}
        if "pids" in self._cgroup.missing:
            found[_RLIMIT_NPROC] = limits.pids
        if "memory" in self._cgroup.missing:
            # The watch ends it at the limit; this is for what grows faster than it looks. Runtimes map more than they
            # use, Go 64 MiB at a time; so what is refused here has used more than the limit, or wants it at once.
            found[_RLIMIT_DATA] = 2 * limits.memory + _MAPPED
        return found

    def _notes(self) -> list[str]:
        notes = []
        missing = [name for name in self._cgroup.missing if name != "pids"]
        if missing:
            most = _size(self._rlimits().get(_RLIMIT_DATA, 0))
            ways = {"memory": f"memory is watched, and no process may have {most}", "cpus": "--cpus has no effect"}
            what = "; ".join(ways[name] for name in missing)
            notes.append(f"this account may make no cgroup: {what}")
        return notes

    def _make_streams(self) -> tuple[int, int, int]:
        self._log = LogWriter(os.path.join(self._directory, "log"), self._start.now)
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        for name, descriptor in (("stdout", out_read), ("stderr", err_read)):
            self._logs_open += 1
            self._selector.register(descriptor, selectors.EVENT_READ, self._logger(name, descriptor))
        return os.open(os.devnull, os.O_RDONLY), out_write, err_write

    def _logger(self, name: str, descriptor: int) -> Callable[[int], None]:
        def read(_: int) -> None:
            data = os.read(descriptor, 1 << 16)
            if data and self._log is not None:
                self._log.write(name, data)
            elif not data:
                self._selector.unregister(descriptor)
                os.close(descriptor)
                self._logs_open -= 1

        return read

    def _trees(self) -> list[int]:
        """Root's volumes, opened with its rights and shown with the container's numbers."""
        if self._start.machine.identity.way != "shifted":
            return []
        trees = []
        for each in self._spec.mounts:
            if each.kind is not MountKind.BIND:
                continue
            tree = kernel.open_tree(each.source)
            trees.append(tree)
            namespace = os.open(f"/proc/{self._holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            try:
                kernel.map_ids_of_mount(tree, namespace)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
                    raise
                self._tell(
                    {"note": f"the owners in {each.source} cannot be shown as the container's; it is nobody's there"}
                )
            finally:
                os.close(namespace)
        return trees

    def _network_detail(self) -> str:
        if self._spec.network is not Network.PRIVATE:
            return f"network {self._spec.network.value}"
        return f"network private, {self._outside.name if self._outside is not None else 'no way outside'}"

    def _listen(self) -> None:
        folder = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.bind(f"/proc/self/fd/{folder}/control")
        made.listen(16)
        made.setblocking(False)
        os.close(folder)
        self._selector.register(made, selectors.EVENT_READ, lambda _: self._welcome(made))

    def _welcome(self, listening: socket.socket) -> None:
        with suppress(OSError):
            visitor, _ = listening.accept()
            channel = Channel(visitor)
            self._selector.register(visitor, selectors.EVENT_READ, lambda _: self._visited(visitor, channel))

    def _visited(self, visitor: socket.socket, channel: Channel) -> None:
        received = channel.receive()
        if received is None:
            self._selector.unregister(visitor)
            for waiting in (self._waiters, self._finders):
                if visitor in waiting:
                    waiting.remove(visitor)
            visitor.close()
            return
        message = received[0]
        if "stop" in message:
            self._waiters.append(visitor)
            self._stop(float(str(message["stop"])))
        elif "signal" in message:
            self._signal(int(str(message["signal"])))
        elif "find" in message and self._channel is not None:
            self._finders.append(visitor)
            self._channel.send({"find": True})
        elif "wait" in message:
            self._waiters.append(visitor)

    def _live(self) -> None:
        spec, now = self._spec, time.monotonic()
        assert self._channel is not None
        self._selector.register(self._channel, selectors.EVENT_READ, lambda _: self._heard())
        if self._client is not None and not spec.detach:
            self._selector.register(self._client, selectors.EVENT_READ, lambda _: self._asked_by_client())
        elif self._client is not None:
            self._client.close()
            self._client = None
        self._deadline = now + spec.timeout if spec.timeout else 0.0
        watch_at = now + _WATCH_CLOSELY
        watching = self._watch_memory or spec.limits.disk
        while self._exit is None:
            now = time.monotonic()
            times = [at for at in (self._deadline, self._kill_at, watch_at if watching else 0.0) if at]
            wait = max(min(times) - now, 0.0) if times else None
            for key, mask in self._selector.select(wait):
                key.data(mask)
            now = time.monotonic()
            if self._deadline and now >= self._deadline:
                self._deadline = 0.0
                self._reason = f"it ran longer than the {spec.timeout:g} seconds allowed (--timeout)"
                self._code = TIMED_OUT
                self._stop(spec.grace)
            if self._kill_at and now >= self._kill_at:
                self._kill_at = 0.0
                self._reason = self._reason or f"it did not end within {spec.grace:g} seconds of {spec.stop_signal}"
                self._signal(signal.SIGKILL)
            if watching and now >= watch_at:
                watch_at = now + self._watch()

    def _heard(self) -> None:
        assert self._channel is not None
        received = self._channel.receive()
        if received is None:
            self._exit = 137
            return
        message, descriptors = received
        if "made_socket" in message and self._asked:
            callback = self._asked.pop(0)
            callback(socket_of(descriptors[0]) if descriptors else None)
        elif "found" in message and self._finders:
            Channel(self._finders.pop(0)).send(message)
        elif "ended" in message:
            code = int(str(message["ended"]))
            self._exit = code if code >= 0 else 128 - code
            self._peak = int(str(message.get("peak", 0)))
        elif "error" in message:
            self._reason, self._exit = str(message["error"]), 125

    def _asked_by_client(self) -> None:
        assert self._client is not None
        received = self._client.receive()
        if received is None:
            # Whoever started it has gone, and was killed: otherwise it would have asked for a stop.
            self._selector.unregister(self._client)
            self._client = None
            self._reason = "wingo was killed"
            self._signal(signal.SIGKILL)
            return
        message = received[0]
        if "stop" in message:
            self._stop(float(str(message["stop"])), int(str(message.get("signal") or 0)))
        elif "signal" in message:
            self._signal(int(str(message["signal"])))

    def _ask(self, family: str, callback: Callable[[socket.socket | None], None]) -> None:
        assert self._channel is not None
        self._asked.append(callback)
        self._channel.send({"socket": family})

    def _stop(self, grace: float, number: int = 0) -> None:
        if self._exit is not None:
            return
        if self._kill_at:
            # Asked a second time: sooner, if so wished.
            sooner = time.monotonic() + grace
            if sooner < self._kill_at:
                self._kill_at = sooner
                within = f"within {grace:g} seconds of that" if grace else "at once"
                self._reason = self._reason or f"it was asked a second time to end, and did not {within}"
            return
        self._signal(number or signal_number(self._spec.stop_signal))
        self._kill_at = time.monotonic() + grace

    def _signal(self, number: int) -> None:
        if self._channel is not None:
            self._channel.send({"signal": number})

    def _watch(self) -> float:
        """Looks at what the container uses; seconds until it is to look again."""
        limits, again = self._spec.limits, _WATCH_SECONDS
        if self._watch_memory:
            used = memory_used(self._init)
            self._files = max(self._files, used.files)
            if used.own > limits.memory:
                self._kill(self._too_much_memory())
                return again
            again = min(max((limits.memory - used.own) / _FASTEST, _WATCH_CLOSELY), again)
        if limits.disk:
            self._watch_disk(limits.disk)
        return again

    def _watch_disk(self, limit: int) -> None:
        free = free_bytes(self._start.stack.upper)
        allowed = min(limit, int(self._free * _SPARE))
        fallen = self._free - free
        if fallen - self._disk_checked > min(_DISK_STEP, allowed // 8) or fallen > allowed:
            self._disk_checked = max(fallen, 0)
            if disk_used(self._start.stack.upper) > allowed:
                self._kill(f"it wrote more than the {_size(allowed)} allowed (--disk)")

    def _ran_out_of_memory(self) -> bool:
        """Whether it failed after it had used more than it may: the kernel's count, or what it saw refused."""
        if cgroups.out_of_memory(self._cgroup):
            return True
        # Where no cgroup counts, the largest of its processes tells, without the files that it may have had in memory.
        return self._watch_memory and self._peak - self._files > self._spec.limits.memory

    def _too_much_memory(self) -> str:
        return f"it used more memory than the {_size(self._spec.limits.memory)} allowed (--memory)"

    def _kill(self, reason: str) -> None:
        self._reason, self._code = reason, 137
        self._signal(signal.SIGKILL)

    def _end(self) -> None:
        """Everything ends, in whatever state it is."""
        if self._channel is not None:
            self._channel.close()  # the holder then ends the container
        if self._holder:
            if self._exit is None:
                with suppress(OSError):
                    os.kill(self._holder, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(self._holder, 0)
        if self._outside is not None:
            self._outside.stop()
        self._drain_logs()
        self._forwarder.close()
        if self._exit and not self._reason and self._ran_out_of_memory():
            self._reason = self._too_much_memory()
        elif cgroups.pids_were_refused(self._cgroup) and not self._reason and self._exit:
            self._reason = f"it wanted more than the {self._spec.limits.pids} processes allowed (--pids)"
        cgroups.remove(self._cgroup_paths)
        if self._start.ending is not None and self._exit is not None:
            self._exit, told = self._start.ending(self._exit, self._start.stack.upper)
            self._reason = self._reason or told
        if self._exit is not None:
            self._finish(self._code if self._code >= 0 else self._exit, self._reason)

    def _drain_logs(self) -> None:
        deadline = time.monotonic() + 1.0
        while self._logs_open and time.monotonic() < deadline:
            for key, mask in self._selector.select(0.05):
                if isinstance(key.fileobj, int):
                    key.data(mask)
        if self._log is not None:
            self._log.close()

    def _finish(self, code: int, reason: str) -> None:
        self._code, self._reason = code, reason
        self._state = msgspec.structs.replace(
            self._state, status="exited", exit_code=code, reason=reason, finished=self._start.now(), cgroups=()
        )
        with suppress(OSError):
            self._start.containers.write(self._spec.name, self._state)

    def _dispose(self) -> None:
        with suppress(OSError):
            os.unlink(os.path.join(self._directory, "control"))
        for visitor in self._waiters:
            Channel(visitor).send({"exited": self._code, "reason": self._reason})
        if self._start.container.remove:
            with suppress(WingoError):
                remove_directory(self._directory, self._start.machine.identity, self._start.machine.tools)

    def _step(self, step: Step, seconds: float, detail: str) -> None:
        self._tell({"step": step.name, "seconds": seconds, "detail": detail})

    def _tell(self, message: dict[str, object]) -> None:
        if self._client is not None:
            self._client.send(message)


def signal_number(text: str) -> int:
    """A signal's number: `SIGTERM`, `TERM`, `15`; SIGTERM's for what is none."""
    word = text.strip().upper()
    if word.isdigit():
        return int(word) if 0 < int(word) < 65 else signal.SIGTERM
    name = word if word.startswith("SIG") else f"SIG{word}"
    if name.startswith(("SIGRTMIN", "SIGRTMAX")):
        sign = -1 if name[8:9] == "-" else 1
        offset = int(name[9:]) if name[9:].isdigit() else 0
        return int(getattr(signal, name[:8])) + sign * offset
    return int(getattr(signal, name, signal.SIGTERM))


def _files(spec: RunSpec) -> Mapping[str, str]:
    if spec.platform.os != "linux":
        return {}
    files = {
        "/etc/hostname": f"{spec.hostname}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t{spec.hostname}\n",
    }
    if spec.network is Network.PRIVATE:
        files["/etc/resolv.conf"] = "nameserver 10.0.2.3\n"
    elif spec.network is Network.HOST:
        with suppress(OSError, UnicodeDecodeError), open("/etc/resolv.conf", encoding="utf-8") as file:
            files["/etc/resolv.conf"] = file.read()
    return files


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _size(number: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} bytes"


def published(values: object) -> tuple[Port, ...]:
    """Ports as a message has them."""
    return msgspec.convert(values, tuple[Port, ...])
