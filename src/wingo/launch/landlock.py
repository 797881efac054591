"""Landlock: what a process and all that it starts may do with files and TCP ports, whoever it is.

Sources: landlock(7), `Documentation/userspace-api/landlock.rst`, `include/uapi/linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

from wingo.errors import HostError
from wingo.launch import kernel
from wingo.launch.policy import Action, Policy

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGES = sum(1 << bit for bit in (4, 5, 7, 8, 9, 10, 12))
"""Removing directories and files; making directories, files, sockets, pipes and symbolic links."""
_DEVICES = 1 << 6 | 1 << 11
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_SINCE = {13: 2, 14: 3, 15: 5}
"""The ABI that brought each later bit."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_ALL_PORTS = 65_535

_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _CHANGES | _REFER | _TRUNCATE
_GIVEN = {Action.READ: _READ, Action.WRITE: _WRITE, Action.EXEC: _READ | _EXECUTE}
_OWN = (("/proc", _READ), ("/dev", _READ | _WRITE_FILE | _TRUNCATE | _IOCTL))
"""The container's own, which hold nothing of the image and nothing of this machine's."""


def landlock_abi() -> int:
    """The version that the kernel has; 0 when it has none."""
    try:
        return kernel.call("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def require_landlock(abi: int) -> None:
    """Refuses to go on without Landlock.

    Raises:
        HostError: the kernel has none: a table would not hold.
    """
    if abi < 1:
        raise HostError(
            "this kernel has no Landlock, without which a policy's rules for files would not hold",
            hint="Use Linux 5.13 or later with 'landlock' in its list of security modules (/sys/kernel/security/lsm).",
        )


def restrict(policy: Policy, abi: int) -> None:
    """Binds this process, and all that it will start, to a policy; paths are this process's own.

    Args:
        policy: the rules; what none allows is refused from now on.
        abi: from `landlock_abi`.

    Raises:
        OSError: the kernel refuses.
    """
    handled = _WRITE | _EXECUTE | _DEVICES | _IOCTL
    for bit, since in _SINCE.items():
        if abi < since:
            handled &= ~(1 << bit)
    ports = _ports(policy) if abi >= 4 else {}
    network = sum(bit for bit in (_BIND_TCP, _CONNECT_TCP) if len(ports.get(bit, ())) < _ALL_PORTS) if abi >= 4 else 0
    scoped = _ABSTRACT_SOCKETS | _SIGNALS if abi >= 6 else 0
    attributes = struct.pack("<QQQ", handled, network, scoped)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = kernel.call("landlock_create_ruleset", ctypes.c_char_p(attributes), len(attributes), 0)
    for path, given in _OWN:
        _allow_path(ruleset, path, given & handled)
    for rule in policy.rules:
        if rule.action in _GIVEN:
            _allow_path(ruleset, rule.resource, _GIVEN[rule.action] & handled)
    for bit, numbers in ports.items():
        if network & bit:
            for number in numbers:
                pair = struct.pack("<QQ", bit, number)
                kernel.call("landlock_add_rule", ruleset, 2, ctypes.c_char_p(pair), 0)
    kernel.call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def _ports(policy: Policy) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {_BIND_TCP: set(), _CONNECT_TCP: set()}
    for rule in policy.rules:
        bit = {Action.LISTEN: _BIND_TCP, Action.CONNECT: _CONNECT_TCP}.get(rule.action) if rule.action else None
        if bit is not None and rule.ports is not None and rule.ports.protocol == "tcp":
            found[bit].update(range(rule.ports.first, rule.ports.last + 1))
    return found


def _allow_path(ruleset: int, path: str, given: int) -> None:
    # What is not there, or what this user cannot get to, needs no permission.
    with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = given if os.path.isdir(path) else given & _ON_FILES
            pair = struct.pack("<Qi", allowed, descriptor)
            kernel.call("landlock_add_rule", ruleset, 1, ctypes.c_char_p(pair), 0)
        finally:
            os.close(descriptor)
