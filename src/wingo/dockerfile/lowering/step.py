"""One step while it is lowered: its limits, its notes, its edits, and the working copies of what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from wingo.dockerfile.lowering.edits import Edit, describe, has_hole, shown
from wingo.dockerfile.lowering.outcome import Answer, CannotLower
from wingo.dockerfile.lowering.state import State, Variables, process_environment

MAX_STEPS = 100_000
"""Commands, expressions and turns of loops in one step."""
MAX_TEXT = 4 << 20
"""Characters of one text, and bytes of one file that a step reads."""
MAX_EDITS = 50_000
MAX_OUTPUT = 64 << 10


class Step:
    """A step's working copy of its state.

    Attributes:
        start: the state before the step.
        tree: the files.
        registry: the registry.
        variables: of the process.
        directory: where it is.
        stage_variables: what later steps of the stage get as well (`go env -w`).
        assumed_accounts: local accounts that a plan without the SAM hive added, in upper case.
        edits: so far.
        notes: so far, each once.
        at: the place in the command's text of what runs now.
        late: something was assumed that only the build shows.
        depth: how many shells, scripts and functions are open.
    """

    def __init__(self, state: State, answers: Sequence[Answer] = ()) -> None:
        self.start = state
        self.planning = state.planning
        self.tree = state.tree.copy()
        self.registry = state.registry
        self.variables: Variables = process_environment(state)
        self.directory = state.directory
        self.stage_variables: list[tuple[str, str]] = []
        self.assumed_accounts: set[str] = set(state.assumed_accounts)
        self.edits: list[Edit] = []
        self.notes: dict[str, None] = {}
        self.at = 0
        self.late = False
        self.depth = 0
        self.last_error = ""
        self.hashes: dict[str, tuple[str, int]] = {}
        self._answers = answers
        self._asked = 0
        self._steps = 0
        self._output: list[str] = []
        self._printed = 0

    def state(self) -> State:
        """The state as it is now; variables and directory of a process end with it."""
        return msgspec.structs.replace(
            self.start,
            tree=self.tree,
            registry=self.registry,
            settings=(*self.start.settings, *self.stage_variables),
            assumed_accounts=tuple(sorted(self.assumed_accounts)),
        )

    def fork(self) -> Self:
        """A copy, for what may turn out not to be done."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.__dict__.update(
            tree=self.tree.copy(),
            variables=self.variables.copy(),
            stage_variables=list(self.stage_variables),
            assumed_accounts=set(self.assumed_accounts),
            edits=list(self.edits),
            notes=dict(self.notes),
            hashes=dict(self.hashes),
            _output=list(self._output),
        )
        return other

    def become(self, other: Self) -> None:
        """Takes over what a fork did."""
        self.__dict__.update(other.__dict__)

    def tick(self, count: int = 1) -> None:
        """Counts a command, an expression, a turn of a loop.

        Raises:
            CannotLower: there were too many.
        """
        self._steps += count
        if self._steps > MAX_STEPS:
            raise CannotLower(f"the step does more than {MAX_STEPS} things", "Does a loop in it end?")

    def note(self, text: str) -> None:
        """Adds a warning."""
        if len(self.notes) < 1000:
            self.notes.setdefault(shown(text))

    def print(self, text: str) -> None:
        """Output that nobody reads but people."""
        if self._printed < MAX_OUTPUT:
            self._output.append(text)
            self._printed += len(text) + 1

    @property
    def output(self) -> str:
        """What was printed."""
        return "\n".join(map(shown, self._output))

    def add(self, edit: Edit) -> None:
        """Records an edit.

        Raises:
            CannotLower: there were too many; while building, a part of it is not known.
        """
        if not self.planning and any(
            isinstance(text, str) and has_hole(text) for text in msgspec.structs.astuple(edit)
        ):
            raise CannotLower(f"what it does is not known: {describe(edit)}")
        if len(self.edits) >= MAX_EDITS:
            raise CannotLower(f"the step comes to more than {MAX_EDITS} edits")
        self.edits.append(edit)

    def check_size(self, text: str) -> str:
        """A text, unless it is too long.

        Raises:
            CannotLower: it is.
        """
        if len(text) > MAX_TEXT:
            raise CannotLower(f"a text gets longer than {MAX_TEXT} characters")
        return text
