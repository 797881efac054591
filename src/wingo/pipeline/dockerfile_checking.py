"""`wingo check -f Dockerfile`: the rules for Dockerfiles, asked of its plan for each platform."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from wingo.check.finding import Where, merged
from wingo.check.policy import Policy, judged
from wingo.check.rule import apply
from wingo.dockerfile.rules import DOCKERFILE_RULES, DockerfileSubject
from wingo.pipeline.checking import PlaceReport
from wingo.pipeline.dockerfile_planning import plan_request
from wingo.pipeline.dockerfile_request import DockerfileRequest

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


def check_dockerfile(request: DockerfileRequest, places: Places | None, policy: Policy, now: float) -> PlaceReport:
    """What is wrong with a Dockerfile.

    Args:
        request: the Dockerfile and its flags.
        places: where bases are asked; None: nobody is.
        policy: severities and waivers.
        now: seconds since 1970.

    Raises:
        RequestError: it cannot be planned at all.
    """
    file = request.dockerfile.file
    asked = [item for item in DOCKERFILE_RULES if item.id not in policy.ignored]
    plans = plan_request(request, places)
    found = [
        finding
        for plan in plans
        for finding in apply(
            asked,
            DockerfileSubject(request.dockerfile, plan),
            Where(file, platforms=(str(plan.platform),), path=file),
        )
    ]
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    return PlaceReport(
        place=file,
        digest="",
        platforms=tuple(str(plan.platform) for plan in plans),
        findings=merged(judged(tuple(found), policy, today)),
        notes=request.dockerfile.warnings,
        rules=len(asked),
    )
