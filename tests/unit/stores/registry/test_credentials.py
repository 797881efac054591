"""Docker's and Podman's files, helpers, and keeping credentials."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from wingo.errors import HostError, Malformed
from wingo.stores.registry.credentials import Credential, FileCredentials, OneCredential, credential_paths
from wingo.stores.registry.login import erase_credential, store_credential


def _auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Helpers:
    """Credential helpers in memory: a table for each, and what was asked."""

    def __init__(self, **tables: dict[str, tuple[str, str]]) -> None:
        self.tables = tables
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, name: str, verb: str, data: bytes) -> tuple[int, bytes, bytes]:
        if name not in self.tables:
            raise HostError(f"there is no docker-credential-{name}")
        table = self.tables[name]
        if verb == "store":
            told = json.loads(data)
            table[told["ServerURL"]] = (told["Username"], told["Secret"])
            self.asked.append((name, verb, told["ServerURL"]))
            return 0, b"", b""
        server = data.decode()
        self.asked.append((name, verb, server))
        if server not in table:
            return 1, b"credentials not found in native keychain\n", b""
        if verb == "erase":
            del table[server]
            return 0, b"", b""
        user, secret = table[server]
        return 0, json.dumps({"ServerURL": server, "Username": user, "Secret": secret}).encode(), b""


def _credentials(*documents: object, helpers: Helpers | None = None) -> FileCredentials:
    files = {f"/{at}": json.dumps(document).encode() for at, document in enumerate(documents)}
    return FileCredentials(list(files), files.get, helpers or Helpers())


@pytest.mark.parametrize(
    "key",
    [
        "r.example:5000",
        "https://r.example:5000",
        "http://r.example:5000/",
        "https://r.example:5000/v2/",
        "r.example:5000/v1",
    ],
)
def test_spellings_of_a_registry(key: str) -> None:
    found = _credentials({"auths": {key: {"auth": _auth("me:pass:word")}}}).lookup("r.example:5000", "a/b")
    assert found == Credential("me", "pass:word")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"])
def test_spellings_of_docker_hub(key: str) -> None:
    assert _credentials({"auths": {key: {"auth": _auth("me:x")}}}).lookup("docker.io", "library/alpine") is not None


@pytest.mark.parametrize("key", ["r.example:5001", "r.example", "xr.example:5000", "r.example:5000/other"])
def test_other_registries_get_nothing(key: str) -> None:
    assert _credentials({"auths": {key: {"auth": _auth("me:x")}}}).lookup("r.example:5000", "a/b") is None


def test_podmans_narrowest_key_wins() -> None:
    auths = {name: {"auth": _auth(f"{name.count('/')}:x")} for name in ("r.example", "r.example/a", "r.example/a/b")}
    credentials = _credentials({"auths": auths})
    users = {
        repository: found.username
        for repository in ("", "z", "a", "a/c", "a/b", "a/b/c", "ab")
        if (found := credentials.lookup("r.example", repository)) is not None
    }
    assert users == {"": "0", "z": "0", "a": "1", "a/c": "1", "a/b": "2", "a/b/c": "2", "ab": "0"}


def test_the_first_file_that_knows_is_believed() -> None:
    credentials = _credentials(
        {},
        {"auths": {"a": {"auth": _auth("1:x")}}},
        {"auths": {"a": {"auth": _auth("2:x")}, "b": {"auth": _auth("3:x")}}},
    )
    assert credentials.lookup("a") == Credential("1", "x")
    assert credentials.lookup("b") == Credential("3", "x")


def test_tokens_and_plain_members() -> None:
    credentials = _credentials(
        {
            "auths": {
                "a": {"auth": _auth("me:"), "identitytoken": "idt"},
                "b": {"registrytoken": "rt"},
                "c": {"username": "me", "password": "pw"},
                "d": {},
                "e": None,
                "f": {"auth": ""},
            },
            "HttpHeaders": {"X": "y"},
            "currentContext": 5,
        }
    )
    assert credentials.lookup("a") == Credential("me", "", identity_token="idt")
    assert credentials.lookup("b") == Credential(registry_token="rt")
    assert credentials.lookup("c") == Credential("me", "pw")
    assert [credentials.lookup(name) for name in "defg"] == [None] * 4


def test_helpers() -> None:
    helpers = Helpers(
        store={"a": ("me", "1"), "https://index.docker.io/v1/": ("hub", "2"), "token": ("<token>", "3")},
        special={"b": ("you", "4")},
    )
    credentials = _credentials(
        {"credsStore": "store", "credHelpers": {"b": "special"}, "auths": {"a": {}, "c": {"auth": _auth("x:5")}}},
        helpers=helpers,
    )
    assert credentials.lookup("a", "x/y") == Credential("me", "1")
    assert credentials.lookup("b", "x/y") == Credential("you", "4")
    assert credentials.lookup("docker.io", "library/alpine") == Credential("hub", "2")
    assert credentials.lookup("token") == Credential(identity_token="3")
    assert credentials.lookup("c") == Credential("x", "5")
    assert credentials.lookup("unknown") is None
    assert ("special", "get", "b") in helpers.asked
    assert ("store", "get", "b") not in helpers.asked


def test_a_helper_that_is_missing_or_fails_is_said() -> None:
    with pytest.raises(HostError, match="docker-credential-gone"):
        _credentials({"credHelpers": {"a": "gone"}}).lookup("a")

    def broken(name: str, verb: str, data: bytes) -> tuple[int, bytes, bytes]:
        return 3, b"", b"secret"

    credentials = FileCredentials(["/x"], lambda _path: b'{"credsStore": "x"}', broken)
    with pytest.raises(HostError, match="failed for a with exit status 3") as caught:
        credentials.lookup("a")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("output", [b"", b"secret-output", b'{"Secret": "x"', b"[]"])
def test_a_helper_that_says_nonsense(output: bytes) -> None:
    credentials = FileCredentials(["/x"], lambda _path: b'{"credsStore": "x"}', lambda *_: (0, output, b""))
    with pytest.raises(HostError, match="something else than JSON") as caught:
        credentials.lookup("a")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"auths": 5}', b'{"auths": {"a": {"auth": 5}}}', b"\xff\xfe"])
def test_broken_files(data: bytes) -> None:
    with pytest.raises(Malformed, match="/x is not a JSON file of credentials"):
        FileCredentials(["/x"], lambda _path: data, Helpers()).lookup("a")


@pytest.mark.parametrize("auth", ["%%%", "c2VjcmV0=x", base64.b64encode(b"\xff\xfe:x").decode()])
def test_a_damaged_entry(auth: str) -> None:
    with pytest.raises(Malformed, match="is damaged") as caught:
        _credentials({"auths": {"a": {"auth": auth}}}).lookup("a")
    assert auth not in str(caught.value)


def test_an_empty_file_is_no_problem() -> None:
    assert FileCredentials(["/x", "/y"], {"/x": b" \n"}.get, Helpers()).lookup("a") is None


def test_files_are_read_once_and_late() -> None:
    reads: list[str] = []

    def read(path: str) -> bytes | None:
        reads.append(path)
        return None

    credentials = FileCredentials(["/x"], read, Helpers())
    assert reads == []
    credentials.lookup("a")
    credentials.lookup("b")
    assert reads == ["/x"]


def test_nothing_is_shown() -> None:
    credential = Credential("name", "secret", "secret", "secret")
    assert "secret" not in f"{credential!r} {credential}"
    assert OneCredential("a", credential).lookup("b") is None


def test_where_files_are() -> None:
    assert credential_paths({}, "/home/me") == ("/home/me/.docker/config.json", "/home/me/.config/containers/auth.json")
    environment = {
        "REGISTRY_AUTH_FILE": "/r",
        "DOCKER_CONFIG": "/d",
        "XDG_RUNTIME_DIR": "/run/1",
        "XDG_CONFIG_HOME": "/c",
    }
    assert credential_paths(environment, "/home/me") == (
        "/r",
        "/d/config.json",
        "/run/1/containers/auth.json",
        "/c/containers/auth.json",
    )


# Keeping


def _read(path: Path) -> FileCredentials:
    return FileCredentials([str(path)], lambda name: Path(name).read_bytes(), Helpers())


@pytest.mark.parametrize("registry", ["r.example:5000", "docker.io"])
def test_keeps_and_removes(tmp_path: Path, registry: str) -> None:
    path = tmp_path / "new" / "config.json"
    assert store_credential(str(path), registry, Credential("me", "pä:ss"), Helpers()) == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert _read(path).lookup(registry) == Credential("me", "pä:ss")
    assert os.listdir(path.parent) == ["config.json"]
    assert erase_credential(str(path), registry, Helpers())
    assert _read(path).lookup(registry) is None
    assert not erase_credential(str(path), registry, Helpers())


def test_removing_where_there_is_no_file(tmp_path: Path) -> None:
    assert not erase_credential(str(tmp_path / "config.json"), "a", Helpers())
    assert os.listdir(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    others = {
        "HttpHeaders": {"X": ["y"]},
        "plugins": {"a": 1.5},
        "auths": {"other": {"auth": "eA==", "email": "a@b"}, "https://a/v2/": {"auth": "old"}},
    }
    path.write_text(json.dumps(others))
    path.chmod(0o644)
    store_credential(str(path), "a", Credential("me", "x"), Helpers())
    document = json.loads(path.read_text())
    assert document["auths"] == {"other": {"auth": "eA==", "email": "a@b"}, "a": {"auth": _auth("me:x")}}
    assert (document["HttpHeaders"], document["plugins"]) == (others["HttpHeaders"], others["plugins"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "c.json", tmp_path / "config.json"
    real.parent.mkdir()
    real.write_text("{}")
    link.symlink_to(real)
    store_credential(str(link), "a", Credential("me", "x"), Helpers())
    assert link.is_symlink()
    assert "auths" in json.loads(real.read_text())


def test_keeps_identity_tokens(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    store_credential(str(path), "a", Credential(identity_token="idt"), Helpers())
    found = _read(path).lookup("a")
    assert found is not None
    assert (found.identity_token, found.password) == ("idt", "")


@pytest.mark.parametrize("config", [{"credsStore": "s"}, {"credHelpers": {"a": "s"}, "credsStore": "t"}])
def test_helpers_keep_and_remove(tmp_path: Path, config: dict[str, object]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    helpers = Helpers(s={}, t={})
    assert store_credential(str(path), "a", Credential("me", "x"), helpers) == "docker-credential-s"
    store_credential(str(path), "a", Credential(identity_token="idt"), helpers)
    assert helpers.tables["s"] == {"a": ("<token>", "idt")}
    assert json.loads(path.read_text()) == config
    assert erase_credential(str(path), "a", helpers)
    assert helpers.tables == {"s": {}, "t": {}}
    assert not erase_credential(str(path), "a", helpers)


@pytest.mark.parametrize("text", ["{", "[]", "5"])
def test_a_broken_file_is_not_written_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    for change in (
        lambda: store_credential(str(path), "a", Credential("me", "x"), Helpers()),
        lambda: erase_credential(str(path), "a", Helpers()),
    ):
        with pytest.raises(Malformed):
            change()
    assert path.read_text() == text


def test_a_place_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot"):
        store_credential(str(tmp_path / "file" / "config.json"), "a", Credential("me", "x"), Helpers())
