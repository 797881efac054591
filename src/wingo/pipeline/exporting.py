r"""`wingo export`: an image's merged files as one tar, in one pass over each layer; nothing is unpacked to disk.

Directories come first, then files in the order in which their bytes lie in the layers, then hard links, then symbolic
ones, so that every entry's parent and every hard link's target stands before it. Of a Windows image the names are those
below `C:\`, links' texts are as they are, and the importer's records (attributes, security) are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from wingo.archive.entry import Content, Entry, EntryKind
from wingo.archive.tar import BLOCK, END, entry_headers
from wingo.archive.unpack import MemberKind
from wingo.errors import RequestError
from wingo.image.progress import NO_PROGRESS, Progress
from wingo.view.layer import Node
from wingo.view.merged import View

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = 1 << 20
_TIMES = frozenset({"mtime"})


def export_tar(view: View, path: str = "", *, progress: Progress = NO_PROGRESS) -> Iterator[bytes]:
    """The tar of a view, in pieces.

    Args:
        view: of the image.
        path: the directory or file that is exported; names are relative to it, as `tar -C` gives them.
        progress: is told of devices and the like, which are left out.

    Raises:
        RequestError: there is nothing at the path, or a name that no tar should have.
        ContentError: a layer is damaged: what was given so far is not to be used.
    """
    directories, files, links = _sorted_out(view, path, progress)
    for node, name in directories:
        yield _headers(Entry(name, EntryKind.DIRECTORY, node.mode, node.uid, node.gid, pax=_records(node)), node)
    names = {(node.layer, node.offset): name for node, name in reversed(files)}
    first = {name: node for node, name in files if names[node.layer, node.offset] == name}
    by_node = {id(node): name for name, node in first.items()}
    for node, stream in view.open_each(first.values()):
        yield from _file(node, by_node[id(node)], stream)
    for node, name in files:
        if name not in first:
            target = names[node.layer, node.offset]
            link = Entry(name, EntryKind.HARDLINK, node.mode, node.uid, node.gid, link_target=target)
            yield _headers(link, node)
    for node, name in links:
        link = Entry(
            name, EntryKind.SYMLINK, node.mode, node.uid, node.gid, link_target=node.link_target, pax=_records(node)
        )
        yield _headers(link, node)
    yield END


_Named = tuple[Node, str]


def _sorted_out(view: View, path: str, progress: Progress) -> tuple[list[_Named], list[_Named], list[_Named]]:
    """Directories, files and symbolic links with their names, each in the order of the tree."""
    top = view.find(path)
    if top is None:
        raise RequestError(f"there is no {path} in the image")
    nodes: Sequence[Node] = list(view.walk(path)) if top.kind is MemberKind.DIRECTORY else [top]
    strip = len(top.path) + 1 if top.kind is MemberKind.DIRECTORY and top.path else 0
    if top.kind is not MemberKind.DIRECTORY:
        strip = len(top.path) - len(top.name)
    found: dict[MemberKind, list[_Named]] = {kind: [] for kind in MemberKind}
    for node in nodes:
        found[node.kind].append((node, node.path[strip:]))
    for kind in (MemberKind.OTHER, MemberKind.HARDLINK):
        if found[kind]:
            what = "devices, pipes and sockets" if kind is MemberKind.OTHER else "hard links to what is not there"
            progress.note(f"left out: {what} ({len(found[kind])})")
    return found[MemberKind.DIRECTORY], found[MemberKind.FILE], found[MemberKind.SYMLINK]


def _records(node: Node) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in node.pax.items() if key not in _TIMES)


def _headers(entry: Entry, node: Node) -> bytes:
    return entry_headers(entry, node.mtime)


def _file(node: Node, name: str, stream: BinaryIO) -> Iterator[bytes]:
    content = Content(node.size, lambda: stream, name)
    yield _headers(Entry(name, EntryKind.FILE, node.mode, node.uid, node.gid, content, pax=_records(node)), node)
    while data := stream.read(_PIECE):
        yield data
    yield bytes(-node.size % BLOCK)
