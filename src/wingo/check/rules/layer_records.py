"""The extended records of a layer's entries (go-winio `backuptar/tar.go`; image-spec `layer.md`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wingo.archive.unpack import Member, MemberKind
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, layer_rule
from wingo.check.subject import LayerSubject
from wingo.windows.requests import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT

ATTRIBUTES = "MSWINDOWS.fileattr"
CREATION = "LIBARCHIVE.creationtime"
_TIMES = ("atime", "ctime", CREATION)
_TIME = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?\Z")
_MAX_ATTRIBUTES = 0xFFFFFFFF


def attributes_of(member: Member) -> int | None:
    """The Win32 attributes that an entry gives; None when it gives none, or no number."""
    text = member.pax.get(ATTRIBUTES, "")
    value = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else None
    return value if value is None or value <= _MAX_ATTRIBUTES else None


@layer_rule("WGO120", Severity.ERROR, Group.RECORDS, os="windows")
def attributes_agree(layer: LayerSubject) -> Iterator[Problem]:
    """The attributes of an entry agree with its kind.

    Why:
        Where `MSWINDOWS.fileattr` is there, it alone decides whether a directory is made (bit 0x10), whatever the tar's
        own type says; a value that is no decimal number ends the import. A reparse bit (0x400) on what is no link makes
        a file that cannot be opened.

    Example:
        `MSWINDOWS.fileattr=32` on a directory: a file of that name is made, and everything in it fails.
    Mend:
        Write 16 for a directory, 32 for a file, 1040 for a link to a directory, 1056 for a link to a file.
    """
    absent = 0
    first = ""
    for member in layer.members:
        text = member.pax.get(ATTRIBUTES)
        if text is None:
            absent += 1
            first = first or member.name
            continue
        bits = attributes_of(member)
        directory = member.kind is MemberKind.DIRECTORY
        if bits is None:
            problem = f"{ATTRIBUTES} of {member.name} is {text[:40]!r}, no decimal number"
        elif member.kind in (MemberKind.FILE, MemberKind.DIRECTORY) and bool(bits & 0x10) != directory:
            made = "a directory" if bits & FILE_ATTRIBUTE_DIRECTORY else "a file"
            problem = f"{member.name} is a {member.kind.value}, and its attributes {bits:#x} make {made} of it"
        elif bits & FILE_ATTRIBUTE_REPARSE_POINT and member.kind is not MemberKind.SYMLINK:
            problem = f"{member.name} is a {member.kind.value}, and its attributes {bits:#x} say that it is a link"
        else:
            continue
        hint = f"Write {16 if directory else 32}."
        yield Problem(message=problem, hint=hint, path=member.name)
    if absent:
        yield Problem(
            message=f"{_counted(absent, first)} no {ATTRIBUTES}: the importer goes by the tar's own type",
            hint="Write 16 for directories and 32 for files, so that every importer makes the same of them.",
            path=first,
            severity=Severity.NOTE,
        )


def _counted(count: int, first: str) -> str:
    return f"{first} has" if count == 1 else f"{count} entries, {first} the first of them, have"


@layer_rule("WGO121", Severity.NOTE, Group.RECORDS, os="windows")
def times_given(layer: LayerSubject) -> Iterator[Problem]:
    """Every entry says when it was made, changed and read.

    Why:
        Where `atime` or `ctime` is not there, the importer converts Go's zero time, and the file was last read in the
        year 1754 (go-winio `FileInfoFromHeader`). Programs that compare times, or clean up by them, stumble over it.

    Example:
        Layers of ko and crane have the tar's mtime alone.
    Mend:
        Write the records `atime`, `ctime` and `LIBARCHIVE.creationtime` too.
    """
    lacking = [member for member in layer.members if any(key not in member.pax for key in _TIMES)]
    if lacking:
        names = ", ".join(key for key in _TIMES if any(key not in member.pax for member in lacking))
        yield Problem(
            message=f"{_counted(len(lacking), lacking[0].name)} no {names}: Windows shows the year 1754",
            hint="Write these records with the time of the build.",
            path=lacking[0].name,
        )


@layer_rule("WGO122", Severity.NOTE, Group.RECORDS, os="windows")
def times_equal(layer: LayerSubject) -> Iterator[Problem]:
    """All times of a layer are one.

    Why:
        Times of the build machine differ at every build, and with them the layer's digest: the same program is sent,
        stored and pulled again. One time for everything (SOURCE_DATE_EPOCH) makes equal layers of equal content.

    Example:
        BuildKit creates missing directories with the time of now (moby/buildkit#4805).
    Mend:
        Give every entry the same mtime, atime, ctime and creation time.
    """
    expected: int | None = None
    differing = []
    for member in layer.members:
        times = {_nanoseconds(member.pax.get("mtime", str(member.mtime)))}
        times |= {_nanoseconds(member.pax[key]) for key in _TIMES if key in member.pax}
        expected = min((time for time in times if time is not None), default=0) if expected is None else expected
        if times - {expected, None}:
            differing.append(member.name)
    if differing:
        what = f"{_counted(len(differing), differing[0])} times"
        yield Problem(
            message=f"{what} that are not the first entry's: the layer will differ at the next build",
            hint="Set SOURCE_DATE_EPOCH, and write that time everywhere.",
            path=differing[0],
        )


@layer_rule("WGO123", Severity.ERROR, Group.RECORDS, os="windows")
def times_well_written(layer: LayerSubject) -> Iterator[Problem]:
    """Times are written as seconds, with a fraction of up to nine digits.

    Why:
        The importer refuses what is no number. BuildKit writes the fraction of the creation time without its leading
        zeros, so that 5 nanoseconds become half a second (`util/winlayers/differ.go`); ends in zeros are not canonical.

    Example:
        `LIBARCHIVE.creationtime=2024-01-09T00:00:00Z`, `ctime=1700000000.0`.
    Mend:
        Write `1700000000`, or `1700000000.000000005`.
    """
    for member in layer.members:
        for key in ("mtime", *_TIMES):
            text = member.pax.get(key)
            matched = None if text is None else _TIME.match(text)
            if text is None or (matched and not (matched[3] or "").endswith("0")):
                continue
            yield Problem(
                message=f"{key} of {member.name} is {text[:40]!r}"
                + (", with zeros at its end" if matched else ", no number of seconds"),
                hint="Write seconds since 1970, with a fraction only where there is one.",
                path=member.name,
                severity=Severity.NOTE if matched else None,
            )


def _nanoseconds(text: str) -> int | None:
    matched = _TIME.match(text)
    if matched is None:
        return None
    fraction = int((matched[3] or "").ljust(9, "0"))
    return int(f"{matched[1]}1") * (int(matched[2]) * 10**9 + fraction)


@layer_rule("WGO124", Severity.NOTE, Group.RECORDS, os="windows")
def pax_format(layer: LayerSubject) -> Iterator[Problem]:
    """The tar's headers are POSIX ones, as the image specification wants for Windows' records.

    Why:
        Windows' attributes and descriptors are PAX records; GNU's older header is another format, in which some readers
        do not look for them.

    Example:
        A layer written by GNU tar without `--format=posix`.
    Mend:
        Write the tar in the PAX format.
    """
    old = [member.name for member in layer.members if member.gnu]
    if old:
        yield Problem(
            message=f"{_counted(len(old), old[0])} a header of GNU's format, not of POSIX's",
            hint="Write the tar in the PAX format.",
            path=old[0],
        )


@layer_rule("WGO125", Severity.NOTE, Group.RECORDS)
def compression_neutral(layer: LayerSubject) -> Iterator[Problem]:
    """The compressed layer says neither when nor under which name it was made.

    Why:
        gzip keeps a time and a file's name in its header. They tell of the build machine, and make the layer's digest
        another one at every build.

    Example:
        `gzip layer.tar` keeps both; `gzip -n` keeps neither.
    Mend:
        Compress with `gzip -n`, or with any tool that writes no time.
    """
    head = layer.head
    if head[:2] == b"\x1f\x8b" and len(head) >= 10 and (head[3] & 0x08 or head[4:8] != bytes(4)):
        yield Problem(
            message="the layer's gzip header has a time or a file's name", hint="Compress it without them: gzip -n."
        )
