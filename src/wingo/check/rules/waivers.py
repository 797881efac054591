"""Rules about waivers."""

from __future__ import annotations

from collections.abc import Iterator

from wingo.check.finding import Problem, Severity
from wingo.check.policy import WaiverSubject
from wingo.check.rule import waiver_rule


@waiver_rule("WGO001", Severity.WARNING)
def waiver_expired(subject: WaiverSubject) -> Iterator[Problem]:
    """A waiver in wingo.toml has not expired.

    Why:
        A waiver lets a finding pass until a day. After that day the finding counts again; this warning says that it
        was let pass before, and why.

    Example:
        [[check.waiver]]
        rule = "WGO210"
        until = 2020-01-31
        reason = "the vendor's DLL, replaced in January"
    Mend:
        Mend what the waiver let pass and delete the waiver, or give it another day.
    """
    for waiver in subject.policy.waiver:
        if subject.today > waiver.until and any(waiver.covers(finding) for finding in subject.findings):
            yield Problem(
                message=f"the waiver of {waiver.rule} ended on {waiver.until}: {waiver.reason}",
                hint="Mend what it let pass, or give it another day.",
                path=waiver.path,
            )
