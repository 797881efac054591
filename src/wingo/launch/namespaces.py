"""Inside a start: the processes that make the namespaces, stack the layers and execute the program.

```
keeper       outside: maps users, limits, forwards ports, keeps time, cleans up (`keeper.py`)
 └ holder    new user, mount and network namespaces: mounts everything; makes sockets in there for the keeper; signals
    └ init   process 1 of a new process namespace; when it ends, however, the kernel ends everything below
       └ …   a runtime and in it the program, process 1 of a namespace of its own
```

Each is a fork that dies when the one above it dies (`PR_SET_PDEATHSIG`), so nothing survives a killed wingo. The
functions here run in such a fork and never return.
"""

from __future__ import annotations

# Nothing may be imported later: in here, Python's own files may be out of reach.
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

import msgspec

from wingo.errors import HostError, WingoError
from wingo.launch import kernel
from wingo.launch.audit import Auditor
from wingo.launch.channel import Channel, error_message
from wingo.launch.policy import Action, Policy, decide_path
from wingo.launch.programs import Refusal, find_program
from wingo.launch.rooted import make_target, open_in_root, read_in_root
from wingo.launch.runtime import Place, Program, Runtime
from wingo.launch.spec import Mount, MountKind, Network, RunSpec
from wingo.launch.stack import Stack, mount_stack, open_stack
from wingo.launch.steps import Step
from wingo.launch.users import Account, find_account

_SCRATCH_PLACES = ("/mnt", "/media", "/srv", "/opt", "/run")
"""Directories that a program of this machine can do without in here: one is covered with the container's own."""
_SYSTEM = ("/proc", "/dev", "/sys")
"""Where every runtime mounts something; made beforehand, as a root that is read-only by then could not have them."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_COPY_KIB = 4096
"""By how much a copy of this process may outgrow it before it executes something else."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes when the program is not there, or cannot be executed, as shells and Docker have them."""


class Inside(msgspec.Struct, frozen=True):
    """What a start needs to know inside.

    Attributes:
        spec: what is to run.
        stack: the container's files.
        runtime: what executes it.
        rlimits: soft and hard limits by number (setrlimit(2)), where no cgroup holds them.
        stdio: descriptors of the program's standard streams.
        terminal: whether they are a terminal that becomes its own.
        files: made in the container, by path: `/etc/hosts` and its like.
        has_groups: whether it may give up its groups.
        signals: see `wingo.launch.runtime.Prepared`.
        policy: what the program's role may do.
        auditor: writes down what it may not.
    """

    spec: RunSpec
    stack: Stack
    runtime: Runtime
    rlimits: Mapping[int, int]
    stdio: tuple[int, int, int]
    terminal: bool
    files: Mapping[str, str]
    has_groups: bool
    signals: Mapping[int, tuple[str, int]] = {}
    policy: Policy | None = None
    auditor: Auditor | None = None


def hold(inside: Inside, channel: Channel) -> NoReturn:
    """Is the holder; ends with the container's exit code."""
    code = 1
    try:
        code = _hold(inside, channel)
    except (WingoError, OSError) as error:
        channel.send(error_message(error))
    except BaseException as error:  # noqa: BLE001  (a fork must not return into its parent's code)
        channel.send(error_message(error))
    finally:
        os._exit(code)


