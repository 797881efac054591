"""What a PowerShell text is made of; `at` is a place in the text."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class _Node(msgspec.Struct, frozen=True):
    pass


class Const(_Node, frozen=True):
    """A number or a text that is what it is."""

    value: str | int | float


class Expandable(_Node, frozen=True):
    """A text with variables in it."""

    parts: tuple[str | Expression, ...]


class Variable(_Node, frozen=True):
    """`$name`, `$env:NAME`, `${any name}`."""

    name: str


class Member(_Node, frozen=True):
    """`target.name`, `[type]::name`."""

    target: Expression
    name: str | Expression
    static: bool


class Invoke(_Node, frozen=True):
    """`target.name(arguments)`."""

    target: Expression
    name: str | Expression
    arguments: tuple[Expression, ...]
    static: bool
    at: int


class Index(_Node, frozen=True):
    """`target[index]`."""

    target: Expression
    index: Expression


class Unary(_Node, frozen=True):
    """`-not x`, `-join x`."""

    operator: str
    operand: Expression


class Binary(_Node, frozen=True):
    """`a -eq b`; operators in lower case, without the dash."""

    operator: str
    left: Expression
    right: Expression


class ArrayLiteral(_Node, frozen=True):
    """`a, b`."""

    items: tuple[Expression, ...]


class SubExpression(_Node, frozen=True):
    """`$( … )`, or `@( … )`, which is always an array."""

    body: tuple[Statement, ...]
    array: bool


class Parenthesis(_Node, frozen=True):
    """`( … )`."""

    body: Statement


class Hash(_Node, frozen=True):
    """`@{ … }`."""

    pairs: tuple[tuple[Expression, Statement], ...]


class ScriptBlock(_Node, frozen=True):
    """`{ … }`."""

    body: tuple[Statement, ...]
    parameters: tuple[Parameter, ...] = ()


class TypeLiteral(_Node, frozen=True):
    """`[name]`."""

    name: str


class Cast(_Node, frozen=True):
    """`[type] x`."""

    type: str
    operand: Expression


class Step(_Node, frozen=True):
    """`$x++`, `--$x`."""

    target: Expression
    delta: int
    after: bool


Expression: TypeAlias = (
    Const
    | Expandable
    | Variable
    | Member
    | Invoke
    | Index
    | Unary
    | Binary
    | ArrayLiteral
    | SubExpression
    | Parenthesis
    | Hash
    | ScriptBlock
    | TypeLiteral
    | Cast
    | Step
)


class Parameter(_Node, frozen=True):
    """A parameter of a function or script."""

    name: str
    default: Expression | None = None
    switch: bool = False
    type: str = ""


class Argument(_Node, frozen=True):
    """A word of a command.

    Attributes:
        value: what it is; None for a parameter's name.
        name: of a parameter, without the dash.
        text: as it is written, for programs.
        splat: `@name`.
        bare: it is a word without quotes.
        joined: a parameter's name with a colon, so that the next word is its value.
    """

    value: Expression | None
    name: str = ""
    text: str = ""
    splat: bool = False
    bare: bool = False
    joined: bool = False


class RedirectionNode(_Node, frozen=True):
    """`> file`, `2>&1`."""

    stream: str
    operator: str
    target: Expression | None


class Command(_Node, frozen=True):
    """A cmdlet, function, script or program with its arguments.

    Attributes:
        operator: "", "&" or ".".
        raw: behind `--%`: the rest of the line.
    """

    name: Expression
    arguments: tuple[Argument, ...]
    operator: str
    redirections: tuple[RedirectionNode, ...]
    at: int
    raw: str = ""


class Pipeline(_Node, frozen=True):
    """Commands and expressions with `|` between them."""

    elements: tuple[Command | Expression, ...]
    at: int
    redirections: tuple[RedirectionNode, ...] = ()


class Chain(_Node, frozen=True):
    """`a && b`, `a || b`, which PowerShell 7 has."""

    left: Statement
    operator: str
    right: Statement


class Assignment(_Node, frozen=True):
    """`$x = …`, `+=`."""

    target: Expression
    operator: str
    value: Statement
    at: int


class If(_Node, frozen=True):
    """`if (…) {…} elseif (…) {…} else {…}`."""

    branches: tuple[tuple[Statement, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...] | None
    at: int


class Loop(_Node, frozen=True):
    """`while`, `do … while`, `do … until`, `for`."""

    kind: str
    start: Statement | None
    condition: Statement | None
    step: Statement | None
    body: tuple[Statement, ...]
    at: int


class Foreach(_Node, frozen=True):
    """`foreach ($x in …) {…}`."""

    variable: Expression
    items: Statement
    body: tuple[Statement, ...]
    at: int


class Switch(_Node, frozen=True):
    """`switch (…) { value {…} default {…} }`."""

    subject: Statement
    cases: tuple[tuple[Expression | None, tuple[Statement, ...]], ...]
    options: tuple[str, ...]
    at: int


class Function(_Node, frozen=True):
    """`function name(…) {…}`."""

    name: str
    block: ScriptBlock


class Try(_Node, frozen=True):
    """`try {…} catch {…} finally {…}`."""

    body: tuple[Statement, ...]
    handlers: tuple[tuple[tuple[str, ...], tuple[Statement, ...]], ...]
    last: tuple[Statement, ...]


class Trap(_Node, frozen=True):
    """`trap {…}`: runs when an error would end the block that it stands in."""

    body: tuple[Statement, ...]


class Jump(_Node, frozen=True):
    """`break`, `continue`, `return`, `exit`, `throw`."""

    kind: str
    value: Statement | None
    at: int


Statement: TypeAlias = Pipeline | Chain | Assignment | If | Loop | Foreach | Switch | Function | Try | Trap | Jump
