"""Mutates each rule, and counts what the corpus notices: `python -m tests.checks.mutate [WGO###...]`.

A mutant is a rule with one thing changed: a condition negated, a bound moved, `and` for `or`, an operand or a statement left out, a number or a
text changed, another severity. It is killed when one of the rule's twins (`tests/checks/corpus.py`) is told something else than the unchanged rule tells it
(`findings.json`), which is what tests/unit/check/test_corpus.py holds; a mutant that raises or hangs is killed too. Functions of the
same module that a rule calls are mutated with it.

Everything runs in this process: a mutant costs some milliseconds, and the images are read once. Tools that change files and start the tests
for each mutant take a second and more for each of thousands.

Left alone: what only says how many characters of foreign text are shown (`text[:120]`), texts of messages and hints, which `findings.json` has word by
word, and docstrings.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import inspect
import json
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tests.checks.corpus import CASES, expected, name_of
from tests.checks.twins import Subject, Twins, said
from wingo.check.rule import Rule
from wingo.pipeline.rulebook import BY_ID

SECONDS = 2.0
"""A mutant that takes longer hangs."""
LEFT_FILE = Path(__file__).with_name("left.json")
"""Mutants that no image of the corpus can tell from the rule, by their description, with the reason."""
_SHOWN = 40
_NEGATED: dict[type, type] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_MOVED: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OTHER_OPERATOR: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_OTHER_CALL = {
    "any": "all",
    "all": "any",
    "min": "max",
    "max": "min",
    "startswith": "endswith",
    "endswith": "startswith",
}
_FOLDING = {"upcase", "lower", "casefold", "strip", "rstrip", "lstrip", "removesuffix", "removeprefix"}


class Mutant(NamedTuple):
    """A change of one node.

    Attributes:
        function: whose source it is in.
        line: of the module.
        what: the change, for people.
        tree: the changed function.
    """

    function: str
    line: int
    what: str
    tree: ast.FunctionDef


class Result(NamedTuple):
    """What became of a rule's mutants."""

    rule: str
    mutants: int
    survivors: tuple[Mutant, ...]
    left: int


# Changes


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What may stand in a node's place, with a description; None: nothing (a statement is left out)."""
    match node:
        case ast.Compare(ops=[operator]):
            for table in (_NEGATED, _MOVED):
                if type(operator) in table:
                    changed = copy.deepcopy(node)
                    changed.ops = [table[type(operator)]()]
                    yield shown(node, changed), changed
        case ast.BoolOp(op=operator, values=values):
            changed = copy.deepcopy(node)
            changed.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield shown(node, changed), changed
            for number in range(len(values)):
                left = copy.deepcopy(node)
                del left.values[number]
                other = left if len(left.values) > 1 else left.values[0]
                yield shown(node, other), other
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield shown(node, operand), copy.deepcopy(operand)
        case ast.If() | ast.IfExp():
            for text, test in (("never", ast.Constant(value=False)), ("always", ast.Constant(value=True))):
                changed = copy.deepcopy(node)
                changed.test = test
                yield f"{text}: if {ast.unparse(node.test)}", changed
        case ast.comprehension(ifs=[_, *_]):
            for number in range(len(node.ifs)):
                changed = copy.deepcopy(node)
                del changed.ifs[number]
                yield f"no condition {ast.unparse(node.ifs[number])}", changed
        case ast.BinOp(op=operator) if type(operator) in _OTHER_OPERATOR and not _is_text(node):
            changed = copy.deepcopy(node)
            changed.op = _OTHER_OPERATOR[type(operator)]()
            yield shown(node, changed), changed
        case ast.Call(func=ast.Name(id=name) as called) if name in _OTHER_CALL:
            changed = copy.deepcopy(node)
            changed.func = ast.Name(id=_OTHER_CALL[name], ctx=called.ctx)
            yield shown(node, changed), changed
        case ast.Call(func=ast.Attribute(attr=name)) if name in _OTHER_CALL:
            changed = copy.deepcopy(node)
            changed.func.attr = _OTHER_CALL[name]  # type: ignore[attr-defined]
            yield shown(node, changed), changed
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _FOLDING:
            yield shown(node, argument), copy.deepcopy(argument)
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in _FOLDING:
            yield shown(node, value), copy.deepcopy(value)
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()) | ast.Continue() | ast.Break() | ast.Return(value=None):
            yield f"without {ast.unparse(node).splitlines()[0][:60]}", None
        case ast.Constant(value=bool() as value):
            yield shown(node, ast.Constant(value=not value)), ast.Constant(value=not value)
        case ast.Constant(value=int() as value):
            yield shown(node, ast.Constant(value=value + 1)), ast.Constant(value=value + 1)
        case ast.Constant(value=str() as value) if value:
            yield shown(node, ast.Constant(value=f"{value}Q")), ast.Constant(value=f"{value}Q")
        case ast.Attribute(value=ast.Name(id="Severity"), attr=name):
            other = "NOTE" if name != "NOTE" else "ERROR"
            changed = copy.deepcopy(node)
            changed.attr = other
            yield shown(node, changed), changed
        case _:
            pass


