"""Executing a program in a container that runs: into its namespaces, its limits and its filter, and become the user."""

from __future__ import annotations

# Nothing may be imported later: in there, Python's own files are out of reach.
import fcntl
import os
import signal
import termios
from typing import NoReturn

import msgspec

from wingo.errors import HostError, RequestError, WingoError
from wingo.launch import kernel
from wingo.launch.channel import Channel, error_message, raise_error
from wingo.launch.containers import Container, State
from wingo.launch.enforce import has_datagrams
from wingo.launch.landlock import landlock_abi, restrict
from wingo.launch.mapping import fork
from wingo.launch.own import become
from wingo.launch.programs import find_program
from wingo.launch.rooted import read_in_root
from wingo.launch.seccomp import filter_program
from wingo.launch.spec import RunSpec
from wingo.launch.users import find_account

_NS_GET_USERNS = 0xB701
_KINDS = ("ipc", "uts", "net", "pid", "mnt")


class Joining(msgspec.Struct, frozen=True):
    """What is to be executed beside a container's program.

    Attributes:
        spec: the program; its `user` "" is root.
        container: what runs.
        state: how it is.
        process: its first process, as this machine numbers it.
        architecture: as GOARCH.
        stdio: the new program's streams.
        terminal: whether they are a terminal.
    """

    spec: RunSpec
    container: Container
    state: State
    process: int
    architecture: str
    stdio: tuple[int, int, int]
    terminal: bool


def join(what: Joining) -> tuple[int, Channel]:
    """Starts a program in a container's namespaces.

    Returns:
        The process, whose exit code is the program's, and a channel that ends when the program is executed.

    Raises:
        HostError: the container has gone, or the kernel refuses.
    """
    ours, theirs = Channel.pair()
    process = fork()
    if process == 0:
        ours.close()
        _join(what, theirs)
    theirs.close()
    return process, ours


def wait_for_start(channel: Channel) -> RequestError | None:
    """Waits until the program is executed; the error when the container does not have it.

    Raises:
        WingoError: it could not be started.
    """
    received = channel.receive()
    channel.close()
    if received is None:
        return None
    raise_error(received[0])
    return RequestError(str(received[0].get("refused")), hint=str(received[0].get("hint", "")))


def _join(what: Joining, channel: Channel) -> NoReturn:
    try:
        _enter(what, channel)
    except (WingoError, OSError) as error:
        channel.send(error_message(error))
    except BaseException as error:  # noqa: BLE001  (a fork must not return into its parent's code)
        channel.send(error_message(error))
    finally:
        os._exit(126)


def _enter(what: Joining, channel: Channel) -> None:
    os.setsid()
    for directory in what.state.cgroups:
        _write(f"{directory}/cgroup.procs", str(os.getpid()))
    where = f"/proc/{what.process}"
    try:
        root = os.open(f"{where}/root", os.O_PATH | os.O_DIRECTORY)
        namespaces = {kind: os.open(f"{where}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in (*_KINDS, "user")}
        owner = fcntl.ioctl(namespaces["mnt"], _NS_GET_USERNS)
    except OSError as error:
        raise HostError(f"the container {what.container.name!r} has ended") from error
    single = what.container.identity.way == "single"
    kernel.setns(owner)
    if not single:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    for kind in _KINDS:
        kernel.setns(namespaces[kind])
    inner = os.fstat(owner).st_ino != os.fstat(namespaces["user"]).st_ino
    if inner:
        kernel.setns(namespaces["user"])
    os.fchdir(root)
    os.chroot(".")
    process = os.fork()
    if process:
        _wait(process)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    folder = os.open("/", os.O_PATH | os.O_DIRECTORY)
    account = find_account(what.spec.user, read_in_root(folder, "etc/passwd"), read_in_root(folder, "etc/group"))
    spec, problem = find_program(what.spec, folder, account)
    if problem is not None:
        channel.send({"refused": problem.reason, "hint": problem.hint})
        os._exit(problem.code)
    os.chdir(spec.cwd)
    if what.terminal:
        fcntl.ioctl(what.stdio[0], termios.TIOCSCTTY, 0)
    copies = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 10) for stream in what.stdio]
    for number, stream in enumerate(copies):
        os.dup2(stream, number)
    # In a user namespace with one user there is nobody else to become.
    become(account, single=single, alone=inner)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    policy = what.container.policy
    if policy is not None:
        restrict(policy, landlock_abi())
    kernel.seccomp(filter_program(what.architecture, datagrams=policy is None or has_datagrams(policy)))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(spec.argv[0], spec.argv, dict(item.partition("=")[::2] for item in spec.env))
    except OSError as error:
        raise HostError(f"cannot execute {spec.argv[0]}: {error.strerror}") from error


def _wait(process: int) -> NoReturn:
    """Waits for the program, passing signals on, and ends as it did."""
    os.closerange(0, 4096)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: os.kill(process, number))
    while True:
        found, status = os.waitpid(process, 0)
        if found == process:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise HostError(f"cannot enter the container's limits: {error.strerror}") from error
