"""What the steps of a Dockerfile do: copying, compiling, running; and what of it is remembered from earlier builds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.git_sources import GitSource, parse_git
from wingo.dockerfile.graph import Source, SourceKind
from wingo.dockerfile.planned import StagePlan
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import CopyFiles, RunGo, RunLowered, RunSandbox
from wingo.errors import ContentError, HostError, RemoteError, RequestError
from wingo.golang.fingerprint import Watch
from wingo.hive.edit import Edit as HiveEdit
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference
from wingo.pipeline.dockerfile_cache import StepCache
from wingo.pipeline.dockerfile_copy import Placed, place, stage_path
from wingo.pipeline.dockerfile_downloads import (
    Downloads,
    cached_content,
    is_archive,
    keep_in_cache,
    read_archive,
    read_zip,
)
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, Context, DirectoryTree, Found, Tree
from wingo.pipeline.dockerfile_git import GitRunner, shown
from wingo.pipeline.dockerfile_go import GoRunner
from wingo.pipeline.dockerfile_image_files import image_tree
from wingo.pipeline.dockerfile_memory import Changed, WorkDirectory, is_plain, with_digest, work_directory
from wingo.pipeline.dockerfile_stages import BuiltStage, LinuxStage, ToolchainStage, ViewTree
from wingo.view.names import MAX_DEPTH

if TYPE_CHECKING:
    from wingo.dockerfile.bases import BaseFacts
    from wingo.dockerfile.lowering import Answer, State
    from wingo.dockerfile.lowering.edits import ExtractArchive, RunProgram
    from wingo.host import Host
    from wingo.image.model import Image
    from wingo.pipeline.dockerfile_bases import DockerfileBases
    from wingo.pipeline.dockerfile_build import DockerfileBuild
    from wingo.pipeline.dockerfile_wine import WineRunner
    from wingo.pipeline.places import Places

_KIND = "dockerfile-steps"
_DOWNLOADS = "dockerfile-downloads"
_VERSION = "1"


class _KeptFile(msgspec.Struct, frozen=True, array_like=True):
    path: str
    kind: str
    mode: int
    target: str
    digest: str
    size: int


class _Kept(msgspec.Struct, frozen=True):
    """What a step did, as the cache keeps it."""

    found: tuple[_KeptFile, ...] = ()
    removed: tuple[str, ...] = ()
    status: int = 0
    output: str = ""
    registry: tuple[HiveEdit, ...] = ()


class Actions:
    """Performs steps.

    Attributes:
        context: the build context.
        cache: what earlier builds did.
        ran: how many programs were run, and things fetched.
        recalled: how many of the like were not, because of what earlier builds did.
        wanted: what steps copy of each image, by path.
        cloned: the commit of each Git repository that was added.
        asks_again: something came from where another build would have to look again.
        swept: what killed builds left has been looked for.
        read: the sha256, in hexadecimal, of the contexts' files that were copied, by their paths.
    """

    def __init__(self, request: DockerfileBuild, host: Host, places: Places, bases: DockerfileBases) -> None:
        self.request, self.host, self.places, self.bases = request, host, places, bases
        self.context = Context(request.dockerfile.context, request.dockerfile.path)
        self.go = GoRunner(host, allow_network=request.allow_network)
        self.downloads = Downloads(places, allow_network=request.allow_network)
        self.cache = StepCache(places, anew=request.no_cache)
        for source in request.cache_from:
            self.cache.add_source(source)
        self._named: dict[str, DirectoryTree] = {}
        self._images: dict[str, Tree] = {}
        self.wanted: dict[Reference, set[str]] = {}
        self.git = GitRunner(host, request.dockerfile.agents, allow_network=request.allow_network)
        self.cloned: dict[str, str] = {}
        self._comments: list[str] = []
        self.ran = self.recalled = 0
        self.asks_again, self.swept = bool(request.dockerfile.layouts), False
        self.read: dict[str, str] = {}

    # Sources

    def watch(self) -> Watch:
        """What was looked at of the build contexts."""
        watches = [tree.watch() for tree in (self.context, *self._named.values())]
        return Watch(
            tuple(file for watch in watches for file in watch.files),
            tuple(folder for watch in watches for folder in watch.directories),
        )

    def source(self, source: Source, platform: Platform, built: Mapping[int, BuiltStage], at: At) -> tuple[Tree, bool]:
        """What a COPY reads from, and whether that is a directory of this machine.

        Raises:
            DockerfileError: the image has nothing for the platform.
            RemoteError: it cannot be had.
        """
        match source.kind:
            case SourceKind.STAGE:
                return built[source.stage].tree(), False
            case SourceKind.IMAGE:
                assert source.image is not None
                key = f"{source.image} {platform}"
                if key not in self._images:
                    try:
                        image = self.bases.image(source.image, platform)
                    except RemoteError as error:
                        raise RemoteError(f"{at}: {error}", status=error.status, hint=error.hint) from error
                    except RequestError as error:
                        raise DockerfileError(at, str(error), hint=error.hint) from error
                    self._images[key] = image_tree(image, self.places, self.wanted.get(source.image, ()))
                return self._images[key], False
            case _:
                if not source.name:
                    return self.context, True
                if source.name not in self._named:
                    folder = self.request.dockerfile.directories[source.name]
                    self._named[source.name] = Context(folder)
                return self._named[source.name], True

    # COPY and ADD

    def copy(
        self, action: CopyFiles, stage: BuiltStage, tree: Tree, at: At, created_by: str, *, from_context: bool
    ) -> bool:
        """COPY or ADD."""
        mode = _mode(action.chmod, at)
        placed = place(action, tree, stage.is_directory, at, from_context=from_context)
        if action.add:
            placed = self._added(action, placed, stage, at)
        if deep := next((item for item in placed if item.path.count("/") >= MAX_DEPTH), None):
            raise DockerfileError(
                at,
                f"{printable(deep.path, 80)} is nested in more than {MAX_DEPTH} directories, which no image may have",
            )
        placed = [msgspec.structs.replace(item, found=with_digest(item.found)) for item in placed]
        if from_context:
            contents = (item.found.content for item in placed if item.found.content is not None)
            self.read.update({content.origin: content.digest.removeprefix("sha256:") for content in contents})
        changed = stage.put(placed, action.chown, mode, at, created_by)
        comments, self._comments = self._comments, []
        if changed and comments:
            stage.comment(", ".join(comments))
        return changed

    def _added(self, action: CopyFiles, placed: list[Placed], stage: BuiltStage, at: At) -> list[Placed]:
        target = stage_path(action.destination)
        result: list[Placed] = []
        for item in placed:
            archive = action.unpack and item.found.kind == FILE and not item.made and item.found.content is not None
            if archive and self._is_direct(action, item) and is_archive(_content(item.found)):
                members = read_archive(_content(item.found), at, keep_in_cache(self.places), self.places.progress.note)
                result.append(Placed(target, Found(target, DIRECTORY, 0o755), made=True)) if target else None
                result += _with_parents(target, members)
            else:
                result.append(item)
        for source in action.sources:
            if (repository := parse_git(source)) is not None:
                result.append(Placed(target, Found(target, DIRECTORY, 0o755), made=True)) if target else None
                result += _with_parents(target, self._cloned(repository, action, at))
            elif source.startswith(("http://", "https://")):
                content = self.downloads.fetch(source, at, str(action.checksum))
                self.asks_again = self.asks_again or not action.checksum
                name = source.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2] or "__unnamed__"
                into = action.destination.endswith(("/", "\\")) or stage.is_directory(target)
                path = f"{target}/{name}".strip("/") if into else target
                result += _with_parents("", [Found(path, FILE, 0o600, content=content)])
        return result

    def _cloned(self, source: GitSource, action: CopyFiles, at: At) -> list[Found]:
        """The files of a Git repository, from an earlier build when the commit is the same."""
        checksum = str(action.checksum)
        if not source.pinned:
            self.asks_again = True
        commit = self.git.resolve(source, at, checksum)
        found: list[_Kept] = []

        def take(fetched: str, files: Sequence[Found]) -> None:
            nonlocal commit
            commit = fetched
            found.append(self._keep(Changed(tuple(files), ()), ""))

        def fetch() -> _Kept:
            task = self.places.progress.start(f"git fetch {shown(source.remote)}"[:60])
            self.ran += 1
            try:
                self.git.fetch(source, commit, at, checksum, keep=action.keep_git, take=take)
            finally:
                task.done()
            return found[0]

        key = _key("git", source.remote, commit, source.directory, action.keep_git)
        kept = self._remembered(key, fetch) if commit else fetch()
        self.cloned[f"{shown(source.remote)}#{source.reference or 'HEAD'}"] = commit
        self._comments.append(f"commit {commit}")
        return self._found(kept)

    def _is_direct(self, action: CopyFiles, item: Placed) -> bool:
        """Only an archive that is named is unpacked, none in a directory that is copied."""
        from wingo.dockerfile.ignore import compile_wildcards, has_wildcards

        for source in action.sources:
            path = source.replace("\\", "/") if action.destination[1:2] == ":" else source
            path = path.removeprefix("./").lstrip("/")
            if path == item.found.path or (has_wildcards(path) and compile_wildcards(path)(item.found.path)):
                return True
        return False

    # Go

    def run_go(self, action: RunGo, stage: BuiltStage, plan: StagePlan, at: At, created_by: str) -> bool:
        """A Go step of a Linux stage."""
        platform = (action.goos, action.goarch, action.variant)
        if not isinstance(stage, ToolchainStage):
            assert isinstance(stage, LinuxStage)
            return self._run_go_on_layers(action, stage, plan, at, created_by)
        key = _key(
            "go", stage.files.digest(), action, self.go.identity(action.toolchain), plan.settings.env.get("GOPATH", "")
        )
        kept = self._compiled(key, action, list(stage.files.found.values()), plan, platform, at)
        _check(kept, action, at)
        for path in kept.removed:
            stage.files.remove(path)
        for item in self._found(kept):
            stage.files.put(item.path, item)
        return True

    def _run_go_on_layers(self, action: RunGo, stage: LinuxStage, plan: StagePlan, at: At, created_by: str) -> bool:
        from wingo.archive.entry import Entry, EntryKind
        from wingo.pipeline.dockerfile_files import LINK, walk

        own = len(stage.base.layers) if stage.base is not None else 0
        view = stage.view()
        items = [
            found
            for found in walk(ViewTree(view), "")
            if (node := view.find(found.path, follow=False)) is not None and (node.layer >= own)
        ]
        platform = (action.goos, action.goarch, action.variant)
        key = _key("go", [layer.diff_id for layer in stage.layers], action, self.go.identity(action.toolchain))
        kept = self._compiled(key, action, items, plan, platform, at)
        _check(kept, action, at)
        kinds = {FILE: EntryKind.FILE, DIRECTORY: EntryKind.DIRECTORY, LINK: EntryKind.SYMLINK}
        entries = [
            Entry(item.path, kinds[item.kind], item.mode, 0, 0, item.content, item.target) for item in self._found(kept)
        ]
        return stage.add(entries, created_by)

    def _compiled(
        self,
        key: str,
        action: RunGo,
        items: Sequence[Found],
        plan: StagePlan,
        platform: tuple[str, str, str],
        at: At,
    ) -> _Kept:
        kept = self._recall(key)
        if kept is None:
            root = self._work_directory(plan)
            # Who builds the same at the same time waits, and takes what was made.
            with self.places.cache.lock(f"dockerfile-{os.path.basename(root)}"):
                kept = self._remembered(key, lambda: self._compile(action, root, items, plan, platform, at))
        return kept

    def _work_directory(self, plan: StagePlan) -> str:
        context = self.request.dockerfile.context
        return work_directory(self.host.cache_directory, context, plan.name, str(plan.platform))

    def _compile(
        self,
        action: RunGo,
        root: str,
        items: Sequence[Found],
        plan: StagePlan,
        platform: tuple[str, str, str],
        at: At,
    ) -> _Kept:
        work = WorkDirectory(root)
        work.write(items)
        gopath = plan.settings.env.get("GOPATH", "/go").split(":")[0].strip("/") or "go"
        output = ""
        for command in action.commands:
            task = self.places.progress.start(" ".join(command.argv[:3]))
            self.ran += 1
            try:
                status, output = self.go.run(
                    command, root, version=action.toolchain, platform=platform, at=at, gopath=gopath
                )
            finally:
                task.done()
            if status:
                raise failed(at, " ".join(command.argv), status, output)
        return self._keep(work.changes(), output)

    # Windows

    def run_lowered(
        self, action: RunLowered, stage: BuiltStage, plan: StagePlan, at: At, created_by: str
    ) -> tuple[bool, tuple[str, ...]]:
        """A Windows RUN."""
        from wingo.pipeline.dockerfile_windows import Tools, WindowsStage

        assert isinstance(stage, WindowsStage)
        root = self._work_directory(plan)
        toolchain = plan.facts.toolchain
        output = plan.output
        tools = Tools(
            go=self.go,
            work=root,
            version=toolchain.full_version if toolchain is not None else "",
            platform=(output.os, output.architecture, output.variant),
            fetch=self._fetch_for_step,
            unpack=self._unpack,
            remembered=self._remembered_answer,
            program=self._run_program,
            described=lambda: self._wine_runner.wine.described,
        )
        with self.places.cache.lock(f"dockerfile-{os.path.basename(root)}"):
            return stage.run(action, tools, at, created_by)

    def _remembered_answer(self, key: str, make: Callable[[], Answer]) -> Answer:
        return self._answer(_key("windows", key), lambda: self._keep_answer(make()))

    def find_wine(self) -> None:
        """Looks for Wine before anything is done.

        Raises:
            HostError: there is none.
        """
        _ = self._wine_runner.wine

    @cached_property
    def _wine_runner(self) -> WineRunner:
        from wingo.pipeline.dockerfile_wine import WineRunner

        return WineRunner(
            self.host, self.places, allow_network=self.request.allow_network, seconds=self.request.step_timeout
        )

    def _run_program(self, operation: RunProgram, state: State, base: Image | None, facts: BaseFacts, at: At) -> Answer:
        """A Windows program, run by Wine over the stage's files and registry."""
        from wingo.pipeline.dockerfile_windows import tree_key

        wine = self._wine_runner
        self.asks_again = True  # another Wine may do otherwise
        below = (base.digest if base is not None else "", tree_key(state.tree), state.registry.changes, state.user)
        key = _key("program", operation, below, wine.wine.described)

        def run() -> _Kept:
            task = self.places.progress.start(" ".join(operation.argv)[:60])
            try:
                return wine.run(operation, state, base, facts, at, self._keep_answer)
            finally:
                task.done()

        return self._answer(key, run)

    def _keep_answer(self, answer: Answer) -> _Kept:
        found = [
            Found(item.path, item.kind, content=item.content, target=item.target)
            for item in answer.files
            if item.kind != "removed"
        ]
        removed = tuple(item.path for item in answer.files if item.kind == "removed")
        kept = self._keep(Changed(tuple(found), removed), answer.output, answer.status)
        return msgspec.structs.replace(kept, registry=answer.registry)

    def _answer(self, key: str, make: Callable[[], _Kept]) -> Answer:
        from wingo.dockerfile.lowering import Answer, UnpackedFile

        def run() -> _Kept:
            self.ran += 1
            return make()

        kept = self._remembered(key, run)
        files = [UnpackedFile(path, kind="removed") for path in kept.removed]
        files += [UnpackedFile(item.path, item.content, item.kind, item.target) for item in self._found(kept)]
        return Answer(tuple(files), kept.status, kept.output, kept.registry)

    def _fetch_for_step(self, url: str, at: At) -> Content:
        """What a step downloads: as with everything that a step does, not again while its text is the same."""
        key = _key("download", url, at.text)
        data = self.cache.get(_DOWNLOADS, key)
        if data is not None:
            digest, _, size = data.decode("utf-8", "replace").partition(" ")
            if size.isdecimal() and self.cache.has(digest, int(size)):
                self.downloads.fetched[url] = digest
                return cached_content(self.places, digest, int(size), url)
        content = self.downloads.fetch(url, at)
        self.ran += 1
        self.cache.keep(_DOWNLOADS, key, f"{content.digest} {content.size}".encode())
        self.cache.named(content.digest, content.size)
        return content

    def _unpack(self, content: Content, operation: ExtractArchive, at: At) -> Sequence[Found]:
        keep = keep_in_cache(self.places)
        if operation.format in ("inno", "7z"):
            from wingo.pipeline.dockerfile_extractors import extract_by_program

            return extract_by_program(content, operation.format, self.host, at, keep)
        with content.open() as stream:
            head = stream.read(4)
        if operation.format == "zip" or (operation.format == "any" and head[:2] == b"PK"):
            return read_zip(content, at, keep)
        return read_archive(content, at, keep)

    # The sandbox

    def run_sandbox(
        self,
        action: RunSandbox,
        stage: BuiltStage,
        plan: StagePlan,
        built: Mapping[int, BuiltStage],
        at: At,
        created_by: str,
    ) -> bool:
        """A Linux RUN."""
        from wingo.pipeline.dockerfile_sandbox import run_step

        assert isinstance(stage, LinuxStage)
        return run_step(self, action, stage, plan, built, at, created_by)

    # Memory

    def _recall(self, key: str) -> _Kept | None:
        data = self.cache.get(_KIND, key)
        if data is None:
            return None
        try:
            kept = msgspec.json.decode(data, type=_Kept)
        except msgspec.DecodeError:
            self.cache.forget(_KIND, key)
            return None
        # A cache from elsewhere may say anything.
        whole = all(
            is_plain(item.path) and (not item.digest or self.cache.has(item.digest, item.size)) for item in kept.found
        )
        if not whole or not all(map(is_plain, kept.removed)):
            return None
        self.recalled += 1
        return kept

    def _remembered(self, key: str, make: Callable[[], _Kept]) -> _Kept:
        kept = self._recall(key)
        if kept is not None:
            return kept
        kept = make()
        if not kept.status:
            self.cache.keep(_KIND, key, msgspec.json.encode(kept))
            for item in kept.found:
                if item.digest:
                    self.cache.named(item.digest, item.size)
        return kept

    def _keep(self, changed: Changed, output: str, status: int = 0) -> _Kept:
        keep = keep_in_cache(self.places)
        files = []
        for item in changed.found:
            content = None
            if item.content is not None:
                with item.content.open() as stream:
                    content = keep(stream, item.path)
            digest, size = (content.digest, content.size) if content is not None else ("", 0)
            files.append(_KeptFile(item.path, item.kind, item.mode, item.target, digest, size))
        return _Kept(tuple(files), changed.removed, status, output[-4000:])

    def _found(self, kept: _Kept) -> list[Found]:
        return [
            Found(
                item.path,
                item.kind,
                item.mode,
                content=cached_content(self.places, item.digest, item.size, item.path) if item.kind == FILE else None,
                target=item.target,
            )
            for item in kept.found
        ]


