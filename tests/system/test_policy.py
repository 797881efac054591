"""`[policy]` in real builds: what is denied stops them, with the way of imports; what is allowed does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import need_tool

SOURCES = {
    "go.mod": "module example.com/probe\n\ngo 1.21\n",
    "main.go": 'package main\n\nimport "example.com/probe/internal/tasks"\n\nfunc main() { tasks.Start() }\n',
    "internal/tasks/tasks.go": (
        'package tasks\n\nimport "example.com/probe/internal/git"\n\nfunc Start() { git.Fetch("origin") }\n'
    ),
    "internal/git/git.go": (
        'package git\n\nimport "os/exec"\n\n'
        'func Fetch(remote string) { _ = exec.Command("git", "fetch", remote).Run() }\n'
    ),
}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    need_tool("go")
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def wingo(folder: Path, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("wingo"))
    environment = {**os.environ, "WINGO_CACHE_DIR": str(folder / "cache"), **variables}
    return subprocess.run([program, *argv], cwd=folder, env=environment, capture_output=True, text=True, check=False)


BUILD = ("build", "--platform", "linux/amd64", "--base", "scratch", "-o", "oci:out")
WAY = "example.com/probe → example.com/probe/internal/tasks → example.com/probe/internal/git"


def test_a_build_with_a_denied_capability_stops(module: Path) -> None:
    (module / "wingo.toml").write_text('[policy]\ndeny = ["exec"]\n')
    done = wingo(module, *BUILD)
    assert done.returncode == 1
    assert "WGO601" in done.stderr
    assert WAY in done.stderr
    assert not (module / "out").exists()
    (module / "wingo.toml").write_text(
        '[policy]\ndeny = ["exec", "plugin", "net"]\n\n[policy.allow]\nexec = ["example.com/probe/internal/git"]\n'
    )
    done = wingo(module, *BUILD)
    assert done.returncode == 0, done.stderr
    assert (module / "out" / "index.json").exists()


def test_check_with_sources(module: Path) -> None:
    assert wingo(module, *BUILD).returncode == 0
    (module / "wingo.toml").write_text('[policy]\ndeny = ["exec", "unsafe"]\n')
    done = wingo(module, "check", "oci:out")
    assert done.returncode == 1
    assert "brought by example.com/probe/internal/git" in done.stdout
    assert "WGO603" in done.stdout
    done = wingo(module, "check", "oci:out", "--sources", ".")
    assert done.returncode == 1
    assert WAY in done.stdout
    assert "WGO603" not in done.stdout


TAGGED = """//go:build extra && !cgo

package main

import "example.com/probe/internal/git"

func init() { git.Fetch("upstream") }
"""


def test_the_way_is_that_of_the_build(module: Path) -> None:
    """A file that only tags bring makes the way shorter, for the program that was built with them."""
    (module / "extra.go").write_text(TAGGED)
    (module / "wingo.toml").write_text('[policy]\ndeny = ["exec"]\n')
    short = f"brought by {WAY.split(' → ', maxsplit=1)[0]} → {WAY.rsplit(' → ', maxsplit=1)[-1]}"
    plain = wingo(module, *BUILD)
    assert plain.returncode == 1
    assert WAY in plain.stderr
    tagged = wingo(module, *BUILD, "--tags", "extra")
    assert tagged.returncode == 1
    assert short in tagged.stderr
    assert wingo(module, *BUILD, "--tags", "extra", "--no-check").returncode == 0
    done = wingo(module, "check", "oci:out", "--sources", ".", GOFLAGS="-tags=other")
    assert short in done.stdout
    assert wingo(module, *BUILD, "--no-check").returncode == 0
    done = wingo(module, "check", "oci:out", "--sources", ".", GOFLAGS="-tags=extra")
    assert WAY in done.stdout


def test_a_denied_package(module: Path) -> None:
    (module / "wingo.toml").write_text('[policy]\ndeny = ["os/exec"]\n')
    done = wingo(module, *BUILD)
    assert done.returncode == 1
    assert f"the package os/exec ({WAY} → os/exec), which the policy denies" in done.stderr


def test_a_word_that_is_no_capability(module: Path) -> None:
    (module / "wingo.toml").write_text('[policy]\ndeny = ["exce"]\n')
    done = wingo(module, *BUILD)
    assert done.returncode == 2
    assert "Did you mean 'exec'?" in done.stderr
