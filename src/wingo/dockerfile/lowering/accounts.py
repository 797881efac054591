r"""Local accounts: the SAM hive's keys `Users` and `Aliases`, changed as `net user /add` and `net localgroup /add` change them.

A new account takes after the base's own Guest, which has no password: what of its values depends on the version of Windows
is copied and not made up. Passwords are encrypted with keys of the running system and are refused. The structures are those
that chntpw and samdump2 read: `F` of a domain and of a user, `V` of a user, `C` of a group and of an alias. Nobody has shown
that Windows takes what is written here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from wingo.dockerfile.lowering.edits import AddAccount, AddMember, SetAccountPolicy
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.session import Session
from wingo.hive.edit import CreateKey, Edit, SetValue
from wingo.hive.keys import Key
from wingo.hive.upcase import upcase
from wingo.hive.values import BINARY

_DOMAINS = r"HKEY_LOCAL_MACHINE\SAM\SAM\Domains"
_ACCOUNT = rf"{_DOMAINS}\Account"
_USERS = rf"{_ACCOUNT}\Users"
_ALIASES = rf"{_DOMAINS}\Builtin\Aliases"
_GUEST = 501
_ORDINARY = 513
"""The group None, which every local account is in."""
_USERS_ALIAS = 545
_V_HEADER = 0xCC
_NORMAL, _NO_PASSWORD, _DISABLED, _NEVER_EXPIRES = 0x10, 0x4, 0x1, 0x200
_NEVER = 0x7FFF_FFFF_FFFF_FFFF
_UNLIMITED = 0x8000_0000_0000_0000
_FILETIME = 116_444_736_000_000_000
_NAME = re.compile(r'[^"/\\\[\]:;|=,+*?<>@\x00-\x1f]{1,20}\Z')


def _known(session: Session) -> bool:
    """Whether the SAM hive was read; in a plan it need not be.

    Raises:
        CannotLower: it was not, and this is no plan.
    """
    if not session.registry.is_assumed(_ACCOUNT):
        return True
    if not session.planning:
        raise CannotLower("the base's SAM hive was not read", "Let wingo read the base's hives.")
    session.late = True
    return False


def _binary(key: Key | None, name: str, what: str) -> bytes:
    for value in key.values() if key is not None else ():
        if upcase(value.name) == upcase(name):
            return value.data
    raise CannotLower(f"the base's SAM hive has no {what}", "Use ContainerUser or ContainerAdministrator.")


def _rid(session: Session, path: str) -> int:
    """The number that a name's key has for its default value's type; 0: there is no such name."""
    key = session.registry.find(path)
    for value in key.values() if key is not None else ():
        if not value.name:
            return value.type
    return 0


def local_account_sid(session: Session, name: str) -> str:
    """The SID of an account of the image's own, or ""."""
    if not _NAME.match(name):
        return ""
    if session.registry.is_assumed(_ACCOUNT):
        return "S-1-5-21-0-0-0-1000" if upcase(name) in session.assumed_accounts else ""
    rid = _rid(session, rf"{_USERS}\Names\{name}")
    return f"{_domain_sid(session)}-{rid}" if rid else ""


def _domain_sid(session: Session) -> str:
    data = _binary(session.registry.find(_ACCOUNT), "V", "domain")
    if len(data) < 24 or data[-24:-12] != bytes.fromhex("010400000000000515000000"):
        raise CannotLower("the base's SAM hive names its domain in a way that is not known")
    return "S-1-5-21-" + "-".join(map(str, struct.unpack("<3I", data[-12:])))


def _encoded_sid(sid: str) -> bytes:
    numbers = [int(part) for part in sid.split("-")[3:]]
    return (
        bytes((1, len(numbers)))
        + int(sid.split("-")[2]).to_bytes(6, "big")
        + struct.pack(f"<{len(numbers)}I", *numbers)
    )


