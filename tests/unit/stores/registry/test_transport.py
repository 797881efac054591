"""The pool, tries again, redirects, proxies, TLS choice."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.unit.stores.registry.conftest import RawServer
from wingo.errors import HostError, RemoteError, RequestError
from wingo.stores.registry.proxies import Proxies, Proxy, parse_proxy, read_proxies
from wingo.stores.registry.transport import Patience, TlsOptions, Transport
from wingo.stores.registry.url import Url, parse_url
from wingo.testing.registry import Fault, RegistryServer
from wingo.testing.registry_client import make_transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


def _url(server: RawServer | RegistryServer, path: str = "/v2/") -> Url:
    return parse_url(f"http://{server.host}{path}")


def _ask(transport: Transport, url: Url, method: str = "GET", **options: object) -> tuple[int, bytes]:
    with transport.request(method, url, "asking", **options) as response:  # type: ignore[arg-type]
        return response.status, response.read_all(1 << 20)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(pauses: list[float]) -> Iterator[Transport]:
    with make_transport(pauses=pauses) as made:
        yield made


class _Counting:
    """Counts the connections that a transport opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket

        self.count = 0
        real = socket.create_connection

        def create(*args: object, **options: object) -> socket.socket:
            self.count += 1
            return real(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr("wingo.stores.registry.transport.socket.create_connection", create)


def test_a_connection_is_used_again(
    server: RegistryServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = _Counting(monkeypatch)
    for _ in range(5):
        assert _ask(transport, _url(server))[0] == 200
    assert counting.count == 1


def test_a_connection_whose_answer_was_left_is_not(
    server: RegistryServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = _Counting(monkeypatch)
    digest = server.add_blob("a", bytes(1 << 20))
    response = transport.request("GET", _url(server, f"/v2/a/blobs/{digest}"), "asking")
    response.read(10)
    response.close()
    assert _ask(transport, _url(server)) == (200, b"{}")
    assert counting.count == 2


def test_old_idle_connections_are_not_trusted(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = _Counting(monkeypatch)
    times = iter([0.0, 1000.0, 1000.0])
    with make_transport(clock=lambda: next(times, 2000.0)) as transport:
        _ask(transport, _url(server))
        _ask(transport, _url(server))
    assert counting.count == 2


def test_a_dead_kept_connection_is_replaced_without_a_pause(pauses: list[float], transport: Transport) -> None:
    with RawServer(OK, OK) as server:  # closes each connection after one answer
        assert _ask(transport, _url(server)) == (200, b"ok")
        assert _ask(transport, _url(server)) == (200, b"ok")
        assert len(server.heads) == 2
    assert pauses == []


def test_a_kept_connection_that_dies_while_it_is_used_is_replaced(
    server: RegistryServer, pauses: list[float], transport: Transport
) -> None:
    _ask(transport, _url(server))
    server.fail(Fault(hang_up=True))
    assert _ask(transport, _url(server), "POST", body=b"")[0] in (200, 404)
    assert pauses == []


def test_many_threads_share_one_pool(server: RegistryServer, transport: Transport) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                assert _ask(transport, _url(server))[0] == 200
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(server.requests) == 80


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_temporary_answers_are_tried_again(
    server: RegistryServer, pauses: list[float], transport: Transport, status: int
) -> None:
    server.fail(Fault(status=status, times=3))
    assert _ask(transport, _url(server))[0] == 200
    assert pauses == [0.25, 0.5, 1.0]


def test_pauses_have_chance_and_a_limit() -> None:
    waited: list[float] = []
    with (
        RegistryServer() as server,
        Transport(
            clock=lambda: 0.0, sleep=waited.append, random=lambda: 0.0, patience=Patience(tries=8, longest_pause=2.0)
        ) as transport,
    ):
        server.fail(Fault(status=503, times=-1))
        assert _ask(transport, _url(server))[0] == 503
    assert waited == [0.125, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 501])
def test_other_answers_are_not(server: RegistryServer, pauses: list[float], transport: Transport, status: int) -> None:
    server.fail(Fault(status=status))
    assert _ask(transport, _url(server))[0] == status
    assert pauses == []


def test_what_is_not_idempotent_is_sent_once(server: RegistryServer, pauses: list[float], transport: Transport) -> None:
    server.fail(Fault(status=503))
    assert _ask(transport, _url(server), "PATCH", body=b"x")[0] == 503
    assert len(server.requests) == 1
    server.fail(Fault(hang_up=True))
    with pytest.raises(RemoteError):
        _ask(transport, _url(server, "/v2/fresh"), "PATCH", body=_body(b"x"))
    assert pauses == []


def _body(data: bytes) -> object:
    import io

    from wingo.stores.registry.http1 import Body

    return Body(len(data), lambda: io.BytesIO(data))


def test_retry_after_seconds(server: RegistryServer, pauses: list[float], transport: Transport) -> None:
    server.fail(Fault(status=429, headers={"Retry-After": "7"}))
    assert _ask(transport, _url(server))[0] == 200
    assert pauses == [8.0]  # 7 and up to one more by chance, here all of it


def test_retry_after_date(server: RegistryServer, pauses: list[float], transport: Transport) -> None:
    headers = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:28:05 GMT"}
    server.fail(Fault(status=503, headers=headers))
    assert _ask(transport, _url(server))[0] == 200
    assert pauses == [6.0]


@pytest.mark.parametrize("value", ["soon", "-5", "Wed, 21 Oct 2026", "1e9"])
def test_retry_after_nonsense_is_a_plain_pause(
    server: RegistryServer, pauses: list[float], transport: Transport, value: str
) -> None:
    server.fail(Fault(status=503, headers={"Retry-After": value}))
    assert _ask(transport, _url(server))[0] == 200
    assert len(pauses) == 1
    assert pauses[0] <= 2.0


def test_retry_after_too_long_is_not_waited_for(
    server: RegistryServer, pauses: list[float], transport: Transport
) -> None:
    server.fail(Fault(status=429, headers={"Retry-After": "86400"}))
    assert _ask(transport, _url(server))[0] == 429
    assert pauses == []


def test_resets_are_tried_again_and_told_in_the_end(
    server: RegistryServer, pauses: list[float], transport: Transport
) -> None:
    server.fail(Fault(hang_up=True, times=2))
    assert _ask(transport, _url(server))[0] == 200
    assert len(pauses) == 2
    server.fail(Fault(hang_up=True, times=-1))
    with pytest.raises(RemoteError, match=r"asking: 127\.0\.0\.1:\d+: the connection was closed") as caught:
        _ask(transport, _url(server, "/v2/other"))
    assert caught.value.temporary


def test_nobody_listens(transport: Transport, pauses: list[float]) -> None:
    with RawServer() as server:
        url = _url(server)
    with pytest.raises(RemoteError, match="nothing listens at") as caught:
        _ask(transport, url)
    assert caught.value.hint
    assert pauses == []


def test_an_unknown_host(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def fail(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("wingo.stores.registry.transport.socket.create_connection", fail)
    with pytest.raises(RemoteError, match=r"the host registry\.invalid is not known"):
        _ask(transport, parse_url("http://registry.invalid/v2/"))


def test_silence_ends_in_an_error_without_trying_again(server: RegistryServer, pauses: list[float]) -> None:
    server.fail(Fault(delay=30, times=-1))
    patience = Patience(connect=1, idle=0.2)
    with (
        make_transport(pauses=pauses, patience=patience) as transport,
        pytest.raises(RemoteError, match="does not answer"),
    ):
        _ask(transport, _url(server))
    assert pauses == []
    assert server.fault_for("GET", "/") is not None


# Redirects


def test_redirects_are_followed_and_the_secret_stays_at_home(server: RegistryServer, transport: Transport) -> None:
    with RegistryServer() as other:
        server.fail(Fault(path="/v2/$", status=307, headers={"Location": f"{other.url}/v2/?signed=1"}))
        assert _ask(transport, _url(server), authorization="Bearer secret") == (200, b"{}")
        assert server.requests[0].headers["authorization"] == "Bearer secret"
        assert "authorization" not in other.requests[0].headers


def test_the_secret_is_kept_on_the_same_server(server: RegistryServer, transport: Transport) -> None:
    server.fail(Fault(path="/v2/$", status=302, headers={"Location": "/v2/?again"}))
    assert _ask(transport, _url(server), authorization="Bearer secret")[0] == 200
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer secret"] * 2


def test_another_port_is_another_server(server: RegistryServer, transport: Transport) -> None:
    with RegistryServer() as other:
        assert server.host.partition(":")[0] == other.host.partition(":")[0]
        server.fail(Fault(status=308, headers={"Location": f"{other.url}/v2/"}))
        _ask(transport, _url(server), authorization="Basic secret")
        assert "authorization" not in other.requests[0].headers


def test_redirects_without_end(server: RegistryServer, transport: Transport) -> None:
    server.fail(Fault(status=307, headers={"Location": "/v2/"}, times=-1))
    with pytest.raises(RemoteError, match="redirects more than"):
        _ask(transport, _url(server))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://user:pass@127.0.0.1/", "http://"])
def test_redirects_to_what_is_no_address(server: RegistryServer, transport: Transport, location: str) -> None:
    server.fail(Fault(status=307, headers={"Location": location}))
    with pytest.raises(RemoteError, match="redirects to an address that is none"):
        _ask(transport, _url(server))


def test_writes_are_not_redirected(server: RegistryServer, transport: Transport) -> None:
    server.fail(Fault(status=307, headers={"Location": "/v2/elsewhere"}))
    assert _ask(transport, _url(server), "PUT", body=b"x")[0] == 307


# Proxies


def test_plain_requests_go_through_the_proxy() -> None:
    with RawServer(OK) as proxy:
        proxies = Proxies(http=Proxy(parse_url(f"http://{proxy.host}"), "Basic c2VjcmV0"))
        with make_transport(proxies=proxies) as transport:
            assert _ask(transport, parse_url("http://registry.example/v2/?a=b"), authorization="Bearer t") == (
                200,
                b"ok",
            )
        head = proxy.heads[0]
    assert head.startswith(b"GET http://registry.example/v2/?a=b HTTP/1.1\r\nHost: registry.example\r\n")
    assert b"\r\nProxy-Authorization: Basic c2VjcmV0\r\n" in head


def test_tls_goes_through_a_tunnel() -> None:
    with RawServer(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        proxies = Proxies(https=Proxy(parse_url(f"http://{proxy.host}"), "Basic c2VjcmV0"))
        with (
            make_transport(proxies=proxies) as transport,
            pytest.raises(RemoteError, match="wants credentials") as caught,
        ):
            _ask(transport, parse_url("https://registry.example/v2/"), authorization="Bearer t")
        head = proxy.heads[0]
    assert caught.value.status == 407
    assert head.startswith(b"CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n")
    assert b"\r\nProxy-Authorization: Basic c2VjcmV0\r\n" in head
    assert b"Bearer" not in head
    assert "c2VjcmV0" not in str(caught.value) + caught.value.hint


def test_a_proxy_that_refuses() -> None:
    with RawServer(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        proxies = Proxies(https=Proxy(parse_url(f"http://{proxy.host}")))
        with (
            make_transport(proxies=proxies) as transport,
            pytest.raises(RemoteError, match=r"does not connect to registry\.example"),
        ):
            _ask(transport, parse_url("https://registry.example/v2/"))


def test_a_proxy_that_is_spoken_to_over_tls_can_be_used_for_plain_requests(server: RegistryServer) -> None:
    """The connection is to the proxy, and no tunnel; that it does not speak TLS here shows where it went."""
    proxy = Proxy(parse_url(f"https://{server.host}"))
    with (
        make_transport(proxies=Proxies(http=proxy, https=proxy)) as transport,
        pytest.raises(RemoteError, match=rf"{server.host} speaks plain HTTP"),
    ):
        _ask(transport, parse_url("http://registry.example/v2/"))


def test_tls_to_a_proxy_for_tls_is_refused() -> None:
    proxies = Proxies(https=Proxy(parse_url("https://proxy.example")))
    with make_transport(proxies=proxies) as transport, pytest.raises(RequestError, match="over TLS"):
        _ask(transport, parse_url("https://registry.example/v2/"))


def test_this_machine_is_never_behind_a_proxy(server: RegistryServer) -> None:
    proxies = Proxies(http=Proxy(parse_url("http://127.0.0.1:1")))
    with make_transport(proxies=proxies) as transport:
        assert _ask(transport, _url(server))[0] == 200


@pytest.mark.parametrize(
    "exempt, url, direct",
    [
        ("*", "https://a.example/", True),
        ("a.example", "https://a.example/", True),
        ("a.example", "https://b.a.example/", True),
        (".a.example", "https://b.a.example/", True),
        ("*.a.example", "https://b.a.example/", True),
        ("a.example", "https://ba.example/", False),
        ("a.example:443", "https://a.example/", True),
        ("a.example:5000", "https://a.example/", False),
        ("10.0.0.0/8", "https://10.2.3.4/", True),
        ("10.0.0.0/8", "https://11.2.3.4/", False),
        ("10.0.0.0/8", "https://ten.example/", False),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("nonsense/x", "https://a.example/", False),
        ("a.example:x", "https://a.example/", False),
        ("b.example, a.example", "https://a.example/", True),
        ("A.Example", "https://a.example/", True),
    ],
)
def test_exempt_hosts(exempt: str, url: str, direct: bool) -> None:
    proxies = read_proxies({"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": exempt})
    assert (proxies.of(parse_url(url)) is None) == direct


def test_reads_proxies() -> None:
    proxies = read_proxies(
        {
            "http_proxy": "proxy.example:3128",
            "HTTP_PROXY": "http://other.example",
            "HTTPS_PROXY": "http://u%40x:p%3A@p.example",
        }
    )
    assert proxies.http == Proxy(parse_url("http://proxy.example:3128"))
    assert proxies.https == Proxy(parse_url("http://p.example"), "Basic dUB4OnA6")
    assert "dUB4OnA6" not in repr(proxies)
    assert read_proxies({}) == Proxies()


def test_a_cgi_programs_proxy_header_is_not_believed() -> None:
    assert read_proxies({"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil.example"}).http is None


@pytest.mark.parametrize("text", ["socks5://user:secret@p.example", "http://user:secret@", "http://user:secret@p:x"])
def test_a_broken_proxy_is_told_without_its_secret(text: str) -> None:
    with pytest.raises(RequestError, match="HTTPS_PROXY") as caught:
        parse_proxy(text, "HTTPS_PROXY")
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


# Schemes


def test_schemes() -> None:
    with make_transport() as transport:
        assert transport.scheme_for("localhost:5000", "localhost", 5000) == "http"
        assert transport.scheme_for("127.0.0.1", "127.0.0.1", None) == "http"
        assert transport.scheme_for("[::1]:1", "::1", 1) == "http"
        assert transport.scheme_for("registry.example", "registry.example", None) == "https"
        assert transport.scheme_for("10.0.0.1:5000", "10.0.0.1", 5000) == "https"
    with make_transport(tls=TlsOptions(wanted=True)) as transport:
        assert transport.scheme_for("localhost:5000", "localhost", 5000) == "https"


def test_an_insecure_host_without_tls_is_found_out_once(
    server: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = _Counting(monkeypatch)
    host, _, port = server.host.partition(":")
    with make_transport(insecure=[server.host]) as transport:
        for _ in range(3):
            assert transport.scheme_for(server.host, host, int(port)) == "http"
    assert counting.count == 1


def test_a_ca_file_that_is_missing() -> None:
    with (
        make_transport(tls=TlsOptions(ca_files=("/nonexistent/ca.crt",))) as transport,
        RawServer(b"") as server,
        pytest.raises(HostError, match=r"cannot use the CA certificate /nonexistent/ca\.crt"),
    ):
        _ask(transport, parse_url(f"https://{server.host}/"))


def test_plain_http_where_tls_was_expected(server: RegistryServer, transport: Transport) -> None:
    with pytest.raises(RemoteError, match="speaks plain HTTP, not TLS") as caught:
        _ask(transport, parse_url(f"https://{server.host}/v2/"))
    assert "--insecure" in caught.value.hint
