"""`wingo run`: an image's metadata, its layers unpacked, its program started; each platform by its own rules."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import HostError, RequestError
from wingo.image.model import Image, Index, images_of
from wingo.launch.containers import Container, Containers, proposed_name
from wingo.launch.engines import choose_engine, policy_engine
from wingo.launch.keeper import Start
from wingo.launch.layer_store import LayerStore
from wingo.launch.machine import Machine
from wingo.launch.rooted import read_in_root
from wingo.launch.runtime import Prepared
from wingo.launch.spec import MountKind, RunRequest, RunSpec, parse_name, plan_run
from wingo.launch.stack import Stack, Storage
from wingo.launch.start import Running, start
from wingo.launch.steps import Step, Timed
from wingo.linux.accounts import Account, find_account
from wingo.oci.descriptor import Descriptor
from wingo.oci.place import Place

if TYPE_CHECKING:
    from wingo.launch.admission import Admission
    from wingo.launch.policy import Policy, Table
    from wingo.launch.wine.finding import Runner
    from wingo.pipeline.places import Places


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an image is started on this machine, beside what is to run.

    Attributes:
        platform: which image of an index; "": this machine's, else the one that there is.
        engine: one of `wingo.launch.engines.ENGINES`.
        storages: the ways to stack layers, in order.
        stdio: the program's standard streams; None: its output is kept in the log.
        terminal: whether they are a terminal.
        with_base: Windows: whether the base's files are taken too, where Wine has none.
        table: what roles may do; None: the sandbox's own limits are all.
        table_name: what the table is called, for messages.
        role: whose permissions the program has.
        hook: the text of the script that the table names; "" for none.
    """

    platform: str = ""
    engine: str = "auto"
    storages: tuple[Storage, ...] = (Storage.OVERLAY, Storage.FUSE, Storage.COPY)
    stdio: tuple[int, int, int] | None = None
    terminal: bool = False
    with_base: bool = False
    table: Table | None = None
    table_name: str = ""
    role: str = ""
    hook: str = ""


class Started(msgspec.Struct, frozen=True):
    """A container that was started, and what led to it."""

    running: Running
    spec: RunSpec
    steps: tuple[Timed, ...]
    notes: tuple[str, ...]


def run_image(
    source: Place,
    request: RunRequest,
    options: RunOptions,
    places: Places,
    machine: Machine,
    containers: Containers,
    now: Callable[[], float],
    runner: Callable[[], Runner],
) -> Started:
    """Starts an image's program.

    Args:
        source: where the image is.
        request: what is wanted; without a name it gets one.
        options: how it is started here.
        places: where images are read from.
        machine: this one.
        containers: where it is written down.
        now: the clock.
        runner: gives what asks for Wine's version, and has it make a prefix.

    Raises:
        RequestError: the image has nothing for this machine, or the request cannot be.
        HostError: this machine lacks something.
        ContentError: the image's bytes are not what they should be.
    """
    began = time.monotonic()
    image = read_runnable(source, options.platform, places, machine)
    kept = request.detach or bool(request.name)
    name = parse_name(request.name or proposed_name(str(source), os.urandom(3).hex()))
    request = msgspec.structs.replace(request, name=name, remove=request.remove or not kept)
    spec = plan_run(image.config, request)
    _check_sources(spec)
    metadata = Timed(Step.METADATA, time.monotonic() - began, f"{image.platform}, {len(image.layers)} layers")
    began = time.monotonic()
    prepared, new = _prepare(image, spec, options, places, machine, runner)
    seconds = time.monotonic() - began
    layers = Timed(Step.LAYERS, seconds, f"{len(prepared.lowers)} layers, {new} of them unpacked now")
    containers.sweep(machine.tools)
    spec = prepared.spec
    policy, labels = _policy(options, spec, prepared.lowers), {}
    if policy is not None:
        from wingo.launch.enforce import require_allowed, under_policy

        require_allowed(policy, spec)
        admission = _admission(options, spec, policy, source, image, machine)
        spec = under_policy(policy, admission.spec)
        labels = admission.labels
    container = Container(
        name=spec.name,
        image=str(source),
        digest=image.digest,
        platform=str(image.platform),
        argv=prepared.shown or spec.argv,
        created=now(),
        lowers=prepared.lowers,
        identity=machine.identity,
        detached=spec.detach,
        remove=spec.remove,
        runtime=prepared.runtime.name,
        user=spec.user,
        env=spec.env,
        cwd=spec.cwd,
        loader=prepared.loader,
        policy=policy,
        labels=labels,
    )
    directory = containers.create(container)
    stack = Stack(
        prepared.lowers,
        os.path.join(directory, "upper"),
        os.path.join(directory, "work"),
        options.storages,
        machine.tools.get("fuse-overlayfs", ""),
    )
    runtime, auditor = prepared.runtime, None
    if policy is not None:
        from wingo.launch.audit import Auditor, open_record

        record = open_record(directory)
        auditor = Auditor(policy, machine.architecture, record)
        runtime = policy_engine(policy, machine, auditor)
    running = start(
        Start(
            spec=spec,
            container=container,
            containers=containers,
            stack=stack,
            runtime=runtime,
            machine=machine,
            stdio=options.stdio,
            terminal=options.terminal,
            now=now,
            signals=prepared.signals,
            ending=prepared.ending,
            auditor=auditor,
        )
    )
    if auditor is not None:
        os.close(auditor.record)
    return Started(running, spec, (metadata, layers), prepared.notes)


