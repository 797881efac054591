"""Shell commands that need no shell: `cd src && CGO_ENABLED=0 go build -o app .`, understood or left to the sandbox.

Only what has one meaning without running anything is read: words, quotes, variables that are known, `&&`, `;` (a command that
fails ends the step all the same), assignments, `cd`, `export`, `set`. Anything else (pipes, redirections, `$( )`, patterns, `||`,
loops) makes the whole command one for the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from wingo.dockerfile.ignore import clean_path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_SPECIAL = frozenset("|<>()`*?[]{}~!#")
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function"}
)
_MAX_COMMANDS = 200


class Simple(msgspec.Struct, frozen=True):
    """A command without shell syntax.

    Attributes:
        argv: its words, expanded.
        environment: variables that it sees: exported ones and its own assignments.
        directory: where it runs.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str


class _NotSimple(Exception):
    pass


def read_commands(text: str, variables: Mapping[str, str], directory: str) -> tuple[Simple, ...] | None:
    """The simple commands of a shell text, `cd`, `set`, `export` and assignments applied; None when it is more than that.

    Args:
        text: the command.
        variables: the environment.
        directory: an absolute path.
    """
    try:
        return tuple(_Reader(text, variables, directory).read())
    except _NotSimple:
        return None


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], directory: str) -> None:
        self.text, self.position = text, 0
        self.variables = dict(variables)
        self.exported = set(variables)
        self.directory = directory

    def read(self) -> list[Simple]:
        commands: list[Simple] = []
        while True:
            words, separator = self._command()
            if words:
                found = self._run(words)
                if found is not None:
                    commands.append(found)
                    if len(commands) > _MAX_COMMANDS:
                        raise _NotSimple
            if not separator:
                return commands
            if separator == "&&" and not words:
                raise _NotSimple

    def _command(self) -> tuple[list[tuple[str, bool]], str]:
        """Words (and whether each began with a quote), and what ended them: "&&", ";" or ""."""
        words: list[tuple[str, bool]] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            if character in " \t\r":
                self.position += 1
            elif character in ";\n":
                self.position += 1
                return words, ";"
            elif self.text.startswith("&&", self.position):
                self.position += 2
                return words, "&&"
            elif character == "&":
                raise _NotSimple
            elif character == "\\" and self.text.startswith("\n", self.position + 1):
                self.position += 2
            elif character == "#":
                end = self.text.find("\n", self.position)
                self.position = len(self.text) if end < 0 else end
            else:
                words.append(self._word())
        return words, ""

    def _word(self) -> tuple[str, bool]:
        parts: list[str] = []
        quoted = self.text[self.position] in "'\""
        while self.position < len(self.text):
            character = self.text[self.position]
            if character in " \t\r\n;&":
                break
            if (
                character in _SPECIAL
                and not (character == "#" and parts)
                and not (character in "!{}[]~" and self._plain())
            ):
                raise _NotSimple
            self.position += 1
            if character == "'":
                end = self.text.find("'", self.position)
                if end < 0:
                    raise _NotSimple
                parts.append(self.text[self.position : end])
                self.position = end + 1
            elif character == '"':
                parts.append(self._double_quoted())
            elif character == "\\":
                following = self.text[self.position : self.position + 1]
                self.position += 1
                if following != "\n":
                    parts.append(following)
            elif character == "$":
                value = self._variable()
                if re.search(r"[\s*?\[]", value):
                    raise _NotSimple  # it would be split, or be a pattern
                parts.append(value)
            else:
                parts.append(character)
        return "".join(parts), quoted

    def _plain(self) -> bool:
        """Whether a character that can be special is not, where it stands."""
        character = self.text[self.position]
        if character == "~":
            return self.position > 0 and self.text[self.position - 1] not in " \t=:"
        return False

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == '"':
                return "".join(parts)
            if character == "`":
                raise _NotSimple
            if character == "\\":
                following = self.text[self.position : self.position + 1]
                if following and following in '$`"\\\n':
                    self.position += 1
                    parts.append("" if following == "\n" else following)
                else:
                    parts.append(character)
            elif character == "$":
                parts.append(self._variable())
            else:
                parts.append(character)
        raise _NotSimple

    def _variable(self) -> str:
        if matched := _NAME.match(self.text, self.position):
            self.position = matched.end()
            return self.variables.get(matched[0], "")
        matched = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^{}$`\"'\\]*))?\}").match(
            self.text, self.position
        )
        if matched is None:
            raise _NotSimple
        self.position = matched.end()
        name, modifier, word = matched.groups()
        value = self.variables.get(name)
        if not modifier:
            return value or ""
        is_set = value is not None and not (modifier[0] == ":" and not value)
        if modifier[-1] == "-":
            return (value or "") if is_set else word
        return word if is_set else ""

    def _run(self, words: list[tuple[str, bool]]) -> Simple | None:
        own: dict[str, str] = {}
        while words and not words[0][1] and (matched := _ASSIGNMENT.match(words[0][0])):
            own[matched[1]] = words.pop(0)[0][matched.end() :]
        if not words:
            self.variables.update(own)
            return None
        argv = tuple(word for word, _ in words)
        name = argv[0]
        if name in _KEYWORDS:
            raise _NotSimple
        if name == "cd":
            if len(argv) != 2 or own or argv[1] == "-":
                raise _NotSimple
            self.directory = clean_path(argv[1] if argv[1].startswith("/") else f"{self.directory}/{argv[1]}")
            return None
        if name == "set":
            for flag in argv[1:]:
                if not re.fullmatch(r"-[eux]+|-o|pipefail|errexit|nounset|xtrace", flag):
                    raise _NotSimple
            return None
        if name == "export":
            for word in argv[1:]:
                variable, equals, value = word.partition("=")
                if not _NAME.fullmatch(variable):
                    raise _NotSimple
                if equals:
                    self.variables[variable] = value
                self.exported.add(variable)
            return None
        if name in (":", "true") or (name == "echo" and not own):
            return None
        seen = {key: value for key, value in self.variables.items() if key in self.exported} | own
        return Simple(argv, tuple(seen.items()), self.directory)
