"""`wingo hive`, in process."""

from __future__ import annotations

import json

import pytest

from wingo.hive.diff import diff
from wingo.hive.fsck import fsck
from wingo.hive.keys import find_key, find_value
from wingo.hive.merge import merge
from wingo.hive.read import open_hive
from wingo.hive.values import number_of
from wingo.testing.hives import FAULTS, make_dirty, sample_delta, sample_hive
from wingo.testing.host import FakeHost

SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services"


@pytest.fixture
def host(tmp_path):
    (tmp_path / "SYSTEM").write_bytes(sample_hive(services=20))
    return FakeHost(str(tmp_path), str(tmp_path / "cache"))


def result(host, *argv) -> list[str]:
    assert host.wingo("hive", *argv) == 0, host.err.getvalue()
    lines = host.out.getvalue().splitlines()
    host.out.truncate(0)
    host.out.seek(0)
    return lines


def refused(host, *argv) -> str:
    assert host.wingo("hive", *argv) in (2, 3, 5)
    return host.err.getvalue()


def test_ls(host):
    assert result(host, "ls", "SYSTEM") == ["ControlSet001\\", "Select\\"]
    assert result(host, "ls", "SYSTEM", f"{SERVICES}\\svc0001") == ["Start  dword:0x2"]
    assert result(host, "ls", "SYSTEM", "Select", "-r") == [
        "HKEY_LOCAL_MACHINE\\SYSTEM\\Select",
        "    Current  dword:0x1",
        "    Default  dword:0x1",
    ]
    whole = json.loads("\n".join(result(host, "ls", "SYSTEM", "-r", "--json")))
    assert len(whole) == 27


def test_get(host):
    assert result(host, "get", "SYSTEM", f"{SERVICES}\\Svc0001", "START") == ["2"]
    assert result(host, "get", "SYSTEM", "HKLM:\\SYSTEM\\ControlSet001\\Control", "@") == ["default"]
    assert result(host, "get", "SYSTEM", "ControlSet001\\Control", "Texts") == ["a", "b"]
    shown = json.loads("\n".join(result(host, "get", "SYSTEM", "Select", "Current", "--json")))
    assert shown == {"name": "Current", "type": "dword", "shown": "dword:0x1", "hex": "01000000", "value": 1}


def test_what_is_not_there(host):
    assert "Did you mean 'Svc0001'" in refused(host, "get", "SYSTEM", f"{SERVICES}\\xSvc0001")
    assert "Did you mean 'Start'" in refused(host, "get", "SYSTEM", f"{SERVICES}\\Svc0001", "Stat")
    assert "is not there" in refused(host, "ls", "SYSTEM", "HKLM\\SOFTWARE")
    assert "first logon" in refused(host, "ls", "SYSTEM", "HKCU\\Software")
    assert "cannot read" in refused(host, "ls", "missing")


def test_set_whole_and_as_a_layer(host, tmp_path):
    before = (tmp_path / "SYSTEM").read_bytes()
    edit = ("set", "SYSTEM", f"{SERVICES}\\svc0001", "start", "dword:4")
    assert result(host, *edit, "-o", "new") == [str(tmp_path / "new")]
    assert result(host, *edit, "--layer", "-o", "layer") == [str(tmp_path / "layer")]
    base, whole = open_hive(before).root, open_hive((tmp_path / "new").read_bytes()).root
    layer = (tmp_path / "layer").read_bytes()
    assert fsck(layer) == ()
    assert open_hive(layer).base.is_layered
    assert diff(merge(base, open_hive(layer).root), whole) is None
    assert number_of(find_value(find_key(whole, "ControlSet001\\Services\\Svc0001"), "Start")) == 4
    assert (tmp_path / "SYSTEM").read_bytes() == before
    assert result(host, *edit[:1], "new", *edit[2:], "-o", "newer") == []
    assert "everything is so already" in host.err.getvalue()
    assert not (tmp_path / "newer").exists()


def test_the_file_that_is_read_is_not_written(host, tmp_path):
    before = (tmp_path / "SYSTEM").read_bytes()
    assert "not changed in place" in refused(host, "rm", "SYSTEM", "Select", "-o", "./SYSTEM")
    assert (tmp_path / "SYSTEM").read_bytes() == before


