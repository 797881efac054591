"""The treemap: areas are in proportion, nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.cli.html.treemap import Box, Group, Place, squarify, treemap

calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=30).map(lambda sizes: sorted(sizes, reverse=True))
FRAMES = st.tuples(st.integers(10, 2000), st.integers(10, 2000)).map(lambda size: Place(5, 7, *map(float, size)))


@calmly
@given(SIZES, FRAMES)
def test_areas_are_in_proportion(sizes: list[int], frame: Place) -> None:
    places = squarify(sizes, frame)
    total = sum(sizes)
    for size, place in zip(sizes, places, strict=True):
        expected = frame.width * frame.height * size / total
        assert abs(place.width * place.height - expected) <= 1e-6 * frame.width * frame.height + 1e-6 * expected


@calmly
@given(SIZES, FRAMES)
def test_nothing_leaves_the_frame_or_overlaps(sizes: list[int], frame: Place) -> None:
    places = squarify(sizes, frame)
    slack = 1e-6 * (frame.width + frame.height)
    for place in places:
        assert place.x >= frame.x - slack
        assert place.y >= frame.y - slack
        assert place.x + place.width <= frame.x + frame.width + slack
        assert place.y + place.height <= frame.y + frame.height + slack
    for one, other in combinations(places, 2):
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert across <= slack or down <= slack


def test_equal_sizes_in_a_square_are_squares() -> None:
    assert {(round(place.width), round(place.height)) for place in squarify([1] * 4, Place(0, 0, 100, 100))} == {
        (50, 50)
    }


def test_no_sizes() -> None:
    assert squarify([], Place(0, 0, 1, 1)) == []
    assert treemap([], "nothing").count("<svg") == 2


def test_the_picture() -> None:
    groups = [Group("std", (Box("net/http", 500), Box("fmt", 300)), "s0"), Group("one", (Box("x.org/<b>", 200),), "s1")]
    made = treemap(groups, "what & why")
    wide, narrow = ET.fromstring(f"<p>{made}</p>")
    assert [item.attrib["class"] for item in (wide, narrow)] == ["wide", "narrow"]
    assert wide.attrib["aria-label"] == "what & why"
    titles = [item.text for item in wide.iter("title")]
    assert "net/http: 500 bytes, 50.0 %" in titles
    assert "x.org/<b>: 200 bytes, 20.0 %" in titles
    assert "std: 800 bytes, 80.0 %" in titles


def test_what_is_too_small_is_put_together() -> None:
    boxes = (Box("big", 10**9), *(Box(f"p{number}", 1) for number in range(500)))
    made = treemap([Group("g", boxes, "s0")], "x")
    assert "500 small ones" in made
    assert made.count("<rect") < 12


@calmly
@given(st.lists(st.tuples(st.text(max_size=80), st.integers(0, 10**12)), max_size=20))
def test_any_names_and_sizes_give_a_picture(items: list[tuple[str, int]]) -> None:
    groups = [Group(name, (Box(name, size), Box(name, size // 2)), "s0") for name, size in items]
    ET.fromstring(f"<p>{treemap(groups, 'x')}</p>")
