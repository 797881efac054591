"""Quotes, escapes and `$variables`, as BuildKit's `frontend/dockerfile/shell/lex.go` reads them.

`$name`, `${name}`, and `${name:-word}`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/pattern/text`,
`//pattern/text`; patterns have `*` and `?`. Nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from wingo.dockerfile.words import is_space
from wingo.errors import RequestError

_MAX_DEPTH = 100
_MAX_SEARCHED = 1 << 12
"""Characters of a value that a pattern may be looked for in."""
_MAX_RESULT = 1 << 20
_SPECIAL = "@*#?-$!0"
_EOF = ""


class ExpansionError(RequestError):
    """A quote that is not closed, a substitution that there is not, or a variable that must be set."""


class Expanded(msgspec.Struct, frozen=True):
    """A word after its expansion.

    Attributes:
        text: the result.
        unset: the variables in it that nobody set, and for which the word has nothing else (`${X:-else}`).
        used: those that somebody did.
    """

    text: str
    unset: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


def expand(
    word: str, variables: Mapping[str, str], escape: str, *, keep_unset: bool = False, quotes: bool = True
) -> Expanded:
    """Expands a word: one word stays one, whatever the values have in them.

    Args:
        word: as written.
        variables: what may be named.
        escape: the Dockerfile's escape character.
        keep_unset: variables that nobody set stay as they are written.
        quotes: quotes are taken off; False: they are text, as in a heredoc.

    Raises:
        ExpansionError: it cannot be expanded.
    """
    if not any(mark in word for mark in ("$", "'", '"', "<", escape)):
        return Expanded(word)
    lexer = _Lexer(word, variables, escape, keep_unset=keep_unset, quotes=quotes)
    text = "".join(lexer.process(None))
    return Expanded(text, tuple(lexer.unset), tuple(lexer.used))


def split_expanded(
    text: str,
    variables: Mapping[str, str],
    escape: str,
    *,
    raw_quotes: bool = False,
    raw_escapes: bool = False,
    keep_unset: bool = False,
) -> list[str]:
    """Expands text and splits it at its spaces; what stands between quotes is not split.

    Raises:
        ExpansionError: it cannot be expanded.
    """
    lexer = _Lexer(
        text, variables, escape, keep_unset=keep_unset, raw_quotes=raw_quotes, raw_escapes=raw_escapes, quotes=True
    )
    words = _Words()
    lexer.process(words)
    return words.result()


class _Words:
    """Splits what it is given, but for what is quoted or escaped."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.word: list[str] = []
        self.inside = False

    def add(self, text: str) -> None:
        for character in text:
            if not is_space(character):
                self.add_raw(character)
            elif self.inside and any(self.word):
                self.words.append("".join(self.word))
                self.word, self.inside = [], False

    def add_raw(self, text: str) -> None:
        self.word.append(text)
        self.inside = True

    def result(self) -> list[str]:
        if any(self.word):
            self.words.append("".join(self.word))
            self.word = []
        return self.words


