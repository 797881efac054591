"""Twins for the rules about Dockerfiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.checks.twins import Subject
from wingo.check.finding import Finding, Where, merged
from wingo.check.rule import Rule, apply
from wingo.dockerfile.graph import Options
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.rules import DockerfileSubject
from wingo.dockerfile.windows_stage import begin_stage


@dataclass
class Dockerfiles:
    """Two Dockerfiles."""

    bad: str
    good: str
    options: Options = field(default_factory=Options)
    passed_on: bool = False  # the words are another room's: only that there are some is held

    def write(self, folder: Path, *, bad: bool) -> None:
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(self.bad if bad else self.good, "utf-8")

    def read(self, folder: Path, *, bad: bool) -> Subject:
        dockerfile = parse_dockerfile((folder / "Dockerfile").read_bytes())
        return DockerfileSubject(dockerfile, plan_dockerfile(dockerfile, self.options, windows=begin_stage))

    def findings(self, subject: Subject, rule: Rule[Any], *, bad: bool) -> Sequence[Finding]:
        assert isinstance(subject, DockerfileSubject)
        platform = subject.plan.final.platform
        found = merged(apply([rule], subject, Where("Dockerfile", platforms=(str(platform),), path="Dockerfile")))
        if not self.passed_on:
            return found
        return [msgspec.structs.replace(each, message=each.message and "…", hint=each.hint and "…") for each in found]


NANO = "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
GO = "FROM golang:1.21 AS b\nRUN {} -o /x .\n"

CASES: dict[str, list[Dockerfiles]] = {
    "WGO610": [Dockerfiles(GO.format("go build") + NANO + "COPY --from=b /x /x\n", GO.format("GOOS=windows go build") + NANO + "COPY --from=b /x /x\n")],
    "WGO611": [Dockerfiles(GO.format("GOOS=linux go build") + NANO + "COPY --from=b /x /x\n", GO.format("GOOS=windows go build") + NANO + "COPY --from=b /x /x\n")],
    "WGO612": [Dockerfiles(GO.format("go build") + "FROM alpine:3\nCOPY --from=b /x /x\n", GO.format("CGO_ENABLED=0 go build") + "FROM alpine:3\nCOPY --from=b /x /x\n")],
    "WGO613": [Dockerfiles(NANO + 'SHELL ["powershell"]\nCMD x\n', NANO + "CMD x\n")],
    "WGO614": [Dockerfiles("FROM alpine:3\nCMD x\n", 'FROM alpine:3\nCMD ["x"]\n')],
    "WGO615": [Dockerfiles("FROM alpine\n", "FROM alpine:3\n")],
    "WGO616": [Dockerfiles(NANO + "ENV PATH=$PATH;C:\\x\n", NANO + "ENV PATH=C:\\\\x;C:\\\\Windows\\\\System32\n")],
    "WGO617": [Dockerfiles(NANO + "RUN msiexec /i x.msi\n", NANO + "RUN mkdir C:\\x\n", passed_on=True)],
    "WGO618": [Dockerfiles("FROM alpine:3\nARG DB_PASSWORD\n", "FROM alpine:3\nARG DB_PASSWORD_FILE\n")],
    "WGO619": [Dockerfiles("ARG V=1\nFROM alpine:3\nLABEL v=$V\n", "ARG V=1\nFROM alpine:3\nARG V\nLABEL v=$V\n")],
    "WGO620": [Dockerfiles("FROM alpine:3\nADD https://registry.example/x /x\n", "FROM alpine:3\nADD --checksum=sha256:0 https://registry.example/x /x\n")],
    "WGO621": [Dockerfiles("FROM alpine:3 AS t\nFROM alpine:3\n", "FROM alpine:3 AS t\nFROM t\n")],
}  # fmt: skip
