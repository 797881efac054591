"""Names and order of a layer's entries (hcsshim `internal/wclayer/legacy.go`, `internal/safefile/safeopen.go`)."""

from __future__ import annotations

from collections.abc import Iterator

from wingo.archive.unpack import MemberKind
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, layer_rule
from wingo.check.subject import LayerSubject
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.paths import LONG_PATH, MAX_COMPONENT, MAX_PATH, check_component, utf16_units
from wingo.windows.requests import HIVES

ROOTS = ("Files", "Hives")
_REBUILD = "Build the layer again with wingo, which writes it as the importer wants."


@layer_rule("WGO101", Severity.ERROR, Group.NAMES)
def readable(layer: LayerSubject) -> Iterator[Problem]:
    """A layer can be read to its end, and is what its digests promise.

    Why:
        A layer that is cut short, damaged, encrypted, beyond every limit, or not the bytes of its diff_id is refused by
        every runtime, after it was pulled.

    Example:
        A push that broke off and was "repaired" by hand; a gzip file with something behind its end; a tar whose digest
        is not the one in the config.
    Mend:
        Build and push the image again; do not edit layers in place.
    """
    if layer.problem:
        yield Problem(message=f"the layer cannot be read: {layer.problem}", hint="Build and push the image again.")


@layer_rule("WGO102", Severity.ERROR, Group.NAMES, os="windows")
def roots_present(layer: LayerSubject) -> Iterator[Problem]:
    """A Windows layer has the directories `Files` and `Hives`.

    Why:
        The importer opens both before it looks at anything else: without one, the image is pulled and then refused
        (ko#374, go-containerregistry#1111). `Hives` may be empty.

    Example:
        A layer made with `tar -C out -cf layer.tar .` has neither.
    Mend:
        Put an entry for the directory `Files` and one for `Hives` at the top of the tar.
    """
    if layer.problem:
        return
    for name in ROOTS:
        member = layer.by_name.get(name)
        if member is None or member.kind is not MemberKind.DIRECTORY:
            yield Problem(message=f"the layer has no entry for the directory {name}", hint=_REBUILD, path=name)


@layer_rule("WGO103", Severity.ERROR, Group.NAMES, os="windows")
def only_roots(layer: LayerSubject) -> Iterator[Problem]:
    r"""Nothing but `Files` and `Hives` stands at the top of an application's layer.

    Why:
        Other names have no meaning to the importer. `UtilityVM` in a layer that is not a base makes it clone the base's
        utility VM (hcsshim `legacy.go`).

    Example:
        A Linux layout in a Windows image: `usr/local/bin/app.exe` instead of `Files/usr/local/bin/app.exe`.
    Mend:
        Put files below `Files/`, which is `C:\`.
    """
    for member in layer.members:
        top = member.name.partition("/")[0]
        if top == "UtilityVM" and layer.on_base:
            yield Problem(
                message="UtilityVM stands in a layer that is no base's: the importer would copy the base's utility VM",
                hint="Leave UtilityVM out.",
                path=member.name,
            )
        elif top not in (*ROOTS, "UtilityVM") and top not in ("", ".", ".."):
            yield Problem(
                message=f"{member.name} is neither below Files nor below Hives",
                hint="Put it below Files/, which is drive C:.",
                path=member.name,
            )


@layer_rule("WGO104", Severity.ERROR, Group.NAMES, os="windows")
def hive_names(layer: LayerSubject) -> Iterator[Problem]:
    """An application's layer has registry deltas only, by their five names.

    Why:
        What a layer changes in the registry stands in `SYSTEM_DELTA`, `SOFTWARE_DELTA`, `SAM_DELTA`, `SECURITY_DELTA` and
        `DEFAULTUSER_DELTA` below `Hives` (hcsshim `internal/wclayer/cim/common.go`); `*_BASE` belong to bases.

    Example:
        `Hives/SOFTWARE` or `Hives/System_Base` in a layer on top of nanoserver.
    Mend:
        Name the delta as above; `wingo hive edit` makes one.
    """
    if not layer.on_base:
        return
    known = {upcase(f"Hives/{name}_DELTA") for name in HIVES}
    for member in layer.members:
        name = member.name
        if not name.startswith("Hives/") or name.rpartition("/")[2].startswith(".wh."):
            continue
        if upcase(name) not in known or member.kind is not MemberKind.FILE:
            yield Problem(
                message=f"{name} is none of the five registry deltas",
                hint=f"Name it one of {', '.join(f'{hive}_DELTA' for hive in HIVES)}, directly below Hives.",
                path=name,
            )


