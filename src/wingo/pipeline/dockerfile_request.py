"""What `wingo plan` and `wingo build -f` are asked for: the Dockerfile, its contexts, and everything beside them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from wingo.dockerfile.graph import Options
from wingo.dockerfile.instructions import Dockerfile
from wingo.dockerfile.nodes import MAX_DOCKERFILE_BYTES
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.source import nearest, printable
from wingo.errors import HostError, RequestError
from wingo.oci.platform import Platform
from wingo.oci.reference import parse_reference
from wingo.windows.osversion import DEFAULT_WINDOWS, expand_platforms

if TYPE_CHECKING:
    from wingo.host import Host

_IMAGE, _LAYOUT = "docker-image://", "oci-layout://"
_LAYOUT_HOST = "oci-layout.invalid"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The flags that a Dockerfile has beside a build's other settings, as written.

    Attributes:
        file: of `-f`; "": CONTEXT/Dockerfile; "-": standard input.
        context: a directory.
        build_args: `NAME=VALUE`, or `NAME` for the environment's value.
        contexts: `NAME=DIRECTORY`, `NAME=docker-image://REFERENCE` or `NAME=oci-layout://DIRECTORY[:TAG][@DIGEST]`.
        secrets: `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`.
        ssh: `default`, `default=SOCKET` or `NAME=SOCKET`.
        run_windows: "wine", or "": Windows programs that are not lowered are impossible.
    """

    file: str = ""
    context: str = "."
    target: str = ""
    platforms: tuple[str, ...] = ()
    build_args: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    run_windows: str = ""


class DockerfileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile, read, and what is asked of it.

    Attributes:
        digest: the sha256 of the Dockerfile's bytes, as hexadecimal.
        path: the Dockerfile's absolute path; "" for standard input.
        context: the build context, absolute.
        directories: of `--build-context`, absolute, by name.
        layouts: OCI layouts of `--build-context`, by the reference that stands for them in the plan.
        options: one for each platform that is asked for.
        secrets: where each is, by its id: a file or a variable.
        agents: the sockets of SSH agents, absolute, by id.
        run_windows: whether Wine runs Windows programs that are not lowered.
    """

    dockerfile: Dockerfile
    digest: str
    path: str
    context: str
    directories: Mapping[str, str]
    options: tuple[Options, ...]
    secrets: Mapping[str, Secret]
    layouts: Mapping[str, str] = {}
    agents: Mapping[str, str] = {}
    run_windows: bool = False


class Secret(msgspec.Struct, frozen=True):
    """Where a secret is; its value is read only when a step is given it.

    Attributes:
        path: an absolute path; "" for a variable.
        variable: of wingo's environment.
    """

    path: str = ""
    variable: str = ""


def read_dockerfile_request(asked: Asked, host: Host) -> DockerfileRequest:
    """Reads the Dockerfile and checks the flags.

    Raises:
        RequestError: the Dockerfile or a flag is wrong.
        HostError: a file or directory cannot be read.
    """
    context = host.path(asked.context)
    if "://" in asked.context[:40] or asked.context == "-":
        raise RequestError(
            f"the build context {printable(asked.context, 80)} is no directory",
            hint="wingo takes a directory: clone or unpack it first.",
        )
    if not os.path.isdir(context):
        raise HostError(
            f"there is no directory {context}", hint="Name the build context: wingo build -f Dockerfile DIR."
        )
    path, data = _read(asked, context, host)
    name = asked.file or os.path.relpath(path, host.directory)
    dockerfile = parse_dockerfile(data, printable(name if asked.file != "-" else "<stdin>"))
    contexts, directories, layouts = _contexts(asked.contexts, host)
    build_args = _build_args(asked.build_args, host.environment)
    here = Platform("linux", _architecture())
    platforms: Sequence[Platform | None] = _platforms(asked.platforms) if asked.platforms else (None,)
    options = tuple(
        Options(target=asked.target, platform=platform, host=here, build_args=build_args, contexts=contexts)
        for platform in platforms
    )
    return DockerfileRequest(
        dockerfile=dockerfile,
        digest=sha256(data).hexdigest(),
        path=path,
        context=context,
        directories=directories,
        options=options,
        secrets=dict(_secret(text, host) for text in asked.secrets),
        layouts=layouts,
        agents=dict(_agent(text, host) for text in asked.ssh),
        run_windows=bool(asked.run_windows),
    )


def _read(asked: Asked, context: str, host: Host) -> tuple[str, bytes]:
    if asked.file == "-":
        return "", sys.stdin.buffer.read(MAX_DOCKERFILE_BYTES + 1)
    path = host.path(asked.file) if asked.file else os.path.join(context, "Dockerfile")
    if asked.file and not os.path.exists(path) and os.path.exists(os.path.join(context, asked.file)):
        raise HostError(f"there is no {path}", hint=f"Did you mean -f {os.path.join(asked.context, asked.file)}?")
    try:
        with open(path, "rb") as file:
            return path, file.read(MAX_DOCKERFILE_BYTES + 1)
    except OSError as error:
        hint = "Name the Dockerfile with -f." if not asked.file else ""
        raise HostError(f"cannot read {path}: {error.strerror}", hint=hint) from error


def _platforms(texts: Sequence[str]) -> tuple[Platform, ...]:
    """What `--platform` asks for; `windows/amd64` is whichever release the Dockerfile's bases are for, as with Docker."""
    found: dict[Platform, None] = {}
    for word in (word.strip() for text in texts for word in text.split(",")):
        system, _, architecture = word.lower().partition("/")
        if system == "windows" and (architecture or "amd64") in DEFAULT_WINDOWS:
            found[Platform("windows", architecture or "amd64")] = None
        else:
            found.update(dict.fromkeys(expand_platforms((word,))))
    return tuple(found)


