"""Wingo's own runtime: what crun does, in as few steps, where none is installed or a policy is to hold.

A policy needs it: Landlock is asked for by the process that becomes the program, after its mounts are made.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from wingo.errors import HostError
from wingo.launch import kernel
from wingo.launch.audit import ASKED, Auditor
from wingo.launch.capabilities import LAST, mask
from wingo.launch.channel import Channel, close_all
from wingo.launch.oci_runtime import MASKED, READ_ONLY
from wingo.launch.rooted import make_target, open_in_root
from wingo.launch.runtime import Place, Program
from wingo.launch.seccomp import filter_program
from wingo.launch.spec import RunSpec
from wingo.launch.users import Account

_HARDENED = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}


class Own:
    """Starts the program without another program's help."""

    name = "wingo"
    sees_cgroups = False

    def __init__(
        self,
        architecture: str,
        *,
        single: bool,
        restrict: Callable[[], None] = lambda: None,
        auditor: Auditor | None = None,
        datagrams: bool = True,
    ) -> None:
        """Prepares it.

        Args:
            architecture: as GOARCH.
            single: whether the account has one user number only; another user is then the only one in a user
                namespace of its own.
            restrict: called last before the filter and the program, in the process that becomes it.
            auditor: is asked before a program opens, executes, connects or changes something.
            datagrams: whether the program may have sockets of UDP.
        """
        self._architecture = architecture
        self._single = single
        self._restrict = restrict
        self._auditor = auditor
        self._datagrams = datagrams

    def plan(self, spec: RunSpec, account: Account, place: Place) -> Program:
        """A program that is this process itself."""
        return Program(cwd=place.scratch, enter=lambda: self._enter(spec, account, place))

    def _enter(self, spec: RunSpec, account: Account, place: Place) -> NoReturn:
        ours, theirs = Channel.pair()
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        kernel.unshare(kernel.CLONE_NEWPID)
        process = os.fork()
        if process:
            theirs.close()
            self._wait(process, ours, proc)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        ours.close()
        _mount_system(place)
        _pivot(place.root)
        _change_directory(spec.cwd, account, single=self._single)
        become(account, single=self._single)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        self._restrict()
        if self._auditor is None:
            kernel.seccomp(filter_program(self._architecture, datagrams=self._datagrams))
        else:
            notify = tuple(ASKED[self._architecture])
            program = filter_program(self._architecture, notify, datagrams=self._datagrams)
            theirs.send({"listener": True}, [kernel.seccomp(program, listener=True)])
        try:
            os.execve(spec.argv[0], spec.argv, dict(item.partition("=")[::2] for item in spec.env))
        except OSError as error:
            raise HostError(f"cannot execute {spec.argv[0]}: {error.strerror}") from error

    def _wait(self, process: int, channel: Channel, proc: int) -> NoReturn:
        """Waits for the program, answers what it asks meanwhile, and ends as it did."""
        kept = {channel.fileno(), proc, *([self._auditor.record] if self._auditor is not None else [])}
        for descriptor in range(4096):
            if descriptor not in kept:
                close_all([descriptor])
        if self._auditor is not None:
            received = channel.receive()
            if received is not None and received[1]:
                self._auditor.serve(received[1][0], os.pidfd_open(process), proc)
        while True:
            found, status = os.waitpid(-1, 0)
            if found == process:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _mount_system(place: Place) -> None:
    root = os.open(place.root, os.O_PATH | os.O_DIRECTORY)
    _over(root, "/proc", "proc", _HARDENED)
    devices = _over(root, "/dev", "tmpfs", kernel.MS_NOSUID, "mode=755,size=65536k")
    for name in _DEVICES:
        path = f"{devices}/{name}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount(f"/dev/{name}", path, flags=kernel.MS_BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{devices}/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{devices}/{name}")
    kernel.mount(
        "devpts",
        f"{devices}/pts",
        "devpts",
        kernel.MS_NOSUID | kernel.MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620",
    )
    kernel.mount("shm", f"{devices}/shm", "tmpfs", _HARDENED, "mode=1777,size=65536k")
    kernel.mount("mqueue", f"{devices}/mqueue", "mqueue", _HARDENED)
    try:
        _over(root, "/sys", "sysfs", _HARDENED | kernel.MS_RDONLY)
    except OSError:
        # With this machine's network the kernel gives no sysfs: then there is an empty one.
        _over(root, "/sys", "tmpfs", _HARDENED | kernel.MS_RDONLY)
    for path in MASKED:
        with suppress(OSError):
            _mask(root, path)
    for path in READ_ONLY:
        with suppress(OSError):
            _make_read_only(root, path)


def _over(root: int, path: str, kind: str, flags: int, data: str = "") -> str:
    """Mounts a file system over a directory of the root; its path as seen from here."""
    target, _ = make_target(root, path, directory=True)
    kernel.mount(kind, f"/proc/self/fd/{target}", kind, flags, data)
    os.close(target)
    return f"/proc/self/fd/{open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)}"


def _mask(root: int, path: str) -> None:
    found = open_in_root(root, path)
    try:
        where = f"/proc/self/fd/{found}"
        if os.path.isdir(where):
            kernel.mount("tmpfs", where, "tmpfs", _HARDENED | kernel.MS_RDONLY)
        else:
            kernel.mount("/dev/null", where, flags=kernel.MS_BIND)
    finally:
        os.close(found)


def _make_read_only(root: int, path: str) -> None:
    found = open_in_root(root, path)
    where = f"/proc/self/fd/{found}"
    kernel.mount(where, where, flags=kernel.MS_BIND | kernel.MS_REC)
    os.close(found)
    found = open_in_root(root, path)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _HARDENED
    kernel.mount("", f"/proc/self/fd/{found}", flags=flags)
    os.close(found)


def _pivot(root: str) -> None:
    os.chdir(root)
    kernel.pivot_root(".", ".")
    kernel.umount(".")
    os.chdir("/")


def _change_directory(path: str, account: Account, *, single: bool) -> None:
    if not os.path.isdir(path):
        try:
            os.makedirs(path)
            if not single:
                os.chown(path, account.uid, account.gid)
        except OSError as error:
            raise HostError(
                f"the working directory {path} is not there, and cannot be made: {error.strerror}"
            ) from error
    os.chdir(path)


def become(account: Account, *, single: bool, alone: bool = False) -> None:
    """Gives up capabilities, and becomes the user.

    Args:
        account: whom.
        single: whether the user namespace has one user only; another one is had in a further namespace.
        alone: whether this is that further namespace already.
    """
    if single and not alone and (account.uid or account.gid):
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{account.uid} 0 1"),
            ("gid_map", f"{account.gid} 0 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
                file.write(text)
    kept = mask()
    for number in range(LAST + 1):
        if not kept >> number & 1:
            with suppress(OSError):
                kernel.prctl(kernel.PR_CAPBSET_DROP, number)
    if not single:
        os.setgroups(list(account.groups))
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    kernel.set_capabilities(0 if account.uid else kept)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
