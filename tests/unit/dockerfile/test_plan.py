"""Plans: what each instruction becomes, for which platform, and what is refused."""

from __future__ import annotations

import time

import pytest

from wingo.dockerfile.bases import assume_facts, base_reference, windows_by_name
from wingo.dockerfile.graph import Options
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.planned import Plan
from wingo.dockerfile.posix import read_commands
from wingo.dockerfile.report import plan_lines, report_plan
from wingo.dockerfile.settings import windows_path
from wingo.dockerfile.source import DockerfileError
from wingo.dockerfile.steps import CopyFiles, RunGo, RunSandbox, StepKind
from wingo.dockerfile.toolchains import ToolchainImage, toolchain_image
from wingo.dockerfile.windows_stage import begin_stage
from wingo.errors import RequestError
from wingo.oci.platform import Platform


def plan(text: str, **options: object) -> Plan:
    return plan_dockerfile(
        parse_dockerfile(text.encode()),
        Options(**options),
        windows=begin_stage,  # type: ignore[arg-type]
    )


def kinds(found: Plan, stage: int = -1) -> list[str]:
    return [step.kind.value for step in found.stages[stage].steps]


NANO = "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"


def test_a_linux_toolchain_compiles_for_the_final_windows() -> None:
    found = plan(
        "FROM golang:1.21 AS builder\nCOPY . .\nRUN go build -o main.exe .\n"
        + NANO
        + "COPY --from=builder /go/main.exe /main.exe\n"
    )
    assert str(found.platform) == "windows/amd64:10.0.20348"
    build = found.stages[0].steps[1]
    assert build.kind is StepKind.GO
    assert isinstance(build.action, RunGo)
    assert (build.action.goos, build.action.goarch, build.action.toolchain) == ("windows", "amd64", "1.21.13")
    assert "GOOS is not set" in build.notes[0]
    assert found.stages[0].compiles_only


def test_goos_that_contradicts_the_image_is_said() -> None:
    found = plan("FROM golang AS b\nRUN GOOS=linux go build\n" + NANO + "COPY --from=b /go/x /x\n")
    assert "will not run there" in found.stages[0].steps[0].notes[0]


def test_the_glibc_trap() -> None:
    text = (
        "FROM golang:1.21 AS b\nRUN go build -o s .\nFROM alpine\nRUN apk add ca-certificates\nCOPY --from=b /go/s .\n"
    )
    found = plan(text)
    assert "CGO_ENABLED=0" in found.stages[0].steps[0].notes[0]
    assert kinds(found) == ["sandbox", "files"]
    assert not plan(text.replace("alpine", "debian")).stages[0].steps[0].notes
    assert not plan(text.replace("1.21", "1.21-alpine")).stages[0].steps[0].notes  # the same C library
    explicit = plan(text.replace("RUN go", "ENV CGO_ENABLED=1\nRUN go"))
    assert explicit.stages[0].steps[1].kind is StepKind.SANDBOX
    assert not explicit.stages[0].compiles_only


def test_stages_that_nothing_needs_are_left_out() -> None:
    found = plan(
        "FROM a AS lint\nRUN lint\nFROM b AS base\nFROM c AS x\nCOPY --from=base /y /y\nFROM d AS after\nRUN z\n",
        target="x",
    )
    assert [stage.name for stage in found.stages] == ["base", "x"]
    assert found.left_out == ("lint", "after")


def test_platform_arguments() -> None:
    text = (
        "ARG V=1\nFROM --platform=$BUILDPLATFORM golang:$V AS b\nARG TARGETOS TARGETARCH V\n"
        'RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-X main.v=$V" -o /out/app\nFROM scratch-$TARGETOS\n'
        "FROM base-$TARGETOS AS final\nCOPY --from=b /out/app /app\n"
    )
    found = plan(text, platform=Platform("linux", "arm64"), build_args={"V": "1.22"})
    go = found.stages[0].steps[-1].action
    assert isinstance(go, RunGo)
    said = dict(go.commands[0].environment)
    assert (said["GOOS"], said["GOARCH"]) == ("linux", "arm64")
    assert go.commands[0].argv == ("go", "build", "-ldflags", "-X main.v=1.22", "-o", "/out/app")
    assert str(found.final.base) == "docker.io/library/base-linux:latest"
    assert go.toolchain == "1.22.12"


