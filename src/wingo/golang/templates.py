"""Fills `{{.Version}}` and the like into linker flags and build variables.

The names are GoReleaser's and ko's. A small strict reader: `{{.Name}}` and `{{.Env.NAME}}` and nothing else of Go's
templates, and an unknown name is an error, since a typing mistake would otherwise be shipped inside a binary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from wingo.errors import RequestError

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"-?\s*\.([A-Za-z_][A-Za-z0-9_.]*)\s*-?\Z")

KO_NAMES = {
    "Git.Branch": "Branch",
    "Git.Tag": "Tag",
    "Git.ShortCommit": "ShortCommit",
    "Git.FullCommit": "Commit",
    "Git.CommitDate": "CommitDate",
    "Git.CommitTimestamp": "CommitTimestamp",
    "Git.IsDirty": "IsDirty",
    "Git.IsClean": "IsClean",
    "Git.TreeState": "TreeState",
    "FullCommit": "Commit",
}
"""ko's and GoReleaser's spellings of our names."""

NAMES = (
    "Version",
    "Commit",
    "ShortCommit",
    "Tag",
    "Branch",
    "Date",
    "Timestamp",
    "CommitDate",
    "CommitTimestamp",
    "IsDirty",
    "IsClean",
    "TreeState",
)
"""The values there are, besides `Env.NAME`."""


def names_in(texts: Iterable[str]) -> frozenset[str]:
    """The values that texts refer to, in our spelling, without those of the environment.

    Raises:
        RequestError: an action is not understood, or a name is unknown.
    """
    found: set[str] = set()

    def note(name: str) -> str:
        found.add(name)
        return ""

    for text in texts:
        _replace(text, note)
    return frozenset(name for name in found if not name.startswith("Env."))


def fill(text: str, values: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Puts the values in.

    Args:
        text: the template.
        values: by our names; all that `names_in` found.
        environment: for `{{.Env.NAME}}`.

    Raises:
        RequestError: an action is not understood, a name is unknown, or a variable is not set.
    """

    def value(name: str) -> str:
        if not name.startswith("Env."):
            return values[name]
        variable = name.removeprefix("Env.")
        if variable not in environment:
            raise RequestError(
                f"the environment variable {variable} of {text!r} is not set", hint=f"Set {variable}, or take it out."
            )
        return environment[variable]

    return _replace(text, value)


def _replace(text: str, value: Callable[[str], str]) -> str:
    def replaced(action: re.Match[str]) -> str:
        return value(_known(action[1], text))

    filled = _ACTION.sub(replaced, text)
    if "{{" in _ACTION.sub("", text):
        raise RequestError(f"'{{{{' is not closed in {text[:200]!r}", hint="Close it with '}}'.")
    return filled


def _known(action: str, text: str) -> str:
    matched = _NAME.match(action.strip())
    if matched is None:
        raise RequestError(
            f"{{{{{action[:80]}}}}} in {text[:200]!r} is more than a name",
            hint="Use {{.Version}}, {{.Commit}}, {{.Date}}, {{.Env.NAME}} and the like; functions are not supported.",
        )
    name = matched[1]
    if name.startswith("Env.") and "." not in name[4:]:
        return name
    name = KO_NAMES.get(name, name)
    if name not in NAMES:
        raise _unknown(name, text)
    return name


def _unknown(name: str, text: str) -> RequestError:
    from difflib import get_close_matches

    near = get_close_matches(name, (*NAMES, *KO_NAMES), n=1, cutoff=0.5)
    return RequestError(
        f"there is no value {{{{.{name}}}}}, which {text[:200]!r} asks for",
        hint=f"Did you mean {{{{.{near[0]}}}}}?" if near else f"There are: {', '.join(NAMES)} and Env.NAME.",
    )
