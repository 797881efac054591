"""The steps of a plan: what each instruction comes to, as values with everything expanded."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec

from wingo.dockerfile.graph import Source
from wingo.dockerfile.mounts import Mount
from wingo.dockerfile.source import At
from wingo.oci.config import History
from wingo.oci.digest import Digest


class StepKind(Enum):
    """What wingo does for a step."""

    GO = "go"
    SANDBOX = "sandbox"
    LOWERED = "lowered"
    WINE = "wine"
    FILES = "files"
    METADATA = "metadata"
    IMPOSSIBLE = "impossible"


class TextFile(msgspec.Struct, frozen=True):
    """A heredoc of COPY."""

    name: str
    text: str


class CopyFiles(msgspec.Struct, frozen=True, kw_only=True, tag="copy"):
    """Copies into the stage.

    Attributes:
        source: where from.
        sources: paths or patterns there; for ADD URLs too.
        documents: files made of text.
        destination: absolute; with a separator at the end it is a directory.
        chown: "" for root.
        chmod: "" for the sources' own modes.
        unpack: local archives are unpacked.
        checksum: what a download must be.
        keep_git: of a Git repository, `.git` too.
    """

    source: Source
    sources: tuple[str, ...]
    destination: str
    documents: tuple[TextFile, ...] = ()
    chown: str = ""
    chmod: str = ""
    parents: bool = False
    link: bool = False
    excludes: tuple[str, ...] = ()
    unpack: bool = False
    add: bool = False
    checksum: Digest | str = ""
    keep_git: bool = False


class MakeDirectory(msgspec.Struct, frozen=True, tag="mkdir"):
    """WORKDIR makes its directory, for the user."""

    path: str
    user: str = ""


class Command(msgspec.Struct, frozen=True):
    """One simple command of a Go step.

    Attributes:
        argv: its words.
        environment: what it sees beside the machine's own.
        directory: where it runs, in the stage.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str


class RunGo(msgspec.Struct, frozen=True, tag="go"):
    """Runs `go` over the stage's files, with the local toolchain.

    Attributes:
        commands: in order; the step ends with the first that fails.
        toolchain: the version that the image asks for, "1.21.13"; "" for the local one.
        goos: what is compiled for, where a command does not say it itself.
        goarch: as well.
        variant: as well; "v7" for arm.
    """

    commands: tuple[Command, ...]
    toolchain: str
    goos: str
    goarch: str
    variant: str = ""


class RunSandbox(msgspec.Struct, frozen=True, kw_only=True, tag="sandbox"):
    """Runs a program over the stage's file system.

    Attributes:
        argv: the program and its arguments.
        script: a heredoc that begins with `#!`: it is run itself; "" for none.
        environment: `NAME=value`.
        directory: where.
        user: as in the config.
        network: "default", "none" or "host".
        wants_network: the command looks as if it fetched something.
    """

    argv: tuple[str, ...]
    script: str = ""
    environment: tuple[str, ...] = ()
    directory: str = "/"
    user: str = ""
    mounts: tuple[tuple[Mount, Source], ...] = ()
    network: str = "default"
    wants_network: bool = False


class RunLowered(msgspec.Struct, frozen=True, kw_only=True, tag="lowered"):
    """A Windows command as edits.

    Attributes:
        command: the text for the shell, or the words of the exec form.
        shell: for a text.
        environment: ENV and ARG.
        directory: WORKDIR.
        user: USER.
    """

    command: str | tuple[str, ...]
    shell: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    directory: str = "C:\\"
    user: str = ""


Action: TypeAlias = CopyFiles | MakeDirectory | RunGo | RunSandbox | RunLowered


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One instruction of a stage.

    Attributes:
        at: where.
        text: the instruction, for people.
        kind: what is done.
        why: one sentence.
        advice: of an impossible step: what to write instead.
        action: what is done to the files; None for none.
        edits: of a lowered step, one line each.
        notes: what a person should know.
        history: the step's line in the config; None for none.
    """

    at: At
    text: str
    kind: StepKind
    why: str = ""
    advice: str = ""
    action: Action | None = None
    edits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    history: History | None = None
