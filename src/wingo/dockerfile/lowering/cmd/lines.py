"""`for /f`: over the lines of files, of a text, or of what a command prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.cmd.syntax import For, expand_percent, parse, split_words
from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CommandFailed
from wingo.dockerfile.lowering.programs.calls import Output

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.cmd.interpreter import Cmd


def for_f(cmd: Cmd, node: For, text: str) -> list[dict[str, str]]:
    """The variables, turn by turn.

    Raises:
        CannotLower: the lines are not known.
        CommandFailed: the options are none.
    """
    options = node.option.strip('"')
    use_back = bool(re.search(r"\busebackq\b", options, re.IGNORECASE))
    source = text.strip()
    quote = source[:1]
    if (quote == "'" and not use_back) or (quote == "`" and use_back):
        lines = _output_lines(cmd, source.strip(quote))
    elif (quote == '"' and not use_back) or (quote == "'" and use_back):
        lines = [source[1:-1] if len(source) > 1 else ""]
    else:
        lines = []
        for name in split_words(source):
            data = cmd.session.read(cmd.session.path(name))
            lines += (
                [cmd.unknown_text(f"lines of {name}")]
                if data is None
                else data.decode("cp1252", "replace").splitlines()
            )
    skip = _number(options, "skip", 0)
    end_of_line = found[1] if (found := re.search(r"\beol=(.)", options, re.IGNORECASE)) else ";"
    delimiters = (
        found[1] if (found := re.search(r"\bdelims=([^\"]*?)(?:\s+\w+=.*)?$", options, re.IGNORECASE)) else " \t"
    )
    wanted = found[1] if (found := re.search(r"\btokens=(\S+)", options, re.IGNORECASE)) else "1"
    turns: list[dict[str, str]] = []
    for line in lines[skip:]:
        cmd.session.tick()
        if not line or line.startswith(end_of_line):
            continue
        if has_hole(line):
            # In a plan one turn stands for all lines, and the line for each of its words.
            count = len(_numbers(wanted)) + wanted.endswith("*")
            return [*turns, {chr(ord(node.variable) + index): line for index in range(max(1, count))}]
        values = _tokens(line, delimiters, wanted)
        if values is not None:
            turns.append({chr(ord(node.variable) + index): value for index, value in enumerate(values)})
    return turns


def _output_lines(cmd: Cmd, command: str) -> list[str]:
    outer, cmd.output = cmd.output, Output()
    try:
        cmd.run(parse(expand_percent(command, cmd.lookup, batch=cmd.batch, arguments=cmd.arguments)))
        if cmd.output.unknown and cmd.session.planning:
            return [cmd.unknown_text(f"what {cmd.output.unknown} prints")]
        return cmd.output.known().splitlines()
    finally:
        cmd.output = outer


def _number(options: str, name: str, default: int) -> int:
    found = re.search(rf"\b{name}=([0-9]+)", options, re.IGNORECASE)
    return int(found[1]) if found else default


def _numbers(wanted: str) -> list[int]:
    numbers: list[int] = []
    for part in wanted.rstrip("*").split(","):
        if not part:
            continue
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or int(last or first) > 31:
            raise CommandFailed(f"tokens={wanted} is not valid")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _tokens(line: str, delimiters: str, wanted: str) -> list[str] | None:
    numbers = _numbers(wanted)
    rest = wanted.endswith("*")
    pattern = f"[^{re.escape(delimiters)}]+" if delimiters else ".+"
    pieces = [(found.start(), found[0]) for found in re.finditer(pattern, line)]
    if not pieces:
        return None
    values = [pieces[number - 1][1] if 0 < number <= len(pieces) else "" for number in numbers]
    if rest:
        behind = max(numbers, default=0)
        values.append(line[pieces[behind][0] :] if behind < len(pieces) else "")
    return values
