"""Windows security descriptors: values, the self-relative bytes that a layer carries, and what they permit.

Owner, group and a discretionary list of plain allow and deny entries: that is what a file in an image needs. Audit
lists, object and conditional entries are refused rather than half understood.

Sources: MS-DTYP 2.4 (structures), 2.5.3 (access checks, inheritance); the rights of files: MS-DTYP 2.4.3, winnt.h.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

import msgspec

from wingo.errors import Malformed, RequestError

READ_ONLY_FILE = "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
"""A file that administrators may change and everybody may read and run; what BuildKit gives files."""
READ_ONLY_DIRECTORY = "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)"
"""The same for a directory, inherited. Stricter than BuildKit's, which lets users create files beside the program."""
DATA_FILE = "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1301bf;;;BU)"
"""A file that the service's account may also change and delete ("Modify")."""
DATA_DIRECTORY = "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)"
"""A directory in which the service's account may create, change and delete."""

CONTAINER_ADMINISTRATOR = "S-1-5-93-2-1"
CONTAINER_USER = "S-1-5-93-2-2"
CREATOR_OWNER = "S-1-3-0"
CREATOR_GROUP = "S-1-3-1"
SERVICE_ACCOUNTS = frozenset({CONTAINER_USER, "S-1-5-32-545", "S-1-5-11", "S-1-1-0", "S-1-5-4", "S-1-5-6"})
"""The SIDs that an unprivileged container process has: ContainerUser, Users, Authenticated Users, Everyone, and the
two ways to log on (interactive, service)."""

FILE_ALL = 0x1F01FF
FILE_READ = 0x120089
FILE_WRITE = 0x120116
FILE_EXECUTE = 0x1200A0
CHANGES = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x10000 | 0x40000 | 0x80000
"""Rights to alter a file or directory: write, append, attributes (also extended), delete, delete a child, and change
the descriptor or the owner."""

INHERITED_BY_FILES = 0x01
INHERITED_BY_DIRECTORIES = 0x02
NO_PROPAGATION = 0x04
INHERIT_ONLY = 0x08
INHERITED = 0x10

MAX_SUB_AUTHORITIES = 15
_DACL_PRESENT, _SACL_PRESENT, _SELF_RELATIVE = 0x0004, 0x0010, 0x8000
CONTROLS = {"P": 0x1000, "AR": 0x0100, "AI": 0x0400}
"""A list's control bits by their SDDL names: protected, automatic inheritance asked for, done."""

_GENERIC = {0x10000000: FILE_ALL, 0x20000000: FILE_EXECUTE, 0x40000000: FILE_WRITE, 0x80000000: FILE_READ}
_HEADER = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBHI")


class AccessEntry(msgspec.Struct, frozen=True):
    """One entry of an access list (an ACE).

    Attributes:
        allow: False: the entry denies.
        flags: how it is inherited, `INHERITED_BY_FILES` and so on.
        mask: the rights.
        sid: who, as `S-1-…`.
    """

    allow: bool
    flags: int
    mask: int
    sid: str


class AccessList(msgspec.Struct, frozen=True):
    """A discretionary access list (a DACL); the first entry that speaks of a right decides.

    Attributes:
        entries: in order.
        control: the descriptor's control bits for protection and inheritance (0x1000 P, 0x100 AR, 0x400 AI).
    """

    entries: tuple[AccessEntry, ...]
    control: int = 0


class SecurityDescriptor(msgspec.Struct, frozen=True):
    """Who owns a file and who may do what with it.

    Attributes:
        owner: a SID, or "".
        group: a SID, or "".
        access: None: there is no list, which protects nothing.
    """

    owner: str = ""
    group: str = ""
    access: AccessList | None = None

    @property
    def complete(self) -> bool:
        """Whether owner, group and access list are all there, as every descriptor in a layer should have them."""
        return bool(self.owner and self.group and self.access is not None)


def sid_text(authority: int, numbers: Collection[int]) -> str:
    """A SID as text."""
    # MS-DTYP 2.4.2.1: decimal while it fits 32 bits, else hexadecimal.
    head = str(authority) if authority < 1 << 32 else f"0x{authority:012x}"
    return "-".join(("S-1", head, *map(str, numbers)))


