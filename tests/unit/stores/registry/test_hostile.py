"""Any bytes at all: a peer's answers, addresses and headers give a value or one of our errors, and never hang."""

from __future__ import annotations

import socket
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from wingo.errors import Malformed
from wingo.stores.registry.challenge import parse_challenges
from wingo.stores.registry.faults import clean
from wingo.stores.registry.http1 import Connection, NotHttp
from wingo.stores.registry.proxies import read_proxies
from wingo.stores.registry.url import follow, parse_url

_PIECES = st.sampled_from(
    [
        *(
            b"HTTP/1.1 ",
            b"HTTP/1.0 ",
            b"200 OK",
            b"204 No",
            b"100 Go",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b":",
            b" ",
            b"0",
            b"5",
        ),
        *(b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Connection: close", b"hello"),
        *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffff\r\n", b"\x00", b"\xff"),
    ]
)
_ANSWERS = st.lists(_PIECES | st.binary(max_size=5), max_size=30).map(b"".join)


@given(_ANSWERS, st.sampled_from(["GET", "HEAD"]))
@settings(max_examples=150, deadline=None)
def test_answers(answer: bytes, method: str) -> None:
    ours, theirs = socket.socketpair()
    finished: list[bool] = []
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        connection = Connection(ours)
        try:
            with connection.exchange(method, "/", {"Host": "x"}, None, timeout=5, done=finished.append) as response:
                body = response.read_all(100_000)
            assert 200 <= response.status <= 999
            assert len(body) <= len(answer)
            assert method == "GET" or body == b""
        except (OSError, NotHttp):
            assert finished == [False]
        finally:
            connection.close()
    assert len(finished) == 1, "the pool is told exactly once"


@given(st.text(max_size=60) | st.from_regex(r"https?://[^ ]{0,30}", fullmatch=True))
@settings(deadline=None)
def test_addresses(text: str) -> None:
    try:
        url = parse_url(text)
    except Malformed:
        return
    assert parse_url(f"{url.scheme}://{url.authority}{url.target}") == url
    assert url.target.startswith("/")
    assert url.target.isprintable()
    assert " " not in url.target


@given(st.text(alphabet=string.printable, max_size=60))
@settings(deadline=None)
def test_locations(text: str) -> None:
    try:
        url = follow(parse_url("https://registry.example/v2/a?b"), text)
    except Malformed:
        return
    assert url.scheme in {"http", "https"}


@given(st.text(alphabet='Bearer Basic="\\,;\t xyz\x00', max_size=200))
@settings(deadline=None)
def test_challenges(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


@given(st.text(max_size=400))
@settings(deadline=None)
def test_strangers_words(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text, 20)) <= 20


@given(
    st.lists(st.text(alphabet="a.*:/0123456789,[]-", max_size=20)), st.sampled_from(["10.0.0.1", "[::1]", "a.example"])
)
@settings(deadline=None)
def test_exempt_lists(items: list[str], host: str) -> None:
    proxies = read_proxies({"HTTPS_PROXY": "http://proxy.example:1", "NO_PROXY": ",".join(items)})
    proxies.of(parse_url(f"https://{host}/"))
