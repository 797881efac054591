"""Path patterns: `.dockerignore` and `--exclude` (moby/patternmatcher), and the wildcards of COPY (Go's `path.Match`).

Patterns become regular expressions that cannot run away: within one path component, every `*` but the last takes the
least it can and keeps it, which is enough to find every match; what is left to try is the place of each `**`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from wingo.dockerfile.words import SPACES
from wingo.errors import RequestError

_MAX_PATTERNS = 10_000
_MAX_DEEP = 4
"""`**` in one pattern: each may stand for any number of directories, and all combinations are tried."""
_ESCAPED = ".+()|{}$"
Match = Callable[[str], bool]


def clean_path(text: str) -> str:
    """Go's `path.Clean`: no doubled slashes, no `.`, and no `..` that has something before it."""
    parts: list[str] = []
    rooted = text.startswith("/")
    for part in text.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
                continue
            if rooted:
                continue
        parts.append(part)
    return "/" * rooted + "/".join(parts) or "."


def read_ignore_file(data: bytes) -> tuple[str, ...]:
    """The patterns of a `.dockerignore`, without comments, each seen from the context."""
    found: list[str] = []
    for line in data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n"):
        pattern = line.rstrip("\r")
        if pattern.startswith("#") or not (pattern := pattern.strip(SPACES)):
            continue
        negated = pattern.startswith("!")
        body = pattern[1:].strip(SPACES) if negated else pattern
        if body:
            body = clean_path(body)
            body = body[1:] if len(body) > 1 and body[0] == "/" else body
        found.append("!" * negated + body)
    return tuple(found)


