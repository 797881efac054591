"""Targets are sorted into what one go command can build, without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wingo.errors import HostError, RequestError
from wingo.golang.targets import TargetSet, binary_name, group_targets, is_exact


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for module in ("one", "two", "work/a", "work/b"):
        (tmp_path / module / "cmd" / "app").mkdir(parents=True)
        (tmp_path / module / "go.mod").write_text(f"module example.com/{module}\n")
        (tmp_path / module / "main.go").write_text("package main\n")
    (tmp_path / "work" / "go.work").write_text("go 1.22\nuse ./a\nuse ./b\n")
    (tmp_path / "none").mkdir()
    return tmp_path


def grouped(tree: Path, where: str, *targets: str, **environment: str) -> list[tuple[str, tuple[str, ...]]]:
    sets = group_targets(targets, str(tree / where), {"GOENV": "off", **environment})
    return [(item.directory.removeprefix(str(tree) + "/"), item.patterns) for item in sets]


def test_everything_of_one_module_is_one_set(tree: Path) -> None:
    assert grouped(tree, "one") == [("one", (".",))]
    assert grouped(tree, "one", ".", "./cmd/...", "example.com/one/cmd/app", "./cmd/../.") == [
        ("one", (".", "./cmd/...", "example.com/one/cmd/app"))
    ]
    assert grouped(tree, "one/cmd", "..", "./app", str(tree / "one")) == [("one/cmd", ("..", "./app"))]


def test_another_module_is_another_set_that_runs_there(tree: Path) -> None:
    assert grouped(tree, "one", ".", "../two/cmd/app", "../two") == [
        ("one", (".",)),
        ("two", ("./cmd/app", ".")),
    ]
    assert grouped(tree, "none", "../two/...") == [("two", ("./...",))]


def test_modules_of_a_workspace_are_one_set(tree: Path) -> None:
    assert grouped(tree, "work/a", ".", "../b") == [("work/a", (".", "../b"))]
    assert grouped(tree, "one", "../work/a", "../work/b/cmd/app") == [("work", ("./a", "./b/cmd/app"))]
    assert grouped(tree, "work/a", ".", "../b", GOWORK="off") == [("work/a", (".",)), ("work/b", (".",))]


def test_patterns_with_a_part_of_a_name(tree: Path) -> None:
    assert grouped(tree, "one", "./cm...", "./.../app") == [("one", ("./cm...", "./.../app"))]


def test_published_programs_are_sets_by_repository_and_version(tree: Path) -> None:
    sets = group_targets(
        ["github.com/o/r/cmd/a@v1.0.0", "github.com/o/r/cmd/b@v1.0.0", "github.com/o/r/cmd/a@latest"], str(tree), {}
    )
    assert [item.patterns for item in sets] == [
        ("github.com/o/r/cmd/a@v1.0.0", "github.com/o/r/cmd/b@v1.0.0"),
        ("github.com/o/r/cmd/a@latest",),
    ]
    assert all(isinstance(item, TargetSet) and item.published for item in sets)


@pytest.mark.parametrize(
    "target",
    [
        "app@latest",
        "github.com/o/r@",
        "./cmd/app@v1",
        "github.com/o/r@v1 x",
        "-o",
        "",
        "all",
        "std",
        "a b",
        "./main.go",
    ],
)
def test_what_is_no_target_is_refused(tree: Path, target: str) -> None:
    with pytest.raises(RequestError) as caught:
        group_targets([target], str(tree / "one"), {})
    assert caught.value.hint


def test_a_missing_directory_is_said(tree: Path) -> None:
    with pytest.raises(HostError, match="there is no directory"):
        group_targets(["./nowhere"], str(tree / "one"), {})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("example.com/app", "app"),
        ("example.com/app/v2", "app"),
        ("example.com/app/v10", "app"),
        ("example.com/app/v1", "v1"),
        ("example.com/app/v02", "v02"),
        ("example.com/app/v2x", "v2x"),
        ("v2", "v2"),
        ("app", "app"),
        ("github.com/caddyserver/caddy/v2/cmd/caddy", "caddy"),
    ],
)
def test_programs_are_named_as_go_install_does(path: str, name: str) -> None:
    assert binary_name(path) == name


def test_exact_versions_need_no_query() -> None:
    assert is_exact("v1.2.3")
    assert is_exact("v0.0.0-20260102030405-0123456789ab")
    assert is_exact("v2.0.0+incompatible")
    assert not is_exact("latest")
    assert not is_exact("v1")
    assert not is_exact("v1.2")
    assert not is_exact("main")


def test_a_pattern_of_published_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is a pattern"):
        group_targets(["example.com/tool/cmd/...@v1.0.0"], str(tmp_path), {})
