"""Runs the rules: over each of our layers once, each image, and what is at the place as a whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from wingo.check.catalogue import RULES
from wingo.check.finding import Finding, Severity, Where, merged
from wingo.check.policy import Policy, WaiverSubject, judged
from wingo.check.rule import Rule, Scope, apply
from wingo.check.subject import ArtifactSubject, ImageSubject
from wingo.oci.digest import Digest


class Skipped(msgspec.Struct, frozen=True, rename="camel"):
    """A rule that could not look, and what it lacked.

    Attributes:
        rule: its number.
        needs: what was not at hand.
        platforms: of the images at which it could not look.
    """

    rule: str
    needs: str
    platforms: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """What a check found.

    Attributes:
        findings: worst first; those of several platforms put together.
        skipped: rules that lacked something.
        rules: how many were asked.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()
    rules: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is wrong and not waived."""
        return tuple(item for item in self.findings if item.severity is Severity.ERROR and not item.waived)


def check(subject: ArtifactSubject, policy: Policy, today: dt.date, rules: Sequence[Rule[Any]] = RULES) -> Verdict:
    """Asks the rules that the policy does not ignore, each over what it looks at."""
    asked = [rule for rule in rules if rule.id not in policy.ignored]
    skipped: dict[tuple[str, str], list[str]] = {}
    found = (*_layers(subject, asked), *_images(subject, asked, skipped), *_whole(subject, asked))
    waivers = WaiverSubject(policy, found, today)
    found += tuple(apply(_of(asked, Scope.WAIVERS), waivers, Where(subject.place)))
    return Verdict(
        merged(judged(found, policy, today)),
        tuple(Skipped(rule, needs, tuple(names)) for (rule, needs), names in skipped.items()),
        len(asked),
    )


def _layers(subject: ArtifactSubject, rules: Sequence[Rule[Any]]) -> Iterator[Finding]:
    """Each layer once, however many images it is in."""
    users: dict[tuple[Digest, str], list[ImageSubject]] = {}
    for image in subject.images:
        for layer in image.layers:
            users.setdefault((layer.descriptor.digest, layer.os), []).append(image)
    for (digest, os), images in users.items():
        layer = next(item for item in images[0].layers if item.descriptor.digest == digest)
        platforms = tuple(str(image.image.platform) for image in images)
        where = Where(subject.place, platforms=platforms, layer=digest)
        yield from apply(_of(rules, Scope.LAYER, os), layer, where)


def _images(
    subject: ArtifactSubject, rules: Sequence[Rule[Any]], skipped: dict[tuple[str, str], list[str]]
) -> Iterator[Finding]:
    for image in subject.images:
        platform = str(image.image.platform)
        where = Where(subject.place, image.image.digest, (platform,))
        for rule in _of(rules, Scope.IMAGE, image.os):
            if image.has(rule.needs):
                yield from apply([rule], image, where)
            else:
                skipped.setdefault((rule.id, rule.needs.value), []).append(platform)


def _whole(subject: ArtifactSubject, rules: Sequence[Rule[Any]]) -> Iterable[Finding]:
    return apply(_of(rules, Scope.ARTIFACT), subject, Where(subject.place, subject.artifact.digest))


def _of(rules: Sequence[Rule[Any]], scope: Scope, os: str = "") -> list[Rule[Any]]:
    return [rule for rule in rules if rule.scope is scope and (not rule.os or rule.os == os)]
