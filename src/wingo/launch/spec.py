"""What is to run: `RunSpec`, made from an image's config and a request, without looking at the machine.

The rules are Docker's (`docker run`, image-spec `config.md`): an entrypoint that is given drops the image's Cmd,
arguments take the Cmd's place, variables are added to the image's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum

import msgspec

from wingo.errors import RequestError
from wingo.oci.config import ContainerConfig, ImageConfig
from wingo.oci.platform import Platform

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A Linux program's PATH where neither the image nor the request has one, as Docker sets it."""
GRACE_SECONDS = 10.0
"""From the polite signal to SIGKILL, as `docker stop` waits."""
DEFAULT_PIDS = 2048
"""Processes and threads of one container where nobody says how many: a fork bomb ends there."""
DEFAULT_DISK = 10 << 30
"""Bytes that a container may write where nobody says how many."""

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([bkmgt]?)(?:i?b)?\Z", re.IGNORECASE)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}\Z")
_MINIMUM_MEMORY = 1 << 20


class Network(Enum):
    """What a program can reach.

    NONE: itself, on its own loopback. PRIVATE: that, its published ports, and the outside where slirp4netns or pasta
    is installed. HOST: what this machine reaches.
    """

    NONE = "none"
    PRIVATE = "private"
    HOST = "host"


class Port(msgspec.Struct, frozen=True):
    """A port of the program that this machine listens on.

    Attributes:
        port: the program's.
        host_port: this machine's; 0: any that is free.
        host_address: the address of this machine to listen on.
        protocol: "tcp" or "udp".
    """

    port: int
    host_port: int = 0
    host_address: str = "127.0.0.1"
    protocol: str = "tcp"

    def __str__(self) -> str:
        address = f"[{self.host_address}]" if ":" in self.host_address else self.host_address
        return f"{address}:{self.host_port}->{self.port}/{self.protocol}"


class MountKind(Enum):
    """What is mounted."""

    BIND = "bind"
    TMPFS = "tmpfs"
    NOTHING = "nothing"
    """What is there is covered, and can neither be read nor written."""


class Mount(msgspec.Struct, frozen=True):
    """Something that is mounted over the image's files.

    Attributes:
        target: where, in the container.
        source: a file or directory of this machine; "" for a tmpfs.
        kind: what it is.
        read_only: whether nothing may be written to it.
        size: bytes of a tmpfs; 0: half of the memory.
    """

    target: str
    source: str = ""
    kind: MountKind = MountKind.BIND
    read_only: bool = False
    size: int = 0


class Limits(msgspec.Struct, frozen=True):
    """How much a container may use.

    Attributes:
        memory: bytes; 0: no limit of its own.
        cpus: processors' worth of time; 0: no limit.
        pids: processes and threads; 0: no limit.
        disk: bytes written to the writable layer; 0: no limit.
    """

    memory: int = 0
    cpus: float = 0.0
    pids: int = DEFAULT_PIDS
    disk: int = DEFAULT_DISK


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted beside what the image says; None and empty: as the image says.

    Attributes:
        args: after `--`: in the Cmd's place.
        env: `NAME=value` items; a later one wins.
        entrypoint: instead of the image's; an empty tuple: none.
        network: None: private.
        stop_signal: instead of the image's.
    """

    name: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    cwd: str | None = None
    entrypoint: tuple[str, ...] | None = None
    limits: Limits = Limits()
    read_only: bool = False
    network: Network | None = None
    hostname: str = ""
    tty: bool = False
    detach: bool = False
    remove: bool = False
    timeout: float = 0.0
    grace: float = GRACE_SECONDS
    stop_signal: str = ""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run, complete.

    Attributes:
        platform: the image's.
        argv: the program and its arguments; the program may be a name that PATH is to find.
        env: `NAME=value` items, each name once.
        cwd: an absolute path in the container.
        user: as in the image's config: "", a name or number, with a group after a colon.
        ports: what is published.
        mounts: what lies over the image's files, in order.
        limits: how much it may use.
        network: what it can reach.
        read_only: whether the image's files cannot be changed.
        tty: whether it gets a terminal.
        detach: whether it goes on when wingo has returned.
        remove: whether its writable layer goes when it ends.
        timeout: seconds that it may run; 0: no limit.
        grace: seconds from the polite signal to SIGKILL.
        stop_signal: the polite signal, "SIGTERM".
        volumes: the paths that the image calls volumes.
        args_escaped: Windows: the first argument is a whole command line (`ContainerConfig.args_escaped`).
    """

    name: str
    platform: Platform
    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    hostname: str = ""
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    network: Network = Network.PRIVATE
    read_only: bool = False
    tty: bool = False
    detach: bool = False
    remove: bool = False
    timeout: float = 0.0
    grace: float = GRACE_SECONDS
    stop_signal: str = "SIGTERM"
    volumes: tuple[str, ...] = ()
    args_escaped: bool = False


