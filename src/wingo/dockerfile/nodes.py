"""Dockerfile text → one `Node` for each instruction: comments, directives, continuation lines, heredocs.

Follows BuildKit's `frontend/dockerfile/parser/parser.go` and `directives.go`, with its quirks: a line that ends in two
escape characters goes on in no next line, comments may stand between continuation lines, and directives end at the
first line that is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from wingo.dockerfile.expand import ExpansionError, split_expanded
from wingo.dockerfile.source import At, DockerfileError
from wingo.dockerfile.words import SPACES, WHITESPACE, NotStrings, read_json_strings, split_words, take_flags

MAX_DOCKERFILE_BYTES = 4 << 20
"""No Dockerfile of people is a hundredth of it."""
_MAX_LINE_BYTES = (64 << 10) - 1
"""Of one physical line, as BuildKit."""
_MAX_LOGICAL_LINE = 1 << 20
_MAX_INSTRUCTIONS = 20_000
_MAX_HEREDOCS = 100

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*\Z")
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)\Z")
_KEY_VALUE = ("env", "label")
_TEXT = ("maintainer", "stopsignal", "user", "workdir")
_COMMAND = ("cmd", "entrypoint", "run", "shell")
_LIST = ("add", "copy", "volume")
_WORDS = ("expose", "from")
KEYWORDS = (*_KEY_VALUE, *_TEXT, *_COMMAND, *_LIST, *_WORDS, "arg", "healthcheck", "onbuild")
"""Every instruction there is, in lower case."""


class Heredoc(msgspec.Struct, frozen=True):
    """A document within the Dockerfile.

    Attributes:
        name: the word after `<<`, without quotes; the file's name in COPY.
        content: its lines, with their line ends.
        expand: variables in it are expanded: the word had no quotes.
        chomp: `<<-`: leading tabs are no part of it.
        descriptor: the number before `<<`.
    """

    name: str
    content: str = ""
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0

    @property
    def text(self) -> str:
        """The content, without the leading tabs when they are to go."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


class Node(msgspec.Struct, frozen=True):
    """One instruction, split into words and not yet understood.

    Attributes:
        at: where.
        keyword: as written.
        flags: `--name=value`, unquoted.
        arguments: for ENV and LABEL name, value and "=" (or "" in the old form `ENV name value`) for each.
        exec_form: the arguments were a JSON array.
        heredocs: in the order of their words.
        child: of ONBUILD, the instruction.
    """

    at: At
    keyword: str
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    exec_form: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    child: Node | None = None


class Nodes(msgspec.Struct, frozen=True):
    """A Dockerfile's instructions.

    Attributes:
        file: its name.
        nodes: at least one.
        escape: a backslash, or the backtick.
        syntax: the value of `# syntax=`, or "".
        check: the value of `# check=`, or "".
        warnings: for people: what BuildKit says will be an error one day.
    """

    file: str
    nodes: tuple[Node, ...]
    escape: str = "\\"
    syntax: str = ""
    check: str = ""
    warnings: tuple[str, ...] = ()


def read_nodes(data: bytes, file: str) -> Nodes:
    """Splits a Dockerfile into its instructions.

    Args:
        data: its bytes; UTF-8, with or without a byte order mark; other bytes are read as U+FFFD.
        file: its name, for messages.

    Raises:
        DockerfileError: it has no instructions, a heredoc without an end, a line that is too long, or a directive that
            is wrong or stands there twice.
    """
    if len(data) > MAX_DOCKERFILE_BYTES:
        raise DockerfileError(At(file, 1), f"the Dockerfile is larger than {MAX_DOCKERFILE_BYTES >> 20} MiB")
    return _Reader(data, file).read()


