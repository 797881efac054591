"""The stages of a build: what each stands on and copies from, its platform, and which of them the result needs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from wingo.dockerfile.assumptions import likely_value
from wingo.dockerfile.bases import base_reference, linux_by_name, release_by_name, windows_by_name
from wingo.dockerfile.evidence import windows_evidence
from wingo.dockerfile.expand import Expanded, ExpansionError, expand
from wingo.dockerfile.instructions import Copy, Dockerfile, From, Run, Stage
from wingo.dockerfile.mounts import mount_source
from wingo.dockerfile.source import At, DockerfileError, nearest
from wingo.dockerfile.toolchains import toolchain_image
from wingo.errors import RequestError
from wingo.oci.platform import Platform, parse_platform
from wingo.oci.reference import Reference
from wingo.windows.osversion import expand_platform

SCRATCH = "scratch"
_MAX_STAGES = 1000


class SourceKind(Enum):
    """What a stage stands on, or something is copied from."""

    SCRATCH = "scratch"
    STAGE = "stage"
    IMAGE = "image"
    CONTEXT = "context"


class Source(msgspec.Struct, frozen=True):
    """Where files come from.

    Attributes:
        stage: the number of a stage.
        name: of a named context; "" is the build's own.
        image: an image's reference.
    """

    kind: SourceKind
    stage: int = -1
    name: str = ""
    image: Reference | None = None

    def __str__(self) -> str:
        match self.kind:
            case SourceKind.STAGE:
                return f"stage {self.name}"
            case SourceKind.IMAGE:
                return str(self.image)
            case SourceKind.CONTEXT:
                return f"context {self.name}" if self.name else "the build context"
            case _:
                return SCRATCH


class StageNode(msgspec.Struct, frozen=True):
    """A stage in the graph.

    Attributes:
        base: what it stands on.
        platform: its own; of a stage on another stage, that one's.
        uses: the stages that it needs, itself not among them.
        why: how its platform was found, for people.
    """

    stage: Stage
    base: Source
    platform: Platform
    uses: tuple[int, ...]
    why: str = ""


class Graph(msgspec.Struct, frozen=True):
    """All stages of a Dockerfile for one platform.

    Attributes:
        dockerfile: the language.
        nodes: one for each stage, in order.
        target: the number of the stage that becomes the image.
        platform: of the image.
        arguments: what FROM may name: the platform's arguments, and those before the first FROM.
        reachable: the numbers of the stages that the target needs, in order.
    """

    dockerfile: Dockerfile
    nodes: tuple[StageNode, ...]
    target: int
    platform: Platform
    arguments: Mapping[str, str]
    reachable: tuple[int, ...]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a build is asked for beside the Dockerfile.

    Attributes:
        target: the stage that becomes the image; "": the last.
        platform: of the image; None: as the target stage's base says, Linux where it says nothing.
        host: this machine as BuildKit would call it: Linux with this machine's architecture.
        build_args: of `--build-arg`.
        contexts: the names of `--build-context`; values are images' references, or "" for a directory.
        assume: arguments without a value are given likely ones, for looking at Dockerfiles of others.
    """

    target: str = ""
    platform: Platform | None = None
    host: Platform = Platform("linux", "amd64")
    build_args: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    assume: bool = False


def make_graph(dockerfile: Dockerfile, options: Options) -> Graph:
    """Finds out what stands on what.

    Raises:
        DockerfileError: a FROM cannot be expanded or names nothing, a stage copies from itself or a later one.
        RequestError: there is no such target.
    """
    if len(dockerfile.stages) > _MAX_STAGES:
        raise DockerfileError(dockerfile.stages[_MAX_STAGES].start.at, f"there are more than {_MAX_STAGES} stages")
    target = _target(dockerfile, options.target)
    if options.platform is not None:
        return _Grapher(dockerfile, options, target, options.platform).graph()
    # Nobody said for what: the image that the target stands on decides.
    first = _Grapher(dockerfile, options, target, options.host).graph()
    platform = first.nodes[target.number].platform
    if platform.os == options.host.os and platform.architecture == options.host.architecture:
        return first
    return _Grapher(dockerfile, options, target, platform).graph()


def _target(dockerfile: Dockerfile, name: str) -> Stage:
    if not name:
        return dockerfile.stages[-1]
    stage = dockerfile.find_stage(name)
    if stage is None:
        names = [stage.name for stage in dockerfile.stages]
        raise RequestError(
            f"{dockerfile.file} has no stage {name[:80]!r}",
            hint=nearest(name, names) or f"There are {', '.join(names[:20])}.",
        )
    return stage


