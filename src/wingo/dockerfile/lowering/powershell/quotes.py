"""Double quotes that Docker's shell form takes from a PowerShell text on its way, and whether that changes what the text means."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import Argument, Command, Const, Expandable, Jump, Pipeline, ScriptBlock
from wingo.dockerfile.lowering.powershell.parser import parse_script
from wingo.dockerfile.lowering.powershell.reader import ParseFault

_COMMAND = re.compile(r"\s[-/\u2013]c(?:o(?:m(?:m(?:a(?:n(?:d)?)?)?)?)?)?\s+", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*)"')
_TALK = ("write-host", "write-output", "write-verbose", "write-information", "echo")


def lost_quotes(line: str, script: ScriptBlock | None, *, core: bool) -> str:
    """The first text in double quotes whose loss changes what a command line's script does; "" for none.

    Args:
        line: the command line behind the program's name, as Docker makes it.
        script: what PowerShell sees; None: it cannot read that.
        core: PowerShell 7.
    """
    found = _COMMAND.search(line)
    raw = line[found.end() :] if found is not None else line
    # Quotes around all of it are for the command line; who writes \\" or three of them knows what becomes of them.
    if '"' not in raw or raw.lstrip().startswith('"') or '\\"' in raw or '""' in raw.replace(' ""', ""):
        return ""
    try:
        meant = parse_script(raw, core=core)
    except (ParseFault, CannotLower):
        return ""
    if script is not None and _shape(meant) == _shape(script):
        return ""
    whole = _shape(meant)
    for quoted in _QUOTED.finditer(raw):
        text = quoted[1]
        try:
            other = _shape(parse_script(raw[: quoted.start()] + text + raw[quoted.end() :], core=core))
        except (ParseFault, CannotLower):
            return text or '""'
        if other != whole:
            return text or '""'
    return ""


def _shape(node: Any) -> Any:
    """What a node means, without places, and without what only prints."""
    match node:
        case Const(value):
            return str(value)
        case Expandable(parts):
            shapes = [_shape(part) for part in parts]
            return shapes[0] if len(shapes) == 1 else ("text", *shapes)
        case Argument():
            return ("argument", node.name, _shape(node.value), node.splat)
        case Pipeline(elements) if _only_talks(elements):
            return ()
        case Jump("throw"):
            return "throw"
        case tuple() | list():
            return tuple(_shape(item) for item in node)
        case msgspec.Struct():
            fields = [name for name in node.__struct_fields__ if name not in ("at", "raw")]
            return (type(node).__name__, *(_shape(getattr(node, name)) for name in fields))
        case _:
            return node


def _only_talks(elements: tuple[Any, ...]) -> bool:
    first = elements[0]
    return isinstance(first, Command) and isinstance(first.name, Const) and str(first.name.value).lower() in _TALK
