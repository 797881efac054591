r"""The layer dialect: from requests to a `LayerRecipe` that the Windows importer takes.

What `plan_layer` promises of every recipe:

- `Hives` and `Files` stand there once, first of all; every directory stands before what is in it, those that nobody
  asked for included; no name twice, no two names that NTFS takes for one.
- Order: `Hives` and its deltas, then `Files` and what is below it by path, component by component in code point
  order; then hard links, then whiteouts, both in that same order. It does not depend on the order of the requests.
- Every entry has its four times (mtime from the recipe, the others as records), all equal to the epoch.
- Every entry below `Files`, and every hive, has a descriptor with owner, group and access list (hard links have their
  file's, whiteouts need none). Directories that nobody described are read-only for the service's account. Those of the
  base that lie on the way get what Windows gives them: what becomes of a directory without a descriptor is not known,
  and neither is whether one here replaces the base's. The two roots alone are left undescribed.

Sources: hcsshim `pkg/ociwclayer/import.go`, `internal/wclayer/legacy.go`; go-winio `backuptar/tar.go`, `reparse.go`.
"""

from __future__ import annotations

import binascii
import io
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter

import msgspec

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.errors import RequestError
from wingo.windows.paths import LONG_PATH, Components, check_component, fold, parse_path, path_text, upcase, utf16_units
from wingo.windows.requests import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT,
    HIVES,
    HiveDelta,
    LayerRequest,
    Whiteout,
    WindowsDirectory,
    WindowsFile,
    WindowsHardLink,
    WindowsJunction,
    WindowsSymlink,
    check_complete,
)
from wingo.windows.security import (
    CONTAINER_USER,
    READ_ONLY_DIRECTORY,
    READ_ONLY_FILE,
    may_be_changed_by,
    parse_sddl,
    sddl_bytes,
)

WHITEOUT_PREFIX = ".wh."
_DIRECTORY_RECORD = ".$wcidirs$"
"""What the importer appends to a directory's name for the file in which it keeps the directory's metadata."""

_PROGRAM_DATA = "O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;FA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;0x116;;;BU)"
r"""What Windows gives `C:\ProgramData`: users may create files and directories of their own."""
_PROFILE = f"O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{CONTAINER_USER})"
"""What Windows gives a profile's directory: its user may do everything."""

_BASE_DIRECTORIES = {
    ("PROGRAM FILES",): READ_ONLY_DIRECTORY,
    ("PROGRAM FILES", "COMMON FILES"): READ_ONLY_DIRECTORY,
    ("PROGRAM FILES (X86)",): READ_ONLY_DIRECTORY,
    ("PROGRAM FILES (X86)", "COMMON FILES"): READ_ONLY_DIRECTORY,
    ("PROGRAMDATA",): _PROGRAM_DATA,
    ("USERS",): READ_ONLY_DIRECTORY,
    ("USERS", "CONTAINERUSER"): _PROFILE,
    ("INETPUB",): READ_ONLY_DIRECTORY,
}
r"""Directories that Windows bases are known to have, besides everything below `C:\Windows`, and their descriptors."""

_Link = WindowsSymlink | WindowsJunction


class WindowsLayer(msgspec.Struct, frozen=True):
    """A planned layer.

    Attributes:
        recipe: what to pack.
        notes: what a person should know, one sentence each, in the order of the paths.
    """

    recipe: LayerRecipe
    notes: tuple[str, ...]


def plan_layer(
    requests: Iterable[LayerRequest], *, epoch: int, created_by: str, comment: str = "", on_base: bool = True
) -> WindowsLayer:
    """Makes a layer's recipe of what was asked for, in whatever order.

    Args:
        requests: the content.
        epoch: all times, in seconds since 1970 UTC.
        created_by: the history line.
        comment: the history comment.
        on_base: whether there are layers below; without, there is nothing to remove or to link to.

    Raises:
        RequestError: a path that Windows cannot have, two requests for one path (differing in case alone included), a
            path below a file or link of the same layer, a whiteout of something that the layer adds, a hard link to
            nothing, incomplete SDDL; both sources are named.
    """
    if epoch < 0:
        raise RequestError(f"the time {epoch} is before 1970", hint="Set SOURCE_DATE_EPOCH to 0 or more.")
    return _Planner(epoch, on_base=on_base).plan(tuple(requests), created_by, comment)