def add_user(
    session: Session,
    name: str,
    *,
    full_name: str = "",
    comment: str = "",
    password_needed: bool = True,
    active: bool = True,
) -> None:
    """`net user NAME /add`, without a password.

    Raises:
        CommandFailed: it is there already, or the name cannot be.
        CannotLower: the base's SAM hive is not as it is known.
    """
    if not _NAME.match(name) or not name.strip(". "):
        raise CommandFailed(f"{name!r} cannot be the name of an account", 2202)
    session.add(AddAccount(name))
    session.note(
        f"the account {name} is written into the SAM hive as Windows' own tools lay it out; "
        "that Windows takes it is not proven"
    )
    if not _known(session):
        session.assumed_accounts.add(upcase(name))
        return
    if _rid(session, rf"{_USERS}\Names\{name}"):
        raise CommandFailed(f"the account {name} already exists", 2224)
    domain = bytearray(_binary(session.registry.find(_ACCOUNT), "F", "domain"))
    if len(domain) < 0x4C:
        raise CannotLower("the base's SAM hive has a domain of a form that is not known")
    rid = struct.unpack_from("<I", domain, 0x48)[0]
    struct.pack_into("<I", domain, 0x48, rid + 1)
    guest = session.registry.find(rf"{_USERS}\{_GUEST:08X}")
    fixed = bytearray(_binary(guest, "F", "account Guest"))
    if len(fixed) < 0x44:
        raise CannotLower("the base's SAM hive has accounts of a form that is not known")
    flags = _NORMAL | _NEVER_EXPIRES | (0 if password_needed else _NO_PASSWORD) | (0 if active else _DISABLED)
    # A password of the build's epoch would have expired long ago, so it never does.
    struct.pack_into("<QQQQQ", fixed, 0x08, 0, 0, _FILETIME + session.start.epoch * 10_000_000, _NEVER, 0)
    struct.pack_into("<IIH", fixed, 0x30, rid, _ORDINARY, flags)
    struct.pack_into("<HH", fixed, 0x40, 0, 0)
    variable = _variable(
        _binary(guest, "V", "account Guest"), f"{_domain_sid(session)}-{rid}", name, full_name, comment
    )
    edits: list[Edit] = [
        SetValue(_ACCOUNT, "F", BINARY, bytes(domain)),
        CreateKey(rf"{_USERS}\{rid:08X}"),
        SetValue(rf"{_USERS}\{rid:08X}", "F", BINARY, bytes(fixed)),
        SetValue(rf"{_USERS}\{rid:08X}", "V", BINARY, variable),
        SetValue(rf"{_USERS}\Names\{name}", "", rid, b""),
        *_counted(session, _USERS, 1),
        SetValue(rf"{_ACCOUNT}\Groups\{_ORDINARY:08X}", "C", BINARY, _with_rid(session, rid)),
    ]
    session.change_registry(*edits, quiet=True)
    _add_member(session, _USERS_ALIAS, f"{_domain_sid(session)}-{rid}")


def _counted(session: Session, path: str, more: int) -> Sequence[Edit]:
    """The default value of a key, whose type is how many are below it."""
    key = session.registry.find(path)
    for value in key.values() if key is not None else ():
        if not value.name:
            return [SetValue(path, "", value.type + more, value.data)]
    return []


def _variable(guest: bytes, sid: str, name: str, full_name: str, comment: str) -> bytes:
    """A user's `V`: seventeen (offset, length, more), then what they name."""
    if len(guest) < _V_HEADER:
        raise CannotLower("the base's account Guest has a form that is not known")
    parts: list[tuple[bytes, int]] = []
    for index in range(17):
        offset, length, more = struct.unpack_from("<III", guest, index * 12)
        if _V_HEADER + offset + length > len(guest):
            raise CannotLower("the base's account Guest has a form that is not known")
        parts.append((guest[_V_HEADER + offset : _V_HEADER + offset + length], more))
    of_guest = _encoded_sid(sid.rpartition("-")[0] + f"-{_GUEST}")
    parts[0] = (parts[0][0].replace(of_guest, _encoded_sid(sid)), parts[0][1])
    for index, text in ((1, name), (2, full_name), (3, comment)):
        parts[index] = (text.encode("utf-16-le"), 0)
    for index in range(4, 11):
        parts[index] = (b"", 0)
    parts[12] = (struct.pack("<II", _ORDINARY, 7), 1)
    header, body = b"", b""
    for data, more in parts:
        header += struct.pack("<III", len(body), len(data), more)
        body += data + bytes(-len(data) % 4)
    return header + body


