r"""Who may do what with a stage's files: descriptors as they are, and as `icacls` and `Set-Acl` change them.

What nobody described takes after the directory that it is in; `C:\` passes on what it does in a container of Docker's.
"""

from __future__ import annotations

import re

import msgspec

from wingo.dockerfile.lowering.edits import SetSecurity
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Tree
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components
from wingo.windows.sddl import format_sddl, parse_sddl
from wingo.windows.security import (
    CONTAINER_ADMINISTRATOR,
    CONTAINER_USER,
    CREATOR_GROUP,
    CREATOR_OWNER,
    FILE_ALL,
    INHERITED,
    AccessEntry,
    AccessList,
    SecurityDescriptor,
    inherited,
)

ROOT = (
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)"
    "(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
)
r"""What `C:\` has in Microsoft's bases, and what BuildKit gives the directories that it makes (`util/winlayers/differ.go`)."""

PROTECTED = 0x1000

_ACCOUNTS = {
    "EVERYONE": "S-1-1-0",
    "CREATOR OWNER": CREATOR_OWNER,
    "CREATOR GROUP": CREATOR_GROUP,
    "OWNER RIGHTS": "S-1-3-4",
    "NETWORK": "S-1-5-2",
    "INTERACTIVE": "S-1-5-4",
    "SERVICE": "S-1-5-6",
    "ANONYMOUS LOGON": "S-1-5-7",
    "AUTHENTICATED USERS": "S-1-5-11",
    "SYSTEM": "S-1-5-18",
    "LOCALSYSTEM": "S-1-5-18",
    "LOCAL SERVICE": "S-1-5-19",
    "LOCALSERVICE": "S-1-5-19",
    "NETWORK SERVICE": "S-1-5-20",
    "NETWORKSERVICE": "S-1-5-20",
    "ADMINISTRATORS": "S-1-5-32-544",
    "USERS": "S-1-5-32-545",
    "GUESTS": "S-1-5-32-546",
    "POWER USERS": "S-1-5-32-547",
    "IIS_IUSRS": "S-1-5-32-568",
    "CONTAINERADMINISTRATOR": CONTAINER_ADMINISTRATOR,
    "CONTAINERUSER": CONTAINER_USER,
    "ALL APPLICATION PACKAGES": "S-1-15-2-1",
    "TRUSTEDINSTALLER": "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
}
_DOMAINS = ("", "BUILTIN", "NT AUTHORITY", "USER MANAGER", "NT SERVICE", "APPLICATION PACKAGE AUTHORITY", ".")


def sid_of(session: Session, name: str) -> str:
    """An account's SID.

    Raises:
        CommandFailed: there is no such account.
        CannotLower: it is one that only the running system knows.
    """
    plain = name.strip().lstrip("*")
    if re.fullmatch(r"S-1-[0-9]+(?:-[0-9]+){1,15}", plain, re.IGNORECASE):
        return plain.upper()
    domain, _, account = upcase(plain).rpartition("\\")
    if domain in _DOMAINS and account in _ACCOUNTS:
        return _ACCOUNTS[account]
    if domain == "NT SERVICE":
        return service_sid(account)
    if domain in ("IIS APPPOOL", "NT VIRTUAL MACHINE"):
        raise CannotLower(f"the SID of {name} is made by the running system", "Use IIS_IUSRS.")
    from wingo.dockerfile.lowering.accounts import local_account_sid

    if domain in ("", ".") and (found := local_account_sid(session, plain.rpartition("\\")[2])):
        return found
    raise CommandFailed(f"no mapping between account names and security IDs was done: {name}", 1332)


def service_sid(name: str) -> str:
    """The SID of a service's virtual account: of the SHA-1 of its name in upper case, UTF-16LE (MS-DTYP 2.4.2.4)."""
    import hashlib
    import struct

    digest = hashlib.sha1(upcase(name).encode("utf-16-le"), usedforsecurity=False).digest()
    return "S-1-5-80-" + "-".join(map(str, struct.unpack("<5I", digest)))


def descriptor_of(tree: Tree, path: Components) -> SecurityDescriptor:
    """The descriptor of what is at a path: its own, or what its directory passes on."""
    if not path:
        return parse_sddl(ROOT)
    item = tree.find(path, follow=False)
    if item is not None and item.access:
        return parse_sddl(item.access)
    parent = descriptor_of(tree, path[:-1])
    return inherited(parent, directory=item is not None and item.is_directory)


def set_descriptor(session: Session, item: Item, descriptor: SecurityDescriptor, change: str) -> None:
    """Gives something a descriptor of its own.

    Raises:
        CommandFailed: the account may not.
    """
    if not session.start.is_administrator:
        session.note(f"{session.start.account} may not change who may do what with {item.text}")
    sddl = format_sddl(descriptor)
    session.tree.put(msgspec.structs.replace(item, access=sddl, in_base=False))
    session.add(SetSecurity(item.text, sddl, change))


def with_entry(descriptor: SecurityDescriptor, entry: AccessEntry, *, replace: bool = False) -> SecurityDescriptor:
    """A descriptor with one more entry; denials stand first, and what says the same of the same account is joined."""
    access = descriptor.access or AccessList(())
    entries = list(access.entries)
    if replace:
        entries = [old for old in entries if old.sid != entry.sid or old.allow != entry.allow or old.flags & INHERITED]
    for index, old in enumerate(entries):
        if (old.sid, old.allow, old.flags) == (entry.sid, entry.allow, entry.flags):
            entries[index] = AccessEntry(old.allow, old.flags, old.mask | entry.mask, old.sid)
            break
    else:
        place = 0 if not entry.allow else next((i for i, old in enumerate(entries) if old.allow), len(entries))
        entries.insert(place, entry)
    return msgspec.structs.replace(descriptor, access=AccessList(tuple(entries), access.control))


def without_account(descriptor: SecurityDescriptor, sid: str, *, kinds: str = "gd") -> SecurityDescriptor:
    """A descriptor without an account's entries: "g" grants, "d" denials."""
    access = descriptor.access or AccessList(())
    kept = tuple(old for old in access.entries if old.sid != sid or ("g" if old.allow else "d") not in kinds)
    return msgspec.structs.replace(descriptor, access=AccessList(kept, access.control))


def protected(descriptor: SecurityDescriptor, *, keep: bool) -> SecurityDescriptor:
    """A descriptor that takes nothing after its directory any more; what it took so far stays or goes.

    What an item without a descriptor of its own has is all taken from above.
    """
    access = descriptor.access or AccessList(())
    entries = access.entries if keep else ()
    plain = tuple(AccessEntry(old.allow, old.flags & ~INHERITED, old.mask, old.sid) for old in entries)
    return msgspec.structs.replace(descriptor, access=AccessList(plain, access.control | PROTECTED))


FULL = FILE_ALL
