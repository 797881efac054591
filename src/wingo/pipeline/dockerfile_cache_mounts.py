"""`RUN --mount=type=cache`: directories that outlive steps, and who may use one at the same time as somebody else.

As BuildKit (`solver/llbsolver/mounts`): a cache has as many directories as were ever needed at once, and each use takes one.
"shared" takes one that nobody has for himself, "private" one that nobody else uses, or a new one; "locked" waits for one
that nobody else uses. Whoever dies gives his up.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from wingo.dockerfile.mounts import Mount
from wingo.pipeline.dockerfile_files import Found
from wingo.pipeline.dockerfile_memory import WorkDirectory
from wingo.stores.blobs import host_errors
from wingo.stores.lock import locked, try_lock

_PATIENCE = 0.1
"""Seconds until a lock is tried again, as BuildKit."""
_MAX = 64
"""Directories of one cache: as many may be used at once, and more wait."""


def cache_name(mount: Mount, target: str, way: str) -> str:
    """What a cache is called: by its id, or where it is mounted; each way of naming users has its own."""
    return hashlib.sha256(f"{mount.id or target}\0{way}".encode()).hexdigest()[:32]


@contextmanager
def held_cache(root: str, name: str, mount: Mount, first: Iterable[Found] = ()) -> Iterator[str]:
    """The directory of a cache mount, held while the block runs.

    Args:
        root: where caches are.
        name: of `cache_name`.
        mount: its sharing, and the mode and owner of a new directory.
        first: what a new directory has in it (`from=`).

    Raises:
        HostError: it cannot be made.
    """
    with ExitStack() as stack:
        path = _take(root, name, mount, stack)
        with locked(f"{path}.making.lock"):
            if not os.path.isdir(path):
                _make(path, mount, first)
        yield path


def _take(root: str, name: str, mount: Mount, stack: ExitStack) -> str:
    while True:
        for number in range(_MAX):
            path = os.path.join(root, f"{name}-{number}" if number else name)
            if number and mount.sharing == "locked" and not os.path.isdir(path):
                break
            held = try_lock(f"{path}.lock", shared=mount.sharing not in ("private", "locked"))
            if held is not None:
                stack.callback(os.close, held)
                return path
        time.sleep(_PATIENCE)


def _make(path: str, mount: Mount, first: Iterable[Found]) -> None:
    new = f"{path}.new"
    WorkDirectory(new, mounted=True).write(first)
    os.chmod(new, mount.mode if mount.mode is not None else 0o755)
    if os.getuid() == 0:
        for folder, folders, names in os.walk(new):
            for each in (folder, *(os.path.join(folder, other) for other in (*folders, *names))):
                os.lchown(each, mount.uid or 0, mount.gid or 0)
    with host_errors("make", path):
        os.rename(new, path)