def plan_run(config: ImageConfig, request: RunRequest) -> RunSpec:
    """An image's config and a request, merged by Docker's rules.

    Args:
        config: the image's.
        request: has a name.

    Raises:
        RequestError: there is nothing to run, or two wishes contradict each other.
    """
    settings = config.settings
    argv = _argv(settings, request)
    if not argv:
        raise RequestError(
            "the image names no program: it has neither Entrypoint nor Cmd",
            hint="Say what to run: wingo run PLACE -- PROGRAM ARGUMENT ...",
        )
    if request.detach and request.tty:
        raise RequestError("a program that runs detached has no terminal", hint="Leave out -d, or read 'wingo logs'.")
    if request.ports and request.network is Network.NONE:
        raise RequestError(
            "--network none and a published port contradict each other", hint="Use --network private, the default."
        )
    for what in (*argv, *request.env, request.user or "", request.cwd or ""):
        if "\0" in what:
            raise RequestError(f"{what[:80]!r} has a NUL in it, which no argument or variable can have")
    windows = config.os == "windows"
    return RunSpec(
        name=request.name,
        platform=config.platform,
        argv=argv,
        env=_environment(settings, request.env, windows=windows),
        cwd=_cwd(request.cwd if request.cwd is not None else settings.working_dir, windows=windows),
        user=settings.user if request.user is None else request.user,
        hostname=request.hostname or request.name,
        ports=request.ports,
        mounts=request.mounts,
        limits=request.limits,
        network=request.network or Network.PRIVATE,
        read_only=request.read_only,
        tty=request.tty,
        detach=request.detach,
        remove=request.remove,
        timeout=request.timeout,
        grace=request.grace,
        stop_signal=request.stop_signal or settings.stop_signal or "SIGTERM",
        volumes=tuple(sorted(settings.volumes or {})),
        args_escaped=settings.args_escaped and request.entrypoint is None and not request.args,
    )


def _argv(settings: ContainerConfig, request: RunRequest) -> tuple[str, ...]:
    if request.entrypoint is not None:
        return (*request.entrypoint, *request.args)
    return (*(settings.entrypoint or ()), *(request.args or settings.cmd or ()))


def _environment(settings: ContainerConfig, more: Sequence[str], *, windows: bool) -> tuple[str, ...]:
    """Each name once, a later value in the place of the first; Windows's names have no case."""
    found: dict[str, str] = {}
    for item in (*(() if windows else (PATH,)), *(settings.env or ()), *more):
        name = item.partition("=")[0]
        found[name.upper() if windows else name] = item
    return tuple(found.values())


def _cwd(text: str, *, windows: bool) -> str:
    if windows:
        return text or "C:\\"
    if text and not text.startswith("/"):
        raise RequestError(f"the working directory {text[:80]!r} is not absolute", hint="Write -w /app, for instance.")
    return text or "/"


def parse_name(text: str) -> str:
    """A container's name.

    Raises:
        RequestError: it has characters that no name has.
    """
    if not _NAME.match(text):
        raise RequestError(
            f"{text[:80]!r} is no name for a container",
            hint="A name has letters, digits, '.', '_' and '-', begins with a letter or digit, and has 64 at most.",
        )
    return text


def parse_size(text: str, flag: str) -> int:
    """Reads a number of bytes: `512m`, `1.5g`, `1048576`.

    Raises:
        RequestError: it is none.
    """
    matched = _SIZE.match(text.strip())
    size = int(float(matched[1]) * _UNITS[matched[2].lower()]) if matched else 0
    if size <= 0:
        raise RequestError(f"{flag} {text[:40]!r} is no size", hint=f"Write for instance {flag} 256m.")
    return size


