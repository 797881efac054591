"""Security descriptors of a layer's entries (MS-DTYP; facts of ko#361, BuildKit's and ko's constants)."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from functools import lru_cache

from wingo.archive.unpack import Member, MemberKind
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, layer_rule
from wingo.check.subject import LayerSubject
from wingo.errors import Malformed, RequestError
from wingo.hive.upcase import upcase
from wingo.windows.sddl import parse_sddl
from wingo.windows.security import (
    CHANGES,
    SERVICE_ACCOUNTS,
    SecurityDescriptor,
    allowed_rights,
    decode_descriptor,
    encode_descriptor,
    inherited,
)

RAW, TEXT = "MSWINDOWS.rawsd", "MSWINDOWS.sd"
READ_ONLY_SDDL = "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
_DELETE_CHILD, _TAKE_OVER = 0x40, 0x40000 | 0x80000
_PROGRAMS = (".EXE", ".DLL", ".SYS", ".CMD", ".BAT", ".PS1", ".COM")
_MAX_TEXT = 1 << 18


class Described:
    """What an entry's descriptor says.

    Attributes:
        descriptor: None when there is none, or none that can be read.
        problem: why it cannot be read; "" when it can, or when there is none.
        spare: bytes behind its last part.
    """

    __slots__ = ("descriptor", "problem", "spare")

    def __init__(self, descriptor: SecurityDescriptor | None, problem: str = "", spare: int = 0) -> None:
        self.descriptor, self.problem, self.spare = descriptor, problem, spare

    @property
    def listed(self) -> SecurityDescriptor | None:
        """The descriptor, when it has an access list; without one it says nothing of rights."""
        return self.descriptor if self.descriptor is not None and self.descriptor.access is not None else None


def described(records: Mapping[str, str]) -> Described | None:
    """The descriptor in an entry's records; None when it gives none."""
    if (raw := records.get(RAW)) is not None:
        return _decoded(raw)
    if (text := records.get(TEXT)) is not None:
        return _parsed(text)
    return None


@lru_cache(maxsize=1024)
def _decoded(text: str) -> Described:
    if len(text) > _MAX_TEXT:
        return Described(None, f"{len(text)} characters are more than a descriptor can have")
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        return Described(None, f"it is no base64 ({error})")
    try:
        descriptor = decode_descriptor(data)
        written = len(encode_descriptor(descriptor))
    except Malformed as error:
        return Described(None, error.problem)
    return Described(descriptor, spare=max(len(data) - written, 0))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Described:
    try:
        return Described(parse_sddl(text))
    except RequestError as error:
        return Described(None, str(error).partition("\n")[0])


def _owned(layer: LayerSubject) -> Iterator[tuple[Member, Described | None]]:
    """The entries that have a descriptor of their own, if they are right: no roots, hard links or whiteouts."""
    for member in layer.members:
        whiteout = member.name.rpartition("/")[2].startswith(".wh.")
        if member.name.startswith("Files/") and member.kind is not MemberKind.HARDLINK and not whiteout:
            yield member, described(member.pax)


@layer_rule("WGO130", Severity.WARNING, Group.ACCESS, os="windows")
def descriptors_given(layer: LayerSubject) -> Iterator[Problem]:
    """Every file and directory says who may do what with it.

    Why:
        The importer makes what has no security descriptor as SYSTEM, and ContainerUser, the default user of nanoserver,
        gets "Access is denied" (0x5) when it starts such a program (ko#361). For a directory it is not known what
        becomes of it.

    Example:
        `crane append` without its Windows mode, or a tar made by hand.
    Mend:
        Write MSWINDOWS.rawsd; for a program, the descriptor O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU).
    """
    lacking = [member for member, found in _owned(layer) if found is None]
    program = next((member for member in lacking if upcase(member.name) == upcase(layer.program)), None)
    if program is not None:
        yield Problem(
            message=f"the program {program.name} has no security descriptor: ContainerUser may not start it",
            hint=f"Give it MSWINDOWS.rawsd of {READ_ONLY_SDDL}.",
            path=program.name,
            severity=Severity.ERROR,
        )
    for kind, severity in ((MemberKind.FILE, None), (MemberKind.DIRECTORY, Severity.NOTE)):
        alike = [
            m
            for m in lacking
            if m is not program and (m.kind is MemberKind.DIRECTORY) == (kind is MemberKind.DIRECTORY)
        ]
        if alike:
            what = "directory" if kind is MemberKind.DIRECTORY else "file"
            counted = (
                f"the {what} {alike[0].name} has"
                if len(alike) == 1
                else f"{len(alike)} {what.replace('ory', 'orie')}s, {alike[0].name} the first, have"
            )
            yield Problem(
                message=f"{counted} no security descriptor",
                hint="Write MSWINDOWS.rawsd for each entry below Files.",
                path=alike[0].name,
                severity=severity,
            )


@layer_rule("WGO131", Severity.ERROR, Group.ACCESS, os="windows")
def descriptors_readable(layer: LayerSubject) -> Iterator[Problem]:
    """Every security descriptor can be read.

    Why:
        A descriptor that is no base64, cut short, or not self-relative ends the import of the layer.

    Example:
        A descriptor that a template engine wrapped over two lines.
    Mend:
        Encode the SDDL again; wingo takes SDDL in its `permissions` table.
    """
    for member, found in _owned(layer):
        if found is None:
            continue
        if found.problem:
            yield Problem(
                message=f"the security descriptor of {member.name} cannot be read: {found.problem}",
                hint=f"Write a self-relative descriptor in base64, for instance of {READ_ONLY_SDDL}.",
                path=member.name,
            )
        elif found.spare:
            yield Problem(
                message=f"the security descriptor of {member.name} has {found.spare} bytes that belong to none of its parts",
                hint="Write it without them.",
                path=member.name,
                severity=Severity.NOTE,
            )