def test_arguments_have_scopes() -> None:
    text = "ARG A=1\nARG B=$A-2\nFROM x:$B\nENV C=$A D=$B\nARG A\nENV E=$A F=${G:-none}\nARG A=3\nENV H=$A\n"
    env = plan(text).final.settings.env
    assert {name: env[name] for name in "CDEFH"} == {"C": "", "D": "", "E": "1", "F": "none", "H": "3"}
    assert plan(text, build_args={"A": "9"}).final.settings.env["H"] == "9"


def test_windows_settings() -> None:
    settings = plan(
        "# escape=`\n"
        + NANO
        + "WORKDIR /app\nWORKDIR sub\\..\\data\nUSER containeradministrator\nENV path=C:\\x;$PATH a=b A=c\n"
        'EXPOSE 80-81\nENTRYPOINT app.exe --x "a b"\nCMD ["--y"]\nVOLUME c:/data\n'
    ).final.settings
    members = settings.members()
    assert settings.directory == "C:\\app\\data"
    assert members["user"] == "ContainerAdministrator"
    assert members["entrypoint"] == ('cmd /S /C app.exe --x "a b"',)
    assert (members["cmd"], members["args_escaped"]) == (("--y",), True)
    assert settings.env == {"path": "C:\\x;", "a": "c"}
    assert members["volumes"] == {"C:\\data": {}}
    assert set(settings.ports) == {"80/tcp", "81/tcp"}


def test_entrypoint_drops_the_bases_cmd() -> None:
    members = plan(NANO + 'ENTRYPOINT ["C:\\\\app.exe"]\n').final.settings.members()
    assert (members["entrypoint"], members["cmd"], members["args_escaped"]) == (("C:\\app.exe",), None, None)


def test_path_of_a_windows_base_is_not_in_its_config() -> None:
    step = plan(NANO + "ENV PATH=$PATH;C:\\x\n").final.steps[0]
    assert "hides it" in step.notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C:", "C:\\"), ("c:/a/", "C:\\a\\"), ("\\a", "C:\\a"), ("a\\b", "C:\\app\\a\\b"), ("..", "C:\\"), (".", "C:\\app\\"),
        ("./", "C:\\app\\"), ("/", "C:\\"), ("C:a", "C:\\a"),
    ],
)  # fmt: skip
def test_windows_paths(text: str, expected: str) -> None:
    assert windows_path(text, "C:\\app") == expected


def test_bad_windows_paths() -> None:
    for text in ("D:\\x", "\\a\\NUL", "a:b"):
        with pytest.raises(RequestError):
            windows_path(text)


