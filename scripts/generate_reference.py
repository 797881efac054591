"""Writes the pages of docs/reference that the code knows best; with --check, says which are out of date.

`cli/*.md` come from the argument parsers, `api/*.md` from the docstrings (read with ast, nothing is imported), and
the table of settings is put between its marks in `settings.md`.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wingo.check.rule import Rule
from wingo.cli.main import build_parser
from wingo.pipeline.rulebook import ALL_RULES
from wingo.pipeline.settings import SETTINGS, Kind, Setting

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "wingo"
ROOMS = (
    "errors", "oci", "image", "archive", "hive", "binary", "linux", "windows", "view", "check", "golang", "stores", "launch",
    "dockerfile", "pipeline", "testing",
)  # fmt: skip
NOTE = "<!-- Written by `make docs` from the code; change it there. -->\n\n"
API_NOTE = "What each name takes, gives and raises is in its docstring: `python -m pydoc MODULE`."
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def main() -> int:
    """Writes or checks every page."""
    pages = dict(all_pages())
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
        stale += [
            path
            for folder in ("cli", "api", "rules")
            for path in (REFERENCE / folder).glob("*.md")
            if path not in pages
        ]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run `make docs`", file=sys.stderr)
        return int(bool(stale))
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for folder in ("cli", "api", "rules"):
        for path in (REFERENCE / folder).glob("*.md"):
            if path not in pages:
                path.unlink()
    return 0


def all_pages() -> Iterator[tuple[Path, str]]:
    """Every page: where it stands and its text."""
    parsers = dict(command_parsers(build_parser()))
    yield REFERENCE / "cli" / "README.md", cli_index(parsers)
    for words, parser in parsers.items():
        if " " not in words:
            inner = [cli_page(name, each) for name, each in parsers.items() if name.startswith(f"{words} ")]
            yield REFERENCE / "cli" / f"{words}.md", NOTE + "\n".join([cli_page(words, parser), *inner])
    for room in ROOMS:
        modules = list(room_modules(room))
        if modules:
            page = f"{NOTE}# {room}\n\n{API_NOTE}\n\n" + "\n".join(modules)
            yield REFERENCE / "api" / f"{room}.md", page
    yield REFERENCE / "rules" / "README.md", rules_index()
    for rule in ALL_RULES:
        yield REFERENCE / "rules" / f"{rule.id}.md", rule_page(rule)
    settings = REFERENCE / "settings.md"
    text = settings.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    yield settings, f"{before}{BEGIN}\n{settings_table()}{END}{rest.partition(END)[2]}"


# The command line


def command_parsers(parser: argparse.ArgumentParser, above: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command below a parser, and theirs: ("base list", its parser)."""
    for action in parser._actions:  # noqa: SLF001  argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, child in action.choices.items():
                yield f"{above}{name}", child
                yield from command_parsers(child, f"{above}{name} ")


