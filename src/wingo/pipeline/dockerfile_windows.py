"""A Windows stage while it is built: the lowering's state, and what its edits need done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.bases import BaseFacts
from wingo.dockerfile.lowering import (
    Answer,
    Impossible,
    Item,
    Kind,
    LazyBase,
    Lowered,
    Needs,
    NoBase,
    State,
    Tree,
    UnpackedFile,
    UnreadBase,
    ViewBase,
    layer_requests,
    lower,
    read_user_hive,
    registry_edits,
    with_user_hive,
)
from wingo.dockerfile.lowering.edits import Download, ExtractArchive, RunGit, RunGo, RunProgram
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.registry import stage_registry
from wingo.dockerfile.source import At, DockerfileError
from wingo.dockerfile.steps import Command, MakeDirectory, RunLowered
from wingo.dockerfile.windows_stage import state_for
from wingo.errors import RequestError
from wingo.image.derive import AddedLayer
from wingo.image.model import Image
from wingo.oci.config import History
from wingo.pipeline.assemble import rfc3339
from wingo.pipeline.base_layers import BaseLayers
from wingo.pipeline.dockerfile_copy import Placed
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, LINK, Found
from wingo.pipeline.dockerfile_files import Tree as Files
from wingo.pipeline.dockerfile_memory import WorkDirectory
from wingo.pipeline.dockerfile_stages import commented
from wingo.pipeline.viewing import view_of
from wingo.windows.layer import plan_layer
from wingo.windows.paths import fold, parse_path

if TYPE_CHECKING:
    from wingo.pipeline.dockerfile_go import GoRunner
    from wingo.pipeline.places import Places

_MAX_NEEDS = 500
Fetch = Callable[[str, At], Content]
"""Downloads a URL."""
Unpack = Callable[[Content, ExtractArchive, At], Sequence[Found]]
"""Reads an archive's members."""


class Tools(msgspec.Struct, frozen=True):
    """What a Windows stage's operations are done by.

    Attributes:
        go: runs the toolchain and git.
        work: the directory that they run over.
        described: names what runs Windows programs, with its version.
        program: runs a Windows program over the stage's files and registry.
        remembered: gives back the answer of an operation that was done before over the same files.
    """

    go: GoRunner
    work: str
    version: str
    platform: tuple[str, str, str]
    fetch: Fetch
    unpack: Unpack
    remembered: Callable[[str, Callable[[], Answer]], Answer]
    described: Callable[[], str]
    program: Callable[[RunProgram, State, Image | None, BaseFacts, At], Answer]


