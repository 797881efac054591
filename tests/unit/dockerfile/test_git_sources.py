"""Which sources of ADD are Git repositories, as BuildKit tells."""

from __future__ import annotations

import pytest

from wingo.dockerfile.git_sources import GitSource, parse_git

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://host.example/a/b.git", GitSource("https://host.example/a/b.git")),
        ("https://host.example/a/b.git#v1.0", GitSource("https://host.example/a/b.git", "v1.0")),
        ("https://host.example/b.git#v1:sub/dir/", GitSource("https://host.example/b.git", "v1", "sub/dir")),
        ("https://host.example/b.git#:sub", GitSource("https://host.example/b.git", "", "sub")),
        ("git@host.example:a/b.git#main", GitSource("git@host.example:a/b.git", "main")),
        ("git@host.example:a/b", GitSource("git@host.example:a/b")),
        ("ssh://git@host.example/a/b", GitSource("ssh://git@host.example/a/b")),
        ("git://host.example/a", GitSource("git://host.example/a")),
        (f"https://host.example/b.git#{COMMIT}", GitSource("https://host.example/b.git", COMMIT)),
        ("https://host.example/a.tar.gz", None),
        ("https://host.example/a.tar.gz#x.git", None),
        ("a.git", None),
        ("./dir@2:x/", None),
        ("git@host:/absolute", None),
        ("file:///a.git", None),
    ],
)
def test_what_is_a_repository(text: str, found: GitSource | None) -> None:
    assert parse_git(text) == found


def test_only_a_whole_commit_is_the_same_for_ever() -> None:
    assert GitSource("x", COMMIT).pinned
    assert not GitSource("x", COMMIT[:12]).pinned
    assert not GitSource("x", "v1").pinned
