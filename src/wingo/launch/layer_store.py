"""Layers that are unpacked, each once, by the digest of what is in it: whole or not at all, whoever else unpacks.

```
unpacked/<way>/sha256/<hex>    a layer's files; <way>: whose numbers their owners are (`identity.py`)
```

A layer is unpacked beside its place and renamed when its digest has been found right. The directories above are this
account's alone (mode 0700), so that set-id bits in them are of use to nobody else.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from wingo.errors import HostError
from wingo.image.model import Layer
from wingo.launch.containers import remove_directory
from wingo.launch.identity import Identity
from wingo.launch.mapping import in_user_namespace
from wingo.launch.rooted import open_in_root
from wingo.oci.digest import Digest, algorithm_of, encoded_of

if TYPE_CHECKING:
    from wingo.archive.unpack import Limits
    from wingo.launch.unpack import Owned, Placing


class LayerStore:
    """Unpacked layers below a directory."""

    def __init__(self, root: str, identity: Identity, tools: Mapping[str, str], *, kind: str = "") -> None:
        """Takes a directory.

        Args:
            root: made when something is unpacked.
            identity: whose numbers the files' owners are.
            tools: newuidmap and newgidmap, where the identity needs them.
            kind: sets apart what is unpacked in another way (`place`).
        """
        self._root = os.path.join(root, identity.way + (f"-{kind}" if kind else ""))
        self._identity = identity
        self._tools = tools

    def path(self, diff_id: Digest) -> str:
        """Where a layer is, if it is there."""
        return os.path.join(self._root, algorithm_of(diff_id), encoded_of(diff_id))

    def has(self, diff_id: Digest) -> bool:
        """Whether a layer is unpacked."""
        return os.path.isdir(self.path(diff_id))

    def unpack(self, layer: Layer, *, place: Placing = lambda parts: parts, limits: Limits | None = None) -> str:
        """A layer's directory; it is unpacked when it is not yet.

        Args:
            layer: its bytes are read, and checked against its digests.
            place: where its members go; the same for everything in this store.
            limits: where reading stops; by default `wingo.archive.unpack.DEFAULT_LIMITS`.

        Raises:
            ContentError: its bytes are not what they should be, or are no layer.
            HostError: it cannot be written.
        """
        path = self.path(layer.diff_id)
        if os.path.isdir(path):
            return path
        folder, name = os.path.split(path)
        try:
            os.makedirs(folder, exist_ok=True)
            os.chmod(self._root, 0o700)
            with _locked(os.path.join(folder, f".{name}.lock")):
                if not os.path.isdir(path):
                    self._make(layer, path, os.path.join(folder, f".{name}.new"), place, limits)
        except OSError as error:
            raise HostError(f"cannot unpack into {folder}: {error.strerror or error}") from error
        return path

    def _make(self, layer: Layer, path: str, new: str, place: Placing, limits: Limits | None) -> None:
        from wingo.archive.unpack import DEFAULT_LIMITS, open_tar
        from wingo.launch.unpack import unpack

        limits = limits or DEFAULT_LIMITS
        # Left by a process that was killed: nobody else has the lock.
        remove_directory(new, self._identity, self._tools)
        os.mkdir(new, 0o755)
        try:
            with open_tar(layer, limits) as tar:
                unpacked = unpack(tar, new, owner=self._owner, place=place, limits=limits)
            if unpacked.owned and self._identity.way == "subordinate":
                in_user_namespace(self._identity, self._tools, lambda: _give(new, unpacked.owned))
            os.rename(new, path)
        except BaseException:
            with suppress(HostError):
                remove_directory(new, self._identity, self._tools)
            raise

    @property
    def _owner(self) -> Callable[[int, int], tuple[int, int]] | None:
        if self._identity.way != "shifted":
            return None
        identity = self._identity
        return lambda uid, gid: (identity.uid_outside(uid), identity.gid_outside(gid))


def _give(directory: str, owned: Sequence[Owned]) -> None:
    """Gives files to their owners, as root of the user namespace; the paths are resolved inside the directory."""
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    for each in owned:
        with suppress(OSError):  # removed again by a later member, or a number that this account does not have
            found = open_in_root(root, each.path, os.O_PATH | os.O_NOFOLLOW)
            mode = os.stat(f"/proc/self/fd/{found}").st_mode
            os.chown(f"/proc/self/fd/{found}", each.uid, each.gid)
            if mode & 0o6000 and not stat.S_ISLNK(mode):
                os.chmod(f"/proc/self/fd/{found}", mode & 0o7777)
            os.close(found)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Holds a lock of this process's own; waits for whoever has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