class _Lexer:
    def __init__(
        self,
        source: str,
        variables: Mapping[str, str],
        escape: str,
        *,
        keep_unset: bool,
        quotes: bool,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
    ) -> None:
        self.source, self.position = source, 0
        self.variables, self.escape = variables, escape
        self.keep_unset, self.quotes = keep_unset, quotes
        self.raw_quotes, self.raw_escapes = raw_quotes, raw_escapes
        self.unset: dict[str, None] = {}
        self.used: dict[str, None] = {}
        self.depth = 0

    def peek(self) -> str:
        return self.source[self.position : self.position + 1]

    def next(self) -> str:
        character = self.source[self.position : self.position + 1]
        self.position += 1
        return character

    def process(self, words: _Words | None) -> str:
        """The expanded text; with `words`, it is split into them as well."""
        try:
            return self._until(_EOF, self.raw_escapes, words)
        except ExpansionError as error:
            shown = self.source if len(self.source) <= 100 else self.source[:99] + "…"
            raise ExpansionError(f"{error} in {shown!r}", hint=error.hint) from None

    def _until(self, stop: str, raw_escapes: bool, words: _Words | None = None) -> str:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpansionError(f"substitutions are nested more than {_MAX_DEPTH} deep")
        before, self.raw_escapes = self.raw_escapes, raw_escapes
        try:
            return self._read_until(stop, words)
        finally:
            self.raw_escapes = before
            self.depth -= 1

    def _read_until(self, stop: str, words: _Words | None) -> str:
        result: list[str] = []
        size = 0
        while (character := self.peek()) != _EOF:
            if stop and character == stop:
                self.position += 1
                return "".join(result)
            splits = False
            if character == "$":
                text, splits = self._dollar(), True
            elif character == "<":
                text = self._possible_heredoc()
            elif self.quotes and character == "'":
                text = self._single_quoted()
            elif self.quotes and character == '"':
                text = self._double_quoted()
            elif character == self.escape:
                self.position += 1
                text = self.next()
                if not text and not self.raw_escapes:
                    break
                text = character + text if self.raw_escapes else text
            else:
                self.position += 1
                text, splits = character, True
            result.append(text)
            size += len(text)
            _check_size(size)
            if words is not None:
                (words.add if splits else words.add_raw)(text)
        if stop:
            raise ExpansionError(f"there is no {stop} to end the substitution")
        return "".join(result)

    def _single_quoted(self) -> str:
        end = self.source.find("'", self.position + 1)
        if end < 0:
            raise ExpansionError("a single quote is not closed")
        inside = self.source[self.position + 1 : end]
        self.position = end + 1
        return f"'{inside}'" if self.raw_quotes else inside

    def _double_quoted(self) -> str:
        quote = self.next() if self.raw_quotes else (self.next() and "")
        result = [quote]
        while True:
            character = self.peek()
            if character == _EOF:
                raise ExpansionError("a double quote is not closed")
            if character == "$":
                result.append(self._dollar())
                continue
            self.position += 1
            if character == '"':
                result.append(quote)
                return "".join(result)
            if character == self.escape:
                if self.raw_escapes:
                    result.append(character)
                following = self.peek()
                if following == _EOF:
                    continue
                if following in ('"', "$", self.escape):
                    character = self.next()
            result.append(character)

    def _possible_heredoc(self) -> str:
        self.position += 1
        if self.peek() != "<":
            return "<"
        self.position += 1
        start = self.position
        while self.peek() and self.peek() in "\t\r ":
            self.position += 1
        return "<<" + self.source[start : self.position]

    def _dollar(self) -> str:
        self.position += 1
        if self.peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            if value is None:
                return f"${name}" if self.keep_unset else ""
            return value
        self.position += 1
        if self.peek() == _EOF:
            raise ExpansionError("there is no } to end the substitution")
        if self.peek() in "{}:":
            raise ExpansionError("bad substitution")
        return self._substitution(self._name())

    def _substitution(self, name: str) -> str:
        modifier = self.next()
        if modifier == "}":
            value = self._value(name)
            if value is None:
                return f"${{{name}}}" if self.keep_unset else ""
            return value
        if modifier == "/":
            return self._replacement(name)
        empty_is_unset = modifier == ":"
        if empty_is_unset:
            modifier = self.next()
        shown = ":" * empty_is_unset + modifier
        if not modifier or modifier not in ("+-?" if empty_is_unset else "+-?#%"):
            raise ExpansionError(f"there is no substitution with {shown!r}")
        word = self._word("}", raw=modifier in "#%")
        value = self._value(name, needed=modifier in "#%")
        if value is None and self.keep_unset:
            return f"${{{name}{shown}{word}}}"
        missing = value is None or (empty_is_unset and not value)
        match modifier:
            case "-":
                return word if missing else value or ""
            case "+":
                return "" if missing else word
            case "?":
                if missing:
                    default = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                    raise ExpansionError(f"{name}: {word or default}")
                return value or ""
            case _:
                longest = word[:1] == modifier
                return _trimmed(value or "", word[longest:], longest=longest, suffix=modifier == "%")

    def _word(self, stop: str, *, raw: bool) -> str:
        return self._until(stop, raw)

    def _replacement(self, name: str) -> str:
        everywhere = self.peek() == "/"
        self.position += everywhere
        pattern = self._word("/", raw=True)
        text = self._word("}", raw=True)
        value = self._value(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{pattern}/{text}}}"
        return _replaced(value or "", _pattern(pattern), text, everywhere=everywhere)

    def _name(self) -> str:
        start = self.position
        first = self.peek()
        if first and first.isdecimal():
            while (character := self.peek()) and character.isdecimal():
                self.position += 1
        elif first and first in _SPECIAL:
            self.position += 1
        else:
            while (character := self.peek()) and (character == "_" or character.isalpha() or character.isdecimal()):
                self.position += 1
        return self.source[start : self.position]

    def _value(self, name: str, *, needed: bool = True) -> str | None:
        value = self.variables.get(name)
        if value is not None:
            self.used[name] = None
        elif needed:
            self.unset[name] = None
        return value