@layer_rule("WGO105", Severity.ERROR, Group.NAMES)
def parents_first(layer: LayerSubject) -> Iterator[Problem]:
    """Every directory has an entry of its own, before what is in it.

    Why:
        The Windows importer creates each name in an empty directory, without what the base has there: a missing parent
        ends the pull with "The system cannot find the path specified" (0x3; hcsshim#1688, ko#361). On Linux the
        directory is made with a mode and an owner of the runtime's choice.

    Example:
        `Files/app/etc/x.ini` without `Files/app` and `Files/app/etc`; or with them behind it.
    Mend:
        Write an entry for each directory on the way, those that the base has included, before the first entry in it.
    """
    severity = None if layer.os == "windows" else Severity.NOTE
    all_names = {member.name for member in layer.members}
    seen: set[str] = set()
    told: set[str] = set()
    for member in layer.members:
        parent = member.name.rpartition("/")[0]
        if parent and parent not in seen and parent not in told and not member.name.startswith("/"):
            told.add(parent)
            late = parent in all_names
            how = (
                f"the entry of its directory {parent} comes after it"
                if late
                else f"its directory {parent} has no entry"
            )
            hint = f"Put the entry of {parent} before it." if late else f"Add an entry for the directory {parent}."
            yield Problem(message=f"{member.name}: {how}", hint=hint, path=member.name, severity=severity)
        seen.add(member.name)


@layer_rule("WGO106", Severity.ERROR, Group.NAMES)
def parents_are_directories(layer: LayerSubject) -> Iterator[Problem]:
    r"""Nothing is put below a file or a link of the same layer.

    Why:
        The Windows importer opens every directory without following links (hcsshim `safeopen.go`, OBJ_DONT_REPARSE):
        writing through one fails. On Linux it is how layers write where they should not, and runtimes refuse it or not.

    Example:
        `Files/app/config -> C:\data`, then `Files/app/config/x.ini`.
    Mend:
        Put the file where the link leads, `Files/data/x.ini`.
    """
    kinds: dict[str, MemberKind] = {}
    for member in layer.members:
        parent = member.name.rpartition("/")[0]
        kind = kinds.get(parent)
        if kind is not None and kind is not MemberKind.DIRECTORY:
            yield Problem(
                message=f"{member.name} is below {parent}, which is a {kind.value} of the same layer",
                hint="Put it where the link leads." if kind is MemberKind.SYMLINK else "Make its parent a directory.",
                path=member.name,
            )
        kinds.setdefault(member.name, member.kind)


@layer_rule("WGO107", Severity.ERROR, Group.NAMES)
def no_duplicates(layer: LayerSubject) -> Iterator[Problem]:
    """No name stands in a layer twice.

    Why:
        The Windows importer creates every name anew: the second time fails with "Cannot create a file when that file
        already exists" (0xb7; buildkit#5196, go-containerregistry#1909). The image specification forbids it too.

    Example:
        Two entries `Files`, from two tars that were put together.
    Mend:
        Write each name once; of two contents, the last is what a Linux runtime would show.
    """
    seen: set[str] = set()
    for member in layer.members:
        if member.name in seen:
            yield Problem(message=f"{member.name} stands in the layer twice", hint="Write it once.", path=member.name)
        seen.add(member.name)


@layer_rule("WGO108", Severity.ERROR, Group.NAMES, os="windows")
def no_case_collisions(layer: LayerSubject) -> Iterator[Problem]:
    """No two names of a Windows layer differ in case alone.

    Why:
        To NTFS they are one file, so the second cannot be created (0xb7; nerdctl#1068).

    Example:
        `Files/man/pam.7.gz` and `Files/man/PAM.7.gz`, harmless on Linux.
    Mend:
        Rename one of the two.
    """
    first: dict[str, str] = {}
    for member in layer.members:
        other = first.setdefault(upcase(member.name), member.name)
        if other != member.name:
            yield Problem(
                message=f"{member.name} and {other} are one name to Windows",
                hint="Rename one of them.",
                path=member.name,
            )


