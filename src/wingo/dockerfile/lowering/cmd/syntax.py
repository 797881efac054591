"""cmd.exe's grammar: percent expansion, then carets, quotes, operators, redirections, blocks, `if` and `for`.

Nobody publishes a grammar; this follows `help cmd`, `help if`, `help for`, and the phases as users measured them ("How does the
Windows Command Interpreter (CMD.EXE) parse scripts?", Stack Overflow 4094699).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower

_MAX_DEPTH = 60
_MAX_EXPANDED = 1 << 20
_REDIRECTION = re.compile(r"([0-9]?)(>>|>|<)(&?)")
_RUN, _QUOTED_RUN = re.compile(r'[^\r\n"^&|()<>0-9]+'), re.compile(r'[^\r\n"]+')
"""Runs of a command's characters that only stand for themselves."""
DELIMITERS = " \t,;="
"""What separates the words of an internal command."""


class Redirection(msgspec.Struct, frozen=True):
    """One `>`, `>>`, `<` or `2>&1`.

    Attributes:
        stream: 0, 1 or 2.
        operator: ">", ">>", "<" or ">&".
        target: a file's name as it is written, or a stream's number.
    """

    stream: int
    operator: str
    target: str


class Simple(msgspec.Struct, frozen=True):
    """A command and the text behind it.

    Attributes:
        text: without carets and redirections.
        redirections: in order.
        at: where it stands in the line.
        quiet: it began with `@`.
    """

    text: str
    redirections: tuple[Redirection, ...]
    at: int
    quiet: bool = False


class Block(msgspec.Struct, frozen=True):
    """`( … )`."""

    body: Node
    redirections: tuple[Redirection, ...]


class Pair(msgspec.Struct, frozen=True):
    """Two commands with `&`, `&&`, `||` or `|` between them."""

    left: Node
    operator: str
    right: Node


class Condition(msgspec.Struct, frozen=True):
    """What `if` asks.

    Attributes:
        kind: "exist", "defined", "errorlevel", "==" or one of equ neq lss leq gtr geq.
        left: the word, or the left one.
        right: the right one.
        negated: after `not`.
        ignore_case: after `/i`.
    """

    kind: str
    left: str
    right: str
    negated: bool
    ignore_case: bool


class If(msgspec.Struct, frozen=True):
    """`if CONDITION then [else otherwise]`."""

    condition: Condition
    then: Node
    otherwise: Node | None
    at: int


class For(msgspec.Struct, frozen=True):
    """`for [/x] %v in (items) do body`.

    Attributes:
        switch: "", "d", "r", "l" or "f".
        option: behind the switch: a directory, or the options of `/f`.
        variable: one letter.
        items: the text in the parentheses.
    """

    switch: str
    option: str
    variable: str
    items: str
    body: Node
    at: int


Node: TypeAlias = Simple | Block | Pair | If | For | None
"""A command; None for an empty one."""


def expand_percent(
    line: str, lookup: Callable[[str], str | None], *, batch: bool, arguments: tuple[str, ...] = ()
) -> str:
    """Phase 1: `%NAME%`, `%NAME:~1,2%`, `%NAME:a=b%`; in a script also `%%`, `%1` and `%*`.

    Args:
        line: with percent signs.
        lookup: a variable's value.
        batch: in a script an undefined variable is nothing; on a command line it stays as it is written.
        arguments: of the script, its name first.

    Raises:
        CannotLower: it gets too long.
    """
    done: list[str] = []
    size = 0
    position = 0
    while position < len(line):
        percent = line.find("%", position)
        if percent < 0:
            done.append(line[position:])
            break
        done.append(line[position:percent])
        text, position = _one_percent(line, percent, lookup, batch=batch, arguments=arguments)
        done.append(text)
        size += len(text)
        if size > _MAX_EXPANDED:
            raise CannotLower("a line gets too long when its variables are expanded")
    return "".join(done)


