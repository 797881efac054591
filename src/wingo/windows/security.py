"""Windows security descriptors: SDDL text to and from the self-relative bytes that a layer carries.

Owner, group and a discretionary list of plain allow and deny entries: that is what a file in an image needs. Audit
lists, object and conditional entries are refused rather than half understood.

Sources: MS-DTYP 2.4 (structures) and 2.5.1 (SDDL); the rights of files from MS-DTYP 2.4.3 and winnt.h.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from functools import lru_cache

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

_MAX_SDDL = 32_768
_MAX_SUB_AUTHORITIES = 15
_DACL_PRESENT, _SACL_PRESENT, _SELF_RELATIVE = 0x0004, 0x0010, 0x8000
_HEADER = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBHI")

_KINDS = {"A": 0, "D": 1}
_OTHER_KINDS = frozenset({"OA", "OD", "AU", "AL", "OU", "OL", "ML", "XA", "XD", "ZA", "XU", "RA", "SP", "TL", "FL"})
_FLAGS = {
    "OI": INHERITED_BY_FILES,
    "CI": INHERITED_BY_DIRECTORIES,
    "NP": NO_PROPAGATION,
    "IO": INHERIT_ONLY,
    "ID": INHERITED,
}
_CONTROLS = {"P": 0x1000, "AR": 0x0100, "AI": 0x0400}
_RIGHTS = {
    "FA": FILE_ALL,
    "FR": FILE_READ,
    "FW": FILE_WRITE,
    "FX": FILE_EXECUTE,
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "KA": 0xF003F,
    "KR": 0x20019,
    "KW": 0x20006,
    "KX": 0x20019,
}
_RIGHT_OF_MASK = {mask: name for name, mask in _RIGHTS.items() if not name.startswith("K")}
_GENERIC = {0x10000000: FILE_ALL, 0x20000000: FILE_EXECUTE, 0x40000000: FILE_WRITE, 0x80000000: FILE_READ}

_ALIASES = {
    "BA": "S-1-5-32-544",
    "BU": "S-1-5-32-545",
    "BG": "S-1-5-32-546",
    "PU": "S-1-5-32-547",
    "AO": "S-1-5-32-548",
    "SO": "S-1-5-32-549",
    "PO": "S-1-5-32-550",
    "BO": "S-1-5-32-551",
    "RE": "S-1-5-32-552",
    "RU": "S-1-5-32-554",
    "RD": "S-1-5-32-555",
    "NO": "S-1-5-32-556",
    "MU": "S-1-5-32-558",
    "LU": "S-1-5-32-559",
    "IS": "S-1-5-32-568",
    "CY": "S-1-5-32-569",
    "ER": "S-1-5-32-573",
    "CD": "S-1-5-32-574",
    "RA": "S-1-5-32-575",
    "ES": "S-1-5-32-576",
    "MS": "S-1-5-32-577",
    "HA": "S-1-5-32-578",
    "AA": "S-1-5-32-579",
    "RM": "S-1-5-32-580",
    "WD": "S-1-1-0",
    "CO": "S-1-3-0",
    "CG": "S-1-3-1",
    "OW": "S-1-3-4",
    "NU": "S-1-5-2",
    "IU": "S-1-5-4",
    "SU": "S-1-5-6",
    "AN": "S-1-5-7",
    "ED": "S-1-5-9",
    "PS": "S-1-5-10",
    "AU": "S-1-5-11",
    "RC": "S-1-5-12",
    "SY": "S-1-5-18",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "WR": "S-1-5-33",
    "UD": "S-1-5-84-0-0-0-0-0",
    "AC": "S-1-15-2-1",
}
_ALIAS_OF_SID = {sid: alias for alias, sid in _ALIASES.items()}
_ACCOUNTS = {"CONTAINERADMINISTRATOR": CONTAINER_ADMINISTRATOR, "CONTAINERUSER": CONTAINER_USER}
_OF_A_MACHINE = frozenset(
    {"LA", "LG", "DA", "DU", "DG", "DC", "DD", "CA", "SA", "EA", "PA", "RS", "RO", "CN", "AP", "KA", "EK"}
)

_SID = re.compile(r"S-1-(0x[0-9a-fA-F]{1,12}|[0-9]{1,15})((?:-[0-9]{1,10})+)", re.IGNORECASE)
_ENTRY = re.compile(r"\(([^()]*)\)")


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


@lru_cache(maxsize=1024)
def parse_sddl(text: str) -> SecurityDescriptor:
    """Reads SDDL.

    Rights of keys (`KA` …) are taken as the numbers that they are. SIDs may be the two-letter ones that are the same
    on every machine, full ones, or the words ContainerAdministrator and ContainerUser.

    Raises:
        RequestError: not SDDL, or a part that has no place in an image (an audit list, an object or conditional entry,
            an account of one machine or domain, the null list); says at which character.
    """
    return _SddlReader(text).read()


@lru_cache(maxsize=1024)
def sddl_bytes(text: str) -> bytes:
    """The self-relative descriptor of an SDDL text.

    Raises:
        RequestError: see `parse_sddl`.
    """
    return encode_descriptor(parse_sddl(text))


class _SddlReader:
    def __init__(self, text: str) -> None:
        self.text = text

    def read(self) -> SecurityDescriptor:
        if len(self.text) > _MAX_SDDL:
            raise self.refused(0, f"it is longer than {_MAX_SDDL} characters")
        parts: dict[str, str | AccessList] = {}
        position = 0
        while position < len(self.text):
            name = self.text[position]
            if name not in "OGDS" or self.text[position + 1 : position + 2] != ":":
                raise self.refused(position, "expected O:, G: or D:")
            if name in parts:
                raise self.refused(position, f"{name}: stands here a second time")
            if name == "S":
                raise self.refused(position, "audit lists (S:) are not for images")
            if name == "D":
                parts[name], position = self.access_list(position + 2)
            else:
                parts[name], position = self.sid(position + 2)
        if not parts:
            raise self.refused(0, "it is empty")
        owner, group, access = parts.get("O", ""), parts.get("G", ""), parts.get("D")
        assert isinstance(owner, str)
        assert isinstance(group, str)
        assert not isinstance(access, str)
        return SecurityDescriptor(owner, group, access)

    def access_list(self, position: int) -> tuple[AccessList, int]:
        control = 0
        if self.text.startswith("NO_ACCESS_CONTROL", position):
            raise self.refused(position, "a null list would let everybody do everything")
        while self.text[position : position + 1].isalpha() and self.text[position + 1 : position + 2] != ":":
            word = next((w for w in ("P", "AR", "AI") if self.text.startswith(w, position)), "")
            if not word or control & _CONTROLS[word]:
                raise self.refused(position, "expected P, AR, AI once each, or an entry in parentheses")
            control |= _CONTROLS[word]
            position += len(word)
        entries: list[AccessEntry] = []
        while self.text[position : position + 1] == "(":
            matched = _ENTRY.match(self.text, position)
            if matched is None:
                raise self.refused(position, "the entry is not closed, or is a conditional one")
            entries.append(self.entry(position + 1, matched[1]))
            position = matched.end()
        return AccessList(tuple(entries), control), position

    def entry(self, position: int, body: str) -> AccessEntry:
        fields = body.split(";")
        if len(fields) != 6:
            raise self.refused(position, f"an entry has six fields (type;flags;rights;;;SID), this one {len(fields)}")
        starts = [position]
        for field in fields[:-1]:
            starts.append(starts[-1] + len(field) + 1)
        kind, flags, rights, object_type, inherited_type, trustee = fields
        if kind not in _KINDS:
            known = "which images have no use for" if kind in _OTHER_KINDS else "which does not exist"
            raise self.refused(position, f"an entry of type {kind!r}, {known}; only A (allow) and D (deny)")
        if object_type or inherited_type:
            raise self.refused(starts[3], "only directory-service objects have object types")
        sid, end = self.sid(starts[5])
        if end != starts[5] + len(trustee):
            raise self.refused(end, "expected the end of the entry")
        return AccessEntry(kind == "A", self.flags(starts[1], flags), self.rights(starts[2], rights), sid)

    def flags(self, position: int, text: str) -> int:
        flags = 0
        for index in range(0, len(text), 2):
            word = text[index : index + 2]
            if word not in _FLAGS:
                raise self.refused(position + index, f"{word!r} is not an inheritance flag (OI, CI, NP, IO, ID)")
            flags |= _FLAGS[word]
        return flags

    def rights(self, position: int, text: str) -> int:
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", text):
            mask = int(text, 16)
        elif re.fullmatch(r"[1-9][0-9]{0,9}", text) and int(text) <= 0xFFFFFFFF:
            mask = int(text)
        else:
            mask = 0
            for index in range(0, len(text), 2):
                word = text[index : index + 2]
                if word not in _RIGHTS:
                    raise self.refused(position + index, f"{word!r} is not a right, for instance FA, FR or 0x1200a9")
                mask |= _RIGHTS[word]
        if not mask:
            raise self.refused(position, "the entry gives no right")
        return mask

    def sid(self, position: int) -> tuple[str, int]:
        if matched := _SID.match(self.text, position):
            return self.full_sid(position, matched), matched.end()
        for account, sid in _ACCOUNTS.items():
            if self.text[position : position + len(account)].upper() == account:
                return sid, position + len(account)
        alias = self.text[position : position + 2]
        if alias in _ALIASES:
            return _ALIASES[alias], position + 2
        if alias in _OF_A_MACHINE:
            raise self.refused(position, f"{alias} is an account of one machine or domain; an image is for all")
        raise self.refused(position, "expected a SID, for instance BA, SY, BU, ContainerUser or S-1-5-32-545")

    def full_sid(self, position: int, matched: re.Match[str]) -> str:
        authority = int(matched[1], 0 if matched[1][:2] in ("0x", "0X") else 10)
        numbers = [int(part) for part in matched[2][1:].split("-")]
        if authority >= 1 << 48 or max(numbers) > 0xFFFFFFFF or len(numbers) > _MAX_SUB_AUTHORITIES:
            raise self.refused(position, "a number of the SID is out of range, or it has more than 15")
        return _sid_text(authority, numbers)

    def refused(self, position: int, problem: str) -> RequestError:
        start = max(0, position - 40)
        excerpt = self.text[start : position + 40]
        return RequestError(
            f"SDDL, character {position + 1}: {problem}\n  {excerpt}\n  {' ' * (position - start)}^",
            hint=f"A complete example: {READ_ONLY_FILE}",
        )


def _sid_text(authority: int, numbers: Collection[int]) -> str:
    # MS-DTYP 2.4.2.1: decimal while it fits 32 bits, else hexadecimal.
    head = str(authority) if authority < 1 << 32 else f"0x{authority:012x}"
    return "-".join(("S-1", head, *map(str, numbers)))


def format_sddl(descriptor: SecurityDescriptor) -> str:
    """The descriptor as SDDL, in one spelling: two-letter SIDs and rights where one names it exactly, else numbers."""
    parts = []
    if descriptor.owner:
        parts.append(f"O:{_short_sid(descriptor.owner)}")
    if descriptor.group:
        parts.append(f"G:{_short_sid(descriptor.group)}")
    if descriptor.access is not None:
        control = "".join(word for word, bit in _CONTROLS.items() if descriptor.access.control & bit)
        parts.append(f"D:{control}" + "".join(map(_format_entry, descriptor.access.entries)))
    return "".join(parts)


def _short_sid(sid: str) -> str:
    return _ALIAS_OF_SID.get(sid, sid)


def _format_entry(entry: AccessEntry) -> str:
    flags = "".join(word for word, bit in _FLAGS.items() if entry.flags & bit)
    rights = _RIGHT_OF_MASK.get(entry.mask) or f"0x{entry.mask:x}"
    return f"({'A' if entry.allow else 'D'};{flags};{rights};;;{_short_sid(entry.sid)})"


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
        decoded = _decode_access(data, access, control & sum(_CONTROLS.values()))
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
    if revision != 1 or not 0 < count <= _MAX_SUB_AUTHORITIES or after > end:
        raise _malformed("not a SID", offset)
    authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
    return _sid_text(authority, struct.unpack_from(f"<{count}I", data, offset + 8)), after


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
