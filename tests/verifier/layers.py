"""The rules for one application layer: Windows (facts 1.2-1.7), and what of them holds for Linux."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence

from tests.verifier import security
from tests.verifier.finding import Finding
from tests.verifier.streams import TarEntry

_HIVES = {"SYSTEM_DELTA", "SOFTWARE_DELTA", "SAM_DELTA", "SECURITY_DELTA", "DEFAULTUSER_DELTA"}
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9\u00b9\u00b2\u00b3])\s*(\..*)?")
_INVALID = re.compile(r'[\x00-\x1f<>"|?*]')
_ABSOLUTE = re.compile(r"(\\\\\?\\|\\\?\?\\)?[A-Za-z]:\\")
_TIME = re.compile(r"(-?\d+)(?:\.(\d{0,8}[1-9]))?")
_DIRECTORY_BIT, _REPARSE_BIT = 0x10, 0x400
_ROOTS = {"Files", "Hives"}
# Directories of every base in which Windows itself lets users create what is theirs, and nobody else's.
_SHARED_IN_BASES = {"FILES", "FILES/PROGRAMDATA"}
_PROFILES = re.compile(r"(?i)Files/Users/(ContainerUser|Public)")

Report = Callable[[str, str, str], None]


def windows_findings(
    entries: Sequence[TarEntry], where: str, *, writable: Sequence[str] = (), epoch: int | None = None
) -> list[Finding]:
    """What is wrong with an application layer for Windows.

    `writable` names the paths (`Files/data`) that ordinary users may write, with all below them;
    `epoch` is the time that every entry must carry, in seconds, or None for any one time.
    """
    found: list[Finding] = []

    def report(code: str, name: str, text: str) -> None:
        found.append(Finding(code, f"{where} {name}", text))

    for name in sorted(_ROOTS - {_plain(entry) for entry in entries}):
        report(f"{name.lower()}-missing", name, "no such directory entry")
    _order(entries, report)
    _collisions(entries, report)
    for entry in entries:
        _name(entry, report)
        _windows_name(entry, report)
        _pax(entry, report)
        _link(entry, entries, report)
        _whiteout(entry, entries, report)
        _descriptor(entry, writable, report)
    _times(entries, epoch, report)
    names = {_plain(entry) for entry in entries}
    for path in writable:
        if path not in names:
            report("data-dir-missing", path, "not in the layer")
    return found


def linux_findings(entries: Sequence[TarEntry], where: str, *, epoch: int | None = None) -> list[Finding]:
    """What is wrong with an application layer for Linux: names, order, links and one time for all."""
    found: list[Finding] = []

    def report(code: str, name: str, text: str) -> None:
        found.append(Finding(code, f"{where} {name}", text))

    _order(entries, report)
    names = {_plain(entry) for entry in entries}
    for entry in entries:
        _name(entry, report)
        if entry.kind == "1" and entry.link.strip("/") not in names:
            report("hardlink-target", entry.name, f"{entry.link} is not in the layer")
        if entry.mtime != (entries[0].mtime if epoch is None else epoch):
            report("times-unequal", entry.name, f"mtime {entry.mtime}")
    return found


def _plain(entry: TarEntry) -> str:
    return entry.name.rstrip("/")


def _order(entries: Sequence[TarEntry], report: Report) -> None:
    all_names = {_plain(entry) for entry in entries}
    seen: dict[str, str] = {}
    for entry in entries:
        name = _plain(entry)
        parent = name.rpartition("/")[0]
        if parent and not name.startswith("/") and parent not in seen:
            late = parent in all_names
            report("parent-after-child" if late else "parent-missing", entry.name, f"the directory {parent}")
        elif parent in seen and seen[parent] != "5":
            report("parent-not-directory", entry.name, f"{parent} is of type {seen[parent]}")
        if name in seen:
            report("duplicate-entry", entry.name, "a second entry of this name")
        seen.setdefault(name, entry.kind)


def _collisions(entries: Sequence[TarEntry], report: Report) -> None:
    folded: dict[str, str] = {}
    for entry in entries:
        name = _plain(entry)
        # NTFS upcases character by character; a mapping to several characters is none for it.
        key = "".join(up if len(up := character.upper()) == 1 else character for character in name)
        other = folded.setdefault(key, name)
        if other != name:
            report("case-collision", entry.name, f"differs from {other} in case only")


def _name(entry: TarEntry, report: Report) -> None:
    name = entry.name
    if name.startswith("/") or not _plain(entry) or {"", ".", ".."} & set(_plain(entry).split("/")):
        report("not-relative", name, "a leading slash, or a part that is empty, . or ..")
    if entry.kind not in {"0", "1", "2", "5"}:
        report("entry-type", name, f"type flag {entry.kind!r}")


def _windows_name(entry: TarEntry, report: Report) -> None:
    name = _plain(entry)
    parts = [part for part in name.split("/") if part]
    top = parts[0] if parts else ""
    if top == "UtilityVM":
        report("utility-vm", entry.name, "makes the importer clone the parent's utility VM")
    elif top not in _ROOTS:
        report("top-level-name", entry.name, f"{top} at the top")
    if top == "Hives" and parts[1:] and not parts[-1].startswith(".wh.") and "/".join(parts[1:]) not in _HIVES:
        report("hive-name", entry.name, "not one of the five deltas")
    if "\\" in name:
        report("backslash-in-name", entry.name, "a backslash")
    if ":" in name:
        report("colon-in-name", entry.name, "a colon")
    if _INVALID.search(name):
        report("invalid-character", entry.name, "a character that Win32 does not allow")
    for part in parts:
        if _RESERVED.fullmatch(part):
            report("reserved-name", entry.name, f"{part} is a device")
        if part not in {".", ".."} and part[-1] in ". ":
            report("trailing-dot-or-space", entry.name, f"{part!r}")
    longest = max((_utf16(part.removeprefix(".wh.")) for part in parts), default=0)
    if longest > 255 or _utf16(name) > 32767:
        report("name-too-long", entry.name[:60], f"{longest} UTF-16 units in a part, {_utf16(name)} in all")


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _pax(entry: TarEntry, report: Report) -> None:
    if entry.magic != b"ustar\x0000":
        report("not-pax", entry.name, f"magic {entry.magic!r}")
    attributes = entry.pax.get("MSWINDOWS.fileattr")
    if attributes is None or not attributes.isdecimal():
        report("fileattr", entry.name, f"MSWINDOWS.fileattr is {attributes!r}")
        return
    bits = int(attributes)
    directory = bool(bits & _DIRECTORY_BIT)
    if entry.kind in {"0", "5"} and directory != (entry.kind == "5"):
        report("fileattr", entry.name, f"{bits:#x} on an entry of type {entry.kind}")
    if entry.kind != "2" and bits & _REPARSE_BIT:
        report("fileattr", entry.name, f"{bits:#x}: a reparse point that is no link")


def _times(entries: Sequence[TarEntry], epoch: int | None, report: Report) -> None:
    expected = None if epoch is None else epoch * 10**9
    for entry in entries:
        missing = [key for key in ("atime", "ctime", "LIBARCHIVE.creationtime") if key not in entry.pax]
        if missing:
            report("times-missing", entry.name, ", ".join(missing))
        times = {"mtime": entry.pax.get("mtime", str(entry.mtime))}
        times |= {key: entry.pax[key] for key in ("atime", "ctime", "LIBARCHIVE.creationtime") if key in entry.pax}
        nanoseconds = {key: _nanoseconds(text) for key, text in times.items()}
        if None in nanoseconds.values():
            report("times-format", entry.name, str(times))
            continue
        if expected is None:
            expected = nanoseconds["mtime"]
        if set(nanoseconds.values()) != {expected}:
            report("times-unequal", entry.name, str(times))


def _nanoseconds(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if not match:
        return None
    fraction = int((match[2] or "").ljust(9, "0"))
    seconds = int(match[1])
    return seconds * 10**9 + (-fraction if match[1].startswith("-") else fraction)


def _link(entry: TarEntry, entries: Sequence[TarEntry], report: Report) -> None:
    junction = entry.pax.get("MSWINDOWS.mountpoint")
    if junction is not None and (junction != "1" or entry.kind != "2"):
        report("junction", entry.name, f"MSWINDOWS.mountpoint={junction} on type {entry.kind}")
    if entry.kind == "1":
        names = {_plain(other): other.kind for other in entries}
        if not entry.link.startswith("Files/") or names.get(entry.link) not in {"0", "1"}:
            report("hardlink-target", entry.name, f"{entry.link!r} is no file of this layer under Files/")
    if entry.kind != "2":
        return
    target = entry.link
    if not target or re.match(r"(?i)(utilityvm[/\\])?(files|hives)([/\\]|$)", target):
        report("symlink-target", entry.name, f"{target!r} is no Windows target text")
    elif target.startswith("/"):
        report("symlink-target", entry.name, f"{target!r} is absolute on Linux, and without a drive on Windows")
    attributes = entry.pax.get("MSWINDOWS.fileattr", "")
    bits = int(attributes) if attributes.isdecimal() else 0
    if not bits & _REPARSE_BIT:
        report("symlink-attributes", entry.name, f"{bits:#x} lacks 0x400")
    pointed = _target_kind(entry, entries)
    if pointed is not None and (pointed == "5") != bool(bits & _DIRECTORY_BIT):
        report("symlink-attributes", entry.name, f"{bits:#x}, and the target is of type {pointed}")
    if junction == "1" and not (_ABSOLUTE.match(target.replace("/", "\\")) and bits & _DIRECTORY_BIT):
        report("junction", entry.name, f"target {target!r}, attributes {bits:#x}")


def _target_kind(entry: TarEntry, entries: Sequence[TarEntry]) -> str | None:
    """The kind of what the link points to when that is in this layer, as NTFS compares names."""
    target = entry.link.replace("\\", "/")
    if match := re.match(r"(?:/\?\?/|//\?/)?[A-Za-z]:/", target):
        parts = ["Files"]
        target = target[match.end() :]
    else:
        parts = _plain(entry).split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    wanted = "/".join(parts).upper() if target else ""
    return next((other.kind for other in entries if _plain(other).upper() == wanted and other.kind != "2"), None)


def _whiteout(entry: TarEntry, entries: Sequence[TarEntry], report: Report) -> None:
    parent, _, base = _plain(entry).rpartition("/")
    if not base.startswith(".wh."):
        return
    if base == ".wh..wh..opq":
        report("opaque-whiteout", entry.name, "Windows does not know it")
        return
    if parent != "Files" and not parent.startswith("Files/"):
        report("whiteout-outside-files", entry.name, "an invalid tombstone")
    removed = f"{parent}/{base[4:]}".upper()
    for other in entries:
        if _plain(other).upper() == removed or _plain(other).upper().startswith(removed + "/"):
            report("whiteout-of-added", entry.name, f"{other.name} is added by the same layer")


def _descriptor(entry: TarEntry, writable: Sequence[str], report: Report) -> None:
    text = entry.pax.get("MSWINDOWS.rawsd")
    name = _plain(entry)
    if text is None:
        whiteout = name.rpartition("/")[2].startswith(".wh.")
        if name not in _ROOTS and entry.kind != "1" and not whiteout:  # a hard link has its file's
            report("sd-missing", entry.name, "no MSWINDOWS.rawsd")
        return
    try:
        descriptor = security.decode(base64.b64decode(text, validate=True))
    except ValueError as error:
        report("sd-broken", entry.name, str(error))
        return
    for part in ("owner", "group", "dacl"):
        if getattr(descriptor, part) is None:
            report(f"sd-no-{part}", entry.name, "not in the descriptor")
    if descriptor.dacl is None:
        return
    if any(name == path or name.startswith(path + "/") for path in writable):
        _data_directory(entry, descriptor, report)
        return
    if _PROFILES.fullmatch(name):
        return
    rights = security.granted(descriptor) & security.ANY_WRITE
    if name.upper() in _SHARED_IN_BASES:  # users may add; they must not be able to replace what is below
        rights &= security.DELETE_CHILD | security.WRITE_DAC | security.WRITE_OWNER
    if rights:
        report("writable-by-users", entry.name, f"ordinary users get {rights:#x}")
    if entry.kind == "5":
        planted = security.inherited(descriptor, security.OBJECT_INHERIT) & security.ANY_WRITE
        if planted and name.upper() not in _SHARED_IN_BASES:
            report("writable-by-users", entry.name, f"ordinary users inherit {planted:#x} on files in it")


def _data_directory(entry: TarEntry, descriptor: security.Descriptor, report: Report) -> None:
    grants = [security.granted(descriptor)]
    if entry.kind == "5":
        grants.append(security.inherited(descriptor, security.OBJECT_INHERIT))
        grants.append(security.inherited(descriptor, security.CONTAINER_INHERIT))
    lacking = {f"{security.MODIFY & ~rights:#x}" for rights in grants if security.MODIFY & ~rights}
    if lacking:
        report("data-dir-not-writable", entry.name, f"ordinary users lack {', '.join(sorted(lacking))}")
    if any(rights & (security.WRITE_DAC | security.WRITE_OWNER) for rights in grants):
        report("writable-by-users", entry.name, "ordinary users may change the descriptor")


def program_findings(entries: Sequence[TarEntry], path: str, where: str, *, system: str, machine: str) -> list[Finding]:
    """What is wrong with the program at `path` of the layer: not there, not runnable, of another machine."""
    key = path.upper() if system == "windows" else path
    entry = next(
        (e for e in entries if (_plain(e).upper() if system == "windows" else _plain(e)) == key and e.kind in "01"),
        None,
    )
    if entry is None:
        return [Finding("entrypoint-not-in-layers", where, f"{path} is no file of the application layer")]
    found = []
    if entry.kind == "0" and machine and (problem := _machine_problem(entry.head, system, machine)):
        found.append(Finding("entrypoint-machine", f"{where} {entry.name}", problem))
    if system == "windows":
        try:
            descriptor = security.decode(base64.b64decode(entry.pax.get("MSWINDOWS.rawsd", ""), validate=True))
        except ValueError:
            return found
        lacking = security.READ_AND_EXECUTE & ~security.granted(descriptor)
        if lacking:
            found.append(Finding("not-executable-by-users", f"{where} {entry.name}", f"they lack {lacking:#x}"))
    elif entry.mode & 0o555 != 0o555:
        found.append(Finding("not-executable-by-users", f"{where} {entry.name}", f"mode {entry.mode:#o}"))
    return found


def _machine_problem(head: bytes, system: str, machine: str) -> str:
    if system == "windows":
        wanted = {"amd64": 0x8664, "arm64": 0xAA64, "386": 0x14C}.get(machine)
        at = int.from_bytes(head[0x3C:0x40], "little")
        if head[:2] != b"MZ" or head[at : at + 4] != b"PE\0\0":
            return "no PE file"
        actual = int.from_bytes(head[at + 4 : at + 6], "little")
    else:
        wanted = {"amd64": 62, "arm64": 183, "386": 3, "arm": 40, "riscv64": 243, "ppc64le": 21, "s390x": 22}.get(
            machine
        )
        if head[:4] != b"\x7fELF":
            return "no ELF file"
        actual = int.from_bytes(head[18:20], "big" if machine == "s390x" else "little")
    return "" if wanted == actual else f"machine {actual:#x}, and the image is for {machine}"
