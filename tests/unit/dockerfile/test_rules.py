"""Rules for Dockerfiles: each with a Dockerfile that breaks it, and its twin that does not."""

from __future__ import annotations

import pytest

from wingo.dockerfile.graph import Options
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.rules import DOCKERFILE_RULES, DockerfileSubject
from wingo.dockerfile.windows_stage import begin_stage

NANO = "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
GO = "FROM golang:1.21 AS b\nRUN {} -o /x .\n"

TWINS = {
    "WGO610": (GO.format("go build") + NANO + "COPY --from=b /x /x\n", GO.format("GOOS=windows go build") + NANO + "COPY --from=b /x /x\n"),
    "WGO611": (GO.format("GOOS=linux go build") + NANO + "COPY --from=b /x /x\n", GO.format("GOOS=windows go build") + NANO + "COPY --from=b /x /x\n"),
    "WGO612": (GO.format("go build") + "FROM alpine:3\nCOPY --from=b /x /x\n", GO.format("CGO_ENABLED=0 go build") + "FROM alpine:3\nCOPY --from=b /x /x\n"),
    "WGO613": (NANO + 'SHELL ["powershell"]\nCMD x\n', NANO + "CMD x\n"),
    "WGO614": ("FROM alpine:3\nCMD x\n", 'FROM alpine:3\nCMD ["x"]\n'),
    "WGO615": ("FROM alpine\n", "FROM alpine:3\n"),
    "WGO616": (NANO + "ENV PATH=$PATH;C:\\x\n", NANO + "ENV PATH=C:\\\\x;C:\\\\Windows\\\\System32\n"),
    "WGO617": (NANO + "RUN msiexec /i x.msi\n", NANO + "RUN mkdir C:\\x\n"),
    "WGO618": ("FROM alpine:3\nARG DB_PASSWORD\n", "FROM alpine:3\nARG DB_PASSWORD_FILE\n"),
    "WGO619": ("ARG V=1\nFROM alpine:3\nLABEL v=$V\n", "ARG V=1\nFROM alpine:3\nARG V\nLABEL v=$V\n"),
    "WGO620": ("FROM alpine:3\nADD https://registry.example/x /x\n", "FROM alpine:3\nADD --checksum=sha256:0 https://registry.example/x /x\n"),
    "WGO621": ("FROM alpine:3 AS t\nFROM alpine:3\n", "FROM alpine:3 AS t\nFROM t\n"),
}  # fmt: skip


def broken(text: str) -> dict[str, list[int]]:
    dockerfile = parse_dockerfile(text.encode())
    subject = DockerfileSubject(dockerfile, plan_dockerfile(dockerfile, Options(), windows=begin_stage))
    found: dict[str, list[int]] = {}
    for rule in DOCKERFILE_RULES:
        for problem in rule.find(subject):
            assert problem.hint
            found.setdefault(rule.id, []).append(problem.line)
    return found


def test_every_rule_has_twins() -> None:
    assert set(TWINS) == {rule.id for rule in DOCKERFILE_RULES}
    for rule in DOCKERFILE_RULES:
        assert {"Why", "Example", "Mend"} <= set(rule.page), rule.id


@pytest.mark.parametrize("rule", TWINS)
def test_twins(rule: str) -> None:
    bad, good = TWINS[rule]
    assert broken(bad)[rule][0] > 0
    assert rule not in broken(good)
