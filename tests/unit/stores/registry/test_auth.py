"""Who we are: challenges, tokens, and where secrets must not go."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from wingo.errors import RemoteError
from wingo.oci.reference import Reference
from wingo.stores.registry import RegistryClient, Shipment
from wingo.stores.registry.challenge import Challenge, parse_challenges
from wingo.stores.registry.credentials import Credential, OneCredential
from wingo.testing.images import random_image
from wingo.testing.registry import Auth, Fault, RegistryServer
from wingo.testing.registry_client import make_client, make_transport

RIGHT = Credential("user", "password")


@pytest.mark.parametrize(
    "header, expected",
    [
        ("", ()),
        ("Basic", (Challenge("basic", {}),)),
        ('Basic realm="x"', (Challenge("basic", {"realm": "x"}),)),
        (
            'Bearer realm="https://a/token",service="a b",scope="repository:x:pull,push"',
            (Challenge("bearer", {"realm": "https://a/token", "service": "a b", "scope": "repository:x:pull,push"}),),
        ),
        (
            'Negotiate, BEARER Realm = unquoted , x="quo\\"ted", Basic realm="b"',
            (
                Challenge("negotiate", {}),
                Challenge("bearer", {"realm": "unquoted", "x": 'quo"ted'}),
                Challenge("basic", {"realm": "b"}),
            ),
        ),
    ],
)
def test_reads_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == expected


@pytest.mark.parametrize("header", ['Bearer realm="unended', "=,=,=", "\x00", ", , ,", 'Bearer realm="a" garbage=='])
def test_broken_challenges_end_somewhere(header: str) -> None:
    parse_challenges(header)


def test_long_challenges_do_not_take_long() -> None:
    started = time.monotonic()
    parse_challenges('Bearer realm="' + "\\" * 30_000)
    parse_challenges("a " * 15_000)
    parse_challenges("a=" * 15_000)
    assert time.monotonic() - started < 2


@pytest.fixture
def tokens() -> Iterator[RegistryServer]:
    with RegistryServer(auth=Auth.BEARER) as server:
        yield server


def _client(server: RegistryServer, credential: Credential = RIGHT, **options: object) -> RegistryClient:
    return make_client(credentials=OneCredential(server.host, credential), **options)  # type: ignore[arg-type]


def _to(server: RegistryServer, path: str = "a/b") -> Reference:
    return Reference(server.host, path, tag="v1")


def test_one_token_for_one_push(tokens: RegistryServer) -> None:
    with _client(tokens) as client:
        client.write([Shipment(_to(tokens), random_image(1, layers=3))])
    asked = tokens.asked("GET", "^/token")
    assert [request.path for request in asked] == [
        f"/token?service={tokens.host.replace(':', '%3A')}&scope=repository%3Aa%2Fb%3Apull%2Cpush"
    ]
    assert len([request for request in tokens.requests if request.status == 401]) == 1


def test_reading_asks_for_the_right_to_read_only(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    with _client(tokens) as client:
        client.read(_to(tokens))
    assert [request.path.rpartition("scope=")[2] for request in tokens.asked(path="^/token")] == [
        "repository%3Aa%2Fb%3Apull"
    ]


def test_mounting_asks_for_the_right_to_read_the_source_too(tokens: RegistryServer) -> None:
    image = random_image(1, size=100_000)
    tokens.add("base/os:v1", image)
    with _client(tokens) as client:
        client.write([Shipment(_to(tokens), client.read(_to(tokens, "base/os")))])
    assert tokens.asked("POST", r"mount=.*from=base%2Fos")
    assert not tokens.asked("PUT", "uploads/.*" + image.layers[0].descriptor.digest.partition(":")[2])
    scopes = [request.path for request in tokens.asked(path="^/token")]
    assert any("base%2Fos%3Apull" in scope and "a%2Fb%3Apull%2Cpush" in scope for scope in scopes)


def test_a_token_that_ended_is_fetched_anew(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    now = [0.0]
    client = make_client(make_transport(clock=lambda: now[0]), credentials=OneCredential(tokens.host, RIGHT))
    with client:
        client.head(_to(tokens))
        client.head(_to(tokens))
        assert len(tokens.asked(path="^/token")) == 1
        now[0] += 295  # of 300: within the margin
        client.head(_to(tokens))
        assert len(tokens.asked(path="^/token")) == 2
    assert len([request for request in tokens.requests if request.status == 401]) == 1


def test_a_token_that_is_worthless_before_its_time(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    with _client(tokens) as client:
        client.head(_to(tokens))
        tokens.revoke_tokens()
        assert client.head(_to(tokens)) is not None
    assert len(tokens.asked(path="^/token")) == 2


def test_an_identity_token(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    with _client(tokens, Credential(identity_token="identity-password")) as client:
        assert client.head(_to(tokens)) is not None
    assert [str(request) for request in tokens.asked(path="^/token")] == ["POST /token 200"]


def test_a_registry_token_is_sent_as_it_is(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    token = tokens.token(["a/b:pull"])
    with _client(tokens, Credential(registry_token=token)) as client:
        assert client.head(_to(tokens)) is not None
    assert not tokens.asked(path="^/token")


@pytest.mark.parametrize(
    "credential",
    [Credential("user", "wrongpass"), Credential(identity_token="wrongpass"), Credential(registry_token="wrongpass")],
)
def test_wrong_credentials(tokens: RegistryServer, credential: Credential) -> None:
    with _client(tokens, credential) as client, pytest.raises(RemoteError) as caught:
        client.read(_to(tokens))
    assert caught.value.status == 401
    assert f"wingo login {tokens.host}" in caught.value.hint
    assert "wrongpass" not in f"{caught.value}{caught.value.hint}"
    assert len(tokens.requests) < 6


@pytest.mark.parametrize("credential", [RIGHT, Credential("user", "wrongpass")])
def test_basic(credential: Credential) -> None:
    with RegistryServer(auth=Auth.BASIC) as server:
        server.add("a/b:v1", random_image(1))
        with _client(server, credential) as client:
            if credential == RIGHT:
                client.check_login(server.host)
                client.head(_to(server))
                client.head(_to(server))
                assert [request.status for request in server.requests] == [401, 200, 200, 200]
            else:
                with pytest.raises(RemoteError, match="401"):
                    client.check_login(server.host)
                assert [request.status for request in server.requests] == [401, 401]


@pytest.mark.parametrize("auth", [Auth.BASIC, Auth.BEARER])
def test_credentials_are_looked_up_once(auth: Auth) -> None:
    """A helper is a process, and may ask a person."""
    lookups: list[str] = []

    class Asked:
        def lookup(self, registry: str, repository: str = "") -> Credential | None:
            lookups.append(f"{registry}/{repository}")
            return RIGHT

    with RegistryServer(auth=auth) as server, make_client(credentials=Asked()) as client:
        client.write([Shipment(_to(server), random_image(1, layers=4))])
        client.read(_to(server))
        assert lookups == [f"{server.host}/a/b"]


@pytest.mark.parametrize("auth", [Auth.BASIC, Auth.BEARER])
def test_without_credentials(auth: Auth) -> None:
    with RegistryServer(auth=auth) as server, make_client() as client, pytest.raises(RemoteError) as caught:
        client.check_login(server.host)
    assert caught.value.status == 401
    assert "wingo login" in caught.value.hint


def test_logging_in_with_tokens(tokens: RegistryServer) -> None:
    with _client(tokens) as client:
        client.check_login(tokens.host)
    with _client(tokens, Credential("user", "wrongpass")) as client, pytest.raises(RemoteError, match="401"):
        client.check_login(tokens.host)


def test_logging_in_to_what_is_no_registry(server: RegistryServer, client: RegistryClient) -> None:
    server.fail(Fault(status=404, body=b"<html>not here</html>"))
    with pytest.raises(RemoteError, match="404"):
        client.check_login(server.host)


def test_forbidden(server: RegistryServer, client: RegistryClient) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access \\u0007 is denied\\r\\nX"}]}'
    server.fail(Fault(status=403, body=body, times=-1))
    with pytest.raises(RemoteError) as caught:
        client.read(_to(server))
    assert caught.value.status == 403
    assert "DENIED: requested access is denied X" in str(caught.value)
    assert "wingo login" in caught.value.hint


@pytest.mark.parametrize(
    "realm, problem",
    [
        ("http://tokens.example/token", "on another host without TLS"),
        ("ftp://tokens.example/", "has no address"),
        ("", "has no address"),
        ("http://user:pass@127.0.0.1/", "has no address"),
    ],
)
def test_credentials_do_not_go_to_a_strange_token_service(realm: str, problem: str) -> None:
    with (
        RegistryServer(auth=Auth.BEARER, realm=realm or "x") as server,
        _client(server) as client,
        pytest.raises(RemoteError, match=problem) as caught,
    ):
        client.head(_to(server))
    assert "password" not in str(caught.value)


def test_a_registry_with_tls_cannot_name_a_token_service_without(tokens: RegistryServer) -> None:
    from wingo.stores.registry.auth import Authenticator
    from wingo.stores.registry.credentials import NoCredentials
    from wingo.stores.registry.url import parse_url

    with make_transport() as transport:
        auth = Authenticator("r.example", parse_url("https://r.example/v2/"), transport, NoCredentials())
        assert auth.refused(f'Bearer realm="{tokens.url}/token"', "", ())
        with pytest.raises(RemoteError, match="names a token service without TLS"):
            auth.header("a", ())
    assert tokens.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"token": 5}', b'{"token": ""}', b"\xff", b'{"token":"a\\r\\nX: y"}']
)
def test_answers_that_have_no_token(tokens: RegistryServer, body: bytes) -> None:
    tokens.fail(Fault(path="^/token", body=body, times=-1))
    with _client(tokens) as client, pytest.raises(RemoteError):
        client.head(_to(tokens))


def test_a_token_is_not_shown_when_its_document_is_broken(tokens: RegistryServer) -> None:
    tokens.fail(Fault(path="^/token", body=b'{"token": "secret-token", "expires_in": "secret-token"}'))
    with _client(tokens) as client, pytest.raises(RemoteError) as caught:
        client.head(_to(tokens))
    assert "secret-token" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_the_token_service_is_tried_again(tokens: RegistryServer) -> None:
    tokens.add("a/b:v1", random_image(1))
    tokens.fail(Fault(path="^/token", status=503, times=2))
    with _client(tokens) as client:
        assert client.head(_to(tokens)) is not None


def test_blobs_on_another_host_get_no_credentials(tokens: RegistryServer) -> None:
    image = random_image(1)
    tokens.add("a/b:v1", image)
    layer = image.layers[0]
    with RegistryServer() as storage, _client(tokens) as client, layer.open() as stream:
        data = stream.read()
        digest = storage.add_blob("x", data)
        tokens.fail(
            Fault(
                path=f"blobs/{layer.descriptor.digest}",
                status=307,
                headers={"Location": f"{storage.url}/v2/x/blobs/{digest}"},
            )
        )
        read = client.read(_to(tokens))
        with read.layers[0].open() as theirs:  # type: ignore[union-attr]
            assert theirs.read() == data
        assert "authorization" not in storage.requests[0].headers
