"""The objects and members of .NET that `RUN` steps use: of texts, arrays and files, of `[Environment]` and a few more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.values import (
    Table,
    Terminating,
    Thing,
    TypeName,
    Unknown,
    Value,
    list_of,
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
HOST_ONLY = {
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
        case "diagnostics.eventsourcecreationdata":
            from wingo.dockerfile.lowering.powershell.events import source_data

            return source_data(arguments)
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
    if lower in HOST_ONLY.get(type_, ()):
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
