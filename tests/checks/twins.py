"""What the corpus is made of: twins, one of which a rule must find something in, and the other nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from wingo.check.engine import check
from wingo.check.finding import Finding
from wingo.check.policy import Policy
from wingo.check.rule import Rule
from wingo.check.subject import ArtifactSubject
from wingo.dockerfile.rules import DockerfileSubject
from wingo.image.model import Image, images_of
from wingo.oci.place import parse_place
from wingo.pipeline.base_layers import BaseLayers
from wingo.pipeline.checking import gather
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.stores.reading import readable
from wingo.testing.host import FakeHost

TODAY = dt.date(2026, 11, 25)
Subject = ArtifactSubject | DockerfileSubject
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")


class Twins(Protocol):
    """A pair that differs on one point, for one rule."""

    def write(self, folder: Path, *, bad: bool) -> None:
        """Writes one of the two: an OCI layout, or a Dockerfile in a directory."""

    def read(self, folder: Path, *, bad: bool) -> Subject:
        """Reads what was written, as the command does."""

    def findings(self, subject: Subject, rule: Rule[Any], *, bad: bool) -> Sequence[Finding]:
        """What one rule says of it."""


def said(finding: Finding) -> str:
    """A finding in one line, as the corpus expects it; digests are left out."""
    where = finding.where
    win = f" [{finding.win} bytes]" if finding.win else ""
    place = " ".join(
        part
        for part in (where.path, f"line {where.line}" if where.line else "", "layer" if where.layer else "")
        if part
    )
    text = f"{finding.severity.value}: {finding.message}{win} → {finding.hint} ({place or 'image'}: {', '.join(where.platforms)})"
    return _DIGEST.sub(lambda found: "sha256:" + "x" * (len(found[0]) - 7), text)


def gathered(folder: Path, below: Callable[[Image], BaseLayers] | None, **more: Any) -> ArtifactSubject:
    """What rules look at, of a layout."""
    place = f"oci:{folder}"
    host = FakeHost(str(folder.parent), str(folder.parent / f"{folder.name}-cache"))
    with Places(host, Settings()) as places:
        artifact = places.open(parse_place(place)).read(readable)
        known = {image.digest: below(image) for image in images_of(artifact)} if below else None
        return gather(place, artifact, places, below=known, **more).subject


def asked(subject: Subject, rule: Rule[Any], policy: Policy, others: Sequence[Rule[Any]] = ()) -> Sequence[Finding]:
    """What one rule finds, as the engine asks it; for a rule about findings, what others found is there."""
    assert isinstance(subject, ArtifactSubject)
    return [item for item in check(subject, policy, TODAY, [*others, rule]).findings if item.rule == rule.id]