class _Planner:
    def __init__(self, epoch: int, *, on_base: bool) -> None:
        self.on_base = on_base
        time = str(epoch)
        self.epoch = epoch
        self.times = (("LIBARCHIVE.creationtime", time), ("atime", time), ("ctime", time))
        # By folded path: the spelling, and the request; None for a directory that only lies on the way.
        self.nodes: dict[Components, tuple[Components, LayerRequest | None]] = {}
        self.first_source: dict[Components, str] = {}
        self.removed: dict[Components, tuple[Components, Whiteout]] = {}
        self.notes: list[tuple[Components, str]] = []

    def plan(self, requests: Sequence[LayerRequest], created_by: str, comment: str) -> WindowsLayer:
        # In an order of their own, so that the messages do not depend on the caller's either.
        hives = sorted(
            (request for request in requests if isinstance(request, HiveDelta)), key=attrgetter("name", "source")
        )
        rest = sorted(
            (request for request in requests if not isinstance(request, HiveDelta)), key=attrgetter("path", "source")
        )
        placed = sorted(((self.place(request), request) for request in rest), key=_by_path)
        whiteouts = [(path, request) for path, request in placed if isinstance(request, Whiteout)]
        links = [(path, request) for path, request in placed if isinstance(request, WindowsHardLink)]
        for path, request in placed:
            if not isinstance(request, Whiteout):
                self.add(path, request)
        for path, whiteout in whiteouts:
            self.remove(path, whiteout)
        self.check_tree()
        entries = [
            self.directory_entry("Hives"),
            *self.hive_entries(hives),
            self.directory_entry("Files"),
            *self.tree_entries(),
            *(self.hard_link_entry(path, link) for path, link in sorted(links, key=itemgetter(0))),
            *(self.whiteout_entry(path) for path in sorted(path for path, _ in self.removed.values())),
        ]
        recipe = LayerRecipe(tuple(entries), self.epoch, created_by, comment)
        return WindowsLayer(recipe, tuple(dict.fromkeys(note for _, note in sorted(self.notes))))

    def place(self, request: LayerRequest) -> Components:
        assert not isinstance(request, HiveDelta)
        try:
            path = parse_path(request.path)
        except RequestError as error:
            raise RequestError(f"{request.source}: {error}", hint=error.hint) from error
        if not path:
            raise RequestError(f"{request.source}: C:\\ itself is the base's", hint="Name a directory below C:\\.")
        for name in path:
            folded = upcase(name)
            if folded.startswith(upcase(WHITEOUT_PREFIX)) or folded.endswith(upcase(_DIRECTORY_RECORD)):
                raise RequestError(f"{request.source}: the importer reads the name {name!r} as an instruction")
        if (units := utf16_units(path_text(path))) > LONG_PATH:
            self.notes.append(
                (path, f"{path_text(path)} has {units} characters: most programs cannot open paths longer than 259")
            )
        return path

    def add(self, path: Components, request: LayerRequest) -> None:
        for length in range(1, len(path)):
            self.put(path[:length], None, request.source)
        self.put(path, request, request.source)

    def put(self, path: Components, request: LayerRequest | None, source: str) -> None:
        key = fold(path)
        if key not in self.nodes:
            self.nodes[key] = (path, request)
            self.first_source[key] = source
            return
        spelling, existing = self.nodes[key]
        both = f"({self.first_source[key]}) and ({source})"
        if spelling != path:
            raise RequestError(
                f"{path_text(spelling)} and {path_text(path)} are the same to Windows: {both}",
                hint="Spell the path the same way in both, or leave one out.",
            )
        if request is None:
            if existing is not None and not isinstance(existing, WindowsDirectory):
                kind = "a file" if isinstance(existing, WindowsFile | WindowsHardLink) else "a link"
                raise RequestError(f"{path_text(path)} is {kind}, and something is to go below it: {both}")
            return
        if existing is None:
            if not isinstance(request, WindowsDirectory):
                raise RequestError(f"{path_text(path)} cannot be both a directory and something else: {both}")
            self.nodes[key] = (path, request)
            self.first_source[key] = source
            return
        same = isinstance(existing, WindowsDirectory) and isinstance(request, WindowsDirectory)
        if not same:
            raise RequestError(f"{path_text(path)} is asked for twice: {both}", hint="Leave one of them out.")
        assert isinstance(existing, WindowsDirectory)
        assert isinstance(request, WindowsDirectory)
        if existing.attributes != request.attributes:
            raise RequestError(f"the directory {path_text(path)} is to have two different attributes: {both}")

    def remove(self, path: Components, whiteout: Whiteout) -> None:
        if not self.on_base:
            raise RequestError(f"{whiteout.source}: there is no base from which {path_text(path)} could be removed")
        key = fold(path)
        for length in range(1, len(key)):
            if outer := self.removed.get(key[:length]):
                raise RequestError(
                    f"{path_text(path)} goes already with {path_text(outer[0])}: ({outer[1].source}) and "
                    f"({whiteout.source})",
                    hint="Leave the inner one out.",
                )
        if key in self.nodes:
            # The importer removes after it has added (hcsshim `legacy.go`, tombstones), so nothing would be left.
            raise RequestError(
                f"{path_text(path)} is both added and removed: ({self.first_source[key]}) and ({whiteout.source})",
                hint="Leave the removal out: what the layer adds replaces what the base has.",
            )
        self.removed.setdefault(key, (path, whiteout))

    def check_tree(self) -> None:
        """What can only be seen when everything is in its place."""
        for path, whiteout in self.removed.values():
            # The importer wants the directories above every name.
            for length in range(1, len(path)):
                self.put(path[:length], None, whiteout.source)
        for key, (path, request) in self.nodes.items():
            if isinstance(request, WindowsHardLink):
                self.check_hard_link(path, request)
            elif isinstance(request, _Link):
                self.check_link(path, request)
            elif isinstance(request, WindowsFile | WindowsDirectory):
                self.check_access(path, request)
            if request is None or not _is_of_base(key[:1]):
                continue
            top = path_text(path[:1])
            if isinstance(request, WindowsDirectory) and _is_of_base(key):
                self.notes.append(
                    (path, f"{path_text(path)} is the base's own directory, described anew ({request.source})")
                )
            else:
                self.notes.append((path[:1], f"the layer puts something into {top}, which belongs to the base"))

    def check_access(self, path: Components, request: WindowsFile | WindowsDirectory) -> None:
        attributes = request.attributes
        sddl = attributes.file_sddl if isinstance(request, WindowsFile) else attributes.directory_sddl
        try:
            check_complete(sddl)
        except RequestError as error:
            raise RequestError(f"{request.source}: {error}", hint=error.hint) from error
        if isinstance(request, WindowsDirectory) or not upcase(path[-1]).endswith((".EXE", ".DLL")):
            return
        if may_be_changed_by(parse_sddl(sddl)):
            self.notes.append((path, f"{path_text(path)} may be changed by the service's account ({request.source})"))
        parent = self.nodes[fold(path[:-1])][1] if len(path) > 1 else None
        if isinstance(parent, WindowsDirectory) and may_be_changed_by(parse_sddl(parent.attributes.directory_sddl)):
            # Windows looks for a program's DLLs beside it first.
            note = f"the service's account may put a DLL beside {path_text(path)} ({parent.source})"
            self.notes.append((path, note))

    def check_hard_link(self, path: Components, link: WindowsHardLink) -> None:
        target = self.hard_link_target(link)
        there = self.nodes.get(fold(target))
        if link.in_base:
            problem = "which this layer replaces" if there is not None else self.removal_above(target)
            if not self.on_base:
                problem = "and there is no base"
            if problem:
                raise RequestError(
                    f"{link.source}: {path_text(path)} links to the base's {path_text(target)}, {problem}"
                )
        elif there is None or not isinstance(there[1], WindowsFile):
            what = "is not in this layer" if there is None else "is no file"
            raise RequestError(
                f"{link.source}: {path_text(path)} links to {path_text(target)}, which {what}",
                hint="A hard link's target is a file of the same layer, or one of the base that is declared as such.",
            )

    def hard_link_target(self, link: WindowsHardLink) -> Components:
        try:
            target = parse_path(link.target)
        except RequestError as error:
            raise RequestError(f"{link.source}: {error}", hint=error.hint) from error
        there = self.nodes.get(fold(target))
        # The importer looks names up among those that it has added by their exact spelling.
        return there[0] if there is not None else target

    def removal_above(self, path: Components) -> str:
        key = fold(path)
        removals = (self.removed.get(key[:length]) for length in range(1, len(key) + 1))
        return next((f"which is removed ({removal[1].source})" for removal in removals if removal is not None), "")

    def check_link(self, path: Components, link: _Link) -> None:
        _, leads_to = _target(path, link)
        if fold(leads_to) == fold(path):
            raise RequestError(f"{link.source}: {path_text(path)} is a link to itself")
        there = self.nodes.get(fold(leads_to))
        if there is None or isinstance(there[1], _Link):
            return
        is_directory = there[1] is None or isinstance(there[1], WindowsDirectory)
        wants_directory = isinstance(link, WindowsJunction) or link.directory
        if is_directory != wants_directory:
            is_, asked = ("a directory", "a file") if is_directory else ("a file", "a directory")
            raise RequestError(
                f"{link.source}: {path_text(path)} is a link to {asked}, but {path_text(leads_to)} is {is_}"
            )

    def hive_entries(self, hives: Sequence[HiveDelta]) -> list[Entry]:
        entries: dict[str, tuple[Entry, str]] = {}
        for hive in hives:
            if hive.name not in HIVES:
                raise RequestError(
                    f"{hive.source}: there is no hive {hive.name!r}", hint=f"There are {', '.join(HIVES)}."
                )
            name = f"Hives/{hive.name}_DELTA"
            if name in entries:
                raise RequestError(f"two deltas of the hive {hive.name}: ({entries[name][1]}) and ({hive.source})")
            entries[name] = (self.file_entry(name, hive.content, FILE_ATTRIBUTE_ARCHIVE, READ_ONLY_FILE), hive.source)
        return [entry for entry, _ in entries.values()]

    def tree_entries(self) -> list[Entry]:
        entries = []
        for key in sorted(self.nodes, key=lambda key: self.nodes[key][0]):
            path, request = self.nodes[key]
            name = _name(path)
            if request is None:
                entries.append(self.directory_entry(name, _BASE_DIRECTORIES.get(key, READ_ONLY_DIRECTORY)))
            elif isinstance(request, WindowsDirectory):
                attributes = request.attributes
                entries.append(self.directory_entry(name, attributes.directory_sddl, attributes.bits))
            elif isinstance(request, WindowsFile):
                attributes = request.attributes
                bits = FILE_ATTRIBUTE_ARCHIVE | attributes.bits
                entries.append(self.file_entry(name, request.content, bits, attributes.file_sddl))
            elif isinstance(request, _Link):
                entries.append(self.link_entry(path, request))
        return entries

    def directory_entry(self, name: str, sddl: str = "", bits: int = 0) -> Entry:
        records = self.records(FILE_ATTRIBUTE_DIRECTORY | bits, sddl)
        return Entry(name, EntryKind.DIRECTORY, mode=0o755, pax=records)

    def file_entry(self, name: str, content: Content, bits: int, sddl: str) -> Entry:
        return Entry(name, EntryKind.FILE, mode=0o644, content=content, pax=self.records(bits, sddl))

    def link_entry(self, path: Components, link: _Link) -> Entry:
        junction = isinstance(link, WindowsJunction)
        directory = isinstance(link, WindowsJunction) or link.directory
        bits = FILE_ATTRIBUTE_REPARSE_POINT | (FILE_ATTRIBUTE_DIRECTORY if directory else FILE_ATTRIBUTE_ARCHIVE)
        sddl = READ_ONLY_DIRECTORY if directory else READ_ONLY_FILE
        return Entry(
            _name(path),
            EntryKind.SYMLINK,
            mode=0o777,
            link_target=_target(path, link)[0],
            pax=self.records(bits, sddl, junction=junction),
        )

    def hard_link_entry(self, path: Components, link: WindowsHardLink) -> Entry:
        target = _name(self.hard_link_target(link))
        return Entry(_name(path), EntryKind.HARDLINK, link_target=target, pax=self.records(FILE_ATTRIBUTE_ARCHIVE))

    def whiteout_entry(self, path: Components) -> Entry:
        name = _name((*path[:-1], WHITEOUT_PREFIX + path[-1]))
        return Entry(name, EntryKind.FILE, content=_NOTHING, pax=self.records(FILE_ATTRIBUTE_ARCHIVE))

    def records(self, bits: int, sddl: str = "", *, junction: bool = False) -> tuple[tuple[str, str], ...]:
        records = [*self.times, ("MSWINDOWS.fileattr", str(bits))]
        if junction:
            records.append(("MSWINDOWS.mountpoint", "1"))
        if sddl:
            records.append(("MSWINDOWS.rawsd", _raw_descriptor(sddl)))
        return tuple(sorted(records))