def command_summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The line of each command in the help."""
    summaries = {}
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            summaries.update({choice.dest: choice.help or "" for choice in action._choices_actions})  # noqa: SLF001
    return summaries


def cli_index(parsers: dict[str, argparse.ArgumentParser]) -> str:
    """The list of commands."""
    rows = "".join(
        f"| [`wingo {name}`]({name}.md) | {summary} |\n"
        for name, summary in command_summaries(build_parser()).items()
        if name in parsers
    )
    return f"{NOTE}# The command line\n\n| command | what it does |\n| --- | --- |\n{rows}"


def cli_page(words: str, parser: argparse.ArgumentParser) -> str:
    """One command: usage, description, arguments by group, examples."""
    level = "#" * (words.count(" ") + 1)
    parts = [f"{level} wingo {words}\n", f"```text\n{usage(words, parser)}\n```\n"]
    if parser.description:
        parts.append(f"{parser.description.strip()}\n")
    for group in parser._action_groups:  # noqa: SLF001
        actions = [
            action
            for action in group._group_actions  # noqa: SLF001
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        ]
        if actions:
            rows = "".join(f"| {spelling(action)} | {cell(action.help or '')} |\n" for action in actions)
            parts.append(f"{level}# {(group.title or 'options').capitalize()}\n\n| | |\n| --- | --- |\n{rows}")
    if parser.epilog:
        parts.append(f"```text\n{parser.epilog.strip()}\n```\n")
    return "\n".join(parts)


def usage(words: str, parser: argparse.ArgumentParser) -> str:
    """A short usage: the arguments by place, not every option."""
    names = [f"wingo {words}", "[options]"]
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            names.append("COMMAND …")
        elif not action.option_strings:
            name = str(action.metavar or action.dest)
            many = f"{name} …" if action.nargs in ("*", "+") else name
            names.append(f"[{many}]" if action.nargs in ("*", "?") else many)
    return " ".join(names)


def spelling(action: argparse.Action) -> str:
    """`-t`, `--name NAME`, as code."""
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if not action.option_strings:
        return f"`{value.strip()}`"
    return ", ".join(f"`{name}`" for name in action.option_strings[:-1]) + (
        (", " if len(action.option_strings) > 1 else "") + f"`{action.option_strings[-1]}{value}`".replace("|", "\\|")
    )


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.replace("|", "\\|").replace("%%", "%").split())


# Rules


def rules_index() -> str:
    """The list of rules, by what they are about."""
    text = f"{NOTE}# Rules of `wingo check`\n\nWhat severities, waivers and exit codes mean: [checks](../checks.md).\n"
    for group in dict.fromkeys(rule.group for rule in ALL_RULES):
        text += f"\n## {group.value[0].upper()}{group.value[1:]}\n\n| rule | severity | what should be so |\n| --- | --- | --- |\n"
        text += "".join(
            f"| [{rule.id}]({rule.id}.md) | {rule.severity.value} | {cell(rule.title)} |\n"
            for rule in ALL_RULES
            if rule.group is group
        )
    return text


def rule_page(rule: Rule[Any]) -> str:
    """One rule: why, an example, how to mend it; from its docstring."""
    system = f", on {rule.os.capitalize()}" if rule.os else ""
    text = f"{NOTE}# {rule.id}\n\n{rule.title}\n\n"
    text += f"`{rule.name}`, {rule.severity.value}{system}. It looks at each {rule.scope.value}, and needs {rule.needs.value}.\n"
    for heading, body in rule.page.items():
        text += f"\n## {heading}\n\n"
        text += f"```toml\n{body}\n```\n" if body.startswith("[[") else f"{body}\n"
    return text


# Settings


def settings_table() -> str:
    """A table for each group of settings."""
    groups: dict[str, list[Setting]] = {}
    for setting in SETTINGS:
        groups.setdefault(setting.group, []).append(setting)
    text = ""
    for group, settings in groups.items():
        text += f"\n### {group.capitalize()}\n\n| wingo.toml | flag | variable | value | what |\n"
        text += "| --- | --- | --- | --- | --- |\n"
        for each in settings:
            flag = f"`--{each.name}`" + (f", `-{each.short}`" if each.short else "") if each.flag else ""
            variable = f"`{each.variable}`" if each.variable else ""
            text += f"| `{each.name}` | {flag} | {variable} | {KINDS[each.kind]} | {cell(each.help)} |\n"
    return text + "\n"


KINDS = {
    Kind.TEXT: "text",
    Kind.NUMBER: "number",
    Kind.SWITCH: "true or false",
    Kind.WORDS: "list, or commas between",
    Kind.LINES: "list",
    Kind.MAP: "table",
    Kind.TABLE: "table of its own",
}


# The library


def room_modules(room: str) -> Iterator[str]:
    """The modules of a room that have public names, as text."""
    root = SOURCE / room
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    for path in paths:
        names = path.relative_to(SOURCE.parent).with_suffix("").parts
        module = ".".join(names).removesuffix(".__init__")
        if not path.exists() or any(name.startswith("_") and name != "__init__" for name in names):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        rows = "".join(row for node in tree.body for row in describe(node))
        if rows:
            about = first_paragraph(ast.get_docstring(tree) or "")
            yield f"## `{module}`\n\n{about}\n\n| name | what |\n| --- | --- |\n{rows}"


def describe(node: ast.stmt, above: str = "") -> Iterator[str]:
    """The row of a public class or function that has a docstring; those of a class's methods too."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
        doc = ast.get_docstring(node)
        if doc is None:
            return
        if isinstance(node, ast.ClassDef):
            title = f"class {node.name}"
        else:
            returns = f" → {ast.unparse(node.returns)}" if node.returns and ast.unparse(node.returns) != "None" else ""
            arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("cls, ")
            title = f"{above}{node.name}({'' if arguments in ('self', 'cls') else arguments}){returns}"
        yield f"| `{cell(title)}` | {cell(first_paragraph(doc))} |\n"
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                yield from describe(child, f"{node.name}.")


def first_paragraph(text: str) -> str:
    """A docstring's first paragraph on one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(main())
