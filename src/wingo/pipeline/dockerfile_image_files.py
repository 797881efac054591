r"""Single files of large Windows images: `COPY --from=…/servercore … C:\Windows\System32\netapi32.dll`.

The layers are gone through from the top down, and no further than the one that has the file: each is read to its end, because
only then its digest is known to be right, and its listing is remembered. A hard link's content is taken in the same pass (its
other name, below WinSxS, ends the same), and so is everything else that the build wants of the image. Another file of a layer
whose listing is remembered is read up to its end and no further: the listing has its digest. Files are kept in the cache.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.archive.unpack import Member, MemberKind
from wingo.hive.upcase import upcase
from wingo.oci.digest import Digest
from wingo.pipeline.dockerfile_downloads import cached_content, keep_in_cache
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, Found, Tree
from wingo.pipeline.dockerfile_stages import ViewTree
from wingo.pipeline.viewing import layer_files, remembered_files, view_of
from wingo.view.content import open_each
from wingo.view.layer import LayerFiles, Node

if TYPE_CHECKING:
    from wingo.archive.entry import Content
    from wingo.image.model import Image
    from wingo.pipeline.places import Places

_KIND = "image-files"
_SYSTEM = frozenset({"WINDOWS", "WINDOWS/SYSTEM32"})
"""Directories that are in every Windows image, and are no links."""
_MAX_FILE = 256 << 20
_MAX_HOPS = 8


class _Kept(msgspec.Struct, frozen=True):
    """A file as the cache remembers it; an empty digest: there is none."""

    digest: str
    size: int


def image_tree(image: Image, places: Places, wanted: Iterable[str] = ()) -> Tree:
    """An image's files, to copy from.

    Args:
        image: with its layers' openers.
        places: its cache keeps what was read.
        wanted: the paths that will be asked for, as far as they are known: they are taken in the same pass.
    """
    if image.config.os == "windows":
        return ImageFiles(image, places, wanted)
    return ViewTree(view_of(image, places, base_layers=True))


class ImageFiles:
    """A Windows image's files; those directly in Windows and System32 without reading more layers than needed."""

    def __init__(self, image: Image, places: Places, wanted: Iterable[str] = ()) -> None:
        self._image, self._places = image, places
        self._names = {upcase(path.rpartition("/")[2]) for path in wanted}
        self._passed: dict[int, dict[str, Content]] = {}
        self._whole: ViewTree | None = None

    def find(self, path: str) -> Found | None:
        """What is at a path."""
        folded = upcase(path)
        if self._whole is None and folded in _SYSTEM:
            return Found(path, DIRECTORY, 0o755)
        if self._whole is None and folded.rpartition("/")[0] in _SYSTEM:
            known, found = self._single(path)
            if known:
                return found
        return self._tree().find(path)

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""
        return self._tree().children(path)

    def _tree(self) -> ViewTree:
        if self._whole is None:
            self._whole = ViewTree(view_of(self._image, self._places, base_layers=True))
        return self._whole

    def _single(self, path: str) -> tuple[bool, Found | None]:
        """A file, and whether it is known without the whole view what is at its path."""
        key = hashlib.sha256("\0".join((upcase(path), *(layer.diff_id for layer in self._image.layers))).encode())
        name = key.hexdigest()
        kept = self._remembered(name)
        if kept is None:
            content = self._search(path)
            if content is None:
                return False, None
            kept = _Kept(content.digest, content.size)
            self._places.cache.keep_record(_KIND, name, msgspec.json.encode(kept))
        content = cached_content(self._places, kept.digest, kept.size, f"/{path}")
        return True, Found(path, FILE, 0o644, content=content)

    def _remembered(self, name: str) -> _Kept | None:
        data = self._places.cache.record(_KIND, name)
        if data is None:
            return None
        try:
            kept = msgspec.json.decode(data, type=_Kept)
        except msgspec.DecodeError:
            self._places.cache.forget_record(_KIND, name)
            return None
        return kept if self._places.cache.blobs.has(Digest(kept.digest), kept.size) else None

    def _search(self, path: str, below: int | None = None, hops: int = 0) -> Content | None:
        """A file in the cache; None: it is no file, or not there, and the whole view says more."""
        wanted = upcase(path)
        for number in range(len(self._image.layers) if below is None else below, 0, -1):
            files = self._read(number - 1, wanted.rpartition("/")[2])
            passed = self._passed.get(number - 1, {})
            if _removes(files, wanted):
                return None
            node = _last(files, wanted)
            if node is None:
                continue
            if node.kind is MemberKind.FILE:
                return self._content(node, passed)
            if node.kind is not MemberKind.HARDLINK or hops > _MAX_HOPS:
                return None
            target = _last(files, upcase(node.link_target))
            if target is not None and target.kind is MemberKind.FILE:
                return self._content(target, passed)
            return self._search(node.link_target, number if target is not None else number - 1, hops + 1)
        return None

    def _read(self, number: int, name: str) -> LayerFiles:
        """A layer's listing; when it has to be read for that, what is wanted of it is taken as it goes by."""
        keep, names = keep_in_cache(self._places), self._names | {name}
        passed: dict[str, Content] = {}

        def watch(member: Member, content: BinaryIO) -> BinaryIO:
            path = member.name.removeprefix("./").removeprefix("Files/")
            last = upcase(path.rpartition("/")[2])
            if member.kind is not MemberKind.FILE or last not in names or member.size > _MAX_FILE:
                return content
            data = content.read()
            passed[path] = keep(io.BytesIO(data), f"/{path}")
            return io.BytesIO(data)

        files = remembered_files(self._image, number, self._places)
        if files is None:
            files = layer_files(self._image, number, self._places, fetch=True, watch=watch)
            # Only now, as the layer's digest has been found right.
            self._passed[number] = passed
        assert files is not None
        return files

    def _content(self, node: Node, passed: Mapping[str, Content]) -> Content | None:
        if node.path in passed:
            return passed[node.path]
        if node.size > _MAX_FILE:
            return None
        keep = keep_in_cache(self._places)
        return next(keep(stream, f"/{node.path}") for _, stream in open_each(self._image, [node]))


def _removes(files: LayerFiles, wanted: str) -> bool:
    """Whether a layer removes a path, or a directory above it."""
    return any(wanted == gone or wanted.startswith(f"{gone}/") for gone in map(upcase, files.whiteouts))


def _last(files: LayerFiles, wanted: str) -> Node | None:
    """What a layer has at a path; the last entry wins."""
    return next((node for node in reversed(files.nodes) if upcase(node.path) == wanted), None)
