"""Running a program in directories that somebody else stacked, for instance a step of a Dockerfile; what it writes is kept.

```python
result = run_in_rootfs(RootfsRun(argv=("/bin/sh", "-c", "make"), lowers=layers, directory=scratch), machine, ...)
entries = capture(result.upper, machine.identity, storage=result.storage, lowers=run.lowers, made=result.made)
next_lowers = result.stacked
```
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec

from wingo.launch.channel import close_all
from wingo.launch.containers import Container, Containers
from wingo.launch.engines import choose_engine
from wingo.launch.keeper import Start
from wingo.launch.machine import Machine
from wingo.launch.runtime import Runtime
from wingo.launch.spec import GRACE_SECONDS, PATH, Limits, Mount, Network, RunSpec
from wingo.launch.stack import Stack, Storage
from wingo.launch.start import Outcome, Running, start
from wingo.oci.platform import Platform

_CHUNK = 1 << 16


class RootfsRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run, and in which files.

    Attributes:
        argv: the program and its arguments; PATH of `env` finds a name.
        lowers: directories with layers as `LayerStore` unpacks them, lowest first; never written.
        directory: does not exist; gets what the program writes.
        env: `NAME=value` items.
        cwd: made when it is missing.
        user: as in an image's config.
        mounts: what lies over the files.
        network: what it reaches.
        limits: how much it may use.
        timeout: seconds; 0: no limit.
        input: its standard input.
        storages: the ways to stack the layers, in order.
        platform: of the files.
    """

    argv: tuple[str, ...]
    lowers: tuple[str, ...]
    directory: str
    env: tuple[str, ...] = (PATH,)
    cwd: str = "/"
    user: str = ""
    mounts: tuple[Mount, ...] = ()
    network: Network = Network.PRIVATE
    limits: Limits = Limits()
    timeout: float = 0.0
    hostname: str = "build"
    input: bytes = b""
    storages: tuple[Storage, ...] = tuple(Storage)
    platform: Platform = Platform("linux", "amd64")


class RootfsResult(msgspec.Struct, frozen=True):
    """How it ended, and what it left.

    Attributes:
        outcome: the exit code, and why when it did not end by itself.
        upper: the directory with what it wrote, as overlayfs has it.
        storage: how the layers were stacked.
        made: paths that were made only to mount something on them; see `wingo.launch.capture.capture`.
        stacked: the directories that the next program's `lowers` are.
        notes: what people should know.
    """

    outcome: Outcome
    upper: str
    storage: Storage
    made: tuple[str, ...]
    stacked: tuple[str, ...]
    notes: tuple[str, ...]


def run_in_rootfs(
    run: RootfsRun,
    machine: Machine,
    *,
    now: Callable[[], float],
    on_output: Callable[[str, bytes], None] = lambda _stream, _data: None,
    engine: Runtime | str = "auto",
    on_start: Callable[[Running], None] = lambda _running: None,
    ending: Callable[[int, str], tuple[int, str]] | None = None,
) -> RootfsResult:
    """Runs a program to its end.

    Args:
        run: what and where.
        machine: this one.
        now: the clock, in seconds since 1970.
        on_output: is told what it prints: "stdout" or "stderr", and the bytes.
        engine: what executes it: a runtime, or one of `wingo.launch.engines.ENGINES`.
        on_start: is given what can stop it, from another thread or a signal handler.
        ending: see `wingo.launch.runtime.Prepared`.

    Raises:
        RequestError: a user or a mount that cannot be.
        HostError: this machine lacks something.
    """
    runtime = choose_engine(engine, machine) if isinstance(engine, str) else engine
    containers = Containers(os.path.dirname(run.directory))
    spec = RunSpec(
        name=os.path.basename(run.directory),
        platform=run.platform,
        argv=run.argv,
        env=run.env,
        cwd=run.cwd,
        user=run.user,
        hostname=run.hostname,
        mounts=run.mounts,
        limits=run.limits,
        network=run.network,
        timeout=run.timeout,
        grace=min(GRACE_SECONDS, 2.0),
    )
    container = Container(
        name=spec.name,
        image="",
        digest="",
        platform=str(run.platform),
        argv=run.argv,
        created=now(),
        lowers=run.lowers,
        identity=machine.identity,
        detached=True,  # it is swept by whoever owns the directory
        runtime=runtime.name,
    )
    directory = containers.create(container)
    upper = os.path.join(directory, "upper")
    fuse = machine.tools.get("fuse-overlayfs", "")
    stack = Stack(run.lowers, upper, os.path.join(directory, "work"), run.storages, fuse)
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    theirs, ours = (in_read, out_write, err_write), [in_write, out_read, err_read]
    try:
        running = start(
            Start(
                spec=spec,
                container=container,
                containers=containers,
                stack=stack,
                runtime=runtime,
                machine=machine,
                stdio=theirs,
                terminal=False,
                now=now,
                ending=ending,
            )
        )
        close_all(theirs)
        on_start(running)
        feeder = threading.Thread(target=_feed, args=(in_write, run.input), daemon=True)
        feeder.start()
        try:
            outcome = _listen(running, {out_read: "stdout", err_read: "stderr"}, on_output)
        finally:
            running.close()
    finally:
        close_all([*theirs, *ours[1:]])
    _, state = containers.read(spec.name)
    storage = Storage(state.storage) if state.storage else Storage.OVERLAY
    stacked = (upper,) if storage is Storage.COPY else (*run.lowers, upper)
    return RootfsResult(outcome, upper, storage, state.made, stacked, state.notes)


def _feed(descriptor: int, data: bytes) -> None:
    with suppress(OSError), open(descriptor, "wb") as file:
        file.write(data)


def _listen(running: Running, streams: dict[int, str], on_output: Callable[[str, bytes], None]) -> Outcome:
    outcome: Outcome | None = None
    with selectors.DefaultSelector() as selector:
        for each in (*streams, running.fileno()):
            selector.register(each, selectors.EVENT_READ)
        open_ = set(streams)
        while outcome is None or open_:
            for key, _ in selector.select():
                if key.fd in streams:
                    data = os.read(key.fd, _CHUNK)
                    if data:
                        on_output(streams[key.fd], data)
                    else:
                        selector.unregister(key.fd)
                        open_.discard(key.fd)
                elif outcome is None:
                    outcome = running.hear()
                    if outcome is not None:
                        selector.unregister(key.fd)
    return outcome
