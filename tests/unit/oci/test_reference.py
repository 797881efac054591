"""References: distribution's grammar, Docker's short forms."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.oci.digest import Digest
from wingo.oci.reference import Reference, parse_reference, parse_tag

DIGEST = Digest("sha256:" + "ab" * 32)


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        # Docker's short forms (distribution reference/normalize_test.go)
        ("ubuntu", "docker.io", "library/ubuntu", "", ""),
        ("ubuntu:24.04", "docker.io", "library/ubuntu", "24.04", ""),
        ("team/app", "docker.io", "team/app", "", ""),
        ("team/app:v1", "docker.io", "team/app", "v1", ""),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", "", ""),
        ("docker.io/team/app", "docker.io", "team/app", "", ""),
        ("index.docker.io/ubuntu", "docker.io", "library/ubuntu", "", ""),
        ("registry-1.docker.io/team/app:v1", "docker.io", "team/app", "v1", ""),
        ("localhost/app", "localhost", "app", "", ""),
        ("localhost:5000/app", "localhost:5000", "app", "", ""),
        # without a slash, what looks like a port is a tag
        ("localhost:5000", "docker.io", "library/localhost", "5000", ""),
        ("localhost", "docker.io", "library/localhost", "", ""),
        # a first part with an upper-case letter is a host
        ("Registry/app", "Registry", "app", "", ""),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000", "a/b/c", "x", ""),
        ("[::1]:5000/app", "[::1]:5000", "app", "", ""),
        ("[2001:db8::1]/app:v1", "[2001:db8::1]", "app", "v1", ""),
        ("ghcr.io/a/b@" + DIGEST, "ghcr.io", "a/b", "", DIGEST),
        ("ghcr.io/a/b:v1@" + DIGEST, "ghcr.io", "a/b", "v1", DIGEST),
        ("ubuntu@" + DIGEST, "docker.io", "library/ubuntu", "", DIGEST),
        ("r.io/a__b/c-d.e--f/0_1", "r.io", "a__b/c-d.e--f/0_1", "", ""),
        ("xn--bcher-kva.example/app", "xn--bcher-kva.example", "app", "", ""),
        ("r.io/a:_" + "x" * 127, "r.io", "a", "_" + "x" * 127, ""),
    ],
)
def test_a_reference_is_read(text, registry, repository, tag, digest):
    reference = parse_reference(text)
    assert reference == Reference(registry, repository, tag, Digest(digest))
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be part of a repository"),
        ("/", "cannot be part"),
        ("/app", "cannot be part"),
        ("r.io/", "cannot be part"),
        ("r.io//a", "cannot be part"),
        ("r.io/a/", "cannot be part"),
        ("r.io/a:", "is not a tag"),
        ("r.io/a:-x", "is not a tag"),
        ("r.io/a:.x", "is not a tag"),
        ("r.io/a:x y", "is not a tag"),
        ("r.io/a:x\n", "is not a tag"),
        ("r.io/a:" + "x" * 129, "is not a tag"),
        ("r.io/a:tag:tag", "cannot be part"),
        ("r.io/a_", "cannot be part"),
        ("r.io/_a", "cannot be part"),
        ("r.io/a..b", "cannot be part"),
        ("r.io/a___b", "cannot be part"),
        ("r.io/a._b", "cannot be part"),
        ("r.io/../etc", "cannot be part"),
        ("r.io/%2e%2e/x", "cannot be part"),
        ("r.io/a\nb", "cannot be part"),
        ("r.io/\u00e4", "cannot be part"),
        ("a b", "cannot be part"),
        (" r.io/a", "not a registry's host name"),
        ("r.io:/a", "not a registry's host name"),
        ("r.io:x/a", "not a registry's host name"),
        ("r.io:123456/a", "not a registry's host name"),
        ("a..b/c", "not a registry's host name"),
        ("-a.b/c", "not a registry's host name"),
        ("a.b-/c", "not a registry's host name"),
        ("user:secret@r.io/a", "after '@'"),
        ("[::1/a", "not a registry's host name"),
        ("[::1%eth0]/a", "not a registry's host name"),
        ("r.io\u2024evil/A.B/c", "not a registry's host name"),
        ("a@", "after '@'"),
        ("a@sha256:abc", "after '@'"),
        ("a@" + DIGEST.upper(), "after '@'"),
        ("a@" + DIGEST + "@" + DIGEST, "after '@'"),
        ("r.io/" + "a" * 251, "more than 255"),
    ],
)
def test_what_is_no_reference_is_refused(text, problem):
    with pytest.raises(RequestError, match=problem):
        parse_reference(text)


def test_the_longest_name_is_taken():
    assert parse_reference("r.io/" + "a" * 250).repository == "a" * 250


@pytest.mark.parametrize("scheme", ["https", "http", "docker", "oci"])
def test_a_scheme_is_refused_with_the_way_to_mend_it(scheme):
    with pytest.raises(RequestError, match="it has no scheme") as caught:
        parse_reference(f"{scheme}://r.io/a")
    assert caught.value.hint == f"Write it without {scheme}://."


def test_upper_case_in_a_repository_is_explained():
    with pytest.raises(RequestError) as caught:
        parse_reference("r.io/App")
    assert caught.value.hint == "Write the repository in lower case."


@pytest.mark.parametrize("text", ["user:s3cret@r.io/a", "https://user:s3cret@r.io/a"])
def test_a_password_is_not_repeated(text):
    with pytest.raises(RequestError) as caught:
        parse_reference(text)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "r.io/a" in str(caught.value)


def test_a_message_holds_no_huge_name():
    for text in ("a" * 100_000, "r.io/" + "A" * 100_000, "a@" + "b" * 100_000, "a:" + "c" * 100_000, "/" * 100_000):
        with pytest.raises(RequestError) as caught:
            parse_reference(text)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "tag"), [("a", "latest"), ("a:v1", "v1"), ("a@" + DIGEST, ""), ("a:v1@" + DIGEST, "v1")]
)
def test_the_default_tag_is_for_a_name_alone(text, tag):
    assert parse_reference(text, default_tag="latest").tag == tag


def test_what_is_asked_of_the_registry():
    assert parse_reference("a:v1").target == "v1"
    assert parse_reference("a:v1@" + DIGEST).target == DIGEST
    assert parse_reference("a").target == ""


def test_the_same_repository_otherwise():
    reference = parse_reference("r.io/a:v1@" + DIGEST)
    assert reference.name == "r.io/a"
    assert str(reference.with_digest(DIGEST)) == "r.io/a@" + DIGEST
    assert str(reference.with_tag("v2")) == "r.io/a:v2"
    with pytest.raises(RequestError, match="is not a tag"):
        reference.with_tag("v 2")


def test_a_tag_alone():
    assert parse_tag("v1.0_x-y") == "v1.0_x-y"
    with pytest.raises(RequestError, match="is not a tag") as caught:
        parse_tag("a/b")
    assert "128" in caught.value.hint
