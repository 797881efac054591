"""Commands of a pipeline: what a name means, its words, and where its output goes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Cmdlet, bind, find_parameter
from wingo.dockerfile.lowering.powershell.evaluate import PowerShell
from wingo.dockerfile.lowering.powershell.jumps import Return
from wingo.dockerfile.lowering.powershell.nodes import (
    Argument,
    Command,
    Const,
    Parameter,
    RedirectionNode,
    ScriptBlock,
    Variable,
)
from wingo.dockerfile.lowering.powershell.refused import refuse
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Unknown,
    Value,
    is_unknown,
    list_of,
    text_of,
)
from wingo.dockerfile.lowering.programs.calls import Output
from wingo.windows.command import quote_argument
from wingo.windows.paths import path_text

MAX_DEPTH = 24


def run_command(shell: PowerShell, node: Command, piped: list[Value] | None, *, captured: bool) -> list[Value]:
    """Runs one command of a pipeline.

    Args:
        shell: what runs it.
        node: the command.
        piped: what the one before put out; None: it is the first.
        captured: another command reads what it puts out.
    """
    shell.session.at = node.at
    shell.session.tick()
    target = shell.expression(node.name)
    if isinstance(target, ScriptBlock):
        result = call_block(shell, target, node.arguments, piped, new_scope=node.operator != ".")
        return write_redirected(shell, node.redirections, result)
    name = text_of(target)
    if not name:
        raise Terminating("the expression after '&' is not the name of a command")
    result = _run_named(shell, name, node, piped)
    del captured
    return write_redirected(shell, node.redirections, result)


def _run_named(shell: PowerShell, name: str, node: Command, piped: list[Value] | None) -> list[Value]:
    from wingo.dockerfile.lowering.powershell.table import ALIASES, CMDLETS, CORE_ALIASES_GONE

    lower = name.lower()
    for _ in range(5):
        alias = ALIASES.get(lower)
        if alias is None or (shell.core and lower in CORE_ALIASES_GONE) or lower in shell.functions:
            break
        lower = alias.lower()
    function = shell.functions.get(lower)
    if function is not None:
        return call_block(shell, function, node.arguments, piped, new_scope=True, name=name)
    command = CMDLETS.get(lower)
    if command is None and "\\" in lower and not re.match(r"[.\\]|[a-z]:", lower):
        command = CMDLETS.get(lower.rpartition("\\")[2])
    if command is not None:
        return _run_cmdlet(shell, command, node, piped)
    if lower.endswith(".ps1"):
        return _run_script(shell, name, node, piped)
    refuse(name)
    return run_native(shell, name, node, piped)


def _run_cmdlet(shell: PowerShell, command: Cmdlet, node: Command, piped: list[Value] | None) -> list[Value]:
    named, positional = _words(shell, command, node.arguments)
    # A parameter that does not fit ends the statement, not the script: it is an error of the command.
    try:
        bound = bind(shell, command, named, positional, piped)
    except Terminating as error:
        raise CommandFailed(error.message) from error
    action = text_of(bound.get("ErrorAction")).lower()
    action = {"0": "silentlycontinue", "1": "stop", "2": "continue"}.get(action, action)
    shell.succeeded = True
    if bound.switch("WhatIf"):
        return []
    try:
        found = command.run(bound)
    except CommandFailed as failure:
        shell.report(f"{command.name}: {failure.message}", action)
        return []
    return found


def _words(
    shell: PowerShell, command: Cmdlet, arguments: Sequence[Argument]
) -> tuple[list[tuple[str, Value, bool]], list[Value]]:
    """The words of a cmdlet: parameters with their values, and the others."""
    named: list[tuple[str, Value, bool]] = []
    positional: list[Value] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument.splat and argument.value is not None:
            _splat(shell.expression(argument.value), named, positional)
        elif argument.name:
            if argument.joined:
                value = shell.expression(left[0].value) if left and left[0].value is not None else None
                named.append((argument.name, value, bool(left)))
                del left[:1]
                continue
            try:
                switch = find_parameter(command, argument.name).switch
            except Terminating as error:
                raise CommandFailed(error.message) from error
            if switch or not left or left[0].value is None or left[0].splat:
                named.append((argument.name, None, False))
            else:
                value_node = left.pop(0).value
                named.append((argument.name, shell.expression(value_node) if value_node is not None else None, True))
        elif argument.value is not None:
            positional.append(shell.expression(argument.value))
    return named, positional


def _splat(value: Value, named: list[tuple[str, Value, bool]], positional: list[Value]) -> None:
    if isinstance(value, Table):
        named += [(key, item, True) for key, item in value.items()]
    else:
        positional += list_of(value)


def call_block(
    shell: PowerShell,
    block: ScriptBlock,
    arguments: Sequence[Argument],
    piped: list[Value] | None,
    *,
    new_scope: bool,
    name: str = "the block",
) -> list[Value]:
    """Calls a function or block with a command's words."""
    named: list[tuple[str, Value, bool]] = []
    positional: list[Value] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument.splat and argument.value is not None:
            _splat(shell.expression(argument.value), named, positional)
        elif argument.name:
            spec = _function_parameter(block.parameters, argument.name)
            if spec is None and not block.parameters:
                positional.append(argument.text)
                continue
            if spec is None:
                if argument.name.lower() in ("erroraction", "ea", "verbose"):
                    if argument.name.lower() != "verbose":
                        del left[:1]
                    continue
                raise CommandFailed(
                    f"{name}: a parameter cannot be found that matches parameter name {argument.name!r}"
                )
            if spec.switch and not argument.joined:
                named.append((spec.name, True, True))
            elif left and left[0].value is not None:
                value_node = left.pop(0).value
                named.append((spec.name, shell.expression(value_node) if value_node is not None else None, True))
            else:
                raise CommandFailed(f"{name}: missing an argument for parameter {argument.name!r}")
        elif argument.value is not None:
            positional.append(shell.expression(argument.value))
    return call_with(
        shell, block, {key.lower(): value for key, value, _ in named}, positional, piped, new_scope=new_scope
    )


