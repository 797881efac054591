"""Standard streams that are closed, full, or gone: the exit code is right, and nobody sees a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.needs import need_tool

ENTRY = "from wingo.cli.main import entry; entry()"


def run(redirections: str, *argv: str, cache: str) -> subprocess.CompletedProcess[str]:
    command = [need_tool("sh"), "-c", f'"$@" {redirections}', "sh", sys.executable, "-c", ENTRY, *argv]
    environment = {**os.environ, "WINGO_CACHE_DIR": cache}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.mark.parametrize(
    ("redirections", "argv", "status"),
    [
        (">&-", ("base", "list", "--json"), 0),
        ("2>&-", ("base", "list"), 0),
        (">&- 2>&- <&-", ("base", "list"), 0),
        ("2>/dev/full", ("base", "list"), 0),
        ("2>/dev/full", ("base", "nonsense"), 2),
        (">/dev/full", ("base", "list", "--json"), 3),
    ],
)
def test_a_stream_that_takes_nothing(redirections, argv, status, tmp_path):
    done = run(redirections, *argv, cache=str(tmp_path))
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if status == 3:
        assert "cannot write the result to standard output" in done.stderr


def test_an_argument_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "go.mod").write_text("module example.com/hello")
    environment = {**os.environ, "WINGO_CACHE_DIR": str(tmp_path / "cache"), "LC_ALL": "C.UTF-8"}
    argv = [sys.executable, "-c", ENTRY, "build", b"--label=a=\xff", "."]
    done = subprocess.run(argv, capture_output=True, cwd=tmp_path, env=environment, timeout=60, check=False)
    assert done.returncode == 2
    assert b"is not text in the encoding" in done.stderr


def test_help_is_printed_in_a_locale_that_cannot_spell_it():
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    argv = [sys.executable, "-c", ENTRY, "build", "--help"]
    done = subprocess.run(argv, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0
    assert b"PLATFORM" in done.stdout
