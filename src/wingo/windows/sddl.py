"""SDDL, the text of security descriptors (MS-DTYP 2.5.1): reading with the place of every fault, and writing.

Owner, group and plain allow and deny entries; the rest of the language is refused rather than half understood.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from wingo.errors import Malformed, RequestError
from wingo.windows.security import (
    CONTAINER_ADMINISTRATOR,
    CONTAINER_USER,
    CONTROLS,
    FILE_ALL,
    FILE_EXECUTE,
    FILE_READ,
    FILE_WRITE,
    INHERIT_ONLY,
    INHERITED,
    INHERITED_BY_DIRECTORIES,
    INHERITED_BY_FILES,
    MAX_SUB_AUTHORITIES,
    NO_PROPAGATION,
    READ_ONLY_FILE,
    AccessEntry,
    AccessList,
    SecurityDescriptor,
    decode_descriptor,
    encode_descriptor,
    sid_text,
)

_MAX_SDDL = 32_768
_KINDS = frozenset({"A", "D"})
_OTHER_KINDS = frozenset({"OA", "OD", "AU", "AL", "OU", "OL", "ML", "XA", "XD", "ZA", "XU", "RA", "SP", "TL", "FL"})
_FLAGS = {
    "OI": INHERITED_BY_FILES,
    "CI": INHERITED_BY_DIRECTORIES,
    "NP": NO_PROPAGATION,
    "IO": INHERIT_ONLY,
    "ID": INHERITED,
}
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
            if not word or control & CONTROLS[word]:
                raise self.refused(position, "expected P, AR, AI once each, or an entry in parentheses")
            control |= CONTROLS[word]
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
        if authority >= 1 << 48 or max(numbers) > 0xFFFFFFFF or len(numbers) > MAX_SUB_AUTHORITIES:
            raise self.refused(position, "a number of the SID is out of range, or it has more than 15")
        return sid_text(authority, numbers)

    def refused(self, position: int, problem: str) -> RequestError:
        start = max(0, position - 40)
        excerpt = self.text[start : position + 40]
        return RequestError(
            f"SDDL, character {position + 1}: {problem}\n  {excerpt}\n  {' ' * (position - start)}^",
            hint=f"A complete example: {READ_ONLY_FILE}",
        )


def format_sddl(descriptor: SecurityDescriptor) -> str:
    """The descriptor as SDDL, in one spelling: two-letter SIDs and rights where one names it exactly, else numbers."""
    parts = []
    if descriptor.owner:
        parts.append(f"O:{_short_sid(descriptor.owner)}")
    if descriptor.group:
        parts.append(f"G:{_short_sid(descriptor.group)}")
    if descriptor.access is not None:
        control = "".join(word for word, bit in CONTROLS.items() if descriptor.access.control & bit)
        parts.append(f"D:{control}" + "".join(map(_format_entry, descriptor.access.entries)))
    return "".join(parts)


@lru_cache(maxsize=8192)
def sddl_of_record(encoded: str) -> str:
    """A layer's `MSWINDOWS.rawsd` as SDDL; "" where there is none, or none that says everything: it takes after its directory."""
    try:
        descriptor = decode_descriptor(binascii.a2b_base64(encoded)) if encoded else None
    except (Malformed, binascii.Error):
        return ""
    return format_sddl(descriptor) if descriptor is not None and descriptor.complete else ""


def _short_sid(sid: str) -> str:
    return _ALIAS_OF_SID.get(sid, sid)


def _format_entry(entry: AccessEntry) -> str:
    flags = "".join(word for word, bit in _FLAGS.items() if entry.flags & bit)
    rights = _RIGHT_OF_MASK.get(entry.mask) or f"0x{entry.mask:x}"
    return f"({'A' if entry.allow else 'D'};{flags};{rights};;;{_short_sid(entry.sid)})"
