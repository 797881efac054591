"""`wingo push`, `pull`, `copy` and `base`: bytes stay what they are, wherever they go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wingo.image.model import Index
from wingo.stores.layout import Layout
from wingo.testing.bases import microsoft_catalogue
from wingo.testing.host import FakeHost
from wingo.testing.images import random_index
from wingo.testing.registry import Fault, RegistryServer


@pytest.fixture
def registry():
    with RegistryServer() as server:
        yield server


@pytest.fixture
def host(tmp_path, registry):
    environment = {"HOME": str(tmp_path), "WINGO_MIRRORS": f"mcr.microsoft.com={registry.host}"}
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), environment)


@pytest.fixture
def index(registry):
    made = random_index(7)
    registry.add("team/app:v1", made)
    return made


def _printed(host):
    return host.out.getvalue().split()[-1]


def test_pull_and_push_keep_the_digest(host, registry, index):
    assert host.wingo("pull", f"{registry.host}/team/app:v1", "oci:out", "oci-archive:out.tar:tagged") == 0
    assert _printed(host) == index.digest
    assert host.wingo("push", "oci-archive:out.tar:tagged", f"{registry.host}/team/other:v2") == 0
    assert _printed(host) == f"{registry.host}/team/other:v2@{index.digest}"
    assert registry.tag("team/other", "v2") == index.digest
    assert host.wingo("push", "oci:out:v1", f"{registry.host}/team/third:v3") == 0


def test_copy_within_a_registry_sends_no_layer(host, registry, index):
    registry.forget()
    assert host.wingo("copy", f"{registry.host}/team/app:v1", f"{registry.host}/copies/app:v1") == 0
    assert registry.tag("copies/app", "v1") == index.digest
    layers = {layer.descriptor.digest for image in index.children for layer in image.layers}
    assert not [request for request in registry.asked("GET") if request.path.rpartition("/")[2] in layers]


def test_one_platform_is_moved_alone(host, registry):
    catalogue = microsoft_catalogue()
    name, made = next((name, item) for name, item in catalogue.items() if isinstance(item, Index))
    registry.add(name, made)
    child = made.children[0]
    assert host.wingo("pull", f"{registry.host}/{name}", "oci:one", "--platform", str(child.platform)) == 0
    assert Layout(f"{host.directory}/one").read().digest == child.digest
    assert host.wingo("pull", f"{registry.host}/{name}", "oci:two", "--platform", "linux/riscv64") == 2
    assert str(child.platform) in host.err.getvalue()


@pytest.mark.parametrize(
    ("argv", "code", "hint"),
    [
        (["push", "registry.example/app:v1", "registry.example/app:v2"], 2, "wingo copy"),
        (["push", "oci:missing", "localhost:1/app:v2"], 2, "index.json"),
        (["push", "oci:missing", "oci:other"], 2, "wingo copy"),
        (["pull", "localhost:1/app:v1", "localhost:1/app:v2"], 2, "wingo copy"),
        (["pull", "localhost:1/app:v1", "oci:out"], 4, ""),
        (["pull", "localhost:1/App:v1", "oci:out"], 2, "lower case"),
        (["copy", "files:tree", "oci:out"], 2, "writing only"),
        (["base", "list", "nanoserver"], 2, "--help"),
        (["base", "pull"], 2, "--help"),
        (["base", "show", "registry.example/none:v1"], 2, "nothing yet"),
        (["base", "pull", "nanosever"], 2, "nanoserver"),
        (["rebase", "localhost:1/app:v1"], 4, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_uses_are_explained(host, argv, code, hint):
    assert host.wingo(*argv) == code
    printed = host.err.getvalue()
    assert hint in printed
    assert "Traceback" not in printed
    assert host.out.getvalue() == ""


def test_a_cut_connection_leaves_no_output(host, registry, index):
    registry.fail(Fault(path="/blobs/", cut_after=10, times=1000))
    assert host.wingo("pull", f"{registry.host}/team/app:v1", "oci-archive:out.tar", "oci:out") in (4, 5)
    assert not Path(host.path("out.tar")).exists()
    assert not Path(host.path("out")).exists()


def test_base_pull_list_show(host, registry):
    for name, artifact in microsoft_catalogue().items():
        registry.add(name, artifact)
    assert host.wingo("base", "list") == 0
    assert "no bases yet" in host.err.getvalue()
    assert host.wingo("base", "pull", "nanoserver", "--platform", "ltsc2022", "--json") == 0
    (pulled,) = json.loads(host.out.getvalue())
    assert pulled["reference"] == "mcr.microsoft.com/windows/nanoserver:ltsc2022"
    assert [image["layersHere"] == image["layers"] for image in pulled["images"]] == [True]
    registry.stop()
    assert host.wingo("base", "show", "mcr.microsoft.com/windows/nanoserver:ltsc2022") == 0
    assert "whole" in host.out.getvalue()


def test_flags_may_stand_between_the_other_words(host, registry):
    for name, artifact in microsoft_catalogue().items():
        registry.add(name, artifact)
    assert host.wingo("base", "pull", "--platform", "ltsc2019", "nanoserver") == 0
    assert "nanoserver:ltsc2019" in host.out.getvalue()


def test_base_show_knows_short_names(host, registry):
    for name, artifact in microsoft_catalogue().items():
        registry.add(name, artifact)
    assert host.wingo("base", "show", "nanoserver") == 2
    assert host.wingo("base", "pull", "nanoserver", "--platform", "ltsc2019,ltsc2022") == 0
    host.out.truncate(0)
    assert host.wingo("base", "show", "nanoserver") == 0
    assert "nanoserver:ltsc2019" in host.out.getvalue()
    assert "nanoserver:ltsc2022" in host.out.getvalue()


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (("pull", "oci:here", "oci:there"), "wingo copy oci:here oci:there"),
        (("push", "here", "registry.example/app:v1"), "Write oci:here"),
        (("rebase", "oci:here"), "Push it first"),
        (("login", "bad host", "--username", "me"), "registry.example:5000"),
        (("build", "--ldflags", "-s"), "--ldflags=-x"),
    ],
)
def test_a_likely_mistake_is_told_how_to_write_it(host, tmp_path, argv, hint):
    (tmp_path / "here").mkdir()
    assert host.wingo(*argv) == 2
    assert hint in host.err.getvalue()
