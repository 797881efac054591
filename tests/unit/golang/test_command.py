"""`go build` as a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from wingo.errors import RequestError
from wingo.golang.command import GoBuild, GoFlags, watchable
from wingo.golang.environment import env_file, flag_value, relevant, settings, split_flags


def test_the_defaults_of_a_careful_engineer() -> None:
    build = GoBuild(("./a", "./b"), "/src", "windows", "amd64")
    assert build.argv("/go", "/out/", {}) == (
        "/go", "build", "-o", "/out/", "-trimpath", "-ldflags=-s -w -buildid=", "--", "./a", "./b",
    )  # fmt: skip
    assert build.environment({"HOME": "/h"}) == {
        "HOME": "/h",
        "CGO_ENABLED": "0",
        "GOOS": "windows",
        "GOARCH": "amd64",
    }


def test_what_is_asked_for_is_added() -> None:
    flags = GoFlags(
        tags=("x", "y"),
        ldflags=("-X a=b", "-H windowsgui"),
        gcflags=("all=-N",),
        extra=("-mod=mod",),
        keep_symbols=True,
    )
    argv = GoBuild(("p",), "/", "linux", "arm", "v7", flags).argv("go", "o/", {})
    assert argv[4:] == (
        "-trimpath", "-ldflags=-buildid= -X a=b -H windowsgui", "-gcflags=all=-N", "-tags=x,y", "-mod=mod", "--", "p",
    )  # fmt: skip


def test_published_programs_are_installed() -> None:
    assert GoBuild(("example.com/a@v1.0.0",), "", "linux", "amd64").argv("go", "", {})[1] == "install"


def test_the_environment_is_the_users_with_ours_above() -> None:
    env = {"GOOS": "plan9", "CGO_ENABLED": "1", "GOFLAGS": "-mod=vendor", "GOPRIVATE": "x"}
    made = GoBuild(("p",), "/", "windows", "arm64", flags=GoFlags(env=(("CC", "zig cc"),))).environment(env)
    assert made == {**env, "GOOS": "windows", "GOARCH": "arm64", "CC": "zig cc"}


@pytest.mark.parametrize(
    ("architecture", "variant", "name", "value"),
    [("arm", "v6", "GOARM", "6"), ("amd64", "v3", "GOAMD64", "v3"), ("arm64", "v8", "GOARM64", "v8.0")],
)
def test_variants(architecture: str, variant: str, name: str, value: str) -> None:
    assert GoBuild(("p",), "/", "linux", architecture, variant).environment({})[name] == value


@pytest.mark.parametrize(("architecture", "variant"), [("arm", "v4"), ("amd64", "v5"), ("riscv64", "v1")])
def test_an_unknown_variant_is_refused(architecture: str, variant: str) -> None:
    with pytest.raises(RequestError, match="has no variant"):
        GoBuild(("p",), "/", "linux", architecture, variant).environment({})


@pytest.mark.parametrize("name", ["GOOS", "GOARCH", "GOBIN"])
def test_the_platform_is_not_set_by_variables(name: str) -> None:
    with pytest.raises(RequestError, match=name):
        GoBuild(("p",), "/", "linux", "amd64", flags=GoFlags(env=((name, "x"),))).environment({})


def test_our_tag_joins_those_that_hold() -> None:
    def tags(flags: GoFlags, **environment: str) -> list[str]:
        argv = GoBuild(("p",), "/", "windows", "amd64", "", flags, zones=True).argv(
            "go", "o", {"GOENV": "off", **environment}
        )
        return [word for word in argv if word.startswith("-tags")]

    assert tags(GoFlags()) == ["-tags=timetzdata"]
    assert tags(GoFlags(tags=("x",)), GOFLAGS="-tags=y") == ["-tags=x,timetzdata"]
    assert tags(GoFlags(), GOFLAGS="-mod=mod -tags=y,z") == ["-tags=y,z,timetzdata"]
    assert tags(GoFlags(tags=("timetzdata",))) == ["-tags=timetzdata"]


def test_go_splits_flags_with_quotes() -> None:
    assert split_flags("""  -a  '-ldflags=-s -w' "-b c"  """) == ["-a", "-ldflags=-s -w", "-b c"]
    assert split_flags("") == []
    with pytest.raises(RequestError):
        split_flags("'-a")


def test_flag_values() -> None:
    assert flag_value(["-buildvcs=false", "--buildvcs=auto", "buildvcs=x"], "buildvcs") == "auto"
    assert flag_value(["-race"], "race") == "true"
    assert flag_value([], "race") is None


def test_settings_come_from_the_environment_then_the_file(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\nGOFLAGS=-mod=mod\nGOPROXY=x=y\nnonsense\n")
    given = {"GOENV": str(tmp_path / "env"), "GOPROXY": "direct", "GOWORK": ""}
    assert settings(given)["GOFLAGS"] == "-mod=mod"
    assert settings(given)["GOPROXY"] == "direct"
    assert "GOFLAGS" not in settings({**given, "GOENV": "off"})


def test_where_the_file_is() -> None:
    assert env_file({"GOENV": "off", "HOME": "/h"}) == ""
    assert env_file({"GOENV": "/x"}) == "/x"
    assert env_file({}) == ""


def test_which_variables_count() -> None:
    given = {"PATH": "/bin", "GOFLAGS": "", "CC": "gcc", "LANG": "C", "GIT_DIR": "x", "CGO_CFLAGS": "-O", "HOME": "/h"}
    assert list(relevant(given)) == ["CC", "CGO_CFLAGS", "GIT_DIR", "GOFLAGS", "HOME"]


@pytest.mark.parametrize(
    ("extra", "effective"),
    [
        (("-overlay=x",), {}),
        (("-toolexec=x",), {}),
        ((), {"GOFLAGS": "-modfile=x.mod"}),
        ((), {"GOFLAGS": "-pgo=x"}),
        ((), {"GO111MODULE": "off"}),
        ((), {"GOTOOLCHAIN": "local+path"}),
    ],
)
def test_some_builds_have_inputs_that_are_not_watched(extra: tuple[str, ...], effective: dict[str, str]) -> None:
    assert watchable(GoFlags(extra=extra), effective)
    assert not watchable(GoFlags(extra=("-mod=vendor", "-race")), {"GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "auto"})
