"""`wingo login` and `wingo logout` against a registry that asks who comes."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from wingo.testing.host import FakeHost
from wingo.testing.images import random_image
from wingo.testing.registry import Auth, RegistryServer


class Terminal(io.StringIO):
    def __init__(self, text, interactive=False):
        super().__init__(text)
        self.interactive = interactive

    def isatty(self):
        return self.interactive


@pytest.fixture(params=[Auth.BASIC, Auth.BEARER])
def registry(request):
    with RegistryServer(auth=request.param, username="ann", password="s3cret-pass") as server:
        yield server


@pytest.fixture
def host(tmp_path):
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), {"HOME": str(tmp_path / "home")})


def _config(host):
    return json.loads(Path(host.home, ".docker", "config.json").read_bytes())


def test_a_checked_password_is_kept_and_used(registry, host, monkeypatch):
    image = random_image(1)
    registry.add("team/app:v1", image)
    refused = host.wingo("copy", f"{registry.host}/team/app:v1", "oci:out")
    assert refused == 4
    assert "wingo login" in host.err.getvalue()
    monkeypatch.setattr("sys.stdin", Terminal("s3cret-pass\n"))
    assert host.wingo("login", registry.host, "-u", "ann", "--password-stdin") == 0
    assert registry.host in _config(host)["auths"]
    assert stat.S_IMODE(Path(host.home, ".docker", "config.json").stat().st_mode) == 0o600
    again = FakeHost(host.directory, host.cache_directory, host.environment)
    assert again.wingo("copy", f"{registry.host}/team/app:v1", "oci:out") == 0
    assert again.out.getvalue().strip() == image.digest


def test_a_wrong_password_is_not_kept_and_never_shown(registry, host, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("wr0ng-pass\n"))
    assert host.wingo("login", registry.host, "-u", "ann", "--password-stdin") == 4
    printed = host.err.getvalue() + host.out.getvalue()
    assert "wr0ng-pass" not in printed
    with pytest.raises(FileNotFoundError):
        _config(host)


def test_without_a_terminal_the_password_must_come_from_somewhere(registry, host, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert host.wingo("login", registry.host, "-u", "ann") == 2
    assert "--password-stdin" in host.err.getvalue()


def test_logout_forgets(registry, host, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("s3cret-pass\n"))
    assert host.wingo("login", registry.host, "-u", "ann", "--password-stdin") == 0
    assert host.wingo("logout", f"http://{registry.host}/") == 0
    assert _config(host)["auths"] == {}
    assert host.wingo("logout", registry.host) == 0
    assert "there were no credentials" in host.err.getvalue()


@pytest.mark.parametrize("name", ["not a host", "team/app", "", "https://"])
def test_names_that_are_no_registry(host, name, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("x\n"))
    assert host.wingo("login", name, "-u", "ann", "--password-stdin") == 2


def test_a_helper_that_is_missing_is_named(registry, host, tmp_path):
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"credsStore": "nowhere"}))
    assert host.wingo("copy", f"{registry.host}/team/app:v1", "oci:out") == 3
    assert "docker-credential-nowhere" in host.err.getvalue()
