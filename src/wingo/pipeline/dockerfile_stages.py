"""Stages while they are built: what each kind of stage keeps its files in, and what a step adds to it.

- a toolchain stage that only compiles: files in memory, a directory for `go` to run over (`ToolchainStage`);
- a Linux stage: a base and layers on it, looked at through their merged view (`LinuxStage`);
- a Windows stage: `wingo.dockerfile.lowering`'s state (`wingo.pipeline.dockerfile_windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

import msgspec

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.unpack import MemberKind
from wingo.dockerfile.source import At, DockerfileError
from wingo.dockerfile.steps import MakeDirectory
from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.model import Image, Layer
from wingo.launch.users import find_account
from wingo.oci.config import History
from wingo.oci.platform import Platform
from wingo.pipeline.assemble import rfc3339
from wingo.pipeline.dockerfile_copy import Placed
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, LINK, Found, Tree, follow
from wingo.pipeline.dockerfile_memory import MemoryTree
from wingo.pipeline.viewing import layer_files
from wingo.view.merged import View, make_view

if TYPE_CHECKING:
    from wingo.pipeline.places import Places
    from wingo.view.layer import LayerFiles, Node

_KINDS = {
    MemberKind.FILE: FILE,
    MemberKind.DIRECTORY: DIRECTORY,
    MemberKind.SYMLINK: LINK,
}
_ENTRY_KINDS = {FILE: EntryKind.FILE, DIRECTORY: EntryKind.DIRECTORY, LINK: EntryKind.SYMLINK}
_MAX_ACCOUNTS = 4 << 20


class BuiltStage(Protocol):
    """A stage whose files can be copied from."""

    def tree(self) -> Tree:
        """Its files, to copy from."""

    def is_directory(self, path: str) -> bool:
        """Whether a path is, or leads to, a directory."""

    def put(self, placed: Sequence[Placed], chown: str, mode: int | None, at: At, created_by: str) -> bool:
        """Takes in what a COPY brings; whether anything changed."""

    def make_directory(self, action: MakeDirectory, at: At, created_by: str) -> bool:
        """Makes the directory of a WORKDIR; whether anything changed."""

    def comment(self, text: str) -> None:
        """Says something of the last layer, in its line of history."""


class ToolchainStage:
    """A stage that only compiles; nobody stands on it."""

    def __init__(self, files: MemoryTree | None = None) -> None:
        self.files = files or MemoryTree()

    def tree(self) -> Tree:
        """Its files."""
        return self.files

    def is_directory(self, path: str) -> bool:
        """Whether a path is a directory."""
        found = follow(self.files, path)
        return found is not None and found.kind == DIRECTORY

    def put(self, placed: Sequence[Placed], chown: str, mode: int | None, at: At, created_by: str) -> bool:
        """Takes in what a COPY brings; owners mean nothing here."""
        del chown, at, created_by
        for item in placed:
            path = self._real(item.path)
            if item.made and self.is_directory(path):
                continue
            found = (
                item.found
                if mode is None or item.found.kind == LINK
                else msgspec.structs.replace(item.found, mode=mode)
            )
            self.files.put(path, found)
        return bool(placed)

    def _real(self, path: str) -> str:
        """A path with the links of its directories followed, as far as they are there."""
        folder, slash, name = path.rpartition("/")
        done = ""
        for part in folder.split("/") if slash else ():
            candidate = f"{done}/{part}" if done else part
            there = follow(self.files, candidate)
            done = there.path if there is not None and there.kind == DIRECTORY else candidate
        return f"{done}/{name}" if done else name

    def comment(self, text: str) -> None:
        """It has no history."""

    def make_directory(self, action: MakeDirectory, at: At, created_by: str) -> bool:
        """Makes a directory."""
        del at, created_by
        path = self._real(action.path.replace("\\", "/").removeprefix("C:").strip("/"))
        if path and not self.is_directory(path):
            self.files.put(path, Found(path, DIRECTORY, 0o755))
        return True


def commented(added: AddedLayer, text: str) -> AddedLayer:
    """A layer with a comment in its line of history."""
    return msgspec.structs.replace(added, history=msgspec.structs.replace(added.history, comment=text))


class ViewTree:
    """An image's merged files as a tree to copy from."""

    def __init__(self, view: View) -> None:
        self._view = view

    def find(self, path: str) -> Found | None:
        """What is at a path."""
        if not path:
            return Found("", DIRECTORY, 0o755)
        node = self._view.find(path, follow=False)
        return None if node is None else self._found(node)

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""
        return [found for node in self._view.children(path) if (found := self._found(node)) is not None]

    def _found(self, node: Node) -> Found | None:
        kind = FILE if node.kind is MemberKind.HARDLINK else _KINDS.get(node.kind)
        if kind is None:
            return None  # a device or a pipe
        content = None
        if kind == FILE:
            content = Content(node.size, lambda: _NodeStream(self._view, node), f"/{node.path}", node.digest)
        pax = tuple((key, value) for key, value in node.pax.items() if key.startswith("SCHILY.xattr."))
        return Found(
            node.path, kind, node.mode, node.uid, node.gid, content, node.link_target if kind == LINK else "", pax
        )


def _NodeStream(view: View, node: Node) -> BinaryIO:  # noqa: N802  (it stands for a stream)
    from io import BytesIO

    for _, stream in view.open_each([node]):
        return BytesIO(stream.read())
    raise AssertionError(node.path)


