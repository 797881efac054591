"""Cmdlets that work on what comes through the pipeline, and those that print."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import has_hole, shown
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.commands import call_with
from wingo.dockerfile.lowering.powershell.nodes import ScriptBlock
from wingo.dockerfile.lowering.powershell.operators import binary
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Thing,
    Unknown,
    Value,
    is_unknown,
    list_of,
    number_of,
    regex,
    text_of,
    truth_of,
)

_OPERATORS = "EQ NE GT GE LT LE Like NotLike Match NotMatch Contains NotContains In NotIn CEQ CNE IEQ INE"


def _with_item(bound: Bound, block: ScriptBlock, item: Value) -> list[Value]:
    shell = bound.shell
    shell.scopes.append({"_": item, "psitem": item})
    try:
        return call_with(shell, block, {}, [], new_scope=False)
    finally:
        shell.scopes.pop()


def where_object(bound: Bound) -> list[Value]:
    """`Where-Object {…}`, `Where-Object Name -eq x`."""
    from wingo.dockerfile.lowering.powershell import dotnet

    found: list[Value] = []
    block = bound.get("FilterScript")
    for item in bound.piped or []:
        if isinstance(item, Unknown):
            return [Unknown(item.about)]
        bound.shell.session.tick()
        if isinstance(block, ScriptBlock):
            values = _with_item(bound, block, item)
            truth = truth_of(values if len(values) != 1 else values[0])
        else:
            name = text_of(block) or bound.text("Property")
            value = dotnet.get_member(bound.shell, item, name, static=False)
            operator = next((word for word in _OPERATORS.split() if bound.has(word)), "")
            result = binary(bound.shell, operator.lower(), value, bound.get("Value")) if operator else value
            truth = truth_of(result)
        if truth is None:
            return [Unknown("what Where-Object chooses")]
        if truth:
            found.append(item)
    return found


def for_each_object(bound: Bound) -> list[Value]:
    """`ForEach-Object {…}`, `ForEach-Object Name`."""
    from wingo.dockerfile.lowering.powershell import dotnet

    found: list[Value] = []
    blocks = [value for value in list_of(bound.get("Process")) if isinstance(value, ScriptBlock)]
    name = bound.text("MemberName") if not blocks else ""
    if not blocks and not name:
        name = text_of(bound.get("Process"))
    begin, end = bound.get("Begin"), bound.get("End")
    if isinstance(begin, ScriptBlock):
        found += _with_item(bound, begin, None)
    for item in bound.piped or []:
        bound.shell.session.tick()
        if isinstance(item, Unknown) and not bound.shell.session.planning:
            raise CannotLower(f"{item.about} is not known")
        if blocks:
            for block in blocks:
                found += _with_item(bound, block, item)
        elif name:
            found.append(dotnet.get_member(bound.shell, item, name, static=False))
    if isinstance(end, ScriptBlock):
        found += _with_item(bound, end, None)
    return found


def select_object(bound: Bound) -> list[Value]:
    """`Select-Object`."""
    from wingo.dockerfile.lowering.powershell import dotnet

    items = list(bound.piped or [])
    if any(isinstance(item, Unknown) for item in items):
        names = bound.text("ExpandProperty")
        return [Unknown(f"{text_of(items)} {names}".strip())]
    if bound.has("Skip"):
        items = items[int(number_of(bound.get("Skip"))) :]
    if bound.switch("Unique"):
        seen: set[str] = set()
        items = [item for item in items if not (text_of(item) in seen or seen.add(text_of(item)))]  # type: ignore[func-returns-value]
    if bound.has("First"):
        items = items[: int(number_of(bound.get("First")))]
    if bound.has("Last"):
        count = int(number_of(bound.get("Last")))
        items = items[-count:] if count else []
    if bound.has("Index"):
        wanted = [int(number_of(value)) for value in list_of(bound.get("Index"))]
        items = [items[index] for index in wanted if 0 <= index < len(items)]
    if bound.has("ExpandProperty"):
        found: list[Value] = []
        for item in items:
            found += list_of(dotnet.get_member(bound.shell, item, bound.text("ExpandProperty"), static=False))
        return found
    names_list = [text for text in bound.texts("Property") if text != "*"]
    if names_list:
        return [
            Thing(
                "object", {name: dotnet.get_member(bound.shell, item, name, static=False) for name in names_list}, "@{}"
            )
            for item in items
        ]
    return items


def sort_object(bound: Bound) -> list[Value]:
    """`Sort-Object`."""
    from wingo.dockerfile.lowering.powershell import dotnet

    items = list(bound.piped or [])
    if any(is_unknown(item) for item in items):
        return items
    properties = list_of(bound.get("Property"))

    def key(item: Value) -> list[tuple[int, float, str]]:
        values = []
        for name in properties or [None]:
            if isinstance(name, ScriptBlock):
                result = _with_item(bound, name, item)
                value = result[0] if result else None
            else:
                value = item if name is None else dotnet.get_member(bound.shell, item, text_of(name), static=False)
            if isinstance(value, Thing) and value.kind == "version":
                values.append((0, 0.0, ".".join(f"{part + 1:010}" for part in value.data)))
            elif isinstance(value, int | float):
                values.append((0, float(value), ""))
            else:
                values.append((1, 0.0, text_of(value).lower()))
        return values

    items.sort(key=key, reverse=bound.switch("Descending"))
    if bound.switch("Unique"):
        kept: list[Value] = []
        for item in items:
            if not kept or key(kept[-1]) != key(item):
                kept.append(item)
        return kept
    return items


def measure_object(bound: Bound) -> list[Value]:
    """`Measure-Object`: the count alone."""
    items = list(bound.piped or [])
    count: Value = Unknown("a count") if any(isinstance(item, Unknown) for item in items) else len(items)
    return [Thing("measure", {"Count": count}, "")]


def select_string(bound: Bound) -> list[Value]:
    """`Select-String`: the lines that match."""
    items: list[Value] = []
    if bound.has("Path"):
        for written in bound.paths("Path"):
            data = bound.shell.session.read(bound.shell.session.path(written))
            if data is None:
                return [Unknown(f"lines of {written}")]
            items += data.decode("utf-8", "replace").splitlines()
    else:
        items = list_of(bound.get("InputObject")) or list(bound.piped or [])
    found: list[Value] = []
    import re

    for pattern in bound.texts("Pattern"):
        compiled = (
            re.compile(re.escape(pattern), re.IGNORECASE)
            if bound.switch("SimpleMatch")
            else regex(pattern, sensitive=bound.switch("CaseSensitive"))
        )
        for item in items:
            if is_unknown(item):
                return [Unknown("lines that match")]
            text = text_of(item)
            for line in text.splitlines() or [""]:
                match = compiled.search(line[: 1 << 16])
                if (match is not None) != bound.switch("NotMatch"):
                    groups: list[Value] = []
                    if match is not None:
                        parts: list[Value] = [match[0], *match.groups()]
                        groups = [Thing("group", {"Value": part}, text_of(part)) for part in parts]
                    matches: list[Value] = [Thing("match", {"Value": match[0] if match else "", "Groups": groups}, "")]
                    found.append(Thing("matchinfo", {"Line": line, "Matches": matches}, line))
    return found


def out_null(bound: Bound) -> list[Value]:
    """`Out-Null`."""
    del bound
    return []


def pass_on(bound: Bound) -> list[Value]:
    """`Write-Output`, `Out-String` and the like: what goes in comes out."""
    return list_of(bound.get("InputObject")) if bound.has("InputObject") else list(bound.piped or [])


def out_string(bound: Bound) -> list[Value]:
    """`Out-String`."""
    values = pass_on(bound)
    if any(is_unknown(value) for value in values):
        return [Unknown("a text")]
    return ["".join(f"{text_of(value)}\r\n" for value in values)]


def write_host(bound: Bound) -> list[Value]:
    """`Write-Host` and its like: people read it, nobody else."""
    values = list_of(bound.get("Object")) if bound.has("Object") else list(bound.piped or [])
    bound.shell.session.print(" ".join(map(text_of, values)))
    return []


def write_error(bound: Bound) -> list[Value]:
    """`Write-Error`."""
    raise CommandFailed(bound.text("Message") or text_of(list(bound.piped or [])) or bound.text("Exception"))


def nothing(bound: Bound) -> list[Value]:
    """A cmdlet that changes nothing of an image."""
    del bound
    return []


def set_variable(bound: Bound) -> list[Value]:
    """`Set-Variable` and `New-Variable`."""
    for name in bound.texts("Name"):
        bound.shell.set(name, bound.get("Value"))
    return []


def get_variable(bound: Bound) -> list[Value]:
    """`Get-Variable`."""
    found: list[Value] = []
    for name in bound.texts("Name"):
        value = bound.shell.get(name)
        found.append(
            value if bound.switch("ValueOnly") else Thing("variable", {"Name": name, "Value": value}, text_of(value))
        )
    return found


def remove_variable(bound: Bound) -> list[Value]:
    """`Remove-Variable`."""
    for name in bound.texts("Name"):
        bound.shell.scopes[-1].pop(name.lower(), None)
    return []


def convert_from_string_data(bound: Bound) -> list[Value]:
    """`ConvertFrom-StringData`."""
    table = Table()
    for line in bound.text("StringData", text_of(list(bound.piped or []))).splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            table.set(name.strip(), value.strip())
    return [table]


def convert_from_json(bound: Bound) -> list[Value]:
    """`ConvertFrom-Json`."""
    import json

    text = "\n".join(map(text_of, list_of(bound.get("InputObject")) or list(bound.piped or [])))
    if is_unknown(text):
        return [Unknown("what JSON says")]
    try:
        return [_of_json(json.loads(text), 0)]
    except (ValueError, RecursionError) as error:
        raise Terminating("ConvertFrom-Json: invalid JSON") from error


def _of_json(value: object, depth: int) -> Value:
    if depth > 60:
        raise CannotLower("JSON is nested too deeply")
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_of_json(item, depth + 1) for item in value]
        case dict():
            return Thing("object", {str(key): _of_json(item, depth + 1) for key, item in value.items()}, "@{}")
        case _:
            return str(value)


def invoke_expression(bound: Bound) -> list[Value]:
    """`Invoke-Expression` of a text that is known."""
    from wingo.dockerfile.lowering.powershell.parser import parse_script
    from wingo.dockerfile.lowering.powershell.reader import ParseFault

    value = bound.get("Command") if bound.has("Command") else list(bound.piped or [])
    about = text_of(value)
    if is_unknown(value) or has_hole(about):
        chocolatey = "Leave it out, and fetch what the choco commands after it install."
        raise CannotLower(
            f"Invoke-Expression runs {shown(about)}, a script that is downloaded",
            chocolatey
            if "chocolatey" in about.lower()
            else "Copy what the script installs: download its zip and use Expand-Archive.",
        )
    text = "\n".join(map(text_of, list_of(value)))
    try:
        block = parse_script(text, core=bound.shell.core)
    except ParseFault as fault:
        raise Terminating(f"Invoke-Expression: {fault.message}") from fault
    return bound.shell.block(block.body)


def invoke_command(bound: Bound) -> list[Value]:
    """`Invoke-Command -ScriptBlock {…}` on this machine."""
    block = bound.get("ScriptBlock")
    if bound.has("ComputerName") or not isinstance(block, ScriptBlock):
        raise CannotLower("Invoke-Command on another machine is not lowered")
    return call_with(bound.shell, block, {}, list_of(bound.get("ArgumentList")))


_INPUT = "InputObject"
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Where-Object", f"FilterScript Property Value {_INPUT} " + " ".join(f"{name}!" for name in _OPERATORS.split()), where_object, positional="FilterScript Value"),
    cmdlet("ForEach-Object", f"Process Begin End MemberName ArgumentList Parallel {_INPUT}", for_each_object, positional="Process*"),
    cmdlet("Select-Object", f"Property ExpandProperty ExcludeProperty First Last Skip Index Unique! Wait! {_INPUT}", select_object, positional="Property"),
    cmdlet("Sort-Object", f"Property Descending! Unique! CaseSensitive! Culture {_INPUT}", sort_object, positional="Property*"),
    cmdlet("Measure-Object", f"Property Sum! Average! Maximum! Minimum! Line! Word! Character! {_INPUT}", measure_object, positional="Property"),
    cmdlet("Select-String", f"Pattern Path LiteralPath SimpleMatch! CaseSensitive! NotMatch! Quiet! List! AllMatches! Encoding Context {_INPUT}", select_string, positional="Pattern Path"),
    cmdlet("Out-Null", _INPUT, out_null),
    cmdlet("Out-Host", f"Paging! {_INPUT}", out_null),
    cmdlet("Out-Default", f"Transcript! {_INPUT}", out_null),
    cmdlet("Out-String", f"Stream! Width NoNewline! {_INPUT}", out_string),
    cmdlet("Write-Output", f"{_INPUT} NoEnumerate!", pass_on, positional="InputObject*"),
    cmdlet("Format-Table", f"Property AutoSize! HideTableHeaders! Wrap! GroupBy View {_INPUT}", out_null, positional="Property*"),
    cmdlet("Format-List", f"Property GroupBy View Force! {_INPUT}", out_null, positional="Property*"),
    cmdlet("Tee-Object", f"FilePath Append! Variable {_INPUT}", pass_on, positional="FilePath"),
    cmdlet("Write-Host", "Object NoNewline! Separator ForegroundColor BackgroundColor", write_host, positional="Object*"),
    cmdlet("Write-Verbose", "Message/Object", nothing, positional="Message"),
    cmdlet("Write-Debug", "Message/Object", nothing, positional="Message"),
    cmdlet("Write-Information", "MessageData/Object Tags", nothing, positional="MessageData Tags"),
    cmdlet("Write-Warning", "Object/Message", write_host, positional="Object"),
    cmdlet("Write-Progress", "Activity Status Id PercentComplete SecondsRemaining CurrentOperation ParentId Completed! SourceId", nothing, positional="Activity Status Id"),
    cmdlet("Write-Error", "Message Exception ErrorRecord Category ErrorId TargetObject RecommendedAction", write_error, positional="Message"),
    cmdlet("Set-Variable", "Name Value Scope Option Force! Description Visibility PassThru!", set_variable, positional="Name Value"),
    cmdlet("New-Variable", "Name Value Scope Option Force! Description Visibility PassThru!", set_variable, positional="Name Value"),
    cmdlet("Get-Variable", "Name ValueOnly! Scope Include Exclude", get_variable, positional="Name"),
    cmdlet("Remove-Variable", "Name Scope Force!", remove_variable, positional="Name"),
    cmdlet("ConvertFrom-StringData", "StringData Delimiter", convert_from_string_data, positional="StringData"),
    cmdlet("ConvertFrom-Json", f"{_INPUT} AsHashtable! Depth", convert_from_json, positional="InputObject"),
    cmdlet("Invoke-Expression", "Command", invoke_expression, positional="Command"),
    cmdlet("Invoke-Command", "ScriptBlock ArgumentList ComputerName NoNewScope! Session Credential", invoke_command, positional="ScriptBlock"),
)  # fmt: skip
