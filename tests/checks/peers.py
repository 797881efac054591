"""The same program in images of several tools, and what `wingo check` finds in each: `python -m tests.checks.peers`.

It needs go, crane, ko, buildah and docker-registry, as the system tests do. The table of docs/explanation/other-tools.md is
what this prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.bases import WINDOWS_VERSIONS, push_base
from bench.servers import docker_registry
from tests.needs import need_tool
from wingo.pipeline.rulebook import BY_ID
from wingo.testing.host import FakeHost

MAIN = 'package main\n\nfunc main() { println("hello") }\n'
BASE = "windows/nanoserver"
PLATFORM = f"windows/amd64:{WINDOWS_VERSIONS[1]}"


class Site:
    """A module, its program for Windows, and a registry on loopback with a base for three Windows versions."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.registry = folder, f"127.0.0.1:{port}"
        self.base = f"{self.registry}/{BASE}:multi"
        self.module = folder / "hello"
        self.module.mkdir()
        (self.module / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n")
        (self.module / "main.go").write_text(MAIN)
        push_base(port, BASE, "multi", WINDOWS_VERSIONS, layer_bytes=1000)

    def run(self, *argv: str, **env: str) -> str:
        """Runs a program in the module."""
        done = subprocess.run(
            [need_tool(argv[0]), *argv[1:]],
            cwd=self.module,
            env=os.environ | {"CGO_ENABLED": "0"} | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout.strip()

    def program(self) -> Path:
        """The program as everybody but ko and wingo takes it."""
        path = self.module / "app" / "hello.exe"
        if not path.exists():
            self.run("go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(path), ".", GOOS="windows", GOARCH="amd64")
        return path


def with_ko(site: Site) -> str:
    """`ko build`: all Windows versions of the base."""
    name = f"{site.registry}/ko"
    site.run(
        *("ko", "build", "--sbom=none", "--platform=windows/amd64", "--bare", "."),
        KO_DOCKER_REPO=name,
        KO_DEFAULTBASEIMAGE=site.base,
    )
    return name


def with_crane(site: Site) -> str:
    """`crane append` of a tar, then `crane mutate`: one Windows version."""
    archive = site.folder / "layer.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(site.program().parent, "app")
    name = f"{site.registry}/crane"
    site.run("crane", "append", "--platform", PLATFORM, "-b", site.base, "-f", str(archive), "-t", name)
    site.run("crane", "mutate", "--entrypoint", "C:\\app\\hello.exe", "-t", name, name)
    return name


def with_buildah(site: Site, program: str = "buildah") -> str:
    """`buildah from`, `copy`, `config`, `commit`: one Windows version."""
    name = f"{site.registry}/{Path(program).name}"
    state = site.folder / "storage"
    buildah = (program, "--storage-driver=vfs", f"--root={state / 'root'}", f"--runroot={state / 'run'}")
    quick = {"BUILDAH_ISOLATION": "chroot", "HOME": str(site.folder)}
    source = f"docker://{site.base}"
    digest = json.loads(site.run("crane", "manifest", site.base))["manifests"][1]["digest"]
    source = f"docker://{site.registry}/{BASE}@{digest}"
    built = site.run(*buildah, "from", "--tls-verify=false", "--os=windows", "--arch=amd64", source, **quick)
    site.run(*buildah, "copy", built, str(site.program()), "/app/hello.exe", **quick)
    site.run(*buildah, "config", "--entrypoint", '["C:\\\\app\\\\hello.exe"]', built, **quick)
    site.run(*buildah, "commit", "--tls-verify=false", built, f"docker://{name}", **quick)
    return name


def with_wingo(site: Site) -> str:
    """`wingo build`: three Windows versions."""
    name = f"{site.registry}/wingo"
    environment = {
        key: os.environ[key] for key in ("PATH", "HOME", "GOPATH", "GOMODCACHE", "GOCACHE") if key in os.environ
    }
    host = FakeHost(str(site.module), str(site.folder / "build-cache"), environment)
    argv = ("build", ".", "--platform", "ltsc2019,ltsc2022,ltsc2025", "--base", site.base, "--push", "-t", name)
    assert host.wingo(*argv) == 0, host.err.getvalue()
    return name


TOOLS: Mapping[str, Callable[[Site], str]] = {
    "ko": with_ko,
    "crane": with_crane,
    "buildah": with_buildah,
    "wingo": with_wingo,
}


def found(site: Site, reference: str) -> dict[str, str]:
    """What `wingo check` finds: the worst severity by rule."""
    host = FakeHost(str(site.folder), str(site.folder / "check-cache"))
    assert host.wingo("check", reference, "--json") in (0, 1), host.err.getvalue()
    worst: dict[str, str] = {}
    for place in json.loads(host.out.getvalue())["places"]:
        for finding in place["findings"]:
            worst.setdefault(finding["rule"], finding["severity"])
    return worst


def versions(site: Site) -> dict[str, str]:
    """What the tools say of themselves."""
    words = {"ko": ("ko", "version"), "crane": ("crane", "version"), "buildah": ("buildah", "--version")}
    said = {tool: site.run(*argv) for tool, argv in words.items()}
    return {**said, "go": site.run("go", "version")}


def table(results: Mapping[str, Mapping[str, str]]) -> str:
    """The findings side by side, as Markdown."""
    rows = [f"| rule | {' | '.join(results)} |", f"| --- |{' --- |' * len(results)}"]
    for rule in sorted({rule for found in results.values() for rule in found}):
        cells = " | ".join(results[tool].get(rule, "") for tool in results)
        rows.append(f"| [{rule}](../reference/rules/{rule}.md) {BY_ID[rule].title} | {cells} |")
    return "\n".join(rows)


def main() -> None:
    """Builds everything, and prints the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        with docker_registry(folder / "registry") as port:
            site = Site(folder, port)
            results = {}
            for tool, make in TOOLS.items():
                print(f"{tool} …", file=sys.stderr)
                results[tool] = found(site, make(site))
            print(json.dumps(versions(site), indent=2), file=sys.stderr)
            print(table(results))


if __name__ == "__main__":
    main()
