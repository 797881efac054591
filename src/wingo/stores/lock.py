"""Locks between processes and threads, given up by the system when their owner dies."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wingo.stores.blobs import host_errors, make_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_threads: dict[str, threading.Lock] = {}
_threads_guard = threading.Lock()


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Holds a lock while the block runs; waits for whoever has it.

    Args:
        path: a file, made when missing together with its directory; nothing is ever written to it.

    Raises:
        HostError: it cannot be opened. On a file system that knows no locks there is none.
    """
    with _among_threads(path):
        make_directory(os.path.dirname(path))
        with host_errors("lock", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            with host_errors("lock", path):
                _lock(descriptor)
            yield
        finally:
            # Closing gives the lock up, on Windows as well.
            os.close(descriptor)


@contextmanager
def locked_directory(path: str) -> Iterator[None]:
    """Holds a lock on a directory while the block runs; the directory is made when missing.

    The block may remove the directory. On Windows, which cannot lock one, a file `.wingo.lock` stays in it.

    Raises:
        HostError: it cannot be made or opened. On a file system that knows no locks there is none.
    """
    if sys.platform == "win32":
        make_directory(path)
        with locked(os.path.join(path, ".wingo.lock")):
            yield
        return
    with _among_threads(path):
        descriptor = _lock_directory(path)
        try:
            yield
        finally:
            os.close(descriptor)


def try_lock(path: str, *, shared: bool = False) -> int | None:
    """Takes a lock if it can be had at once: a descriptor, which gives it up when it is closed; None: somebody has it.

    Args:
        path: a file, made when missing together with its directory.
        shared: with others that take it so (on Windows nobody shares).

    Raises:
        HostError: it cannot be opened.
    """
    make_directory(os.path.dirname(path))
    with host_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    got = False
    try:
        with host_errors("lock", path):
            got = _lock_now(descriptor, shared=shared)
    finally:
        if not got:
            os.close(descriptor)
    return descriptor if got else None


def _lock_directory(path: str) -> int:
    while True:
        make_directory(path)
        with host_errors("lock", path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
        try:
            with host_errors("lock", path):
                _lock(descriptor)
            # Whoever had it may have removed the directory: what is locked then is not what is there.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _among_threads(path: str) -> threading.Lock:
    """Locks of the system belong to a file that is open, on some systems to the process: threads need their own."""
    with _threads_guard:
        return _threads.setdefault(os.path.realpath(path), threading.Lock())


if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(0.02)
            else:
                return

    def _lock_now(descriptor: int, *, shared: bool) -> bool:
        del shared
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise

    def _lock_now(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        return True
