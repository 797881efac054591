"""The seam between what is to run and what runs it: a `Runtime` plans a `Program`, the keeper starts and watches it.

The keeper makes the namespaces, stacks the layers at `Place.root` and mounts what is to be mounted; then, inside,
the program is executed: a container runtime, bubblewrap, Wine, or the image's program itself. A runtime's `plan` is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

import msgspec

from wingo.launch.spec import RunSpec
from wingo.launch.users import Account


class Place(msgspec.Struct, frozen=True):
    """Where a container is, as seen from inside its namespaces, before the program is executed.

    Attributes:
        root: the merged view of the layers, with everything mounted.
        scratch: an empty directory in memory, the container's own; gone with it.
    """

    root: str
    scratch: str


class Program(msgspec.Struct, frozen=True):
    """What is executed inside the namespaces.

    Attributes:
        argv: absolute path of a program of this machine, and its arguments; `{fd:NAME}` in an argument becomes the number of
            the descriptor that `inputs` gives.
        env: its whole environment.
        cwd: its directory.
        files: written to `Place.scratch` first, by name.
        inputs: passed as descriptors that can be read, by name.
        enter: instead of executing `argv`: is called there, and does not return.
    """

    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: str = "/"
    files: Mapping[str, bytes] = {}
    inputs: Mapping[str, bytes] = {}
    enter: Callable[[], NoReturn] | None = None


class Runtime(Protocol):
    """A way to start a program in an image's files.

    Attributes:
        name: for people.
        sees_cgroups: whether it is to find this machine's cgroups. Wingo takes care of them; crun 1.8 stops where both
            versions are mounted, runc where they are hidden.
    """

    name: str
    sees_cgroups: bool

    def plan(self, spec: RunSpec, account: Account, place: Place) -> Program:
        """What to execute.

        Args:
            spec: what is to run; `argv[0]` is a path in the container.
            account: who it runs as.
            place: where its files are.
        """


class Prepared(msgspec.Struct, frozen=True):
    """What a platform makes of an image and a spec: everything that the keeper needs to start it.

    Attributes:
        spec: what is to run; a platform may have changed it (paths of mounts, variables).
        lowers: the directories to stack, lowest first.
        runtime: what executes it.
        notes: what people are to know at every start.
        signals: signals that the program gets in another way: a file that is made first, and the signal that is sent.
        ending: what the exit code and the writable layer's directory say of the end: the exit code, and why.
        shown: the program and its arguments for people; empty: as in `spec`.
        loader: what goes before a program that is executed beside this one.
    """

    spec: RunSpec
    lowers: tuple[str, ...]
    runtime: Runtime
    notes: tuple[str, ...] = ()
    signals: Mapping[int, tuple[str, int]] = {}
    ending: Callable[[int, str], tuple[int, str]] | None = None
    shown: tuple[str, ...] = ()
    loader: tuple[str, ...] = ()