def _hold(inside: Inside, channel: Channel) -> int:
    began = time.monotonic()
    flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    if inside.spec.network is not Network.HOST:
        flags |= kernel.CLONE_NEWNET
    try:
        kernel.unshare(flags)
    except OSError as error:
        raise HostError(
            f"this machine lets this account make no user namespace: {error.strerror}",
            hint="Allow it (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), "
            "or run wingo as root.",
        ) from error
    # Opened with the account's own rights, and in the new mount namespace, of which overlayfs takes nothing else.
    opened = open_stack(inside.stack)
    sources = _open_sources(inside.spec.mounts)
    channel.send({"unshared": True})
    _, trees = channel.expect("mapped")
    if inside.has_groups:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _die_with_parent()
    namespaces = time.monotonic() - began
    if inside.spec.network is not Network.HOST:
        _loopback_up()
    socket.sethostname(inside.spec.hostname)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    place = _scratch()
    began = time.monotonic()
    servants: list[int] = []
    notes: list[str] = []
    storage = mount_stack(
        inside.stack, opened, place.root, notes.append, start=lambda argv: servants.append(_start(argv))
    )
    root = os.open(place.root, os.O_PATH | os.O_DIRECTORY)
    made = _mount_all(inside, root, sources, trees, place)
    _tell_step(channel, Step.WRITABLE, began, storage.value)
    channel.send({"storage": storage.value, "made": made, "notes": notes})
    account = Account()
    if inside.spec.platform.os == "linux":
        account = find_account(inside.spec.user, read_in_root(root, "etc/passwd"), read_in_root(root, "etc/group"))
    if inside.spec.platform.os == "linux":
        _make_directory(root, inside.spec.cwd, account)
    if inside.spec.read_only:
        flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NODEV
        kernel.mount("", place.root, flags=flags)
    spec, problem = inside.spec, None
    if inside.spec.platform.os == "linux":
        spec, problem = find_program(inside.spec, root, account)
        problem = problem or _no_directory(root, spec.cwd)
    if problem is None and inside.policy is not None and inside.auditor is not None:
        problem = _forbidden(inside.policy, inside.auditor, root, place, spec)
    if problem is not None:
        channel.send({"refused": problem.reason, "hint": problem.hint, "code": problem.code})
        return problem.code
    channel.expect("network")
    began = time.monotonic()
    read_end, write_end = os.pipe()
    kernel.unshare(kernel.CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        channel.close()
        os.close(read_end)
        _init(inside, spec, account, place, write_end)
    os.close(write_end)
    # Nothing of this process may keep what the program is to see closed.
    leave_streams(inside.stdio)
    with open(read_end, "rb") as report:
        trouble = report.read()
    if trouble:
        channel.send(_decoded(trouble))
        os.waitpid(init, 0)
        return 1
    _tell_step(channel, Step.EXECUTE, began, inside.runtime.name)
    channel.send({"started": init, "namespaces": namespaces, "uid": account.uid})
    return _serve(channel, init, lambda number: _signal(init, number, root, inside.signals))


def _make_directory(root: int, path: str, account: Account) -> None:
    """Makes the program's directory where the image has none, as Docker does; it is the user's."""
    with suppress(WingoError, OSError):  # the runtime says what is wrong with it
        found, made = make_target(root, path, directory=True)
        if made:
            os.chown(f"/proc/self/fd/{found}", account.uid, account.gid)
        os.close(found)


def _no_directory(root: int, path: str) -> Refusal | None:
    """Why the program cannot start in its directory; None when it can, or the runtime will make it."""
    try:
        os.close(open_in_root(root, path, os.O_PATH | os.O_DIRECTORY))
    except NotADirectoryError:
        return Refusal(f"the working directory {path} is a file", "Choose another with -w.", 126)
    except OSError:
        pass
    return None


def _forbidden(policy: Policy, auditor: Auditor, root: int, place: Place, spec: RunSpec) -> Refusal | None:
    """Why the role may not execute the program itself; None when it may."""
    found = open_in_root(root, spec.argv[0])
    path = os.readlink(f"/proc/self/fd/{found}").removeprefix(place.root)
    os.close(found)
    decision = decide_path(policy, Action.EXEC, path)
    if decision.allowed:
        return None
    auditor.write_down(decision, 1)
    return Refusal(
        f"the role {policy.role!r} may not start this: {decision}", "Let the table allow to execute it.", 126
    )


def _decoded(data: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(data)
    return found


def _serve(channel: Channel, init: int, send: Callable[[int], None]) -> int:
    """Waits for the container's end; meanwhile does for the keeper what can only be done from inside."""
    ended = os.pidfd_open(init)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        selector.register(channel, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if channel in ready and not _answer(channel, init, send):
                # The keeper has gone: so does everything else.
                os.kill(init, signal.SIGKILL)
            if ended in ready:
                _, status, used = os.wait4(init, 0)
                code = os.waitstatus_to_exitcode(status)
                channel.send({"ended": code, "peak": _peak(used)})
                return code if code >= 0 else 128 - code


def _peak(used: resource.struct_rusage) -> int:
    """Bytes of the largest resident set that a process of the container had; 0 where that was this program's own.

    `ru_maxrss` (getrusage(2), in KiB) is kept over execve(2), and every process in there began as a copy of this one.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + _COPY_KIB
    return used.ru_maxrss * 1024 if used.ru_maxrss > ours else 0


def _answer(channel: Channel, init: int, send: Callable[[int], None]) -> bool:
    received = channel.receive()
    if received is None:
        return False
    message = received[0]
    if "socket" in message:
        _answer_socket(channel, str(message["socket"]), message.get("id"))
    elif "signal" in message:
        send(int(str(message["signal"])))
    elif "find" in message:
        channel.send({"found": program_process(init) or init})
    return True


def _signal(init: int, number: int, root: int, signals: Mapping[int, tuple[str, int]]) -> None:
    """Sends the program a signal, or what stands for it; SIGKILL is everything's."""
    target = program_process(init) if number != signal.SIGKILL else init
    mark, sent = signals.get(number, ("", number))
    if mark:
        with suppress(OSError, WingoError):
            os.close(make_target(root, mark, directory=False)[0])
    with suppress(ProcessLookupError):
        os.kill(target or init, sent)


def _answer_socket(channel: Channel, family: str, number: object) -> None:
    kind = socket.SOCK_DGRAM if family.startswith("udp") else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET6 if family.endswith("6") else socket.AF_INET, kind) as made:
            channel.send({"made_socket": number}, [made.fileno()])
    except OSError:
        channel.send({"made_socket": number})


def program_process(init: int) -> int | None:
    """The process on this machine that is process 1 in the innermost namespace below `init`; None while there is none."""
    depth = _namespace_depth(init)
    todo = [init]
    while todo:
        process = todo.pop()
        for child in _children(process):
            if _namespace_depth(child) > depth:
                return child
            todo.append(child)
    return None


def _children(process: int) -> list[int]:
    with suppress(OSError), open(f"/proc/{process}/task/{process}/children", "rb") as file:
        return [int(word) for word in file.read().split()]
    return []


def _namespace_depth(process: int) -> int:
    with suppress(OSError), open(f"/proc/{process}/status", "rb") as file:
        for line in file:
            if line.startswith(b"NSpid:"):
                return len(line.split()) - 1
    return 0


def _init(inside: Inside, spec: RunSpec, account: Account, place: Place, report: int) -> NoReturn:
    """Is process 1 of the container's process namespace; executes the runtime."""
    try:
        _die_with_parent()
        os.setsid()
        if inside.terminal:
            fcntl.ioctl(inside.stdio[0], termios.TIOCSCTTY, 0)
        # Above them, so that none is overwritten before it is copied.
        copies = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 10) for stream in inside.stdio]
        for number, stream in enumerate(copies):
            os.dup2(stream, number)
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        _mount_proc(hide_cgroups=not inside.runtime.sees_cgroups)
        _limit(inside.rlimits)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        program = inside.runtime.plan(spec, account, place)
        _execute(program, place)
    except BaseException as error:  # noqa: BLE001  (a fork must not return into its parent's code)
        os.write(report, json.dumps(error_message(error)).encode()[:65000])
    finally:
        os._exit(1)


