"""The verifier sees in the images of other tools what reading their sources says is in them."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.bases import WINDOWS_VERSIONS, push_base
from bench.servers import docker_registry
from tests.needs import need_tool
from tests.verifier import broken, verify_layout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback with a base index for three Windows versions."""
    need_tool("docker-registry")
    with docker_registry(tmp_path_factory.mktemp("registry")) as port:
        push_base(port, "base", "multi", WINDOWS_VERSIONS, layer_bytes=1000)
        yield f"127.0.0.1:{port}"


def run(*argv: str, cwd: Path | None = None, **env: str) -> str:
    result = subprocess.run(
        [need_tool(argv[0]), *argv[1:]], cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def codes(reference: str, folder: Path) -> set[str]:
    run("crane", "pull", "--format=oci", reference, str(folder))
    return {finding.code for finding in verify_layout(folder, base_layers=1)}


def test_crane_append_makes_no_parents_and_no_protection(registry: str, tmp_path: Path) -> None:
    """crane joins names under Files as they are, gives files a descriptor without DACL, leaves links as in the tar."""
    archive = tmp_path / "layer.tar"
    with tarfile.open(archive, "w") as tar:
        program = tarfile.TarInfo("app/whoami.exe")
        program.size = len(broken.executable())
        tar.addfile(program, io.BytesIO(broken.executable()))
        for name, kind, target in (
            ("hard", tarfile.LNKTYPE, "app/whoami.exe"),
            ("soft", tarfile.SYMTYPE, "whoami.exe"),
        ):
            link = tarfile.TarInfo(f"app/{name}.exe")
            link.type, link.linkname = kind, target
            tar.addfile(link)
    name = f"{registry}/crane"
    platform = f"windows/amd64:{WINDOWS_VERSIONS[1]}"
    run("crane", "append", "--platform", platform, "-b", f"{registry}/base:multi", "-f", str(archive), "-t", name)
    run("crane", "mutate", "--entrypoint", "C:\\app\\whoami.exe", "-t", name, name)
    assert codes(name, tmp_path / "layout") == {
        "parent-missing",
        "sd-no-dacl",
        "hardlink-target",
        "symlink-attributes",
        "fileattr",
        "times-missing",
    }


@pytest.mark.peers
def test_ko_loses_system32_and_protects_nothing(registry: str, tmp_path: Path) -> None:
    """ko writes PATH=C:\\ko-app alone, no .exe, no descriptor on directories, none with a DACL on files."""
    source = tmp_path / "hello"
    source.mkdir()
    (source / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n")
    (source / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    name = f"{registry}/ko"
    run(
        *("ko", "build", "--sbom=none", "--platform=windows/amd64", "--bare", "."),
        cwd=source,
        KO_DOCKER_REPO=name,
        KO_DEFAULTBASEIMAGE=f"{registry}/base:multi",
    )
    assert codes(name, tmp_path / "layout") == {
        "path-loses-system32",
        "entrypoint-no-exe",
        "sd-missing",
        "sd-no-dacl",
        "fileattr",
        "times-missing",
        "index-order",
    }