def _with_rid(session: Session, rid: int) -> bytes:
    """The group None's `C` with one more member."""
    data = bytearray(_binary(session.registry.find(rf"{_ACCOUNT}\Groups\{_ORDINARY:08X}"), "C", "group None"))
    if len(data) < 0x44:
        raise CannotLower("the base's group None has a form that is not known")
    offset, length, count = struct.unpack_from("<III", data, 0x38)
    place = 0x44 + offset + 4 * count
    if 4 * count + 4 > length:
        if 0x44 + offset + length != len(data):
            raise CannotLower("the base's group None has a form that is not known")
        data += bytes(4 * count + 4 - length)
        length = 4 * count + 4
    if place + 4 > len(data):
        raise CannotLower("the base's group None has a form that is not known")
    struct.pack_into("<I", data, place, rid)
    struct.pack_into("<II", data, 0x3C, length, count + 1)
    return bytes(data)


def add_member(session: Session, group: str, account: str) -> None:
    """`net localgroup GROUP ACCOUNT /add`.

    Raises:
        CommandFailed: there is no such group or account, or it is in it already.
        CannotLower: the base's SAM hive is not as it is known.
    """
    from wingo.dockerfile.lowering.security import sid_of

    session.add(AddMember(group, account))
    if not _known(session):
        return
    rid = _rid(session, rf"{_ALIASES}\Names\{group}")
    if not rid:
        raise CommandFailed(f"the specified local group {group} does not exist", 2220)
    _add_member(session, rid, sid_of(session, account))


def _add_member(session: Session, alias: int, sid: str) -> None:
    path = rf"{_ALIASES}\{alias:08X}"
    data = bytearray(_binary(session.registry.find(path), "C", f"group {alias}"))
    encoded = _encoded_sid(sid)
    if len(data) < 0x34:
        raise CannotLower(f"the base's group {alias} has a form that is not known")
    offset, length, count = struct.unpack_from("<III", data, 0x28)
    start = 0x34 + offset
    if start + length != len(data):
        raise CannotLower(f"the base's group {alias} has a form that is not known")
    if encoded in bytes(data[start:]):
        raise CommandFailed(f"the account {sid} is already a member of the group", 1378)
    data += encoded
    struct.pack_into("<II", data, 0x2C, length + len(encoded), count + 1)
    above, _, rid = sid.rpartition("-")
    members = rf"{_ALIASES}\Members\{above}"
    key = rf"{members}\{int(rid):08X}"
    known = session.registry.find(key)
    groups = next((value.data for value in known.values() if not value.name), b"") if known is not None else b""
    groups += struct.pack("<I", alias)
    edits: list[Edit] = [SetValue(path, "C", BINARY, bytes(data))]
    if session.registry.find(members) is None:
        edits.append(SetValue(members, "", 1, b""))
    elif known is None:
        edits += _counted(session, members, 1)
    edits.append(SetValue(key, "", len(groups) // 4, groups))
    session.change_registry(*edits, quiet=True)


def set_maximum_age(session: Session, days: int | None) -> None:
    """`net accounts /maxpwage:DAYS`; None is unlimited.

    Raises:
        CannotLower: the base's SAM hive is not as it is known.
    """
    session.add(SetAccountPolicy("maximum password age", "unlimited" if days is None else f"{days} days"))
    if not _known(session):
        return
    domain = bytearray(_binary(session.registry.find(_ACCOUNT), "F", "domain"))
    if len(domain) < 0x20:
        raise CannotLower("the base's SAM hive has a domain of a form that is not known")
    age = _UNLIMITED if days is None else (1 << 64) - days * 86_400 * 10_000_000
    struct.pack_into("<Q", domain, 0x18, age)
    session.change_registry(SetValue(_ACCOUNT, "F", BINARY, bytes(domain)), quiet=True)