def _execute(program: Program, place: Place) -> None:
    for name, data in program.files.items():
        path = os.path.join(place.scratch, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    numbers = {}
    for name, data in program.inputs.items():
        descriptor = os.memfd_create(name, 0)
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        numbers[name] = descriptor
    os.chdir(program.cwd)
    if program.enter is not None:
        program.enter()
    argv = list(program.argv)
    for name, descriptor in numbers.items():
        argv = [word.replace(f"{{fd:{name}}}", str(descriptor)) for word in argv]
    os.execve(argv[0], argv, dict(program.env))


def _mount_proc(*, hide_cgroups: bool) -> None:
    try:
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    except OSError as error:
        raise HostError(
            f"this machine lets no new /proc be mounted: {error.strerror}",
            hint="In a container, start it with its /proc unmasked (docker run --security-opt systempaths=unconfined).",
        ) from error
    if hide_cgroups and os.path.ismount("/sys/fs/cgroup"):
        kernel.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _limit(rlimits: Mapping[int, int]) -> None:
    for number, value in rlimits.items():
        _, hard = resource.getrlimit(number)
        wanted = value if hard in (resource.RLIM_INFINITY, -1) else min(value, hard)
        resource.setrlimit(number, (wanted, wanted))


def _die_with_parent() -> None:
    """Asks the kernel for SIGKILL when the parent dies; changing users takes that back, so it comes after."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(made, _SIOCGIFFLAGS, request)
        flags = struct.unpack_from("H", answer, 16)[0]
        fcntl.ioctl(made, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _scratch() -> Place:
    """Covers a directory of this machine, for this mount namespace only, with the container's own in memory."""
    folder = next((path for path in _SCRATCH_PLACES if os.path.isdir(path)), None)
    if folder is None:
        raise HostError(f"none of {', '.join(_SCRATCH_PLACES)} is a directory here", hint="Make /mnt.")
    kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=64m")
    place = Place(f"{folder}/root", f"{folder}/scratch")
    os.mkdir(place.root)
    os.mkdir(place.scratch)
    return place


def _open_sources(mounts: Sequence[Mount]) -> dict[str, int]:
    """Volumes that this account can open; root's are opened by the keeper, with their owners mapped."""
    found = {}
    for each in mounts:
        if each.kind is MountKind.BIND:
            with suppress(OSError):
                found[each.target] = os.open(each.source, os.O_PATH)
    return found


def _mount_all(inside: Inside, root: int, sources: Mapping[str, int], trees: Sequence[int], place: Place) -> list[str]:
    made: list[str] = []
    for path in _SYSTEM if inside.spec.platform.os == "linux" else ():
        target, new = make_target(root, path, directory=True)
        os.close(target)
        made += new
    binds = [each for each in inside.spec.mounts if each.kind is MountKind.BIND]
    tree_of = dict(zip((each.target for each in binds), trees, strict=False))
    for each in inside.spec.mounts:
        made += _mount_one(each, root, sources, tree_of)
    for path, text in inside.files.items():
        file = os.path.join(place.scratch, path.strip("/").replace("/", "-"))
        with open(file, "w", encoding="utf-8") as made_file:
            made_file.write(text)
        os.chmod(file, 0o644)
        if any(each.target == path for each in inside.spec.mounts):
            continue
        try:
            target, new = make_target(root, path, directory=False)
        except WingoError:
            continue  # the image has something of its own there
        made += new
        kernel.mount(file, f"/proc/self/fd/{target}", flags=kernel.MS_BIND)
        os.close(target)
    return made


def _mount_one(each: Mount, root: int, sources: Mapping[str, int], trees: Mapping[str, int]) -> list[str]:
    if each.kind is MountKind.TMPFS:
        target, made = make_target(root, each.target, directory=True)
        size = f",size={each.size}" if each.size else ""
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", flags, f"mode=1777{size}")
        os.close(target)
        return made
    if each.kind is MountKind.NOTHING:
        return _cover(root, each.target)
    source = trees.get(each.target, sources.get(each.target))
    if source is None:
        raise HostError(f"cannot open {each.source}, which is to be mounted on {each.target}")
    target, made = make_target(root, each.target, directory=os.path.isdir(f"/proc/self/fd/{source}"))
    if each.target in trees:
        kernel.move_mount(source, target)
    else:
        kernel.mount(f"/proc/self/fd/{source}", f"/proc/self/fd/{target}", flags=kernel.MS_BIND | kernel.MS_REC)
    os.close(target)
    # Opened anew: the old descriptor is of what is covered now.
    covered, _ = make_target(root, each.target, directory=os.path.isdir(f"/proc/self/fd/{source}"))
    try:
        _restrict(f"/proc/self/fd/{covered}", read_only=each.read_only)
    finally:
        os.close(covered)
    return made


def _cover(root: int, path: str) -> list[str]:
    """Covers a file or directory of the image; what is not there is made, so that nobody else can make it."""
    made: list[str] = []
    try:
        found = open_in_root(root, path)
    except OSError:
        found, made = make_target(root, path, directory=True)
    where = f"/proc/self/fd/{found}"
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY
    if os.path.isdir(where):
        kernel.mount("tmpfs", where, "tmpfs", flags, "mode=000,size=4k")
    else:
        kernel.mount("/dev/null", where, flags=kernel.MS_BIND)
        covered = open_in_root(root, path)
        kernel.mount("", f"/proc/self/fd/{covered}", flags=flags | kernel.MS_REMOUNT | kernel.MS_BIND)
        os.close(covered)
    os.close(found)
    return made


def _restrict(path: str, *, read_only: bool) -> None:
    """Takes devices, set-id bits and perhaps writing from a mount, and keeps what was taken already."""
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NOSUID | kernel.MS_NODEV
    held = os.statvfs(path).f_flag
    flags |= held & (os.ST_RDONLY | os.ST_NOEXEC)
    for bit, flag in ((os.ST_NOATIME, 1024), (os.ST_NODIRATIME, 2048), (os.ST_RELATIME, 1 << 21)):
        if held & bit:
            flags |= flag
    if read_only:
        flags |= kernel.MS_RDONLY
    kernel.mount("", path, flags=flags)


def _start(argv: Sequence[str]) -> int:
    """Starts a program of this machine beside the container, for as long as this process lives."""
    process = os.fork()
    if process:
        return process
    try:
        _die_with_parent()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        os.execv(argv[0], list(argv))
    finally:
        os._exit(127)


def leave_streams(stdio: Sequence[int]) -> None:
    """Lets go of the program's streams, so that a reader of them sees when the program has closed them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in {0, 1, 2, *stdio}:
        os.dup2(nothing, number)


def _tell_step(channel: Channel, step: Step, began: float, detail: str) -> None:
    channel.send({"step": step.name, "seconds": time.monotonic() - began, "detail": detail})
