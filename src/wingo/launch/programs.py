"""Finding a container's program before anything is executed, so that what is wrong with it can be said."""

from __future__ import annotations

import errno
import os
import platform
import stat
import struct

import msgspec

from wingo.launch.rooted import open_in_root
from wingo.launch.spec import RunSpec
from wingo.launch.users import Account

_MACHINES = {3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 22: "s390x", 21: "ppc64le", 8: "mips"}
"""ELF's e_machine as GOARCH (gABI, "Machine")."""
_RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
_HERE = {"x86_64": "amd64", "aarch64": "arm64"}


class Refusal(msgspec.Struct, frozen=True):
    """Why a program cannot be executed.

    Attributes:
        code: the exit code, as shells have it.
    """

    reason: str
    hint: str
    code: int


def find_program(spec: RunSpec, root: int, account: Account) -> tuple[RunSpec, Refusal | None]:
    """The same spec with the path of its program, found as execvp(3) does but inside the root.

    Args:
        spec: what is to run.
        root: a descriptor of the container's files.
        account: who is to run it.
    """
    name = spec.argv[0]
    if "/" in name:
        candidates = [os.path.join(spec.cwd, name)]
    else:
        path = next((item.partition("=")[2] for item in spec.env if item.startswith("PATH=")), "")
        candidates = [os.path.join(spec.cwd, folder, name) for folder in path.split(":")]
    refusal = Refusal(f"the image has no program {name[:200]!r}", _hint(spec), 127)
    for candidate in candidates:
        found = _look(candidate, root, account)
        if found is None:
            env = spec.env
            if not any(item.startswith("HOME=") for item in env):
                env = (*env, f"HOME={account.home}")
            return msgspec.structs.replace(spec, argv=(candidate, *spec.argv[1:]), env=env), None
        if found.code != 127 or "/" in name:
            refusal = found
    return spec, refusal


def _hint(spec: RunSpec) -> str:
    return (
        f"Look with 'wingo ls'; PATH is {next((item[5:] for item in spec.env if item.startswith('PATH=')), 'empty')}."
    )


def _look(path: str, root: int, account: Account) -> Refusal | None:
    """Why a file cannot be executed; None when it can."""
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Refusal(f"{path} may not be read by the container's root", "", 126)
        return Refusal(f"the image has no program {path!r}", "Look with 'wingo ls' what there is.", 127)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return Refusal(f"{path} is no file that can be executed", "", 126)
    with open(descriptor, "rb") as file:
        if not status.st_mode & 0o111:
            return Refusal(f"{path} is not executable", "Give it mode 0755 in the image.", 126)
        if account.uid and not _may_execute(status, account):
            return Refusal(
                f"{path} may not be executed by the user {account.uid}", "Give it mode 0755, or use -u 0.", 126
            )
        head = file.read(4096)
        return (
            _judge_script(path, head, root) if head.startswith(b"#!") else _judge_elf(path, head, file.fileno(), root)
        )


def _may_execute(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid in (account.gid, *account.groups):
        return bool(status.st_mode & stat.S_IXGRP)
    # Where numbers of the container have no number here, everything is root's: then the kernel decides.
    return bool(status.st_mode & stat.S_IXOTH) or status.st_uid == 0


def _judge_script(path: str, head: bytes, root: int) -> Refusal | None:
    words = head[2:].split(b"\n", 1)[0].split()
    interpreter = os.fsdecode(words[0]) if words else ""
    if not _is_there(interpreter, root):
        hint = "The file has Windows line ends: save it with Unix ones." if interpreter.endswith("\r") else ""
        return Refusal(f"{path} is a script for {interpreter!r}, which the image does not have", hint, 127)
    return None


def _judge_elf(path: str, head: bytes, descriptor: int, root: int) -> Refusal | None:
    if not head.startswith(b"\x7fELF") or len(head) < 64:
        return Refusal(f"{path} is neither a Linux program nor a script", "", 126)
    order = "<" if head[5] == 1 else ">"
    machine = _MACHINES.get(struct.unpack_from(order + "H", head, 18)[0], "another machine")
    here = _HERE.get(platform.machine(), platform.machine())
    if machine != here and machine not in _RUNS_TOO.get(here, ()) and not _is_registered(machine):
        return Refusal(
            f"{path} is a program for {machine}, and this machine is {here}",
            "Choose the image's variant with --platform, or install qemu-user-static, which runs it.",
            126,
        )
    interpreter = _interpreter(head, descriptor, order)
    if interpreter and not _is_there(interpreter, root):
        return Refusal(
            f"{path} is linked dynamically and needs {interpreter}, which the image does not have",
            "Build it with CGO_ENABLED=0, or on a base that has the C library.",
            127,
        )
    return None


def _is_registered(machine: str) -> bool:
    """Whether the kernel hands programs of a machine to an emulator (binfmt_misc)."""
    name = {"arm64": "aarch64", "amd64": "x86_64", "386": "i386"}.get(machine, machine)
    return os.path.exists(f"/proc/sys/fs/binfmt_misc/qemu-{name}")


def _interpreter(head: bytes, descriptor: int, order: str) -> str:
    """The dynamic loader that a program names; "" when it is static."""
    wide = head[4] == 2
    table, size, count = (
        struct.unpack_from(order + "Q", head, 32)[0] if wide else struct.unpack_from(order + "I", head, 28)[0],
        *struct.unpack_from(order + "HH", head, 54 if wide else 42),
    )
    if size < (56 if wide else 32):
        return ""
    for number in range(min(count, 128)):
        entry = os.pread(descriptor, size, table + number * size)
        if len(entry) < size or struct.unpack_from(order + "I", entry)[0] != 3:
            continue
        offset, length = (
            (struct.unpack_from(order + "Q", entry, 8)[0], struct.unpack_from(order + "Q", entry, 32)[0])
            if wide
            else (struct.unpack_from(order + "I", entry, 4)[0], struct.unpack_from(order + "I", entry, 16)[0])
        )
        try:
            return os.fsdecode(os.pread(descriptor, min(length, 4096), offset).rstrip(b"\0"))
        except (OSError, OverflowError):
            return ""
    return ""


def _is_there(path: str, root: int) -> bool:
    try:
        os.close(open_in_root(root, path))
    except (OSError, ValueError):
        return False
    return True