def platform_arguments(target: Platform, build: Platform, stage: str) -> dict[str, str]:
    """The arguments that every build has (BuildKit `dockerfile2llb/platform.go`)."""
    version = f"({target.os_version})" if target.os_version else ""
    variant = f"/{target.variant}" if target.variant else ""
    return {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": f"{target.os}{version}/{target.architecture}{variant}",
        "TARGETOS": target.os,
        "TARGETOSVERSION": target.os_version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }


class _Grapher:
    def __init__(self, dockerfile: Dockerfile, options: Options, target: Stage, platform: Platform) -> None:
        self.dockerfile, self.options, self.target, self.platform = dockerfile, options, target, platform
        name = options.target or target.start.name
        defaults = platform_arguments(platform, options.host, name)
        self.arguments = {key: options.build_args.get(key, value) for key, value in defaults.items()}
        self._read_arguments()
        self.nodes: list[StageNode] = []

    def _read_arguments(self) -> None:
        for instruction in self.dockerfile.arguments:
            for name, default in instruction.pairs:
                value = self.options.build_args.get(name)
                if value is None and default is not None:
                    value = self._expand(default, instruction.at)
                if not value and self.options.assume:
                    value = likely_value(self.dockerfile, name)
                if value is not None:
                    self.arguments[name] = value

    def _expand(self, text: str, at: At) -> str:
        try:
            return expand(text, self.arguments, self.dockerfile.escape).text
        except ExpansionError as error:
            raise DockerfileError(at, str(error)) from error

    def graph(self) -> Graph:
        for stage in self.dockerfile.stages:
            self.nodes.append(self._node(stage))
        needed: set[int] = set()
        waiting = [self.target.number]
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed.add(number)
                waiting += self.nodes[number].uses
        return Graph(
            self.dockerfile,
            tuple(self.nodes),
            self.target.number,
            self.nodes[self.target.number].platform if self.options.platform is None else self.platform,
            self.arguments,
            tuple(sorted(needed)),
        )

    def _node(self, stage: Stage) -> StageNode:
        start = stage.start
        base = self._base(stage)
        uses = {base.stage} if base.kind is SourceKind.STAGE else set()
        for instruction in stage.instructions:
            names = []
            if isinstance(instruction, Copy) and instruction.source_stage:
                names = [instruction.source_stage]
            elif isinstance(instruction, Run):
                names = [name for mount in instruction.mounts if (name := mount_source(mount, instruction.at))]
            for name in names:
                source = source_of(self.dockerfile, self.options, name, stage, instruction.at)
                if source.kind is SourceKind.STAGE:
                    uses.add(source.stage)
        platform, why = self._platform(start, base, stage)
        return StageNode(stage, base, platform, tuple(sorted(uses)), why)

    def _base(self, stage: Stage) -> Source:
        start = stage.start
        if start.name and start.name in self.options.contexts:
            return _context(self.dockerfile, self.options, start.name, start.at)
        expanded = expand_or_fail(start.image, self.arguments, self.dockerfile.escape, start.at)
        name = expanded.text
        if expanded.unset or not name or name.startswith(":"):
            missing = [item for item in expanded.unset if item not in self.arguments]
            if not name or name.startswith(":"):
                which = missing[0] if missing else "NAME"
                raise DockerfileError(
                    start.at,
                    f"FROM {start.image}: the name of the base is empty",
                    hint=f"Give --build-arg {which}=VALUE.",
                )
        # As BuildKit: only an exact name is a stage's here, and only one that stands above.
        for other in reversed(self.dockerfile.stages[: stage.number]):
            if other.start.name and other.start.name == name:
                return Source(SourceKind.STAGE, stage=other.number, name=other.name)
        if name == SCRATCH:
            return Source(SourceKind.SCRATCH)
        if named := _context_for(self.options, name):
            return _context(self.dockerfile, self.options, named, start.at)
        return _image(self.dockerfile, name, start.at)

    def _platform(self, start: From, base: Source, stage: Stage) -> tuple[Platform, str]:
        if base.kind is SourceKind.STAGE:
            return self.nodes[base.stage].platform, f"as the stage {base.name}"
        if start.platform:
            text = self._expand(start.platform, start.at)
            try:
                platform = parse_platform(text)
            except RequestError as error:
                raise DockerfileError(start.at, str(error), hint=error.hint) from error
            return self._with_version(platform, base, stage), f"--platform={text}"
        if base.kind is not SourceKind.IMAGE or base.image is None:
            return self.platform, "the platform of the build"
        toolchain = toolchain_image(base.image)
        if toolchain is not None and stage is not self.target:
            evidence = "" if toolchain.alpine else windows_evidence(self.dockerfile, stage)
            if toolchain.windows or evidence:
                windows = Platform("windows", self._windows_architecture(base.image), release_by_name(base.image))
                return windows, "the image is for Windows" if toolchain.windows else f"{evidence} is for Windows"
            return self.options.host, "a Linux image of Go, which compiles for every platform"
        if windows_by_name(base.image):
            if self.platform.os == "windows":
                return self._with_version(self.platform, base, stage), "the platform of the build"
            architecture = self._windows_architecture(base.image)
            return Platform("windows", architecture, release_by_name(base.image)), "the image is for Windows"
        nobody_said = self.options.platform is None and not linux_by_name(base.image)
        if nobody_said and (evidence := windows_evidence(self.dockerfile, stage)):
            if self.platform.os == "windows":
                return self._with_version(self.platform, base, stage), f"{evidence} is for Windows"
            return Platform("windows", self._windows_architecture(base.image)), f"{evidence} is for Windows"
        return self.platform, "the platform of the build"

    def _windows_architecture(self, image: Reference) -> str:
        if "arm64" in image.tag.lower():
            return "arm64"
        return self.platform.architecture if self.platform.os == "windows" else "amd64"

    def _with_version(self, platform: Platform, base: Source, stage: Stage) -> Platform:
        """With the release that the base's name says; what was asked for goes before it for the image itself alone."""
        if platform.os != "windows" or base.image is None:
            return platform
        asked = self.options.platform
        if stage is self.target and asked is not None and asked.os_version:
            return platform
        named = release_by_name(base.image)
        return msgspec.structs.replace(platform, os_version=named) if named else platform


