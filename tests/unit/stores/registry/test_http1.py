"""HTTP/1.1 as peers really speak it, and as hostile ones do."""

from __future__ import annotations

import io

import pytest

from tests.unit.stores.registry.conftest import RawServer
from wingo.errors import RemoteError
from wingo.stores.registry.http1 import MAX_HEADERS, MAX_LINE, Body, Cut, NotHttp, TooLong
from wingo.stores.registry.transport import Patience
from wingo.stores.registry.url import parse_url
from wingo.testing.registry import RegistryServer
from wingo.testing.registry_client import make_transport

ONCE = Patience(connect=5, idle=5, tries=1)


def _get(answer: bytes, *, method: str = "GET", limit: int = 1000) -> tuple[int, dict[str, str], bytes]:
    with RawServer(answer) as server, make_transport(patience=ONCE) as transport:
        response = transport.request(method, parse_url(f"http://{server.host}/x"), "asking")
        with response:
            return response.status, dict(response.headers), response.read_all(limit)


def test_a_length() -> None:
    status, headers, body = _get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello")
    assert (status, headers["x-a"], body) == (200, "b", b"hello")


def test_no_length_ends_with_the_connection() -> None:
    assert _get(b"HTTP/1.1 200 OK\r\n\r\nhello")[2] == b"hello"


def test_http_1_0() -> None:
    assert _get(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")[2] == b"hi"


def test_chunks() -> None:
    body = b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    assert _get(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)[2] == b"hello world"


def test_interim_answers_are_read_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    status, headers, body = _get(answer)
    assert (status, body) == (201, b"")
    assert "link" not in headers


def test_head_has_no_body_whatever_it_says() -> None:
    status, headers, body = _get(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", method="HEAD")
    assert (status, headers["content-length"], body) == (200, "500", b"")


def test_repeated_headers_are_joined() -> None:
    answer = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    assert _get(answer)[1]["www-authenticate"] == "Negotiate, Basic"


def test_the_same_length_twice_is_one() -> None:
    assert _get(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi")[2] == b"hi"


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % at for at in range(MAX_HEADERS + 1)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MAX_LINE + 1) + b"\r\n\r\n",
        b"H" * (MAX_LINE + 10),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    ],
)
def test_what_is_not_http_is_a_clear_error(answer: bytes) -> None:
    with pytest.raises(RemoteError, match=r"asking: 127\.0\.0\.1:\d+ does not speak HTTP as expected") as caught:
        _get(answer)
    assert isinstance(caught.value.__cause__, NotHttp)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
    ],
)
def test_a_head_that_is_cut(answer: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        _get(answer)
    if answer != b"HTTP/1.1 200 OK":
        assert caught.value.temporary


@pytest.mark.parametrize(
    "answer, error",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Cut),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", Cut),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Cut),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX5\r\n", NotHttp),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n", NotHttp),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", NotHttp),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", NotHttp),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 200, NotHttp),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", TooLong),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1001, TooLong),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n", TooLong),
    ],
)
def test_bodies_that_end_wrong(answer: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        _get(answer)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "é"])
def test_no_header_of_ours_can_carry_another(value: str) -> None:
    with (
        RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server,
        make_transport(patience=ONCE) as transport,
    ):
        with pytest.raises(RemoteError):
            transport.request("GET", parse_url(f"http://{server.host}/"), "asking", headers={"X": value})
        assert server.heads in ([], [b""])


def test_no_address_can_carry_a_header(server: RegistryServer) -> None:
    with make_transport(patience=ONCE) as transport:
        url = parse_url(f"{server.url}/v2/")
        for target in ("/a b", "/a HTTP/1.1\r\nX-Evil: 1", "/é"):
            with pytest.raises(RemoteError):
                transport.request("GET", url.at(target), "asking")
        assert server.requests == []


def test_an_answer_that_comes_before_the_body_was_sent() -> None:
    """A server that refuses a large body closes its side; the answer is told, not the broken pipe."""
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with RawServer(answer) as server, make_transport(patience=ONCE) as transport:
        body = Body(1 << 20, lambda: io.BytesIO(bytes(1 << 20)))
        response = transport.request("PUT", parse_url(f"http://{server.host}/"), "sending", body=body)
        assert response.status == 413
        response.close()


def test_a_body_shorter_than_announced_is_not_sent_as_whole() -> None:
    with (
        RawServer(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") as server,
        make_transport(patience=ONCE) as transport,
    ):
        body = Body(10, lambda: io.BytesIO(b"12345"))
        with pytest.raises(RemoteError, match="5 bytes fewer than announced"):
            transport.request("PUT", parse_url(f"http://{server.host}/"), "sending", body=body)


def test_content_length_is_sent_with_an_empty_body() -> None:
    with (
        RawServer(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") as server,
        make_transport(patience=ONCE) as transport,
    ):
        transport.request("POST", parse_url(f"http://{server.host}/v2/"), "asking", body=b"").close()
        assert b"\r\nContent-Length: 0\r\n" in server.heads[0]
        assert server.heads[0].startswith(b"POST /v2/ HTTP/1.1\r\nHost: 127.0.0.1:")
