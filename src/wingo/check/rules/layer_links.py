"""Links and removals in a layer (go-winio `reparse.go`; hcsshim `legacy.go`, `pkg/ociwclayer/import.go`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wingo.archive.unpack import Member, MemberKind
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, layer_rule
from wingo.check.rules.layer_records import attributes_of
from wingo.check.subject import LayerSubject
from wingo.hive.upcase import upcase
from wingo.windows.requests import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT

_JUNCTION = "MSWINDOWS.mountpoint"
_IN_TAR = re.compile(r"(?i)(?:utilityvm[/\\])?(?:files|hives)(?:[/\\]|\Z)")
_ABSOLUTE = re.compile(r"(?:\\\\\?\\|\\\?\?\\)?[A-Za-z]:\\")
_DRIVE = re.compile(r"(?:/\?\?/|//\?/)?[A-Za-z]:/")


def _links(layer: LayerSubject, kind: MemberKind) -> Iterator[Member]:
    return (member for member in layer.members if member.kind is kind)


@layer_rule("WGO140", Severity.ERROR, Group.LINKS, os="windows")
def link_targets(layer: LayerSubject) -> Iterator[Problem]:
    r"""A symbolic link has the text that Windows is to follow, not a path in the tar.

    Why:
        The text goes into the reparse point as it stands. `Files/app/x` would be looked for below the link's own
        directory; `/app/x` has no drive.

    Example:
        BuildKit and buildah put `Files/` before the target of every link (`util/winlayers/differ.go`).
    Mend:
        Write `x`, `..\app\x` or `C:\app\x`.
    """
    for member in _links(layer, MemberKind.SYMLINK):
        target = member.link_target
        if not target:
            yield Problem(message=f"the link {member.name} leads nowhere", hint="Give it a target.", path=member.name)
        elif _IN_TAR.match(target):
            yield Problem(
                message=f"the link {member.name} leads to {target}, a name in the tar and not one in Windows",
                hint=f"Write C:\\{target.replace('/', chr(92)).partition(chr(92))[2]}, or a relative path.",
                path=member.name,
            )
        elif target.startswith("/"):
            yield Problem(
                message=f"the link {member.name} leads to {target}, which has no drive",
                hint=f"Write C:{target.replace('/', chr(92))}.",
                path=member.name,
                severity=Severity.WARNING,
            )


@layer_rule("WGO141", Severity.ERROR, Group.LINKS, os="windows")
def link_attributes(layer: LayerSubject) -> Iterator[Problem]:
    """A symbolic link's attributes say that it is one, and whether it leads to a directory.

    Why:
        Windows tells links to directories from links to files when they are made (bit 0x10): one of the wrong kind
        cannot be followed.

    Example:
        `config -> etc` with 1056 (a link to a file), where `etc` is a directory.
    Mend:
        Write 1040 for a link to a directory, 1056 for one to a file.
    """
    for member in _links(layer, MemberKind.SYMLINK):
        bits = attributes_of(member)
        target = _target(member, layer)
        directory = target is not None and target.kind is MemberKind.DIRECTORY
        hint = f"Write MSWINDOWS.fileattr={1040 if directory else 1056}."
        if bits is None or not bits & FILE_ATTRIBUTE_REPARSE_POINT:
            given = "no attributes" if bits is None else f"the attributes {bits:#x}"
            yield Problem(
                message=f"the link {member.name} has {given}, which do not say that it is a link",
                hint=hint,
                path=member.name,
                severity=Severity.WARNING,
            )
        elif target is not None and directory != bool(bits & FILE_ATTRIBUTE_DIRECTORY):
            is_for = "directories" if bits & FILE_ATTRIBUTE_DIRECTORY else "files"
            yield Problem(
                message=f"the link {member.name} is one for {is_for}, and leads to the {target.kind.value} {target.name}",
                hint=hint,
                path=member.name,
            )


def _target(link: Member, layer: LayerSubject) -> Member | None:
    """What a link leads to, if that is in this layer."""
    text = link.link_target.replace("\\", "/")
    if not text:
        return None
    if matched := _DRIVE.match(text):
        parts = ["Files"]
        text = text[matched.end() :]
    else:
        parts = link.name.split("/")[:-1]
    for part in text.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    found = layer.by_fold.get(upcase("/".join(parts)))
    return None if found is None or found.kind is MemberKind.SYMLINK else found


@layer_rule("WGO142", Severity.ERROR, Group.LINKS, os="windows")
def junctions(layer: LayerSubject) -> Iterator[Problem]:
    r"""A junction is a link to a directory, by its whole path.

    Why:
        `MSWINDOWS.mountpoint=1` makes a mount point of a link; Windows follows one by an absolute path only, and it is
        always a directory.

    Example:
        A junction `state -> ..\data`.
    Mend:
        Write `C:\data` with MSWINDOWS.fileattr=1040, or make it a symbolic link.
    """
    for member in layer.members:
        record = member.pax.get(_JUNCTION)
        if record is None:
            continue
        bits = attributes_of(member) or 0
        problem = ""
        if member.kind is not MemberKind.SYMLINK:
            problem = f"is a {member.kind.value}"
        elif record != "1":
            problem = f"has {_JUNCTION}={record[:40]!r}, not 1"
        elif not _ABSOLUTE.match(member.link_target.replace("/", "\\")):
            problem = f"leads to {member.link_target}, which is no whole path"
        elif not bits & FILE_ATTRIBUTE_DIRECTORY:
            problem = f"has the attributes {bits:#x}, which are no directory's"
        if problem:
            yield Problem(
                message=f"the junction {member.name} {problem}",
                hint="Make it a link with a target such as C:\\data and MSWINDOWS.fileattr=1040.",
                path=member.name,
            )


@layer_rule("WGO143", Severity.ERROR, Group.LINKS)
def hard_link_targets(layer: LayerSubject) -> Iterator[Problem]:
    """A hard link names a file by its whole name in the tar.

    Why:
        On Windows the target must begin with `Files/` and be a file of this layer or one below (hcsshim `AddLink`), else
        the import fails. On Linux the file must be there when the link is made.

    Example:
        `crane append` moves files below `Files/` and leaves the targets of hard links as they were.
    Mend:
        Write `Files/app/x.exe`, or put the content there twice.
    """
    windows = layer.os == "windows"
    for member in _links(layer, MemberKind.HARDLINK):
        target = member.link_target
        found = (
            layer.by_fold.get(upcase(target)) if windows else layer.by_name.get(target.removeprefix("./").strip("/"))
        )
        if windows and not target.startswith(("Files/", "UtilityVM/Files/")):
            yield Problem(
                message=f"the hard link {member.name} leads to {target}, which does not begin with Files/",
                hint=f"Write Files/{target.lstrip('/').removeprefix('Files/')}.",
                path=member.name,
            )
        elif found is None:
            yield Problem(
                message=f"the hard link {member.name} leads to {target}, which is not in this layer",
                hint="Put the file into this layer, or be sure that a layer below has it.",
                path=member.name,
                severity=Severity.WARNING if layer.on_base else None,
            )
        elif found.kind not in (MemberKind.FILE, MemberKind.HARDLINK):
            yield Problem(
                message=f"the hard link {member.name} leads to {target}, a {found.kind.value}",
                hint="Hard links lead to files.",
                path=member.name,
            )


def _whiteouts(layer: LayerSubject) -> Iterator[tuple[Member, str, str]]:
    """Removals: the entry, the directory that it is in, and the name that it removes."""
    for member in layer.members:
        parent, _, name = member.name.rpartition("/")
        if name.startswith(".wh."):
            yield member, parent, name.removeprefix(".wh.")


@layer_rule("WGO144", Severity.WARNING, Group.LINKS, os="windows")
def no_opaque_directories(layer: LayerSubject) -> Iterator[Problem]:
    """No Windows layer empties a directory with an opaque whiteout.

    Why:
        The Windows importer does not know `.wh..wh..opq`: it takes it for the removal of a file called `.wh..opq`, so
        that everything that was to be hidden stays.

    Example:
        A Linux tool that replaces a whole directory in a Windows image.
    Mend:
        Remove each name with a whiteout of its own.
    """
    for member, _, removed in _whiteouts(layer):
        if removed == ".wh..opq":
            yield Problem(
                message=f"{member.name} removes nothing on Windows",
                hint="Remove each name by itself.",
                path=member.name,
            )


@layer_rule("WGO145", Severity.ERROR, Group.LINKS, os="windows")
def removals_below_files(layer: LayerSubject) -> Iterator[Problem]:
    """A Windows layer removes things below `Files` only, and a base's layer removes nothing.

    Why:
        The importer ends with "invalid tombstone" outside of `Files`, and with "base layer cannot have tombstones" where
        nothing is below (hcsshim `legacy.go`, `baselayerwriter.go`).

    Example:
        `Hives/.wh.SAM_DELTA`.
    Mend:
        Leave it out; registry keys are removed by a delta hive.
    """
    for member, parent, removed in _whiteouts(layer):
        if parent != "Files" and not parent.startswith(("Files/", "UtilityVM/Files")):
            yield Problem(
                message=f"{member.name} removes something that is not below Files",
                hint="Leave it out.",
                path=member.name,
            )
        elif not layer.on_base and removed != ".wh..opq":
            yield Problem(
                message=f"{member.name} removes something, and there is no layer below",
                hint="Leave it out.",
                path=member.name,
            )


@layer_rule("WGO146", Severity.ERROR, Group.LINKS, os="windows")
def nothing_added_and_removed(layer: LayerSubject) -> Iterator[Problem]:
    """A Windows layer does not remove what it adds itself.

    Why:
        The importer removes after it has added, so that the new file is gone; on Linux a removal means layers below
        alone.

    Example:
        A directory that is replaced: `.wh.app` and `app/…` in one layer.
    Mend:
        Leave the removal out, or put it into a layer below.
    """
    adds: dict[str, str] = {}
    for member, parent, removed in _whiteouts(layer):
        adds = adds or _with_directories(layer)
        added = adds.get(upcase(f"{parent}/{removed}"))
        if added is not None:
            yield Problem(
                message=f"{member.name} removes {added}, which the same layer adds",
                hint="Leave the removal out.",
                path=member.name,
            )


def _with_directories(layer: LayerSubject) -> dict[str, str]:
    """Every name of the layer and every directory on its way, folded, with an entry that is there or below it."""
    adds: dict[str, str] = {}
    for member in layer.members:
        name = upcase(member.name)
        while name not in adds:
            adds[name] = member.name
            name = name.rpartition("/")[0]
    return adds
