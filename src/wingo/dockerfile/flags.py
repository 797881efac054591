"""The flags of an instruction (`--from=`, `--mount=`), checked by what the instruction knows; BuildKit's `bflag.go`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from wingo.dockerfile.source import At, DockerfileError, nearest


class Kind(Enum):
    """What a flag takes."""

    SWITCH = "a switch, true when nothing is said"
    TEXT = "one value"
    LIST = "a value each time it is written"


class Flags:
    """The flags that were written, by name without the dashes."""

    def __init__(self, written: Sequence[str], known: Mapping[str, Kind], at: At) -> None:
        """Checks them.

        Raises:
            DockerfileError: one is unknown, stands there twice, or has no value or a wrong one.
        """
        self._values: dict[str, list[str]] = {}
        for flag in written:
            name, equals, value = flag.removeprefix("--").partition("=")
            kind = known.get(name)
            if kind is None:
                listed = ", ".join(f"--{item}" for item in known)
                hint = nearest(name, list(known), "Did you mean --{}?") or (
                    f"There are {listed}." if listed else "This instruction has no flags."
                )
                raise DockerfileError(at, f"unknown flag --{name[:60]}", hint=hint)
            if name in self._values and kind is not Kind.LIST:
                raise DockerfileError(at, f"--{name} stands there twice", hint="Leave one out.")
            if kind is Kind.SWITCH:
                value = value.lower() if equals else "true"
                if value not in ("true", "false"):
                    raise DockerfileError(at, f"--{name} is true or false, not {value[:40]!r}")
            elif not equals:
                raise DockerfileError(at, f"--{name} needs a value", hint=f"Write --{name}=VALUE.")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag that has one."""
        return self._values[name][0] if name in self._values else default

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag that may stand there several times."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """Whether a switch is on; None: nothing is said of it."""
        return self._values[name][0] == "true" if name in self._values else None
