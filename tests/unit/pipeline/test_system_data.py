"""The data of certifi and tzdata."""

from __future__ import annotations

import importlib.resources
import sys

import pytest

from wingo.errors import HostError
from wingo.linux.system_files import plan_system_layer
from wingo.pipeline import memo
from wingo.pipeline.request import BuildRequest
from wingo.pipeline.settings import Settings
from wingo.pipeline.system_data import read_system_data, system_data_stamp


def test_certificates_and_zones_are_read_whole():
    data = read_system_data()
    assert data.certificates.count(b"-----BEGIN CERTIFICATE-----") > 100
    for zone in ("UTC", "Europe/Paris", "America/Argentina/Ushuaia", "Etc/GMT+12"):
        assert data.zones[zone].startswith(b"TZif"), zone
    assert "zone1970.tab" in data.zones
    assert data.sources.startswith("certifi 20")
    assert ", tzdata 20" in data.sources


def test_nothing_of_python_travels():
    names = read_system_data().zones
    assert not [name for name in names if name.endswith((".py", ".pyc")) or "__pycache__" in name]
    assert not [name for name in names if name.startswith(("right/", "posix/"))]


def test_the_data_makes_a_layer():
    data = read_system_data()
    recipe = plan_system_layer(data.certificates, data.zones, epoch=0, created_by="a test", comment=data.sources)
    assert len(recipe.entries) > len(data.zones)


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tzdata", None)
    with pytest.raises(HostError, match="time zones of wingo") as caught:
        read_system_data()
    assert "Install wingo again" in caught.value.hint


def test_a_damaged_package_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(HostError, match=r"cacert\.pem"):
        read_system_data()


def test_the_stamp_changes_with_the_packages(monkeypatch, tmp_path):
    installed = system_data_stamp()
    assert installed == system_data_stamp()
    assert "certifi" in installed
    assert "tzdata" in installed
    for name in ("certifi", "tzdata"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('__version__ = "1"')
    monkeypatch.syspath_prepend(str(tmp_path))
    first = system_data_stamp()
    assert first != installed
    (tmp_path / "certifi" / "__init__.py").write_text('__version__ = "1.1"')
    assert system_data_stamp() != first


def test_a_package_that_is_missing_has_a_stamp_too(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert system_data_stamp() == "none none"


def test_another_version_of_the_data_is_another_build(monkeypatch):
    request = BuildRequest((".",), Settings(), "/project", 0)
    before = memo.memo_key(request)
    assert memo.memo_key(request) == before
    monkeypatch.setattr(memo, "system_data_stamp", lambda: "newer")
    assert memo.memo_key(request) != before