class _Reader:
    def __init__(self, data: bytes, file: str) -> None:
        self.file = file
        self.line = 0
        self.lines = self._lines(data.removeprefix(b"\xef\xbb\xbf"))
        self.found: dict[str, str] = {}
        self.directives_done = False
        self.warnings: list[str] = []
        self._set_escape("\\")

    def _lines(self, data: bytes) -> Iterator[str]:
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else ()):
            if len(line) > _MAX_LINE_BYTES:
                raise DockerfileError(At(self.file, number + 1), f"the line is longer than {_MAX_LINE_BYTES} bytes")
            yield line.decode("utf-8", "replace")

    def _set_escape(self, escape: str) -> None:
        self.escape = escape
        mark = re.escape(escape)
        # The second form is a continuation on a line of its own. Two escapes in a row continue nothing.
        self.continues = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*\Z")

    def _next(self) -> str | None:
        line = next(self.lines, None)
        if line is not None:
            self.line += 1
        return line

    def read(self) -> Nodes:
        nodes: list[Node] = []
        while (line := self._next()) is not None:
            text = line.rstrip("\r").lstrip(SPACES)
            if not self.directives_done:
                self._directive(text)
            if not text or text.startswith("#"):
                continue
            start = self.line
            nodes.append(self._node(self._joined(text), start))
            if len(nodes) > _MAX_INSTRUCTIONS:
                raise DockerfileError(At(self.file, start), f"there are more than {_MAX_INSTRUCTIONS} instructions")
        if not nodes:
            raise DockerfileError(
                At(self.file, max(self.line, 1)),
                "the Dockerfile has no instructions",
                hint="It needs a FROM at least.",
            )
        return Nodes(
            self.file,
            tuple(nodes),
            self.escape,
            self.found.get("syntax", ""),
            self.found.get("check", ""),
            tuple(self.warnings),
        )

    def _directive(self, text: str) -> None:
        matched = _DIRECTIVE.match(text.removeprefix("#").lstrip(SPACES)) if text.startswith("#") else None
        name = matched[1].lower() if matched else ""
        if matched is None or name not in _DIRECTIVES:
            self.directives_done = True
            return
        at = At(self.file, self.line, self.line, text)
        if name in self.found:
            raise DockerfileError(at, f"only one {name} parser directive can be used")
        value = matched[2]
        if name == "escape":
            if value not in ("\\", "`"):
                raise DockerfileError(
                    at, f"the escape character cannot be {value[:20]!r}", hint="Write # escape=` or leave it out."
                )
            self._set_escape(value)
        self.found[name] = value

    def _joined(self, text: str) -> str:
        """The logical line that begins with `text`."""
        start = self.line
        shorter = self.continues.sub("", text)
        if shorter == text:
            return text
        parts, size, empty = [shorter], len(shorter), False
        while (line := self._next()) is not None:
            raw = line.rstrip("\r")
            bare = raw.lstrip(SPACES)
            if bare.startswith("#"):
                continue
            if not bare:
                empty = True
                continue
            shorter = self.continues.sub("", raw)
            parts.append(shorter)
            size += len(shorter)
            if size > _MAX_LOGICAL_LINE:
                raise DockerfileError(At(self.file, start), f"the instruction is longer than {_MAX_LOGICAL_LINE} bytes")
            if shorter == raw:
                break
        if empty:
            self.warnings.append(f"{self.file}:{start}: there is an empty line among the continuation lines")
        return "".join(parts)

    def _node(self, text: str, start: int) -> Node:
        node = self._split(text, At(self.file, start, self.line, text.strip(SPACES)))
        if "<<" in text and _may_have_heredocs(node):
            documents = tuple(self._document(heredoc, node.at) for heredoc in _heredocs(text, node.at))
            at = msgspec.structs.replace(node.at, end_line=self.line)
            node = msgspec.structs.replace(node, heredocs=documents, at=at)
        return node

    def _split(self, text: str, at: At, *, nested: bool = False) -> Node:
        keyword, *after = WHITESPACE.split(text.strip(SPACES), maxsplit=1)
        flags, rest = take_flags(after[0], self.escape) if after else ((), "")
        rest = rest.strip(SPACES)
        kind = keyword.lower()
        if kind == "onbuild":
            if nested:
                raise DockerfileError(at, "ONBUILD ONBUILD is not allowed", hint="Write one ONBUILD.")
            child = self._split(rest, at, nested=True) if rest else None
            return Node(at, keyword, flags, child=child)
        try:
            arguments, exec_form = self._arguments(kind, rest, at)
        except NotStrings:
            raise DockerfileError(
                at,
                "the JSON array must have nothing but strings in it",
                hint='Put every item between double quotes: ["a", "b"].',
            ) from None
        return Node(at, keyword, flags, arguments, exec_form)

    def _arguments(self, kind: str, rest: str, at: At) -> tuple[tuple[str, ...], bool]:
        if kind not in KEYWORDS:
            return ("",), False
        if not rest:
            return (), False
        if kind in _KEY_VALUE:
            return self._pairs(kind, rest, at), False
        if kind in _TEXT:
            return (rest,), False
        if kind in _WORDS:
            return tuple(WHITESPACE.split(rest)), False
        if kind == "arg":
            return tuple(split_words(rest, self.escape)), False
        if kind in _COMMAND or kind in _LIST:
            strings = read_json_strings(rest)
            if strings is not None:
                return strings, True
            return (rest,) if kind in _COMMAND else tuple(WHITESPACE.split(rest)), False
        word = re.match(f"[^{SPACES}]*", rest)  # of HEALTHCHECK
        assert word is not None
        command = rest[word.end() :].lstrip(SPACES)
        strings = read_json_strings(command)
        if strings is not None:
            return (word[0], *strings), True
        return (word[0], command) if command else (word[0],), False

    def _pairs(self, kind: str, rest: str, at: At) -> tuple[str, ...]:
        words = split_words(rest, self.escape)
        name = kind.upper()
        if words and "=" not in words[0]:
            parts = WHITESPACE.split(rest, maxsplit=1)
            if len(parts) < 2:
                raise DockerfileError(at, f"{name} must have two arguments", hint=f"Write {name} NAME=VALUE.")
            return (*parts, "")
        found: list[str] = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise DockerfileError(
                    at,
                    f"there is no = in {word[:80]!r}",
                    hint=f'Write {name} NAME=VALUE, with quotes around a value that has spaces: NAME="a b".',
                )
            found += (key, value, "=")
        return tuple(found)

    def _document(self, heredoc: Heredoc, at: At) -> Heredoc:
        lines: list[str] = []
        size = 0
        while (line := self._next()) is not None:
            bare = line.rstrip("\r")
            if (bare.lstrip("\t") if heredoc.chomp else bare) == heredoc.name:
                return msgspec.structs.replace(heredoc, content="".join(lines))
            lines.append(line + "\n")
            size += len(line)
        raise DockerfileError(
            at, f"the heredoc {heredoc.name!r} has no end", hint=f"Put {heredoc.name} on a line of its own after it."
        )