def _context_for(options: Options, name: str) -> str:
    """The `--build-context` that stands for a name; `golang` is `docker.io/library/golang:latest`. "" for none."""
    if not options.contexts or name.lower() in options.contexts:
        return name.lower() if options.contexts else ""
    try:
        wanted = base_reference(name)
    except RequestError:
        return ""
    for context in options.contexts:
        try:
            if base_reference(context) == wanted:
                return context
        except RequestError:
            continue  # it is the name of a stage or a directory
    return ""


def _context(dockerfile: Dockerfile, options: Options, name: str, at: At) -> Source:
    image = options.contexts[name]
    return _image(dockerfile, image, at) if image else Source(SourceKind.CONTEXT, name=name)


def _image(dockerfile: Dockerfile, name: str, at: At) -> Source:
    try:
        reference = base_reference(name)
    except RequestError as error:
        later = [stage.name for stage in dockerfile.stages if stage.name == name.lower()]
        hint = "A stage must stand above those that use it." if later else error.hint
        raise DockerfileError(at, str(error), hint=hint) from error
    return Source(SourceKind.IMAGE, image=reference)


def source_of(dockerfile: Dockerfile, options: Options, name: str, stage: Stage, at: At) -> Source:
    """What a `--from` means in a stage.

    Raises:
        DockerfileError: the stage itself, one below it, no stage of that number, a variable, no reference.
    """
    is_number = name.isascii() and name.isdecimal()
    if name.lower() == stage.start.name or (is_number and int(name[:9]) == stage.number):
        raise DockerfileError(at, f"the stage {name!r} copies from itself")
    found = dockerfile.find_stage(name, before=stage.number)
    if found is not None:
        return Source(SourceKind.STAGE, stage=found.number, name=found.name)
    if "$" in name:
        raise DockerfileError(
            at, "--from takes no variables", hint="Name the image with FROM … AS NAME, and write --from=NAME."
        )
    if dockerfile.find_stage(name) is not None:
        raise DockerfileError(
            at,
            f"the stage {name!r} stands below this one, so nothing can be taken from it"
            " (two stages cannot need each other)",
            hint="Move it above.",
        )
    if named := _context_for(options, name):
        return _context(dockerfile, options, named, at)
    if is_number:
        raise DockerfileError(at, f"there is no stage number {name[:20]}", hint=f"They are 0 to {stage.number - 1}.")
    return _image(dockerfile, name, at)


def expand_or_fail(text: str, variables: Mapping[str, str], escape: str, at: At) -> Expanded:
    """`expand`, with an error that points to the line."""
    try:
        return expand(text, variables, escape)
    except ExpansionError as error:
        raise DockerfileError(at, str(error), hint=error.hint) from error


def one_platform(text: str) -> Platform:
    """A `--platform` that is one: `windows/amd64`, `linux/arm64`, `ltsc2022`.

    Raises:
        RequestError: it is none.
    """
    if "/" in text:
        return parse_platform(text)
    return expand_platform(text)[0]
