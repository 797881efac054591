"""The layers of an image stacked: which files a container would see, and which ones upper layers hid.

Linux, per layer: what it removes is removed from the layers below, then what it adds is added (image-spec `layer.md`:
a whiteout never hides what its own layer has). Windows: what it adds is added, then its tombstones are applied, and hide
even what the same layer added (hcsshim `internal/wclayer/legacy.go`); opaque whiteouts mean nothing.

A name below a symbolic link is followed on Linux, inside the image. Runtimes differ there: those that unpack into one
tree follow the link (umoci, containerd's native and btrfs snapshotters), those that unpack a layer by itself put a
directory over it (overlayfs); each such name is a problem, "below-link".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.archive.unpack import DEFAULT_LIMITS, Limits, MemberKind
from wingo.errors import ContentError, Malformed, RequestError
from wingo.view.content import open_each
from wingo.view.layer import MAX_PROBLEMS, LayerFiles, Node, Problem
from wingo.view.names import folding, read_route

if TYPE_CHECKING:
    from wingo.image.model import Image

MAX_LINKS = 40
"""Symbolic links followed on the way to one file, as Linux does."""
MAX_NODES = 4_000_000
"""Names in all layers of one image, directories on the way included."""


class _Entry:
    """A place in the tree.

    Attributes:
        node: what is there.
        brought: the layer that brought it last.
        children: of a directory, by folded name; None for everything else.
    """

    __slots__ = ("brought", "children", "node", "parent")

    def __init__(self, node: Node, parent: _Entry | None, brought: int) -> None:
        self.node = node
        self.parent = parent
        self.brought = brought
        self.children: dict[str, _Entry] | None = {} if node.kind is MemberKind.DIRECTORY else None


class View:
    """An image's merged file system, read-only; nothing of it lies on a disk.

    Attributes:
        image: whose it is.
        layers: what each layer says, base first; None for one that was not read.
        complete: whether every layer was read; what is not found may be in one that was not.
        hidden: files and links that upper layers replaced or removed.
        problems: what is odd about the layers, and about how they lie on each other.
    """

    def __init__(
        self,
        image: Image,
        layers: Sequence[LayerFiles | None],
        root: _Entry,
        hidden: tuple[Node, ...],
        problems: tuple[Problem, ...],
    ) -> None:
        """Is made by `make_view`."""
        self.image = image
        self.layers = tuple(layers)
        self.complete = all(layer is not None for layer in layers)
        self.hidden = hidden
        self.problems = problems
        self._root = root
        self._os = image.config.os
        self._fold = folding(self._os)

    @property
    def root(self) -> Node:
        """The root directory."""
        return self._root.node

    def find(self, path: str, *, follow: bool = True) -> Node | None:
        r"""What a path leads to.

        Args:
            path: in any spelling of the image's system: `C:\app\x`, `/app/x`, `app/x`; "" is the root.
            follow: a symbolic link at its end too; those on the way are followed always.

        Returns:
            None when nothing is there, or it leads out of the image, or in a circle.
        """
        entry = self._locate(path, follow=follow)
        return None if entry is None else entry.node

    def children(self, path: str) -> list[Node]:
        """What is in a directory, by name; nothing when it is none."""
        entry = self._locate(path, follow=True)
        return [] if entry is None else [child.node for child in self._sorted(entry)]

    def walk(self, path: str = "") -> Iterator[Node]:
        """Everything below a directory, each directory before what is in it, by name; links are not followed."""
        entry = self._locate(path, follow=True)
        pending = [] if entry is None else self._sorted(entry)[::-1]
        while pending:
            entry = pending.pop()
            yield entry.node
            if entry.children:
                pending += self._sorted(entry)[::-1]

    def read(self, node: Node, limit: int, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """A file's bytes, all of them checked.

        Args:
            node: a file of this view, or of one of its layers.
            limit: the most bytes that are wanted.
            limits: where reading a layer stops.

        Raises:
            RequestError: it is no file, or has more bytes than that.
            ContentError: the layer is damaged, or a hard link leads to nothing.
        """
        _check_file(node)
        if node.size > limit:
            raise RequestError(f"{node.path[:200]!r} has {node.size} bytes, more than {limit}")
        pieces = [stream.read() for _, stream in self.open_each([node], limits)]
        return b"".join(pieces)

    def open_each(self, nodes: Iterable[Node], limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Node, BinaryIO]]:
        """Streams of files, in the order of the layers: see `wingo.view.content.open_each`.

        Raises:
            RequestError: one is no file.
            ContentError: a layer is damaged, or a hard link leads to nothing.
        """
        wanted = list(nodes)
        for node in wanted:
            _check_file(node)
        return open_each(self.image, wanted, limits)

    def _sorted(self, entry: _Entry) -> list[_Entry]:
        return [entry.children[name] for name in sorted(entry.children)] if entry.children else []

    def _locate(self, path: str, *, follow: bool) -> _Entry | None:
        return _resolve(self._root, path, self._os, follow=follow)


def make_view(image: Image, layers: Sequence[LayerFiles | None]) -> View:
    """Stacks layers.

    Args:
        image: whose layers they are.
        layers: what each of them says, base first; None for one that was not read.

    Raises:
        Malformed: there are more names than anyone needs.
    """
    stack = _Stack(image.config.os)
    for number, layer in enumerate(layers):
        if layer is None:
            stack.some_missing = True
            continue
        stack.problems += layer.problems
        if stack.windows:
            stack.add_all(layer, number)
            stack.remove_all(layer, number, own=True)
        else:
            stack.remove_all(layer, number, own=False)
            stack.add_all(layer, number)
    return View(image, layers, stack.root, tuple(stack.hidden), tuple(stack.problems))


def _below(above: str, name: str) -> str:
    return f"{above}/{name}" if above else name


def _check_file(node: Node) -> None:
    if node.kind is MemberKind.FILE:
        return
    if node.kind is MemberKind.HARDLINK:
        raise ContentError(f"{node.path[:200]!r} is a hard link to {node.link_target[:200]!r}, which is not there")
    raise RequestError(f"{node.path[:200]!r} is no file but a {node.kind.value}")


def _resolve(root: _Entry, path: str, os: str, *, follow: bool, start: _Entry | None = None) -> _Entry | None:
    """The entry that a text leads to, links on the way followed inside the tree."""
    route = read_route(path, os)
    if route is None or len(path) > 1 << 16:
        return None
    fold = folding(os)
    entry = root if route.absolute or start is None else start
    pending = list(reversed(route.parts))
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            entry = entry.parent or root
            continue
        found = entry.children.get(fold(part)) if entry.children is not None else None
        if found is None:
            return None
        if found.node.kind is MemberKind.SYMLINK and (pending or follow):
            links += 1
            leads = read_route(found.node.link_target, os) if links <= MAX_LINKS else None
            if leads is None:
                return None
            if leads.absolute:
                entry = root
            pending += reversed(leads.parts)
            if len(pending) > 1 << 16:
                return None
            continue
        entry = found
    return entry


class _Stack:
    """The tree while it is made."""

    def __init__(self, os: str) -> None:
        self.os = os
        self.windows = os == "windows"
        self.fold = folding(os)
        self.root = _Entry(Node("", MemberKind.DIRECTORY), None, -1)
        self.hidden: list[Node] = []
        self.problems: list[Problem] = []
        self.some_missing = False
        self.count = 0
        self.hides = 0

    def problem(self, rule: str, node: Node, text: str, number: int) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(rule, node.path, text, node.offset, number))

    def new(self, node: Node, parent: _Entry, key: str, number: int) -> _Entry:
        self.count += 1
        if self.count > MAX_NODES:
            raise Malformed("image", f"more than {MAX_NODES} names in its layers")
        entry = _Entry(node, parent, number)
        assert parent.children is not None
        parent.children[key] = entry
        return entry

    # What a layer removes

    def remove_all(self, layer: LayerFiles, number: int, *, own: bool) -> None:
        """Applies whiteouts; `own`: to what the same layer brought as well."""
        for path in layer.opaque:
            entry = self.existing(path)
            for child in list((entry.children or {}).values()) if entry is not None else ():
                self.hide(child)
        for path in layer.whiteouts:
            entry = self.existing(path)
            if entry is None or entry.parent is None:
                if not self.some_missing:
                    self.problem("whiteout", Node(path, MemberKind.OTHER), "it removes what is not there", number)
                continue
            if own and entry.brought == number:
                self.problem("whiteout", entry.node, "the layer adds it and removes it, and it is gone", number)
            self.hide(entry)

    def existing(self, path: str) -> _Entry | None:
        """What lies at a path, links on the way followed on Linux, and none at its end."""
        return _resolve(self.root, path, self.os, follow=False)

    def hide(self, entry: _Entry) -> None:
        """Takes an entry out of the tree, with everything below it."""
        self.hides += 1
        parent = entry.parent
        assert parent is not None
        assert parent.children is not None
        key = self.fold(entry.node.name)
        if parent.children.get(key) is entry:
            del parent.children[key]
        pending = [entry]
        while pending:
            gone = pending.pop()
            if gone.children is None:
                self.hidden.append(gone.node)
            else:
                pending += gone.children.values()

    # What a layer adds

    def add_all(self, layer: LayerFiles, number: int) -> None:
        # Most entries lie in the directory of the one before, which holds until something is hidden.
        near_path, near, hides = "", self.root, -1
        fold = self.fold
        for node in layer.nodes:
            if not node.path:
                self.root.node, self.root.brought = node, number
                continue
            above, _, name = node.path.rpartition("/")
            if above != near_path or hides != self.hides:
                near = self.directory(above, node, number)
                near_path, hides = above, self.hides
            if near.node.path != above:
                # Beyond a link, or another spelling on Windows: in the view it has the path where it is.
                node = msgspec.structs.replace(node, path=_below(near.node.path, name))  # noqa: PLW2901
            key = fold(name)
            assert near.children is not None
            there = near.children.get(key)
            if there is not None:
                self.put_over(there, node, near, key, number)
            elif node.kind is MemberKind.HARDLINK:
                self.new(self.linked(node, number), near, key, number)
            else:
                self.new(node, near, key, number)

    def put_over(self, there: _Entry, node: Node, parent: _Entry, key: str, number: int) -> None:
        if there.brought == number and not there.node.implied:
            same_spelling = there.node.name == node.name
            text = "the layer has this name twice" if same_spelling else f"the layer has {there.node.name[:200]!r} too"
            self.problem("duplicate", node, text, number)
        if node.kind is MemberKind.DIRECTORY and there.children is not None:
            # NTFS keeps the spelling by which something was made.
            there.node, there.brought = msgspec.structs.replace(node, path=there.node.path), number
            return
        if node.kind is MemberKind.HARDLINK:
            if self.existing(node.link_target) is there:
                self.problem("link-target", node, "it is a hard link to itself", number)
                return
            node = self.linked(node, number)
        self.hide(there)
        self.new(node, parent, key, number)

    def directory(self, path: str, node: Node, number: int) -> _Entry:
        """The directory that an entry is to lie in; made where it is missing."""
        entry = self.root
        below_link = False
        links = 0
        pending = path.split("/")[::-1] if path else []
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                entry = entry.parent or self.root
                continue
            assert entry.children is not None
            key = self.fold(part)
            found = entry.children.get(key)
            if found is not None and found.node.kind is MemberKind.SYMLINK and not self.windows:
                links += 1
                below_link = True
                if links <= MAX_LINKS:
                    if found.node.link_target.startswith("/"):
                        entry = self.root
                    pending += found.node.link_target.split("/")[::-1]
                    continue
                self.problem("below-link", node, "the links on the way lead in a circle", number)
            if found is None or found.children is None:
                if found is not None:
                    what = found.node.kind.value
                    self.problem("below-file", node, f"{found.node.path[:200]!r} above it is a {what}", number)
                    self.hide(found)
                made = Node(_below(entry.node.path, part), MemberKind.DIRECTORY, layer=number)
                found = self.new(made, entry, key, number)
            entry = found
        if below_link:
            text = "a directory above it is a symbolic link: some runtimes follow it, overlayfs puts a directory there"
            self.problem("below-link", node, text, number)
        return entry

    def linked(self, node: Node, number: int) -> Node:
        """A hard link as the file that it is."""
        entry = self.existing(node.link_target)
        found = None if entry is None else entry.node
        if found is None or entry is None or entry.children is not None:
            if not self.some_missing:
                text = f"its target {node.link_target[:200]!r} is {'a directory' if found else 'not there'}"
                self.problem("link-target", node, text, number)
            return node
        if found.kind is not MemberKind.FILE:
            return msgspec.structs.replace(found, path=node.path)
        return msgspec.structs.replace(found, path=node.path, link_target=found.path)
