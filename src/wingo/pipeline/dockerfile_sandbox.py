"""A Linux RUN: the stage's layers unpacked and stacked, the command run over them in the sandbox, what it wrote a layer.

The network is off unless the build may use it. Cache mounts live in wingo's cache and secrets in memory-backed files that
are gone afterwards; neither is ever part of a layer, and a secret's value is part of no key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from wingo.archive.entry import Entry, EntryKind, LayerRecipe
from wingo.dockerfile.mounts import Mount, MountKind
from wingo.dockerfile.planned import StagePlan
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import RunSandbox
from wingo.errors import HostError, RequestError
from wingo.image.model import Layer, Opener
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.pipeline.dockerfile_cache_mounts import cache_name, held_cache
from wingo.pipeline.dockerfile_files import Found, Tree, follow, walk
from wingo.pipeline.dockerfile_memory import MemoryTree, WorkDirectory
from wingo.pipeline.dockerfile_stages import BuiltStage, LinuxStage
from wingo.stores.lock import try_lock

if TYPE_CHECKING:
    from wingo.launch.rootfs import RootfsRun
    from wingo.launch.spec import Mount as RunMount
    from wingo.launch.spec import Network
    from wingo.pipeline.dockerfile_actions import Actions

_KIND = "dockerfile-layers"
_VERSION = "1"
_TAIL = 64 << 10
_SCRIPT = "/run/wingo/script"
_SECRET = "secret-"  # noqa: S105  (begins the name of a file)
_SHM = "/dev/shm"  # noqa: S108  (files that are in memory alone)
_SCRATCH, _LOCK = "wingo-step-", "lock"
_YOUNG = 60.0
"""Seconds in which a scratch directory may not have been locked yet."""
_MAX_SECRET = 500 << 10


class _KeptLayer(msgspec.Struct, frozen=True):
    descriptor: Descriptor | None = None
    diff_id: str = ""


def run_step(
    actions: Actions,
    action: RunSandbox,
    stage: LinuxStage,
    plan: StagePlan,
    built: Mapping[int, BuiltStage],
    at: At,
    created_by: str,
) -> bool:
    """Runs a step, or takes its layer from the cache; whether it made one.

    Raises:
        DockerfileError: the step fails; its exit code and last lines are in the message.
        HostError: this machine lacks what the sandbox needs.
    """
    sources = {
        number: actions.source(source, plan.platform, built, at)[0]
        for number, (mount, source) in enumerate(action.mounts)
        if mount.kind is MountKind.BIND or (mount.kind is MountKind.CACHE and mount.source_stage)
    }
    key = _key(action, stage, {number: _digest(tree, action.mounts[number][0]) for number, tree in sources.items()})
    kept = _remembered(actions, key)
    if kept is None:
        # Who builds the same at the same time waits, and takes what was made.
        with actions.places.cache.lock(f"dockerfile-step-{key[:3]}"):
            kept = _remembered(actions, key) or _run(actions, action, stage, sources, at, created_by)
            actions.cache.keep(_KIND, key, msgspec.json.encode(kept))
        if kept.descriptor is not None:
            actions.cache.named(kept.descriptor.digest, kept.descriptor.size)
    if kept.descriptor is None:
        return False
    layer = Layer(kept.descriptor, Digest(kept.diff_id), _opener(actions, kept.descriptor))
    stage.add_layer(layer, created_by)
    return True


def _opener(actions: Actions, descriptor: Descriptor) -> Opener:
    return lambda: actions.places.cache.open_layer(descriptor)


def _remembered(actions: Actions, key: str) -> _KeptLayer | None:
    data = actions.cache.get(_KIND, key)
    if data is None:
        return None
    try:
        kept = msgspec.json.decode(data, type=_KeptLayer)
    except msgspec.DecodeError:
        actions.cache.forget(_KIND, key)
        return None
    if kept.descriptor is not None and not actions.cache.has(kept.descriptor.digest, kept.descriptor.size):
        return None
    return kept


def _key(action: RunSandbox, stage: LinuxStage, mounted: Mapping[int, str]) -> str:
    layers = [layer.diff_id for layer in stage.layers]
    # A cache mount's content is no input, and neither is a secret's value.
    parts = (_VERSION, layers, action, sorted(mounted.items()), str(stage.platform), stage.epoch)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _digest(tree: Tree, mount: Mount) -> str:
    return MemoryTree({item.path: item for item in _mounted(tree, mount)}).digest()


def _mounted(tree: Tree, mount: Mount) -> Iterator[Found]:
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


def _run(
    actions: Actions,
    action: RunSandbox,
    stage: LinuxStage,
    sources: Mapping[int, Tree],
    at: At,
    created_by: str,
) -> _KeptLayer:
    from wingo.launch.capture import capture
    from wingo.launch.containers import remove_directory
    from wingo.launch.layer_store import LayerStore
    from wingo.launch.rootfs import RootfsRun, run_in_rootfs
    from wingo.launch.spec import Mount as BindMount
    from wingo.pipeline.run import unpacked_directory

    machine = actions.host.machine
    if stage.platform.os != "linux" or stage.platform.architecture != machine.architecture:
        raise DockerfileError(
            at,
            f"a step for {stage.platform} cannot be run on this {machine.architecture} machine",
            hint="Give the stage FROM --platform=$BUILDPLATFORM, and cross-compile in it.",
        )
    store = LayerStore(unpacked_directory(actions.places), machine.identity, machine.tools)
    task = actions.places.progress.start(at.text[:60])
    actions.ran += 1
    output = bytearray()

    def hear(_stream: str, data: bytes) -> None:
        output.extend(data)
        del output[:-_TAIL]

    try:
        lowers = tuple(store.unpack(layer) for layer in stage.layers)
        if not lowers:
            raise DockerfileError(at, "there is nothing to run: the stage has no files", hint="Begin it FROM an image.")
        folder = os.path.join(actions.host.cache_directory, "dockerfile", "steps")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _sweep(actions, folder)
        with _step_directory(folder) as directory, _mounts(actions, action, sources, at) as (mounts, more):
            argv = action.argv
            if action.script:
                script = os.path.join(more["directory"], "script")
                with open(script, "w", encoding="utf-8") as file:
                    file.write(action.script)
                os.chmod(script, 0o755)  # noqa: S103  (the step's user is another number)
                mounts.append(BindMount(_SCRIPT, script, read_only=True))
                argv = (_SCRIPT,)
            environment = [
                *action.environment,
                *(f"{name}={value}" for name, value in more.items() if name != "directory"),
            ]
            run = RootfsRun(
                argv=argv,
                lowers=lowers,
                directory=directory,
                env=tuple(environment),
                cwd=action.directory,
                user=action.user,
                mounts=tuple(mounts),
                network=_network(actions, action),
                timeout=actions.request.step_timeout,
                platform=stage.platform,
            )
            try:
                try:
                    result = run_in_rootfs(run, machine, now=actions.host.now, on_output=hear)
                except RequestError as error:
                    raise DockerfileError(at, str(error), hint=error.hint) from error
                if code := result.outcome.exit_code:
                    said = bytes(output) or result.outcome.reason.encode()
                    failure = _failed(at, action, code, said, allowed=actions.request.allow_network)
                    failure.hint = f"{failure.hint} {_keep(actions, run, action, at, code, more['directory'])}".strip()
                    raise failure
                entries = capture(
                    result.upper, machine.identity, storage=result.storage, lowers=lowers, made=result.made
                )
                return _pack(actions, stage, _clean(entries), created_by)
            finally:
                if os.path.isdir(directory):
                    remove_directory(directory, machine.identity, machine.tools)
    finally:
        task.done()


def _keep(actions: Actions, run: RootfsRun, action: RunSandbox, at: At, code: int, temporary: str) -> str:
    """Keeps the place of a step that failed, without secrets; a hint that leads there."""
    from wingo.launch.failed_steps import FailedStep, failed_containers, keep_failed

    kept = [mount for mount in run.mounts if not os.path.basename(mount.source).startswith(_SECRET)]
    gone = [mount for mount, _ in action.mounts if mount.kind is MountKind.SECRET]
    step = FailedStep(
        dockerfile=actions.request.dockerfile.path,
        at=str(at),
        text=printable(at.text, 1000),
        argv=run.argv,
        exit_code=code,
        env=action.environment,
        cwd=run.cwd,
        user=run.user,
        mounts=tuple(kept),
        missing=tuple(f"the secret {printable(mount.id or mount.source or mount.target, 80)}" for mount in gone),
        network=run.network,
        platform=run.platform,
    )
    containers = failed_containers(actions.host.cache_directory)
    try:
        name = keep_failed(containers, run.directory, step, temporary, actions.host.machine.tools)
    except HostError as problem:
        actions.places.progress.note(str(problem))
        return ""
    return f"Look where it failed: wingo run --debug-step {name}"


@contextmanager
def _step_directory(folder: str) -> Iterator[str]:
    """Where a step runs, which is made by whoever runs it; nobody sweeps it while the block runs."""
    directory, held = "", None
    while held is None:
        directory = os.path.join(folder, f"step-{secrets.token_hex(4)}")
        held = try_lock(f"{directory}.lock")
    try:
        yield directory
    finally:
        os.unlink(f"{directory}.lock")
        os.close(held)


def _sweep(actions: Actions, folder: str) -> None:
    """Removes what steps of builds that were killed left, secrets among it."""
    from wingo.launch.containers import Containers, remove_directory

    if actions.swept:
        return
    actions.swept = True
    machine, containers = actions.host.machine, Containers(folder)
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name.removesuffix(".lock"))
        held = try_lock(f"{path}.lock") if name.endswith(".lock") else None
        if held is None:
            continue
        with suppress(HostError, FileNotFoundError):
            if os.path.isdir(path) and not containers.is_kept(os.path.basename(path)):
                with suppress(RequestError):
                    containers.remove(os.path.basename(path), machine.tools)
                if os.path.isdir(path):
                    remove_directory(path, machine.identity, machine.tools)
            if not os.path.isdir(path):
                os.unlink(f"{path}.lock")
        os.close(held)
    with os.scandir(_memory() or tempfile.gettempdir()) as entries:
        left = [entry for entry in entries if entry.name.startswith(_SCRATCH) and entry.is_dir(follow_symlinks=False)]
    for entry in left:
        with suppress(FileNotFoundError, HostError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid != os.getuid() or actions.host.now() - status.st_mtime < _YOUNG:
                continue
            held = try_lock(os.path.join(entry.path, _LOCK))
            if held is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(held)


def _memory() -> str | None:
    return _SHM if os.path.isdir(_SHM) and os.access(_SHM, os.W_OK) else None


def _network(actions: Actions, action: RunSandbox) -> Network:
    from wingo.launch.spec import Network as Networks

    if action.network == "none" or not actions.request.allow_network:
        return Networks.NONE
    return Networks.HOST


def _failed(at: At, action: RunSandbox, code: int, output: bytes, *, allowed: bool) -> DockerfileError:
    from wingo.pipeline.dockerfile_actions import failed

    words = action.argv[-1:] if "-c" in action.argv[1:-1] else action.argv
    error = failed(at, " ".join(words), code, output.decode("utf-8", "replace"))
    if action.wants_network and not allowed:
        error.hint = "The step may not use the network; give --allow-network if that is what it lacks."
    return error


def _clean(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Without what the sandbox itself put there."""
    ours = {"run/wingo", _SCRIPT.strip("/"), ".dockerenv"}
    return tuple(entry for entry in entries if entry.name not in ours)


