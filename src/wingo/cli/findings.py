"""How findings are shown: by rule, worst first, each with where it is and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from wingo.cli.render import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wingo.check.finding import Finding
    from wingo.check.rule import Rule
    from wingo.cli.render import Console
    from wingo.pipeline.checking import CheckReport, PlaceReport

_SHOWN = 8
"""Findings of one rule that are listed."""
_MAX_PLATFORMS = 4


def lines_of(
    findings: Sequence[Finding],
    rules: Mapping[str, Rule[Any]],
    *,
    platforms: Sequence[str] = (),
    waived: bool = False,
    paint: Callable[[str], str] = str,
) -> Iterator[str]:
    """The lines that show findings.

    Args:
        findings: in order.
        rules: by number, for their titles.
        platforms: everything that was looked at; by default what the findings name.
        waived: show those that are waived too.
        paint: gives a severity its colour.
    """
    shown = [finding for finding in findings if waived or not finding.waived]
    every = set(platforms) or {platform for finding in shown for platform in finding.where.platforms}
    for (severity, number), items in groupby(shown, key=lambda item: (item.severity, item.rule)):
        group = list(items)
        rule = rules.get(number)
        yield f"{paint(severity.value)} {number}" + (f"  {rule.title}" if rule is not None else "")
        common = {item.hint for item in group}
        for item in group[:_SHOWN]:
            yield f"  {printable(item.message)}{_where(item, every)}"
            if len(common) > 1 and item.hint:
                yield f"    hint: {printable(item.hint)}"
            if item.win:
                yield f"    saves {size_text(item.win)}"
            if item.waived:
                yield f"    waived: {printable(item.waived)}"
        if len(group) > _SHOWN:
            yield f"  … and {len(group) - _SHOWN} more; --json lists all"
        if len(common) == 1 and group[0].hint:
            yield f"  hint: {printable(group[0].hint)}"
        yield ""


def say_warnings(findings: Sequence[Finding], console: Console) -> None:
    """Tells what the checks warn of, beside another command's result; notes are for `wingo check`."""
    if not findings:
        return
    from wingo.check.finding import Severity
    from wingo.pipeline.rulebook import BY_ID

    warnings = [item for item in findings if item.severity is Severity.WARNING and not item.waived]
    for line in lines_of(warnings, BY_ID):
        console.say(line)


def _where(finding: Finding, every: set[str]) -> str:
    where = finding.where
    line = f" (line {where.line})" if where.line else ""
    if len(where.platforms) >= len(every) or not where.platforms:
        return line
    for system in ("windows", "linux"):
        of_system = {platform for platform in every if platform.startswith(system)}
        if set(where.platforms) == of_system and len(of_system) > 1:
            return f"{line} [{system}]"
    names = ", ".join(where.platforms[:_MAX_PLATFORMS])
    more = len(where.platforms) - _MAX_PLATFORMS
    return f"{line} [{names}{f' and {more} more' if more > 0 else ''}]"


def host_lines(place: PlaceReport) -> Iterator[str]:
    """What each host takes, runtimes that agree on one line."""
    if not place.hosts:
        return
    yield "hosts"
    for host, items in groupby(place.hosts, key=lambda item: item.host):
        told: dict[str, list[str]] = {}
        for item in items:
            takes = item.takes or "nothing"
            if item.takes and not item.starts:
                takes += ", which it cannot start"
            told.setdefault(takes, []).append(item.runtime)
        for takes, runtimes in told.items():
            by = f"  ({', '.join(runtimes)})" if len(told) > 1 and any(runtimes) else ""
            yield f"  {printable(host):<34} takes {printable(takes)}{by}"
    yield ""


def summary(report: CheckReport) -> str:
    """One line: how many of each."""
    places = report.places
    count = {"error": report.errors, "warning": report.warnings}
    count["note"] = sum(
        finding.severity.value == "note" and not finding.waived for place in places for finding in place.findings
    )
    parts = [counted(number, word) for word, number in count.items() if number]
    text = ", ".join(parts) if parts else "nothing to mend"
    if report.waived:
        text += f", {report.waived} waived"
    return f"{text}; {max((place.rules for place in places), default=0)} rules asked"


def skipped_lines(report: CheckReport) -> Iterator[str]:
    """What was not looked at, and why: one line for each thing that was lacking."""
    lacking: dict[str, set[str]] = {}
    for place in report.places:
        for item in place.skipped:
            lacking.setdefault(item.needs, set()).add(item.rule)
    for needs, rules in lacking.items():
        yield f"not looked at, for want of {needs}: {', '.join(sorted(rules))}"


def counted(number: int, word: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {word}{'s' if number != 1 else ''}"


def size_text(size: int) -> str:
    """Bytes, for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def page_of(rule: Rule[Any]) -> Iterable[str]:
    """A rule's documentation, for the terminal."""
    yield f"{rule.id}  {rule.title}"
    yield f"{rule.severity.value}; about {rule.group.value}; looks at each {rule.scope.value}; needs {rule.needs.value}"
    for heading, text in rule.page.items():
        yield ""
        yield heading
        yield from (f"  {line}".rstrip() for line in text.splitlines())
