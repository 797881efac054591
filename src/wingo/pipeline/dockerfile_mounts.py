"""What a RUN sees beside its file system: caches, secrets, SSH agents, temporary files, and files of elsewhere.

Cache mounts live in wingo's cache. Secrets are files in memory, and agents are reached through a socket that lets nothing
through but signing; both are gone afterwards, and neither is part of a layer or of a key.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from wingo.dockerfile.mounts import Mount, MountKind
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import RunSandbox
from wingo.errors import HostError
from wingo.launch.spec import Mount as BindMount
from wingo.launch.spec import MountKind as BindKind
from wingo.launch.ssh_agent import agent_proxy
from wingo.pipeline.dockerfile_cache_mounts import cache_name, held_cache
from wingo.pipeline.dockerfile_files import Found, Tree, follow, walk
from wingo.pipeline.dockerfile_memory import WorkDirectory
from wingo.stores.lock import try_lock

if TYPE_CHECKING:
    from wingo.pipeline.dockerfile_actions import Actions

_SHM = "/dev/shm"  # noqa: S108  (files that are in memory alone)
_SCRATCH, _LOCK = "wingo-step-", "lock"
_YOUNG = 60.0
"""Seconds in which a scratch directory may not have been locked yet."""
_MAX_SECRET = 500 << 10


class Given(msgspec.Struct, frozen=True):
    """What a step is given.

    Attributes:
        mounts: over its files.
        variables: that carry secrets, or say where an agent is.
        directory: everything temporary; gone afterwards.
        private: what of it nobody may keep.
    """

    mounts: list[BindMount]
    variables: dict[str, str]
    directory: str
    private: str


@contextmanager
def step_mounts(actions: Actions, action: RunSandbox, sources: Mapping[int, Tree], at: At) -> Iterator[Given]:
    """The mounts of a step, for as long as the block runs.

    Args:
        actions: with the secrets, the agents and the cache.
        action: the step.
        sources: the files that a mount shows, by its number.
        at: for messages.

    Raises:
        DockerfileError: a secret or an agent that the step requires was not given.
        HostError: one cannot be read, or nothing can be written.
    """
    directory = tempfile.mkdtemp(prefix=_SCRATCH, dir=_memory())
    os.chmod(directory, 0o711)  # noqa: S103  (the step's user is another number)
    given = Given([], {}, directory, os.path.join(directory, "private"))
    os.mkdir(given.private, 0o700)
    try:
        with ExitStack() as stack:
            if (lock := try_lock(os.path.join(directory, _LOCK))) is not None:
                stack.callback(os.close, lock)
            caches = _hold_caches(actions, action, sources, stack)
            agents = 0
            for number, (mount, _) in enumerate(action.mounts):
                target = _target(action, mount)
                match mount.kind:
                    case MountKind.TMPFS:
                        given.mounts.append(BindMount(target, kind=BindKind.TMPFS, size=mount.size))
                    case MountKind.CACHE:
                        given.mounts.append(BindMount(target, caches[number], read_only=mount.read_only))
                    case MountKind.SECRET:
                        _secret(actions, mount, target, given, at)
                    case MountKind.SSH:
                        if stack.enter_context(_agent(actions, mount, target, agents, given, at)):
                            agents += 1
                    case MountKind.BIND:
                        path = _copied(sources[number], mount, os.path.join(directory, f"bind-{number}"))
                        given.mounts.append(BindMount(target, path, read_only=mount.read_only))
            yield given
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep_scratch(now: float) -> None:
    """Removes the temporary directories of builds that were killed, secrets among them.

    Args:
        now: seconds since 1970.
    """
    with os.scandir(_memory() or tempfile.gettempdir()) as entries:
        left = [entry for entry in entries if entry.name.startswith(_SCRATCH) and entry.is_dir(follow_symlinks=False)]
    for entry in left:
        with suppress(FileNotFoundError, HostError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid != os.getuid() or now - status.st_mtime < _YOUNG:
                continue
            held = try_lock(os.path.join(entry.path, _LOCK))
            if held is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(held)


def _memory() -> str | None:
    return _SHM if os.path.isdir(_SHM) and os.access(_SHM, os.W_OK) else None


def _target(action: RunSandbox, mount: Mount) -> str:
    absolute = mount.target.startswith("/") or not mount.target
    return mount.target if absolute else f"{action.directory}/{mount.target}"


def mounted_files(tree: Tree, mount: Mount) -> Iterator[Found]:
    """What a bind mount shows, by paths from its source."""
    source = mount.source.strip("/")
    top = follow(tree, source)
    if top is None:
        raise HostError(f"there is no {mount.source or '/'} to mount from {mount.source_stage or 'the build context'}")
    if top.kind != "directory":
        yield msgspec.structs.replace(top, path=top.name)
        return
    prefix = f"{top.path}/" if top.path else ""
    for item in walk(tree, top.path):
        yield msgspec.structs.replace(item, path=item.path[len(prefix) :])


def _copied(tree: Tree, mount: Mount, root: str) -> str:
    """The files of a bind mount, in a directory of their own; the path of what is mounted."""
    WorkDirectory(root, mounted=True).write(list(mounted_files(tree, mount)))
    single = follow(tree, mount.source.strip("/"))
    _let_read(root)
    return os.path.join(root, single.name) if single is not None and single.kind != "directory" else root


def _let_read(root: str) -> None:
    """The sandbox's users are other numbers: what is mounted may be read by all of them."""
    for folder, _, names in os.walk(root):
        os.chmod(folder, os.stat(folder).st_mode | 0o555)  # noqa: S103  (as said)
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o444)


