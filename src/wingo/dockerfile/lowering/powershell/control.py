"""PowerShell's `if`, loops, `switch` and `try`.

Where a plan cannot know which way an `if` goes, the way that does not fail is taken: a plan assumes that the build succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell import operators
from wingo.dockerfile.lowering.powershell.jumps import ExitScript, LoopJump, Return
from wingo.dockerfile.lowering.powershell.nodes import Foreach, If, Loop, Statement, Switch, Trap, Try
from wingo.dockerfile.lowering.powershell.values import (
    Terminating,
    Thing,
    Unknown,
    Value,
    text_of,
    truth_of,
)

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell

MAX_TURNS = 20_000


def run_if(shell: PowerShell, node: If) -> list[Value]:
    """`if`."""
    for index, (condition, body) in enumerate(node.branches):
        value = shell.value_of(condition)
        truth = truth_of(value)
        if truth is None:
            rest = If(node.branches[index + 1 :], node.otherwise, node.at)
            return either(
                shell,
                value,
                lambda body=body: shell.block(body),  # type: ignore[misc]
                lambda rest=rest: run_if(shell, rest) if rest.branches else shell.block(rest.otherwise or ()),  # type: ignore[misc]
            )
        if truth:
            return shell.block(body)
    return shell.block(node.otherwise) if node.otherwise is not None else []


def either(
    shell: PowerShell, condition: Value, then: Callable[[], list[Value]], otherwise: Callable[[], list[Value]]
) -> list[Value]:
    """In a plan: the way that goes well; the first when both do.

    Raises:
        CannotLower: this is no plan; or both ways fail.
    """
    if not shell.session.planning:
        raise CannotLower(f"{text_of(condition)} decides what is done, and is not known")
    trials = []
    for way in (then, otherwise):
        trial = _Trial(shell, way)
        trials.append(trial)
        if trial.rank == 0:
            break
    best = min(trials, key=lambda trial: trial.rank)
    if best.error is not None and best.rank > 1:
        raise best.error
    best.take(shell)
    shell.session.late = True
    if isinstance(condition, Unknown) and condition.equal is not None:
        hash_text, wanted, equal_if_true = condition.equal
        if equal_if_true == (best is trials[0]):
            shell.session.expect(hash_text, wanted)
    if best.error is not None:
        raise best.error
    return best.values


def run_foreach(shell: PowerShell, node: Foreach) -> list[Value]:
    """`foreach`."""
    shell.session.at = node.at
    items = shell.statement(node.items)
    found: list[Value] = []
    for item in list(items):
        if isinstance(item, Unknown):
            return unknown_loop(shell, node, item)
        shell.session.tick()
        shell.store(node.variable, item)
        try:
            found += shell.block(node.body)
        except LoopJump as jump:
            if jump.kind == "break":
                break
    return found


def unknown_loop(shell: PowerShell, node: Foreach, item: Unknown) -> list[Value]:
    """In a plan: a loop over what is not known runs once, with a value that is not known.

    Raises:
        CannotLower: this is no plan.
    """
    if not shell.session.planning:
        raise CannotLower(f"a loop goes over {item.about}, which is not known")
    shell.session.late = True
    shell.store(node.variable, Unknown(item.about))
    try:
        return shell.block(node.body)
    except LoopJump:
        return []


def run_loop(shell: PowerShell, node: Loop) -> list[Value]:
    """`while`, `do`, `for`."""
    shell.session.at = node.at
    if node.start is not None:
        shell.statement(node.start)
    found: list[Value] = []
    for turn in range(MAX_TURNS + 1):
        if turn == MAX_TURNS:
            raise CannotLower(f"a loop takes more than {MAX_TURNS} turns")
        shell.session.tick()
        if not node.kind.startswith("do") and node.condition is not None and not goes_on(shell, node.condition):
            break
        before = _standing(shell)
        try:
            found += shell.block(node.body)
        except LoopJump as jump:
            if jump.kind == "break":
                break
        if shell.slept and _standing(shell) == before:
            shell.session.note(
                "a loop waits for what a running Windows would do by itself: it is left, and nothing of that is made"
            )
            break
        if node.step is not None:
            shell.statement(node.step)
        if (
            node.kind.startswith("do")
            and node.condition is not None
            and goes_on(shell, node.condition, last=node.kind == "do until") != (node.kind == "do while")
        ):
            break
    return found


def goes_on(shell: PowerShell, condition: Statement, *, last: bool = False) -> bool:
    """A loop's condition; a plan that does not know it takes the loop to end here.

    Args:
        shell: what runs it.
        condition: the condition.
        last: what ends the loop.

    Raises:
        CannotLower: it is not known, and this is no plan.
    """
    value = shell.value_of(condition)
    truth = truth_of(value)
    if truth is not None:
        return truth
    if not shell.session.planning:
        raise CannotLower(f"a loop depends on {text_of(value)}, which is not known")
    shell.session.late = True
    shell.session.note(f"whether a loop goes on depends on {text_of(value)}: the plan takes it to end here")
    return last


def _standing(shell: PowerShell) -> tuple[int, list[dict[str, Value]]]:
    """What a turn of a loop that only waits leaves as it was."""
    shell.slept = False
    return len(shell.session.edits), [dict(scope) for scope in shell.scopes]


def run_switch(shell: PowerShell, node: Switch) -> list[Value]:
    """`switch`."""
    shell.session.at = node.at
    if unlikely := set(node.options) - {"regex", "wildcard", "exact", "casesensitive"}:
        raise CannotLower(f"switch -{min(unlikely)} is not lowered")
    found: list[Value] = []
    operator = "match" if "regex" in node.options else "like" if "wildcard" in node.options else "eq"
    for subject in shell.statement(node.subject):
        matched = False
        shell.scopes.append({"_": subject, "psitem": subject})
        try:
            for value, body in node.cases:
                if value is None:
                    if not matched:
                        found += shell.block(body)
                    continue
                truth = truth_of(operators.binary(shell, operator, subject, shell.expression(value)))
                if truth is None:
                    raise CannotLower("a switch depends on what is not known before the build")
                if truth:
                    matched = True
                    found += shell.block(body)
        except LoopJump as jump:
            if jump.kind == "break":
                return found
        finally:
            shell.scopes.pop()
    return found


def run_trap(shell: PowerShell, node: Trap, error: Terminating) -> list[Value]:
    """A `trap` that takes an error: `break` gives it on, everything else goes on behind the statement that failed."""
    value = error.value if isinstance(error.value, Thing) else shell.error_record(error.message)
    shell.scopes.append({"_": value, "psitem": value})
    try:
        return shell.block(node.body)
    except LoopJump as jump:
        if jump.kind == "break":
            raise error from None
        return []
    finally:
        shell.scopes.pop()


def run_try(shell: PowerShell, node: Try) -> list[Value]:
    """`try`."""
    found: list[Value] = []
    try:
        shell.tries += 1
        try:
            found += shell.block(node.body)
        except Terminating as error:
            handler = next((body for types, body in node.handlers if not types or _catches(types)), None)
            if handler is None:
                raise
            value = error.value if isinstance(error.value, Thing) else shell.error_record(error.message)
            shell.scopes.append({"_": value, "psitem": value})
            try:
                found += shell.block(handler)
            finally:
                shell.scopes.pop()
            shell.succeeded = True
        finally:
            shell.tries -= 1
    finally:
        if node.last:
            found += shell.block(node.last)
    return found


class _Trial:
    """One way of an `if` in a plan, tried on a copy."""

    def __init__(self, shell: PowerShell, way: Callable[[], list[Value]]) -> None:
        session = shell.session
        self.session = session
        self.trial = session.fork()
        before = ([dict(scope) for scope in shell.scopes], shell.succeeded, shell.last_exit, list(shell.locations))
        shell.session = self.trial
        shell.succeeded = True
        self.values: list[Value] = []
        self.error: Exception | None = None
        try:
            self.values = way()
            self.rank = 0 if shell.succeeded else 1
        except (LoopJump, Return) as jump:
            self.error, self.rank = jump, 0
        except ExitScript as done:
            self.error, self.rank = done, 0 if done.status == 0 else 3
        except Terminating as error:
            self.error, self.rank = error, 3
        except CannotLower as error:
            self.error, self.rank = error, 2
        self.after = (shell.scopes, shell.succeeded, shell.last_exit, shell.locations)
        shell.scopes, shell.succeeded, shell.last_exit, shell.locations = before
        shell.session = session

    def take(self, shell: PowerShell) -> None:
        """Makes this way the one that was gone."""
        self.session.become(self.trial)
        shell.scopes, shell.succeeded, shell.last_exit, shell.locations = self.after


def _catches(types: tuple[str, ...]) -> bool:
    """Whether a catch with types takes an error; which class an error has is not followed."""
    del types
    return True
