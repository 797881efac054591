"""A Linux RUN: the stage's layers unpacked and stacked, the command run over them in the sandbox, what it wrote a layer.

The network is off unless the build may use it. Cache mounts live in wingo's cache and secrets in memory-backed files that
are gone afterwards; neither is ever part of a layer, and a secret's value is part of no key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
from wingo.pipeline.dockerfile_files import Tree
from wingo.pipeline.dockerfile_memory import MemoryTree
from wingo.pipeline.dockerfile_mounts import Given, mounted_files, step_mounts, sweep_scratch
from wingo.pipeline.dockerfile_stages import BuiltStage, LinuxStage
from wingo.stores.lock import try_lock

if TYPE_CHECKING:
    from wingo.launch.rootfs import RootfsRun
    from wingo.launch.spec import Network
    from wingo.pipeline.dockerfile_actions import Actions

_KIND = "dockerfile-layers"
_VERSION = "1"
_TAIL = 64 << 10
_SCRIPT = "/run/wingo/script"
_PRIVATE = {MountKind.SECRET: "secret", MountKind.SSH: "SSH agent"}
"""Mounts that nobody keeps."""


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
    actions.recalled += 1
    return kept


def _key(action: RunSandbox, stage: LinuxStage, mounted: Mapping[int, str]) -> str:
    layers = [layer.diff_id for layer in stage.layers]
    # A cache mount's content is no input, and neither is a secret's value.
    parts = (_VERSION, layers, action, sorted(mounted.items()), str(stage.platform), stage.epoch)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _digest(tree: Tree, mount: Mount) -> str:
    return MemoryTree({item.path: item for item in mounted_files(tree, mount)}).digest()


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
        with step_directory(folder) as directory, step_mounts(actions, action, sources, at) as given:
            mounts, argv = list(given.mounts), action.argv
            if action.script:
                script = os.path.join(given.directory, "script")
                with open(script, "w", encoding="utf-8") as file:
                    file.write(action.script)
                os.chmod(script, 0o755)  # noqa: S103  (the step's user is another number)
                mounts.append(BindMount(_SCRIPT, script, read_only=True))
                argv = (_SCRIPT,)
            run = RootfsRun(
                argv=argv,
                lowers=lowers,
                directory=directory,
                env=(*action.environment, *(f"{name}={value}" for name, value in given.variables.items())),
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
                    failure.hint = f"{failure.hint} {_keep(actions, run, action, at, code, given)}".strip()
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


def _keep(actions: Actions, run: RootfsRun, action: RunSandbox, at: At, code: int, given: Given) -> str:
    """Keeps the place of a step that failed, without secrets; a hint that leads there."""
    from wingo.launch.failed_steps import FailedStep, failed_containers, keep_failed

    kept = [mount for mount in run.mounts if not mount.source.startswith(f"{given.private}/")]
    gone = [mount for mount, _ in action.mounts if mount.kind in _PRIVATE]
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
        missing=tuple(
            f"the {_PRIVATE[mount.kind]} {printable(mount.id or mount.source or mount.target, 80)}".rstrip()
            for mount in gone
        ),
        network=run.network,
        platform=run.platform,
    )
    containers = failed_containers(actions.host.cache_directory)
    try:
        name = keep_failed(containers, run.directory, step, given.directory, actions.host.machine.tools)
    except HostError as problem:
        actions.places.progress.note(str(problem))
        return ""
    return f"Look where it failed: wingo run --debug-step {name}"


@contextmanager
def step_directory(folder: str) -> Iterator[str]:
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
    sweep_scratch(actions.host.now())


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