def encode_descriptor(descriptor: SecurityDescriptor) -> bytes:
    """The self-relative form: header, owner, group, access list, each present part once and in that order.

    Raises:
        RequestError: the access list is larger than its 16-bit size can say.
    """
    body = bytearray()
    offsets = {"owner": 0, "group": 0, "access": 0}
    for name, sid in (("owner", descriptor.owner), ("group", descriptor.group)):
        if sid:
            offsets[name] = _HEADER.size + len(body)
            body += _encode_sid(sid)
    control = _SELF_RELATIVE
    if descriptor.access is not None:
        control |= _DACL_PRESENT | descriptor.access.control
        offsets["access"] = _HEADER.size + len(body)
        body += _encode_access(descriptor.access)
    return _HEADER.pack(1, 0, control, offsets["owner"], offsets["group"], 0, offsets["access"]) + bytes(body)


def _encode_access(access: AccessList) -> bytes:
    entries = bytearray()
    for entry in access.entries:
        sid = _encode_sid(entry.sid)
        entries += _ACE.pack(0 if entry.allow else 1, entry.flags, _ACE.size + len(sid), entry.mask) + sid
    size = _ACL.size + len(entries)
    if size > 0xFFFF:
        raise RequestError(f"an access list of {len(access.entries)} entries is larger than Windows can store")
    return _ACL.pack(2, 0, size, len(access.entries), 0) + bytes(entries)


def _encode_sid(sid: str) -> bytes:
    _, _, head, *numbers = sid.split("-")
    authority = int(head, 16 if head.startswith("0x") else 10)
    return (
        bytes((1, len(numbers))) + authority.to_bytes(6, "big") + struct.pack(f"<{len(numbers)}I", *map(int, numbers))
    )


def decode_descriptor(data: bytes) -> SecurityDescriptor:
    """Reads a self-relative descriptor.

    Raises:
        Malformed: not one, or with a part that wingo does not read (an audit list, an object entry, the null list).
    """
    if len(data) < _HEADER.size:
        raise _malformed("shorter than its header", 0)
    revision, _, control, owner, group, _, access = _HEADER.unpack_from(data)
    if revision != 1 or not control & _SELF_RELATIVE:
        raise _malformed("not a self-relative descriptor of revision 1", 0)
    if control & _SACL_PRESENT:
        raise _malformed("it has an audit list", 12)
    decoded = None
    if control & _DACL_PRESENT:
        if not access:
            raise _malformed("the access list is null, so that everybody may do everything", 16)
        decoded = _decode_access(data, access, control & sum(CONTROLS.values()))
    return SecurityDescriptor(
        _decode_sid(data, owner, len(data))[0] if owner else "",
        _decode_sid(data, group, len(data))[0] if group else "",
        decoded,
    )


def _decode_access(data: bytes, offset: int, control: int) -> AccessList:
    if offset + _ACL.size > len(data):
        raise _malformed("the access list begins behind the end", offset)
    revision, _, size, count, _ = _ACL.unpack_from(data, offset)
    end = offset + size
    if revision not in (2, 4) or size < _ACL.size or end > len(data):
        raise _malformed("the access list's header is wrong", offset)
    entries = []
    offset += _ACL.size
    for _ in range(count):
        if offset + _ACE.size > end:
            raise _malformed("an entry begins behind the access list's end", offset)
        kind, flags, length, mask = _ACE.unpack_from(data, offset)
        if kind not in (0, 1):
            raise _malformed(f"an entry of type {kind}, neither allow nor deny", offset)
        if flags & ~0x1F:
            raise _malformed(f"an entry with the flags 0x{flags:02x}", offset)
        sid, after = _decode_sid(data, offset + _ACE.size, min(offset + length, end))
        if after != offset + length:
            raise _malformed("an entry's length is not that of its parts", offset)
        entries.append(AccessEntry(kind == 0, flags, mask, sid))
        offset = after
    return AccessList(tuple(entries), control)


