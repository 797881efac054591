"""From requests to a `LayerRecipe` for Linux.

What `plan_layer` promises of every recipe:

- every directory stands before what is in it, those that nobody asked for included (root's, 0755), with one exception:
  over a base, the directories that many bases have as links (`/bin`, `/lib`, `/var/run` …) are written only when asked
  for by name. A directory there would take the place of the link, and with it of everything behind it; without one,
  every runtime follows the link, and makes a directory where there is none (containerd `archive/tar.go`,
  moby `pkg/archive`, umoci `oci/layer`).
- `/tmp`, `/var/tmp`, `/root` and `/home/nonroot` on the way to a file keep the modes that every base gives them.
- No name stands there twice. The order is by path, component by component in code point order, then hard links in the
  same order; it does not depend on the order of the requests.
- What nobody said anything of is as the nearest directory above it that somebody did say something of; else:
- Programs and files belong to root and nobody may write them: 0555 and 0444. The service user cannot change what it
  runs, and neither can root without CAP_DAC_OVERRIDE.

Sources: image-spec `layer.md`; Filesystem Hierarchy Standard 3.0; file-hierarchy(7).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wingo.archive.entry import Entry, EntryKind, LayerRecipe
from wingo.errors import RequestError
from wingo.linux.paths import MAX_PATH, Components, parse_path, path_text
from wingo.linux.requests import (
    READ_ONLY,
    UNSAID,
    Attributes,
    LayerRequest,
    LinuxDirectory,
    LinuxFile,
    LinuxHardLink,
    LinuxSymlink,
)
from wingo.linux.users import NONROOT, ROOT, Owner

_KNOWN_DIRECTORIES = {
    ("tmp",): Attributes(mode=0o1777),
    ("var", "tmp"): Attributes(mode=0o1777),
    ("root",): Attributes(mode=0o700),
    ("home", "nonroot"): Attributes(mode=0o700, owner=NONROOT),
}
_MAYBE_LINKS = frozenset(
    {
        ("bin",),
        ("sbin",),
        ("lib",),
        ("lib32",),
        ("lib64",),
        ("libx32",),
        ("usr", "sbin"),
        ("usr", "lib64"),
        ("var", "lock"),
        ("var", "mail"),
        ("var", "run"),
    }
)
"""A merged /usr has the first ones as links into it, systemd the last; on some, /usr/sbin and /usr/lib64 are links."""

_SET_ID = 0o6000


class LinuxLayer(msgspec.Struct, frozen=True):
    """A planned layer.

    Attributes:
        recipe: what to pack.
        notes: what a person should know, one sentence each, in the order of the paths.
    """

    recipe: LayerRecipe
    notes: tuple[str, ...]


def plan_layer(
    requests: Iterable[LayerRequest],
    *,
    epoch: int,
    created_by: str,
    comment: str = "",
    service: Owner = NONROOT,
    on_base: bool = True,
) -> LinuxLayer:
    """Makes a layer's recipe of what was asked for, in whatever order.

    Args:
        requests: the content.
        epoch: all times, in seconds since 1970 UTC.
        created_by: the history line.
        comment: the history comment.
        service: who the program runs as: the owner of what has the attribute `data`.
        on_base: whether there are layers below that wingo did not make.

    Raises:
        RequestError: a path that a layer cannot have, two requests for one path, a path below a file or link of the
            same layer, a hard link to nothing; both sources are named.
    """
    if epoch < 0:
        raise RequestError(f"the time {epoch} is before 1970", hint="Set SOURCE_DATE_EPOCH to 0 or more.")
    planner = _Planner(service, on_base=on_base)
    placed = [(_place(request), request) for request in requests]
    # In an order of their own, so that the messages do not depend on the caller's.
    for path, request in sorted(placed, key=_by_path):
        planner.add(path, request)
    entries = planner.entries()
    return LinuxLayer(LayerRecipe(entries, epoch, created_by, comment), tuple(dict.fromkeys(planner.notes)))


class _Planner:
    def __init__(self, service: Owner, *, on_base: bool) -> None:
        self.service = service
        self.on_base = on_base
        # None: a directory that only lies on the way.
        self.nodes: dict[Components, LayerRequest | None] = {}
        self.first_source: dict[Components, str] = {}
        # Of every path, "read-only" or "data".
        self.access: dict[Components, str] = {}
        self.notes: list[str] = []

    def add(self, path: Components, request: LayerRequest) -> None:
        if not path:
            if not isinstance(request, LinuxDirectory) or request.attributes not in (UNSAID, READ_ONLY):
                raise RequestError(f"{request.source}: / itself is the base's", hint="Name a path below /.")
            return
        for length in range(1, len(path)):
            self._put(path[:length], None, request.source)
        self._put(path, request, request.source)

    def _put(self, path: Components, request: LayerRequest | None, source: str) -> None:
        if path not in self.nodes:
            self.nodes[path] = request
            self.first_source[path] = source
            return
        existing = self.nodes[path]
        both = f"({self.first_source[path]}) and ({source})"
        if request is None:
            if existing is not None and not isinstance(existing, LinuxDirectory):
                kind = "a link" if isinstance(existing, LinuxSymlink) else "a file"
                raise RequestError(f"{path_text(path)} is {kind}, and something is to go below it: {both}")
            return
        if not isinstance(request, LinuxDirectory) or not isinstance(existing, LinuxDirectory | None):
            what = "cannot be both a directory and something else" if existing is None else "is asked for twice"
            raise RequestError(f"{path_text(path)} {what}: {both}", hint="Leave one of them out.")
        merged = _merged(UNSAID if existing is None else existing.attributes, request.attributes)
        if merged is None:
            raise RequestError(f"the directory {path_text(path)} is to have two different attributes: {both}")
        if existing is None or merged != existing.attributes:
            self.nodes[path] = msgspec.structs.replace(request, attributes=merged)
            self.first_source[path] = source

    def entries(self) -> tuple[Entry, ...]:
        tree = sorted(self.nodes.items())
        for path, node in tree:
            own = node.attributes.access if isinstance(node, LinuxFile | LinuxDirectory) else ""
            self.access[path] = own or self.access.get(path[:-1], READ_ONLY.access)
        first = [self._entry(path, node) for path, node in tree if not isinstance(node, LinuxHardLink)]
        links = [self._hard_link(path, node) for path, node in tree if isinstance(node, LinuxHardLink)]
        return (*(entry for entry in first if entry is not None), *links)

    def _entry(self, path: Components, node: LinuxFile | LinuxDirectory | LinuxSymlink | None) -> Entry | None:
        name = "/".join(path)
        if node is None:
            if self.on_base and path in _MAYBE_LINKS:
                return None
            return self._directory(path, _KNOWN_DIRECTORIES.get(path, UNSAID))
        if isinstance(node, LinuxDirectory):
            if self.on_base and path in _MAYBE_LINKS:
                self.notes.append(f"{path_text(path)} is a link in many bases; a directory takes its place here")
            return self._directory(path, node.attributes)
        if isinstance(node, LinuxSymlink):
            _check_target(node)
            return Entry(name, EntryKind.SYMLINK, mode=0o777, link_target=node.target)
        return self._file(path, node)

    def _directory(self, path: Components, attributes: Attributes) -> Entry:
        mode = 0o750 if self.access[path] == "data" else 0o755
        if attributes.mode is not None:
            # Whoever may read it may enter it: a mode is mostly meant for the files below.
            mode = attributes.mode | (attributes.mode & 0o444) >> 2
        owner = self._owner(path, attributes)
        return Entry("/".join(path), EntryKind.DIRECTORY, mode=mode, uid=owner.uid, gid=owner.gid)

    def _file(self, path: Components, file: LinuxFile) -> Entry:
        attributes = file.attributes
        mode = 0o640 if self.access[path] == "data" else 0o444
        if file.executable:
            mode |= (mode & 0o444) >> 2
        if attributes.mode is not None:
            mode = attributes.mode
        owner = self._owner(path, attributes)
        if mode & 0o111 and self._may_change(owner, mode):
            self.notes.append(f"{path_text(path)} may be changed by the service's user ({file.source})")
        if mode & _SET_ID:
            self.notes.append(f"{path_text(path)} runs with the rights of its owner or group ({file.source})")
        return Entry("/".join(path), EntryKind.FILE, mode, owner.uid, owner.gid, file.content)

    def _owner(self, path: Components, attributes: Attributes) -> Owner:
        return attributes.owner or (self.service if self.access[path] == "data" else ROOT)

    def _may_change(self, owner: Owner, mode: int) -> bool:
        """Whether the service's user may write a file; root may write everything, and is not told so each time."""
        if self.service.uid == ROOT.uid:
            return False
        if owner.uid == self.service.uid:
            return True  # an owner may change the mode first
        return bool(mode & (0o020 if owner.gid == self.service.gid else 0o002))

    def _hard_link(self, path: Components, link: LinuxHardLink) -> Entry:
        target = _place(LinuxHardLink(path=link.target, target=link.path, source=link.source))
        there = self.nodes.get(target)
        if not isinstance(there, LinuxFile):
            what = "is no file" if target in self.nodes else "is not in this layer"
            raise RequestError(
                f"{link.source}: {path_text(path)} links to {path_text(target)}, which {what}",
                hint="A hard link's target is a file of the same layer.",
            )
        # Of a hard link, readers take the metadata for the file's.
        file = self._file(target, there)
        name, goal = "/".join(path), "/".join(target)
        return Entry(name, EntryKind.HARDLINK, file.mode, file.uid, file.gid, link_target=goal)


def _merged(one: Attributes, other: Attributes) -> Attributes | None:
    """What two requests say of one directory together; None: they contradict each other."""
    if one.access and other.access and one.access != other.access:
        return None
    if None not in (one.mode, other.mode) and one.mode != other.mode:
        return None
    if None not in (one.owner, other.owner) and one.owner != other.owner:
        return None
    mode = other.mode if one.mode is None else one.mode
    return Attributes(one.access or other.access, mode, one.owner or other.owner)


def _by_path(item: tuple[Components, LayerRequest]) -> tuple[Components, str, str]:
    path, request = item
    return path, type(request).__name__, request.source


def _place(request: LayerRequest) -> Components:
    try:
        return parse_path(request.path)
    except RequestError as error:
        raise RequestError(f"{request.source}: {error}", hint=error.hint) from error


def _check_target(link: LinuxSymlink) -> None:
    target = link.target
    surrogate = any("\ud800" <= character <= "\udfff" for character in target)
    if not target or "\0" in target or surrogate or len(target.encode()) > MAX_PATH:
        raise RequestError(f"{link.source}: {target[:80]!r} cannot be the target of a link")
