"""Self-relative SECURITY_DESCRIPTORs ([MS-DTYP] 2.4.6) and the access check of [MS-DTYP] 2.5.3.2."""

from __future__ import annotations

import struct
from typing import NamedTuple

# A service that runs as ContainerUser holds all of these in its token.
ORDINARY = frozenset(
    {
        "S-1-1-0",  # Everyone
        "S-1-2-0",  # LOCAL
        "S-1-5-4",  # INTERACTIVE
        "S-1-5-6",  # SERVICE
        "S-1-5-11",  # Authenticated Users
        "S-1-5-32-545",  # BUILTIN\Users
        "S-1-5-93-2-2",  # ContainerUser
    }
)

ADD_FILE, ADD_SUBDIRECTORY, WRITE_EA, DELETE_CHILD, WRITE_ATTRIBUTES = 0x2, 0x4, 0x10, 0x40, 0x100
DELETE, WRITE_DAC, WRITE_OWNER = 0x10000, 0x40000, 0x80000
READ_AND_EXECUTE = 0x1200A9
MODIFY = 0x1301BF
ANY_WRITE = ADD_FILE | ADD_SUBDIRECTORY | WRITE_EA | DELETE_CHILD | WRITE_ATTRIBUTES | DELETE | WRITE_DAC | WRITE_OWNER
OBJECT_INHERIT, CONTAINER_INHERIT, NO_PROPAGATE, INHERIT_ONLY = 0x1, 0x2, 0x4, 0x8
_GENERIC = {0x80000000: 0x120089, 0x40000000: 0x120116, 0x20000000: 0x1200A0, 0x10000000: 0x1F01FF}
_ALLOWED, _DENIED = 0, 1
_SELF_RELATIVE, _DACL_PRESENT = 0x8000, 0x4


class BrokenDescriptor(ValueError):
    """The bytes are no self-relative SECURITY_DESCRIPTOR."""


class Ace(NamedTuple):
    """One allow or deny entry, its generic rights mapped to those of files."""

    kind: int
    flags: int
    mask: int
    sid: str


class Descriptor(NamedTuple):
    """A decoded descriptor; `dacl` is None when absent or NULL, which both let everybody do everything."""

    owner: str | None
    group: str | None
    dacl: tuple[Ace, ...] | None


def decode(data: bytes) -> Descriptor:
    """Reads a self-relative descriptor to the last byte. Raises: BrokenDescriptor."""
    try:
        revision, _, control, owner, group, sacl, dacl = struct.unpack_from("<BBHIIII", data)
    except struct.error as error:
        raise BrokenDescriptor(str(error)) from error
    if revision != 1:
        raise BrokenDescriptor(f"revision {revision}")
    if not control & _SELF_RELATIVE:
        raise BrokenDescriptor("not self-relative")
    if sacl:
        raise BrokenDescriptor("a SACL, which no image needs")
    if not control & _DACL_PRESENT and dacl:
        raise BrokenDescriptor("a DACL offset without SE_DACL_PRESENT")
    ends = [20]
    sids: list[str | None] = []
    for offset in (owner, group):
        if not offset:
            sids.append(None)
            continue
        sid, end = _sid(data, offset)
        sids.append(sid)
        ends.append(end)
    aces = None
    if dacl:
        aces, end = _acl(data, dacl)
        ends.append(end)
    if max(ends) != len(data):
        raise BrokenDescriptor(f"{len(data)} bytes, of which {max(ends)} are used")
    return Descriptor(sids[0], sids[1], aces)


def _sid(data: bytes, offset: int) -> tuple[str, int]:
    if offset < 20 or offset + 8 > len(data):
        raise BrokenDescriptor(f"a SID at offset {offset} of {len(data)}")
    revision, count = data[offset], data[offset + 1]
    end = offset + 8 + 4 * count
    if revision != 1 or count > 15 or end > len(data):
        raise BrokenDescriptor(f"a SID of revision {revision} with {count} parts")
    authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
    parts = struct.unpack_from(f"<{count}I", data, offset + 8)
    return "-".join(["S-1", str(authority), *map(str, parts)]), end


def _acl(data: bytes, offset: int) -> tuple[tuple[Ace, ...], int]:
    if offset < 20 or offset + 8 > len(data):
        raise BrokenDescriptor(f"an ACL at offset {offset} of {len(data)}")
    revision, _, size, count, _ = struct.unpack_from("<BBHHH", data, offset)
    end = offset + size
    if revision not in {2, 4} or end > len(data):
        raise BrokenDescriptor(f"an ACL of revision {revision} and {size} bytes")
    at, aces = offset + 8, []
    for _ in range(count):
        if at + 8 > end:
            raise BrokenDescriptor("an ACE outside its ACL")
        kind, flags, length, mask = struct.unpack_from("<BBHI", data, at)
        if kind not in {_ALLOWED, _DENIED}:
            raise BrokenDescriptor(f"an ACE of type {kind}")
        sid, sid_end = _sid(data[:end], at + 8)
        if sid_end != at + length:
            raise BrokenDescriptor(f"an ACE of {length} bytes whose SID ends after {sid_end - at}")
        aces.append(Ace(kind, flags, _mapped(mask), sid))
        at += length
    if at != end:
        raise BrokenDescriptor(f"an ACL of {size} bytes whose ACEs end after {at - offset}")
    return tuple(aces), end


def _mapped(mask: int) -> int:
    for generic, rights in _GENERIC.items():
        if mask & generic:
            mask = mask & ~generic | rights
    return mask


def granted(descriptor: Descriptor, groups: frozenset[str] = ORDINARY) -> int:
    """The rights which a process gets on the object itself when its token holds all of `groups`."""
    implicit = WRITE_DAC if descriptor.owner in groups else 0
    if descriptor.dacl is None:
        return _mapped(0x10000000)
    return implicit | _evaluate([ace for ace in descriptor.dacl if not ace.flags & INHERIT_ONLY], groups)


def inherited(descriptor: Descriptor, flag: int, groups: frozenset[str] = ORDINARY) -> int:
    """The rights that a new child gets: `flag` is OBJECT_INHERIT for files, CONTAINER_INHERIT for directories."""
    if descriptor.dacl is None:
        return 0
    return _evaluate([ace for ace in descriptor.dacl if ace.flags & flag], groups)


def _evaluate(aces: list[Ace], groups: frozenset[str]) -> int:
    allowed = denied = 0
    for ace in aces:
        if ace.sid not in groups:
            continue
        if ace.kind == _ALLOWED:
            allowed |= ace.mask & ~denied
        else:
            denied |= ace.mask & ~allowed
    return allowed