def _with_parents(target: str, members: Sequence[Found]) -> list[Placed]:
    """Members below a directory, each directory before what is in it, also those that the archive does not name."""
    result: dict[str, Placed] = {}
    for found in members:
        path = f"{target}/{found.path}".strip("/")
        parts = path.split("/")
        for length in range(target.count("/") + 2 if target else 1, len(parts)):
            above = "/".join(parts[:length])
            result.setdefault(above, Placed(above, Found(above, DIRECTORY, 0o755), made=True))
        result[path] = Placed(path, found)
    return list(result.values())


def failed(at: At, what: str, status: int, output: str) -> DockerfileError:
    """A step that ended with an error: its exit code and its last lines."""
    lines = [printable(line, 400) for line in output.strip().splitlines()[-20:]]
    printed = "".join(f"\n    {line}" for line in lines)
    return DockerfileError(at, f"the step failed with exit code {status}: {printable(what, 120)}{printed}")


def _check(kept: _Kept, action: RunGo, at: At) -> None:
    if kept.status:
        raise failed(at, " ".join(action.commands[-1].argv), kept.status, kept.output)


def _content(item: Found) -> Content:
    if item.content is None:
        raise ContentError(f"{item.path} is no file")
    return item.content


def _mode(text: str, at: At) -> int | None:
    if not text:
        return None
    if not all(character in "01234567" for character in text) or int(text, 8) > 0o7777:
        raise DockerfileError(
            at, f"--chmod {text[:40]!r} is no octal mode from 0 to 7777", hint="Write for instance --chmod=755."
        )
    return int(text, 8)


def _key(*parts: object) -> str:
    return hashlib.sha256("\0".join((_VERSION, *map(repr, parts))).encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["Actions", "HostError", "failed"]
