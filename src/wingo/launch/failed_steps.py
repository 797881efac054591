"""Steps of Dockerfiles that failed: the place where each was, kept as a container that has ended, to be entered again.

```
dockerfile/failed/<name>/     a container's directory (`containers.py`), and
  step.json                   what the step was
  given/                      what was mounted for it and is nowhere else
```
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from wingo.errors import HostError, RequestError
from wingo.launch.containers import Container, Containers
from wingo.launch.spec import Mount, MountKind, Network
from wingo.oci.platform import Platform

KEPT = 3
"""So many are kept; an older one goes when another step fails."""
_GIVEN = "given"


class FailedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step as it failed.

    Attributes:
        dockerfile: the absolute path of its file; "" for standard input.
        at: `Dockerfile:7`.
        text: the instruction, for people.
        argv: what was run.
        exit_code: how it ended.
        env: `NAME=value` items, without secrets.
        cwd: its directory.
        user: as in a config.
        mounts: what can be mounted again.
        missing: what cannot, one line each.
        network: what it reached.
        platform: of the files.
    """

    dockerfile: str
    at: str
    text: str
    argv: tuple[str, ...]
    exit_code: int
    env: tuple[str, ...]
    cwd: str
    user: str
    mounts: tuple[Mount, ...] = ()
    missing: tuple[str, ...] = ()
    network: Network = Network.NONE
    platform: Platform = Platform("linux", "amd64")


def failed_directory(cache_directory: str) -> str:
    """Where failed steps are, on the file system that steps run on."""
    return os.path.join(cache_directory, "dockerfile", "failed")


def failed_containers(cache_directory: str) -> Containers:
    """Failed steps as containers."""
    return Containers(failed_directory(cache_directory))


def keep_failed(
    containers: Containers, directory: str, step: FailedStep, temporary: str, tools: Mapping[str, str]
) -> str:
    """Keeps the directory that a step ran in; its name.

    Args:
        containers: of `failed_containers`.
        directory: of `wingo.launch.rootfs.RootfsRun`, on the same file system.
        step: what failed; mounts from `temporary` are moved.
        temporary: a directory that goes when the step is over.
        tools: newuidmap and newgidmap, where they are needed.

    Raises:
        HostError: it cannot be kept.
    """
    name = os.path.basename(directory)
    _drop_all_but(containers, KEPT - 1, tools)
    new = containers.directory(name)
    try:
        os.makedirs(containers.root, mode=0o700, exist_ok=True)
        step = msgspec.structs.replace(step, mounts=tuple(_move(step.mounts, temporary, directory, new)))
        path = os.path.join(directory, "container.json")
        with open(path, "rb") as file:
            container = msgspec.json.decode(file.read(), type=Container)
        container = msgspec.structs.replace(
            container, image=step.at, argv=step.argv, env=step.env, cwd=step.cwd, user=step.user
        )
        for file_name, value in (("container.json", container), ("step.json", step)):
            with open(os.path.join(directory, file_name), "wb") as file:
                file.write(msgspec.json.encode(value))
        os.rename(directory, new)
    except OSError as error:
        raise HostError(f"cannot keep the failed step in {containers.root}: {error.strerror or error}") from error
    return name


def _move(mounts: Sequence[Mount], temporary: str, directory: str, new: str) -> Iterator[Mount]:
    """Mounts whose sources were temporary, with sources in the kept directory."""
    for mount in mounts:
        if mount.kind is not MountKind.BIND or not mount.source.startswith(f"{temporary}/"):
            yield mount
            continue
        name = os.path.relpath(mount.source, temporary)
        top = name.split("/")[0]
        os.makedirs(os.path.join(directory, _GIVEN), exist_ok=True)
        kept = os.path.join(directory, _GIVEN, top)
        if not os.path.lexists(kept):
            import shutil

            shutil.move(os.path.join(temporary, top), kept)
        yield msgspec.structs.replace(mount, source=os.path.join(new, _GIVEN, name))


def read_failed(containers: Containers, name: str) -> tuple[str, Container, FailedStep]:
    """A failed step by its name; "" for the newest.

    Raises:
        RequestError: there is none.
    """
    if not name:
        found = _newest_first(containers)
        if not found:
            raise RequestError(
                "there is no failed step to look at",
                hint="A Linux RUN that fails is kept by wingo build -f; what a Windows RUN would do, wingo plan -f tells.",
            )
        name = found[0]
    container, _ = containers.read(name)
    try:
        with open(os.path.join(containers.directory(name), "step.json"), "rb") as file:
            step = msgspec.json.decode(file.read(), type=FailedStep)
    except (OSError, msgspec.MsgspecError) as error:
        raise RequestError(f"{name} is no failed step", hint="'wingo ps -a' lists what there is.") from error
    return name, container, step


def forget_failed(containers: Containers, dockerfile: str, tools: Mapping[str, str]) -> None:
    """Removes the failed steps of a Dockerfile, which has been built by now."""
    for name in containers.names():
        with suppress(RequestError, HostError):
            if read_failed(containers, name)[2].dockerfile == dockerfile:
                containers.remove(name, tools)


def _drop_all_but(containers: Containers, count: int, tools: Mapping[str, str]) -> None:
    for name in _newest_first(containers)[count:]:
        with suppress(RequestError, HostError):
            containers.remove(name, tools)


def _newest_first(containers: Containers) -> list[str]:
    found = [(container.created, container.name) for container, _ in containers.all()]
    return [name for _, name in sorted(found, reverse=True)]
