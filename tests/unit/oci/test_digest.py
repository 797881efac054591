"""Digests."""

from __future__ import annotations

import hashlib

import pytest

from wingo.errors import Malformed
from wingo.oci.digest import Hasher, algorithm_of, encoded_of, parse_digest, sha256_digest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("text", ["sha256:" + "0" * 64, "sha256:" + "9af" * 21 + "b", "sha512:" + "a" * 128])
def test_a_digest_is_let_through(text):
    assert parse_digest(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "0" * 63 + "\n",
        "sha256:" + "../" * 21 + "a",
        "sha256:" + "\u0660" * 64,
        "SHA256:" + "0" * 64,
        "sha512:" + "0" * 64,
        "sha384:" + "0" * 96,
        "md5:" + "0" * 32,
        "0" * 64,
        " sha256:" + "0" * 64,
        "sha256::" + "0" * 63,
    ],
)
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(Malformed, match="malformed digest"):
        parse_digest(text)


def test_the_message_for_a_huge_text_is_short():
    with pytest.raises(Malformed) as caught:
        parse_digest("x" * 1_000_000)
    assert len(str(caught.value)) < 300


def test_the_digest_of_bytes():
    assert sha256_digest(b"") == f"sha256:{EMPTY}"
    assert sha256_digest(b"x") != sha256_digest(b"y")


def test_the_two_parts_of_a_digest():
    digest = parse_digest("sha512:" + "a" * 128)
    assert (algorithm_of(digest), encoded_of(digest)) == ("sha512", "a" * 128)


def test_a_hasher_sees_a_stream_as_one():
    hasher = Hasher()
    assert (hasher.digest(), hasher.size) == (f"sha256:{EMPTY}", 0)
    for piece in (b"ab", bytearray(b"c"), memoryview(b"de"), b""):
        hasher.update(piece)
    assert (hasher.digest(), hasher.size) == (sha256_digest(b"abcde"), 5)


def test_a_hasher_of_the_other_algorithm():
    hasher = Hasher("sha512")
    hasher.update(b"abc")
    assert hasher.digest() == "sha512:" + hashlib.sha512(b"abc").hexdigest()
    assert parse_digest(hasher.digest()) == hasher.digest()
