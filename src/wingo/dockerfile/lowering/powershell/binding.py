"""How a cmdlet's words become its parameters: names may be shortened, the rest goes by position (specification 8.14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from wingo.dockerfile.lowering.powershell.values import Terminating, Unknown, Value, list_of, text_of, truth_of

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell

_COMMON = (
    "ErrorAction/EA ErrorVariable/EV WarningAction/WA WarningVariable/WV InformationAction/INFA InformationVariable/IV "
    "OutVariable/OV OutBuffer/OB PipelineVariable/PV Verbose/VB! Debug/DB! WhatIf/WI! Confirm/CF!"
)


class ParameterSpec(msgspec.Struct, frozen=True):
    """One parameter of a cmdlet."""

    name: str
    switch: bool
    aliases: tuple[str, ...]


class Cmdlet(msgspec.Struct, frozen=True):
    """A cmdlet.

    Attributes:
        name: as it is documented.
        parameters: by name.
        positional: names, in order; the last one takes what is left when it ends with `*`.
        run: does it; gives what comes out.
    """

    name: str
    parameters: tuple[ParameterSpec, ...]
    positional: tuple[str, ...]
    run: Run


class Bound:
    """A cmdlet's parameters.

    Attributes:
        shell: what runs it.
        cmdlet: its name.
        values: by name; a switch is a bool.
        piped: what came through the pipeline; None: it began it.
    """

    def __init__(self, shell: PowerShell, cmdlet: str, piped: list[Value] | None) -> None:
        self.shell = shell
        self.cmdlet = cmdlet
        self.values: dict[str, Value] = {}
        self.piped = piped

    def has(self, name: str) -> bool:
        """Whether a parameter was given."""
        return name in self.values

    def get(self, name: str) -> Value:
        """A parameter's value, or None."""
        return self.values.get(name)

    def switch(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(truth_of(self.values.get(name)))

    def text(self, name: str, default: str = "") -> str:
        """A parameter as a text."""
        value = self.values.get(name)
        return default if value is None else text_of(value)

    def texts(self, name: str) -> list[str]:
        """A parameter as texts."""
        return [_path_text(value) for value in list_of(self.values.get(name))]

    def paths(self, *names: str) -> list[str]:
        """The first of these parameters that was given, as texts; else what came through the pipeline.

        Raises:
            Terminating: there is nothing.
        """
        for name in names:
            if name in self.values:
                found = self.texts(name)
                if not found or any(not text for text in found):
                    raise Terminating(f"{self.cmdlet}: cannot bind argument to parameter {name!r}: it is null or empty")
                return found
        if self.piped is not None:
            return [_path_text(value) for value in self.piped]
        raise Terminating(f"{self.cmdlet}: the parameter {names[0]} is missing")


def _path_text(value: Value) -> str:
    from wingo.dockerfile.lowering.powershell.values import Thing

    if isinstance(value, Thing) and value.item is not None:
        return value.item.text
    if isinstance(value, Unknown):
        return value.text
    return text_of(value)


Run: TypeAlias = Callable[[Bound], list[Value]]


def cmdlet(name: str, parameters: str, run: Run, *, positional: str = "") -> Cmdlet:
    """Describes a cmdlet.

    Args:
        name: as documented.
        parameters: names with spaces between them; `!` behind it: a switch; `/Alias`: another name.
        run: what does it.
        positional: names, in order.
    """
    return Cmdlet(name, _specs(parameters), tuple(positional.split()), run)


def _specs(text: str) -> tuple[ParameterSpec, ...]:
    found = []
    for word in text.split():
        name, *aliases = word.rstrip("!").split("/")
        found.append(ParameterSpec(name, word.endswith("!"), tuple(aliases)))
    return tuple(found)


_COMMON_SPECS = _specs(_COMMON)


def find_parameter(command: Cmdlet, written: str) -> ParameterSpec:
    """The parameter that a name, perhaps a shortened one, means.

    Raises:
        Terminating: there is none, or there are several.
    """
    wanted = written.lower()
    everything = (*command.parameters, *_COMMON_SPECS)
    for spec in everything:
        if wanted in (spec.name.lower(), *(alias.lower() for alias in spec.aliases)):
            return spec
    candidates = [
        spec
        for spec in everything
        if spec.name.lower().startswith(wanted) or any(alias.lower().startswith(wanted) for alias in spec.aliases)
    ]
    own = [spec for spec in candidates if spec in command.parameters]
    # A common parameter never makes a name of the cmdlet's own ambiguous in the cases that people write.
    candidates = own if len(own) == 1 else candidates
    if not candidates:
        raise Terminating(f"{command.name}: a parameter cannot be found that matches parameter name {written!r}")
    if len(candidates) > 1:
        names = ", ".join(spec.name for spec in candidates)
        raise Terminating(f"{command.name}: parameter {written!r} is ambiguous: {names}")
    return candidates[0]


def bind(
    shell: PowerShell,
    command: Cmdlet,
    named: list[tuple[str, Value, bool]],
    positional: list[Value],
    piped: list[Value] | None,
) -> Bound:
    """Binds words to parameters.

    Args:
        shell: what runs it.
        command: the cmdlet.
        named: names with values; the last says whether there was a value.
        positional: the other words, in order.
        piped: what came through the pipeline.

    Raises:
        Terminating: a name that the cmdlet does not have, or a word too many.
    """
    bound = Bound(shell, command.name, piped)
    for written, value, given in named:
        spec = find_parameter(command, written)
        if spec.name in bound.values:
            raise Terminating(f"{command.name}: parameter {spec.name} is given more than once")
        if spec.switch:
            bound.values[spec.name] = value if given else True
        elif not given:
            raise Terminating(f"{command.name}: missing an argument for parameter {spec.name}")
        else:
            bound.values[spec.name] = value
    places = [name for name in command.positional if name.rstrip("*") not in bound.values]
    left = list(positional)
    for place in places:
        if not left:
            break
        if place.endswith("*"):
            bound.values[place.rstrip("*")] = list(left) if len(left) > 1 else left[0]
            left = []
        else:
            bound.values[place] = left.pop(0)
    if left:
        raise Terminating(
            f"{command.name}: a positional parameter cannot be found that accepts argument {text_of(left[0])[:60]!r}"
        )
    return bound
