"""A Windows stage while it is planned: its RUN steps lowered over what is known of its files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.bases import BaseFacts
from wingo.dockerfile.git_sources import parse_git
from wingo.dockerfile.lowering import Impossible, Item, Kind, Lowered, NoBase, State, Tree, UnreadBase, lower
from wingo.dockerfile.lowering.edits import describe
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.planned import LoweredStep, WindowsStage
from wingo.dockerfile.steps import CopyFiles, RunLowered
from wingo.errors import RequestError
from wingo.windows.paths import Components, fold, parse_path

Brings = Callable[[CopyFiles, Callable[[str], bool]], Sequence[tuple[str, Content | None]] | None]
r"""What a COPY brings, and the stage's say whether a path is a directory: paths as `C:\…` with their content, None for a
directory; None: nobody knows yet."""
_DRIVE = re.compile(r"\A[Cc]:")
_EXTENSION = re.compile(
    r"\.(?:7z|bat|cer|cfg|cmd|conf|config|crt|css|dll|exe|gz|htm|html|ico|ini|inf|jar|js|json|jsonc|key|log|md|mod|msi|mui|pem|png|ps1|psd1"
    r"|psm1|py|rb|reg|sh|so|sql|sum|svg|sys|tar|tgz|tmpl|toml|txt|tpl|vbs|xml|yaml|yml|zip|zst|xz|go|cs|csproj|sln|pfx|p7b|nupkg)\Z",
    re.IGNORECASE,
)
"""Endings of what is surely a file: `Bonobo.Git.Server` is a directory."""


def begin_stage(
    facts: BaseFacts, brings: Brings | None = None, *, has_base: bool = True, runs_programs: bool = False
) -> PlannedWindowsStage:
    """A Windows stage as its base leaves it.

    Args:
        facts: of the base.
        brings: tells what COPY brings from the build context.
        has_base: False for `FROM scratch`.
        runs_programs: the build has something that runs Windows programs.
    """
    state = State(
        tree=Tree(UnreadBase() if has_base else NoBase()),
        flavour=facts.flavour,
        architecture=facts.platform.architecture,
        unread_environment=facts.assumed and not facts.known_config,
        toolchain=facts.toolchain is not None,
        runs_programs=runs_programs,
        planning=True,
    )
    return PlannedWindowsStage(state, brings)


class PlannedWindowsStage:
    """See `wingo.dockerfile.planned.WindowsStage`."""

    def __init__(self, state: State, brings: Brings | None) -> None:
        self.state, self._brings = state, brings

    def fork(self) -> PlannedWindowsStage:
        """Another one, for a stage that stands on this one."""
        return PlannedWindowsStage(self.state, self._brings)

    def run(self, action: RunLowered) -> LoweredStep:
        """Lowers a RUN."""
        outcome = lower(action.command, action.shell, state_for(self.state, action))
        match outcome:
            case Lowered():
                self.state = outcome.state
                return LoweredStep(edits=tuple(describe(edit) for edit in outcome.edits), notes=outcome.notes)
            case Impossible(reason, advice):
                edits = tuple(describe(edit) for edit in outcome.edits)
                return LoweredStep(reason=reason, advice=advice, edits=edits)
            case _:
                return LoweredStep(reason="what the step does is known only while building", edits=())

    def copy(self, action: CopyFiles, source: WindowsStage | None = None) -> None:
        """Takes in what a COPY brings, as far as it is known."""
        tree = self.state.tree.copy()
        try:
            brought = self._brings(action, _directories(tree)) if self._brings is not None else None
            if brought is None:
                if not (isinstance(source, PlannedWindowsStage) and _take_over(tree, action, source.state.tree)):
                    _take_in_unknown(tree, action)
            else:
                for path, content in brought:
                    _put(tree, parse_path(path), content)
        except CannotLower:
            return  # what stands in the way is found when it is built
        self.state = msgspec.structs.replace(self.state, tree=tree)

    def make_directory(self, path: str) -> None:
        """Takes in a WORKDIR."""
        tree = self.state.tree.copy()
        try:
            tree.make_directories(parse_path(path))
        except CannotLower:
            return
        self.state = msgspec.structs.replace(self.state, tree=tree)


def state_for(state: State, action: RunLowered) -> State:
    """The state that a step starts from: with the stage's variables, directory and user."""
    return msgspec.structs.replace(
        state, environment=action.environment, directory=parse_path(action.directory), user=action.user
    )


def _put(tree: Tree, path: Components, content: Content | None, *, known: bool = False) -> None:
    if content is None and not known:
        tree.make_directories(path)
        return
    if path[:-1]:
        tree.make_directories(path[:-1])
    tree.put(Item(path, Kind.FILE, content=content))


def _directories(tree: Tree) -> Callable[[str], bool]:
    def is_directory(path: str) -> bool:
        found = tree.find(parse_path("/" + path))
        return found is not None and found.kind is Kind.DIRECTORY

    return is_directory


def _take_over(tree: Tree, action: CopyFiles, other: Tree) -> bool:
    """Takes in what another stage of the plan has; False where that is not known, and nothing was done."""
    found = []
    for source in action.sources:
        try:
            path = parse_path("\\" + _DRIVE.sub("", source).replace("/", "\\").lstrip("\\"))
        except RequestError:
            return False
        item = None if is_pattern(source) else other.find(path)
        if item is None or item.unknown:
            return False
        found.append(item)
    target = parse_path(action.destination)
    there = tree.find(target)
    into = action.destination.endswith("\\") or len(found) > 1 or (there is not None and there.kind is Kind.DIRECTORY)
    for item in found:
        if item.is_file:
            _put(tree, (*target, item.path[-1]) if into else target, item.content, known=True)
            continue
        tree.make_directories(target)
        for inside in (item, *other.below(item.path)):
            place = (*target, *inside.path[len(item.path) :])
            if inside.kind is Kind.DIRECTORY:
                tree.make_directories(place)
                if other.is_vague(inside.path):
                    tree.vague.add(fold(place))
            else:
                tree.put(msgspec.structs.replace(inside, path=place, in_base=False))
    return True


def _take_in_unknown(tree: Tree, action: CopyFiles) -> None:
    path = parse_path(action.destination)
    names = [name for source in action.sources if (name := _file_name(source))]
    there = tree.find(path)
    whole = any(not _file_name(source) for source in action.sources)
    is_directory = action.destination.endswith("\\") or whole or len(action.sources) > 1
    is_directory = is_directory or (there is not None and there.kind is Kind.DIRECTORY)
    if not is_directory:
        if path[:-1]:
            tree.make_directories(path[:-1])
        tree.put(Item(path, Kind.FILE if _EXTENSION.search(path[-1]) else Kind.UNKNOWN))
        return
    tree.make_directories(path)
    if whole or action.unpack or not all(map(_EXTENSION.search, names)):
        tree.vague.add(fold(path))
    for name in (*names, *(document.name for document in action.documents)):
        if _EXTENSION.search(name):
            tree.put(Item((*path, name), Kind.FILE))


def _file_name(source: str) -> str:
    """The name of what is surely one thing; "" for a pattern, or for a directory's contents."""
    if parse_git(source) is not None:
        return ""
    name = source.replace("\\", "/").partition("?")[0].rstrip("/").rpartition("/")[2]
    return "" if name in ("", ".", "..") or any(mark in name for mark in "*?[") else name
