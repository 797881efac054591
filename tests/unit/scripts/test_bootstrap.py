import shutil
from pathlib import Path

import pytest

from scripts import bootstrap


def test_the_locked_uv_has_a_version_and_hashes():
    version, hashes = bootstrap.locked_uv()
    assert version.count(".") == 2
    assert hashes
    assert all(value.startswith("sha256:") and len(value) == 71 for value in hashes)


def test_a_go_on_path_is_found_and_our_own_is_not(tmp_path, monkeypatch):
    ours, theirs = tmp_path / "venv" / bootstrap.SCRIPTS, tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
        (folder / "go").write_text("#!/bin/sh\n")
        (folder / "go").chmod(0o755)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setenv("PATH", str(ours))
    assert bootstrap.find_go() is None
    monkeypatch.setenv("PATH", f"{ours}:{theirs}")
    assert bootstrap.find_go() == str(theirs / "go")


def test_an_uv_on_path_comes_first(tmp_path, monkeypatch):
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.find_uv() == shutil.which("uv") == str(tmp_path / "uv")


def test_without_pip_and_apt_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name, **_: None)
    with pytest.raises(SystemExit, match=r"install python3\.\d+-venv, or put uv on PATH"):
        bootstrap.install_venv_package()


def test_the_scripts_are_where_the_makefile_says():
    root = Path(bootstrap.__file__).parents[1]
    makefile = (root / "Makefile").read_text()
    for name in ("bootstrap.py", "system-packages.sh", "go-peers.sh", "test.py", "demo.py", "generate_reference.py"):
        assert f"scripts/{name}" in makefile
        assert (root / "scripts" / name).is_file()