def _may_have_heredocs(node: Node) -> bool:
    inner = node.child if node.child is not None else node
    return inner.keyword.lower() in ("add", "copy", "run") and not inner.exec_form


def _heredocs(line: str, at: At) -> list[Heredoc]:
    try:
        words = split_expanded(line, {}, "\\", raw_quotes=True, raw_escapes=True, keep_unset=True)
    except ExpansionError:
        return []
    try:
        found = [heredoc for word in words if (heredoc := read_heredoc_word(word)) is not None]
    except ExpansionError as error:
        raise DockerfileError(at, f"the heredoc's name: {error}") from error
    if len(found) > _MAX_HEREDOCS:
        raise DockerfileError(at, f"the instruction has more than {_MAX_HEREDOCS} heredocs")
    return found


def heredoc_word(word: str) -> Heredoc | None:
    """As `read_heredoc_word`, but a quote that is not closed makes it no heredoc."""
    try:
        return read_heredoc_word(word)
    except ExpansionError:
        return None


def read_heredoc_word(word: str) -> Heredoc | None:
    """What `<<EOF`, `3<<-'EOF'` and the like announce; None when it is no heredoc.

    Raises:
        ExpansionError: a quote in the name is not closed.
    """
    matched = _HEREDOC.match(word)
    if matched is None or not matched[3]:
        return None
    names = split_expanded(matched[3], {}, "\\", keep_unset=True)
    if len(names) != 1:
        return None
    raw = split_expanded(matched[3], {}, "\\", raw_quotes=True, keep_unset=True)
    quoted = sum(raw[0].count(mark) - names[0].count(mark) for mark in "'\"") != 0
    digits = matched[1]
    return Heredoc(
        names[0],
        expand=not quoted,
        chomp=matched[2] == "-",
        descriptor=int(digits[:9]) if digits else 0,
    )
