"""What `wingo build` makes, from the command line with a real go: judged by the independent verifier."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.bases import WINDOWS_VERSIONS, push_base
from bench.servers import docker_registry
from tests.needs import need_tool
from tests.verifier import verify_layer, verify_layout

EPOCH = 1_700_000_000
ALL = "ltsc2019,ltsc2022,ltsc2025,linux/amd64"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_tool("docker-registry")
    with docker_registry(tmp_path_factory.mktemp("registry")) as port:
        push_base(port, "base", "multi", WINDOWS_VERSIONS, layer_bytes=1000)
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with a program, files to copy, and links among them."""
    need_tool("go")
    path = tmp_path_factory.mktemp("source")
    (path / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n")
    (path / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    conf = path / "conf"
    (conf / "deep").mkdir(parents=True)
    (conf / "settings.ini").write_text("[a]\nb = c\n")
    (conf / "deep" / "more.ini").write_text("x")
    (conf / "current.ini").symlink_to("settings.ini")
    (conf / "deep" / "up.ini").symlink_to("../settings.ini")
    (conf / "folder").symlink_to("deep")
    return path


def wingo(*arguments: str, cwd: Path, **env: str) -> str:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("wingo")), *arguments],
        cwd=cwd,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)} | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def manifests(layout: Path) -> list[dict[str, Any]]:
    """The manifests of the layout's images, children of indexes in their order."""

    def read(descriptor: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_bytes())
        return found

    def images(descriptor: dict[str, Any]) -> Iterator[dict[str, Any]]:
        document = read(descriptor)
        if "layers" in document:
            yield document
        for child in document.get("manifests", []):
            yield from images(child)

    top = json.loads((layout / "index.json").read_bytes())
    return [image for descriptor in top["manifests"] for image in images(descriptor)]


def base_configs(registry: str) -> list[dict[str, Any]]:
    crane = need_tool("crane")
    found = []
    for version in WINDOWS_VERSIONS:
        argv = [crane, "config", "--platform", f"windows/amd64:{version}", f"{registry}/base:multi"]
        found.append(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))
    return found


def test_a_plain_build_passes(registry: str, source: Path, tmp_path: Path) -> None:
    wingo("build", ".", "--base", f"{registry}/base:multi", "--platform", ALL, "-o", f"oci:{tmp_path}/out", cwd=source)
    out = tmp_path / "out"
    assert verify_layout(out, bases=base_configs(registry), epoch=EPOCH, base_layers=1) == []
    assert len(manifests(out)) == 4


def test_copies_links_data_directories_and_settings_pass(registry: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wingo(
        *("build", ".", "--base", f"{registry}/base:multi", "--platform", "ltsc2022,ltsc2025", "-o", f"oci:{out}"),
        *("--copy", "conf:C:\\app\\conf", "--copy", "conf/settings.ini:C:\\ProgramData\\hello\\"),
        *("--data-dir", "C:\\data", "--data-dir", "C:\\app\\state", "--env", "PATH=C:\\tools", "--env", "A=b"),
        *("--workdir", "C:/app", "--expose", "8080", "--label", "a=b", "--arg", "serve", "--volume", "C:\\data"),
        cwd=source,
    )
    writable = ["Files/data", "Files/app/state"]
    assert verify_layout(out, bases=base_configs(registry), writable=writable, epoch=EPOCH, base_layers=1) == []
    undeclared = {finding.code for finding in verify_layout(out, base_layers=1)}
    assert undeclared == {"writable-by-users"}, "the data directories are there, and writable"


def test_scratch_passes(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wingo("build", ".", "--base", "scratch", "--platform", "ltsc2022,linux/amd64", "-o", f"oci:{out}", cwd=source)
    assert verify_layout(out, base_layers=0, epoch=EPOCH) == []


def test_a_thin_layout_lacks_base_layers_only(registry: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wingo(
        *("build", ".", "--base", f"{registry}/base:multi", "--platform", ALL, "--thin", "-o", f"oci:{out}"), cwd=source
    )
    assert verify_layout(out, thin=True, base_layers=1, epoch=EPOCH) == []
    assert {finding.code for finding in verify_layout(out, base_layers=1)} == {"blob-missing"}


def test_one_application_layer_for_all_windows_versions(registry: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wingo("build", ".", "--base", f"{registry}/base:multi", "--platform", ALL, "-o", f"oci:{out}", cwd=source)
    layers = [manifest["layers"][-1]["digest"] for manifest in manifests(out)]
    assert len(set(layers[:3])) == 1
    layer = out / "blobs/sha256" / layers[0][7:]
    assert verify_layer(layer, epoch=EPOCH) == []


def test_what_crane_pulls_is_what_was_built(registry: str, source: Path, tmp_path: Path) -> None:
    """Through a real registry and back, by another program."""
    name = f"{registry}/hello:v1"
    reference = wingo(
        *("build", ".", "--base", f"{registry}/base:multi", "--platform", ALL, "--push", "-t", name), cwd=source
    )
    crane = need_tool("crane")
    subprocess.run([crane, "pull", "--format=oci", name, str(tmp_path / "pulled")], check=True)
    assert verify_layout(tmp_path / "pulled", bases=base_configs(registry), base_layers=1, epoch=EPOCH) == []
    digest = subprocess.run([crane, "digest", name], check=True, capture_output=True, text=True).stdout.strip()
    assert reference == f"{name}@{digest}"


def test_a_registry_that_forgot_is_filled_again(source: Path, tmp_path: Path) -> None:
    """Nothing has changed here, and the registry has lost everything: the build must notice and push again."""
    need_tool("docker-registry")
    crane, digests = need_tool("crane"), []
    cache = {"WINGO_CACHE_DIR": str(tmp_path / "cache")}
    with docker_registry(tmp_path / "registry") as port:
        for _ in range(2):
            shutil.rmtree(tmp_path / "registry" / "data", ignore_errors=True)
            push_base(port, "base", "multi", WINDOWS_VERSIONS, layer_bytes=1000)
            name = f"127.0.0.1:{port}/hello:v1"
            base = f"127.0.0.1:{port}/base:multi"
            digests.append(
                wingo("build", ".", "--base", base, "--platform", ALL, "--push", "-t", name, cwd=source, **cache)
            )
            subprocess.run([crane, "validate", "--remote", name], check=True)
    assert digests[0] == digests[1]
