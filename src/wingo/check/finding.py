"""What rules say: a `Problem`; and what becomes of it when rule and place are known: a `Finding`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import msgspec


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    """It will not start, cannot be imported, or is not what it claims to be."""
    WARNING = "warning"
    """It may fail somewhere, or surprise; or it is likely wrong, and cannot be known from here."""
    NOTE = "note"
    """Worth knowing: size, habit, what could not be settled."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule found.

    Attributes:
        message: one plain sentence of what is wrong with what, without rule and place.
        hint: one imperative sentence that mends it.
        path: an entry of the layer as it is spelt there, or a file of the image; "" for none.
        line: of a Dockerfile, from 1; 0 for none.
        severity: where it differs from the rule's own.
        win: bytes that mending it saves.
        layer: the digest of the layer that it is in, where the rule looks at whole images.
        platforms: those concerned, where the rule looks at more than one.
    """

    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    severity: Severity | None = None
    win: int = 0
    layer: str = ""
    platforms: tuple[str, ...] = ()


class Where(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What was looked at.

    Attributes:
        place: as the user wrote it.
        digest: of the image or index.
        platforms: of the images concerned.
        layer: a layer's digest.
        path: an entry of the layer, a file of the image, or a Dockerfile.
        line: of that file, from 1.
    """

    place: str
    digest: str = ""
    platforms: tuple[str, ...] = ()
    layer: str = ""
    path: str = ""
    line: int = 0


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One broken rule at one place.

    Attributes:
        rule: its number, `WGO105`.
        severity: as the rule or the user says.
        message: one sentence of what is wrong.
        where: with what.
        hint: one imperative sentence that mends it.
        win: bytes that mending it saves.
        waived: why it is let pass; "" when it is not.
    """

    rule: str
    severity: Severity
    message: str
    where: Where
    hint: str = ""
    win: int = 0
    waived: str = ""

    def __str__(self) -> str:
        where = self.where
        place = ", ".join(where.platforms) or where.place
        line = f"{where.path}:{where.line}: " if where.line else ""
        return f"{self.rule} {line}{self.message} ({place})"

    @property
    def order(self) -> tuple[object, ...]:
        """The sort key: worst first, then by rule and place."""
        where = self.where
        return (bool(self.waived), self.severity.rank, self.rule, where.layer, where.path, where.line, self.message)


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in order, one for each thing that is wrong: those of several platforms are put together."""
    found: dict[object, Finding] = {}
    for finding in findings:
        where = finding.where
        said = (finding.rule, finding.severity, finding.message, finding.hint, finding.waived)
        key = (said, where.place, where.layer, where.path, where.line)
        other = found.get(key)
        if other is not None:
            platforms = tuple(dict.fromkeys((*other.where.platforms, *where.platforms)))
            digest = where.digest if where.digest == other.where.digest else ""
            merged_where = msgspec.structs.replace(other.where, platforms=platforms, digest=digest)
            finding = msgspec.structs.replace(other, where=merged_where)  # noqa: PLW2901  (the merged one is the finding)
        found[key] = finding
    return tuple(sorted(found.values(), key=lambda finding: finding.order))
