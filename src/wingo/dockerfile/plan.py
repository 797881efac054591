"""The plan of a build: for every instruction of every stage that the result needs, what is done, and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from wingo.dockerfile.assumptions import likely_argument
from wingo.dockerfile.bases import BaseFacts, assume_facts
from wingo.dockerfile.expand import ExpansionError, expand
from wingo.dockerfile.git_sources import parse_git
from wingo.dockerfile.gosteps import GoDecision, decide
from wingo.dockerfile.graph import Graph, Options, Source, SourceKind, StageNode, make_graph, source_of
from wingo.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from wingo.dockerfile.mounts import Mount, parse_mount
from wingo.dockerfile.nodes import Heredoc, heredoc_word
from wingo.dockerfile.parse import parse_trigger
from wingo.dockerfile.planned import LoweredStep, Plan, StagePlan, WindowsStage
from wingo.dockerfile.settings import StageSettings
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import (
    CopyFiles,
    MakeDirectory,
    RunGo,
    RunLowered,
    RunSandbox,
    Step,
    StepKind,
    TextFile,
)
from wingo.dockerfile.toolchains import ToolchainImage
from wingo.errors import RemoteError, RequestError
from wingo.oci.config import ImageConfig
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference

Facts = Callable[[Reference, Platform], BaseFacts]
"""What is known of a base for a platform."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_FETCHES = re.compile(
    r"(?:^|[\s;&|(\"'])(?:apt-get|apt|apk|dnf|yum|tdnf|microdnf|zypper|curl|wget|git|pip3?|npm|yarn|go|cargo|gem|ssh)\s|https?://"
)
"""A command that looks as if it fetched something."""


def plan_dockerfile(
    dockerfile: Dockerfile,
    options: Options,
    *,
    facts: Facts | None = None,
    windows: Callable[[BaseFacts], WindowsStage] | None = None,
    graph: Graph | None = None,
) -> Plan:
    """Plans the image of a Dockerfile for one platform.

    Args:
        dockerfile: the language.
        options: what is asked for.
        facts: what is known of bases; by default what their names say.
        windows: begins the planning of a Windows stage's files.
        graph: when it is there already.

    Raises:
        DockerfileError: an instruction cannot be understood.
        RequestError: no such target.
    """
    return _Planner(
        dockerfile, options, facts or assume_facts, windows, graph or make_graph(dockerfile, options)
    ).plan()


