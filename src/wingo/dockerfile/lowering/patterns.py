"""Wildcards of cmd.exe and of PowerShell."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CommandFailed


def is_pattern(text: str, *, brackets: bool = True) -> bool:
    """Whether a name has wildcards."""
    return any(character in text for character in ("*?[" if brackets else "*?"))


class Pattern:
    """A compiled wildcard pattern, without case."""

    def __init__(self, text: str, *, brackets: bool) -> None:
        parts = []
        index = 0
        while index < len(text):
            character = text[index]
            if character == "`" and brackets and index + 1 < len(text):
                parts.append(re.escape(text[index + 1]))
                index += 1
            elif character == "*":
                if not parts or parts[-1] != ".*":
                    parts.append(".*")
            elif character == "?":
                parts.append(".")
            elif character == "[" and brackets and (end := text.find("]", index + 2)) > 0:
                inside = text[index + 1 : end].replace("\\", "\\\\").replace("^", "\\^").replace("[", "\\[")
                parts.append(f"[{inside}]")
                index = end
            else:
                parts.append(re.escape(character))
            index += 1
        try:
            self._regex = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
        except re.error as error:
            raise CommandFailed(f"the wildcard pattern {text!r} is not valid") from error

    def match(self, name: str) -> bool:
        """Whether a whole name matches."""
        return self._regex.fullmatch(name) is not None


def compile_pattern(text: str, *, brackets: bool = True) -> Pattern:
    """A wildcard pattern; in cmd (no brackets) `*.*` is everything."""
    if not brackets and text == "*.*":
        text = "*"
    return Pattern(text, brackets=brackets)