class WindowsStage:
    """See `wingo.pipeline.dockerfile_stages.BuiltStage`.

    Attributes:
        base: None: nothing is below.
        added: the layers of files above it.
        wanted: what is copied of the base, by path.
        under: what ran Windows programs for it: "wine-8.0 (…)"; "" for nothing.
    """

    def __init__(
        self,
        base: Image | None,
        facts: BaseFacts,
        places: Places,
        epoch: int,
        threads: int,
        *,
        runs_programs: bool = False,
    ) -> None:
        self.base, self.facts, self.places, self.epoch, self.threads = base, facts, places, epoch, threads
        self.added: list[AddedLayer] = []
        self.notes: list[str] = []
        self.state = State(
            tree=Tree(self._unread(base, facts)),
            flavour=facts.flavour,
            architecture=facts.platform.architecture,
            toolchain=facts.toolchain is not None,
            runs_programs=runs_programs,
        )
        self.under = ""
        self.wanted: Iterable[str] = ()
        self._files: Files | None = None
        self._hives_read = False

    def _unread(self, base: Image | None, facts: BaseFacts) -> NoBase | UnreadBase | LazyBase:
        if base is not None:
            return LazyBase(lambda: view_of(base, self.places, base_layers=True))
        return NoBase() if facts.toolchain is None else UnreadBase()

    def fork(self) -> WindowsStage:
        """Another one, for a stage that stands on this one."""
        other = WindowsStage(self.base, self.facts, self.places, self.epoch, self.threads)
        other.added, other.state, other._hives_read = list(self.added), self.state, self._hives_read
        other.under, other.wanted, other._files = self.under, self.wanted, self._files
        return other

    def tree(self) -> Files:
        """Its files: what steps made, and the base's."""
        from wingo.pipeline.dockerfile_image_files import image_tree

        if self._files is None and self.base is not None:
            self._files = image_tree(self.base, self.places, self.wanted)
        return StateTree(self.state.tree, self._files)

    def is_directory(self, path: str) -> bool:
        """Whether a path is, or leads to, a directory."""
        found = self.state.tree.find(parse_path("/" + path))
        return found is not None and found.kind is Kind.DIRECTORY

    def put(self, placed: Sequence[Placed], chown: str, mode: int | None, at: At, created_by: str) -> bool:
        """Takes in what a COPY brings, as a layer."""
        if chown or mode is not None:
            self.notes.append(
                f"{at}: --chown and --chmod mean nothing on Windows, where access lists say who may do what"
            )
        tree = self.state.tree.copy()
        try:
            for item in placed:
                self._put(tree, item)
        except CannotLower as error:
            raise DockerfileError(at, error.reason, hint=error.advice) from error
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        return self._take(msgspec.structs.replace(self.state, tree=tree), created_by, at)

    def _put(self, tree: Tree, item: Placed) -> None:
        path = tree.resolve(parse_path("/" + item.path))
        found = item.found
        there = tree.find(path, follow=False)
        if item.made and there is not None and there.kind is Kind.DIRECTORY:
            return
        if path[:-1]:
            tree.make_directories(path[:-1])
        if found.kind == DIRECTORY:
            tree.make_directories(path)
        elif found.kind == LINK:
            target = found.target.replace("/", "\\")
            tree.put(Item(path, Kind.LINK, target=target, link="symbolic", directory_link=found.to_directory))
        else:
            tree.put(Item(path, Kind.FILE, content=found.content))

    def comment(self, text: str) -> None:
        """Says something of the last layer, if it is shipped at all."""
        if self.added:
            self.added[-1] = commented(self.added[-1], text)

    def make_directory(self, action: MakeDirectory, at: At, created_by: str) -> bool:
        """Makes the directory of a WORKDIR."""
        tree = self.state.tree.copy()
        try:
            tree.make_directories(parse_path(action.path))
        except CannotLower as error:
            raise DockerfileError(at, error.reason, hint=error.advice) from error
        return self._take(msgspec.structs.replace(self.state, tree=tree), created_by, at)

    def run(self, action: RunLowered, tools: Tools, at: At, created_by: str) -> tuple[bool, tuple[str, ...]]:
        """Runs a lowered step: whether it made a layer, and its notes.

        Raises:
            DockerfileError: it cannot be lowered, or fails.
        """
        try:
            outcome = self._lower(action, tools, at)
        except DockerfileError:
            raise
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        match outcome:
            case Impossible(reason, advice):
                if outcome.fails and any(isinstance(edit, RunProgram) for edit in outcome.edits):
                    advice = f"{tools.described()} ran it, which is not Windows: there it may end otherwise."
                raise DockerfileError(at, reason, hint=advice)
            case Lowered():
                comment = ""
                if any(isinstance(edit, RunProgram) for edit in outcome.edits):
                    self.under = tools.described()
                    comment = f"run by {self.under}, not by Windows"
                return self._take(self._with_user_hive(outcome.state, at), created_by, at, comment), outcome.notes

    def _with_user_hive(self, state: State, at: At) -> State:
        if state.registry.changes == self.state.registry.changes:
            return state
        try:
            return with_user_hive(state)
        except CannotLower as error:
            raise DockerfileError(at, error.reason, hint=error.advice) from error

    def _lower(self, action: RunLowered, tools: Tools, at: At) -> Lowered | Impossible:
        self._read_hives(action)
        before = state_for(self.state, action)
        answers: list[Answer] = []
        while isinstance(outcome := lower(action.command, action.shell, before, answers=answers), Needs):
            if len(answers) > _MAX_NEEDS:
                raise DockerfileError(at, f"the step needs more than {_MAX_NEEDS} things done")
            answers.append(self._perform(outcome, tools, at))
        return outcome

    # What operations need

    def _perform(self, needs: Needs, tools: Tools, at: At) -> Answer:
        operation = needs.operation
        match operation:
            case Download(url, _, expected):
                content = tools.fetch(url, at)
                if expected and content.digest != expected:
                    raise DockerfileError(at, f"{url} is {content.digest}, and the step expects {expected}")
                return Answer((UnpackedFile("", content),))
            case ExtractArchive(archive):
                item = needs.state.tree.find(parse_path(archive))
                if item is None or item.content is None:
                    raise DockerfileError(at, f"there is no {archive} to unpack")
                members = tools.unpack(item.content, operation, at)
                return Answer(tuple(_unpacked(member) for member in members))
            case RunGo(argv, directory, environment) | RunGit(argv, directory, environment):
                command = Command(argv, environment, directory)
                key = f"{tree_key(needs.state.tree)} {command!r} {tools.go.identity(tools.version)} {tools.platform}"
                return tools.remembered(key, lambda: self._run_tool(command, needs.state, tools, at))
            case RunProgram():
                return tools.program(operation, needs.state, self.base, self.facts, at)
        raise AssertionError(operation)

    def _run_tool(self, command: Command, state: State, tools: Tools, at: At) -> Answer:
        work = WorkDirectory(tools.work)
        work.write(_materialised(state.tree))
        gopath = dict(command.environment).get("GOPATH", r"C:\go").split(";")[0]
        status, output = tools.go.run(
            command,
            tools.work,
            version=tools.version,
            platform=tools.platform,
            at=at,
            gopath="/".join(parse_path(gopath)),
        )
        changed = work.changes()
        files = [UnpackedFile(f"C:\\{path}".replace("/", "\\"), kind="removed") for path in changed.removed]
        files += [
            msgspec.structs.replace(_unpacked(item), path=f"C:\\{item.path}".replace("/", "\\"))
            for item in changed.found
        ]
        return Answer(tuple(files), status, output)

    def _read_hives(self, action: RunLowered) -> None:
        """The base's registry, before the first step that might look at it."""
        del action
        if self._hives_read or self.base is None:
            return
        from wingo.pipeline.image_hives import read_image_hives

        self._hives_read = True
        hives = read_image_hives(self.base, self.places)
        base = self.base
        view = view_of(base, self.places, base_layers=False, base=BaseLayers(len(base.layers)))
        tree = self.state.tree.copy()
        # With the listing at hand, what is in the base need not be guessed; else it is read when a step asks for it.
        tree.base = ViewBase(view) if view.complete else LazyBase(lambda: view_of(base, self.places, base_layers=True))
        user = read_user_hive(tree, self.state.account)
        registry = stage_registry(hives.registry().hives, user)
        self.state = msgspec.structs.replace(self.state, tree=tree, registry=registry)

    # Layers

    def _take(self, state: State, created_by: str, at: At, comment: str = "") -> bool:
        """Goes on from a state; the difference of the files becomes a layer."""
        before, self.state = self.state, state
        if self.facts.toolchain is not None and self.base is None:
            return False  # it only compiles: nobody sees its layers
        try:
            requests = layer_requests(before.tree, state.tree, created_by)
            if not requests:
                return False
            planned = plan_layer(requests, epoch=self.epoch, created_by=created_by, on_base=self.base is not None)
        except CannotLower as error:
            raise DockerfileError(at, error.reason, hint=error.advice) from error
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        self.notes += planned.notes
        layer = self.places.cache.pack(planned.recipe, threads=self.threads)
        line = History(created=rfc3339(self.epoch), created_by=created_by, comment=comment)
        self.added.append(AddedLayer(layer, line))
        return True

    def registry_layer(self) -> AddedLayer | None:
        """What the steps changed in the registry, as a layer directly on the base; None when they changed nothing."""
        changes = registry_edits(self.state)
        if not changes or self.base is None:
            return None
        from wingo.pipeline.image_hives import read_image_hives
        from wingo.pipeline.registry_layers import pack_registry_layer, plan_registry

        plan = plan_registry(read_image_hives(self.base, self.places), changes)
        if plan is None:
            return None
        layer = pack_registry_layer(plan, self.places, created_by="wingo build", epoch=self.epoch)
        comment = f"registry: {', '.join(plan.changed)}" + (f"; some of it by {self.under}" if self.under else "")
        line = History(created=rfc3339(self.epoch), created_by="wingo build", comment=comment)
        return AddedLayer(layer, line)