def _one_percent(
    line: str, percent: int, lookup: Callable[[str], str | None], *, batch: bool, arguments: tuple[str, ...]
) -> tuple[str, int]:
    after = percent + 1
    following = line[after : after + 1]
    if batch:
        if following == "%":
            return "%", after + 1
        if following == "*":
            return " ".join(arguments[1:]), after + 1
        if following.isdigit() and following.isascii():
            index = int(following)
            return arguments[index] if index < len(arguments) else "", after + 1
        if tilde := re.compile(r"~([a-z]*)([0-9])", re.IGNORECASE).match(line, after):
            index = int(tilde[2])
            argument = arguments[index] if index < len(arguments) else ""
            return modified(argument, tilde[1]), tilde.end()
    end = line.find("%", after)
    if end > after:
        name = line[after:end]
        plain, colon, change = name.partition(":")
        value = lookup(plain) if plain else None
        if value is None and colon and (whole := lookup(name)) is not None:
            return whole, end + 1
        if value is not None and not colon:
            return value, end + 1
        if value is not None and (changed := _changed(value, change)) is not None:
            return changed, end + 1
        if batch:
            return "", end + 1
    return ("" if batch else "%"), after


def _changed(value: str, change: str) -> str | None:
    if found := re.fullmatch(r"~\s*(-?[0-9]+)?(?:,\s*(-?[0-9]+)?)?", change):
        start = int(found[1] or 0)
        start = max(0, len(value) + start) if start < 0 else min(start, len(value))
        if found[2] is None:
            return value[start:]
        length = int(found[2])
        return value[start : len(value) + length] if length < 0 else value[start : start + length]
    old, equals, new = change.partition("=")
    if not equals or not old:
        return None
    if old.startswith("*"):
        if len(old) == 1:
            return None
        where = value.lower().find(old[1:].lower())
        return value if where < 0 else new + value[where + len(old) - 1 :]
    return re.sub(re.escape(old), lambda _: new, value, flags=re.IGNORECASE)


def modified(text: str, letters: str) -> str:
    """`%~dpnx1` and `%~nxi`: parts of a path; the path is not looked up.

    Raises:
        CannotLower: a letter that asks for a file's size, time, attributes or short name.
    """
    plain = text.strip('"')
    if has_hole(plain):
        return plain
    wanted = letters.lower()
    if unknown := set(wanted) - set("fdpnx"):
        raise CannotLower(f"%~{letters} asks for {', '.join(sorted(unknown))} of a file")
    if not wanted:
        return plain
    if "f" in wanted:
        return plain
    drive = plain[:2] if plain[1:2] == ":" else ""
    rest = plain[len(drive) :].replace("/", "\\")
    folder, slash, name = rest.rpartition("\\")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    parts = {"d": drive, "p": folder + slash, "n": stem, "x": dot + extension if dot else ""}
    return "".join(parts[letter] for letter in "dpnx" if letter in wanted)


