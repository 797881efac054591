"""`RUN` in a Go toolchain stage: what the local toolchain does, and for which platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wingo.dockerfile.bases import BaseFacts
from wingo.dockerfile.posix import Simple, read_commands
from wingo.dockerfile.steps import Command, RunGo
from wingo.dockerfile.toolchains import ToolchainImage
from wingo.oci.platform import Platform

_FOR_HERE = frozenset({"run", "generate", "test", "vet", "tool", "fmt", "version", "env", "list", "doc", "bug", "fix"})
"""Subcommands that run what they compile, or compile nothing: they are for this machine."""
_KNOWN = frozenset({"build", "install", "mod", "get", "work", "clean", "telemetry", *_FOR_HERE})
_HELPERS = frozenset({"mkdir", "git", "ls", "pwd"})


class GoDecision(msgspec.Struct, frozen=True):
    """What becomes of a RUN.

    Attributes:
        action: for the local toolchain; None: it is none of its business.
        why: one sentence.
        notes: what a person should know.
    """

    action: RunGo | None
    why: str = ""
    notes: tuple[str, ...] = ()


def decide(
    text: str,
    variables: Mapping[str, str],
    directory: str,
    *,
    toolchain: ToolchainImage,
    output: Platform,
    final: BaseFacts | None,
) -> GoDecision:
    """Whether a RUN of a Linux toolchain stage can be done by the local toolchain, and how.

    Args:
        text: the shell text.
        variables: ENV and ARG.
        directory: WORKDIR.
        toolchain: the stage's image.
        output: the platform of what the stage compiles for.
        final: the base of the stage that the result ends in.
    """
    found = read_commands(text, variables, directory)
    if found is None:
        return GoDecision(None, "the command needs a shell")
    for command in found:
        program = command.argv[0].rpartition("/")[2]
        if program == "go" and (len(command.argv) < 2 or command.argv[1] not in _KNOWN):
            return GoDecision(None, f"'go {' '.join(command.argv[1:2])}' is left to the image's own toolchain")
        if program != "go" and program not in _HELPERS:
            return GoDecision(None, f"{program[:40]} is a program of the image")
        if dict(command.environment).get("CGO_ENABLED") == "1" and program == "go":
            return GoDecision(None, "CGO_ENABLED=1 needs the image's C compiler")
    commands = tuple(_prepared(command) for command in found)
    notes = _notes(found, toolchain, output, final)
    version = toolchain.full_version
    why = f"the local Go compiles for {output.os}/{output.architecture}"
    if version:
        why += f" as Go {version}"
    if not any(_compiles(command.argv) for command in found):
        why = (
            "the local Go does it"
            if any(command.argv[0] == "go" for command in found)
            else "done without running anything"
        )
    action = RunGo(commands, version, output.os, output.architecture, output.variant)
    return GoDecision(action, why, notes)


def for_here(argv: Sequence[str]) -> bool:
    """Whether a go command is for the machine that it runs on."""
    return len(argv) < 2 or argv[1] in _FOR_HERE


def _compiles(argv: Sequence[str]) -> bool:
    return argv[0].rpartition("/")[2] == "go" and argv[1] in ("build", "install")


def _prepared(command: Simple) -> Command:
    return Command(command.argv, command.environment, command.directory)


def _notes(
    found: Sequence[Simple], toolchain: ToolchainImage, output: Platform, final: BaseFacts | None
) -> tuple[str, ...]:
    notes: dict[str, None] = {}
    libc = "" if final is None or (toolchain.alpine and final.libc == "musl") else final.libc
    for command in found:
        if not _compiles(command.argv):
            continue
        said = dict(command.environment)
        goos, goarch = said.get("GOOS", ""), said.get("GOARCH", "")
        if (goos and goos != output.os) or (goarch and goarch != output.architecture):
            asked = f"{goos or output.os}/{goarch or output.architecture}"
            notes[
                f"the step asks for {asked} and the image is for {output.os}/{output.architecture}: the program will not run there"
            ] = None
        elif not goos and output.os == "windows":
            notes[
                "GOOS is not set: Docker would compile a Linux program here; wingo compiles for the final stage's"
                f" {output.os}/{output.architecture}"
            ] = None
        if output.os == "linux" and "CGO_ENABLED" not in said and libc in ("musl", "none"):
            where = "musl" if libc == "musl" else "no C library"
            notes[
                f"compiled with CGO_ENABLED=0: the final image has {where}, and a program linked with the toolchain"
                " image's C library would not start there"
            ] = None
    return tuple(notes)