_ANY, _ONE = "*", "?"
_Pattern = list[tuple[str, bool]]
"""Characters, and whether each is a wildcard."""


def _pattern(text: str) -> _Pattern:
    found: _Pattern = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character in (_ANY, _ONE):
            found.append((character, True))
            continue
        if character == "\\":
            following = text[position : position + 1]
            if not following or following not in "}/*?\\":
                raise ExpansionError(f"the pattern {text[:80]!r} has the invalid escape '\\{following}'")
            position += 1
            character = following
        found.append((character, False))
    return found


def _compiled(pattern: _Pattern, *, longest: bool) -> re.Pattern[str]:
    """A pattern as an expression that cannot backtrack more than once: all but the last `*` take the least they can."""
    parts: list[list[str]] = [[]]
    for character, wild in pattern:
        if wild and character == _ANY:
            if parts[-1] or len(parts) == 1:
                parts.append([])
        else:
            parts[-1].append("." if wild else re.escape(character))
    first, *rest = ("".join(part) for part in parts)
    expression = first
    for number, part in enumerate(rest):
        last = number == len(rest) - 1
        expression += f"{'.*' if longest else '.*?'}{part}" if last else f"(?>.*?{part})"
    return re.compile(expression)


def _searched(value: str) -> str:
    if len(value) > _MAX_SEARCHED:
        raise ExpansionError(f"a value of more than {_MAX_SEARCHED} characters is not searched for patterns")
    return value


def _trimmed(value: str, pattern: str, *, longest: bool, suffix: bool) -> str:
    text = _searched(value)
    if suffix:
        # The shortest match at the end is the shortest at the beginning of the reverse.
        text, pattern = text[::-1], "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
    matched = _compiled(_pattern(pattern), longest=longest).match(text)
    rest = text if matched is None else text[matched.end() :]
    return rest[::-1] if suffix else rest


def _replaced(value: str, pattern: _Pattern, text: str, *, everywhere: bool) -> str:
    compiled = _compiled(pattern, longest=True)
    _searched(value)
    result: list[str] = []
    start, kept, size = 0, 0, 0
    while start <= len(value) and (matched := compiled.search(value, start)) is not None:
        result.append(value[kept : matched.start()])
        # An empty match right behind another one is none (Go's `ReplaceAllString`; Python's `sub` counts it).
        if matched.end() > kept or not matched.start():
            result.append(text)
            size += len(text)
            _check_size(size)
        kept = matched.end()
        start = max(kept, start + 1)
        if not everywhere:
            break
    return "".join((*result, value[kept:]))


def _check_size(size: int) -> None:
    if size > _MAX_RESULT:
        raise ExpansionError(f"the result is longer than {_MAX_RESULT} characters")