def _unpacked(item: Found) -> UnpackedFile:
    return UnpackedFile(item.path, item.content, item.kind, item.target)


def _materialised(tree: Tree) -> list[Found]:
    """What steps made, for a directory of this machine."""
    found = []
    for item in tree.changes.values():
        if item is None or not item.path:
            continue
        path = "/".join(item.path)
        if item.kind is Kind.DIRECTORY:
            found.append(Found(path, DIRECTORY, 0o755))
        elif item.kind is Kind.LINK and item.link == "symbolic":
            found.append(Found(path, LINK, 0o777, target=item.target.replace("\\", "/").removeprefix("C:")))
        elif item.kind is Kind.FILE and item.content is not None:
            found.append(Found(path, FILE, 0o644, content=item.content))
    return found


def tree_key(tree: Tree) -> str:
    """A digest of what steps made."""
    from wingo.pipeline.dockerfile_memory import MemoryTree

    return MemoryTree({item.path: item for item in _materialised(tree)}).digest()


class StateTree:
    """A Windows stage's files as a tree to copy from: names without case; what nobody has read yet, from its base."""

    def __init__(self, tree: Tree, base: Files | None = None) -> None:
        self._tree, self._base = tree, base

    def find(self, path: str) -> Found | None:
        """What is at a path."""
        if not path:
            return Found("", DIRECTORY, 0o755)
        try:
            item = self._tree.find(parse_path("/" + path), follow=False)
        except (CannotLower, RequestError):
            return None
        if item is not None and item.unknown and self._base is not None:
            return self._base.find(path)
        return None if item is None else _found(item)

    def children(self, path: str) -> Sequence[Found]:
        """What is directly in a directory, by name."""
        key = fold(parse_path("/" + path)) if path else ()
        if self._tree.is_vague(key):
            self._tree.base.load()
        return [found for item in self._tree.children(key) if (found := _found(item)) is not None]


def _found(item: Item) -> Found | None:
    path = "/".join(item.path)
    if item.kind is Kind.DIRECTORY:
        return Found(path, DIRECTORY, 0o755)
    if item.kind is Kind.LINK:
        return Found(path, LINK, 0o777, target=item.target, to_directory=item.directory_link)
    if item.kind is Kind.FILE and item.content is not None:
        return Found(path, FILE, 0o644, content=item.content)
    return None
