"""Paths for Linux images."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.linux.paths import MAX_COMPONENT, MAX_PATH, check_component, parse_path, path_text


@pytest.mark.parametrize(
    ("text", "components"),
    [
        ("/", ()),
        ("//", ()),
        ("/app", ("app",)),
        ("/app/", ("app",)),
        ("//app//x", ("app", "x")),
        ("/./app/./x/.", ("app", "x")),
        ("/a b/ü/日本", ("a b", "ü", "日本")),
        ("/a\\b", ("a\\b",)),
        ("/C:/x", ("C:", "x")),
        ("/...", ("...",)),
        ("/.whatever", (".whatever",)),
        ("/a\nb", ("a\nb",)),
    ],
)
def test_a_path_becomes_its_components(text, components):
    assert parse_path(text) == components


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("app", "not absolute"),
        ("./app", "not absolute"),
        ("C:\\app", "not absolute"),
        ("/..", "contains .."),
        ("/app/../x", "contains .."),
        ("/app/..", "contains .."),
        ("/a\0b", "NUL"),
        ("/.wh.x", "removal"),
        ("/app/.wh..wh..opq", "removal"),
        ("/a\udcffb", "not UTF-8"),
    ],
)
def test_what_a_layer_cannot_have_is_refused(text, problem):
    with pytest.raises(RequestError, match=problem) as caught:
        parse_path(text)
    assert "absolute path" in caught.value.hint


def test_a_name_is_measured_in_bytes():
    assert parse_path("/" + "a" * MAX_COMPONENT) == ("a" * MAX_COMPONENT,)
    assert parse_path("/" + "ü" * (MAX_COMPONENT // 2)) == ("ü" * (MAX_COMPONENT // 2),)
    for name in ("a" * (MAX_COMPONENT + 1), "ü" * (MAX_COMPONENT // 2 + 1)):
        with pytest.raises(RequestError, match="longer than 255 bytes"):
            parse_path("/" + name)


def test_a_path_is_measured_in_bytes_with_its_slashes():
    longest = "/" + "/".join(["a" * 255] * 15 + ["b" * 254])
    assert len(longest) == MAX_PATH
    assert path_text(parse_path(longest)) == longest
    with pytest.raises(RequestError, match="longer than 4095 bytes") as caught:
        parse_path(longest + "b")
    assert len(str(caught.value)) < 300


def test_slashes_that_are_dropped_do_not_count():
    assert parse_path("/" * (MAX_PATH + 10) + "a") == ("a",)


def test_a_component_alone_is_checked_alike():
    check_component("x")
    for name in ("", ".wh.x", "a\0"):
        with pytest.raises(RequestError):
            check_component(name)