def call_with(
    shell: PowerShell,
    block: ScriptBlock,
    named: dict[str, Value],
    positional: list[Value],
    piped: list[Value] | None = None,
    *,
    new_scope: bool = True,
) -> list[Value]:
    """Calls a block with values."""
    from wingo.dockerfile.lowering.powershell.operators import cast

    scope: dict[str, Value] = {"input": list(piped or [])}
    left = list(positional)
    for parameter in block.parameters:
        key = parameter.name.lower()
        if key in named:
            value = named[key]
        elif left and not parameter.switch:
            value = left.pop(0)
        elif parameter.default is not None:
            value = shell.expression(parameter.default)
        else:
            value = False if parameter.switch else None
        if parameter.type in ("string", "int", "bool", "version", "string[]") and not is_unknown(value):
            value = cast(parameter.type, value)
        scope[key] = value
    scope["args"] = left
    if new_scope:
        shell.scopes.append(scope)
    else:
        shell.scopes[-1].update(scope)
    try:
        return shell.block(block.body)
    except Return as done:
        return done.values
    finally:
        if new_scope:
            shell.scopes.pop()


def _function_parameter(parameters: Sequence[Parameter], written: str) -> Parameter | None:
    wanted = written.lower()
    exact = [parameter for parameter in parameters if parameter.name.lower() == wanted]
    begins = [parameter for parameter in parameters if parameter.name.lower().startswith(wanted)]
    return exact[0] if exact else begins[0] if len(begins) == 1 else None


def _run_script(shell: PowerShell, name: str, node: Command, piped: list[Value] | None) -> list[Value]:
    """A .ps1 file of the image."""
    path = shell.session.path(name)
    if shell.session.find(path) is None:
        raise CommandFailed(f"the term {name!r} is not recognized as the name of a script: there is no such file")
    block = load_script(shell, path)
    if block is None:
        return [Unknown(f"what {name} puts out")]
    before = shell.script
    shell.script = path_text(path)
    shell.session.depth += 1
    if shell.session.depth > MAX_DEPTH:
        raise CannotLower("scripts start each other too deeply")
    try:
        return call_block(shell, block, node.arguments, piped, new_scope=node.operator != ".", name=name)
    finally:
        shell.script = before
        shell.session.depth -= 1


