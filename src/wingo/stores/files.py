"""`FileTree`: the files of an image's layers as they would lie in a container, in a directory (`files:DIR`).

Whiteouts are applied (image-spec `layer.md`), links are written as links and never followed on the disk: every name is
resolved in memory, below the tree's own root. Owners, set-id bits, devices, extended attributes and security
descriptors do not travel. Of a Windows layer the tree is what is below `Files/`; the registry's hives are left out.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from wingo.archive.unpack import DEFAULT_LIMITS, Limits, Member, MemberKind, open_tar, read_tar, safe_components
from wingo.errors import HostError, Malformed, RequestError
from wingo.image.model import Image, Index, Layer, images_of
from wingo.image.progress import NO_PROGRESS, Progress
from wingo.oci.wire import encode
from wingo.stores.blobs import host_errors, make_directory
from wingo.stores.reading import is_runnable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from wingo.oci.descriptor import Descriptor
    from wingo.oci.digest import Digest

MARKER = ".wingo-files.json"
"""Stands in every directory that was written here, and says of what; only such a directory is replaced."""
MAX_DEPTH = 1000
"""Directories in directories."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 40
_COPY_SIZE = 1 << 20
_FORBIDDEN_ON_WINDOWS = frozenset('\\:*?"<>|')


class FileTree:
    """A directory that gets the files of an image; it can be written only."""

    def __init__(self, directory: str, *, progress: Progress = NO_PROGRESS, limits: Limits = DEFAULT_LIMITS) -> None:
        """Takes a place.

        Args:
            directory: may be missing, empty, or one that was written here before, which is replaced.
            progress: is told of the layers, and of what was left out.
            limits: of every layer.
        """
        self.directory = directory
        self._progress = progress
        self._limits = limits

    def write(
        self, artifact: Image | Index, tags: Sequence[str] = (), *, leave_out: Collection[Digest] = ()
    ) -> Descriptor:
        """Writes the tree of an image; of several, one directory each, named for the platform.

        Args:
            artifact: attestations and other artifacts that are no images are passed over.
            tags: are noted in the marker.
            leave_out: layers, by digest, that are not unpacked: those of the base, mostly.

        Returns:
            The descriptor of the image or index.

        Raises:
            RequestError: the directory has something else in it, or there is no image.
            HostError: it cannot be written; what was there before is as it was.
            ContentError: a layer is damaged, or tries to write outside of the tree.
        """
        images = list({image.digest: image for image in images_of(artifact) if is_runnable(image)}.values())
        if not images:
            raise RequestError(f"there is no image in {artifact.digest}")
        target = os.path.realpath(self.directory)
        self._check_replaceable(target)
        parent = os.path.dirname(target)
        make_directory(parent)
        temporary = os.path.join(parent, f".{os.path.basename(target)}.wingo-{os.getpid()}-{os.urandom(8).hex()}")
        with host_errors("write", self.directory):
            os.mkdir(temporary, 0o700)
        try:
            with host_errors("write", self.directory):
                for image in images:
                    folder = temporary if len(images) == 1 else os.path.join(temporary, folder_name(image))
                    self._unpack(image, folder, leave_out)
                with open(os.path.join(temporary, MARKER), "wb") as marker:
                    marker.write(encode({"digest": artifact.digest, "tags": list(tags)}) + b"\n")
                os.chmod(marker.name, 0o644)
                os.chmod(temporary, 0o755)  # noqa: S103  (an output for whoever may reach it)
                _replace(temporary, target)
        except BaseException:
            _remove_tree(temporary)
            raise
        return artifact.descriptor

    def _check_replaceable(self, target: str) -> None:
        with host_errors("read", self.directory):
            try:
                found = os.listdir(target)
            except FileNotFoundError:
                return
            except NotADirectoryError as error:
                raise RequestError(f"{self.directory} is a file, and a directory is to be written") from error
        if found and MARKER not in found:
            raise RequestError(
                f"the directory {self.directory} is not empty, and wingo did not write it",
                hint="Choose another, or remove it first.",
            )

    def _unpack(self, image: Image, folder: str, leave_out: Collection[Digest]) -> None:
        os.makedirs(folder, exist_ok=True)
        tree = _Tree(folder, windows=image.platform.os == "windows")
        for number, layer in enumerate(image.layers):
            if layer.descriptor.digest not in leave_out:
                task = self._progress.start(f"unpacking {layer.descriptor.digest[:19]}")
                tree.apply(layer, number, self._limits)
                task.done()
        tree.finish()
        for note in tree.notes():
            self._progress.note(f"{self.directory}: {note}")


def folder_name(image: Image) -> str:
    """The directory of one image among several: `windows-amd64-10.0.20348.2849`.

    Raises:
        Malformed: the platform has characters that no file name should have.
    """
    platform = image.platform
    name = "-".join(
        part for part in (platform.os, platform.architecture, platform.variant, platform.os_version) if part
    )
    if not name.replace("-", "").replace(".", "").replace("_", "").isalnum() or name.startswith("."):
        raise Malformed("config", f"{name[:80]!r} is no platform")
    return name


