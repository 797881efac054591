"""The containers of an account, as directories: what each was started with, how it is, what it wrote.

```
containers/<name>/
  container.json   what was started; written once
  state.json       how it is; replaced as a whole
  lock             held by the keeper as long as it lives
  control          the keeper's socket
  log              what a detached program printed, a JSON line for each piece
  denials          what its role was not allowed, a JSON line for each
  upper/ work/     the writable layer
```

A directory whose lock nobody holds and whose state says "running" was left by a keeper that was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec

from wingo.errors import HostError, RequestError
from wingo.launch import cgroups
from wingo.launch.identity import Identity
from wingo.launch.mapping import in_user_namespace
from wingo.launch.policy import Policy
from wingo.launch.spec import Port

_MAX_BYTES = 1 << 22
_YOUNG = 10.0
"""Seconds in which whoever made a directory starts its keeper."""
_NAME = re.compile(r"[^a-zA-Z0-9_.-]+")


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What was started.

    Attributes:
        name: of the container and its directory.
        image: the place that it came from, as written.
        digest: of the image's manifest.
        platform: the image's.
        argv: the program and its arguments.
        created: seconds since 1970.
        lowers: the unpacked layers, lowest first.
        identity: whose numbers its users are.
        detached: whether it outlives the command that started it.
        remove: whether its directory goes when it ends.
        runtime: what runs it.
        uid: the program's user, as the container has it.
        env: the program's variables, for what is executed beside it.
        cwd: its directory.
        loader: what goes before a program that is executed beside it.
        policy: what its role may do, as it was when it was started.
        labels: what a hook wrote on it.
    """

    name: str
    image: str
    digest: str
    platform: str
    argv: tuple[str, ...]
    created: float
    lowers: tuple[str, ...]
    identity: Identity
    detached: bool = False
    remove: bool = False
    runtime: str = ""
    user: str = ""
    env: tuple[str, ...] = ()
    cwd: str = "/"
    loader: tuple[str, ...] = ()
    policy: Policy | None = None
    labels: dict[str, str] = {}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How it is.

    Attributes:
        status: "starting", "running", "exited", or "lost" when its keeper was killed.
        keeper: the keeper's process.
        ports: what is published.
        storage: how its layers are stacked.
        made: paths that were made only to mount something on them.
        started: seconds since 1970.
        finished: the same.
        exit_code: the program's, or what the keeper says in its place.
        reason: why it ended, when it was not by itself.
        cgroups: directories to be removed.
        notes: what was said when it started.
    """

    status: str = "starting"
    keeper: int = 0
    ports: tuple[Port, ...] = ()
    storage: str = ""
    made: tuple[str, ...] = ()
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    reason: str = ""
    cgroups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Containers:
    """The directory of all of them."""

    def __init__(self, root: str, *more: str) -> None:
        """Takes a directory; it is made when something is started.

        Args:
            root: of the containers.
            more: directories where others keep some; nothing is made there.
        """
        self.root = root
        self._more = more

    def directory(self, name: str) -> str:
        """Where a container is."""
        found = os.path.join(self.root, name)
        elsewhere = (os.path.join(root, name) for root in self._more)
        return found if not self._more or os.path.isdir(found) else next(filter(os.path.isdir, elsewhere), found)

    def create(self, container: Container) -> str:
        """Makes a container's directory.

        Returns:
            The directory.

        Raises:
            RequestError: the name is taken.
            HostError: it cannot be made.
        """
        path = self.directory(container.name)
        try:
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            # The directory above is this account's alone; the container's root has to get through to what is its own.
            os.mkdir(path, 0o711)
            for folder in ("upper", "work"):
                os.mkdir(os.path.join(path, folder), 0o755)
                uid, gid = container.identity.uid_outside(0), container.identity.gid_outside(0)
                os.chown(os.path.join(path, folder), uid, gid)
            with open(os.path.join(path, "container.json"), "xb") as file:
                file.write(msgspec.json.encode(container))
        except FileExistsError as error:
            raise RequestError(
                f"there is a container {container.name!r} already", hint=f"Remove it: wingo stop --rm {container.name}."
            ) from error
        except OSError as error:
            raise HostError(f"cannot make {path}: {error.strerror}") from error
        return path

    def read(self, name: str) -> tuple[Container, State]:
        """A container and how it is.

        Raises:
            RequestError: there is none of that name.
        """
        path = self.directory(name)
        try:
            container = msgspec.json.decode(_read(os.path.join(path, "container.json")), type=Container)
        except (OSError, msgspec.MsgspecError) as error:
            raise self._missing(name) from error
        state = State()
        with suppress(OSError, msgspec.MsgspecError):
            state = msgspec.json.decode(_read(os.path.join(path, "state.json")), type=State)
        if state.status in ("starting", "running") and not self.is_kept(name):
            state = msgspec.structs.replace(state, status="lost", exit_code=137, reason="wingo was killed")
        return container, state

    def write(self, name: str, state: State) -> None:
        """Replaces a container's state."""
        path = os.path.join(self.directory(name), "state.json")
        with open(f"{path}.new", "wb") as file:
            file.write(msgspec.json.encode(state))
        os.replace(f"{path}.new", path)

    def is_kept(self, name: str) -> bool:
        """Whether a keeper lives."""
        try:
            descriptor = os.open(os.path.join(self.directory(name), "lock"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def names(self) -> list[str]:
        """Every container's name, sorted."""
        found = set()
        for root in (self.root, *self._more):
            with suppress(FileNotFoundError):
                found |= {entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)}
        return sorted(found)

    def all(self) -> Iterator[tuple[Container, State]]:
        """Every container."""
        for name in self.names():
            with suppress(RequestError):
                yield self.read(name)

    def connect(self, name: str) -> socket.socket:
        """A connection to a container's keeper.

        Raises:
            RequestError: it does not run.
        """
        self.read(name)
        folder = os.open(self.directory(name), os.O_PATH | os.O_DIRECTORY)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            # Through a descriptor, as an address has no more than 107 bytes.
            made.connect(f"/proc/self/fd/{folder}/control")
        except OSError as error:
            made.close()
            raise RequestError(f"the container {name!r} does not run", hint="'wingo ps -a' lists all.") from error
        finally:
            os.close(folder)
        return made

    def remove(self, name: str, tools: Mapping[str, str]) -> None:
        """Removes a container that does not run, with what it wrote.

        Raises:
            RequestError: it runs.
            HostError: it cannot be removed.
        """
        container, state = self.read(name)
        if self.is_kept(name):
            raise RequestError(f"the container {name!r} runs", hint=f"Stop it first: wingo stop {name}.")
        cgroups.remove(state.cgroups)
        remove_directory(self.directory(name), container.identity, tools)

    def sweep(self, tools: Mapping[str, str]) -> list[str]:
        """Removes what killed keepers left: cgroups, and the directories that were to go.

        Returns:
            The names of what was removed.
        """
        removed = []
        for container, state in list(self.all()):
            if state.status != "lost" or self._is_young(container.name):
                continue
            cgroups.remove(state.cgroups)
            if container.remove or not container.detached:
                with suppress(HostError, RequestError):
                    self.remove(container.name, tools)
                    removed.append(container.name)
        return removed

    def _is_young(self, name: str) -> bool:
        """Whether a container may still be on the way to its keeper: another wingo has just made its directory."""
        path = self.directory(name)
        try:
            age = time.time() - os.stat(os.path.join(path, "container.json")).st_mtime
        except OSError:
            return False
        return abs(age) < _YOUNG and not os.path.exists(os.path.join(path, "state.json"))

    def _missing(self, name: str) -> RequestError:
        from difflib import get_close_matches

        near = get_close_matches(name, self.names(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "'wingo ps -a' lists all."
        return RequestError(f"there is no container {name[:80]!r}", hint=hint)


def remove_directory(path: str, identity: Identity, tools: Mapping[str, str]) -> None:
    """Removes a directory with what a container wrote into it.

    Raises:
        HostError: it cannot be removed.
    """
    if identity.way == "subordinate" and os.geteuid():
        for folder in ("upper", "work"):
            where = os.path.join(path, folder)
            if os.path.isdir(where):
                in_user_namespace(identity, tools, lambda where=where: _empty(where))  # type: ignore[misc]
    import shutil

    try:
        _open_up(path)
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostError(f"cannot remove {error.filename or path}: {error.strerror}") from error


def _empty(path: str) -> None:
    import shutil

    _open_up(path)
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _open_up(path: str) -> None:
    """Makes every directory one that its owner can empty: overlayfs's own has no permissions at all."""
    todo = [path]
    while todo:
        folder = todo.pop()
        try:
            os.chmod(folder, 0o700)
            with os.scandir(folder) as entries:
                todo += [entry.path for entry in entries if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode)]
        except PermissionError:
            continue  # the removal says what is wrong


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MAX_BYTES)


def proposed_name(image: str, token: str) -> str:
    """A name for a container whose user gave none: the image's last word and something of its own."""
    word = image.partition("@")[0].rpartition("/")[2].rpartition(":")[0] or image.rpartition("/")[2]
    word = _NAME.sub("-", word.rpartition(":")[2] or "container").strip("-._")[:40] or "container"
    return f"{word}-{token}"
