"""`wingo run --debug-step`: a program, a shell by default, in the place where a step of a Dockerfile failed."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from wingo.errors import RequestError
from wingo.launch.containers import Containers
from wingo.launch.engines import choose_engine
from wingo.launch.failed_steps import FailedStep, read_failed
from wingo.launch.keeper import Start
from wingo.launch.machine import Machine
from wingo.launch.spec import Mount, MountKind, RunRequest, RunSpec
from wingo.launch.stack import Stack, Storage
from wingo.launch.start import start
from wingo.pipeline.run import RunOptions, Started

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh"})
_SHELL = "/bin/sh"


def debug_step(
    name: str,
    request: RunRequest,
    options: RunOptions,
    machine: Machine,
    containers: Containers,
    now: Callable[[], float],
) -> Started:
    """Starts a program where a step failed; what it writes stays there too.

    Args:
        name: of the failed step; "" for the newest.
        request: what is to be other than for the step: its program, variables, user, directory, mounts, limits, network.
        options: its streams, and what starts it.
        machine: this one.
        containers: of `wingo.launch.failed_steps.failed_containers`.
        now: the clock.

    Raises:
        RequestError: there is no such step, or somebody is in it.
        HostError: this machine lacks something.
    """
    name, container, step = read_failed(containers, name)
    if containers.is_kept(name):
        raise RequestError(
            f"somebody looks at {name} already", hint=f"End that first, or execute beside it: wingo exec {name} -- sh"
        )
    for path in container.lowers:
        if not os.path.isdir(path):
            raise RequestError(
                f"the files that {name} ran over have gone from the cache", hint="Build again, and let it fail again."
            )
    if container.identity.way != machine.identity.way:
        raise RequestError(
            f"{name} is of another account's numbers ({container.identity.way})", hint="Use the account that built it."
        )
    _, state = containers.read(name)
    spec = plan_debug(name, step, request)
    directory = containers.directory(name)
    storages = (Storage(state.storage),) if state.storage else tuple(Storage)
    upper, work = os.path.join(directory, "upper"), os.path.join(directory, "work")
    runtime = choose_engine(options.engine, machine)
    running = start(
        Start(
            spec=spec,
            container=msgspec.structs.replace(container, remove=request.remove, runtime=runtime.name),
            containers=containers,
            stack=Stack(container.lowers, upper, work, storages, machine.tools.get("fuse-overlayfs", "")),
            runtime=runtime,
            machine=machine,
            stdio=options.stdio,
            terminal=options.terminal,
            now=now,
        )
    )
    return Started(running, spec, (), tuple(_notes(name, step, spec, request)))


def plan_debug(name: str, step: FailedStep, request: RunRequest) -> RunSpec:
    """What is run: the step's place, with what is asked for in the place of the step's own."""
    env = {item.partition("=")[0]: item for item in (*step.env, *request.env)}
    argv = (*(request.entrypoint or ()), *request.args) or (_shell(step),)
    return RunSpec(
        name=name,
        platform=step.platform,
        argv=argv,
        env=tuple(env.values()),
        cwd=request.cwd if request.cwd is not None else step.cwd,
        user=step.user if request.user is None else request.user,
        hostname="build",
        mounts=(*filter(_is_there, step.mounts), *request.mounts),
        limits=request.limits,
        network=step.network if request.network is None else request.network,
        read_only=request.read_only,
        tty=request.tty,
        remove=request.remove,
        timeout=request.timeout,
        grace=request.grace,
    )


def without_shell(name: str) -> str:
    """What to do where the step's files have no shell."""
    return (
        f"Name a program that is there (wingo run --debug-step {name} -- PROGRAM), or bring a static shell: "
        f"wingo run --debug-step {name} -v /bin/busybox:/busybox:ro -- /busybox sh"
    )


def _shell(step: FailedStep) -> str:
    """The shell that the step itself used; else the one that most images have."""
    program = step.argv[0]
    return program if program.rpartition("/")[2] in _SHELLS else _SHELL


def _is_there(mount: Mount) -> bool:
    return mount.kind is not MountKind.BIND or os.path.exists(mount.source)


def _notes(name: str, step: FailedStep, spec: RunSpec, request: RunRequest) -> list[str]:
    notes = [f"{name}: {step.at} failed with exit code {step.exit_code}: {step.text}"]
    notes += [f"not given again: {what}" for what in step.missing]
    notes += [f"{mount.source} has gone, and is not at {mount.target}" for mount in step.mounts if not _is_there(mount)]
    if not request.args:
        notes.append(f"{spec.argv[0]} in {spec.cwd}; what is written here stays until wingo stop --rm {name}")
    return notes