class _Planner:
    def __init__(
        self,
        dockerfile: Dockerfile,
        options: Options,
        facts: Facts,
        windows: Callable[[BaseFacts], WindowsStage] | None,
        graph: Graph,
    ) -> None:
        self.dockerfile, self.options, self.facts_of, self.begin = dockerfile, options, facts, windows
        self.graph = graph
        self.facts: dict[int, BaseFacts] = {}
        self.settings: dict[int, StageSettings] = {}
        self.files: dict[int, WindowsStage | None] = {}
        self.triggers: dict[int, tuple[Instruction, ...]] = {}

    def plan(self) -> Plan:
        nodes = [self.graph.nodes[number] for number in self.graph.reachable]
        for node in nodes:
            self.facts[node.stage.number] = self._facts(node)
        stages = tuple(self._stage(node) for node in nodes)
        left_out = [node.stage.name for node in self.graph.nodes if node.stage.number not in self.graph.reachable]
        return Plan(
            file=self.dockerfile.file,
            platform=self.graph.platform,
            target=self.graph.target,
            stages=stages,
            left_out=tuple(left_out),
            warnings=self.dockerfile.warnings,
        )

    def _facts(self, node: StageNode) -> BaseFacts:
        match node.base.kind:
            case SourceKind.STAGE:
                return self.facts[node.base.stage]
            case SourceKind.IMAGE:
                assert node.base.image is not None
                at = node.stage.start.at
                try:
                    return self.facts_of(node.base.image, node.platform)
                except RequestError as error:
                    raise DockerfileError(at, str(error), hint=error.hint) from error
                except RemoteError as error:
                    raise RemoteError(f"{at}: {error}", status=error.status, hint=error.hint) from error
            case _:
                system = node.platform.os
                config = ImageConfig(os=system, architecture=node.platform.architecture, variant=node.platform.variant)
                return BaseFacts(platform=node.platform, config=config, libc="none" if system != "windows" else "")

    def _stage(self, node: StageNode) -> StagePlan:
        number = node.stage.number
        facts = self.facts[number]
        if node.base.kind is SourceKind.STAGE:
            settings = self.settings[node.base.stage].copy()
            below = self.files[node.base.stage]
            files = below.fork() if below is not None else None
            triggers = self._triggers(tuple(self.settings[node.base.stage].triggers), node)
        else:
            settings = StageSettings(facts)
            files = self.begin(facts) if settings.windows and self.begin is not None else None
            triggers = self._triggers(facts.on_build, node)
        planning = _StagePlanner(self, node, facts, settings, files)
        steps = [planning.step(instruction) for instruction in (*triggers, *node.stage.instructions)]
        self.settings[number], self.files[number] = settings, files
        only = facts.toolchain is not None and number != self.graph.target
        return StagePlan(
            number=number,
            name=node.stage.name,
            base=node.base,
            platform=node.platform,
            why=node.why,
            steps=tuple(steps),
            facts=facts,
            settings=settings,
            compiles_only=only and not any(isinstance(step.action, RunSandbox) for step in steps),
            output=self.output_platform(number),
        )

    def _triggers(self, expressions: tuple[str, ...], node: StageNode) -> tuple[Instruction, ...]:
        at = node.stage.start.at
        return tuple(parse_trigger(expression, "\\", f"{at}, ONBUILD of its base") for expression in expressions)

    def output_platform(self, number: int) -> Platform:
        """The platform of what a stage's compiler output runs on: where it is copied to in the end."""
        if number == self.graph.target:
            return self.graph.nodes[number].platform
        for other in self.graph.reachable:
            node = self.graph.nodes[other]
            if other == number or number not in node.uses:
                continue
            runs = any(isinstance(item, Run) for item in node.stage.instructions)
            if (
                node.base.stage != number
                and runs
                and self.facts[other].toolchain is None
                and other != self.graph.target
            ):
                return node.platform
            return self.output_platform(other)
        return self.graph.nodes[self.graph.target].platform


