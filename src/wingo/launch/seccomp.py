"""The system calls that a container may not make: one table, spelt as a BPF program and as an OCI runtime's JSON.

A list of what is refused, and not of what is allowed as Docker's: what a program may do besides is bounded by its user
namespace, and this list takes away what reaches far into the kernel from there. A new namespace is refused, since it would
give back the capabilities that were taken.

Sources: seccomp(2), `include/uapi/linux/{seccomp,filter,audit,bpf_common}.h`, the kernel's system call tables,
runtime-spec `config-linux.md` "Seccomp".
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

import msgspec

CALLS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, -1),
    "vhangup": (153, 58),
}
"""Refused calls: their numbers on amd64 and arm64; -1: there is none."""
COMPUTING = {
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "futex": (202, 98),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "restart_syscall": (219, 128),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "write": (1, 64),
}
"""All that a process needs that computes and writes to what is open: their numbers on amd64 and arm64."""
_CLONE, _CLONE3, _IOCTL, _SOCKET = (56, 220), (435, 435), (16, 29), (41, 198)
_NAMESPACE_FLAGS = tuple(1 << bit for bit in (7, 17, 25, 26, 27, 28, 29, 30))
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_TERMINAL_REQUESTS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into a terminal that others read from."""
_FAMILIES = (38, 40)
"""AF_ALG and AF_VSOCK: the kernel's cryptography, and the machine's host."""
_AUDIT = {"amd64": 0xC000_003E, "arm64": 0xC000_00B7}
_COLUMN = {"amd64": 0, "arm64": 1}
_X32 = 0x4000_0000
_ALLOW, _ERRNO, _KILL, _NOTIFY = 0x7FFF_0000, 0x0005_0000, 0x8000_0000, 0x7FC0_0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _MACHINE_AT, _FIRST_AT, _SECOND_AT = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; the arguments' low halves, as both machines are little-endian."""


class _Test(msgspec.Struct, frozen=True):
    """A call that is refused for some of its arguments."""

    call: tuple[int, int]
    name: str
    argument: int
    values: tuple[int, ...]
    bits: bool = False


_TESTS = (
    _Test(_CLONE, "clone", 0, _NAMESPACE_FLAGS, bits=True),
    _Test(_IOCTL, "ioctl", 1, _TERMINAL_REQUESTS),
    _Test(_SOCKET, "socket", 0, _FAMILIES),
)


def filter_program(architecture: str, notify: Sequence[int] = (), *, datagrams: bool = True) -> bytes:
    """The filter as `struct sock_filter`s.

    Args:
        architecture: as GOARCH.
        notify: numbers of calls that a supervisor is asked about (seccomp_unotify(2)).
        datagrams: whether the internet's datagram sockets may be made.

    Raises:
        KeyError: an architecture whose numbers wingo does not know.
    """
    column = _COLUMN[architecture]
    refuse = _instruction(_RETURN, _ERRNO | errno.EPERM)
    program = [
        *_begin(architecture),
        # The C library then takes clone, whose flags a filter can see.
        _instruction(_EQUAL, _CLONE3[column], 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in sorted(numbers[column] for numbers in CALLS.values()):
        if number >= 0:
            program += [_instruction(_EQUAL, number, 0, 1), refuse]
    for test in _TESTS:
        program += _tested(test, column, refuse)
    if not datagrams:
        program += _without_datagrams(column, refuse)
    for number in notify:
        program += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _NOTIFY)]
    return b"".join([*program, _instruction(_RETURN, _ALLOW)])


def computing_program(architecture: str) -> bytes:
    """A filter under which a process can compute, write to what it has open, and end; every other call is refused.

    Args:
        architecture: as GOARCH.

    Raises:
        KeyError: an architecture whose numbers wingo does not know.
    """
    column = _COLUMN[architecture]
    program = _begin(architecture)
    for number in sorted(numbers[column] for numbers in COMPUTING.values()):
        program += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    return b"".join([*program, _instruction(_RETURN, _ERRNO | errno.EPERM)])


def _begin(architecture: str) -> list[bytes]:
    """Kills what calls by another machine's numbers, refuses x32's, and leaves the call's number to be compared."""
    return [
        _instruction(_LOAD, _MACHINE_AT),
        _instruction(_EQUAL, _AUDIT[architecture], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]


def _tested(test: _Test, column: int, refuse: bytes) -> list[bytes]:
    checks: list[bytes] = [_instruction(_LOAD, _FIRST_AT if test.argument == 0 else _SECOND_AT)]
    for value in (sum(test.values),) if test.bits else test.values:
        checks += [_instruction(_ANY_BIT if test.bits else _EQUAL, value, 0, 1), refuse]
    # The number is loaded again for what comes after.
    checks.append(_instruction(_LOAD, _NUMBER_AT))
    return [_instruction(_EQUAL, test.call[column], 0, len(checks)), *checks]


def _without_datagrams(column: int, refuse: bytes) -> list[bytes]:
    """Refuses sockets of AF_INET and AF_INET6 that are neither streams nor nothing."""
    refuse_kind = [
        _instruction(_LOAD, _SECOND_AT),
        _instruction(_AND, 0xF),
        _instruction(_EQUAL, socket.SOCK_STREAM, 1, 0),
        refuse,
    ]
    checks = [
        _instruction(_LOAD, _FIRST_AT),
        _instruction(_EQUAL, socket.AF_INET, 1, 0),
        _instruction(_EQUAL, socket.AF_INET6, 0, len(refuse_kind)),
        *refuse_kind,
        _instruction(_LOAD, _NUMBER_AT),
    ]
    return [_instruction(_EQUAL, _SOCKET[column], 0, len(checks)), *checks]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def oci_seccomp(architecture: str) -> dict[str, object]:
    """The same filter as an OCI runtime's configuration has it."""
    refused: list[dict[str, object]] = [
        {"names": sorted(CALLS), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    ]
    for test in _TESTS:
        for value in test.values:
            operation = {"op": "SCMP_CMP_MASKED_EQ", "valueTwo": value} if test.bits else {"op": "SCMP_CMP_EQ"}
            refused.append(
                {
                    "names": [test.name],
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": errno.EPERM,
                    "args": [{"index": test.argument, "value": value, **operation}],
                }
            )
    machines = {"amd64": ["SCMP_ARCH_X86_64"], "arm64": ["SCMP_ARCH_AARCH64"]}
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": machines.get(architecture, []),
        "syscalls": refused,
    }
