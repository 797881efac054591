"""`wingo diff` on the command line."""

from __future__ import annotations

import json

import pytest

from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of
from wingo.testing.registry import RegistryServer


@pytest.fixture
def registry():
    with RegistryServer() as server:
        yield server


@pytest.fixture
def host(tmp_path, registry):
    def image(data: bytes, **config: object):
        common = layer_of([file_entry("base", b"b" * 2000)])
        return image_of([common, layer_of([file_entry("etc/x", data), file_entry(f"only-{len(data)}", data)])],
                        {"os": "linux", "architecture": "amd64", "config": config})  # fmt: skip

    registry.add("app:v1", image(b"1", User="root"))
    registry.add("app:v2", image(b"22", Env=["A=\x1b[31mred"]))
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), {"HOME": str(tmp_path)})


def test_what_is_printed(host, registry):
    one, two = f"{registry.host}/app:v1", f"{registry.host}/app:v2"
    assert host.wingo("diff", one, two) == 0
    lines = host.out.getvalue().splitlines()
    assert lines[0].startswith(f"A  {one}  sha256:")
    assert "    - User  root" in lines
    assert "    + env A  \ufffd[31mred" in lines
    assert "    ~ etc/x  content: 1 bytes → 2 bytes" in lines
    assert "    - only-1  1 bytes" in lines
    assert "    + only-2  2 bytes" in lines
    assert any(line.startswith("    = 1 layer, ") for line in lines)


def test_the_same_is_said_so(host, registry):
    one = f"{registry.host}/app:v1"
    assert host.wingo("diff", one, one) == 0
    assert host.out.getvalue().splitlines()[-1] == "they are the same"


def test_json(host, registry):
    assert host.wingo("diff", f"{registry.host}/app:v1", f"{registry.host}/app:v2", "--json") == 0
    report = json.loads(host.out.getvalue())
    (image,) = report["images"]
    assert {item["path"] for item in image["files"]} == {"etc/x", "only-1", "only-2"}
    assert image["files"][0]["before"]["size"] == 1


def test_what_is_not_there(host, registry):
    assert host.wingo("diff", f"{registry.host}/app:v1", "oci:nowhere") == 2
    assert "nowhere" in host.err.getvalue()
    assert host.wingo("diff", f"{registry.host}/app:v1") == 2
    assert "required" in host.err.getvalue()
