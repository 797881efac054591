"""Everything but what needs Wine works without it; what needs it says so, and how to get it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from wingo.launch.wine import finding
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.host import FakeHost

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers run on Linux")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(finding, "_DIRECTORIES", ())
    Layout(str(tmp_path / "image")).write(windows_base("nanoserver"), ("v1",))
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path), "WINGO_STATE_DIR": str(tmp_path / "state")}
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), environment)


def test_run_says_what_is_missing(host: FakeHost, tmp_path: Path) -> None:
    assert host.wingo("run", "oci:image:v1", "--entrypoint", r"C:\app\x.exe") == 3
    told = host.err.getvalue()
    assert "a Windows image needs Wine" in told or "Wine, which wingo does on Linux for amd64 only" in told
    assert "hint:" in told
    assert not list((tmp_path / "state").glob("containers/*"))


def test_bench_has_the_sizes_all_the_same(host: FakeHost) -> None:
    assert host.wingo("bench", "oci:image:v1", "--args", "x", "--json") == 0
    (row,) = json.loads(host.out.getvalue())["rows"]
    assert row["download"] > 0
    assert row["layers"] == 1
    assert row["start"] is None
    assert "Wine" in row["notes"][0]
    host.out.truncate(0)
    assert host.wingo("bench", "oci:image:v1", "--args", "x") == 0
    assert "not started" in host.out.getvalue()


def test_what_needs_no_wine_works(host: FakeHost) -> None:
    assert host.wingo("inspect", "oci:image:v1") == 0
    assert host.wingo("ls", "oci:image:v1", r"C:\Windows") == 0


def test_a_build_says_so_before_it_does_anything(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "setup.exe").write_bytes(b"MZ")
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY setup.exe C:/\nRUN C:\\setup.exe /S\n")
    words = ("build", "-f", "Dockerfile", ".", "--build-context", "base=oci-layout://image:v1", "-o", "oci:out")
    assert host.wingo(*words, "--run-windows=wine") == 3
    told = host.err.getvalue()
    assert "a Windows image needs Wine" in told or "Wine, which wingo does on Linux for amd64 only" in told
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache" / "packed").exists()
    assert host.wingo(*words) == 2
    assert "--run-windows=wine" in host.err.getvalue()