class LinuxStage:
    """A base, and layers on it.

    Attributes:
        base: None: nothing is below.
        added: the layers above it, with their lines of history.
        layers: all of them, lowest first.
    """

    def __init__(self, base: Image | None, platform: Platform, places: Places, epoch: int, threads: int) -> None:
        self.base, self.platform, self.places = base, platform, places
        self.epoch, self.threads = epoch, threads
        self.added: list[AddedLayer] = []
        self._files: list[LayerFiles] = []
        self._view: View | None = None
        self._resolved: dict[str, tuple[str, bool]] = {"": ("", True)}
        """What paths of the view really are, and whether directories are there."""

    def fork(self) -> LinuxStage:
        """Another one, for a stage that stands on this one."""
        other = LinuxStage(self.base, self.platform, self.places, self.epoch, self.threads)
        other.added, other._files, other._view = list(self.added), list(self._files), self._view
        return other

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, lowest first."""
        below = self.base.layers if self.base is not None else ()
        return (*below, *(item.layer for item in self.added))

    def image(self) -> Image:
        """The image as it is now, without the stage's config."""
        patch = ConfigPatch(os=self.platform.os, architecture=self.platform.architecture, variant=self.platform.variant)
        return derive(self.base, self.added, patch if self.base is None else ConfigPatch())

    def view(self) -> View:
        """The merged files."""
        if self._view is None:
            image = self.image()
            while len(self._files) < len(image.layers):
                files = layer_files(image, len(self._files), self.places, fetch=True)
                assert files is not None
                self._files.append(files)
            self._view = make_view(image, self._files)
            self._resolved = {"": ("", True)}
        return self._view

    def tree(self) -> Tree:
        """Its files."""
        return ViewTree(self.view())

    def is_directory(self, path: str) -> bool:
        """Whether a path is, or leads to, a directory."""
        node = self.view().find(path)
        return node is not None and node.kind is MemberKind.DIRECTORY

    def add(self, entries: Sequence[Entry], created_by: str) -> bool:
        """A layer of entries on top; none when there are none."""
        if not entries:
            return False
        recipe = LayerRecipe(tuple(entries), self.epoch, created_by)
        self.add_layer(self.places.cache.pack(recipe, threads=self.threads), created_by)
        return True

    def add_layer(self, layer: Layer, created_by: str) -> None:
        """A layer on top."""
        self.added.append(AddedLayer(layer, History(created=rfc3339(self.epoch), created_by=created_by)))
        self._view = None

    def comment(self, text: str) -> None:
        """Says something of the last layer."""
        self.added[-1] = commented(self.added[-1], text)

    def put(self, placed: Sequence[Placed], chown: str, mode: int | None, at: At, created_by: str) -> bool:
        """Takes in what a COPY brings, as a layer."""
        owner = self._owner(chown, at) if chown else None
        entries: dict[str, Entry] = {}
        for item in placed:
            path = self._real(item.path)
            if item.made and (path in entries or self.is_directory(path)):
                continue
            there = self.view().find(path, follow=False)
            if item.made and there is not None:
                raise DockerfileError(at, f"/{path} is no directory, and something is to be copied into it")
            if there is not None and there.kind is MemberKind.DIRECTORY and item.found.kind != DIRECTORY:
                raise DockerfileError(at, f"/{path} is a directory, and a file is to be copied there")
            uid, gid = owner or (item.found.uid, item.found.gid)
            bits = item.found.mode if mode is None or item.found.kind == LINK else mode
            entries[path] = Entry(
                path,
                _ENTRY_KINDS[item.found.kind],
                bits,
                uid,
                gid,
                item.found.content,
                item.found.target,
                item.found.pax,
            )
        return self.add([entries[path] for path in sorted(entries, key=lambda text: text.split("/"))], created_by)

    def make_directory(self, action: MakeDirectory, at: At, created_by: str) -> bool:
        """Makes the directory of a WORKDIR, for the stage's user."""
        path = self._real(action.path.strip("/"))
        if not path or self.is_directory(path):
            return False
        uid, gid = self._owner(action.user, at) if action.user else (0, 0)
        parts = path.split("/")
        entries = []
        for length in range(1, len(parts) + 1):
            above = "/".join(parts[:length])
            if not self.is_directory(above):
                entries.append(Entry(above, EntryKind.DIRECTORY, 0o755, uid, gid))
        return self.add(entries, created_by)

    def _real(self, path: str) -> str:
        """A path with the links of its directories resolved; what is not there yet stays as it is."""
        view, known = self.view(), self._resolved
        above, left = path, []
        while above not in known:
            left.append(above)
            above = above.rpartition("/")[0]
        for here in reversed(left):
            folder, _, name = here.rpartition("/")
            real, there = known[folder]
            candidate = f"{real}/{name}" if real else name
            node = view.find(candidate) if there else None
            is_directory = node is not None and node.kind is MemberKind.DIRECTORY
            known[here] = (node.path if node is not None and is_directory else candidate, is_directory)
        return known[path][0]

    def _owner(self, text: str, at: At) -> tuple[int, int]:
        passwd, group = (self._read(f"etc/{name}") for name in ("passwd", "group"))
        try:
            account = find_account(text, passwd, group)
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        # As BuildKit: a number alone is the group's number too.
        if ":" not in text and text.isascii() and text.isdecimal():
            return account.uid, account.uid
        return account.uid, account.gid

    def _read(self, path: str) -> str:
        node = self.view().find(path)
        if node is None or node.kind not in (MemberKind.FILE, MemberKind.HARDLINK):
            return ""
        return self.view().read(node, _MAX_ACCOUNTS).decode("utf-8", "replace")
