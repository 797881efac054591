r"""Which system a stage is written for, and what a plan assumes where nobody said anything."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.test_plan import NANO, kinds, plan
from wingo.dockerfile.assumptions import likely_argument, likely_value
from wingo.dockerfile.bases import assume_facts, base_reference
from wingo.dockerfile.evidence import windows_evidence
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.source import DockerfileError
from wingo.oci.platform import Platform

WINDOWS = Platform("windows", "amd64")


@pytest.mark.parametrize(
    ("lines", "evidence"),
    [
        ('SHELL ["powershell", "-Command"]', "its SHELL"),
        ('SHELL ["C:/Windows/System32/cmd.exe", "/S", "/C"]', "its SHELL"),
        ("USER ContainerAdministrator", "its USER"),
        (r"USER .\containeruser", "its USER"),
        (r'WORKDIR "C:\go\src"', "its WORKDIR"),
        ("VOLUME c:/data", "its VOLUME"),
        (r"COPY a C:\\a", "where it copies to"),
        ('ENTRYPOINT ["/app/x.exe"]', "what it starts"),
        (r"CMD .\x.exe -v", "what it starts"),
        ("RUN New-Item -ItemType Directory x", "its commands"),
        ("RUN $Env:CGO_ENABLED=0; go build", "its commands"),
        ('RUN setx /M PATH "%PATH%;C:/x"', "its commands"),
        ("RUN cd x && powershell -File y.ps1", "its commands"),
        ('RUN go build -ldflags "-X main.v=%VERSION%"', "its commands"),
        ("RUN apt-get update && date +%Y%m%d", ""),
        ("RUN go build -o app.exe .", ""),
        ("USER nobody", ""),
        ('CMD ["./server"]', ""),
        ("COPY a /c/a", ""),
    ],
)
def test_what_tells_windows(lines: str, evidence: str) -> None:
    dockerfile = parse_dockerfile(f"FROM x\n{lines}\n".encode())
    assert windows_evidence(dockerfile, dockerfile.stages[0]) == evidence


def test_a_stage_is_what_those_that_stand_on_it_are() -> None:
    found = plan(f"FROM golang:1.22 AS a\nFROM a AS b\nRUN mkdir $env:GOPATH\\x; go build\n{NANO}COPY --from=b x .\n")
    assert [stage.platform.os for stage in found.stages] == ["windows"] * 3
    assert kinds(found, 1) == ["go"]


def test_a_base_that_nobody_knows_is_for_windows_when_the_stage_is() -> None:
    found = plan('FROM someone/base\nUSER ContainerAdministrator\nRUN setx /M A "%PATH%;x"\n')
    assert found.platform.os == "windows"
    assert kinds(found) == ["metadata", "lowered"]
    assert found.final.why == "its USER is for Windows"
    assert plan("FROM someone/base\nUSER app\nRUN true\n").platform.os == "linux"
    # What the name says, and what was asked for, go before the text.
    assert plan('FROM alpine\nCMD ["x.exe"]\n').platform.os == "linux"
    assert plan('FROM someone/base\nCMD ["x.exe"]\n', platform=Platform("linux", "amd64")).platform.os == "linux"
    assert plan("FROM golang:1.22\nRUN go build\nCMD .\\x.exe\n").platform.os == "windows"
    assert (
        plan("FROM golang:1.22-alpine AS b\nRUN $env:X\nFROM alpine\nCOPY --from=b x .\n").stages[0].platform.os
        == "linux"
    )


@pytest.mark.parametrize(
    ("image", "flavour", "user", "release"),
    [
        ("microsoft/nanoserver", "nanoserver2016", "", ""),
        ("mcr.microsoft.com/windows/nanoserver:sac2016", "nanoserver2016", "", ""),
        ("mcr.microsoft.com/windows/nanoserver:10.0.14393.2068", "nanoserver2016", "", "10.0.14393.2068"),
        ("golang:1.8-nanoserver", "nanoserver2016", "", ""),
        ("golang:1.22-nanoserver", "nanoserver", "ContainerUser", ""),
        ("mcr.microsoft.com/windows/nanoserver:1809", "nanoserver", "ContainerUser", "10.0.17763"),
        ("microsoft/nanoserver:1709", "nanoserver", "ContainerUser", ""),
    ],
)
def test_the_first_nano_server_has_powershell(image: str, flavour: str, user: str, release: str) -> None:
    from wingo.dockerfile.bases import release_by_name

    facts = assume_facts(base_reference(image), WINDOWS)
    assert (facts.flavour, facts.config.settings.user) == (flavour, user)
    assert not release or release_by_name(base_reference(image)) == release
    shell = '\nSHELL ["powershell", "-Command"]\nRUN mkdir C:\\x\n'
    assert kinds(plan(f"FROM {image}{shell}", platform=WINDOWS))[-1] == ("impossible" if user else "lowered")


def test_microsofts_go_has_experiments_of_its_own() -> None:
    text = "FROM mcr.microsoft.com/oss/go/microsoft/golang:1.25 AS b\nENV GOEXPERIMENT={}\nRUN GOOS=windows go build -o x.exe\n"
    own = plan(text.format("ms_nocgo_opensslcrypto") + f"{NANO}COPY --from=b /x.exe .\n")
    assert kinds(own, 0)[-1] == "sandbox"
    assert "Microsoft's Go" in own.stages[0].steps[-1].why
    assert not own.stages[0].compiles_only
    assert kinds(plan(text.format("jsonv2") + f"{NANO}COPY --from=b /x.exe .\n"), 0)[-1] == "go"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("FROM $IMG\n", "IMG", "mcr.microsoft.com/windows/nanoserver:ltsc2022"),
        ('FROM ${IMG}\nSHELL ["powershell"]\n', "IMG", "mcr.microsoft.com/windows/servercore:ltsc2022"),
        ("FROM ${IMG}\nRUN pwsh -c x\n", "IMG", "mcr.microsoft.com/powershell:lts-nanoserver-ltsc2022"),
        (
            'FROM $IMG\nSHELL ["powershell"]\nRUN x pwsh.msi\n',
            "IMG",
            "mcr.microsoft.com/windows/servercore:ltsc2022",
        ),
        (
            'FROM $IMG\nSHELL ["C:\\\\p\\\\pwsh.exe"]\nRUN x && powershell -c y\n',
            "IMG",
            "mcr.microsoft.com/powershell:lts-windowsservercore-ltsc2022",
        ),
        ("FROM $GO_IMAGE\n", "GO_IMAGE", "golang:1.21"),
        ("FROM golang:${V}-nanoserver\n", "V", "1.21"),
        ("FROM mcr.microsoft.com/windows/nanoserver:$V\n", "V", "ltsc2022"),
        ("FROM x@$DIGEST\n", "DIGEST", f"sha256:{'0' * 64}"),
        ("FROM x@sha256:$DIGEST\n", "DIGEST", "0" * 64),
        ("FROM --platform=$OS/$ARCH x\n", "OS", "windows"),
        ("FROM --platform=$OS/$ARCH x\n", "ARCH", "amd64"),
        ("FROM $REGISTRY/x\n", "REGISTRY", "registry.example"),
    ],
)
def test_likely_values(text: str, name: str, value: str) -> None:
    assert likely_value(parse_dockerfile(f"ARG {name}\n{text}".encode()), name) == value


def test_arguments_of_a_stage_are_assumed_only_when_asked() -> None:
    text = f"{NANO}ARG X_VERSION\nARG SHA512\nARG GOPROXY\nARG FEATURES\nADD https://host.example/$X_VERSION/x.zip /\n"
    assert plan(text).final.settings.variables.get("X_VERSION") is None
    assumed = plan(text, assume=True).final.settings.variables
    assert (assumed["X_VERSION"], len(assumed["SHA512"])) == ("1.0.0", 128)
    assert assumed.get("GOPROXY") is assumed.get("FEATURES") is None
    assert likely_argument("DOWNLOAD_URL") == "https://host.example/download_url.zip"
    with pytest.raises(DockerfileError, match="name of the base is empty"):
        plan("ARG BASE\nFROM $BASE\n")
    assert plan("ARG BASE\nFROM $BASE\n", assume=True).platform.os == "windows"


def test_a_copy_of_another_windows_stage_brings_what_that_one_has() -> None:
    text = (
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS a\n"
        "RUN mkdir C:\\in && echo mkdir C:\\made>C:\\in\\x.ps1 && echo y>C:\\in\\y.bin\n"
        'FROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL ["powershell", "-Command"]\n'
        "COPY --from=a C:\\in C:\\out\nCOPY --from=a /in/y.bin /z\n"
        "RUN C:\\out\\x.ps1; if (Test-Path C:\\z -PathType Leaf) { mkdir C:\\file }\n"
    )
    edits = plan(f"# escape=`\n{text}").final.steps[-1].edits
    assert edits == (r"make directory C:\made", r"make directory C:\file")


def test_what_is_surely_a_file_is_told_by_its_ending() -> None:
    text = (
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS a\n"
        'FROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL ["powershell", "-Command"]\n'
        "COPY --from=a C:/in/Some.Git.Server C:/out/Some.Git.Server\nCOPY --from=a C:/in/x.exe C:/y/\n"
        "RUN Remove-Item C:\\out\\Some.Git.Server\\Web.config; Remove-Item C:\\y\\x.exe\n"
    )
    assert kinds(plan(text))[-1] == "lowered"


def test_each_base_is_for_the_release_that_its_name_says() -> None:
    text = (
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS a\nRUN mkdir C:\\x\n"
        "FROM mcr.microsoft.com/windows/nanoserver:1809\nCOPY --from=a C:/x C:/x\n"
    )
    assert [stage.platform.os_version for stage in plan(text).stages] == ["10.0.20348", "10.0.17763"]
    asked = plan(text, platform=Platform("windows", "amd64", os_version="10.0.26100"))
    assert [stage.platform.os_version for stage in asked.stages] == ["10.0.20348", "10.0.26100"], (
        "the image is for what was asked"
    )
