"""How much a container uses, where no cgroup counts it."""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def descendants(process: int) -> list[int]:
    """Every process below one."""
    found, todo = [], [process]
    while todo:
        each = todo.pop()
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{thread}/children", "rb") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                todo += children
    return found


class Memory(msgspec.Struct, frozen=True):
    """Bytes of memory that processes have at one moment, added up.

    Attributes:
        own: what only they can give back by ending: anonymous pages; shared ones count in each.
        files: pages of files, of which the kernel can take them.
    """

    own: int = 0
    files: int = 0


def memory_used(process: int) -> Memory:
    """What the processes below one have (`/proc/PID/statm`, proc(5))."""
    own = files = 0
    for each in descendants(process):
        with suppress(OSError, ValueError, IndexError), open(f"/proc/{each}/statm", "rb") as file:
            _, resident, shared, *_ = map(int, file.read().split())
            own += (resident - shared) * _PAGE
            files += shared * _PAGE
    return Memory(own, files)


def free_bytes(path: str) -> int:
    """Bytes that this account may still write on the file system of a path."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def disk_used(path: str) -> int:
    """Bytes that a directory takes on the disk; what cannot be read is not counted."""
    total, todo = 0, [path]
    while todo:
        folder = todo.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
    return total
