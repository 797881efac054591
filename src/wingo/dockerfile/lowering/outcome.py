"""What lowering a step gives: done, or waiting for somebody to act, or impossible with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.lowering.edits import Edit, Operation
from wingo.hive.edit import Edit as HiveEdit

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.state import State


class Lowered(msgspec.Struct, frozen=True):
    """A step that became edits.

    Attributes:
        edits: in order.
        state: after the step; in a plan some of it may be unknown.
        notes: warnings, one sentence each: what is written is what was done, and this is what it may not mean.
        output: what the step would print, as far as it matters to nobody but people.
        decided_late: the plan assumed something that only the build shows (what a download has in it).
    """

    edits: tuple[Edit, ...]
    state: State
    notes: tuple[str, ...] = ()
    output: str = ""
    decided_late: bool = False


class Needs(msgspec.Struct, frozen=True):
    """While building: somebody must act, then lower again with one more answer.

    Attributes:
        operation: what to do.
        state: the stage's files and environment when it is to be done; of an archive, `state.tree` has the content.
        edits: what was lowered before it.
    """

    operation: Operation
    state: State
    edits: tuple[Edit, ...]


class Impossible(msgspec.Struct, frozen=True):
    """A step that cannot be lowered.

    Attributes:
        reason: what cannot be done, and why; or how the step fails.
        advice: one sentence: what to write instead; "" when there is none.
        at: the place in the command's text, in characters.
        fails: the step itself fails, also where Docker runs it; else wingo cannot say what it does.
        edits: what was lowered before it.
    """

    reason: str
    advice: str = ""
    at: int = 0
    fails: bool = False
    edits: tuple[Edit, ...] = ()


Outcome: TypeAlias = Lowered | Needs | Impossible


class UnpackedFile(msgspec.Struct, frozen=True):
    r"""One thing that an operation left.

    Attributes:
        path: of an archive, the member's name with `/`, as it stands there; else `C:\…`.
        content: a file's bytes; None for a directory or a removal.
        kind: "file", "directory", "link" or "removed".
        target: a link's.
    """

    path: str
    content: Content | None = None
    kind: str = "file"
    target: str = ""


class Answer(msgspec.Struct, frozen=True):
    r"""What came of an `Operation`.

    Attributes:
        files: `Download`: exactly one file, whose path does not matter. `ExtractArchive`: the members, all of them, in
            order. `RunGo`, `RunGit`, `RunProgram`: what was added, changed or removed below the stage's `C:\`.
        status: the program's exit status; of a download 0, or anything else when the server said no.
        output: what it printed.
        registry: of `RunProgram`: what it changed there, each path with its root.
    """

    files: tuple[UnpackedFile, ...] = ()
    status: int = 0
    output: str = ""
    registry: tuple[HiveEdit, ...] = ()


class CannotLower(Exception):
    """Inside this room: the step is impossible; `lower` makes it a value."""

    def __init__(self, reason: str, advice: str = "", *, fails: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.advice, self.fails = reason, advice, fails


class Waiting(Exception):
    """Inside this room: an operation has no answer yet; `lower` makes it a value."""

    def __init__(self, operation: Operation) -> None:
        super().__init__("waiting")
        self.operation = operation


class CommandFailed(Exception):
    """A command fails as it would on Windows.

    Attributes:
        message: what it says.
        status: its exit status.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message, self.status = message, status
