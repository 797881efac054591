"""The methods of .NET that `RUN` steps call: of texts, arrays, hash tables and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.dotnet import HOST_ONLY, make
from wingo.dockerfile.lowering.powershell.nodes import ScriptBlock
from wingo.dockerfile.lowering.powershell.operators import equals
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Thing,
    TypeName,
    Unknown,
    Value,
    compare,
    format_text,
    is_unknown,
    list_of,
    number_of,
    text_of,
    truth_of,
)

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell


def call(shell: PowerShell, owner: Value, name: str, arguments: list[Value], *, static: bool) -> Value:
    """`owner.name(arguments)`.

    Raises:
        CannotLower: a method that is not lowered.
        CommandFailed, Terminating: it fails.
    """
    if static and isinstance(owner, TypeName):
        return _call_static(shell, owner.name, name, arguments)
    lower = name.lower()
    match owner:
        case None:
            raise Terminating("you cannot call a method on a null-valued expression")
        case Unknown():
            if lower == "equals" and len(arguments) == 1:
                return equals(shell, owner, arguments[0])
            return Unknown(f"{owner.about} {name}")
        case str():
            return _call_text(shell, owner, lower, arguments)
        case Thing():
            return _call_thing(shell, owner, lower, arguments)
        case list():
            return _call_list(shell, owner, lower, arguments)
        case Table():
            return _call_table(owner, lower, arguments)
        case ScriptBlock():
            if lower in ("invoke", "invokereturnasis"):
                from wingo.dockerfile.lowering.powershell.commands import call_with
                from wingo.dockerfile.lowering.powershell.values import unwrap

                return unwrap(call_with(shell, owner, {}, arguments))
            raise CannotLower(f"the method {name} of a block is not lowered")
        case bool() | int() | float():
            if lower == "tostring":
                form = text_of(arguments[0]) if arguments else ""
                return format_text("{0:" + form + "}" if form else "{0}", [owner])
            if lower == "equals":
                return compare(owner, arguments[0], sensitive=True) == 0
            raise CannotLower(f"the method {name} of a number is not lowered")
        case _:
            raise CannotLower(f"the method {name} is not lowered")


def _number(arguments: list[Value], index: int) -> int:
    return int(number_of(arguments[index])) if index < len(arguments) else 0


_UNCHANGED = ("tolower", "toupper", "trim", "trimstart", "trimend", "tostring", "tolowerinvariant", "toupperinvariant", "replace", "substring", "normalize", "padleft", "padright", "insert", "remove")  # fmt: skip


def _call_text(shell: PowerShell, owner: str, name: str, arguments: list[Value]) -> Value:
    if has_hole(owner) or any(is_unknown(argument) for argument in arguments):
        if name == "equals":
            return equals(shell, owner, arguments[0])
        if name in _UNCHANGED:
            # What a plan shows for it is what it was made of.
            return owner if has_hole(owner) else owner + text_of(next(arg for arg in arguments if is_unknown(arg)))
        if name == "split":
            return [Unknown("a part of a text")]
        return Unknown(f"{name} of a text")
    texts = [text_of(argument) for argument in arguments]
    characters = "".join(texts)
    try:
        match name:
            case "tolower" | "tolowerinvariant":
                return owner.lower()
            case "toupper" | "toupperinvariant":
                return owner.upper()
            case "trim":
                return owner.strip(characters or None)
            case "trimstart":
                return owner.lstrip(characters or None)
            case "trimend":
                return owner.rstrip(characters or None)
            case "replace":
                if not texts[0]:
                    raise Terminating("Replace: the text to look for is empty")
                return shell.session.check_size(owner.replace(texts[0], texts[1]))
            case "split":
                return _split(owner, arguments, core=shell.core)
            case "contains":
                return texts[0] in owner
            case "startswith" | "endswith":
                ignore = len(texts) > 1 and "ignorecase" in texts[1].lower()
                one, other = (owner.lower(), texts[0].lower()) if ignore else (owner, texts[0])
                return one.startswith(other) if name == "startswith" else one.endswith(other)
            case "substring":
                start = _number(arguments, 0)
                length = _number(arguments, 1) if len(arguments) > 1 else len(owner) - start
                if start < 0 or length < 0 or start + length > len(owner):
                    raise Terminating("Substring: the index and length must refer to a location within the string")
                return owner[start : start + length]
            case "indexof":
                return owner.find(texts[0])
            case "lastindexof":
                return owner.rfind(texts[0])
            case "equals":
                ignore = len(texts) > 1 and "ignorecase" in texts[1].lower()
                return owner.lower() == texts[0].lower() if ignore else owner == texts[0]
            case "compareto":
                return (owner > texts[0]) - (owner < texts[0])
            case "padleft" | "padright":
                width = min(_number(arguments, 0), 10_000)
                fill = texts[1][:1] if len(texts) > 1 else " "
                return owner.rjust(width, fill) if name == "padleft" else owner.ljust(width, fill)
            case "insert":
                return owner[: _number(arguments, 0)] + texts[1] + owner[_number(arguments, 0) :]
            case "remove":
                end = _number(arguments, 0) + _number(arguments, 1) if len(arguments) > 1 else len(owner)
                return owner[: _number(arguments, 0)] + owner[end:]
            case "tostring" | "normalize" | "clone" | "trimnull":
                return owner
            case "tochararray":
                return list(owner[:100_000])
            case "gettype":
                return Thing("type", {"Name": "String", "FullName": "System.String"}, "string")
            case "gethashcode":
                raise CannotLower("GetHashCode differs from run to run")
            case _:
                raise CannotLower(f"the method {name} of a text is not lowered", "Use -replace, -split, -match.")
    except IndexError as error:
        raise Terminating(f"cannot find an overload for {name!r} with {len(arguments)} arguments") from error


def _split(owner: str, arguments: list[Value], *, core: bool) -> Value:
    """`.Split`: .NET Framework takes the characters of a text, .NET the text itself."""
    import re

    first = arguments[0] if arguments else None
    options = text_of(arguments[-1]).lower() if len(arguments) > 1 else ""
    if first is None or first == "":
        parts = re.split(r"\s", owner)
    elif isinstance(first, list):
        parts = re.split("|".join(re.escape(text_of(item)) for item in first if text_of(item)) or r"\s", owner)
    elif core:
        parts = owner.split(text_of(first))
    else:
        parts = re.split("[" + re.escape(text_of(first)) + "]", owner)
    if "removeempty" in options or options == "1":
        parts = [part for part in parts if part]
    elif len(arguments) > 1 and isinstance(arguments[1], int):
        limit = int(arguments[1])
        separator = text_of(first)[:1]
        parts = owner.split(separator, max(0, limit - 1)) if separator else [owner]
    return list(parts)


def _call_list(shell: PowerShell, owner: list[Value], name: str, arguments: list[Value]) -> Value:
    match name:
        case "add":
            if len(owner) > 100_000:
                raise CannotLower("an array gets too long")
            owner.append(arguments[0])
            return None
        case "addrange":
            owner.extend(list_of(arguments[0]))
            return None
        case "contains":
            results = [compare(item, arguments[0], sensitive=True) for item in owner]
            return True if 0 in results else Unknown("what an array contains") if None in results else False
        case "indexof":
            return next(
                (index for index, item in enumerate(owner) if compare(item, arguments[0], sensitive=True) == 0), -1
            )
        case "where" | "foreach":
            block = arguments[0]
            if not isinstance(block, ScriptBlock) or len(arguments) > 1:
                raise CannotLower(
                    f".{name} with more than a block is not lowered", "Use Where-Object or ForEach-Object."
                )
            return _each(shell, owner, block, keep=name == "where")
        case "gettype":
            return Thing("type", {"Name": "Object[]"}, "Object[]")
        case _:
            # PowerShell calls it on each of the values.
            return [call(shell, item, name, arguments, static=False) for item in owner]


def _each(shell: PowerShell, items: list[Value], block: ScriptBlock, *, keep: bool) -> list[Value]:
    """`.ForEach({…})` gives what the block gives, `.Where({…})` the items for which it is true."""
    from wingo.dockerfile.lowering.powershell.commands import call_with

    found: list[Value] = []
    for item in items:
        shell.session.tick()
        shell.scopes.append({"_": item, "psitem": item})
        try:
            values = call_with(shell, block, {}, [], new_scope=False)
        finally:
            shell.scopes.pop()
        truth = truth_of(values if len(values) != 1 else values[0])
        if keep and truth is None:
            return [Unknown("what .Where chooses")]
        found += ([item] if truth else []) if keep else values
    return found


def _call_table(owner: Table, name: str, arguments: list[Value]) -> Value:
    match name:
        case "containskey" | "contains":
            return owner.has(text_of(arguments[0]))
        case "add":
            owner.set(text_of(arguments[0]), arguments[1])
            return None
        case "getenumerator":
            return [Thing("pair", {"Key": key, "Name": key, "Value": value}, key) for key, value in owner.items()]
        case _:
            raise CannotLower(f"the method {name} of a hash table is not lowered")


def _call_thing(shell: PowerShell, owner: Thing, name: str, arguments: list[Value]) -> Value:
    session = shell.session
    texts = [text_of(argument) for argument in arguments]
    match (owner.kind, name):
        case ("webclient", "downloadfile"):
            headers = tuple((key, text_of(value)) for key, value in owner.data.items())
            session.download(texts[0], session.path(texts[1]), headers)
            return None
        case ("webclient", "downloadstring" | "downloaddata"):
            return Unknown(f"what {texts[0]} answers")
        case ("webclient" | "headers", "dispose" | "add"):
            if name == "add" and len(texts) > 1:
                owner.data.set(texts[0], texts[1])
            return None
        case ("date", _):
            from wingo.dockerfile.lowering.powershell.dates import call_date

            return call_date(owner, name, arguments)
        case ("acl", _):
            from wingo.dockerfile.lowering.powershell.acl import call_acl

            return call_acl(shell, owner, name, [_rule(shell, argument) for argument in arguments])
        case ("file", "delete") if owner.item is not None:
            session.remove(owner.item)
            return None
        case ("file", "copyto" | "moveto") if owner.item is not None:
            target = session.path(texts[0])
            if name == "copyto":
                session.copy_file(owner.item, target)
            else:
                session.move(owner.item, target)
            return None
        case ("enum" | "encoding", "getstring" | "getbytes"):
            return _encoded(owner.text, name, arguments[0])
        case ("version", "compareto"):
            return compare(owner, arguments[0], sensitive=True)
        case ("file" | "path" | "version" | "hash" | "enum" | "key" | "service" | "error" | "exception", "tostring"):
            return owner.text
        case (_, "equals"):
            return equals(shell, owner.text, arguments[0])
        case (_, "dispose" | "close" | "flush" | "refresh" | "waitforexit"):
            return None
        case ("response", _):
            return Unknown(f"{name} of {owner.text}")
        case _:
            raise CannotLower(f"the method {name} of a {owner.kind} is not lowered", "Use cmdlets alone.")


_CODECS = {"utf8": "utf-8", "utf8nobom": "utf-8", "ascii": "ascii", "unicode": "utf-16-le", "bigendianunicode": "utf-16-be", "utf32": "utf-32-le", "default": "cp1252"}  # fmt: skip


def _encoded(encoding: str, name: str, value: Value) -> Value:
    """`[Text.Encoding]::UTF8.GetString(bytes)` and `.GetBytes(text)`."""
    codec = _CODECS.get(encoding.lower())
    if codec is None:
        raise CannotLower(f"the encoding {encoding} is not lowered", "Use UTF8.")
    if is_unknown(value):
        return Unknown(f"{name} of {text_of(value)}")
    if name == "getbytes":
        return text_of(value).encode(codec, "replace")
    data = value if isinstance(value, bytes) else bytes(int(number_of(item)) & 0xFF for item in list_of(value))
    return data.decode(codec, "replace")


def _rule(shell: PowerShell, value: Value) -> Value:
    if isinstance(value, Thing) and value.kind == "make-rule":
        from wingo.dockerfile.lowering.powershell.acl import make_rule

        return make_rule(shell, list_of(value.data))
    return value


def _call_static(shell: PowerShell, type_: str, name: str, arguments: list[Value]) -> Value:
    lower = name.lower()
    if lower in HOST_ONLY.get(type_, ()):
        raise CannotLower(f"[{type_}]::{name} depends on the machine that builds or the time", "Give the value by ARG.")
    if lower == "new":
        return make(shell, type_, arguments)
    short = type_.removeprefix("io.").removeprefix("io.compression.").removeprefix("compression.")
    from wingo.dockerfile.lowering.powershell.statics import STATICS

    handler = STATICS.get(short)
    if handler is None:
        raise CannotLower(f"[{type_}]::{name} is not lowered", "Use cmdlets alone.")
    try:
        return handler(shell, lower, arguments)
    except IndexError as error:
        raise Terminating(f"cannot find an overload for {name!r} with {len(arguments)} arguments") from error