class SyntaxFault(Exception):
    """cmd would say that the syntax is incorrect; nothing of the line runs."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


def parse(text: str) -> Node:
    """Phase 2: a line, or a block of lines, whose percent signs are expanded.

    Raises:
        SyntaxFault: cmd refuses it.
        CannotLower: it is nested too deeply.
    """
    parser = _Parser(text)
    node = parser.sequence(0)
    parser.skip_space(newlines=True)
    if parser.position < len(text):
        raise SyntaxFault(f"{text[parser.position : parser.position + 20]!r} was unexpected", parser.position)
    return node


_KEYWORD_END = re.compile(r"(?=[\s(,;=/\"]|\Z)")
_COMPARE = ("equ", "neq", "lss", "leq", "gtr", "geq")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.parens = 0

    def peek(self, count: int = 1) -> str:
        return self.text[self.position : self.position + count]

    def skip_space(self, *, newlines: bool = False) -> None:
        # `=` `,` `;` at the beginning of a command are passed over too.
        wanted = " \t,;=" + ("\r\n" if newlines else "")
        while self.position < len(self.text) and self.text[self.position] in wanted:
            self.position += 1

    def sequence(self, depth: int) -> Node:
        """Commands with `&` or a new line between them."""
        node = self.or_chain(depth)
        while True:
            self.skip_space()
            if self.peek() == "&" and self.peek(2) != "&&":
                self.position += 1
            elif self.peek() in ("\n", "\r") and self.peek():
                self.skip_space(newlines=True)
            else:
                return node
            self.skip_space(newlines=self.parens > 0)
            if not self.peek() or self.peek() == ")":
                return node
            right = self.or_chain(depth)
            node = right if node is None else Pair(node, "&", right)

    def or_chain(self, depth: int) -> Node:
        node = self.and_chain(depth)
        while self._operator("||"):
            node = Pair(node, "||", self._needed(self.and_chain(depth), "||"))
        return node

    def and_chain(self, depth: int) -> Node:
        node = self.pipeline(depth)
        while self._operator("&&"):
            node = Pair(node, "&&", self._needed(self.pipeline(depth), "&&"))
        return node

    def pipeline(self, depth: int) -> Node:
        node = self.command(depth)
        while self.peek() == "|" and self.peek(2) != "||":
            self.position += 1
            node = Pair(node, "|", self._needed(self.command(depth), "|"))
        return node

    def _operator(self, operator: str) -> bool:
        self.skip_space()
        if self.peek(len(operator)) == operator:
            self.position += len(operator)
            self.skip_space(newlines=True)
            return True
        return False

    def _needed(self, node: Node, operator: str) -> Node:
        if node is None:
            raise SyntaxFault(f"nothing stands behind {operator}", self.position)
        return node

    def command(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise CannotLower("the command is nested too deeply")
        self.skip_space()
        quiet = False
        while self.peek() == "@":
            quiet = True
            self.position += 1
            self.skip_space()
        leading = self.redirections()
        if self.peek() == "(":
            return self.block(depth, leading)
        start = self.position
        word = self._keyword()
        if word == "if":
            return self.if_command(depth, start)
        if word == "for" and (node := self.for_command(depth, start)) is not None:
            return node
        if word == "rem":
            end = re.compile(r"[\r\n]|\Z").search(self.text, self.position)
            self.position = end.start() if end else len(self.text)
            return Simple("rem", (), start, quiet)
        self.position = start
        return self.simple(leading, quiet=quiet)

    def _keyword(self) -> str:
        for word in ("if", "for", "rem"):
            if self.peek(len(word)).lower() == word and _KEYWORD_END.match(self.text, self.position + len(word)):
                self.position += len(word)
                return word
        return ""

    def block(self, depth: int, leading: list[Redirection]) -> Node:
        opened = self.position
        self.position += 1
        self.skip_space(newlines=True)
        self.parens += 1
        body = self.sequence(depth + 1)
        self.parens -= 1
        self.skip_space(newlines=True)
        if self.peek() != ")":
            raise SyntaxFault("a ( is not closed", opened)
        self.position += 1
        self.skip_space()
        return Block(body, (*leading, *self.redirections()))

    def if_command(self, depth: int, start: int) -> Node:
        ignore_case = negated = False
        word = self.word()
        while word.lower() == "/i":
            ignore_case = True
            word = self.word()
        if word.lower() == "not":
            negated = True
            word = self.word()
        if word.lower() == "/i":
            ignore_case = True
            word = self.word()
        lower = word.lower()
        if lower in ("exist", "defined", "errorlevel", "cmdextversion"):
            condition = Condition(lower, self.word(), "", negated, ignore_case)
        else:
            left = word
            self.skip_blank()
            if self.peek(2) == "==":
                self.position += 2
                condition = Condition("==", left, self.word(), negated, ignore_case)
            else:
                operator = self.word().lower()
                if operator not in _COMPARE:
                    raise SyntaxFault(f"{operator or 'the end'} was unexpected in if", self.position)
                condition = Condition(operator, left, self.word(), negated, ignore_case)
        then = self.command(depth + 1) if not self._is_chained() else None
        if then is None:
            raise SyntaxFault("if has no command", self.position)
        otherwise: Node = None
        if isinstance(then, Block):
            place = self.position
            self.skip_space()
            if self.peek(4).lower() == "else" and re.compile(r"(?=[\s(]|\Z)").match(self.text, self.position + 4):
                self.position += 4
                otherwise = self._needed(self.command(depth + 1), "else")
            else:
                self.position = place
        else:
            # Without parentheses the rest of the line belongs to the `if`.
            then = self._rest_of_line(then, depth)
        return If(condition, then, otherwise, start)

    def _is_chained(self) -> bool:
        self.skip_space()
        return self.peek() in ("&", "|") and bool(self.peek())

    def _rest_of_line(self, node: Node, depth: int) -> Node:
        """`if … a & b`, `for … do a & b`: what follows on the line belongs to the body."""
        while True:
            self.skip_space()
            for operator in ("&&", "||", "|", "&"):
                if self.peek(len(operator)) == operator:
                    self.position += len(operator)
                    right = self.command(depth + 1)
                    node = node if right is None else Pair(node, operator, right)
                    break
            else:
                return node

    def for_command(self, depth: int, start: int) -> Node:
        switch = option = ""
        word = self.word()
        while word.startswith("/") and len(word) == 2:
            switch = word[1].lower()
            word = self.word()
            if not word.startswith("%"):
                option = word
                word = self.word()
        if not re.fullmatch(r"%{1,2}\S", word):
            raise SyntaxFault(f"{word!r} was unexpected in for", self.position)
        if self.word().lower() != "in":
            raise SyntaxFault("for has no in", self.position)
        self.skip_blank()
        if self.peek() != "(":
            raise SyntaxFault("for has no ( behind in", self.position)
        opened = self.position
        end, quoted = opened + 1, False
        while end < len(self.text) and (quoted or self.text[end] != ")"):
            quoted ^= self.text[end] == '"'
            end += 1
        if end >= len(self.text):
            raise SyntaxFault("for has no ) behind in", opened)
        items = self.text[opened + 1 : end]
        self.position = end + 1
        if self.word().lower() != "do":
            raise SyntaxFault("for has no do", self.position)
        body = self._needed(self.command(depth + 1), "do")
        if not isinstance(body, Block):
            body = self._rest_of_line(body, depth)
        return For(switch, option, word[-1], items, body, start)

    def skip_blank(self) -> None:
        while self.peek() in (" ", "\t", "\r", "\n", ",", ";") and self.peek():
            self.position += 1

    def word(self) -> str:
        """A word of `if` or `for`, with its quotes, without carets."""
        self.skip_space()
        found: list[str] = []
        quoted = False
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == '"':
                quoted = not quoted
            elif not quoted:
                if character == "^":
                    self.position += 1
                    found.append(self.peek())
                    self.position += 1
                    continue
                if character in " \t\r\n,;&|<>" or (character == "(" and found) or character == ")":
                    break
                if character == "=" and (found or self.peek(2) != "=="):
                    break
                if character == "(" and not found:
                    break
            found.append(character)
            self.position += 1
        return "".join(found)

    def redirections(self) -> list[Redirection]:
        found: list[Redirection] = []
        while redirection := self.redirection():
            found.append(redirection)
            self.skip_space()
        return found

    def redirection(self) -> Redirection | None:
        match = _REDIRECTION.match(self.text, self.position)
        if match is None:
            return None
        stream = int(match[1]) if match[1] else 0 if match[2] == "<" else 1
        self.position = match.end()
        if match[3]:
            number = self.peek()
            self.position += 1
            return Redirection(stream, ">&", number)
        target = self.word()
        if not target:
            raise SyntaxFault(f"nothing stands behind {match[2]}", self.position)
        return Redirection(stream, match[2], target)

    def simple(self, leading: list[Redirection], *, quiet: bool) -> Node:
        start = self.position
        text: list[str] = []
        redirections = list(leading)
        quoted = False
        while self.position < len(self.text):
            if run := (_QUOTED_RUN if quoted else _RUN).match(self.text, self.position):
                text.append(run[0])
                self.position = run.end()
                continue
            character = self.text[self.position]
            if character in "\r\n":
                break
            if character == '"':
                quoted = not quoted
            elif not quoted:
                if character == "^":
                    following = self.text[self.position + 1 : self.position + 2]
                    if following == "\r":
                        following = "\n"
                        self.position += 1
                    if following == "\n":
                        self.position += 2
                        continue
                    text.append(following)
                    self.position += 2
                    continue
                if character in "&|" or (character == ")" and self.parens):
                    break
                if character in "<>" or (
                    character.isdigit()
                    and self.text[self.position + 1 : self.position + 2] in ("<", ">")
                    and (not text or text[-1][-1:] in " \t,;=)")
                ):
                    redirection = self.redirection()
                    if redirection is not None:
                        redirections.append(redirection)
                        continue
            text.append(character)
            self.position += 1
        plain = "".join(text).rstrip("\r\n")
        if not plain.strip() and not redirections:
            return None
        return Simple(plain, tuple(redirections), start, quiet)


def split_words(text: str, *, delimiters: str = DELIMITERS) -> list[str]:
    """The words of an internal command, without their quotes."""
    words: list[str] = []
    word: list[str] = []
    started = quoted = False
    for character in text:
        if character == '"':
            quoted = not quoted
            started = True
        elif character in delimiters and not quoted:
            if started:
                words.append("".join(word))
            word, started = [], False
        else:
            word.append(character)
            started = True
    if started:
        words.append("".join(word))
    return words
