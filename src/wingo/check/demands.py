"""What the user demands of programs: capabilities, packages and modules that they must not have, a database of vulnerabilities.

```toml
[policy]
deny = ["exec", "plugin", "net/http/pprof", "github.com/example/old"]   # capabilities, packages, modules

[policy.allow]
exec = ["example.com/app/internal/git"]                                 # but these packages may
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from wingo.binary.buildinfo import BuildInfo
from wingo.check.capabilities import BY_NAME
from wingo.check.imports import ImportGraph
from wingo.check.policy import in_words
from wingo.check.vulnerabilities import Vulnerabilities
from wingo.errors import RequestError

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+/@-]*(?:/\*|\.\.\.)?\Z")
_SINGLE = frozenset(
    [
        "bufio",
        "bytes",
        "cmp",
        "context",
        "crypto",
        "embed",
        "encoding",
        "errors",
        "expvar",
        "flag",
        "fmt",
        "hash",
        "html",
        "image",
        "io",
        "iter",
        "log",
        "maps",
        "math",
        "mime",
        "net",
        "os",
        "path",
        "plugin",
        "reflect",
        "regexp",
        "runtime",
        "slices",
        "sort",
        "strconv",
        "strings",
        "structs",
        "sync",
        "syscall",
        "testing",
        "time",
        "unicode",
        "unique",
        "unsafe",
        "weak",
    ]
)
"""Packages of Go's whose path has one element: any other such word is a capability that is spelt wrongly."""


class Demands(msgspec.Struct, frozen=True):
    """What is demanded.

    Attributes:
        deny: capabilities, packages and modules; of the latter, all below.
        allow: packages that may bring a denied capability, by its name; all below.
        vulnerabilities: a database, or None.
        imports: which package imports which, by `imports_key`; {} when no sources are at hand.
    """

    deny: tuple[str, ...] = ()
    allow: Mapping[str, tuple[str, ...]] = {}
    vulnerabilities: Vulnerabilities | None = None
    imports: Mapping[str, ImportGraph] = {}

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities among what is denied."""
        return tuple(item for item in self.deny if item in BY_NAME)

    @property
    def paths(self) -> tuple[str, ...]:
        """The packages and modules among what is denied."""
        return tuple(item for item in self.deny if item not in BY_NAME)


def imports_key(info: BuildInfo) -> str:
    """What a program's imports are found by: those of one main package differ from build to build."""
    return f"{info.path}\n{info.settings}"


NOTHING = Demands()
"""No demands."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deny: tuple[str, ...] = ()
    allow: dict[str, tuple[str, ...]] = {}


def read_demands(table: Mapping[str, object], origin: str = "wingo.toml") -> Demands:
    """Reads the `[policy]` table.

    Raises:
        RequestError: an unknown key, or a word that is neither a capability nor a path.
    """
    try:
        read = msgspec.convert(table, _Table, strict=True)
    except msgspec.ValidationError as error:
        hint = 'It takes deny = ["exec", …] and [policy.allow] exec = ["example.com/package"].'
        words = in_words(str(error), ("deny", "allow"))
        raise RequestError(f"{origin}: [policy]: {words}", hint=hint) from error
    for item in read.deny:
        _check(item, origin)
    for name, packages in read.allow.items():
        if name not in BY_NAME:
            raise _unknown(name, origin)
        for package in packages:
            if not _PATH.match(package):
                raise RequestError(f"{origin}: [policy.allow]: {package[:80]!r} is no package")
    return Demands(read.deny, read.allow)


def is_below(path: str, pattern: str) -> bool:
    """Whether a package or module is the one that is named, or below it: `a/b` is below `a`; so written, `a/...` is the same."""
    top = pattern.removesuffix("/...").removesuffix("/*")
    return path == top or path.startswith(f"{top}/")


def _check(item: str, origin: str) -> None:
    if item in BY_NAME or item in _SINGLE:
        return
    if not _PATH.match(item) or not ("/" in item or "." in item):
        raise _unknown(item, origin)


def _unknown(item: str, origin: str) -> RequestError:
    near = get_close_matches(item.lower(), BY_NAME, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Capabilities are {', '.join(BY_NAME)}; anything else is a path."
    return RequestError(f"{origin}: [policy]: {item[:80]!r} is neither a capability nor a package", hint=hint)