def test_copies() -> None:
    found = plan(
        "FROM x AS a\nFROM y\nARG D=/d\nWORKDIR /w\nCOPY --from=0 --chown=$D a b ./\nCOPY --from=alpine:3 /x .\nADD x.tar $D\nCOPY <<E /e\n$D\nE\n"
    )
    steps = [step.action for step in found.stages[-1].steps if isinstance(step.action, CopyFiles)]
    assert [step.destination for step in steps] == ["/w/", "/w/", "/d", "/e"]
    assert [str(step.source) for step in steps] == [
        "stage a",
        "docker.io/library/alpine:3",
        "the build context",
        "the build context",
    ]
    assert steps[0].chown == "/d"
    assert steps[2].unpack
    assert steps[3].documents[0].text == "/d\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM x AS a\nCOPY --from=a b c\n", "copies from itself"),
        ("FROM x AS a\nCOPY --from=b x y\nFROM y AS b\nCOPY --from=a x y\n", "stands below"),
        ("FROM x\nCOPY --from=7 a b\n", "no stage number 7"),
        ("FROM x\nCOPY --from=$A a b\n", "takes no variables"),
        ("FROM $A\n", "the base is empty"),
        ("FROM x\nCOPY a b c\n", "must be a directory"),
        ("FROM x\nCOPY https://a/b c\n", "COPY takes no URL"),
        ("FROM x\nENV a=${\n", "end the substitution"),
        ("FROM x\nEXPOSE http\n", "is not a port"),
        ("FROM x\nSTOPSIGNAL now!\n", "is not a signal"),
        ("FROM Bad Name\n", "FROM takes an image"),
        ("FROM BAD\n", "cannot be part of a repository"),
        ("FROM --platform=x y\n", "is not a platform"),
        (NANO + "WORKDIR D:\\x\n", "no drive D:"),
        (NANO + "USER 1000:1000\n", "is one for Linux"),
    ],
)  # fmt: skip
def test_bad_requests(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as raised:
        plan(text)
    assert str(raised.value).startswith("Dockerfile:")
    assert " | " in str(raised.value)


def test_unknown_target() -> None:
    with pytest.raises(RequestError) as raised:
        plan("FROM x AS builder\n", target="bulder")
    assert raised.value.hint == "Did you mean builder?"


def test_impossible_steps() -> None:
    found = plan("FROM alpine\nRUN --security=insecure x\nRUN --mount=type=ssh y\n")
    assert kinds(found) == ["impossible", "sandbox"]
    assert all(step.advice for _, step in found.impossible())
    assert not report_plan(found).possible


def test_sandbox_steps() -> None:
    found = plan(
        'FROM alpine\nARG A=1\nUSER me\nWORKDIR /w\nRUN --mount=type=cache,target=/c --network=none make\nRUN ["a", "b"]\n'
        'RUN <<EOF\napk add x\nEOF\nRUN <<X\n#!/usr/bin/env python\nX\nSHELL ["/bin/bash", "-c"]\nRUN a <<B\n1\nB\n'
    )  # fmt: skip
    runs = [step.action for step in found.final.steps if isinstance(step.action, RunSandbox)]
    assert [run.argv for run in runs] == [
        ("/bin/sh", "-c", "make"), ("a", "b"), ("/bin/sh", "-c", "apk add x\n"), ("/bin/sh", "-c", "#!/usr/bin/env python\n"),
        ("/bin/bash", "-c", "a <<B\n1\nB"),
    ]  # fmt: skip
    assert runs[3].script == "#!/usr/bin/env python\n"
    assert [run.wants_network for run in runs] == [False, False, True, False, False]
    assert "A=1" in runs[0].environment
    assert (runs[0].user, runs[0].directory, runs[0].network) == ("me", "/w", "none")


def test_triggers_of_a_stage_run_in_the_next() -> None:
    found = plan("FROM x AS a\nONBUILD COPY y /y\nONBUILD ENV Z=1\nFROM a\nRUN z\n")
    assert kinds(found, 0) == ["metadata", "metadata"]
    assert kinds(found, 1) == ["files", "metadata", "sandbox"]
    assert found.final.settings.env["Z"] == "1"
    assert not found.final.settings.triggers


def test_shell_commands_that_need_no_shell() -> None:
    found = read_commands(
        "set -eux; cd src && X=1 go build -o $OUT \\\n  ./...; export Y=2 && go env # c", {"OUT": "/a"}, "/w"
    )
    assert found is not None
    assert [(item.argv, item.directory) for item in found] == [
        (("go", "build", "-o", "/a", "./..."), "/w/src"),
        (("go", "env"), "/w/src"),
    ]
    assert dict(found[0].environment) == {"OUT": "/a", "X": "1"}
    assert dict(found[1].environment) == {"OUT": "/a", "Y": "2"}
    for text in (
        "a | b",
        "a > b",
        "a $(b)",
        "a `b`",
        "a *",
        "a || b",
        "a & b",
        "if a; then b; fi",
        "(a)",
        "cd",
        "'a",
        "a ${B:?x}",
        "$SPACES",
    ):
        assert read_commands(text, {"SPACES": "a b"}, "/") is None, text


def test_toolchain_images() -> None:
    found = toolchain_image(base_reference("registry.example/x/golang:1.20.5-nanoserver-1809"))
    assert found is not None
    assert (found.version, found.windows) == ("1.20.5", "nanoserver")
    assert found.toolchain("go1.26.8") == "go1.20.5"
    for tag, local, expected in (
        ("1.26", "go1.26.8", "local"), ("1.26.8", "go1.26.8", "local"), ("1.26.1", "go1.26.8", "go1.26.1"),
        ("latest", "go1.26.8", "local"), ("alpine", "go1.26.8", "local"), ("1", "go1.26.8", "local"),
        ("nanoserver-ltsc2022", "go1.26.8", "local"), ("windowsservercore", "go1.26.8", "local"),
        ("1.21", "go1.26.8", "go1.21.13"), ("1.21.5", "go1.26.8", "go1.21.5"), ("1.21", "go1.21.4", "go1.21.13"), ("1.21", "go1.21.13", "local"),
        ("1.21-alpine", "go1.26.8", "go1.21.13"), ("1.21-alpine3.19", "go1.26.8", "go1.21.13"), ("1.21.5-alpine", "go1.26.8", "go1.21.5"),
        ("1.21-bookworm", "go1.26.8", "go1.21.13"), ("1.21.5-bullseye", "go1.26.8", "go1.21.5"), ("1.26-azurelinux3.0", "go1.26.8", "local"),
        ("1.21-nanoserver", "go1.26.8", "go1.21.13"), ("1.21.5-nanoserver-1809", "go1.26.8", "go1.21.5"),
        ("1.21-windowsservercore-ltsc2022", "go1.26.8", "go1.21.13"), ("1.21.5-windowsservercore-ltsc2022", "go1.26.8", "go1.21.5"),
        ("1.21-nanoserver-ltsc2022@sha256:" + "0" * 64, "go1.26.8", "go1.21.13"), ("1.25.9-1-nanoserver-ltsc2022-amd64", "go1.26.8", "go1.25.9"),
        ("1.27", "go1.26.8", "go1.27.0"), ("1.27.0", "go1.26.8", "go1.27.0"), ("1.20", "go1.26.8", "go1.20.14"), ("1.20.0", "go1.26.8", "go1.20"),
        ("1.22rc1-windowsservercore", "go1.26.8", "go1.22rc1"), ("1.12.13-nanoserver", "go1.26.8", "local"), ("1.13", "go1.26.8", "go1.13.15"),
    ):  # fmt: skip
        image = toolchain_image(base_reference(f"golang:{tag}"))
        assert image is not None
        assert image.toolchain(local) == expected, tag
    assert toolchain_image(base_reference("golangci/golangci-lint")) is None


@pytest.mark.parametrize(
    ("tag", "wanted", "expected"),
    [
        ("latest", "1.27.2", "go1.27.2"),
        ("alpine", "1.27", "go1.27.0"),
        ("1", "1.27.2", "go1.27.2"),
        ("1.26", "1.26.9", "go1.26.9"),
        ("1.26-nanoserver-ltsc2022", "1.26.9", "go1.26.9"),
        ("1.26", "1.27.0", ""),
        ("1.2", "1.26.9", ""),
        ("1.26.8", "1.26.9", ""),
    ],
)
def test_a_tag_that_moves_may_have_what_go_mod_wants(tag: str, wanted: str, expected: str) -> None:
    image = toolchain_image(base_reference(f"golang:{tag}"))
    assert image is not None
    assert image.newer(wanted) == expected


@pytest.mark.parametrize(
    ("head", "version"),
    [
        ("ARG GO=1.21\nFROM golang:${GO}-alpine AS b\n", "1.21.13"),
        ("ARG GO_VERSION=1.21.5\nFROM golang:$GO_VERSION-nanoserver-ltsc2022 AS b\n", "1.21.5"),
        ("ARG TAG\nFROM golang:${TAG:-1.22-windowsservercore} AS b\n", "1.22.12"),
        (f"FROM golang:1.21@sha256:{'0' * 64} AS b\n", "1.21.13"),
        (f"FROM golang@sha256:{'0' * 64} AS b\n", ""),
        ("FROM docker.io/library/golang:1.21-bookworm AS b\n", "1.21.13"),
        ("FROM registry.example/mirror/golang:1.21.7-windowsservercore-ltsc2019 AS b\n", "1.21.7"),
    ],
)
def test_the_version_reaches_the_step(head: str, version: str) -> None:
    """However the image is written, and in whichever language its RUN is."""
    found = plan(
        f"{head}RUN go build -o app.exe .\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nCOPY --from=b /app.exe /\n"
    )
    toolchain = found.stages[0].facts.toolchain
    assert toolchain is not None
    assert toolchain.full_version == version
    action = found.stages[0].steps[0].action
    assert (action.toolchain if isinstance(action, RunGo) else version) == version


def test_windows_is_told_by_the_name() -> None:
    for name in (
        "mcr.microsoft.com/windows/servercore:ltsc2019",
        "x/app:1-nanoserver-1809",
        "y:windowsservercore",
        "r.example/a:win-amd64",
    ):
        assert windows_by_name(base_reference(name)), name
    for name in ("alpine", "mcr.microsoft.com/dotnet/sdk:8.0", "x/darwin:1", "debian:bookworm", "y:1.2019"):
        assert not windows_by_name(base_reference(name)), name
    facts = assume_facts(base_reference("golang:1.21-windowsservercore-ltsc2022"), Platform("windows", "amd64"))
    assert (facts.flavour, (facts.config.settings.shell or ("",))[0]) == ("servercore", "powershell")


def test_text_of_a_plan() -> None:
    text = "\n".join(
        plan_lines(
            report_plan(plan("FROM golang AS b\nRUN go build\nFROM x AS unused\nFROM alpine\nCOPY --from=b /go/a /a\n"))
        )
    )
    assert "its image is not pulled" in text
    assert "left out, because nothing needs it: unused" in text


def test_a_toolchain_is_pulled_for_a_stage_that_stands_on_it() -> None:
    text = "FROM golang AS a\nRUN go mod download\nFROM a AS b\nRUN {command}\nFROM alpine\nCOPY --from=b /go/a /a\n"
    pulled = [
        report_plan(plan(text.format(command=command))).stages[0].image_needed for command in ("go build", "make")
    ]
    assert pulled == [False, True]


def test_five_hundred_steps_take_no_time() -> None:
    text = "FROM alpine AS s0\n" + "".join(
        f"ENV A{i}=${{A{i - 1}:-x}}\nRUN echo {i} && true\nCOPY a{i} /b{i}\n" for i in range(167)
    )
    parsed = parse_dockerfile(text.encode())
    started = time.monotonic()
    plan_dockerfile(parsed, Options())
    assert time.monotonic() - started < 1.0  # the aim is 0.1 s on an idle machine: bench/


def test_a_release_line_that_goes_on_is_any_of_its_releases() -> None:
    """`golang:1.26` is whatever 1.26 is newest, so a local 1.26.8 is as good, and go.mod may ask for it."""
    found = plan("FROM golang:1.26 AS b\nRUN go build -o /app .\nFROM scratch\nCOPY --from=b /app /app\n")
    action = found.stages[0].steps[-1].action
    assert isinstance(action, RunGo)
    assert action.toolchain == "1.26"
    assert ToolchainImage(action.toolchain).toolchain("go1.26.8") == "local"
    assert ToolchainImage(action.toolchain).toolchain("go1.27.1") == "go1.26.0"