_NOTHING = Content(0, io.BytesIO, "a whiteout")


def _by_path(item: tuple[Components, LayerRequest]) -> tuple[Components, Components, str, str]:
    path, request = item
    return fold(path), path, type(request).__name__, request.source


def _name(path: Components) -> str:
    return "/".join(("Files", *path))


def _is_of_base(key: Components) -> bool:
    """Whether a directory, by its folded path, is one that Windows bases are known to have."""
    return key in _BASE_DIRECTORIES or key[0] == "WINDOWS"


@lru_cache(maxsize=1024)
def _raw_descriptor(sddl: str) -> str:
    return binascii.b2a_base64(sddl_bytes(sddl), newline=False).decode()


def _target(path: Components, link: _Link) -> tuple[str, Components]:
    """A link's target: the text for the reparse point, and the path that it leads to."""
    text = link.target.replace("/", "\\")
    relative = bool(text) and not text.startswith("\\") and text[1:2] != ":"
    if relative and isinstance(link, WindowsJunction):
        raise RequestError(
            f"{link.source}: the junction {path_text(path)} has a relative target, {link.target[:120]!r}",
            hint=r"Write its whole path, for instance C:\app\data.",
        )
    try:
        if not relative:
            absolute = parse_path(text)
            return path_text(absolute), absolute
        parts = [part for part in text.split("\\") if part not in ("", ".")]
        leads_to = list(path[:-1])
        for part in parts:
            if part != "..":
                check_component(part)
                leads_to.append(part)
            elif leads_to:
                leads_to.pop()
            else:
                raise RequestError(f"the link's target {link.target[:120]!r} leads out of drive C:")
    except RequestError as error:
        raise RequestError(f"{link.source}: {error}", hint=error.hint) from error
    if not parts:
        raise RequestError(f"{link.source}: {path_text(path)} is a link to its own directory")
    return "\\".join(parts), tuple(leads_to)
