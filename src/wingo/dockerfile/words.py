"""The lowest level of the language: words, quotes, flags and JSON arrays within one logical line.

Follows BuildKit's `frontend/dockerfile/parser` (`line_parsers.go`, `split_command.go`), with one difference: a flag's
value is read as characters, where BuildKit takes its UTF-8 bytes one by one.
"""

from __future__ import annotations

import re

import msgspec

WHITESPACE = re.compile(r"[\t\v\f\r ]+")
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's `unicode.IsSpace` says is a space; Python's `str.isspace` has four control characters more."""
_SPACE_SET = frozenset(SPACES)


class NotStrings(ValueError):
    """A JSON array with something in it that is no string."""


def is_space(character: str) -> bool:
    """Whether Go calls it a space."""
    return character in _SPACE_SET


def split_words(text: str, escape: str) -> list[str]:
    """Words apart from each other; quotes and escapes stay in them, for the expansion to take off."""
    if not any(mark in text for mark in ("'", '"', escape)):
        return [word for word in re.split(f"[{SPACES}]+", text) if word]
    words: list[str] = []
    word: list[str] = []
    quote, quoted, started = "", False, False
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        position += 1
        if not started:
            if is_space(character):
                continue
            started = True
        if not quote and is_space(character):
            if quoted or word:
                words.append("".join(word))
            word, quoted, started = [], False, False
            continue
        if not quote and character in "'\"":
            quote, quoted = character, True
        elif quote and character == quote:
            quote = ""
        if character == escape and quote != "'":
            if position == end:
                quote = ""
                continue  # an escape at the end escapes nothing
            word.append(character)
            character = text[position]
            position += 1
        word.append(character)
    if started and (quoted or word):
        words.append("".join(word))
    return words


def take_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The flags (`--name=value`) at the beginning, unquoted, and what stands after them."""
    flags: list[str] = []
    word: list[str] = []
    quote, quoted, started = "", False, False
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        if not started:
            if is_space(character):
                position += 1
                continue
            if not text.startswith("--", position):
                return tuple(flags), text[position:]
            started = True
        position += 1
        if not quote:
            if is_space(character):
                flag = "".join(word)
                if flag == "--":
                    return tuple(flags), text[position - 1 :]
                if quoted or flag:
                    flags.append(flag)
                word, quoted, started = [], False, False
                continue
            if character in "'\"":
                quote, quoted = character, True
                continue
        elif character == quote:
            quote = ""
            continue
        if character == escape:
            if position == end:
                break
            character = text[position]
            position += 1
        word.append(character)
    flag = "".join(word)
    if started and flag != "--" and (quoted or flag):
        flags.append(flag)
    return tuple(flags), ""


def read_json_strings(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None when it is not JSON, so that the text is taken as it stands.

    Raises:
        NotStrings: it is an array, with something else than strings in it.
    """
    body = text.lstrip(SPACES)
    if not body.startswith("["):
        return None
    try:
        items = msgspec.json.decode(body.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not isinstance(items, list):
        return None
    if not all(isinstance(item, str) for item in items):
        raise NotStrings
    return tuple(items)