class IgnorePatterns:
    """Which paths a list of patterns leaves out; a later `!pattern` takes some of them back in.

    A path is left out with its directory. What a directory is, is remembered: the paths of a tree are asked for in any
    order.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Reads patterns.

        Raises:
            RequestError: one of them is none.
        """
        self._rules: list[tuple[bool, Match]] = []
        for text in patterns:
            pattern = text.strip(SPACES)
            if not pattern:
                continue
            pattern = clean_path(pattern)
            negated = pattern.startswith("!")
            if negated and len(pattern) == 1:
                raise RequestError("the pattern '!' takes nothing back in", hint="Write !PATTERN.")
            self._rules.append((negated, _ignoring(pattern[negated:])))
            if len(self._rules) > _MAX_PATTERNS:
                raise RequestError(f"there are more than {_MAX_PATTERNS} patterns of what is left out")
        self._of_directory: dict[str, tuple[bool, ...]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing is ever left out."""
        return all(negated for negated, _ in self._rules)

    @property
    def takes_back(self) -> bool:
        """Whether something below a directory that is left out may be in all the same."""
        return any(negated for negated, _ in self._rules)

    def ignores(self, path: str) -> bool:
        """Whether a path, relative and with forward slashes, is left out."""
        above, _, _ = path.rpartition("/")
        parent = self._matched(above) if above else ()
        ignored = False
        for number, (negated, match) in enumerate(self._rules):
            if negated is ignored and ((parent and parent[number]) or match(path)):
                ignored = not negated
        return ignored

    def _matched(self, directory: str) -> tuple[bool, ...]:
        """For each pattern, whether it matches a directory or one above it."""
        found = self._of_directory.get(directory)
        if found is None:
            above, _, _ = directory.rpartition("/")
            parent = self._matched(above) if above else (False,) * len(self._rules)
            found = tuple(before or match(directory) for before, (_, match) in zip(parent, self._rules, strict=True))
            self._of_directory[directory] = found
        return found


def _ignoring(pattern: str) -> Match:
    pieces = _pieces(pattern)
    if pattern.startswith("**") and not any(kind for kind, _ in pieces[1:]):
        suffix = pattern[2:]
        return lambda path: path.endswith(suffix) or (suffix[:1] == "/" and path == suffix[1:])
    if not any(kind for kind, _ in pieces):
        return lambda path: path == pattern
    if pattern.endswith("**") and not any(kind for kind, _ in pieces[:-1]):
        prefix = pattern[:-2]
        return lambda path: path.startswith(prefix)
    compiled = re.compile(_expression(pieces), re.DOTALL)
    return lambda path: compiled.match(path) is not None


def compile_wildcards(pattern: str) -> Match:
    r"""`path.Match`: `*` and `?` within one component, `[a-z]`, `[^a]`, `\x`.

    Raises:
        RequestError: a bracket or an escape has no end.
    """
    compiled = re.compile(_expression(_pieces(pattern, deep=False)), re.DOTALL)
    return lambda path: compiled.match(path) is not None


def has_wildcards(pattern: str) -> bool:
    """Whether it is a pattern at all."""
    return any(mark in pattern for mark in "*?[\\")


_Piece = tuple[str, str]
"""A kind ("" for a literal, "*", "**" for directories, "***" for everything, "1" for one character) and its text."""


def _bad(pattern: str) -> RequestError:
    return RequestError(
        f"{pattern[:120]!r} is no pattern: a bracket or an escape in it has no end",
        hint="Put a backslash before a character that is meant as itself.",
    )


def _pieces(pattern: str, *, deep: bool = True) -> list[_Piece]:
    pieces: list[_Piece] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            if deep and pattern.startswith("*", position):
                position += 1
                if pattern.startswith("/", position):
                    position += 1
                pieces.append(("***" if position == len(pattern) else "**", ""))
            else:
                pieces.append(("*", ""))
        elif character == "?":
            pieces.append(("1", "[^/]"))
        elif character == "[":
            end, expression = _bracket(pattern, position)
            pieces.append(("1", expression))
            position = end
        elif character == "\\":
            if position == len(pattern):
                raise _bad(pattern)
            pieces.append(("1", re.escape(pattern[position])))
            position += 1
        elif character == "]" and deep:
            pieces.append(("1", re.escape(character)))
        else:
            pieces.append(("", re.escape(character)))
    if sum(kind in ("**", "***") for kind, _ in pieces) > _MAX_DEEP:
        raise RequestError(f"the pattern {pattern[:120]!r} has more than {_MAX_DEEP} '**'")
    return pieces


def _bracket(pattern: str, start: int) -> tuple[int, str]:
    position = start
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []

    def one() -> str:
        nonlocal position
        character = pattern[position : position + 1]
        if not character or character in "-]":
            raise _bad(pattern)
        position += 1
        if character == "\\":
            character = pattern[position : position + 1]
            position += 1
        if not character or position >= len(pattern):
            raise _bad(pattern)
        return character

    while not ranges or pattern[position] != "]":
        low = one()
        high = low
        if pattern[position] == "-":
            position += 1
            high = one()
        if low > high:
            # Go's regular expressions refuse it, its path.Match finds nothing.
            raise _bad(pattern)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return position + 1, f"[{'^' * negated}{''.join(ranges)}]"


def _expression(pieces: Sequence[_Piece]) -> str:
    """A regular expression for the whole path; see the top for why it cannot run away."""
    parts: list[str] = []
    star: list[str] | None = None  # what stands after the last "*" of this component

    def close(*, last: bool) -> None:
        nonlocal star
        if star is not None:
            parts.append(f"[^/]*{''.join(star)}" if last else f"(?>[^/]*?{''.join(star)})")
        star = None

    for kind, text in pieces:
        if kind == "*":
            if star:
                close(last=False)
            star = []
        elif kind in ("**", "***"):
            close(last=True)
            parts.append("(?:.*/)?" if kind == "**" else ".*")
        elif text == "/":
            (parts if star is None else star).append("/")
            close(last=True)
        else:
            (parts if star is None else star).append(text)
    close(last=True)
    return "".join(parts) + r"\Z"