def read_runnable(source: Place, platform: str, places: Places, machine: Machine) -> Image:
    """The image to run: of the platform asked for, else of this machine's, else for Windows.

    Raises:
        RequestError: there is none, or there are several and none of them is obvious.
    """
    if platform:
        from wingo.pipeline.transfer import read_platform

        artifact = read_platform(source, platform, places)
    else:
        artifact = places.open(source).read(_wanted(machine))
    found = [image for image in images_of(artifact) if image.manifest.config.media_type and image.config.os]
    here = [
        image for image in found if (image.platform.os, image.platform.architecture) == ("linux", machine.architecture)
    ]
    windows = [image for image in found if (image.platform.os, image.platform.architecture) == ("windows", "amd64")]
    chosen = found if len(found) == 1 else here or windows[:1]
    if not chosen:
        has = ", ".join(str(image.platform) for image in found) or "no image at all"
        if isinstance(artifact, Index) and not found:
            has = ", ".join(str(entry.platform) for entry in artifact.manifest.manifests if entry.platform)
        raise RequestError(
            f"{source} has nothing for linux/{machine.architecture}",
            hint=f"Choose with --platform; it has {has[:300]}.",
        )
    return chosen[0]


def _wanted(machine: Machine) -> Callable[[Descriptor], bool]:
    def wanted(entry: Descriptor) -> bool:
        platform = entry.platform
        return platform is None or (platform.os, platform.architecture) in (
            ("linux", machine.architecture),
            ("windows", "amd64"),
        )

    return wanted


def _prepare(
    image: Image, spec: RunSpec, options: RunOptions, places: Places, machine: Machine, runner: Callable[[], Runner]
) -> tuple[Prepared, int]:
    """What the image's platform makes of it, and how many layers had to be unpacked."""
    if image.config.os == "linux":
        return prepare_linux(image, spec, options, places, machine)
    if image.config.os == "windows":
        from wingo.pipeline.run_windows import prepare_windows

        engine, with_base = options.engine, options.with_base
        return prepare_windows(image, spec, places, machine, runner(), engine=engine, with_base=with_base)
    raise RequestError(
        f"wingo does not run images for {image.config.os or 'no system'}",
        hint="Choose a Linux image of the index with --platform linux/amd64.",
    )


def prepare_linux(
    image: Image, spec: RunSpec, options: RunOptions, places: Places, machine: Machine
) -> tuple[Prepared, int]:
    """Unpacks an image's layers, several at a time; those that are unpacked already are left alone."""
    engine = choose_engine(options.engine, machine)
    store = LayerStore(unpacked_directory(places), machine.identity, machine.tools)
    missing = [layer for layer in image.layers if not store.has(layer.diff_id)]
    if missing:
        from wingo.stores.parallel import each

        each(places.jobs, store.unpack, missing)
    lowers = tuple(store.path(layer.diff_id) for layer in image.layers)
    return Prepared(spec, lowers, engine), len(missing)


def _policy(options: RunOptions, spec: RunSpec, lowers: Sequence[str]) -> Policy | None:
    """The permissions of the role, for this container's user.

    Raises:
        RequestError: the table has no such role, or is not for this platform.
    """
    if options.table is None:
        return None
    if spec.platform.os != "linux":
        raise RequestError(
            f"--policy holds Linux programs only, and this one is for {spec.platform}",
            hint="Leave it out: the sandbox of the drive and the network holds without it.",
        )
    from wingo.launch.policy import policy_of

    account = account_in(lowers, spec.user)
    variables = {
        "uid": str(account.uid),
        "gid": str(account.gid),
        "user": account.name or str(account.uid),
        "name": spec.name,
    }
    return policy_of(options.table, options.role, variables, options.table_name)


def _admission(
    options: RunOptions, spec: RunSpec, policy: Policy, source: Place, image: Image, machine: Machine
) -> Admission:
    """What the table's hook makes of the start.

    Raises:
        TrustError: it does not admit it.
        RequestError: it gave no answer, or one that cannot be.
        HostError: there is no engine for it.
    """
    from wingo.launch.admission import Admission, apply_answers, event_of

    if options.table is None or not options.hook:
        return Admission(spec, {})
    from wingo.launch.hooks.run import run_hook

    name = options.table.hook
    event = event_of(spec, policy, str(source), image.digest, image.config.settings.labels or {})
    answers = run_hook(options.hook, event, name=name, architecture=machine.architecture)
    return apply_answers(answers, spec, name)


def account_in(lowers: Sequence[str], user: str) -> Account:
    """A user as unpacked layers know it, the highest /etc/passwd and /etc/group first."""
    texts = []
    for path in ("etc/passwd", "etc/group"):
        found = ""
        for layer in reversed(lowers):
            root = os.open(layer, os.O_PATH | os.O_DIRECTORY)
            found = read_in_root(root, path)
            os.close(root)
            if found:
                break
        texts.append(found)
    return find_account(user, *texts)


def unpacked_directory(places: Places) -> str:
    """Where layers are unpacked."""
    return os.path.join(places.cache.root, "unpacked")


def _check_sources(spec: RunSpec) -> None:
    for mount in spec.mounts:
        if mount.kind is MountKind.BIND and not os.path.exists(mount.source):
            raise RequestError(
                f"-v {mount.source}:{mount.target}: {mount.source} does not exist",
                hint="Make it first, or mend the path.",
            )


def require_linux(system: str) -> None:
    """Refuses to run containers where there is no Linux kernel.

    Raises:
        HostError: this is no Linux.
    """
    if system != "linux":
        raise HostError(
            "containers run on Linux alone: they need its namespaces",
            hint="Run wingo in a Linux virtual machine or in WSL 2.",
        )
