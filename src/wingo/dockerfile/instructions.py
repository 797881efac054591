"""The instructions of a Dockerfile as values; what they hold is as written, before the expansion of variables."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from wingo.dockerfile.nodes import Heredoc
from wingo.dockerfile.source import At

Pairs: TypeAlias = tuple[tuple[str, str], ...]


class CommandLine(msgspec.Struct, frozen=True):
    """What RUN, CMD and ENTRYPOINT run.

    Attributes:
        arguments: the items of the exec form, or the one text that a shell is given; none is an empty command.
        exec_form: written as a JSON array, run without a shell.
        heredocs: documents that belong to it.
    """

    arguments: tuple[str, ...]
    exec_form: bool = False
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def text(self) -> str:
        """The command as one text, for a shell or for people."""
        return " ".join(self.arguments)


class From(msgspec.Struct, frozen=True):
    """Begins a stage.

    Attributes:
        image: a stage's name, an image, or "scratch".
        platform: of `--platform`.
        name: after AS, in lower case; "" when it has none.
    """

    at: At
    image: str
    platform: str = ""
    name: str = ""


class Arg(msgspec.Struct, frozen=True):
    """Names build arguments; a default of None is no default."""

    at: At
    pairs: tuple[tuple[str, str | None], ...]


class Env(msgspec.Struct, frozen=True):
    """Sets variables of the image."""

    at: At
    pairs: Pairs


class Label(msgspec.Struct, frozen=True):
    """Sets labels of the image."""

    at: At
    pairs: Pairs


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """COPY.

    Attributes:
        sources: paths or patterns.
        documents: heredocs among the sources: files made of text.
        destination: a path; with a slash at the end, a directory.
        source_stage: of `--from`: a stage, an image, a named context, or "" for the build context.
        chown: of `--chown`.
        chmod: of `--chmod`.
        link: `--link`: the destination's links are not followed.
        parents: `--parents`: directories above the sources are kept.
        excludes: patterns of what is left out.
    """

    at: At
    sources: tuple[str, ...]
    destination: str
    documents: tuple[Heredoc, ...] = ()
    source_stage: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


class Add(msgspec.Struct, frozen=True, kw_only=True):
    """ADD: as COPY, but takes URLs and Git repositories too, and unpacks archives.

    Attributes:
        checksum: of `--checksum`, for a URL.
        unpack: of `--unpack`; None: local archives are unpacked, downloads are not.
        keep_git_dir: of `--keep-git-dir`.
    """

    at: At
    sources: tuple[str, ...]
    destination: str
    documents: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    unpack: bool | None = None
    keep_git_dir: bool | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """RUN.

    Attributes:
        command: what is run; Docker does not expand variables in it.
        mounts: the texts of `--mount`, whose variables are expanded.
        network: "default", "none" or "host".
        security: "sandbox" or "insecure".
    """

    at: At
    command: CommandLine
    mounts: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"


class Cmd(msgspec.Struct, frozen=True):
    """The default command or arguments."""

    at: At
    command: CommandLine


class Entrypoint(msgspec.Struct, frozen=True):
    """What is started."""

    at: At
    command: CommandLine


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True):
    """HEALTHCHECK.

    Attributes:
        test: ("NONE",), ("CMD", …) or ("CMD-SHELL", text).
        interval: in nanoseconds, as Docker's config has them; 0: Docker's default.
        timeout: as well.
        start_period: as well.
        start_interval: as well.
        retries: 0: Docker's default.
    """

    at: At
    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Expose(msgspec.Struct, frozen=True):
    """Names ports."""

    at: At
    ports: tuple[str, ...]


class User(msgspec.Struct, frozen=True):
    """Who runs what follows."""

    at: At
    user: str


class Workdir(msgspec.Struct, frozen=True):
    """Where what follows runs."""

    at: At
    path: str


class Volume(msgspec.Struct, frozen=True):
    """Names directories that are kept outside the image."""

    at: At
    paths: tuple[str, ...]


class StopSignal(msgspec.Struct, frozen=True):
    """The signal that stops the container."""

    at: At
    signal: str


class Shell(msgspec.Struct, frozen=True):
    """What runs the commands that are not in exec form."""

    at: At
    arguments: tuple[str, ...]


class Onbuild(msgspec.Struct, frozen=True):
    """An instruction for those who build upon the image."""

    at: At
    expression: str


class Maintainer(msgspec.Struct, frozen=True):
    """Who made the image (LABEL does this today)."""

    at: At
    name: str


Instruction: TypeAlias = (
    Arg | Env | Label | Copy | Add | Run | Cmd | Entrypoint | Healthcheck | Expose | User | Workdir | Volume
    | StopSignal | Shell | Onbuild | Maintainer
)  # fmt: skip
"""Everything that may stand in a stage."""


class Stage(msgspec.Struct, frozen=True):
    """A FROM and what follows it.

    Attributes:
        number: from 0.
        start: its FROM.
        instructions: in order.
    """

    number: int
    start: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """Its name, or its number when it has none."""
        return self.start.name or str(self.number)


class Dockerfile(msgspec.Struct, frozen=True):
    """A Dockerfile, understood.

    Attributes:
        file: its name.
        escape: its escape character.
        syntax: of `# syntax=`; wingo reads the language itself and fetches no frontend.
        check: of `# check=`.
        arguments: the ARGs before the first FROM.
        stages: one at least.
        warnings: one sentence each.
    """

    file: str
    escape: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    syntax: str = ""
    check: str = ""
    warnings: tuple[str, ...] = ()

    def find_stage(self, name: str, before: int | None = None) -> Stage | None:
        """The last stage of that name, or of that number; `before`: among the stages in front of that one."""
        below = self.stages[: len(self.stages) if before is None else before]
        for stage in reversed(below):
            if stage.start.name and stage.start.name == name.lower():
                return stage
        if name.isascii() and name.isdecimal() and int(name[:9]) < len(below):
            return below[int(name[:9])]
        return None