@layer_rule("WGO132", Severity.WARNING, Group.ACCESS, os="windows")
def owner_and_group(layer: LayerSubject) -> Iterator[Problem]:
    """Every security descriptor has an owner and a group.

    Why:
        A file without an owner gets whoever the importing service runs as; the owner may always change the access list.

    Example:
        `D:(A;;FA;;;BA)`, an access list alone.
    Mend:
        Begin the SDDL with `O:BAG:SY`.
    """
    for member, found in _owned(layer):
        if found is None or found.descriptor is None:
            continue
        lacking = [
            word for word, sid in (("owner", found.descriptor.owner), ("group", found.descriptor.group)) if not sid
        ]
        if lacking:
            yield Problem(
                message=f"the security descriptor of {member.name} has no {' and no '.join(lacking)}",
                hint="Begin the SDDL with O:BAG:SY.",
                path=member.name,
            )


@layer_rule("WGO133", Severity.WARNING, Group.ACCESS, os="windows")
def access_list_present(layer: LayerSubject) -> Iterator[Problem]:
    """Every security descriptor has an access list.

    Why:
        A descriptor without one protects nothing: whoever runs in the container may replace the program. What exactly
        Windows makes of it when a layer is imported was not seen here.

    Example:
        The descriptor O:BUG:BU without a list, which ko, `crane append` and the .NET SDK write.
    Mend:
        Add a list: D:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU).
    """
    for member, found in _owned(layer):
        if found is not None and found.descriptor is not None and found.descriptor.access is None:
            yield Problem(
                message=f"the security descriptor of {member.name} has no access list, so it protects nothing",
                hint=f"Use {READ_ONLY_SDDL}.",
                path=member.name,
            )


def _rights(found: Described | None) -> int:
    """What ordinary users may do; nothing where it is not said, or where another rule tells that it says nothing."""
    if found is None or found.listed is None:
        return 0
    return allowed_rights(found.listed, SERVICE_ACCOUNTS)


def _inherited_by_files(found: Described | None) -> int:
    """What ordinary users may do with a file that is made in a directory."""
    if found is None or found.listed is None:
        return 0
    return allowed_rights(inherited(found.listed, directory=False), SERVICE_ACCOUNTS)


@layer_rule("WGO134", Severity.WARNING, Group.ACCESS, os="windows")
def programs_protected(layer: LayerSubject) -> Iterator[Problem]:
    """Ordinary users cannot change the program, or anything else that runs.

    Why:
        Whoever breaks into the service could replace the program or a DLL, and stay after a restart, or run as the
        administrator who starts it next.

    Example:
        (A;;0x1301bf;;;BU), "Modify for Users", on an exe.
    Mend:
        Give Users read and execute alone: 0x1200a9.
    """
    for member, found in _owned(layer):
        name = upcase(member.name)
        runs = name == upcase(layer.program) or name.endswith(_PROGRAMS)
        if runs and member.kind is MemberKind.FILE and (rights := _rights(found) & CHANGES):
            yield Problem(
                message=f"ordinary users may change {member.name} (rights {rights:#x})",
                hint=f"Give it {READ_ONLY_SDDL}.",
                path=member.name,
            )


@layer_rule("WGO135", Severity.WARNING, Group.ACCESS, os="windows")
def nothing_planted(layer: LayerSubject) -> Iterator[Problem]:
    r"""Ordinary users cannot put files beside the program, or take its directory away.

    Why:
        Windows looks for DLLs in the program's own directory first: one that is planted there runs inside the program.
        Who may delete children of a directory above can replace the whole directory.

    Example:
        BuildKit and buildah give every directory the rights of `C:\`, in which users may create files.
    Mend:
        Give the directory O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU), and keep data elsewhere.
    """
    parts = upcase(layer.program).split("/")[:-1]
    above = {"/".join(parts[:count]): count == len(parts) for count in range(1, len(parts) + 1)}
    for member in layer.members:
        own = above.get(upcase(member.name))
        found = described(member.pax)
        if own is None or member.kind is not MemberKind.DIRECTORY:
            continue
        beside = own and len(parts) > 1  # anybody may make files in C:\ itself, as Windows has it
        rights = _rights(found) & (CHANGES if beside else _DELETE_CHILD | _TAKE_OVER)
        planted = _inherited_by_files(found) & CHANGES if beside else 0
        if rights or planted:
            what = "put or change files in" if beside else "delete what is in"
            yield Problem(
                message=f"ordinary users may {what} {member.name}, where the program is (rights {rights | planted:#x})",
                hint="Give Users read and execute alone there, and a data directory elsewhere.",
                path=member.name,
            )


@layer_rule("WGO136", Severity.WARNING, Group.ACCESS, os="windows")
def nothing_given_away(layer: LayerSubject) -> Iterator[Problem]:
    """Ordinary users cannot change the access list or the owner of anything.

    Why:
        Who may change the list may give himself every right, and take it from the administrator. A data directory needs
        "Modify" (0x1301bf), never "Full control".

    Example:
        (A;OICI;FA;;;BU) on a data directory.
    Mend:
        Write 0x1301bf in place of FA.
    """
    for member, found in _owned(layer):
        if upcase(member.name).startswith("FILES/USERS/"):
            continue  # a profile is its user's
        rights = _rights(found)
        if member.kind is MemberKind.DIRECTORY:
            rights |= _inherited_by_files(found)
        if rights & _TAKE_OVER and upcase(member.name) != upcase(layer.program):
            yield Problem(
                message=f"ordinary users may change the access list or the owner of {member.name}",
                hint="Give Users 0x1301bf (Modify) at most, and own it as O:BA.",
                path=member.name,
            )
