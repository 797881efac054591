r"""The traps that were seen in real Windows Dockerfiles, one after the other; each file that has one was read and is described here."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.lowering.stages import lines, only, plan_stage, ps, run, stage
from tests.unit.dockerfile.test_plan import NANO, plan
from wingo.dockerfile.lowering.edits import SetVariable
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.planned import Plan
from wingo.dockerfile.source import DockerfileError
from wingo.dockerfile.steps import CopyFiles, StepKind

CORE = "FROM mcr.microsoft.com/windows/servercore:ltsc2022\n"


def edits(found: Plan, stage_number: int = -1) -> list[str]:
    return [edit for step in found.stages[stage_number].steps for edit in step.edits]


def copies(found: Plan, stage_number: int = -1) -> list[CopyFiles]:
    return [step.action for step in found.stages[stage_number].steps if isinstance(step.action, CopyFiles)]


def test_1_two_escape_characters_end_a_line() -> None:
    # A path that ends with two backslashes: the next line is one of its own.
    text = "ARG ROOT=C:\\\\ProgramData\\\\Agent\\\\\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nARG ROOT\nWORKDIR $ROOT\n"
    dockerfile = parse_dockerfile(text.encode())
    assert len(dockerfile.stages) == 1
    assert plan(text).final.settings.directory == r"C:\ProgramData\Agent"
    assert len(parse_dockerfile(f"{NANO}COPY a C:\\\\a\\\\\nCMD x\n".encode()).stages[0].instructions) == 2


def test_2_words_behind_an_argument_are_names_and_references_have_quotes() -> None:
    found = plan(f"{NANO}ARG GOOS=windows # the default\nENV X=$GOOS\n")
    assert ("X", "windows") in found.final.settings.variables.items()
    quoted = plan('ARG TAG=ltsc2022\nFROM mcr.microsoft.com/windows/servercore:"${TAG}"\n')
    assert str(quoted.final.base.image) == "mcr.microsoft.com/windows/servercore:ltsc2022"


def test_3_what_is_written_is_lowered_and_not_repaired() -> None:
    # cmd knows no ${X}; PowerShell's ${X} is a variable of its own; an ARG before FROM is none of the stage's.
    text = f'{CORE}ARG ID=7\nRUN reg add HKLM\\SOFTWARE\\A /v Id /d "${{ID}}" /f\n'
    assert edits(plan(text)) == [r"set HKEY_LOCAL_MACHINE\SOFTWARE\A Id = sz:${ID}"]
    found = plan(f'ARG V=1\n{CORE}SHELL ["powershell", "-Command"]\nENV V=2\nRUN mkdir C:\\v${{V}}\n')
    assert edits(found) == [r"make directory C:\v"]
    assert any("$V is not set" in note for step in found.final.steps for note in step.notes)
    outer = plan(f"ARG V=1\n{CORE}RUN echo %V%>C:\\f\n")
    assert edits(outer) == [r"write C:\f (5 bytes)"], "%V% stays as it stands, and a line ends with CR LF"


def test_4_unquoted_words_of_mkdir() -> None:
    path = stage(environment=(("P", r"C:\Program Files\Agent"),))
    assert lines(run("mkdir %P%", path)) == [r"make directory C:\Program", r"make directory C:\Files\Agent"]
    assert lines(run("mkdir a b")) == [r"make directory C:\a", r"make directory C:\b"]
    assert lines(ps("mkdir -p x")) == [r"make directory C:\x"], "-p is short for -Path"


def test_5_the_shell_of_a_toolchain_image_is_in_its_config() -> None:
    core = plan(
        f"FROM golang:1.22-windowsservercore AS b\nRUN mkdir $env:GOPATH\\src; go build\n{NANO}COPY --from=b x .\n"
    )
    assert edits(core, 0) == [r"make directory C:\go\src", r"run go build in C:\go"]
    nano = plan(f"FROM golang:1.22-nanoserver AS b\nRUN mkdir %GOPATH%\\src && go build\n{NANO}COPY --from=b x .\n")
    assert edits(nano, 0) == [r"make directory C:\go\src", r"run go build in C:\go"]


def test_6_path_is_the_one_of_the_base_and_flags_may_follow() -> None:
    edit = only(run(r'setx PATH "%PATH%;C:\x" /M'))
    assert isinstance(edit, SetVariable)
    assert edit.scope == "machine"
    assert edit.value is not None
    assert edit.value.startswith(r"C:\Windows\system32;")
    assert edit.value.endswith(r";C:\x")
    user = only(run(r"setx GOFLAGS -mod=mod"))
    assert isinstance(user, SetVariable)
    assert user.scope == "user"
    found = run(r"reg add HKLM\SYSTEM\CurrentControlSet\Control /v X /d 1 /f")
    assert found.state.registry.find(r"HKLM\SYSTEM\ControlSet001\Control") is not None


def test_7_a_path_in_env_hides_the_one_of_the_base() -> None:
    found = plan(f"# escape=`\n{NANO}ENV PATH=$PATH;C:\\x\n")
    assert found.final.settings.variables["PATH"] == r";C:\x"
    assert "System32" in found.final.steps[0].notes[0]


def test_8_libraries_of_servercore_are_taken_by_their_path() -> None:
    found = plan(
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS core\n"
        f"{NANO}COPY --from=core /Windows/System32/netapi32.dll /Windows/System32/\n"
    )
    assert copies(found)[0].sources == ("/Windows/System32/netapi32.dll",)
    assert copies(found)[0].destination == "C:\\Windows\\System32\\"
    assert found.stages[0].steps == ()


@pytest.mark.parametrize(("flags", "name"), [("-o chisel", "chisel"), ("-o /traefik.exe", "traefik.exe"), ("", "")])
def test_9_the_name_of_what_go_build_makes(flags: str, name: str) -> None:
    state = plan_stage(toolchain=True, directory=("app",))
    after = run(f"go build {flags}", state).state
    if name:
        where = ("traefik.exe",) if flags.startswith("-o /") else ("app", name)
        assert after.tree.find(where) is not None
        assert after.tree.find((*where[:-1], "chisel.exe")) is None or after.tree.is_vague(where[:-1])
    else:
        assert after.tree.is_vague(("app",)), "the module's or the directory's name: seen while building"


@pytest.mark.parametrize(
    ("escape", "written", "destination"),
    [
        ("\\", "C:\\\\x", r"C:\x"),
        ("`", r"C:\x", r"C:\x"),
        ("\\", "C:", "C:\\"),
        ("\\", "c:/", "c:\\"),
        ("`", r"\bin\ ".strip(), "C:\\bin\\"),
        ("\\", "/Windows/System32/", "C:\\Windows\\System32\\"),
        ("\\", "#!.exe", r"C:\#!.exe"),
    ],
)
def test_10_destinations_of_copy(escape: str, written: str, destination: str) -> None:
    found = plan(f"# escape={escape}\n{NANO}COPY a {written}\n")
    assert copies(found)[0].destination.lower() == destination.lower()


def test_10_four_backslashes_of_the_json_form() -> None:
    found = plan(f'{NANO}COPY ["C:\\\\\\\\a", "C:\\\\\\\\b"]\n')
    assert copies(found)[0].destination in ("C:\\b", "C:\\\\b")


def test_11_where_copy_takes_from() -> None:
    text = f"FROM golang:1.22 AS b\nRUN go build -o /x.exe\n{NANO}COPY --from=0 /x.exe .\nCOPY --from=binary_dir y .\n"
    found = plan(text, contexts={"binary_dir": ""})
    assert [str(action.source) for action in copies(found)] == ["stage b", "context binary_dir"]
    chosen = (
        "FROM alpine AS final-linux\n"
        + NANO.replace("\n", " AS final-windows\n")
        + "FROM final-$TARGETOS\nUSER ContainerUser\n"
    )
    from wingo.oci.platform import Platform

    assert plan(chosen, platform=Platform("windows", "amd64")).stages[0].name == "final-windows"
    assert plan(chosen, platform=Platform("linux", "amd64")).stages[0].name == "final-linux"


@pytest.mark.parametrize(
    ("image", "context", "replaced"),
    [
        ("golang:1.15", "golang:1.15", True),
        ("golang:1.15", "docker.io/library/golang:1.15", True),
        ("docker.io/library/golang", "golang", True),
        ("golang:latest", "golang", True),
        ("golang:1.15", "golang", False),
        ("golang:1.15", "golang:1.16", False),
        ("registry.example/golang:1.15", "golang:1.15", False),
        (f"golang:1.15@sha256:{'0' * 64}", f"golang:1.15@sha256:{'0' * 64}", True),
        (f"golang:1.15@sha256:{'0' * 64}", "golang:1.15", False),
        ("golang:1.15", "not a/reference!", False),
    ],
)
def test_11_a_context_stands_for_an_image_however_it_is_spelt(image: str, context: str, replaced: bool) -> None:
    found = plan(
        f"FROM {image} AS b\nRUN go build -o /x.exe\n{NANO}COPY --from=b /x.exe .\n", contexts={context: "golang:1.20"}
    )
    assert (str(found.stages[0].base) == "docker.io/library/golang:1.20") == replaced
    found = plan(f"{NANO}COPY --from={image} /x.exe .\n", contexts={context: "golang:1.20"})
    assert (str(copies(found)[0].source) == "docker.io/library/golang:1.20") == replaced


def test_12_the_user_decides_what_a_step_may_do() -> None:
    denied = plan(f"{NANO}RUN setx /M A b\n")
    assert denied.final.steps[0].kind is StepKind.IMPOSSIBLE
    allowed = plan(f"{NANO}USER ContainerAdministrator\nRUN setx /M A b\nUSER ContainerUser\nRUN mkdir C:\\data\n")
    assert edits(allowed) == ["set machine variable A=b", r"make directory C:\data"]
    assert not any(step.notes for step in allowed.final.steps), "everybody may make a directory in C:\\"
    file = plan(f"{NANO}RUN echo x>C:\\f\n")
    assert any("may not write" in note for note in file.final.steps[0].notes)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("echo %COMPUTERNAME%", "COMPUTERNAME"),
        ("powershell -Command Set-Content f ([Environment]::MachineName)", "machinename"),
        ("powershell -Command Set-Content f (Get-Random)", "random"),
    ],
)
def test_13_what_depends_on_the_host_is_refused(command: str, word: str) -> None:
    found = plan(f"{CORE}RUN {command}\n")
    assert found.final.steps[0].kind is StepKind.IMPOSSIBLE
    assert word in found.final.steps[0].why.lower() or word in found.final.steps[0].why


def test_13_the_date_is_pinned() -> None:
    found = plan(f"{CORE}RUN powershell -Command Set-Content f (Get-Date -Format yyyy)\n")
    assert any("epoch" in note for note in found.final.steps[0].notes)


def test_a_variable_in_from_of_copy_is_refused() -> None:
    with pytest.raises(DockerfileError, match="takes no variables"):
        plan(f"ARG V=1\n{NANO}ARG V\nCOPY --from=x:$V a b\n")
