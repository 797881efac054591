"""Real programs, built for three Windows versions and two Linux processors, pushed to real registries, read by others."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.bases import WINDOWS_VERSIONS, push_base
from bench.servers import docker_registry, olareg
from tests.needs import need_tool
from tests.verifier import verify_layout

pytestmark = pytest.mark.timeout(2700)  # the first test of a program waits for its compilation, three times over
WINDOWS = "ltsc2019,ltsc2022,ltsc2025"
BOTH = f"{WINDOWS},linux/amd64,linux/arm64"


class Program(NamedTuple):
    """A published program in a pinned version; `from_source` builds a copy of its module's directory instead."""

    name: str
    target: str
    platforms: str = BOTH
    from_source: bool = False


PROGRAMS = (
    # In place of traefik/whoami, which not every mirror of the module proxy serves: as small, and of the same kind.
    Program("go-httpbin", "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@v2.15.0"),
    # `go install PACKAGE@VERSION` asks for the list of versions, which not every mirror has for this module.
    Program("blackbox_exporter", "github.com/prometheus/blackbox_exporter@v0.28.0", from_source=True),
    Program("windows_exporter", "github.com/prometheus-community/windows_exporter@v0.27.2", WINDOWS),
    Program("nats-server", "github.com/nats-io/nats-server/v2@v2.15.2"),
    Program("caddy", "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9"),
    Program("coredns", "github.com/coredns/coredns@v1.15.0"),
)
BY_DEFAULT = {"go-httpbin", "windows_exporter"}
"""What `make test` builds, in two minutes; the others take ten more: `make test-peers`."""


class Pushed(NamedTuple):
    """A program's image in two registries and in a layout."""

    program: Program
    names: dict[str, str]
    digest: str
    layout: Path


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Ports of Debian's docker-registry and of olareg, both holding the bases."""
    folder = tmp_path_factory.mktemp("registries")
    with (
        docker_registry(folder / "docker", need_tool("docker-registry")) as docker,
        olareg(folder / "olareg", need_tool("olareg")) as other,
    ):
        ports = {"docker-registry": docker, "olareg": other}
        for port in ports.values():
            push_base(port, "windows/base", "multi", WINDOWS_VERSIONS, layer_bytes=100_000)
        yield ports


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(program, id=program.name, marks=() if program.name in BY_DEFAULT else pytest.mark.peers)
        for program in PROGRAMS
    ],
)
def pushed(
    request: pytest.FixtureRequest, registries: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Pushed:
    """Builds the program once, and pushes it to both registries in the same run."""
    program: Program = request.param
    need_tool("go")
    folder = tmp_path_factory.mktemp(program.name)
    source, target = (downloaded(program.target, folder), ".") if program.from_source else (folder, program.target)
    names = {kind: f"127.0.0.1:{port}/team/{program.name}:v1" for kind, port in registries.items()}
    layout = folder / "layout"
    base = f"127.0.0.1:{registries['docker-registry']}/windows/base:multi"
    argv = [str(Path(sys.executable).with_name("wingo")), "build", target, "--platform", program.platforms]
    argv += [
        "--base",
        base,
        "-o",
        f"oci:{layout}",
        "--push",
        *(part for name in names.values() for part in ("-t", name)),
    ]
    # Workers of one test run share what was compiled, and wait for each other rather than compile it twice.
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    with (shared / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = os.environ | {"WINGO_CACHE_DIR": str(shared / "wingo-cache")}
        result = subprocess.run(argv, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    references = result.stdout.split()
    return Pushed(program, names, references[0].partition("@")[2], layout)


def downloaded(module: str, folder: Path) -> Path:
    """A copy of a module's directory, as somebody who works on it has."""
    holder = folder / "download"
    holder.mkdir()
    (holder / "go.mod").write_text("module example.com/download\n\ngo 1.24\n")
    argv = [need_tool("go"), "mod", "download", "-json", module]
    answer = subprocess.run(argv, cwd=holder, capture_output=True, check=True).stdout
    return Path(shutil.copytree(json.loads(answer)["Dir"], folder / "source"))


@pytest.fixture(params=["docker-registry", "olareg"])
def name(request: pytest.FixtureRequest, pushed: Pushed) -> str:
    """The image in one of the registries."""
    return pushed.names[request.param]


def run(*argv: str) -> str:
    result = subprocess.run([need_tool(argv[0]), *argv[1:]], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(argv)}: {result.stderr}"
    return result.stdout


def children(raw: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(raw)["manifests"]
    return found


def test_the_verifier_passes_it(pushed: Pushed) -> None:
    assert verify_layout(pushed.layout, base_layers=1) == []


def test_crane_validates_every_blob(name: str) -> None:
    run("crane", "validate", "--remote", name)


def test_skopeo_reads_the_index_that_was_built(pushed: Pushed, name: str) -> None:
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == pushed.digest
    platforms = [child["platform"] for child in children(raw)]
    windows = [platform["os.version"] for platform in platforms if platform["os"] == "windows"]
    assert windows == [WINDOWS_VERSIONS[2], WINDOWS_VERSIONS[1], WINDOWS_VERSIONS[0]]
    linux = {platform["architecture"] for platform in platforms if platform["os"] == "linux"}
    assert linux == ({"amd64", "arm64"} if pushed.program.platforms == BOTH else set())


def test_skopeo_copies_it_unchanged(pushed: Pushed, name: str, tmp_path: Path) -> None:
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/copy:v1")
    top = json.loads((tmp_path / "copy" / "index.json").read_bytes())
    assert [each["digest"] for each in top["manifests"]] == [pushed.digest]
    assert verify_layout(tmp_path / "copy", base_layers=1) == []


def test_umoci_unpacks_the_windows_layer(pushed: Pushed, tmp_path: Path) -> None:
    """umoci knows nothing of Windows: what it must find are the files, below Files."""
    name = pushed.names["docker-registry"]
    run(
        *("skopeo", "--override-os", "windows", "--override-arch", "amd64", "copy", "--src-tls-verify=false"),
        *(f"docker://{name}", f"oci:{tmp_path}/windows:v1"),
    )
    stat = json.loads(run("umoci", "stat", "--image", f"{tmp_path}/windows:v1", "--json"))
    assert len([entry for entry in stat["history"] if not entry.get("empty_layer")]) == 2
    run("umoci", "raw", "unpack", "--rootless", "--image", f"{tmp_path}/windows:v1", f"{tmp_path}/tree")
    program = tmp_path / "tree" / "Files" / "app" / f"{pushed.program.name}.exe"
    assert program.read_bytes()[:2] == b"MZ"


def test_buildah_pulls_the_linux_image_and_it_runs(pushed: Pushed, name: str, tmp_path: Path) -> None:
    storage = [
        "buildah",
        "--storage-driver",
        "vfs",
        "--root",
        str(tmp_path / "root"),
        "--runroot",
        str(tmp_path / "run"),
    ]
    pull = [*storage, "pull", "--tls-verify=false", "--os", "linux", "--arch", "amd64", f"docker://{name}"]
    if pushed.program.platforms == WINDOWS:
        refused = subprocess.run([need_tool("buildah"), *pull[1:]], capture_output=True, text=True, check=False)
        assert re.search(r"no image found in (manifest list|image index) for architecture amd64", refused.stderr)
        return
    run(*pull)
    container = run(*storage, "from", "--pull-never", name).strip()
    program = Path(run(*storage, "mount", container).strip()) / "app" / pushed.program.name
    try:
        result = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=30, check=False)
        assert "usage" in (result.stdout + result.stderr).lower()
    finally:
        run(*storage, "rm", container)