@layer_rule("WGO109", Severity.ERROR, Group.NAMES)
def relative_names(layer: LayerSubject) -> Iterator[Problem]:
    r"""Names are relative, and have neither `..` nor empty parts; on Windows neither `\` nor `:`.

    Why:
        The Windows importer refuses a leading slash ("expected relative path") and a colon ("path contains invalid
        character"), which would name an alternate data stream (hcsshim `safeopen.go`). `..` leads out of the image.

    Example:
        `/Files/app/x`, `./Files/app`, `Files\app\x`, `Files/app/x.exe:Zone.Identifier`.
    Mend:
        Write `Files/app/x`.
    """
    for member in layer.members:
        parts = member.name.split("/")
        if {"", ".", ".."} & set(parts):
            what = "begins with a slash" if member.name.startswith("/") else "has a part that is empty, '.' or '..'"
            severity = None if layer.os == "windows" or ".." in parts else Severity.NOTE
            yield Problem(
                message=f"the name {member.name} {what}",
                hint="Write it relative to the root, without such parts.",
                path=member.name,
                severity=severity,
            )
        elif layer.os == "windows" and ("\\" in member.name or ":" in member.name):
            mark = "\\" if "\\" in member.name else ":"
            yield Problem(
                message=f"the name {member.name} contains {mark!r}",
                hint="Put '/' between directories." if mark == "\\" else "Leave alternate data streams out.",
                path=member.name,
            )


@layer_rule("WGO110", Severity.ERROR, Group.NAMES, os="windows")
def names_that_windows_opens(layer: LayerSubject) -> Iterator[Problem]:
    """No name is one that Windows programs cannot open.

    Why:
        The importer creates names through NT, which takes nearly everything; programs go through Win32, which reads
        `NUL` and `COM1.txt` as devices, cuts trailing dots and spaces, and refuses `<>"|?*` and control characters.

    Example:
        `Files/app/aux.js`, `Files/app/notes.`, `Files/app/what?.txt`.
    Mend:
        Rename the file.
    """
    for member in layer.members:
        for part in member.name.split("/"):
            plain = part.removeprefix(".wh.")
            if plain in ("", ".", "..") or "\\" in plain or ":" in plain or utf16_units(plain) > MAX_COMPONENT:
                continue  # WGO109 and WGO111 tell of these
            try:
                check_component(plain)
            except RequestError as error:
                problem = str(error).partition("Windows image: ")[2]
                yield Problem(message=f"{member.name}: {problem}", hint="Rename it.", path=member.name)
                break


@layer_rule("WGO111", Severity.ERROR, Group.NAMES)
def names_not_too_long(layer: LayerSubject) -> Iterator[Problem]:
    """No name is longer than the system can have.

    Why:
        NTFS has 255 UTF-16 units for one name and 32767 for a path; programs without the longPathAware manifest end at
        260 for the whole path. Linux has 255 bytes for a name.

    Example:
        A cache of node modules below `Files/Program Files/…`, 300 characters deep.
    Mend:
        Shorten the name, or put the tree closer to the root.
    """
    for member in layer.members:
        name = member.name
        if layer.os != "windows":
            longest = max(len(part.encode("utf-8", "surrogateescape")) for part in name.split("/"))
            if longest > MAX_COMPONENT:
                yield Problem(message=f"{name[:60]}… has a part of {longest} bytes", hint="Shorten it.", path=name)
            continue
        longest = max(utf16_units(part.removeprefix(".wh.")) for part in name.split("/"))
        whole = utf16_units(name)
        if longest > MAX_COMPONENT or whole > MAX_PATH:
            yield Problem(
                message=f"{name[:60]}… has {whole} UTF-16 units, {longest} in one part",
                hint=f"Keep to {MAX_COMPONENT} for a part.",
                path=name,
            )
        elif whole - len("Files/") + len("C:\\") > LONG_PATH:
            yield Problem(
                message=f"the path has {whole} UTF-16 units: programs that are not longPathAware cannot open it",
                hint="Put it closer to the root.",
                path=name,
                severity=Severity.NOTE,
            )


@layer_rule("WGO112", Severity.ERROR, Group.NAMES)
def plain_kinds(layer: LayerSubject) -> Iterator[Problem]:
    """A layer has files, directories and links only.

    Why:
        Devices, pipes and sockets mean nothing on Windows, and on Linux a runtime makes the devices itself; one in a
        layer needs privileges to unpack and opens the host's hardware to whoever may.

    Example:
        `dev/sda` from a file system that was packed whole.
    Mend:
        Leave it out.
    """
    for member in layer.members:
        if member.kind is MemberKind.OTHER:
            severity = None if layer.os == "windows" else Severity.WARNING
            yield Problem(
                message=f"{member.name} is a device, a pipe or a socket",
                hint="Leave it out.",
                path=member.name,
                severity=severity,
            )