def _pack(actions: Actions, stage: LinuxStage, entries: tuple[Entry, ...], created_by: str) -> _KeptLayer:
    if not entries:
        return _KeptLayer()
    recipe = LayerRecipe(_parents_first(entries), stage.epoch, created_by)
    layer = actions.places.cache.pack(recipe, threads=stage.threads)
    return _KeptLayer(layer.descriptor, layer.diff_id)


def _parents_first(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    plain = sorted(
        (entry for entry in entries if entry.kind is not EntryKind.HARDLINK), key=lambda entry: entry.name.split("/")
    )
    links = sorted((entry for entry in entries if entry.kind is EntryKind.HARDLINK), key=lambda entry: entry.name)
    return (*plain, *links)


@contextmanager
def _mounts(
    actions: Actions, action: RunSandbox, sources: Mapping[int, Tree], at: At
) -> Iterator[tuple[list[RunMount], dict[str, str]]]:
    """The mounts of a step, and variables that carry secrets; everything temporary is gone afterwards."""
    from wingo.launch.spec import Mount as BindMount
    from wingo.launch.spec import MountKind as BindKind

    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=_memory())
    os.chmod(scratch, 0o711)  # noqa: S103  (the step's user is another number)
    found: list[RunMount] = []
    more = {"directory": scratch}
    held = ExitStack()
    try:
        if (lock := try_lock(os.path.join(scratch, _LOCK))) is not None:
            held.callback(os.close, lock)
        caches = _hold_caches(actions, action, sources, held)
        for number, (mount, _) in enumerate(action.mounts):
            target = _target(action, mount)
            match mount.kind:
                case MountKind.TMPFS:
                    found.append(BindMount(target, kind=BindKind.TMPFS, size=mount.size))
                case MountKind.CACHE:
                    found.append(BindMount(target, caches[number], read_only=mount.read_only))
                case MountKind.SECRET:
                    _secret(actions, mount, target, scratch, found, more, at)
                case _:
                    root = os.path.join(scratch, f"bind-{number}")
                    items = list(_mounted(sources[number], mount))
                    WorkDirectory(root).write(items)
                    single = follow(sources[number], mount.source.strip("/"))
                    path = root
                    if single is not None and single.kind != "directory":
                        path = os.path.join(root, single.name)
                    _let_read(root)
                    found.append(BindMount(target, path, read_only=mount.read_only))
        yield found, more
    finally:
        held.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _target(action: RunSandbox, mount: Mount) -> str:
    absolute = mount.target.startswith("/") or not mount.target
    return mount.target if absolute else f"{action.directory}/{mount.target}"


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
        first = list(_mounted(sources[number], mount)) if number in sources else []
        found[number] = held.enter_context(held_cache(root, name, mount, first))
    return found


def _let_read(root: str) -> None:
    """The sandbox's users are other numbers: what is mounted may be read by all of them."""
    for folder, _, names in os.walk(root):
        os.chmod(folder, os.stat(folder).st_mode | 0o555)  # noqa: S103  (as said)
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o444)


def _secret(
    actions: Actions,
    mount: Mount,
    target: str,
    scratch: str,
    found: list[RunMount],
    more: dict[str, str],
    at: At,
) -> None:
    from wingo.launch.spec import Mount as BindMount

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
        more[mount.env or name] = value.decode("utf-8", "surrogateescape")
        if not mount.target:
            return
    path = os.path.join(scratch, f"{_SECRET}{len(found)}")
    with open(path, "wb") as file:
        file.write(value)
    os.chmod(path, mount.mode if mount.mode is not None else 0o400)
    if os.getuid() == 0:
        os.chown(path, mount.uid or 0, mount.gid or 0)  # the sandbox maps the owners of what is mounted
    found.append(BindMount(target or f"/run/secrets/{name}", path, read_only=True))
