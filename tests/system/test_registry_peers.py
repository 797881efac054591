"""Other people's clients against the in-process registry: what our tests are held against is a registry to them too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import need_tool
from wingo.oci.media_types import Family
from wingo.oci.reference import Reference
from wingo.stores.registry import Shipment
from wingo.stores.registry.credentials import FileCredentials
from wingo.testing.images import random_index
from wingo.testing.registry import Auth, RegistryServer
from wingo.testing.registry_client import make_client


def _run(*argv: str) -> str:
    done = subprocess.run([need_tool(argv[0]), *argv[1:]], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=list(Auth), ids=lambda auth: auth.value)
def server(request: pytest.FixtureRequest) -> Iterator[RegistryServer]:
    with RegistryServer(auth=request.param) as started:
        yield started


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
def test_crane_reads_what_we_wrote_and_we_what_it_copied(server: RegistryServer, config: Path, family: Family) -> None:
    index = random_index(1, size=200_000, family=family)
    to = Reference(server.host, "a/b", tag="v1")
    _run("crane", "auth", "login", server.host, "-u", server.username, "-p", server.password)
    # Crane keeps the credentials as Docker does, and we find them there.
    credentials = FileCredentials([str(config)], lambda path: Path(path).read_bytes(), lambda *_: (1, b"", b""))
    with make_client(credentials=credentials) as client:
        client.write([Shipment(to, index)])
        _run("crane", "validate", "--remote", f"{server.host}/a/b:v1")
        _run("crane", "copy", f"{server.host}/a/b:v1", f"{server.host}/c/d:v2")
        assert client.resolve(Reference(server.host, "c/d", tag="v2")).digest == index.digest
    assert _run("crane", "ls", f"{server.host}/c/d").split() == ["v2"]


def test_skopeo_copies(server: RegistryServer) -> None:
    index = random_index(2, size=200_000)
    server.add("a/b:v1", index)
    who = f"{server.username}:{server.password}"
    _run(
        *("skopeo", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *("--src-creds", who, "--dest-creds", who),
        *(f"docker://{server.host}/a/b:v1", f"docker://{server.host}/e/f:v1"),
    )
    assert server.tag("e/f", "v1") == index.digest
