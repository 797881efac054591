"""`Get-Acl`, `Set-Acl` and the access rules between them."""

from __future__ import annotations

import re

import msgspec

from wingo.dockerfile.lowering import security
from wingo.dockerfile.lowering.edits import SetSecurity
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.evaluate import PowerShell
from wingo.dockerfile.lowering.powershell.places import plain_path
from wingo.dockerfile.lowering.powershell.values import Terminating, Thing, Value, text_of, truth_of
from wingo.windows.sddl import format_sddl, parse_sddl
from wingo.windows.security import AccessEntry, SecurityDescriptor

_RIGHTS = {
    "fullcontrol": 0x1F01FF, "modify": 0x1301BF, "readandexecute": 0x1200A9, "read": 0x120089, "write": 0x100116,
    "listdirectory": 0x100001, "readdata": 0x100001, "writedata": 0x100002, "createfiles": 0x100002, "appenddata": 0x100004,
    "createdirectories": 0x100004, "delete": 0x110000, "deletesubdirectoriesandfiles": 0x100040, "readpermissions": 0x120000,
    "changepermissions": 0x140000, "takeownership": 0x180000, "executefile": 0x100020, "traverse": 0x100020,
    "synchronize": 0x100000, "readattributes": 0x100080, "writeattributes": 0x100100,
}  # fmt: skip
"""FileSystemRights of .NET; a rule that allows always has Synchronize."""


def get_acl(bound: Bound) -> list[Value]:
    """`Get-Acl`."""
    session = bound.shell.session
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        item = session.find(session.path(plain_path(session, written)))
        if item is None:
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        descriptor = security.descriptor_of(session.tree, item.path)
        found.append(acl_thing(descriptor, item.text))
    return found


def acl_thing(descriptor: SecurityDescriptor, path: str) -> Thing:
    """A descriptor as an object."""
    properties: dict[str, Value] = {"Path": path, "Sddl": format_sddl(descriptor) if descriptor.complete else ""}
    return Thing("acl", properties, "System.Security.AccessControl.FileSecurity", data=descriptor)


def set_acl(bound: Bound) -> list[Value]:
    """`Set-Acl`."""
    session = bound.shell.session
    acl = bound.get("AclObject") if bound.has("AclObject") else (bound.piped or [None])[0]
    paths = bound.texts("LiteralPath") or bound.texts("Path")
    if not isinstance(acl, Thing) or acl.kind != "acl":
        raise CommandFailed("Set-Acl: -AclObject is no access list")
    if not paths:
        paths = [text_of(acl.properties.get("path"))]
    for written in paths:
        item = session.find(session.path(plain_path(session, written)))
        if item is None:
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        if item.unknown:
            session.add(SetSecurity(item.text, "", format_sddl(acl.data)))
            continue
        security.set_descriptor(session, item, acl.data, "Set-Acl")
    return []


def make_rule(shell: PowerShell, arguments: list[Value]) -> Thing:
    """`New-Object FileSystemAccessRule(ACCOUNT, RIGHTS[, INHERITANCE, PROPAGATION], TYPE)`.

    Raises:
        Terminating: it is none.
    """
    words = [text_of(value) for value in arguments]
    if len(words) not in (3, 5):
        raise Terminating("FileSystemAccessRule wants 3 or 5 arguments")
    sid = security.sid_of(shell.session, words[0])
    mask = 0x100000
    for name in re.split(r"[,|\s]+", words[1].strip()):
        if name.lower() not in _RIGHTS:
            raise Terminating(f"there are no FileSystemRights {name!r}")
        mask |= _RIGHTS[name.lower()]
    flags = 0
    if len(words) == 5:
        lower = (words[2] + "," + words[3]).lower()
        for name, bit in (("objectinherit", 1), ("containerinherit", 2), ("nopropagateinherit", 4), ("inheritonly", 8)):
            flags |= bit if name in lower else 0
    kind = words[-1].lower()
    if kind not in ("allow", "deny"):
        raise Terminating(f"there is no AccessControlType {words[-1]!r}")
    return Thing("rule", {}, "FileSystemAccessRule", data=AccessEntry(kind == "allow", flags, mask, sid))


def call_acl(shell: PowerShell, acl: Thing, name: str, arguments: list[Value]) -> Value:
    """A method of an access list.

    Raises:
        CannotLower: one that is not lowered.
    """
    descriptor: SecurityDescriptor = acl.data
    rule = arguments[0].data if arguments and isinstance(arguments[0], Thing) and arguments[0].kind == "rule" else None
    match name.lower():
        case "addaccessrule" | "setaccessrule" | "resetaccessrule" if rule is not None:
            replace = not name.lower().startswith("add")
            acl.data = security.with_entry(descriptor, rule, replace=replace)
        case "removeaccessrule" | "removeaccessruleall" | "purgeaccessrules" if rule is not None:
            acl.data = security.without_account(descriptor, rule.sid)
        case "setaccessruleprotection":
            if truth_of(arguments[0]):
                acl.data = security.protected(descriptor, keep=bool(truth_of(arguments[1])))
        case "setowner":
            acl.data = msgspec.structs.replace(descriptor, owner=security.sid_of(shell.session, text_of(arguments[0])))
        case "setsecuritydescriptorsddlform":
            acl.data = parse_sddl(text_of(arguments[0]))
        case _:
            raise CannotLower(f"the method {name} of an access list is not lowered", "Use icacls.")
    return None


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Get-Acl", "Path LiteralPath/PSPath Audit! Filter Include Exclude", get_acl, positional="Path"),
    cmdlet(
        "Set-Acl",
        "Path LiteralPath/PSPath AclObject PassThru! Filter Include Exclude",
        set_acl,
        positional="Path AclObject",
    ),
)