def shown(node: ast.AST, other: ast.AST) -> str:
    """A change as text."""
    return f"{ast.unparse(node)[:100]} → {ast.unparse(other)[:100]}"


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        for each in ast.walk(node)
    )


def left_alone(function: ast.FunctionDef) -> set[int]:
    """Nodes that are not changed: the docstring, annotations, messages, hints, how much of a text is shown."""
    found: set[int] = set()
    spared: list[ast.AST] = [*function.args.args, *([function.returns] if function.returns else [])]
    if ast.get_docstring(function, clean=False) is not None:
        spared.append(function.body[0])
    for node in ast.walk(function):
        match node:
            case ast.AnnAssign(annotation=annotation):
                spared.append(annotation)
            case ast.JoinedStr(values=values):
                found.update(id(each) for each in values if isinstance(each, ast.Constant))
                spared += [
                    each.format_spec for each in values if isinstance(each, ast.FormattedValue) and each.format_spec
                ]
            case ast.keyword(arg="message" | "hint", value=value):
                found.update(id(each) for each in ast.walk(value) if _is_plain_text(each))
            case ast.Slice(upper=ast.Constant(value=int() as bound)) if bound >= _SHOWN:
                spared.append(node)
            case ast.keyword(arg="strict") | ast.Call(func=ast.Name(id="lru_cache")):
                spared.append(node)
            case ast.Assert():
                spared.append(node)
            case ast.Assign(value=value):
                found.update(
                    id(each) for each in ast.walk(value) if isinstance(each, ast.Constant) and _is_sentence(each.value)
                )
            case _:
                pass
    for node in spared:
        found.update(id(each) for each in ast.walk(node))
    return found


def _is_plain_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and " " in value


def mutants(function: ast.FunctionDef) -> Iterator[Mutant]:
    """Every change of a function, one at a time."""
    spared = left_alone(function)
    for number, node in enumerate(ast.walk(function)):
        if id(node) in spared or node is function:
            continue
        for what, other in changes(node):
            tree = copy.deepcopy(function)
            _replace(tree, number, other)
            yield Mutant(function.name, getattr(node, "lineno", function.lineno), what, ast.fix_missing_locations(tree))


def _replace(tree: ast.AST, number: int, other: ast.AST | None) -> None:
    """Puts a node in the place of the one with a number, as `ast.walk` counts."""
    wanted = next(node for at, node in enumerate(ast.walk(tree)) if at == number)
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is wanted:
                setattr(parent, field, other)
                return
            if isinstance(value, list) and any(each is wanted for each in value):
                at = next(at for at, each in enumerate(value) if each is wanted)
                value[at] = other if other is not None else ast.Pass()
                return


# Running


class Hung(Exception):
    """A mutant took too long."""


