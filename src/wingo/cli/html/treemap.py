"""A treemap: areas in proportion to sizes, in two levels, as an SVG that is computed here and needs no script.

The layout is squarified (Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wingo.cli.findings import size_text
from wingo.cli.html.markup import Html, tag

_HEAD = 19.0
_CHARACTER = 6.0
"""Units of width of one character of the labels, on the safe side."""
_LINE = 13.0
_SMALLEST = 6.0
"""Square units below which a box is not worth a rectangle of its own."""


class Box(msgspec.Struct, frozen=True):
    """One item.

    Attributes:
        name: shown where there is room.
        size: decides the area.
    """

    name: str
    size: int


class Group(msgspec.Struct, frozen=True):
    """Items that belong together.

    Attributes:
        name: the heading.
        boxes: of the group.
        colour: the class of its rectangles: "s0" to "s7", "sr" for the rest.
    """

    name: str
    boxes: tuple[Box, ...]
    colour: str

    @property
    def size(self) -> int:
        """Of all boxes."""
        return sum(box.size for box in self.boxes)


class Place(msgspec.Struct, frozen=True):
    """A rectangle: left, top, width and height."""

    x: float
    y: float
    width: float
    height: float


def squarify(sizes: Sequence[int], place: Place) -> list[Place]:
    """Divides a rectangle by sizes, which are positive and come greatest first."""
    total = sum(sizes)
    if not total:
        return []
    scale = place.width * place.height / total
    areas = [size * scale for size in sizes]
    found: list[Place] = []
    start = 0
    while start < len(areas):
        side = min(place.width, place.height)
        stop = start + 1
        row = areas[start]
        worst = _worst(areas[start], areas[start], row, side)
        while stop < len(areas):
            next_row = row + areas[stop]
            ratio = _worst(areas[start], areas[stop], next_row, side)
            if ratio > worst:
                break
            worst, row, stop = ratio, next_row, stop + 1
        places, place = _laid(areas[start:stop], row, place)
        found += places
        start = stop
    return found


def _worst(largest: float, smallest: float, row: float, side: float) -> float:
    """The worst ratio of sides in a row."""
    if not row or not side or not smallest:
        return float("inf")
    square = (side / row) ** 2
    return max(square * largest, 1 / (square * smallest))


def _laid(areas: Sequence[float], row: float, place: Place) -> tuple[list[Place], Place]:
    """A row along the shorter side, and what is left."""
    if place.width >= place.height:
        width = row / place.height if place.height else 0.0
        top = place.y
        laid = []
        for area in areas:
            height = area / width if width else 0.0
            laid.append(Place(place.x, top, width, height))
            top += height
        return laid, Place(place.x + width, place.y, max(place.width - width, 0.0), place.height)
    height = row / place.width if place.width else 0.0
    left = place.x
    laid = []
    for area in areas:
        width = area / height if height else 0.0
        laid.append(Place(left, place.y, width, height))
        left += width
    return laid, Place(place.x, place.y + height, place.width, max(place.height - height, 0.0))


def treemap(groups: Sequence[Group], label: str) -> Html:
    """The picture, once for a wide window and once for a narrow one; the style sheet shows one of them.

    Args:
        groups: in any order.
        label: what it shows, for those who cannot see it.
    """
    ordered = sorted((group for group in groups if group.size), key=lambda group: (-group.size, group.name))
    return Html(_drawn(ordered, label, "wide", 1200, 560) + _drawn(ordered, label, "narrow", 360, 620))


def _drawn(groups: Sequence[Group], label: str, name: str, width: int, height: int) -> Html:
    total = sum(group.size for group in groups)
    pieces: list[Html] = []
    for group, place in zip(
        groups, squarify([group.size for group in groups], Place(0, 0, width, height)), strict=True
    ):
        pieces += _group(group, place, total)
    return tag("svg", *pieces, viewBox=f"0 0 {width} {height}", class_=name, role="img", aria_label=label)


def _group(group: Group, place: Place, total: int) -> list[Html]:
    headed = place.height > 3 * _HEAD and place.width > 60 and len(group.boxes) > 1
    inside = Place(place.x, place.y + _HEAD, place.width, place.height - _HEAD) if headed else place
    boxes = _worth(sorted(group.boxes, key=lambda box: (-box.size, box.name)), inside)
    pieces = []
    if headed:
        about = f"{group.name}: {size_text(group.size)}, {_share(group.size, total)}"
        pieces.append(_rect(place, group.colour, about))
        pieces.append(_text(place.x + 5, place.y + 14, _fitting(group.name, place.width - 8), "head"))
    for box, spot in zip(boxes, squarify([box.size for box in boxes], inside), strict=True):
        pieces.append(_rect(spot, group.colour, f"{box.name}: {size_text(box.size)}, {_share(box.size, total)}"))
        lines = _label(box, spot)
        for number, line in enumerate(lines):
            pieces.append(_text(spot.x + 4, spot.y + _LINE * (number + 1), line))
    pieces.append(
        tag("rect", x=_n(place.x), y=_n(place.y), width=_n(place.width), height=_n(place.height), class_="frame")
    )
    return pieces


def _worth(boxes: Sequence[Box], place: Place) -> list[Box]:
    """The boxes that can be seen; the small ones become one."""
    total = sum(box.size for box in boxes)
    least = _SMALLEST * total / max(place.width * place.height, 1.0)
    seen = [box for box in boxes if box.size >= least]
    rest = [box for box in boxes if box.size < least]
    if rest:
        seen.append(Box(f"{len(rest)} small ones", max(sum(box.size for box in rest), 1)))
        seen.sort(key=lambda box: -box.size)
    return seen


def _label(box: Box, place: Place) -> list[str]:
    if place.height < _LINE + 4 or place.width < 5 * _CHARACTER:
        return []
    name = _fitting(box.name, place.width - 8)
    if not name:
        return []
    size = size_text(box.size)
    return [name, size] if place.height > 2 * _LINE + 6 and len(size) * _CHARACTER < place.width - 8 else [name]


def _fitting(name: str, width: float) -> str:
    """As much of a path as fits: the last elements say most."""
    room = int(width / _CHARACTER)
    if len(name) <= room:
        return name
    parts = name.split("/")
    while len(parts) > 1:
        parts = parts[1:]
        shorter = "…/" + "/".join(parts)
        if len(shorter) <= room:
            return shorter
    last = parts[0]
    if len(last) <= room:
        return last
    return last[: room - 1] + "…" if room > 4 else ""


def _rect(place: Place, colour: str, about: str) -> Html:
    shape = tag("rect", x=_n(place.x), y=_n(place.y), width=_n(place.width), height=_n(place.height), class_=colour)
    return tag("g", tag("title", about), shape)


def _text(x: float, y: float, text: str, kind: str | None = None) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), class_=kind) if text else Html()


def _share(size: int, total: int) -> str:
    return f"{100 * size / total:.1f} %" if total else ""


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
