"""`parse_dockerfile`: nodes → instructions, with the rules of each (BuildKit's `frontend/dockerfile/instructions/parse.go`)."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from wingo.dockerfile.flags import Flags, Kind
from wingo.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    CommandLine,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Pairs,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from wingo.dockerfile.mounts import check_mount
from wingo.dockerfile.nodes import KEYWORDS, Heredoc, Node, Nodes, heredoc_word, read_nodes
from wingo.dockerfile.source import At, DockerfileError, nearest
from wingo.dockerfile.words import SPACES

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*\Z")
_DURATION = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAX_DURATION = (1 << 63) - 1
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")


def parse_dockerfile(data: bytes, file: str = "Dockerfile") -> Dockerfile:
    """Reads a Dockerfile.

    Args:
        data: its bytes.
        file: its name, for messages.

    Raises:
        DockerfileError: the first thing in it that is wrong, with its line.
    """
    nodes = read_nodes(data, file)
    arguments: list[Arg] = []
    stages: list[Stage] = []
    start: From | None = None
    body: list[Instruction] = []
    for node in nodes.nodes:
        if node.keyword.lower() == "from":
            if start is not None:
                stages.append(Stage(len(stages), start, tuple(body)))
            start, body = _from(node), []
            continue
        instruction = parse_instruction(node)
        if start is not None:
            body.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise DockerfileError(
                node.at,
                f"{node.keyword.upper()} stands before the first FROM",
                hint="Only ARG may; begin with a FROM.",
            )
    if start is None:
        raise DockerfileError(
            nodes.nodes[-1].at, "the Dockerfile has no FROM", hint="Write FROM with the image to build on."
        )
    stages.append(Stage(len(stages), start, tuple(body)))
    return Dockerfile(file, nodes.escape, tuple(arguments), tuple(stages), nodes.syntax, nodes.check, nodes.warnings)


def parse_trigger(expression: str, escape: str, file: str) -> Instruction:
    """The instruction of an image's `OnBuild` list, which a FROM of that image runs.

    Raises:
        DockerfileError: it is none, or one that a trigger cannot be.
    """
    directive = "" if escape == "\\" else f"# escape={escape}\n"
    nodes: Nodes = read_nodes((directive + expression).encode("utf-8", "replace"), file)
    if len(nodes.nodes) != 1:
        raise DockerfileError(nodes.nodes[0].at, "an ONBUILD trigger is one instruction")
    node = nodes.nodes[0]
    _check_trigger(node)
    return parse_instruction(node)


def parse_instruction(node: Node) -> Instruction:
    """Understands an instruction that is no FROM.

    Raises:
        DockerfileError: it is unknown, or what it was given does not fit.
    """
    parser = _PARSERS.get(node.keyword.lower())
    if parser is None:
        hint = nearest(node.keyword.lower(), KEYWORDS, "Did you mean {}?")
        hint = re.sub(r" (\w+)\?", lambda found: f" {found[1].upper()}?", hint)
        raise DockerfileError(node.at, f"unknown instruction {node.keyword[:40]!r}", hint=hint)
    return parser(node)


def _no_flags(node: Node) -> None:
    Flags(node.flags, {}, node.at)


def _from(node: Node) -> From:
    flags = Flags(node.flags, {"platform": Kind.TEXT}, node.at)
    words = node.arguments
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
        if not _STAGE_NAME.match(name):
            raise DockerfileError(
                node.at,
                f"{words[2][:80]!r} cannot be the name of a stage",
                hint="Use letters, digits, '-', '_' and '.', a letter first.",
            )
        return From(node.at, words[0], flags.text("platform"), name)
    if len(words) != 1:
        raise DockerfileError(
            node.at,
            "FROM takes an image, and AS with a name if you like",
            hint="Write FROM IMAGE or FROM IMAGE AS NAME.",
        )
    return From(node.at, words[0], flags.text("platform"))


def _pairs(node: Node) -> Pairs:
    _no_flags(node)
    keyword, words = node.keyword.upper(), node.arguments
    if not words:
        raise _too_few(node)
    pairs = tuple(zip(words[::3], words[1::3], strict=True))
    if not all(name for name, _ in pairs):
        raise DockerfileError(node.at, f"a name of {keyword} is empty", hint=f"Write {keyword} NAME=VALUE.")
    return pairs


def _too_few(node: Node) -> DockerfileError:
    return DockerfileError(node.at, f"{node.keyword.upper()} needs at least one argument")


def _one(node: Node) -> str:
    _no_flags(node)
    if len(node.arguments) != 1:
        raise DockerfileError(node.at, f"{node.keyword.upper()} needs exactly one argument")
    return node.arguments[0]


def _some(node: Node) -> tuple[str, ...]:
    _no_flags(node)
    if not node.arguments:
        raise _too_few(node)
    return node.arguments


def _arg(node: Node) -> Arg:
    if not node.arguments:
        raise _too_few(node)
    pairs: list[tuple[str, str | None]] = []
    for word in node.arguments:
        name, equals, value = word.partition("=")
        if not name:
            raise DockerfileError(node.at, "a name of ARG is empty", hint="Write ARG NAME or ARG NAME=VALUE.")
        pairs.append((name, value if equals else None))
    return Arg(node.at, tuple(pairs))


_PLACED = {"chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.SWITCH, "exclude": Kind.LIST}


def _sources(node: Node) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    if len(node.arguments) < 2:
        raise DockerfileError(
            node.at,
            f"{node.keyword.upper()} needs two arguments at least: what to copy, and where to",
            hint=f"Write {node.keyword.upper()} SOURCE... DESTINATION.",
        )
    *sources, destination = node.arguments
    if not node.exec_form and heredoc_word(destination) is not None:
        raise DockerfileError(node.at, f"a heredoc cannot be the destination of {node.keyword.upper()}")
    known = {heredoc.name: heredoc for heredoc in node.heredocs}
    paths: list[str] = []
    documents: list[Heredoc] = []
    for source in sources:
        word = heredoc_word(source) if node.heredocs else None
        if word is None:
            paths.append(source)
        else:
            documents.append(known.get(word.name, word))
    return tuple(paths), tuple(documents), destination


def _copy(node: Node) -> Copy:
    flags = Flags(node.flags, {"from": Kind.TEXT, "parents": Kind.SWITCH, **_PLACED}, node.at)
    sources, documents, destination = _sources(node)
    return Copy(
        at=node.at,
        sources=sources,
        destination=destination,
        documents=documents,
        source_stage=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        parents=bool(flags.switch("parents")),
        excludes=flags.texts("exclude"),
    )


def _add(node: Node) -> Add:
    more = {"checksum": Kind.TEXT, "unpack": Kind.SWITCH, "keep-git-dir": Kind.SWITCH}
    flags = Flags(node.flags, {**_PLACED, **more}, node.at)
    sources, documents, destination = _sources(node)
    return Add(
        at=node.at,
        sources=sources,
        destination=destination,
        documents=documents,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        excludes=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        unpack=flags.switch("unpack"),
        keep_git_dir=flags.switch("keep-git-dir"),
    )


def _command(node: Node, arguments: tuple[str, ...] | None = None) -> CommandLine:
    words = node.arguments if arguments is None else arguments
    return CommandLine(words, node.exec_form, node.heredocs)


def _run(node: Node) -> Run:
    known = {"mount": Kind.LIST, "network": Kind.TEXT, "security": Kind.TEXT, "device": Kind.LIST}
    flags = Flags(node.flags, known, node.at)
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    for name, value, values in (("network", network, _NETWORKS), ("security", security, _SECURITY)):
        if value not in values:
            raise DockerfileError(node.at, f"--{name} is {' or '.join(values)}, not {value[:40]!r}")
    if flags.texts("device"):
        raise DockerfileError(
            node.at,
            "wingo gives no devices to RUN",
            hint="Leave --device out, or build this image where the device is.",
        )
    for mount in flags.texts("mount"):
        check_mount(mount, node.at)
    return Run(at=node.at, command=_command(node), mounts=flags.texts("mount"), network=network, security=security)


def _cmd(node: Node) -> Cmd:
    _no_flags(node)
    return Cmd(node.at, _command(node))


def _entrypoint(node: Node) -> Entrypoint:
    _no_flags(node)
    return Entrypoint(node.at, _command(node))


def _shell(node: Node) -> Shell:
    arguments = _some(node)
    if not node.exec_form:
        raise DockerfileError(
            node.at, "SHELL must be a JSON array", hint='Write for instance SHELL ["powershell", "-Command"].'
        )
    return Shell(node.at, arguments)


def _volume(node: Node) -> Volume:
    paths = tuple(path.strip(SPACES) for path in _some(node))
    if not all(paths):
        raise DockerfileError(node.at, "a path of VOLUME is empty")
    return Volume(node.at, paths)


def _onbuild(node: Node) -> Onbuild:
    _no_flags(node)
    if node.child is None:
        raise _too_few(node)
    _check_trigger(node.child)
    expression = re.sub(r"(?i)^\s*ONBUILD\s*", "", node.at.text)
    for heredoc in node.heredocs:
        expression += f"\n{heredoc.content}{heredoc.name}"
    return Onbuild(node.at, expression)


def _check_trigger(node: Node) -> None:
    keyword = node.keyword.upper()
    if keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        raise DockerfileError(node.at, f"{keyword} cannot be an ONBUILD trigger")
    if keyword.lower() in KEYWORDS:
        # What is wrong in it is found now, not by those who build upon the image.
        parse_instruction(node)


def _healthcheck(node: Node) -> Healthcheck:
    if not node.arguments:
        raise _too_few(node)
    kind, words = node.arguments[0].upper(), node.arguments[1:]
    times = ("interval", "timeout", "start-period", "start-interval")
    if kind == "NONE":
        _no_flags(node)
        if words:
            raise DockerfileError(node.at, "HEALTHCHECK NONE takes no arguments")
        return Healthcheck(at=node.at, test=("NONE",))
    flags = Flags(node.flags, dict.fromkeys((*times, "retries"), Kind.TEXT), node.at)
    if kind != "CMD":
        raise DockerfileError(
            node.at, f"HEALTHCHECK has no {node.arguments[0][:40]!r}", hint="Write HEALTHCHECK CMD COMMAND, or NONE."
        )
    if not words:
        raise DockerfileError(node.at, "HEALTHCHECK CMD needs a command")
    interval, timeout, start_period, start_interval = (_duration(flags.text(name), name, node.at) for name in times)
    retries = flags.text("retries", "0")
    if not re.fullmatch(r"\+?[0-9]{1,9}", retries):
        raise DockerfileError(node.at, f"--retries is a number from 0, not {retries[:40]!r}")
    return Healthcheck(
        at=node.at,
        test=("CMD" if node.exec_form else "CMD-SHELL", *words),
        interval=interval,
        timeout=timeout,
        start_period=start_period,
        start_interval=start_interval,
        retries=int(retries),
    )


def _duration(text: str, name: str, at: At) -> int:
    """Nanoseconds of Go's `time.ParseDuration`."""
    if not text:
        return 0
    body = text.removeprefix("+")
    parts = _DURATION.findall(body)
    if body != "0" and (not parts or "".join(number + unit for number, unit in parts) != body or len(body) > 40):
        raise DockerfileError(at, f"--{name} is a duration such as 30s or 1m30s, not {text[:40]!r}")
    total = int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if total > _MAX_DURATION or 0 < total < _UNITS["ms"]:
        raise DockerfileError(at, f"--{name} is from 1ms to 292 years, not {text[:40]!r}")
    return total


_PARSERS: dict[str, Callable[[Node], Instruction]] = {
    "add": _add,
    "arg": _arg,
    "cmd": _cmd,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "env": lambda node: Env(node.at, _pairs(node)),
    "expose": lambda node: Expose(node.at, tuple(sorted(_some(node)))),
    "healthcheck": _healthcheck,
    "label": lambda node: Label(node.at, _pairs(node)),
    "maintainer": lambda node: Maintainer(node.at, _one(node)),
    "onbuild": _onbuild,
    "run": _run,
    "shell": _shell,
    "stopsignal": lambda node: StopSignal(node.at, _one(msgspec.structs.replace(node, flags=()))),
    "user": lambda node: User(node.at, _one(node)),
    "volume": _volume,
    "workdir": lambda node: Workdir(node.at, _one(node)),
}
