"""URLs: what is read, what is refused, what is shown."""

from __future__ import annotations

import pytest

from wingo.errors import Malformed
from wingo.stores.registry.url import Url, follow, is_loopback, parse_url, split_authority


@pytest.mark.parametrize(
    "text, expected",
    [
        ("https://Registry.Example/v2/a?b=c#d", Url("https", "registry.example", 443, "/v2/a?b=c")),
        ("http://localhost:5000", Url("http", "localhost", 5000, "/")),
        ("HTTP://[::1]:80?x", Url("http", "::1", 80, "/?x")),
    ],
)
def test_reads(text: str, expected: Url) -> None:
    assert parse_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "registry.example",
        "ftp://registry.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@registry.example/",
        "https://registry.example:0/",
        "https://registry.example:70000/",
        "https://registry.example:x/",
        "https://registry.example/a b",
        "https://registry.example/\r\nX-Evil: 1",
        "https://registry.example/é",
        "https://regi<stry/",
        "https://registry.example/" + "a" * 20_000,
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


def test_never_shows_a_query() -> None:
    url = parse_url("https://storage.example/blob?signature=secret")
    assert str(url) == repr(url) == "https://storage.example/blob"


def test_authority_leaves_out_the_schemes_own_port() -> None:
    assert parse_url("https://a.example:443/").authority == "a.example"
    assert parse_url("http://a.example:443/").authority == "a.example:443"
    assert parse_url("http://[::1]:5000/").authority == "[::1]:5000"


@pytest.mark.parametrize(
    "location, expected",
    [
        ("https://other.example/x?y", "https://other.example/x?y"),
        ("/v2/uploads/1?state=a", "http://a.example:5000/v2/uploads/1?state=a"),
        ("sibling?state=a", "http://a.example:5000/v2/sibling?state=a"),
        ("?state=a", "http://a.example:5000/v2/here?state=a"),
        ("//other.example/x", "http://other.example/x"),
    ],
)
def test_follows(location: str, expected: str) -> None:
    assert follow(parse_url("http://a.example:5000/v2/here?old"), location) == parse_url(expected)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "javascript:1", "http://[", "gopher://x/"])
def test_does_not_follow(location: str) -> None:
    with pytest.raises(Malformed):
        follow(parse_url("http://a.example/"), location)


def test_adds_queries() -> None:
    url = parse_url("http://a.example/x").with_query("mount", "sha256:ab").with_query("from", "team/a b&c")
    assert url.target == "/x?mount=sha256%3Aab&from=team%2Fa%20b%26c"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1", "registry.localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1.example", "128.0.0.1", "localhost.example", "127.1", "", "127.0.0.x"])
def test_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_splits_authorities() -> None:
    assert split_authority("[::1]:5000") == ("::1", 5000)
    assert split_authority("[::1]") == ("::1", None)
    assert split_authority("Host:1") == ("host", 1)
    assert split_authority("host") == ("host", None)