def load_script(shell: PowerShell, path: tuple[str, ...]) -> ScriptBlock | None:
    """Reads a script; None in a plan that does not know what is in it.

    Raises:
        CommandFailed: PowerShell could not read it.
    """
    from wingo.dockerfile.lowering.powershell.parser import parse_script
    from wingo.dockerfile.lowering.powershell.reader import ParseFault

    data = shell.session.read(path)
    if data is None:
        shell.session.note(f"what {path_text(path)} does is seen only while building")
        return None
    try:
        return parse_script(decode(data, core=shell.core), core=shell.core)
    except ParseFault as fault:
        raise CommandFailed(f"{path_text(path)}: {fault.message}") from fault


def decode(data: bytes, *, core: bool) -> str:
    """A file's text as PowerShell reads it: by its mark, else in the machine's code page (7: UTF-8)."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8" if core else "cp1252", "replace")


def run_native(shell: PowerShell, name: str, node: Command, piped: list[Value] | None) -> list[Value]:
    """A program: its words become a command line as PowerShell 5 makes it."""
    from wingo.dockerfile.lowering.programs.running import run_line

    words: list[str] = []
    for argument in node.arguments:
        if argument.name:
            words.append(argument.text)
            continue
        if argument.value is None:
            continue
        value = shell.expression(argument.value)
        if value is None and isinstance(argument.value, Variable):
            shell.session.note(f"${argument.value.name} is not set: {name} gets nothing in its place")
        if argument.splat:
            words += map(text_of, list_of(value))
        elif argument.bare and isinstance(argument.value, Const):
            words.append(argument.text.replace("`", "") if "," in argument.text else text_of(value))
        elif isinstance(value, list):
            words += map(text_of, value)
        else:
            words.append(text_of(value))
    if not shell.core:
        # Windows PowerShell passes no empty words on.
        words = [word for word in words if word]
    line = " ".join(
        [_word(name), *(_native_word(word, core=shell.core) for word in words), *([node.raw] if node.raw else [])]
    )
    output = Output()
    stdin = None if piped is None else "\r\n".join(map(text_of, piped))
    # Scripts may be started without .\, programs in the current directory may not.
    try:
        status = run_line(shell.session, line, output, stdin)
    except CommandFailed as failure:
        if failure.status == 9009:
            shell.succeeded = False
            raise
        shell.session.last_error = failure.message
        shell.session.print(failure.message)
        status = failure.status or 1
    shell.last_exit = status
    shell.succeeded = status == 0
    if output.unknown:
        return [Unknown(f"what {name} prints")]
    return list(output.text.splitlines()) if output.text else []


def _word(name: str) -> str:
    return f'"{name}"' if " " in name and '"' not in name else name


def _native_word(word: str, *, core: bool) -> str:
    """PowerShell 5 puts quotes around a word with spaces and does not escape those in it; 7 does."""
    if "\0" in word:
        raise CannotLower("an argument of a program has a NUL in it, where Windows ends the command line")
    if core:
        return quote_argument(word)
    if not re.search(r"[ \t]", word):
        return word
    return word if word.startswith('"') and word.endswith('"') and len(word) > 1 else f'"{word}"'


def write_redirected(shell: PowerShell, redirections: Sequence[RedirectionNode], values: list[Value]) -> list[Value]:
    """Sends a command's output where its redirections say."""
    from wingo.dockerfile.lowering.powershell.content import write_lines

    for redirection in redirections:
        if redirection.operator == ">&" or redirection.target is None:
            continue
        if redirection.stream not in ("1", "*"):
            continue
        target = shell.expression(redirection.target)
        if target is None:
            values = []
            continue
        encoding = "utf8nobom" if shell.core else "unicode"
        write_lines(shell, text_of(target), values, encoding, append=redirection.operator == ">>")
        values = []
    return values
