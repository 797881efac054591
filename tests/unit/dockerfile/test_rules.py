"""Rules for Dockerfiles; their twins are in tests/checks/dockerfiles.py."""

from __future__ import annotations

from tests.checks.dockerfiles import CASES
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.rules import DOCKERFILE_RULES, DockerfileSubject
from wingo.dockerfile.windows_stage import begin_stage


def test_every_finding_says_where_and_how_to_mend_it() -> None:
    assert set(CASES) == {rule.id for rule in DOCKERFILE_RULES}
    for twins in (each for pairs in CASES.values() for each in pairs):
        dockerfile = parse_dockerfile(twins.bad.encode())
        subject = DockerfileSubject(dockerfile, plan_dockerfile(dockerfile, twins.options, windows=begin_stage))
        for rule in DOCKERFILE_RULES:
            for problem in rule.find(subject):
                assert problem.hint
                assert problem.line > 0