def parse_memory(text: str) -> int:
    """Reads `--memory`.

    Raises:
        RequestError: no size, or so little that nothing can start.
    """
    size = parse_size(text, "--memory")
    if size < _MINIMUM_MEMORY:
        raise RequestError(f"--memory {text}: no program starts in {size} bytes", hint="Write for instance 64m.")
    return size


def parse_duration(text: str, flag: str) -> float:
    """Reads seconds: `10`, `1.5s`, `2m`, `1h`.

    Raises:
        RequestError: it is none.
    """
    matched = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)?", text.strip())
    seconds = float(matched[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[matched[2]] if matched else 0.0
    if seconds <= 0:
        raise RequestError(f"{flag} {text[:40]!r} is no time", hint=f"Write for instance {flag} 30s.")
    return seconds


def parse_port(text: str) -> Port:
    """Reads `[[ADDRESS:]HOST_PORT:]PORT[/tcp|/udp]`; without a host port any free one is taken.

    Raises:
        RequestError: it is none.
    """
    body, _, protocol = text.partition("/")
    address, host, port = "127.0.0.1", "", body
    if ":" in body:
        host, _, port = body.rpartition(":")
        if ":" in host:
            address, _, host = host.rpartition(":")
            address = address.removeprefix("[").removesuffix("]")
    numbers = [_port_number(word) for word in (port, host or "0")]
    if not address or -1 in numbers or not numbers[0] or protocol not in ("", "tcp", "udp"):
        raise RequestError(
            f"-p {text[:80]!r} is no port", hint="Write for instance -p 8080:80, -p 127.0.0.1:8080:80 or -p 53:53/udp."
        )
    return Port(numbers[0], numbers[1], address, protocol or "tcp")


def _port_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 1 << 16 else -1


def parse_mount(text: str) -> Mount:
    r"""Reads `SOURCE:TARGET[:ro|:rw]`; drive letters (`C:\data`) are no separators.

    Raises:
        RequestError: it is none.
    """
    words: list[str] = []
    for word in text.split(":"):
        if words and len(words[-1]) == 1 and words[-1].isalpha() and word.startswith("\\"):
            words[-1] += f":{word}"
        else:
            words.append(word)
    mode = words.pop() if len(words) == 3 and words[2] in ("ro", "rw") else "rw"
    if len(words) != 2 or not all(words):
        raise RequestError(
            f"-v {text[:120]!r} is no volume", hint="Write for instance -v ./data:/data or -v ./conf:/etc/app:ro."
        )
    source, target = words
    if not target.startswith("/") and target[1:2] != ":":
        raise RequestError(
            f"-v {text[:120]!r}: the path in the container is not absolute", hint=f"Write -v {source}:/{target}."
        )
    if ".." in re.split(r"[\\/]", target):
        raise RequestError(f"-v {text[:120]!r}: the path in the container has '..' in it", hint="Write it without.")
    return Mount(target, source, read_only=mode == "ro")


def anchored(mount: Mount, path: Callable[[str], str]) -> Mount:
    """A mount whose source is an absolute path.

    Args:
        mount: as it was read.
        path: makes a path that a user wrote absolute.
    """
    return msgspec.structs.replace(mount, source=path(mount.source))


def parse_cpus(text: str) -> float:
    """Reads `--cpus`.

    Raises:
        RequestError: no number, or none that can be.
    """
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or not float(text):
        raise RequestError(f"--cpus {text[:40]!r} is no number of processors", hint="Write for instance --cpus 0.5.")
    return float(text)


def parse_count(text: str, flag: str) -> int:
    """Reads a number of things; 0 is one.

    Raises:
        RequestError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise RequestError(f"{flag} {text[:40]!r} is no number", hint=f"Write for instance {flag} 100.")
    return int(text)


def plan_streams(
    own: tuple[int, int, int], terminal: int, *, detach: bool, report_on_stdout: bool
) -> tuple[int, int, int] | None:
    """A program's standard streams; None: it has none, and its output is kept.

    Args:
        own: this process's.
        terminal: the program's terminal; -1: it gets none.
        detach: whether it outlives this process.
        report_on_stdout: whether standard output is for something else.
    """
    if detach:
        return None
    if terminal >= 0:
        return terminal, terminal, terminal
    return (own[0], own[2], own[2]) if report_on_stdout else own
