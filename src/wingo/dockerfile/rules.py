"""Rules for Dockerfiles: what will not do what it seems to, here or where others build it (`wingo check -f`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, Needs, Rule, Scope, rule
from wingo.dockerfile.graph import SourceKind
from wingo.dockerfile.instructions import Add, Arg, Cmd, Dockerfile, Entrypoint, Env, Instruction
from wingo.dockerfile.planned import Plan, StagePlan
from wingo.dockerfile.steps import RunGo
from wingo.hive.upcase import upcase
from wingo.windows.environment import keeps_system

_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|secret|token|api_?key|private_?key|credentials?|auth)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_FILE|_PATH|_URL|_DIR|_NAME)$", re.IGNORECASE)


class DockerfileSubject(msgspec.Struct, frozen=True):
    """A Dockerfile and its plan for one platform.

    Attributes:
        dockerfile: the language.
        plan: for a platform.
    """

    dockerfile: Dockerfile
    plan: Plan

    def instructions(self) -> Iterator[tuple[StagePlan, Instruction]]:
        """The instructions of the stages that the image needs."""
        for stage in self.plan.stages:
            for instruction in self.dockerfile.stages[stage.number].instructions:
                yield stage, instruction


def _dockerfile_rule(
    id: str, severity: Severity
) -> Callable[[Callable[[DockerfileSubject], Iterable[Problem]]], Rule[DockerfileSubject]]:
    return rule(id, severity, Group.DOCKERFILE, scope=Scope.DOCKERFILE, needs=Needs.SOURCE)


def _compiles(subject: DockerfileSubject) -> Iterator[tuple[StagePlan, int, dict[str, str], RunGo]]:
    """Every `go build` and `go install` of a Linux toolchain stage: stage, line, its variables, the step."""
    for stage in subject.plan.stages:
        for step in stage.steps:
            if not isinstance(step.action, RunGo):
                continue
            for command in step.action.commands:
                if command.argv[0].endswith("go") and command.argv[1] in ("build", "install"):
                    yield stage, step.at.line, dict(command.environment), step.action


def _started_by_a_shell(subject: DockerfileSubject) -> Iterator[tuple[StagePlan, Cmd | Entrypoint]]:
    """Every CMD and ENTRYPOINT in the shell form."""
    for stage, instruction in subject.instructions():
        if isinstance(instruction, Cmd | Entrypoint):
            command = instruction.command
            if command.arguments and not command.exec_form:
                yield stage, instruction


@_dockerfile_rule("WGO610", Severity.WARNING)
def goos_is_said(subject: DockerfileSubject) -> Iterator[Problem]:
    """A Linux toolchain stage says for which system it compiles when the image is for Windows.

    Why:
        In golang's Linux image, `go build -o main.exe .` makes a Linux program called main.exe, and it is put into the
        Windows image, where nothing can start it. wingo compiles for the final stage's platform; others do not. Where the
        stage says no `--platform`, a builder on Windows takes golang's image for Windows, and all is well there alone.

    Example:
        `FROM --platform=$BUILDPLATFORM golang:1.21 AS builder`, `RUN go build -o main.exe .`, then
        `FROM mcr.microsoft.com/windows/nanoserver:ltsc2022`

    Mend:
        Write `RUN GOOS=windows go build …`, or `ARG TARGETOS TARGETARCH` and `GOOS=$TARGETOS GOARCH=$TARGETARCH`.
    """
    for stage, line, said, action in _compiles(subject):
        if action.goos == "windows" and "GOOS" not in said:
            # Without a platform, a builder on Windows takes golang's own image for Windows.
            both = not subject.dockerfile.stages[stage.number].start.platform
            who = "builders that take golang's Linux image" if both else "builders other than wingo"
            yield Problem(
                message=f"GOOS is not set, and the image is for Windows: {who} make a Linux program here",
                hint="Write RUN GOOS=windows go build …",
                line=line,
                severity=Severity.NOTE if both else None,
            )


@_dockerfile_rule("WGO611", Severity.ERROR)
def goos_fits_the_image(subject: DockerfileSubject) -> Iterator[Problem]:
    """What is compiled is for the system and processor of the image that it is copied into.

    Why:
        A program for another system does not start. The kernel says "exec format error", Windows error 193 (0xc1).

    Example:
        `RUN GOOS=linux go build -o app.exe .` in a Dockerfile that ends on nanoserver.

    Mend:
        Leave GOOS and GOARCH out, or take them from TARGETOS and TARGETARCH.
    """
    for stage, line, said, _ in _compiles(subject):
        goos, goarch = said.get("GOOS") or stage.output.os, said.get("GOARCH") or stage.output.architecture
        if (goos, goarch) != (stage.output.os, stage.output.architecture):
            yield Problem(
                message=f"the step compiles for {goos}/{goarch}, and the image is for"
                f" {stage.output.os}/{stage.output.architecture}",
                hint="Leave GOOS and GOARCH out, or write GOOS=$TARGETOS GOARCH=$TARGETARCH.",
                line=line,
            )


@_dockerfile_rule("WGO612", Severity.WARNING)
def cgo_fits_the_image(subject: DockerfileSubject) -> Iterator[Problem]:
    """Programs are compiled without cgo where the final image lacks the toolchain image's C library.

    Why:
        In `golang:1.21`, which is Debian, cgo is on, and a program that uses `net` or `os/user` is linked with glibc. On
        Alpine, in distroless/static and on scratch it does not start: "not found", although the file is there.

    Example:
        `RUN go build -o server .` in golang:1.21, then `FROM alpine` and `COPY --from=builder /app/server .`

    Mend:
        Write `ENV CGO_ENABLED=0`, or build in `golang:alpine` for Alpine.
    """
    final = subject.plan.final.facts.libc
    for stage, line, said, action in _compiles(subject):
        toolchain = stage.facts.toolchain
        same = final == "musl" and toolchain is not None and toolchain.alpine
        if action.goos == "linux" and final in ("musl", "none") and "CGO_ENABLED" not in said and not same:
            yield Problem(
                message="cgo is left on, and the final image lacks glibc: builders other than wingo may link a program"
                " that does not start there",
                hint="Write ENV CGO_ENABLED=0.",
                line=line,
            )


@_dockerfile_rule("WGO613", Severity.ERROR)
def shell_is_there(subject: DockerfileSubject) -> Iterator[Problem]:
    r"""A shell form has its shell in the image.

    Why:
        nanoserver has no PowerShell; scratch and distroless have no shell at all. A CMD or ENTRYPOINT without brackets is
        run by the SHELL.

    Example:
        `SHELL ["powershell", "-Command"]` and `CMD app.exe` on nanoserver.

    Mend:
        Write the exec form: `ENTRYPOINT ["C:\\app.exe"]`.
    """
    for stage, instruction in _started_by_a_shell(subject):
        missing = ""
        shell = stage.settings.running_shell[0].lower().removesuffix(".exe")
        if stage.facts.flavour == "nanoserver" and shell == "powershell":
            missing = "nanoserver has no PowerShell"
        elif stage.base.kind is SourceKind.SCRATCH:
            missing = "there is no shell in an image from scratch"
        elif stage.base.image is not None and "distroless/static" in stage.base.image.repository:
            missing = "distroless/static has no shell"
        if missing:
            yield Problem(
                message=f"{missing}, and the shell form needs one",
                hint='Write the exec form, with brackets: ["program", "argument"].',
                line=instruction.at.line,
            )


@_dockerfile_rule("WGO614", Severity.WARNING)
def program_gets_the_signals(subject: DockerfileSubject) -> Iterator[Problem]:
    """The program itself is started, not a shell that starts it.

    Why:
        A shell form makes the shell the container's first process: the stop signal (CTRL_SHUTDOWN_EVENT on Windows) reaches
        the shell, and the program is killed without a word.

    Example:
        `CMD app.exe --listen :8080`

    Mend:
        Write `CMD ["app.exe", "--listen", ":8080"]`.
    """
    for stage, instruction in _started_by_a_shell(subject):
        if stage.number == subject.plan.final.number:
            yield Problem(
                message="a shell is started, which does not pass the stop signal on to the program",
                hint='Write the exec form, with brackets: ["program", "argument"].',
                line=instruction.at.line,
            )


@_dockerfile_rule("WGO615", Severity.WARNING)
def bases_are_pinned(subject: DockerfileSubject) -> Iterator[Problem]:
    """Bases have a tag that says which version.

    Why:
        `latest`, or no tag, is another image every month: the same Dockerfile makes another result, and an old one cannot
        be made again.

    Example:
        `FROM alpine`

    Mend:
        Name a version, or better a digest: `FROM alpine:3.20@sha256:…`.
    """
    for stage in subject.plan.stages:
        image = stage.base.image
        if image is not None and not image.digest and image.tag in ("", "latest"):
            at = subject.dockerfile.stages[stage.number].start.at
            yield Problem(message=f"{image.name} has no version", hint="Add a tag or a digest.", line=at.line)


@_dockerfile_rule("WGO616", Severity.ERROR)
def path_keeps_system32(subject: DockerfileSubject) -> Iterator[Problem]:
    r"""A PATH on Windows has System32 in it.

    Why:
        Windows bases have their PATH in the registry, not in the config: `$PATH` is empty in a Dockerfile, and any PATH in
        the config hides the registry's. Without System32 not even cmd.exe is found.

    Example:
        `ENV PATH=$PATH;C:\app`

    Mend:
        Write `ENV PATH=C:\\app;C:\\Windows\\System32;C:\\Windows` (one backslash each under a backtick as the escape
        character), or `RUN setx /M PATH "%PATH%;C:\app"`.
    """
    for stage, instruction in subject.instructions():
        if not stage.settings.windows or not isinstance(instruction, Env):
            continue
        if any(upcase(name) == "PATH" for name, _ in instruction.pairs):
            value = next((text for name, text in stage.settings.env.items() if upcase(name) == "PATH"), "")
            if not keeps_system(value.split(";")):
                yield Problem(
                    message="PATH hides the registry's, and lacks System32",
                    hint=r"Write ENV PATH=C:\\app;C:\\Windows\\System32;C:\\Windows.",
                    line=instruction.at.line,
                )


@_dockerfile_rule("WGO617", Severity.ERROR)
def steps_can_be_done(subject: DockerfileSubject) -> Iterator[Problem]:
    """Every step that the image needs can be done without Windows and without Docker.

    Why:
        A build stops at the first impossible step before it does anything.

    Example:
        `RUN msiexec /i app.msi`

    Mend:
        What to write instead stands with the finding.
    """
    for _, step in subject.plan.impossible():
        yield Problem(message=step.why, hint=step.advice, line=step.at.line)


@_dockerfile_rule("WGO618", Severity.WARNING)
def secrets_are_mounted(subject: DockerfileSubject) -> Iterator[Problem]:
    """Secrets are no build arguments and no variables of the image.

    Why:
        ENV is in the image's config for everyone to read, and an ARG is in its history.

    Example:
        `ARG NPM_TOKEN`

    Mend:
        `RUN --mount=type=secret,id=token …`, and `wingo build --secret id=token,src=FILE`.
    """
    for _, instruction in subject.instructions():
        if isinstance(instruction, Arg | Env):
            for name, _ in instruction.pairs:
                if _SECRET.search(name) and not _NO_SECRET.search(name):
                    kind = "ARG" if isinstance(instruction, Arg) else "ENV"
                    yield Problem(
                        message=f"{kind} {name[:60]} looks like a secret, and stays in the image",
                        hint="Mount it: RUN --mount=type=secret,id=…",
                        line=instruction.at.line,
                    )


@_dockerfile_rule("WGO619", Severity.NOTE)
def variables_are_set(subject: DockerfileSubject) -> Iterator[Problem]:
    """Variables that an instruction names are set.

    Why:
        A variable that nobody set is empty, without a word. An ARG before the first FROM must be named again in the stage.

    Example:
        `ARG VERSION=1` / `FROM x` / `LABEL version=$VERSION`

    Mend:
        Write `ARG VERSION` in the stage.
    """
    for stage in subject.plan.stages:
        for step in stage.steps:
            for note in step.notes:
                if note.endswith("is not set here and is empty"):
                    yield Problem(message=note, hint="Name it with ARG in this stage.", line=step.at.line)


@_dockerfile_rule("WGO620", Severity.WARNING)
def downloads_are_checked(subject: DockerfileSubject) -> Iterator[Problem]:
    """What ADD downloads is checked against a digest.

    Why:
        What is behind a URL changes, and whoever changes it changes the image.

    Example:
        `ADD https://example.com/tool.zip C:/`

    Mend:
        `ADD --checksum=sha256:… https://example.com/tool.zip C:/`.
    """
    for _, instruction in subject.instructions():
        if isinstance(instruction, Add) and not instruction.checksum:
            for source in instruction.sources:
                if source.startswith(("http://", "https://")):
                    yield Problem(
                        message=f"{source[:200]} is downloaded, and nobody checks what it is",
                        hint="Write ADD --checksum=sha256:….",
                        line=instruction.at.line,
                    )


@_dockerfile_rule("WGO621", Severity.NOTE)
def stages_are_used(subject: DockerfileSubject) -> Iterator[Problem]:
    """Every stage is needed by the image, or is a target of its own.

    Why:
        A stage that nothing needs is not built: its tests do not run, and its mistakes are not found.

    Example:
        `FROM golang AS test` / `RUN go test ./...`, which no later stage copies from.

    Mend:
        Build it with `--target`, or copy something of it.
    """
    for stage in subject.dockerfile.stages:
        if stage.name in subject.plan.left_out:
            yield Problem(
                message=f"the stage {stage.name} is not needed by the image",
                hint=f"Build it with --target {stage.name}, or leave it out.",
                line=stage.start.at.line,
            )


DOCKERFILE_RULES: tuple[Rule[DockerfileSubject], ...] = tuple(
    sorted((item for item in list(globals().values()) if isinstance(item, Rule)), key=lambda item: item.id)
)