class _StagePlanner:
    def __init__(
        self,
        planner: _Planner,
        node: StageNode,
        facts: BaseFacts,
        settings: StageSettings,
        files: WindowsStage | None,
    ) -> None:
        self.planner, self.node, self.facts, self.settings, self.files = planner, node, facts, settings, files
        self.options = planner.options
        self.escape = planner.dockerfile.escape
        self.notes: list[str] = []

    # Variables

    def expand(self, text: str, at: At, *, quotes: bool = True) -> str:
        try:
            found = expand(text, self.settings.variables, self.escape if quotes else "\\", quotes=quotes)
        except ExpansionError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        for name in found.unset:
            # On Windows `$env:X` in ENV is a mistake of its own, and PATH is in the registry.
            self.notes.append(f"${name} is not set here and is empty" if name != "PATH" else _PATH_NOTE)
        return found.text

    def expand_all(self, texts: tuple[str, ...], at: At) -> tuple[str, ...]:
        return tuple(self.expand(text, at) for text in texts)

    # Steps

    def step(self, instruction: Instruction) -> Step:
        """Plans an instruction, and changes the stage's settings by it."""
        self.notes = []
        at = instruction.at
        lines = len(self.settings.history)
        try:
            step = self._step(instruction)
        except DockerfileError:
            raise
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        notes = tuple(dict.fromkeys((*self.notes, *step.notes)))
        history = self.settings.history[lines] if len(self.settings.history) > lines else None
        return msgspec.structs.replace(step, notes=notes, history=history)

    def _step(self, instruction: Instruction) -> Step:
        match instruction:
            case Run():
                return self._run(instruction)
            case Copy() | Add():
                return self._copy(instruction)
            case Workdir():
                return self._workdir(instruction)
            case _:
                return Step(
                    at=instruction.at,
                    text=printable(instruction.at.text),
                    kind=StepKind.METADATA,
                    why=self._metadata(instruction),
                )

    def _metadata(self, instruction: Instruction) -> str:
        settings, at = self.settings, instruction.at
        match instruction:
            case Arg(_, pairs):
                for name, default in pairs:
                    self._argument(self.expand(name, at), default, at)
                return "an argument of the build, not of the image"
            case Env(_, pairs):
                expanded = [(self.expand(name, at), self.expand(value, at)) for name, value in pairs]
                for name, value in expanded:
                    settings.set_variable(name, value)
                settings.say("ENV " + " ".join(f"{name}={value}" for name, value in expanded))
            case Label(_, pairs):
                for name, value in pairs:
                    settings.labels[self.expand(name, at)] = self.expand(value, at)
                settings.changed.add("labels")
                settings.say(printable(at.text, 4096))
            case User(_, user):
                settings.set_user(self.expand(user, at))
                settings.say(f"USER {settings.user}")
            case Expose(_, ports):
                for text in ports:
                    for port in self.expand(text, at).split():
                        settings.expose(port)
                settings.say(printable(at.text, 4096))
            case Volume(_, paths):
                for path in paths:
                    expanded_path = self.expand(path, at)
                    settings.add_volume(expanded_path)
                settings.say(printable(at.text, 4096))
            case Cmd(_, command):
                settings.set_command(command)
                settings.say(printable(at.text, 4096))
            case Entrypoint(_, command):
                settings.set_entrypoint(command)
                settings.say(printable(at.text, 4096))
            case Healthcheck():
                settings.healthcheck = instruction
                settings.say(printable(at.text, 4096))
            case StopSignal(_, signal):
                settings.set_stop_signal(self.expand(signal, at))
                if settings.windows:
                    self.notes.append(
                        "STOPSIGNAL means nothing on Windows, where a stop reaches a Go program as SIGTERM"
                    )
                settings.say(printable(at.text, 4096))
            case Shell(_, arguments):
                settings.shell = arguments
                settings.changed.add("shell")
                settings.say(printable(at.text, 4096))
            case Onbuild(_, expression):
                settings.triggers.append(expression)
                return "for those who build upon the image"
            case Maintainer(_, name):
                settings.author = name
                settings.say(printable(at.text, 4096))
            case _:
                raise AssertionError(instruction)
        return "the image's config"

    def _argument(self, name: str, default: str | None, at: At) -> None:
        given = self.options.build_args.get(name)
        if given is None and default is None:
            given = self.planner.graph.arguments.get(name)
            if given is None and self.options.assume:
                given = likely_argument(name)
        elif given is None and default is not None:
            given = self.expand(default, at)
        self.settings.set_argument(name, given)

    def _workdir(self, instruction: Workdir) -> Step:
        path = self.settings.set_directory(self.expand(instruction.path, instruction.at))
        if self.files is not None:
            self.files.make_directory(path)
        self.settings.say(f"WORKDIR {path}", layer=True)
        return Step(
            at=instruction.at,
            text=printable(instruction.at.text),
            kind=StepKind.FILES,
            why="the directory, where it is not there",
            action=MakeDirectory(path, self.settings.user),
        )

    def _document(self, heredoc: Heredoc, at: At) -> TextFile:
        text = self.expand(heredoc.text, at, quotes=False) if heredoc.expand else heredoc.text
        return TextFile(heredoc.name, text)

    def _copy(self, instruction: Copy | Add) -> Step:
        at = instruction.at
        source = Source(SourceKind.CONTEXT)
        if isinstance(instruction, Copy) and instruction.source_stage:
            source = _source_of(self.planner, instruction.source_stage, self.node, at)
        destination = self.expand(instruction.destination, at)
        if destination in ("", "."):
            destination = "./"
        adds = isinstance(instruction, Add)
        action = CopyFiles(
            source=source,
            sources=self.expand_all(instruction.sources, at),
            destination=self.settings.absolute(destination),
            documents=tuple(self._document(item, at) for item in instruction.documents),
            chown=self.expand(instruction.chown, at),
            chmod=self.expand(instruction.chmod, at),
            parents=instruction.parents if isinstance(instruction, Copy) else False,
            link=instruction.link,
            excludes=self.expand_all(instruction.excludes, at),
            add=adds,
            unpack=(instruction.unpack is not False) if isinstance(instruction, Add) else False,
            checksum=self.expand(instruction.checksum, at) if isinstance(instruction, Add) else "",
            keep_git=bool(instruction.keep_git_dir) if isinstance(instruction, Add) else False,
        )
        for text in action.sources:
            if text.startswith(("http://", "https://")) and not adds:
                raise DockerfileError(at, "COPY takes no URL", hint="Write ADD, which fetches it.")
        if len(action.sources) + len(action.documents) > 1 and not action.destination.endswith(("/", "\\")):
            raise DockerfileError(
                at,
                "several things are copied, so the destination must be a directory",
                hint=f"End it with a slash: {printable(instruction.destination, 80)}/",
            )
        if self.files is not None:
            self.files.copy(action, self.planner.files.get(action.source.stage))
        self.settings.say(printable(at.text, 4096), layer=True)
        where = f"from {source}"
        if any(text.startswith(("http://", "https://")) for text in action.sources):
            where = "downloaded, which needs --allow-network"
        if adds and any(parse_git(text) is not None for text in action.sources):
            where = "fetched by git, which needs --allow-network"
        return Step(at=at, text=printable(at.text), kind=StepKind.FILES, why=where, action=action)

    # RUN

    def _run(self, instruction: Run) -> Step:
        at = instruction.at
        text = printable(at.text)
        try:
            kind, why, action, more = self._run_action(instruction)
        except _Impossible as found:
            self.settings.say(printable(at.text, 4096), layer=True)
            return Step(
                at=at, text=text, kind=StepKind.IMPOSSIBLE, why=found.reason, advice=found.advice, edits=found.edits
            )
        self.settings.say(printable(f"RUN {instruction.command.text}", 4096), layer=True)
        toolchain = self.facts.toolchain
        if kind is StepKind.GO and toolchain is not None and toolchain.too_old:
            self.notes.append(
                f"Go {toolchain.version} is too old to be fetched as a toolchain: the local Go compiles, in the language that go.mod names"
            )
        return Step(at=at, text=text, kind=kind, why=why, action=action, edits=more.edits, notes=more.notes)

    def _run_action(self, instruction: Run) -> tuple[StepKind, str, RunGo | RunSandbox | RunLowered, LoweredStep]:
        if not instruction.command.arguments:
            raise DockerfileError(instruction.at, "RUN needs a command")
        if instruction.security == "insecure":
            raise _Impossible(
                "--security=insecure: wingo gives no step more rights than the sandbox has", "Leave it out."
            )
        command, script = self._command_text(instruction)
        if self.settings.windows:
            return self._run_windows(instruction, command)
        text = command if isinstance(command, str) else ""
        more = LoweredStep()
        toolchain = self.facts.toolchain
        reason = ""
        if toolchain is not None and text and not script and self.settings.running_shell[-1:] == ("-c",):
            decision = self._go(text, toolchain)
            if decision.action is not None:
                return StepKind.GO, decision.why, decision.action, LoweredStep(notes=decision.notes)
            reason = f"; {decision.why}"
        argv = (*self.settings.running_shell, command) if isinstance(command, str) else command
        environment = {**self._proxies(), **self.settings.variables}
        mounts = tuple(self._mount(mount, instruction.at) for mount in instruction.mounts)
        action = RunSandbox(
            argv=argv,
            script=script,
            environment=tuple(f"{name}={value}" for name, value in environment.items()),
            directory=self.settings.directory,
            user=self.settings.user,
            mounts=mounts,
            network=instruction.network,
            wants_network=instruction.network != "none" and _FETCHES.search(f"{text or ' '.join(argv)} ") is not None,
        )
        why = "executed over the stage's file system" + reason
        if action.wants_network:
            why += "; it seems to fetch something, which needs --allow-network"
        return StepKind.SANDBOX, why, action, more

    def _go(self, text: str, toolchain: ToolchainImage) -> GoDecision:
        experiment = self.settings.variables.get("GOEXPERIMENT") or ""
        if toolchain.microsoft and re.search(r"\bms_|systemcrypto|opensslcrypto|cngcrypto|darwincrypto", experiment):
            return GoDecision(
                None, f"GOEXPERIMENT={printable(experiment, 60)} is known to Microsoft's Go alone, which the image has"
            )
        number = self.node.stage.number
        output = self.planner.output_platform(number)
        final = self.planner.facts.get(self.planner.graph.target)
        return decide(
            text,
            self.settings.variables,
            self.settings.directory,
            toolchain=toolchain,
            output=output,
            final=final,
        )

    def _command_text(self, instruction: Run) -> tuple[str | tuple[str, ...], str]:
        """The command, its heredocs put in; and the script of a heredoc that begins with `#!`."""
        command = instruction.command
        if command.exec_form:
            return command.arguments, ""
        text = command.text
        if not command.heredocs:
            return text, ""
        if heredoc_word(text) is not None:
            body = command.heredocs[0].text
            return (body, body) if body.startswith("#!") and not self.settings.windows else (body, "")
        return "\n".join((text, *(f"{item.content}{item.name}" for item in command.heredocs))), ""

    def _proxies(self) -> Mapping[str, str]:
        return {name: value for name, value in self.options.build_args.items() if name.upper() in _PROXIES}

    def _mount(self, text: str, at: At) -> tuple[Mount, Source]:
        mount = parse_mount(text, at, lambda value: self.expand(value, at))
        source = Source(SourceKind.CONTEXT)
        if mount.source_stage:
            source = _source_of(self.planner, mount.source_stage, self.node, at)
        return mount, source

    def _run_windows(
        self, instruction: Run, command: str | tuple[str, ...]
    ) -> tuple[StepKind, str, RunLowered, LoweredStep]:
        if instruction.mounts and any("type=cache" not in mount for mount in instruction.mounts):
            raise _Impossible(
                "a Windows RUN is no process here, so that nothing can be mounted for it",
                "COPY what it needs; a cache mount does no harm.",
            )
        action = RunLowered(
            command=command,
            shell=self.settings.running_shell,
            environment=tuple({**self._proxies(), **self.settings.variables}.items()),
            directory=self.settings.directory,
            user=self.settings.user,
        )
        if self.files is None:
            raise _Impossible("this Windows RUN cannot be lowered here")
        found = self.files.run(action)
        if found.reason:
            raise _Impossible(found.reason, found.advice, found.edits)
        count = len(found.edits)
        why = f"{count} edit{'s' * (count != 1)}" if count else "it changes nothing"
        kind = StepKind.LOWERED
        if any(edit.startswith("run the Windows program ") for edit in found.edits):
            kind, why = StepKind.WINE, f"run by Wine, which is not Windows; {why}"
        if self.facts.toolchain is not None and any(edit.startswith("run go ") for edit in found.edits):
            kind, output = StepKind.GO, self.planner.output_platform(self.node.stage.number)
            why = f"the local Go compiles for {output.os}/{output.architecture}; {why}"
        return kind, why, action, found


class _Impossible(Exception):
    def __init__(self, reason: str, advice: str = "", edits: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.advice, self.edits = reason, advice, edits


_PATH_NOTE = "$PATH is empty here: a Windows base has its PATH in the registry, and a PATH in the config hides it, System32 included"


def _source_of(planner: _Planner, name: str, node: StageNode, at: At) -> Source:
    return source_of(planner.dockerfile, planner.options, name, node.stage, at)
