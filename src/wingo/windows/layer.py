r"""The layer dialect: from requests to a `LayerRecipe` that the Windows importer takes.

What `plan_layer` promises of every recipe:

- `Hives` and `Files` stand there once, first of all; every directory stands before what is in it, those that nobody
  asked for included; no name twice, no two names that NTFS takes for one.
- Order: `Hives` and its deltas, then `Files` and what is below it by path, component by component in code point
  order; then hard links, then whiteouts, both in that same order. It does not depend on the order of the requests.
- Every entry has its four times (mtime from the recipe, the others as records), all equal to the epoch.
- Every entry below `Files`, and every hive, has a descriptor with owner, group and access list (hard links have their
  file's, whiteouts need none). What nobody described takes after the directory that it is in, as on NTFS, and what is
  directly below `C:\` can be read and not changed by the service's account. The base's own directories on the way get
  what Windows gives them: what becomes of a directory without a descriptor is not known, and neither is whether one
  here replaces the base's. The two roots alone are left undescribed.

Sources: hcsshim `pkg/ociwclayer/import.go`, `internal/wclayer/legacy.go`; go-winio `backuptar/tar.go`, `reparse.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter

import msgspec

from wingo.archive.entry import Entry, LayerRecipe
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.entries import WHITEOUT_PREFIX, EntryWriter, entry_name
from wingo.windows.paths import (
    LONG_PATH,
    Components,
    fold,
    parse_link_target,
    parse_path,
    path_text,
    utf16_units,
)
from wingo.windows.requests import (
    HIVES,
    Attributes,
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
from wingo.windows.sddl import parse_sddl
from wingo.windows.security import (
    CONTAINER_USER,
    READ_ONLY_DIRECTORY,
    READ_ONLY_FILE,
    SecurityDescriptor,
    inherited,
    may_be_changed_by,
)

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
_NOT_PASSED_ON = frozenset({("PROGRAMDATA",)})
"""Those whose children are read-only all the same: else DLLs could be planted beside programs there."""

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
        self.epoch = epoch
        self.writer = EntryWriter(epoch)
        # By folded path: the spelling, and the request; None for a directory that only lies on the way.
        self.nodes: dict[Components, tuple[Components, LayerRequest | None]] = {}
        self.first_source: dict[Components, str] = {}
        self.removed: dict[Components, tuple[Components, Whiteout]] = {}
        self.descriptors: dict[Components, SecurityDescriptor] = {}
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
            self.writer.directory("Hives"),
            *self.hive_entries(hives),
            self.writer.directory("Files"),
            *self.tree_entries(),
            *(
                self.writer.hard_link(entry_name(path), self.hard_link_target(link))
                for path, link in sorted(links, key=itemgetter(0))
            ),
            *(self.writer.whiteout(path) for path in sorted(path for path, _ in self.removed.values())),
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
        key = fold(path)
        self.add_above(path, key, request.source)
        self.put(path, key, request, request.source)

    def add_above(self, path: Components, key: Components, source: str) -> None:
        """The directories above a path: the importer wants each, before what is in it."""
        for length in range(1, len(path)):
            self.put(path[:length], key[:length], None, source)

    def put(self, path: Components, key: Components, request: LayerRequest | None, source: str) -> None:
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
        if not isinstance(existing, WindowsDirectory) or not isinstance(request, WindowsDirectory):
            raise RequestError(f"{path_text(path)} is asked for twice: {both}", hint="Leave one of them out.")
        merged = _merged(existing.attributes, request.attributes)
        if merged is None:
            raise RequestError(f"the directory {path_text(path)} is to have two different attributes: {both}")
        if merged != existing.attributes:
            self.nodes[key] = (path, msgspec.structs.replace(request, attributes=merged))
            self.first_source[key] = source

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
        for key, (path, whiteout) in self.removed.items():
            self.add_above(path, key, whiteout.source)
        self.describe()
        for key, (path, request) in self.nodes.items():
            if isinstance(request, WindowsHardLink):
                self.check_hard_link(path, request)
            elif isinstance(request, _Link):
                self.check_link(path, request)
            elif isinstance(request, WindowsFile):
                self.check_program(path, request)
            if request is None or not _is_of_base(key[:1]):
                continue
            top = path_text(path[:1])
            if isinstance(request, WindowsDirectory) and _is_of_base(key):
                self.notes.append(
                    (path, f"{path_text(path)} is the base's own directory, described anew ({request.source})")
                )
            else:
                self.notes.append((path[:1], f"the layer puts something into {top}, which belongs to the base"))

    def describe(self) -> None:
        """Gives every node its descriptor: its own, or what its directory passes on."""
        read_only = parse_sddl(READ_ONLY_DIRECTORY)
        passed_on: dict[Components, SecurityDescriptor] = {}
        for key, (path, request) in sorted(self.nodes.items(), key=lambda item: len(item[0])):
            sddl = _own_sddl(request)
            if request is not None and sddl:
                descriptor = self.said(sddl, path, request)
            elif key in _BASE_DIRECTORIES and _is_directory(request):
                descriptor = parse_sddl(_BASE_DIRECTORIES[key])
            else:
                directory = _leads_to_directory(request) if isinstance(request, _Link) else _is_directory(request)
                descriptor = _inherited(passed_on.get(key[:-1], read_only), directory)
            self.descriptors[key] = descriptor
            passed_on[key] = read_only if key in _NOT_PASSED_ON and not sddl else descriptor

    def said(self, sddl: str, path: Components, request: LayerRequest) -> SecurityDescriptor:
        try:
            check_complete(sddl)
        except RequestError as error:
            raise RequestError(f"{request.source}: {path_text(path)}: {error}", hint=error.hint) from error
        return parse_sddl(sddl)

    def check_program(self, path: Components, program: WindowsFile) -> None:
        key = fold(path)
        if not key[-1].endswith((".EXE", ".DLL")):
            return
        if may_be_changed_by(self.descriptors[key]):
            self.notes.append((path, f"{path_text(path)} may be changed by the service's account ({program.source})"))
        if len(key) > 1 and may_be_changed_by(self.descriptors[key[:-1]]):
            # Windows looks for a program's DLLs beside it first.
            note = f"the service's account may put a DLL beside {path_text(path)} ({self.first_source[key[:-1]]})"
            self.notes.append((path, note))

    def check_hard_link(self, path: Components, link: WindowsHardLink) -> None:
        target = self.hard_link_target(link)
        there = self.nodes.get(fold(target))
        if link.in_base:
            problem = "which this layer replaces" if there is not None else self.obstacle_above(target)
            if not self.on_base:
                problem = "and there is no base"
            elif not target:
                problem = "which is no file"
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

    def obstacle_above(self, path: Components) -> str:
        """Why a file of the base cannot be reached when this layer lies on it, or ""."""
        key = fold(path)
        for length in range(1, len(key) + 1):
            if removal := self.removed.get(key[:length]):
                return f"which is removed ({removal[1].source})"
            _, request = self.nodes.get(key[:length], ((), None))
            if not _is_directory(request):
                return f"above which this layer puts something else ({self.first_source[key[:length]]})"
        return ""

    def link_target(self, path: Components, link: _Link) -> tuple[str, Components]:
        try:
            text, leads_to = parse_link_target(link.target, path)
        except RequestError as error:
            raise RequestError(f"{link.source}: {error}", hint=error.hint) from error
        if isinstance(link, WindowsJunction) and text != path_text(leads_to):
            raise RequestError(
                f"{link.source}: the junction {path_text(path)} has a relative target, {link.target[:120]!r}",
                hint=r"Write its whole path, for instance C:\app\data.",
            )
        return text, leads_to

    def check_link(self, path: Components, link: _Link) -> None:
        _, leads_to = self.link_target(path, link)
        if fold(leads_to) == fold(path):
            raise RequestError(f"{link.source}: {path_text(path)} is a link to itself")
        _, there = self.nodes.get(fold(leads_to), ((), link))
        if isinstance(there, _Link):
            return
        if _is_directory(there) != _leads_to_directory(link):
            is_, asked = ("a directory", "a file") if _is_directory(there) else ("a file", "a directory")
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
            entries[name] = (self.writer.file(name, hive.content, parse_sddl(READ_ONLY_FILE)), hive.source)
        return [entry for entry, _ in entries.values()]

    def tree_entries(self) -> list[Entry]:
        entries = []
        for key, (path, request) in sorted(self.nodes.items(), key=lambda item: item[1][0]):
            name, descriptor = entry_name(path), self.descriptors[key]
            if request is None:
                entries.append(self.writer.directory(name, descriptor))
            elif isinstance(request, WindowsDirectory):
                entries.append(self.writer.directory(name, descriptor, request.attributes.bits))
            elif isinstance(request, WindowsFile):
                entries.append(self.writer.file(name, request.content, descriptor, request.attributes.bits))
            elif isinstance(request, _Link):
                target, _ = self.link_target(path, request)
                junction = isinstance(request, WindowsJunction)
                directory = _leads_to_directory(request)
                entries.append(self.writer.link(name, target, descriptor, directory=directory, junction=junction))
        return entries


def _by_path(item: tuple[Components, LayerRequest]) -> tuple[Components, Components, str, str]:
    path, request = item
    return fold(path), path, type(request).__name__, request.source


def _merged(left: Attributes, right: Attributes) -> Attributes | None:
    """What two requests for one directory say together, or None when they contradict each other."""
    if (left.access and right.access and left.access != right.access) or (
        left.bits and right.bits and left.bits != right.bits
    ):
        return None
    return Attributes(left.access or right.access, left.bits or right.bits)


def _is_of_base(key: Components) -> bool:
    """Whether a directory, by its folded path, is one that Windows bases are known to have."""
    return key in _BASE_DIRECTORIES or key[0] == "WINDOWS"


def _is_directory(request: LayerRequest | None) -> bool:
    return request is None or isinstance(request, WindowsDirectory)


def _own_sddl(request: LayerRequest | None) -> str:
    """What a request says of the descriptor, or ""."""
    if isinstance(request, WindowsFile):
        return request.attributes.file_sddl
    return request.attributes.directory_sddl if isinstance(request, WindowsDirectory) else ""


def _leads_to_directory(link: _Link) -> bool:
    return isinstance(link, WindowsJunction) or link.directory


@lru_cache(maxsize=1024)
def _inherited(parent: SecurityDescriptor, directory: bool) -> SecurityDescriptor:
    return inherited(parent, directory=directory)
