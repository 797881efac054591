from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from wingo.errors import HostError
from wingo.golang.runner import Completed
from wingo.launch.wine import finding
from wingo.launch.wine.finding import find_wine

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="Wine is looked for on Linux for amd64 only"
)
ELF = b"\x7fELF\x02" + bytes(100)


class Says:
    def __init__(self, text: str, status: int = 0) -> None:
        self.text, self.status = text, status

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        assert argv[1:] == ["--version"]
        assert "WINEPREFIX" not in env
        return Completed(self.status, self.text.encode(), b"")


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_DIRECTORIES", ())


def put(path: Path, data: bytes = ELF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def find(folder: Path, says: str = "wine-8.0 (Debian)\n", status: int = 0) -> finding.Wine:
    return find_wine({"PATH": str(folder), "WINEPREFIX": "/mine"}, Says(says, status))


def test_the_real_loader_is_found_behind_a_link_and_not_a_script(tmp_path: Path) -> None:
    put(tmp_path / "bin/wine", b"#!/bin/sh\nexec wine64\n")
    real = put(tmp_path / "opt/wine64")
    server = put(tmp_path / "opt/wineserver")
    (tmp_path / "bin/wine64").symlink_to(real)
    put(tmp_path / "lib/wine/x86_64-windows/kernel32.dll")
    found = find(tmp_path / "bin")
    assert (found.loader, found.server, found.described) == (str(real), str(server), "wine-8.0 (Debian)")
    assert found.dlls == str(tmp_path / "lib/wine/x86_64-windows")
    assert found.directories == (str(tmp_path / "opt"), found.dlls)


@pytest.mark.parametrize("version", ["wine-7.22", "wine-6.0.3 (Debian 6.0.3~repack-3)"])
def test_an_old_one_is_refused(tmp_path: Path, version: str) -> None:
    put(tmp_path / "wine64")
    put(tmp_path / "wineserver64")
    with pytest.raises(HostError, match=r"8\.0 or newer") as raised:
        find(tmp_path, version)
    assert "apt-get install" in raised.value.hint


@pytest.mark.parametrize("version", ["wine-8.0.2", "wine-10.1 (Staging)", "wine-11.0-rc2"])
def test_a_newer_one_is_taken(tmp_path: Path, version: str) -> None:
    put(tmp_path / "wine64")
    put(tmp_path / "wineserver64")
    assert find(tmp_path, version).described == version


def test_none_and_half_of_one(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not installed") as raised:
        find(tmp_path)
    assert "wine64" in raised.value.hint
    put(tmp_path / "wine64", ELF[:4] + b"\x01" + ELF[5:])
    with pytest.raises(HostError, match="not installed"):
        find(tmp_path)
    put(tmp_path / "wine64")
    with pytest.raises(HostError, match="no wineserver"):
        find(tmp_path)


def test_one_that_does_not_answer(tmp_path: Path) -> None:
    put(tmp_path / "wine64")
    put(tmp_path / "wineserver")
    with pytest.raises(HostError, match="does not say its version"):
        find(tmp_path, "", 1)
    with pytest.raises(HostError, match="does not say its version"):
        find(tmp_path, "something else")


def test_another_machine_has_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(HostError, match="Linux for amd64 only"):
        find(tmp_path)
