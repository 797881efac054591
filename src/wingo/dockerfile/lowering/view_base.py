r"""A stage's base as a tree sees it: a `wingo.view` of its layers."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

from wingo.archive.entry import Content
from wingo.archive.unpack import MemberKind
from wingo.dockerfile.lowering.tree import Item, Kind, UnreadBase
from wingo.view.layer import Node
from wingo.view.merged import View
from wingo.windows.paths import Components, path_text
from wingo.windows.sddl import sddl_of_record

_KEPT_BITS = 0x7
"""Read-only, hidden, system."""


class ViewBase:
    """See `wingo.dockerfile.lowering.tree.Base`.

    Attributes:
        known: every layer was read.
    """

    def __init__(self, view: View, content: Callable[[Node], Content] | None = None) -> None:
        """Looks at a view.

        Args:
            view: of a Windows image.
            content: gives a file's bytes; by default each opening goes through the file's layer once.
        """
        self._view = view
        self._content = content or partial(_content, view)
        self.known = view.complete

    def find(self, path: Components) -> Item | None:
        """What is at a path; a link at its end is not followed."""
        if not path:
            return Item((), Kind.DIRECTORY, in_base=True)
        node = self._view.find(path_text(path), follow=False)
        return None if node is None else self._item(node)

    def children(self, path: Components) -> Sequence[Item]:
        """What is directly in a directory."""
        found = (self._item(node) for node in self._view.children(path_text(path)))
        return [item for item in found if item is not None]

    def load(self) -> bool:
        """All that there is was read."""
        return False

    def _item(self, node: Node) -> Item | None:
        path = tuple(node.path.split("/")) if node.path else ()
        access = sddl_of_record(node.pax.get("MSWINDOWS.rawsd", ""))
        bits = (node.attributes or 0) & _KEPT_BITS
        if node.kind is MemberKind.DIRECTORY:
            return Item(path, Kind.DIRECTORY, access=access, bits=bits, in_base=True, at=node.mtime)
        if node.kind is MemberKind.SYMLINK:
            directory = bool((node.attributes or 0) & 0x10)
            link = "junction" if node.junction else "symbolic"
            target = node.link_target.replace("/", "\\")
            return Item(path, Kind.LINK, None, access, bits, target, link, directory, in_base=True, at=node.mtime)
        if node.kind is MemberKind.FILE:
            return Item(path, Kind.FILE, self._content(node), access, bits, in_base=True, at=node.mtime)
        return None


def _content(view: View, node: Node) -> Content:
    def opened() -> io.BytesIO:
        return io.BytesIO(view.read(node, node.size))

    return Content(node.size, opened, f"C:\\{node.path}".replace("/", "\\"), node.digest)


class LazyBase:
    """A base whose layers are read when somebody asks for what no Windows is sure to have."""

    def __init__(self, open_view: Callable[[], View], content: Callable[[Node], Content] | None = None) -> None:
        """Reads nothing yet.

        Args:
            open_view: reads the layers' listings; called once at most.
            content: as for `ViewBase`.
        """
        self._open, self._content = open_view, content
        self._base: ViewBase | UnreadBase = UnreadBase()

    @property
    def known(self) -> bool:
        """Whether the layers were read."""
        return self._base.known

    def find(self, path: Components) -> Item | None:
        """See `wingo.dockerfile.lowering.tree.Base`."""
        return self._base.find(path)

    def children(self, path: Components) -> Sequence[Item]:
        """See `wingo.dockerfile.lowering.tree.Base`."""
        return self._base.children(path)

    def load(self) -> bool:
        """Reads the layers' listings."""
        if isinstance(self._base, ViewBase):
            return False
        self._base = ViewBase(self._open(), self._content)
        return True
