"""`RUN --mount`: what a step sees beside its file system (BuildKit's `commands_runmount.go`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from enum import Enum

import msgspec

from wingo.dockerfile.source import At, DockerfileError, nearest

_KEYS = (
    "type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro", "readwrite", "rw", "id",
    "sharing", "required", "size", "mode", "uid", "gid", "env",
)  # fmt: skip
_SHARING = ("shared", "private", "locked")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?\Z", re.IGNORECASE)
_MAX_U32 = (1 << 32) - 1


class MountKind(Enum):
    """The types of mounts."""

    BIND = "bind"
    CACHE = "cache"
    TMPFS = "tmpfs"
    SECRET = "secret"  # noqa: S105  (a type of mount)
    SSH = "ssh"


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One mount of a RUN step.

    Attributes:
        source_stage: of `from=`: a stage, an image or a named context; "" is the build context for bind mounts.
        source: a path in it.
        target: where the step sees it; "" for a secret whose name says where.
        read_only: whether the step may write.
        size: of a tmpfs, in bytes; 0: no limit.
        id: names a cache, a secret or an SSH agent.
        sharing: of a cache: "shared", "private" or "locked".
        required: whether the build fails without the secret or the agent.
        env: the variable that gets a secret; None: a file does; "": one named as the secret.
        mode: permission bits, or None for the kind's own.
        uid: or None for root.
        gid: or None for root.
    """

    kind: MountKind = MountKind.BIND
    source_stage: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    size: int = 0
    id: str = ""
    sharing: str = ""
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def check_mount(text: str, at: At) -> None:
    """What can be said of a mount before its variables are known.

    Raises:
        DockerfileError: `from` has a variable in it, or there is a syntax error.
    """
    fields = _fields(text, at)
    for key, value, _ in fields:
        if key == "from" and 0 <= value.find("$") < len(value) - 1:
            raise DockerfileError(
                at,
                "from= of --mount takes no variables",
                hint="Give the image a name with FROM … AS NAME, and use that.",
            )
    if "$" not in text:
        parse_mount(text, at, lambda value: value)


def mount_source(text: str, at: At) -> str:
    """The stage, image or context that a mount is from; "" for none."""
    return next((value for key, value, _ in _fields(text, at) if key == "from"), "")


def parse_mount(text: str, at: At, expand: Callable[[str], str]) -> Mount:
    """Reads a mount.

    Args:
        text: `type=cache,target=/root/.cache`.
        at: for messages.
        expand: gives a value its variables.

    Raises:
        DockerfileError: a key or a value is wrong, or does not go with the type.
    """
    return _MountReader(at, text).read(expand)


def _fields(text: str, at: At) -> list[tuple[str, str, bool]]:
    """Key in lower case, value, and whether there was an "=", of each."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DockerfileError(at, f"--mount={text[:80]}: {error}") from None
    if len(rows) != 1 or not rows[0]:
        raise DockerfileError(at, "--mount is empty", hint="Write --mount=type=cache,target=PATH.")
    cut = [field.partition("=") for field in rows[0]]
    return [(key.lower(), value, bool(equals)) for key, equals, value in cut]


class _MountReader:
    def __init__(self, at: At, text: str) -> None:
        self.at, self.text = at, text
        self.values: dict[str, object] = {}
        self.kind = MountKind.BIND
        self.read_only: bool | None = None

    def error(self, problem: str, hint: str = "") -> DockerfileError:
        return DockerfileError(self.at, f"--mount={self.text[:80]}: {problem}", hint=hint)

    def read(self, expand: Callable[[str], str]) -> Mount:
        for key, written, has_value in _fields(self.text, self.at):
            if has_value:
                self._field(key, expand(written))
            else:
                self._switch(key)
        self._check()
        quiet = self.kind in (MountKind.CACHE, MountKind.TMPFS)
        read_only = (not quiet) if self.read_only is None else self.read_only
        return msgspec.structs.replace(Mount(kind=self.kind, read_only=read_only), **self.values)

    def _switch(self, key: str) -> None:
        if key in ("readonly", "ro"):
            self.read_only = True
        elif key in ("readwrite", "rw"):
            self.read_only = False
        elif key == "required":
            self._only(key, MountKind.SECRET, MountKind.SSH)
            self.values["required"] = True
        else:
            raise self.error(f"{key[:40]!r} is no key=value pair")

    def _only(self, key: str, *kinds: MountKind) -> None:
        if self.kind not in kinds:
            raise self.error(f"{key} does not go with type={self.kind.value}")

    def _field(self, key: str, value: str) -> None:
        match key:
            case "type":
                names = [kind.value for kind in MountKind]
                if value.lower() not in names:
                    raise self.error(f"there is no type {value[:40]!r}", nearest(value, names) or f"There are {names}.")
                self.kind = MountKind(value.lower())
            case "from":
                self.values["source_stage"] = value
            case "source" | "src":
                self.values["source"] = value
            case "target" | "dst" | "destination":
                self.values["target"] = value
            case "readonly" | "ro":
                self.read_only = self._bool(key, value)
            case "readwrite" | "rw":
                self.read_only = not self._bool(key, value)
            case "required":
                self._only(key, MountKind.SECRET, MountKind.SSH)
                self.values["required"] = self._bool(key, value)
            case "size":
                self._only(key, MountKind.TMPFS)
                self.values["size"] = self._size(value)
            case "id" | "env":
                self.values[key] = value
            case "sharing":
                if value.lower() not in _SHARING:
                    raise self.error(f"sharing is {', '.join(_SHARING)}, not {value[:40]!r}")
                self.values["sharing"] = value.lower()
            case "mode" | "uid" | "gid":
                base = 8 if key == "mode" else 10
                digits = "[0-7]+" if base == 8 else "[0-9]+"
                if not re.fullmatch(digits, value[:20]) or int(value[:20], base) > _MAX_U32:
                    raise self.error(f"{key} is no number: {value[:40]!r}")
                self.values[key] = int(value, base)
            case _:
                raise self.error(f"unknown key {key[:40]!r}", nearest(key, _KEYS))

    def _bool(self, key: str, value: str) -> bool:
        if value not in _TRUE + _FALSE:
            raise self.error(f"{key} is true or false, not {value[:40]!r}")
        return value in _TRUE

    def _size(self, value: str) -> int:
        matched = _SIZE.match(value)
        if matched is None:
            raise self.error(f"size is a number of bytes such as 64m, not {value[:40]!r}")
        power = "kmgtp".index(matched[2].lower()) + 1 if matched[2] else 0
        return int(float(matched[1][:20]) * 1024**power)

    def _check(self) -> None:
        if self.kind not in (MountKind.SECRET, MountKind.SSH, MountKind.CACHE):
            for key in ("mode", "uid", "gid"):
                if key in self.values:
                    raise self.error(f"{key} does not go with type={self.kind.value}")
        if "sharing" in self.values and self.kind is not MountKind.CACHE:
            raise self.error(f"sharing does not go with type={self.kind.value}")
        if self.kind is MountKind.SECRET:
            if self.values.get("source_stage"):
                raise self.error("a secret has no from=")
            if not any(self.values.get(key) for key in ("source", "target", "id")):
                raise self.error("a secret needs an id, a source or a target")
            if self.values.get("source") and self.values.get("id"):
                raise self.error("a secret has an id or a source, not both")