def _decode_sid(data: bytes, offset: int, end: int) -> tuple[str, int]:
    if offset < _HEADER.size or offset + 8 > end:
        raise _malformed("a SID lies outside", offset)
    revision, count = data[offset], data[offset + 1]
    after = offset + 8 + 4 * count
    if revision != 1 or not 0 < count <= MAX_SUB_AUTHORITIES or after > end:
        raise _malformed("not a SID", offset)
    authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
    return sid_text(authority, struct.unpack_from(f"<{count}I", data, offset + 8)), after


def _malformed(problem: str, offset: int) -> Malformed:
    return Malformed("security descriptor", problem, offset=offset)


def allowed_rights(descriptor: SecurityDescriptor, sids: Collection[str]) -> int:
    """The file rights that a process with these SIDs has, generic rights spelt out (MS-DTYP 2.5.3.2).

    Args:
        descriptor: of a file or directory itself: entries that are only to be inherited do not count.
        sids: the process's own and its groups'.
    """
    if descriptor.access is None:
        return FILE_ALL
    allowed = denied = 0
    for entry in descriptor.access.entries:
        if entry.sid not in sids or entry.flags & INHERIT_ONLY:
            continue
        mask = file_rights(entry.mask)
        if entry.allow:
            allowed |= mask & ~denied
        else:
            denied |= mask & ~allowed
    if descriptor.owner in sids:
        # An owner may always read and replace the list.
        allowed |= 0x20000 | 0x40000
    return allowed


def file_rights(mask: int) -> int:
    """A mask with its generic rights replaced by those that they mean for files."""
    for generic, rights in _GENERIC.items():
        if mask & generic:
            mask = mask & ~generic | rights
    return mask


def may_be_changed_by(descriptor: SecurityDescriptor, sids: Collection[str] = SERVICE_ACCOUNTS) -> bool:
    """Whether a process with these SIDs may alter, delete or take over the file; by default, the service's account."""
    return bool(allowed_rights(descriptor, sids) & CHANGES)


def inherited(parent: SecurityDescriptor, *, directory: bool) -> SecurityDescriptor:
    """The descriptor that a new file or directory gets from the directory that it is made in (MS-DTYP 2.5.3.4).

    Where the directory's list passes nothing on, it holds for what is in it too: nobody gets more there than in the
    directory. Inherited entries are written as if they were the child's own.

    Raises:
        ValueError: the parent has no access list.
    """
    if parent.access is None:
        raise ValueError("a directory without an access list passes nothing on")
    entries: list[AccessEntry] = []
    for entry in parent.access.entries:
        entries += _inherited_entries(entry, parent, directory=directory)
    if not entries:
        entries = [_changed(entry, flags=0) for entry in parent.access.entries if not entry.flags & INHERIT_ONLY]
    return SecurityDescriptor(parent.owner, parent.group, AccessList(tuple(entries), parent.access.control))


def _inherited_entries(entry: AccessEntry, parent: SecurityDescriptor, *, directory: bool) -> tuple[AccessEntry, ...]:
    entry = _changed(entry, mask=file_rights(entry.mask))
    creator = {CREATOR_OWNER: parent.owner, CREATOR_GROUP: parent.group}.get(entry.sid)
    passes_on = entry.flags & (INHERITED_BY_FILES | INHERITED_BY_DIRECTORIES) and not entry.flags & NO_PROPAGATION
    reaches = entry.flags & (INHERITED_BY_DIRECTORIES if directory else INHERITED_BY_FILES)
    further = entry.flags & (INHERITED_BY_FILES | INHERITED_BY_DIRECTORIES) if directory and passes_on else 0
    if creator and reaches:
        # It is for whoever made the child, and stays what it was for those further down.
        own = _changed(entry, flags=0, sid=creator)
        return (own, _changed(entry, flags=further | INHERIT_ONLY)) if further else (own,)
    if reaches:
        return (_changed(entry, flags=further),)
    return (_changed(entry, flags=further | INHERIT_ONLY),) if further else ()


def _changed(entry: AccessEntry, *, flags: int = -1, mask: int = -1, sid: str = "") -> AccessEntry:
    return AccessEntry(
        entry.allow,
        entry.flags if flags < 0 else flags,
        entry.mask if mask < 0 else mask,
        sid or entry.sid,
    )
