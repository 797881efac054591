"""What the user says of findings: rules that are ignored, other severities, and waivers that expire.

```toml
[check]
ignore = ["WGO402"]

[check.severity]
WGO134 = "error"      # error, warning, note or off

[[check.waiver]]
rule = "WGO210"
path = "Files/legacy/*"    # optional: the entry's name, with * and ?
until = 2027-01-31         # its last day
reason = "the vendor's DLL, replaced in January"
```
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from wingo.check.finding import Finding, Severity
from wingo.check.goversions import same_until
from wingo.errors import RequestError

OFF = "off"
_ID = re.compile(r"WGO\d{3}\Z")
_MAX_WAIVERS = 1000


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings that are let pass until a day.

    Attributes:
        rule: its number.
        until: the last day on which it holds.
        reason: why, for people.
        path: the entry's name, with `*` and `?`; "" for every place.
    """

    rule: str
    until: dt.date
    reason: Annotated[str, msgspec.Meta(min_length=1)]
    path: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is meant, whatever the day."""
        if finding.rule != self.rule:
            return False
        return not self.path or fnmatchcase(finding.where.path.casefold(), self.path.casefold())


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[check]` table.

    Attributes:
        ignore: rules that do not run.
        severity: of a rule's findings: "error", "warning", "note" or "off".
        waiver: what is let pass, and until when.
    """

    ignore: tuple[str, ...] = ()
    severity: dict[str, str] = {}
    waiver: tuple[Waiver, ...] = ()

    @property
    def ignored(self) -> frozenset[str]:
        """The rules that are not asked."""
        return frozenset((*self.ignore, *(name for name, word in self.severity.items() if word == OFF)))

    def also_ignoring(self, rules: Iterable[str]) -> Policy:
        """The same, with more rules ignored."""
        return msgspec.structs.replace(self, ignore=(*self.ignore, *rules))


def read_policy(table: Mapping[str, object], known: Collection[str], origin: str = "wingo.toml") -> Policy:
    """Reads the `[check]` table.

    Args:
        table: as TOML has it.
        known: the numbers of all rules.
        origin: where it stands, for the error.

    Raises:
        RequestError: an unknown key or rule, a severity that is none, a waiver without a day or a reason.
    """
    try:
        policy = msgspec.convert(table, Policy, strict=True)
    except msgspec.ValidationError as error:
        words = in_words(str(error), ("ignore", "severity", "waiver", "rule", "until", "reason", "path"))
        raise RequestError(f"{origin}: [check]: {words}", hint=_HINT) from error
    check_rules((*policy.ignore, *policy.severity, *(waiver.rule for waiver in policy.waiver)), known, origin)
    allowed = [OFF, *(severity.value for severity in Severity)]
    for name, word in policy.severity.items():
        if word not in allowed:
            raise RequestError(
                f"{origin}: the severity of {name} is {word[:40]!r}", hint=f"Write {', '.join(allowed)}."
            )
    if len(policy.waiver) > _MAX_WAIVERS:
        raise RequestError(f"{origin}: more than {_MAX_WAIVERS} waivers")
    return policy


_HINT = "See docs/reference/checks.md for what it takes."


_KINDS = {
    "array": "a list",
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "object": "a table",
    "bool": "true or false",
    "date": "a day",
}
_EXPECTED = re.compile(r"Expected `(\w+)[^`]*`(?:, got `(\w+)`| of length >= 1)(?: - at `\$\.?([^`]*)`)?")


def in_words(problem: str, known: Sequence[str]) -> str:
    """What the reader of a table says is wrong, in words for whoever wrote it.

    Args:
        problem: msgspec's text.
        known: the keys that the table may have.
    """
    if "contains unknown field" in problem:
        name = problem.partition("`")[2].partition("`")[0]
        near = get_close_matches(name, known, n=1)
        return f"unknown key {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if "missing required field" in problem:
        where, name = ("a waiver" if "waiver" in problem else "the table"), problem.partition("`")[2].partition("`")[0]
        return f"{where} lacks {name!r}"
    if "until" in problem:
        return "the day of a waiver's 'until' is written 2027-01-31, without quotation marks"
    matched = _EXPECTED.match(problem)
    if matched is None:
        return problem
    expected, got, where = matched.groups()
    what = repr(where.replace("[...]", ".…").replace("[0].", ".")) if where else "it"
    if got is None:
        return f"{what} is empty"
    return f"{what} is {_KINDS.get(got, got)}, and must be {_KINDS.get(expected, expected)}"


def check_rules(rules: Iterable[str], known: Collection[str], origin: str) -> None:
    """Refuses rules that there are not.

    Raises:
        RequestError: naming the nearest ones.
    """
    for name in rules:
        if name in known:
            continue
        near = get_close_matches(name.upper(), known, n=1) if not _ID.match(name) else []
        hint = f"Did you mean {near[0]}?" if near else "Run 'wingo check --rules' to see them."
        raise RequestError(f"{origin}: there is no rule {name[:40]!r}", hint=hint)


class WaiverSubject(msgspec.Struct, frozen=True):
    """What the rules about waivers look at.

    Attributes:
        policy: what the user says.
        findings: all of them, before anything is waived.
        today: the day of the check.
    """

    policy: Policy
    findings: tuple[Finding, ...]
    today: dt.date


def judged(findings: Iterable[Finding], policy: Policy, today: dt.date) -> tuple[Finding, ...]:
    """Findings with the user's severities, without the ignored ones; waived ones say why."""
    kept: list[Finding] = []
    ignored = policy.ignored
    for finding in findings:
        if finding.rule in ignored:
            continue
        word = policy.severity.get(finding.rule)
        item = finding if word is None else msgspec.structs.replace(finding, severity=Severity(word))
        waiver = next((waiver for waiver in policy.waiver if today <= waiver.until and waiver.covers(item)), None)
        if waiver is not None:
            item = msgspec.structs.replace(item, waived=f"{waiver.reason} (until {waiver.until})")
        kept.append(item)
    return tuple(kept)


def valid_through(policy: Policy, findings: Sequence[Finding], today: dt.date) -> dt.date:
    """The last day on which a verdict of today stays as it is: a waiver that holds ends, or there is a new Go by its schedule."""
    used = [waiver.until for waiver in policy.waiver if any(item.waived and waiver.covers(item) for item in findings)]
    return min((*used, same_until(today)))
