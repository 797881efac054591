"""COPY and ADD: which files go where, as BuildKit's (`solver/llbsolver/file`, tonistiigi/fsutil `copy`).

A directory's contents are copied, not the directory. A file goes under its own name into a destination that ends with a
slash or is a directory, and else becomes the destination. A pattern that matches nothing copies nothing; a path that is
not there is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.git_sources import parse_git
from wingo.dockerfile.ignore import IgnorePatterns, clean_path, has_wildcards
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import CopyFiles
from wingo.errors import WingoError
from wingo.pipeline.content import MAX_FILES, bytes_content
from wingo.pipeline.dockerfile_files import (
    DIRECTORY,
    FILE,
    LINK,
    SPECIAL,
    Context,
    DirectoryTree,
    Found,
    Tree,
    expand_pattern,
    follow,
    walk,
)


class Placed(msgspec.Struct, frozen=True):
    """One thing to put into a stage.

    Attributes:
        path: in the stage, from its root, with forward slashes.
        found: what it is; its path is the source's.
        made: a directory that is only on the way, or that the destination needs: one that is there stays as it is.
    """

    path: str
    found: Found
    made: bool = False


IsDirectory = Callable[[str], bool]
"""Whether a path of the stage is, or leads to, a directory."""


def place(action: CopyFiles, tree: Tree, is_directory: IsDirectory, at: At, *, from_context: bool) -> list[Placed]:
    """What a COPY puts where, but for ADD's downloads and archives.

    Args:
        action: of the plan.
        tree: where from.
        is_directory: asks the stage.
        at: for messages.
        from_context: owners are root's, not the tree's.

    Raises:
        DockerfileError: a source is not there, or cannot be copied.
    """
    return _Placing(action, tree, is_directory, at, from_context=from_context).run()


def stage_path(path: str) -> str:
    r"""A path of a plan as one from the root: `/a/b` and `C:\a\b` as "a/b"."""
    plain = path[2:] if path[1:2] == ":" else path
    return plain.replace("\\", "/").strip("/") if path[1:2] == ":" else plain.strip("/")


class _Placing:
    def __init__(self, action: CopyFiles, tree: Tree, is_directory: IsDirectory, at: At, *, from_context: bool) -> None:
        self.action, self.tree, self.is_directory, self.at = action, tree, is_directory, at
        self.from_context = from_context
        self.excludes = IgnorePatterns(action.excludes)
        self.windows = action.destination[1:2] == ":"
        self.target = stage_path(action.destination)
        self.into = action.destination.endswith(("/", "\\")) or not self.target
        self.placed: dict[str, Placed] = {}

    def run(self) -> list[Placed]:
        for source in self.action.sources:
            if source.startswith(("http://", "https://")) or (self.action.add and parse_git(source) is not None):
                continue
            try:
                self._source(source)
            except DockerfileError:
                raise
            except WingoError as error:
                raise DockerfileError(self.at, str(error), hint=error.hint) from error
        for document in self.action.documents:
            content = bytes_content(document.text.encode(), f"the heredoc {document.name}")
            self._file(Found(document.name, FILE, 0o644, content=content))
        return list(self.placed.values())

    def _source(self, source: str) -> None:
        text = source.replace("\\", "/") if self.windows else source
        if text[1:2] == ":" and text[:1] in "cC":
            text = text[2:]
        if self.action.parents:
            self._with_parents(text)
            return
        if has_wildcards(text):
            for path in expand_pattern(self.tree, text):
                found = follow(self.tree, path)
                if found is not None:
                    self._place(msgspec.structs.replace(found, path=found.path), path.rpartition("/")[2])
            return
        found = follow(self.tree, text)
        if found is None:
            raise self._missing(text)
        self._place(found, clean_path("/" + text).rpartition("/")[2])

    def _place(self, found: Found, name: str) -> None:
        if found.kind != DIRECTORY:
            self._file(found, name)
            return
        self._directory(self.target, found)
        self._contents(found.path, self.target)

    def _contents(self, folder: str, target: str) -> None:
        prefix = f"{folder}/" if folder else ""
        for item in walk(self.tree, folder):
            below = item.path[len(prefix) :]
            if not self.excludes.ignores(below):
                self._put(f"{target}/{below}" if target else below, item)

    def _file(self, found: Found, name: str = "") -> None:
        called = name or found.name
        if self.excludes.ignores(called):
            return
        target = self.target
        if self.into or self.is_directory(target):
            target = f"{target}/{called}" if target else called
        self._put(target, found)

    def _with_parents(self, text: str) -> None:
        """`--parents`: what stands after `/./` is kept of the path."""
        before, pivot, after = text.partition("/./")
        start = clean_path("/" + before).strip("/") if pivot else ""
        pattern = after if pivot else text
        whole = f"{start}/{clean_path('/' + pattern).strip('/')}".strip("/")
        paths = expand_pattern(self.tree, whole) if has_wildcards(whole) else [whole]
        for path in paths:
            found = follow(self.tree, path)
            if found is None:
                raise self._missing(path)
            below = path[len(start) :].strip("/") if start and path.startswith(start) else path
            target = f"{self.target}/{below}".strip("/")
            if found.kind == DIRECTORY:
                self._directory(target, found)
                self._contents(found.path, target)
            else:
                self._put(target, found)

    def _directory(self, target: str, found: Found) -> None:
        if target and target not in self.placed:
            self._above(target)
            self._add(target, msgspec.structs.replace(found, mode=found.mode if found.path else 0o755), made=True)

    def _put(self, target: str, found: Found) -> None:
        self._above(target)
        self._add(target, found, made=False)

    def _above(self, target: str) -> None:
        parts = target.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            path = "/".join(parts[:length])
            if path not in self.placed:
                self._add(path, Found(path, DIRECTORY, 0o755), made=True)

    def _add(self, path: str, found: Found, *, made: bool) -> None:
        if found.kind == SPECIAL:
            raise DockerfileError(
                self.at,
                f"{printable(found.path)} is a socket, a pipe or a device and cannot be copied",
                hint="Leave it out with a .dockerignore.",
            )
        if self.from_context:
            found = msgspec.structs.replace(found, uid=0, gid=0)
        self.placed[path] = Placed(path, found, made)
        if len(self.placed) > MAX_FILES:
            raise DockerfileError(
                self.at, f"more than {MAX_FILES} files are copied", hint="Leave some out with a .dockerignore."
            )

    def _missing(self, text: str) -> DockerfileError:
        path = clean_path("/" + text).strip("/")
        if isinstance(self.tree, DirectoryTree):
            import os

            where = f"the context {self.tree.root}"
            if not (hint := self._broken_link(path)) and os.path.lexists(os.path.join(self.tree.root, path)):
                what = "its .dockerignore" if isinstance(self.tree, Context) else "an ignore file"
                return DockerfileError(
                    self.at,
                    f"{printable(path)} is left out of {where} by {what}",
                    hint="Take it back in with !PATTERN.",
                )
            if ".." in text.split("/"):
                hint = "A path cannot lead out of the context: '..' stops at its top."
        else:
            where, hint = str(self.action.source), self._broken_link(path)
        folder, _, name = path.rpartition("/")
        above = follow(self.tree, folder)
        if not hint and above is not None and above.kind == DIRECTORY:
            near = get_close_matches(name, [child.name for child in self.tree.children(above.path)], n=1)
            hint = f"Did you mean {folder + '/' if folder else ''}{near[0]}?" if near else ""
        return DockerfileError(self.at, f"there is no {printable(path) or '/'} in {where}", hint=hint)

    def _broken_link(self, path: str) -> str:
        """A hint when a link on the way leads nowhere: out of the tree nothing is."""
        parts = path.split("/")
        for length in range(1, len(parts) + 1):
            above = "/".join(parts[:length])
            found = self.tree.find(above)
            if found is not None and found.kind == LINK:
                if follow(self.tree, above) is None:
                    return f"{printable(above)} is a link that leads nowhere, or out of there."
                return ""
        return ""


def copied_content(content: Content | None) -> Content:
    """A file's content.

    Raises:
        AssertionError: it is no file.
    """
    assert content is not None
    return content


__all__ = ["DIRECTORY", "FILE", "LINK", "IsDirectory", "Placed", "copied_content", "place", "stage_path"]
