"""Finding a Go toolchain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from wingo.errors import HostError, ToolFailed
from wingo.golang.runner import Completed
from wingo.golang.toolchain import find_program, find_toolchain


class FakeRunner:
    def __init__(self, completed: Completed | None = None) -> None:
        self.completed = completed or Completed(1, b"", b"not to be run")
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        self.ran.append(tuple(argv))
        return self.completed


def goroot(path: Path, version: str = "go1.26.8") -> Path:
    (path / "bin").mkdir(parents=True)
    program = path / "bin" / "go"
    program.write_text("#!/bin/false\n")
    program.chmod(0o755)
    (path / "VERSION").write_text(f"{version}\ntime 2026-08-28T16:20:06Z\n")
    return path


def test_the_go_on_path_is_found_without_running_it(tmp_path: Path) -> None:
    root = goroot(tmp_path / "go")
    runner = FakeRunner()
    found = find_toolchain({"PATH": f"{tmp_path}:{root / 'bin'}"}, runner)
    assert (found.path, found.version, found.goroot, found.bundled) == (
        str(root / "bin" / "go"),
        "go1.26.8",
        str(root),
        False,
    )
    assert runner.ran == []
    again = find_toolchain({"PATH": str(root / "bin")}, runner)
    assert again.identity == found.identity
    (root / "VERSION").write_text("go1.26.9\n")
    assert find_toolchain({"PATH": str(root / "bin")}, runner).identity != found.identity


def test_a_link_to_go_leads_to_its_goroot(tmp_path: Path) -> None:
    root = goroot(tmp_path / "lib" / "go")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").symlink_to(root / "bin" / "go")
    found = find_toolchain({"PATH": str(tmp_path / "bin")}, FakeRunner())
    assert found.goroot == str(root)
    other = goroot(tmp_path / "lib" / "go2")
    (tmp_path / "bin" / "go").unlink()
    (tmp_path / "bin" / "go").symlink_to(other / "bin" / "go")
    assert find_toolchain({"PATH": str(tmp_path / "bin")}, FakeRunner()).identity != found.identity


def test_a_version_managers_shim_is_asked(tmp_path: Path) -> None:
    root = goroot(tmp_path / "versions" / "1.26.8")
    shim = tmp_path / "shims" / "go"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    runner = FakeRunner(Completed(0, f"{root}\ngo1.26.8\n".encode(), b""))
    assert find_toolchain({"PATH": str(shim.parent)}, runner).goroot == str(root)
    assert runner.ran == [(str(shim), "env", "GOROOT", "GOVERSION")]
    with pytest.raises(ToolFailed, match="no version is set"):
        find_toolchain({"PATH": str(shim.parent)}, FakeRunner(Completed(126, b"", b"no version is set")))


def test_the_extras_toolchain_serves_when_path_has_none(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    root = goroot(packages / "go", "go1.27.3")
    with pytest.raises(HostError):
        find_toolchain({"PATH": ""}, FakeRunner(), python_path=[str(packages)])
    (root / "__init__.py").write_text("")
    found = find_toolchain({"PATH": ""}, FakeRunner(), python_path=["", "relative", str(packages)])
    assert (found.path, found.bundled) == (str(root / "bin" / "go"), True)
    path_first = goroot(tmp_path / "go")
    assert not find_toolchain({"PATH": str(path_first / "bin")}, FakeRunner(), python_path=[str(packages)]).bundled


def test_the_script_of_the_extra_is_passed_over_for_what_it_starts(tmp_path: Path) -> None:
    packages = tmp_path / "venv" / "lib" / "python3.13" / "site-packages"
    root = goroot(packages / "go", "go1.27.3")
    (root / "__init__.py").write_text("")
    script = tmp_path / "venv" / "bin" / "go"
    script.parent.mkdir()
    script.write_text("#!/usr/bin/env python3\n")
    script.chmod(0o755)
    runner = FakeRunner()
    found = find_toolchain({"PATH": str(script.parent)}, runner, python_path=[str(packages)])
    assert (found.path, found.bundled) == (str(root / "bin" / "go"), True)
    assert runner.ran == []
    elsewhere = goroot(tmp_path / "venv" / "own")
    script.unlink()
    script.symlink_to(elsewhere / "bin" / "go")
    found = find_toolchain({"PATH": str(script.parent)}, runner, python_path=[str(packages)])
    assert (found.goroot, found.bundled) == (str(elsewhere), False)


def test_none_at_all_is_one_clear_error() -> None:
    with pytest.raises(HostError, match="no Go toolchain") as caught:
        find_toolchain({}, FakeRunner())
    assert "pip install 'wingo[go]'" in caught.value.hint


@pytest.mark.parametrize("version", ["go1.20.14", "go1", "gobbledygook"])
def test_an_old_one_is_refused(tmp_path: Path, version: str) -> None:
    root = goroot(tmp_path / "go", version)
    with pytest.raises(HostError, match="too old"):
        find_toolchain({"PATH": str(root / "bin")}, FakeRunner())


@pytest.mark.parametrize("version", ["go1.21", "go1.27rc1", "go1.26.8-custom", "go2.0"])
def test_new_ones_are_taken(tmp_path: Path, version: str) -> None:
    root = goroot(tmp_path / "go", version)
    assert find_toolchain({"PATH": str(root / "bin")}, FakeRunner()).version == version


def test_programs_are_never_found_through_relative_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = goroot(tmp_path / "go")
    monkeypatch.chdir(root / "bin")
    assert find_program("go", {"PATH": ":.:" + "bin"}) is None
    assert find_program("go", {"PATH": f".:{root / 'bin'}"}) == str(root / "bin" / "go")
    (root / "bin" / "go").chmod(0o644)
    assert find_program("go", {"PATH": str(root / "bin")}) is None
