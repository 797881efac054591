"""The members and methods of .NET that `RUN` steps use: of texts, arrays and files, of `[Environment]`, `[IO.Path]` and a few more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower
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
from wingo.windows.paths import path_text

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell

_IGNORED_STATICS = {
    "net.servicepointmanager": ("securityprotocol", "servercertificatevalidationcallback", "expect100continue", "defaultconnectionlimit"),
    "console": ("outputencoding", "inputencoding", "title"),
}  # fmt: skip
"""Members whose setting changes nothing of an image."""
_ENUMERATIONS = ("net.securityprotocoltype", "environmentvariabletarget", "io.compression.compressionlevel", "security.accesscontrol.", "text.encoding", "stringcomparison", "stringsplitoptions", "io.filemode", "environment+specialfolder", "reflection.", "microsoft.win32.registryvaluekind")  # fmt: skip
_HOST_ONLY = {
    "environment": ("machinename", "processorcount", "username", "userdomainname", "osversion", "tickcount", "currentmanagedthreadid"),
    "guid": ("newguid",),
    "io.path": ("getrandomfilename", "gettempfilename"),
    "net.dns": ("gethostname",),
    "diagnostics.process": ("start", "getcurrentprocess"),
}  # fmt: skip


def make(shell: PowerShell, written: str, arguments: list[Value]) -> Value:
    """`New-Object`, `[type]::new()`.

    Raises:
        CannotLower: a type that is not lowered.
    """
    del shell
    name = written.lower().removeprefix("system.").strip("[]")
    match name:
        case "net.webclient":
            table = Table()
            return Thing(
                "webclient", {"Headers": Thing("headers", {}, "", data=table)}, "System.Net.WebClient", data=table
            )
        case "io.fileinfo" | "io.directoryinfo":
            return text_of(arguments[0]) if arguments else ""
        case "version":
            return cast_version(arguments)
        case "object" | "psobject":
            return Thing("object", {}, "")
        case "collections.arraylist" | "collections.generic.list[string]" | "collections.generic.list[object]":
            return []
        case "collections.hashtable":
            return Table()
        case "text.utf8encoding":
            mark = bool(arguments and truth_of(arguments[0]))
            return Thing("encoding", {}, "utf8" if mark else "utf8nobom")
        case _ if name.endswith("filesystemaccessrule"):
            return Thing("make-rule", {}, "", data=arguments)
        case _ if name.endswith(("ntaccount", "securityidentifier")):
            return text_of(arguments[0]) if arguments else ""
        case _:
            raise CannotLower(f"New-Object {written} is not lowered", "Use cmdlets alone.")


def cast_version(arguments: list[Value]) -> Value:
    """`New-Object Version …`."""
    from wingo.dockerfile.lowering.powershell.values import version_of

    text = ".".join(map(text_of, arguments))
    numbers = version_of(text)
    names = ("Major", "Minor", "Build", "Revision")
    whole = (*numbers, -1, -1)[:4]
    return Thing("version", dict(zip(names, whole, strict=True)), text, data=whole)


# Members


def get_member(shell: PowerShell, owner: Value, name: str, *, static: bool) -> Value:
    """`owner.name` or `[type]::name`.

    Raises:
        CannotLower: one that is not lowered.
    """
    lower = name.lower()
    if isinstance(owner, TypeName):
        if static:
            return _static_member(shell, owner.name, name)
        raise CannotLower(f"[{owner.name}].{name} is not lowered")
    match owner:
        case None:
            return 0 if lower in ("count", "length") else None
        case Unknown():
            return Unknown(f"{owner.about} {name}")
        case str():
            if lower == "length":
                return Unknown("a length") if has_hole(owner) else len(owner)
            return 1 if lower == "count" else None
        case list():
            if lower in ("count", "length"):
                return Unknown("a count") if any(isinstance(item, Unknown) for item in owner) else len(owner)
            found: list[Value] = []
            for item in owner:
                found += list_of(get_member(shell, item, name, static=False))
            return found[0] if len(found) == 1 else found or None
        case Table():
            if owner.has(name):
                return owner.get(name)
            if lower in ("keys", "values", "count"):
                pairs = owner.items()
                return len(pairs) if lower == "count" else [pair[lower == "values"] for pair in pairs]
            return None
        case Thing():
            return _thing_member(owner, name)
        case int() | float():
            return 1 if lower in ("count", "length") else None
        case bytes():
            return len(owner) if lower in ("count", "length") else None
        case _:
            return None


def _thing_member(owner: Thing, name: str) -> Value:
    lower = name.lower()
    if lower in owner.properties:
        return owner.properties[lower]
    if lower in ("count", "length") and owner.kind != "file":
        return 1
    if owner.kind == "file" and owner.item is not None:
        if lower in ("lastwritetime", "creationtime", "lastaccesstime", "lastwritetimeutc", "creationtimeutc"):
            raise CannotLower(f"the {name} of a file is not known: images have one time for all")
        if lower in ("directory", "parent"):
            return path_text(owner.item.path[:-1])
        if lower == "versioninfo":
            raise CannotLower("the version in a program's resources is not read")
        if owner.item.unknown:
            return Unknown(f"{name} of {owner.text}")
    if owner.data == "open":
        return Unknown(f"{name} of {owner.text or owner.kind}")
    return None


def set_member(shell: PowerShell, owner: Value, name: str, value: Value, *, static: bool) -> None:
    """`owner.name = value`.

    Raises:
        CannotLower: one that is not lowered.
    """
    lower = name.lower()
    if isinstance(owner, TypeName) and static:
        if lower in _IGNORED_STATICS.get(owner.name, ()):
            return
        if owner.name == "environment" and lower == "currentdirectory":
            return
        raise CannotLower(f"[{owner.name}]::{name} = … is not lowered")
    if isinstance(owner, Table):
        owner.set(name, value)
    elif isinstance(owner, Thing):
        if owner.kind == "file":
            if lower == "isreadonly" and owner.item is not None:
                return
            raise CannotLower(f"setting {name} of a file is not lowered")
        owner.properties[lower] = value
    else:
        raise Terminating(f"the property {name!r} cannot be found on this object")
    del shell


def _static_member(shell: PowerShell, type_: str, name: str) -> Value:
    lower = name.lower()
    if lower in _HOST_ONLY.get(type_, ()):
        raise CannotLower(f"[{type_}]::{name} depends on the machine that builds or the time", "Give the value by ARG.")
    if type_.startswith(_ENUMERATIONS):
        return Thing("enum", {}, name)
    match (type_, lower):
        case ("environment", "newline"):
            return "\r\n"
        case ("environment", "systemdirectory"):
            return r"C:\Windows\system32"
        case ("environment", "is64bitoperatingsystem" | "is64bitprocess"):
            return True
        case ("environment", "currentdirectory"):
            return path_text(shell.session.directory)
        case ("io.path", "directoryseparatorchar"):
            return "\\"
        case ("io.path", "pathseparator"):
            return ";"
        case ("string", "empty"):
            return ""
        case ("net.servicepointmanager", "securityprotocol"):
            return Thing("enum", {}, "Tls12")
        case ("int" | "int32", "maxvalue"):
            return 0x7FFF_FFFF
        case ("datetime", "now" | "utcnow" | "today"):
            from wingo.dockerfile.lowering.powershell.dates import date_thing

            return date_thing(shell)
        case ("security.principal.windowsidentity", _):
            raise CannotLower("the identity of the account that builds")
        case _:
            raise CannotLower(f"[{type_}]::{name} is not lowered", "Use cmdlets alone.")


# Calls


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
        case "where":
            raise CannotLower(".Where is not lowered", "Use Where-Object.")
        case "foreach":
            raise CannotLower(".ForEach is not lowered", "Use ForEach-Object.")
        case "gettype":
            return Thing("type", {"Name": "Object[]"}, "Object[]")
        case _:
            # PowerShell calls it on each of the values.
            return [call(shell, item, name, arguments, static=False) for item in owner]


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


def _rule(shell: PowerShell, value: Value) -> Value:
    if isinstance(value, Thing) and value.kind == "make-rule":
        from wingo.dockerfile.lowering.powershell.acl import make_rule

        return make_rule(shell, list_of(value.data))
    return value


def _call_static(shell: PowerShell, type_: str, name: str, arguments: list[Value]) -> Value:
    lower = name.lower()
    if lower in _HOST_ONLY.get(type_, ()):
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
