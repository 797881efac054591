"""System calls of Linux that Python 3.11 has no name for, through ctypes; each raises `OSError`.

Sources: the manual pages of section 2, `include/uapi/linux/{mount,landlock,seccomp,capability,openat2}.h`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from functools import cache

CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE, MS_PRIVATE = 32, 4096, 16384, 1 << 19, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 24, 38, 36
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16
AT_EMPTY_PATH, AT_RECURSIVE = 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 1, 4, 0x40
_MOUNT_ATTR_IDMAP = 0x0010_0000

_OF_MACHINE = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277},
}
_EVERYWHERE = {
    "open_tree": 428,
    "move_mount": 429,
    "openat2": 437,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
"""Numbers since Linux 5.0 are the same on every architecture."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _numbers() -> dict[str, int]:
    return {**_EVERYWHERE, **_OF_MACHINE.get(platform.machine(), {})}


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def call(name: str, *arguments: object) -> int:
    """Makes a system call by its name.

    Raises:
        OSError: the kernel refuses, or wingo does not know the call's number on this machine.
    """
    number = _numbers().get(name)
    if number is None:
        raise OSError(38, f"no number for the system call {name} on {platform.machine()}")
    plain = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return _checked(_libc().syscall(ctypes.c_long(number), *plain), name)


def unshare(flags: int) -> None:
    """Leaves namespaces ; the manual has it in section 2."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, flags: int = 0) -> None:
    """Enters a namespace ; the manual has it in section 2."""
    _checked(_libc().setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Attaches a file system ; the manual has it in section 2."""
    words = [os.fsencode(word) or None for word in (source, target, kind, data)]
    _checked(_libc().mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), f"mount {target}")


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """Detaches a file system ; the manual has it in section 2."""
    _checked(_libc().umount2(os.fsencode(target), ctypes.c_int(flags)), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Changes the root mount ; the manual has it in section 2."""
    call("pivot_root", ctypes.c_char_p(os.fsencode(new)), ctypes.c_char_p(os.fsencode(old)))


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    """Changes something about this process ; the manual has it in section 2."""
    words = [ctypes.c_ulong(word) for word in (value, third, 0, 0)]
    return _checked(_libc().prctl(ctypes.c_int(option), *words), "prctl")


def openat2(folder: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """Opens a path below a directory, with rules for how it may be resolved.

    Returns:
        A descriptor that is closed on exec.
    """
    how = struct.pack("<QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return call("openat2", folder, ctypes.c_char_p(os.fsencode(path)), ctypes.c_char_p(how), len(how))


def open_tree(path: str) -> int:
    """A mount of its own of what is at a path, attached nowhere."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE
    return call("open_tree", -100, ctypes.c_char_p(os.fsencode(path)), flags)


def map_ids_of_mount(tree: int, user_namespace: int) -> None:
    """Lets a detached mount show its owners as a user namespace has them; see mount_setattr(2), "ID-mapped mounts"."""
    attributes = struct.pack("<QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, user_namespace)
    flags = AT_EMPTY_PATH | AT_RECURSIVE
    call("mount_setattr", tree, ctypes.c_char_p(b""), flags, ctypes.c_char_p(attributes), len(attributes))


def move_mount(tree: int, target: int) -> None:
    """Attaches a detached mount at an opened path."""
    empty = ctypes.c_char_p(b"")
    call("move_mount", tree, empty, target, empty, _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)


def set_capabilities(kept: int) -> None:
    """Keeps these capabilities (a bit each) as permitted and effective, none as inheritable; see capset(2)."""
    header = struct.pack("<II", 0x2008_0522, 0)
    low, high = kept & 0xFFFF_FFFF, kept >> 32
    call("capset", ctypes.c_char_p(header), ctypes.c_char_p(struct.pack("<6I", low, low, 0, high, high, 0)))


def seccomp(program: bytes, *, listener: bool = False) -> int:
    """Installs a BPF program for this process and what it starts.

    Args:
        program: `struct sock_filter`s.
        listener: whether a descriptor is made that hears of `SECCOMP_RET_USER_NOTIF`.

    Returns:
        The listener's descriptor, or 0.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = ctypes.addressof(buffer)
    head = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, pointer), 16)
    return call("seccomp", 1, 8 if listener else 0, head)
