"""What a Windows program wrote under Wine, as a layer in Windows' dialect: drive C: alone, spelt as the image spells it.

A directory that the image has keeps the descriptor that the image gives it; what is new takes after its directory, as on
NTFS. Changes of Wine's registry and of its own files are no part of the image, and neither is what was removed of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.archive.entry import Entry, EntryKind, LayerRecipe
from wingo.archive.unpack import MemberKind
from wingo.launch.wine.drive import DRIVE, image_path
from wingo.windows.layer import plan_layer
from wingo.windows.paths import path_text
from wingo.windows.requests import (
    UNSAID,
    Attributes,
    LayerRequest,
    Whiteout,
    WindowsDirectory,
    WindowsFile,
    WindowsSymlink,
)
from wingo.windows.sddl import sddl_of_record

if TYPE_CHECKING:
    from wingo.view.layer import Node
    from wingo.view.merged import View

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_KEPT_BITS = 0x7
"""Read-only, hidden, system."""


def plan_windows_capture(
    entries: Sequence[Entry], view: View, name: str, epoch: int
) -> tuple[LayerRecipe, tuple[str, ...]]:
    """The layer's recipe, and what could not be taken over.

    Args:
        entries: of the writable layer, as `wingo.launch.capture` gives them.
        view: the image's files, as far as its layers are at hand.
        name: of the container.
        epoch: the time of everything in the layer.

    Raises:
        RequestError: something that no Windows layer can have.
    """
    captured = _Captured(view, f"the container {name}")
    for entry in entries:
        if entry.name.startswith(f"{DRIVE}/"):
            captured.add(entry, entry.name[len(DRIVE) + 1 :], entries)
    planned = plan_layer(
        captured.requests.values(), epoch=epoch, created_by=f"wingo commit {name}", comment="what a container wrote"
    )
    return planned.recipe, (*captured.notes, *planned.notes)


class _Captured:
    def __init__(self, view: View, source: str) -> None:
        self.view = view
        self.source = source
        self.requests: dict[str, LayerRequest] = {}
        self.notes: list[str] = []

    def add(self, entry: Entry, path: str, entries: Sequence[Entry]) -> None:
        above, _, last = path.rpartition("/")
        if last == _OPAQUE:
            self.empty(above, entries)
        elif last.startswith(_WHITEOUT):
            self.remove(f"{above}/{last[len(_WHITEOUT) :]}".lstrip("/"))
        else:
            spelt = self.spelt(path)
            self.keep_above(spelt)
            request = self.request(entry, path, spelt, entries)
            if request is not None:
                self.requests[spelt] = request

    def spelt(self, path: str) -> str:
        """A path as the image spells what it has of it, and Windows the rest."""
        done = ""
        for part in image_path(path.split("/")).split("/"):
            below = f"{done}/{part}" if done else part
            node = self.view.find(below, follow=False)
            done = node.path if node is not None else below
        return done

    def keep_above(self, path: str) -> None:
        """The image's own directories on the way are described as the image describes them."""
        while path := path.rpartition("/")[0]:
            node = self.view.find(path, follow=False)
            if (
                path not in self.requests
                and node is not None
                and not node.implied
                and node.kind is MemberKind.DIRECTORY
            ):
                self.requests[path] = WindowsDirectory(
                    path=_text(path), attributes=_attributes(node), source=self.source
                )

    def request(self, entry: Entry, path: str, spelt: str, entries: Sequence[Entry]) -> LayerRequest | None:
        node = self.view.find(spelt, follow=False)
        attributes = _attributes(node) if node is not None else UNSAID
        if entry.kind is EntryKind.DIRECTORY:
            return WindowsDirectory(path=_text(spelt), attributes=attributes, source=self.source)
        if entry.kind is EntryKind.SYMLINK:
            return self.link(entry, path, spelt)
        content = entry.content
        if entry.kind is EntryKind.HARDLINK:
            content = next((other.content for other in entries if other.name == entry.link_target), None)
        if content is None:
            self.notes.append(f"{_text(spelt)} is left out: it is another name of a file that is not on drive C:")
            return None
        return WindowsFile(path=_text(spelt), content=content, attributes=attributes, source=self.source)

    def link(self, entry: Entry, path: str, spelt: str) -> LayerRequest | None:
        leads = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link_target))
        if entry.link_target.startswith("/") or leads.split("/")[0] == "..":
            self.notes.append(f"the link {_text(spelt)} is left out: it leads out of drive C:")
            return None
        node = self.view.find(self.spelt(leads))
        there = self.requests.get(self.spelt(leads))
        directory = isinstance(there, WindowsDirectory) or (node is not None and node.kind is MemberKind.DIRECTORY)
        target = entry.link_target.replace("/", "\\")
        return WindowsSymlink(path=_text(spelt), target=target, directory=directory, source=self.source)

    def remove(self, path: str) -> None:
        spelt = self.spelt(path)
        if self.view.find(spelt, follow=False) is None:
            self.notes.append(
                f"{_text(spelt)} was removed, and is not in the image's own layers: nothing is said of it"
            )
            return
        self.keep_above(spelt)
        self.requests[spelt] = Whiteout(path=_text(spelt), source=self.source)

    def empty(self, path: str, entries: Sequence[Entry]) -> None:
        """A directory that was replaced: what the image has in it goes one by one, as Windows has no opaque ones."""
        written = {entry.name for entry in entries}
        for node in self.view.children(self.spelt(path)):
            if f"{DRIVE}/{path}/{node.name}" not in written:
                self.remove(f"{path}/{node.name}")


def _text(path: str) -> str:
    return path_text(tuple(path.split("/")))


def _attributes(node: Node) -> Attributes:
    return Attributes(sddl_of_record(node.pax.get("MSWINDOWS.rawsd", "")), (node.attributes or 0) & _KEPT_BITS)