def _architecture() -> str:
    import platform

    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _build_args(texts: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise RequestError(f"--build-arg {text[:80]!r} has no name", hint="Write --build-arg NAME=VALUE.")
        if equals:
            found[name] = value
        elif name in environment:
            found[name] = environment[name]
    return found


def _contexts(texts: Sequence[str], host: Host) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    images: dict[str, str] = {}
    directories: dict[str, str] = {}
    layouts: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise RequestError(
                f"--build-context {text[:80]!r} names nothing", hint="Write --build-context NAME=DIRECTORY."
            )
        key = name.lower()
        if value.startswith(_IMAGE):
            parse_reference(value.removeprefix(_IMAGE))
            images[key] = value.removeprefix(_IMAGE)
            continue
        if value.startswith(_LAYOUT):
            place, _, digest = value.removeprefix(_LAYOUT).partition("@")
            images[key] = f"{_LAYOUT_HOST}/context-{len(layouts)}{'@' + digest if digest else ':latest'}"
            parse_reference(images[key])
            layouts[images[key]] = place
            continue
        if "://" in value:
            raise RequestError(
                f"--build-context {text[:80]!r}: wingo takes directories, {_IMAGE}REFERENCE and {_LAYOUT}DIR",
                hint="Fetch it first and name its directory, or ADD it in the Dockerfile.",
            )
        path = host.path(value)
        if not os.path.isdir(path):
            raise HostError(f"--build-context {name}: there is no directory {path}")
        images[key], directories[key] = "", path
    return images, directories, layouts


def _agent(text: str, host: Host) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        path = host.environment.get("SSH_AUTH_SOCK", "")
        if not path:
            raise RequestError(
                f"--ssh {text[:80]}: no SSH agent runs here: SSH_AUTH_SOCK is not set",
                hint="Start one: eval $(ssh-agent) && ssh-add.",
            )
    if not name or not path:
        raise RequestError(f"--ssh {text[:80]!r} names nothing", hint="Write --ssh default, or --ssh NAME=SOCKET.")
    path = host.path(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise HostError(f"--ssh {name}: {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise RequestError(
            f"--ssh {name}: {path} is no agent's socket; wingo reads no keys",
            hint=f"Give it to an agent: eval $(ssh-agent) && ssh-add {path}; then --ssh {name}=$SSH_AUTH_SOCK.",
        )
    return name, path


def _secret(text: str, host: Host) -> tuple[str, Secret]:
    values: dict[str, str] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals or key not in ("id", "src", "source", "env", "type"):
            raise RequestError(
                f"--secret has {key[:40]!r}: {nearest(key, ['id', 'src', 'env'])}".rstrip(": "),
                hint="Write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE.",
            )
        values[key] = value
    name = values.get("id", "")
    if not name:
        raise RequestError("--secret has no id", hint="Write --secret id=NAME,src=FILE.")
    if path := values.get("src") or values.get("source", ""):
        return name, Secret(path=host.path(path))
    variable = values.get("env") or name
    if variable not in host.environment:
        raise RequestError(
            f"--secret id={name[:40]}: the environment has no {variable[:40]}", hint="Give a file: src=FILE."
        )
    return name, Secret(variable=variable)