def _hold_caches(actions: Actions, action: RunSandbox, sources: Mapping[int, Tree], held: ExitStack) -> dict[int, str]:
    """The directory of each cache mount. Steps that want several take them in one order, so that none waits for another."""
    root = os.path.join(actions.host.cache_directory, "dockerfile", "mounts")
    way = actions.host.machine.identity.way
    wanted = sorted(
        (cache_name(mount, _target(action, mount), way), number, mount)
        for number, (mount, _) in enumerate(action.mounts)
        if mount.kind is MountKind.CACHE
    )
    found: dict[int, str] = {}
    for name, number, mount in wanted:
        first = list(mounted_files(sources[number], mount)) if number in sources else []
        found[number] = held.enter_context(held_cache(root, name, mount, first))
    return found


def _secret(actions: Actions, mount: Mount, target: str, given: Given, at: At) -> None:
    name = mount.id or mount.source or os.path.basename(mount.target)
    secret = actions.request.dockerfile.secrets.get(name)
    if secret is None:
        if mount.required:
            raise DockerfileError(
                at, f"the step needs the secret {name[:80]}", hint=f"Give --secret id={name[:80]},src=FILE."
            )
        return
    if secret.path:
        try:
            with open(secret.path, "rb") as file:
                value = file.read(_MAX_SECRET + 1)
        except OSError as error:
            raise HostError(f"cannot read the secret {name}: {error.strerror}") from error
    else:
        value = actions.host.environment[secret.variable].encode("utf-8", "surrogateescape")
    if len(value) > _MAX_SECRET:
        raise HostError(f"the secret {name} is larger than {_MAX_SECRET >> 10} KiB")
    if mount.env is not None:
        given.variables[mount.env or name] = value.decode("utf-8", "surrogateescape")
        if not mount.target:
            return
    path = os.path.join(given.private, str(len(given.mounts)))
    with open(path, "wb") as file:
        file.write(value)
    _give(path, mount, 0o400)
    given.mounts.append(BindMount(target or f"/run/secrets/{name}", path, read_only=True))


@contextmanager
def _agent(actions: Actions, mount: Mount, target: str, number: int, given: Given, at: At) -> Iterator[bool]:
    """The socket of an SSH agent; whether there is one (BuildKit `frontend/dockerfile/dockerfile2llb/convert_runmount.go`)."""
    name = mount.id or "default"
    agent = actions.request.dockerfile.agents.get(name)
    if agent is None:
        if mount.required:
            raise DockerfileError(
                at, f"the step needs the SSH agent {printable(name, 80)}", hint=f"Give --ssh {printable(name, 80)}."
            )
        yield False
        return
    path = os.path.join(given.private, f"agent-{number}")
    with agent_proxy(path, agent):
        _give(path, mount, 0o600)
        target = target or f"/run/buildkit/ssh_agent.{number}"
        given.mounts.append(BindMount(target, path))
        given.variables.setdefault("SSH_AUTH_SOCK", target)
        yield True


def _give(path: str, mount: Mount, mode: int) -> None:
    """Gives a file to the step's user; the sandbox maps the owners of what is mounted."""
    wanted = mount.mode if mount.mode is not None else mode
    if os.getuid() == 0:
        os.chown(path, mount.uid or 0, mount.gid or 0)
    elif mount.uid:
        # Another number of this account's; nobody but its containers gets through the directory above.
        wanted |= wanted >> 6
    os.chmod(path, wanted)