def test_rm(host, tmp_path):
    result(host, "rm", "SYSTEM", f"{SERVICES}\\Svc0001", "-o", "new")
    result(host, "rm", "new", "Select", "Default", "-o", "newer")
    root = open_hive((tmp_path / "newer").read_bytes()).root
    assert find_key(root, "ControlSet001\\Services\\Svc0001") is None
    assert [value.name for value in find_key(root, "Select").values()] == ["Current"]
    assert "no key 'Nothing'" in refused(host, "rm", "SYSTEM", "Nothing", "-o", "new")
    assert "no value 'Nothing'" in refused(host, "rm", "SYSTEM", "Select", "Nothing", "-o", "new")


def test_export_and_import_are_inverse(host, tmp_path):
    result(host, "export", "SYSTEM", "-o", "all.reg")
    result(host, "rm", "SYSTEM", "ControlSet001\\Services", "-o", "less")
    result(host, "import", "less", "all.reg", "-o", "again")
    ours = {path: list(key.values()) for path, key in open_hive((tmp_path / "SYSTEM").read_bytes()).walk()}
    again = {path: list(key.values()) for path, key in open_hive((tmp_path / "again").read_bytes()).walk()}
    assert again == ours
    assert result(host, "export", "SYSTEM", "Select")[:3] == [
        "Windows Registry Editor Version 5.00",
        "",
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\Select]",
    ]


def test_diff_and_its_reg_file(host, tmp_path):
    result(host, "set", "SYSTEM", f"{SERVICES}\\Svc0001", "Start", "dword:4", "-o", "step")
    result(host, "rm", "step", f"{SERVICES}\\Svc0002", "-o", "SYSTEM2")
    root = "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services"
    assert result(host, "diff", "SYSTEM", "SYSTEM2") == [f"+ {root}\\Svc0001  Start  dword:0x4", f"- {root}\\Svc0002"]
    assert result(host, "diff", "SYSTEM", "SYSTEM") == []
    (tmp_path / "change.reg").write_text("\n".join(result(host, "diff", "SYSTEM", "SYSTEM2", "--reg")) + "\n")
    result(host, "import", "SYSTEM", "change.reg", "-o", "SYSTEM3")
    assert (tmp_path / "SYSTEM3").read_bytes() == (tmp_path / "SYSTEM2").read_bytes()


def test_fsck_says_what_is_wrong(host, tmp_path):
    assert result(host, "fsck", "SYSTEM") == []
    (tmp_path / "broken").write_bytes(FAULTS["keys out of order"][1](sample_hive(services=20)))
    assert host.wingo("hive", "fsck", "broken") == 1
    assert "order" in host.out.getvalue()
    assert "Windows will not find it" in host.out.getvalue()


def test_dirty_hives_are_refused(host, tmp_path):
    (tmp_path / "dirty").write_bytes(make_dirty(sample_hive(services=2)))
    assert ".LOG1" in refused(host, "ls", "dirty")
    assert "dirty" in host.err.getvalue()
    assert "does not know" in refused(host, "set", "dirty", "Select", "x", "dword:1", "-o", "new", "--dirty")
    assert result(host, "get", "dirty", "Select", "Current", "--dirty") == ["1"]


def test_a_directory_of_hives_with_a_layer(host, tmp_path):
    config = tmp_path / "image" / "Files" / "Windows" / "System32" / "config"
    (tmp_path / "image" / "Hives").mkdir(parents=True)
    config.mkdir(parents=True)
    (config / "SYSTEM").write_bytes(sample_hive(services=20))
    (config / "SOFTWARE").write_bytes(sample_hive(services=1))
    (tmp_path / "image" / "Hives" / "System_Delta").write_bytes(sample_delta())
    assert result(host, "ls", "image") == ["HKEY_LOCAL_MACHINE\\SYSTEM", "HKEY_LOCAL_MACHINE\\SOFTWARE"]
    assert result(host, "get", "image", f"{SERVICES}\\Svc0001", "Start") == ["4"]
    assert "no key 'Svc0002'" in refused(host, "get", "image", f"{SERVICES}\\Svc0002")
    (written,) = result(host, "set", "image", f"{SERVICES}\\Svc0005", "Start", "dword:4", "--layer", "-o", "out")
    assert written.endswith("System_Delta")
    assert "does not say which hive" in refused(host, "ls", "image", "Select")
    layer = str(tmp_path / "image" / "Hives" / "System_Delta")
    assert "is a layer" in refused(host, "set", layer, "Select", "x", "dword:1", "-o", "out2")


def test_stats(host):
    (line,) = [line for line in result(host, "stats", "SYSTEM") if line.startswith("keys")]
    assert line.split() == ["keys", "27"]