class Sources:
    """A module of rules: its functions, and which of them a rule uses."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        tree = ast.parse(inspect.getsource(module))
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def used_by(self, name: str) -> list[str]:
        """A function and those of the module that it calls, in the order of the module."""
        found, pending = {name}, [name]
        while pending:
            for node in ast.walk(self.functions[pending.pop()]):
                if isinstance(node, ast.Name) and node.id in self.functions and node.id not in found:
                    found.add(node.id)
                    pending.append(node.id)
        return [each for each in self.functions if each in found and not each.endswith("_rule")]

    def changed(self, mutant: Mutant, rule: str) -> Rule[Any]:
        """A rule with one function changed."""
        body: list[ast.stmt] = [
            mutant.tree if each == mutant.function else self.functions[each] for each in self.used_by(rule)
        ]
        names = dict(vars(self.module))
        exec(compile(ast.Module(body, []), f"<{rule}>", "exec"), names)
        found: Rule[Any] = names[rule]
        return found


class Examples:
    """The corpus, read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[str, list[tuple[Twins, bool, Subject, list[str]]]] = {}
        self.expected = expected()

    def of(self, rule: str) -> list[tuple[Twins, bool, Subject, list[str]]]:
        """Each image of a rule, and what the rule says of it."""
        if rule not in self.read:
            found = []
            for number, twins in enumerate(CASES[rule]):
                for bad in (True, False):
                    name = name_of(number, bad=bad)
                    twins.write(self.folder / rule / name, bad=bad)
                    found.append(
                        (twins, bad, twins.read(self.folder / rule / name, bad=bad), self.expected[rule][name])
                    )
            self.read[rule] = found
        return self.read[rule]

    def notice(self, rule: Rule[Any]) -> bool:
        """Whether a rule says something else of one of its images than it should."""
        for twins, bad, subject, lines in self.of(rule.id):
            try:
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                found = [said(finding) for finding in twins.findings(subject, rule, bad=bad)]
            except Exception:  # noqa: BLE001  (whatever it raises: the test would fail)
                return True
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if found != lines:
                return True
        return False


def run(rules: Sequence[str], folder: Path) -> list[Result]:
    """Mutates these rules."""
    signal.signal(signal.SIGALRM, _hung)
    examples = Examples(folder)
    modules: dict[str, Sources] = {}
    users: dict[tuple[str, str], list[str]] = {}
    for rule in BY_ID.values():
        name = rule.find.__module__
        source = modules.setdefault(name, Sources(importlib.import_module(name)))
        for function in source.used_by(rule.find.__name__):
            users.setdefault((name, function), []).append(rule.id)
    left: Mapping[str, str] = json.loads(LEFT_FILE.read_text("utf-8")) if LEFT_FILE.exists() else {}
    results = []
    for number in rules:
        rule = BY_ID[number]
        if examples.notice(rule):
            raise SystemExit(f"{number} as it is says something else than findings.json")
        source = modules[rule.find.__module__]
        count, survivors, same = 0, [], 0
        for function in source.used_by(rule.find.__name__):
            asked = users[source.module.__name__, function]
            if asked[0] != number and asked[0] in rules:
                continue  # it is counted to the first that uses it
            for mutant in mutants(source.functions[function]):
                count += 1
                # Whoever uses the function may notice.
                if any(noticed(examples, source, mutant, each) for each in asked):
                    continue
                if key_of(mutant) in left:
                    same += 1
                else:
                    survivors.append(mutant)
        results.append(Result(number, count, tuple(survivors), same))
    return results


def noticed(examples: Examples, source: Sources, mutant: Mutant, number: str) -> bool:
    """Whether a rule with a changed function is noticed."""
    try:
        changed = source.changed(mutant, BY_ID[number].find.__name__)
    except Exception:  # noqa: BLE001  (the module could not be imported)
        return True
    if changed.id != number:
        return True
    return examples.notice(changed)


def key_of(mutant: Mutant) -> str:
    """What a mutant is known by, wherever its line goes."""
    return f"{mutant.function}: {mutant.what}"


def _hung(*_: object) -> None:
    raise Hung


def report(results: Sequence[Result]) -> str:
    """A line for each rule, and the survivors."""
    lines = []
    for result in results:
        killed = result.mutants - len(result.survivors) - result.left
        lines.append(
            f"{result.rule}  {result.mutants:4} mutants  {killed:4} killed  {result.left:3} left with a reason  {len(result.survivors):3} survive"
        )
        lines += [
            textwrap.shorten(f"    {each.line}: {key_of(each)}", 220, placeholder=" …") for each in result.survivors
        ]
    mutants_ = sum(result.mutants for result in results)
    same, alive = sum(result.left for result in results), sum(len(result.survivors) for result in results)
    lines.append(
        f"{len(results)} rules, {mutants_} mutants: {mutants_ - same - alive} killed, {same} left with a reason, {alive} survive"
    )
    return "\n".join(lines)


def main() -> int:
    """Mutates, prints, and gives 1 when a mutant survives."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rules", nargs="*", metavar="WGO###", help="these rules only")
    options = parser.parse_args()
    chosen = options.rules or sorted(BY_ID)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        results = run(chosen, Path(name))
    print(report(results))
    print(f"{time.process_time() - started:.1f} s of CPU", file=sys.stderr)
    return int(any(result.survivors for result in results))


if __name__ == "__main__":
    sys.exit(main())