class _Node:
    """Something in the tree.

    Attributes:
        spelling: its name on the disk.
        layer: the number of the layer that brought it last.
        children: of a directory; None for everything else.
        link: a symbolic link's target, with forward slashes; None for everything else.
    """

    __slots__ = ("children", "layer", "link", "mode", "mtime", "parent", "spelling")

    def __init__(self, spelling: str, parent: _Node | None, layer: int) -> None:
        self.spelling = spelling
        self.parent = parent
        self.layer = layer
        self.children: dict[str, _Node] | None = None
        self.link: str | None = None
        self.mode = 0o755
        self.mtime: int | None = None


class _Tree:
    """The tree on the disk and its picture in memory, which alone is asked where a name leads."""

    def __init__(self, folder: str, *, windows: bool) -> None:
        self._folder = folder
        self._windows = windows
        self._root = _Node("", None, -1)
        self._root.children = {}
        self._skipped: dict[str, int] = {}

    def apply(self, layer: Layer, number: int, limits: Limits) -> None:
        with open_tar(layer, limits) as tar:
            for member, content in read_tar(tar, limits):
                parts = self._parts(member.name)
                if parts is None:
                    # The empty directories that every layer has are not worth a word.
                    if member.kind is not MemberKind.DIRECTORY:
                        self._skip("files outside of Files, the registry's hives among them")
                elif not parts:
                    if member.kind is not MemberKind.DIRECTORY:
                        raise Malformed("tar", "the root is no directory", offset=member.offset)
                elif parts[-1].startswith(_WHITEOUT):
                    self._white_out(parts, number)
                else:
                    self._add(parts, member, content, number)

    def finish(self) -> None:
        """Gives the directories their modes and times, which writing into them would have changed."""
        for node, path in self._directories(self._root, self._folder):
            os.chmod(path, node.mode | 0o700)
            if node.mtime is not None:
                os.utime(path, (node.mtime, node.mtime))

    def notes(self) -> Iterator[str]:
        for what, count in sorted(self._skipped.items()):
            yield f"left out: {what} ({count})"

    def _directories(self, node: _Node, path: str) -> Iterator[tuple[_Node, str]]:
        """Every directory, those inside before those that they are in."""
        for child in (node.children or {}).values():
            if child.children is not None:
                yield from self._directories(child, os.path.join(path, child.spelling))
        yield node, path

    def _skip(self, what: str) -> None:
        self._skipped[what] = self._skipped.get(what, 0) + 1

    def _parts(self, name: str) -> tuple[str, ...] | None:
        parts = safe_components(name)
        if len(parts) > MAX_DEPTH:
            raise Malformed("tar", f"a path with {len(parts)} components")
        if not self._windows:
            return parts
        return parts[1:] if parts[:1] == ("Files",) else None

    def _key(self, name: str) -> str:
        return name.upper() if self._windows else name

    def _path(self, node: _Node) -> str:
        names: list[str] = []
        at: _Node | None = node
        while at is not None and at.parent is not None:
            names.append(at.spelling)
            at = at.parent
        return os.path.join(self._folder, *reversed(names))

    def _directory(self, parts: Sequence[str], number: int) -> _Node:
        """The directory that the parts lead to, links on the way followed inside the tree; made where missing."""
        node, pending, links = self._root, list(reversed(parts)), 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                node = node.parent or self._root
                continue
            found = self._children(node).get(self._key(part))
            if found is None:
                found = self._new(node, part, number)
                os.mkdir(self._path(found), 0o700)
                found.children = {}
            if found.link is not None:
                links += 1
                if links > _MAX_LINKS:
                    raise Malformed("tar", f"too many links on the way to {'/'.join(parts)[:200]!r}")
                if found.link.startswith("/"):
                    node = self._root
                pending.extend(reversed(found.link.split("/")))
            elif found.children is None:
                raise Malformed("tar", f"{'/'.join(parts)[:200]!r} is below something that is no directory")
            else:
                node = found
        return node

    def _children(self, node: _Node) -> dict[str, _Node]:
        if node.children is None:
            raise AssertionError(node.spelling)
        return node.children

    def _new(self, parent: _Node, name: str, number: int) -> _Node:
        if sys.platform == "win32" and not _FORBIDDEN_ON_WINDOWS.isdisjoint(name):
            raise HostError(f"this machine can have no file called {name!r}", hint="Write the tree on Linux.")
        node = _Node(name, parent, number)
        self._children(parent)[self._key(name)] = node
        return node

    def _white_out(self, parts: Sequence[str], number: int) -> None:
        *above, name = parts
        directory = self._existing(above)
        if directory is None or directory.children is None:
            return
        if name == _OPAQUE:
            for child in list(directory.children.values()):
                self._remove(child, number)
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in ("", ".", ".."):
            raise Malformed("tar", f"the whiteout {'/'.join(parts)[:200]!r} removes nothing that has a name")
        child_there = directory.children.get(self._key(hidden))
        if child_there is not None:
            self._remove(child_there, number)

    def _existing(self, parts: Sequence[str]) -> _Node | None:
        """The node at a path, no link followed; None when there is none."""
        node = self._root
        for part in parts:
            found = node.children.get(self._key(part)) if node.children is not None else None
            if found is None:
                return None
            node = found
        return node

    def _remove(self, node: _Node, number: int) -> bool:
        """Removes what lower layers than this one brought; whether all of it has gone."""
        if node.children is not None:
            gone = [self._remove(child, number) for child in list(node.children.values())]
            if not all(gone) or node.layer >= number:
                return False
            os.rmdir(self._path(node))
        else:
            if node.layer >= number:
                return False
            os.unlink(self._path(node))
        parent = node.parent
        if parent is not None and parent.children is not None:
            del parent.children[self._key(node.spelling)]
        return True

    def _add(self, parts: Sequence[str], member: Member, content: BinaryIO, number: int) -> None:
        if member.kind is MemberKind.OTHER:
            self._skip("devices, pipes and sockets")
            return
        *above, name = parts
        if self._windows and ":" in name:
            self._skip("alternate data streams")
            return
        source = self._link_source(member) if member.kind is MemberKind.HARDLINK else None
        directory = self._directory(above, number)
        there = self._children(directory).get(self._key(name))
        if there is not None:
            if self._windows and there.layer == number and there.spelling != name:
                raise Malformed("tar", f"{there.spelling!r} and {name!r} are the same to Windows", offset=member.offset)
            if there is source:
                return
            if there.children is not None and member.kind is MemberKind.DIRECTORY:
                there.layer, there.mode, there.mtime = number, member.mode & 0o777, member.mtime
                return
            # Of this layer too: of two entries for one name the later one counts.
            self._remove(there, number + 1)
        node = self._new(directory, name, number)
        node.mode, node.mtime = member.mode & 0o777, max(member.mtime, 0)
        try:
            self._write(node, member, content, source)
        except FileExistsError as error:
            raise HostError(
                f"the disk of {self._folder} does not tell {'/'.join(parts)[:200]!r} from another name in the image",
                hint="Write the tree on a file system that tells capital letters from small ones.",
            ) from error

    def _link_source(self, member: Member) -> _Node:
        parts = self._parts(member.link_target)
        source = self._existing(parts) if parts else None
        if source is None or source.children is not None:
            raise Malformed(
                "tar",
                f"{member.name[:200]!r} is a hard link to {member.link_target[:200]!r}, which is no file of the tree",
                offset=member.offset,
                hint="Its target may be in a layer that is left out: unpack the whole image.",
            )
        return source

    def _write(self, node: _Node, member: Member, content: BinaryIO, source: _Node | None) -> None:
        path = self._path(node)
        if member.kind is MemberKind.DIRECTORY:
            os.mkdir(path, 0o700)
            node.children = {}
        elif member.kind is MemberKind.SYMLINK:
            node.link, text = self._link_texts(node, member.link_target)
            os.symlink(text, path)
        elif source is not None:
            node.link = source.link
            try:
                os.link(self._path(source), path, follow_symlinks=False)
            except (OSError, NotImplementedError):
                if os.path.lexists(path):
                    raise
                shutil.copy2(self._path(source), path, follow_symlinks=False)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
                shutil.copyfileobj(content, file, _COPY_SIZE)
            os.chmod(path, node.mode)
            os.utime(path, (node.mtime or 0, node.mtime or 0))

    def _link_texts(self, node: _Node, target: str) -> tuple[str, str]:
        r"""Where a link leads in the tree, and the text that is written; Windows' `C:\a` becomes relative."""
        if not target or len(target) > 4096:
            raise Malformed("tar", f"the link {node.spelling!r} leads to {target[:80]!r}")
        if not self._windows:
            return target, target
        text = target.replace("\\", "/").removeprefix("/??/").removeprefix("//?/")
        if text[1:3] == ":/":
            depth = -1
            at: _Node | None = node.parent
            while at is not None:
                depth, at = depth + 1, at.parent
            return text[2:], "../" * depth + text[3:] or "."
        return text, text


def _replace(new: str, target: str) -> None:
    """Renames a directory into the place of another, which is only removed when that has worked."""
    old = new + ".old"
    try:
        os.rename(target, old)
    except FileNotFoundError:
        old = ""
    try:
        os.rename(new, target)
    except OSError:
        if old:
            os.rename(old, target)
        raise
    if old:
        _remove_tree(old)


def _remove_tree(path: str) -> None:
    """Removes a directory as far as that goes, those that may not be read or written included."""

    def retry(function: object, path: str, _error: object) -> None:
        with suppress(OSError):
            parent = os.path.dirname(path)
            os.chmod(parent, stat.S_IMODE(os.lstat(parent).st_mode) | 0o700)
            os.rmdir(path) if function is os.rmdir else os.unlink(path)

    with suppress(OSError):
        shutil.rmtree(path, onerror=retry)
