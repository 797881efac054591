"""The page of `wingo bench`: a chart for each thing that was measured, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.cli.bench import HEADS, cells, markdown, seconds_text
from wingo.cli.findings import size_text
from wingo.cli.html.markup import Child, Html, page, tag
from wingo.cli.html.parts import Number, chips, section, table

if TYPE_CHECKING:
    from wingo.pipeline.bench import BenchReport

_BAR, _GAP, _LONGEST = 18, 12, 46


class _Line(msgspec.Struct, frozen=True):
    """A bar and its whisker: what it is of, its length, where the values of the runs lie, and how it reads."""

    name: str
    value: float
    low: float
    high: float
    text: str


class _Shape(msgspec.Struct, frozen=True):
    """How a chart lies in its window, in its own units: one shows in wide windows, one in narrow ones (`style.py`).

    Attributes:
        name: of its class.
        width: of all.
        left: where the bars begin.
        amounts: what is kept for the numbers behind the longest.
        row: a bar with its gap, and its name where that stands above.
        beside: whether the names stand beside the bars.
    """

    name: str
    width: int
    left: int
    amounts: int
    row: int
    beside: bool


_WIDE = _Shape("wide", 960, 300, 190, _BAR + _GAP, beside=True)
_NARROW = _Shape("narrow", 360, 8, 165, _BAR + _GAP + 18, beside=False)


def bench_page(report: BenchReport) -> str:
    """The page."""
    charts = [
        ("Download", "bytes that a registry sends", [_plain(row.name, row.download) for row in report.rows]),
        ("On disk", "bytes of the unpacked layers", [_plain(row.name, row.disk) for row in report.rows if row.disk is not None]),
        ("Start", "until the program is ready; the line is from the fastest run to the slowest", [
            _Line(row.name, row.start.median, row.start.low, row.start.high, seconds_text(row.start.median))
            for row in report.rows if row.start
        ]),
        ("Memory", "the largest resident sets, added up", [
            _Line(row.name, row.memory.median, row.memory.low, row.memory.high, size_text(int(row.memory.median)))
            for row in report.rows if row.memory
        ]),
    ]  # fmt: skip
    sections = [
        section(title, tag("p", about, class_="soft"), chart(lines, f"{title} of each image"))
        for title, about, lines in charts
        if lines
    ]
    rows: list[list[Child | Number]] = [[row[0], *map(Number, row[1:])] for row in cells(report)]
    told = [line.removeprefix("- ") for line in markdown(report)[len(report.rows) + 3 :]]
    numbers = table(HEADS, rows, caption="Everything that was measured", numbers=tuple(range(1, len(HEADS))))
    sections.append(section("Numbers", numbers, tag("ul", [tag("li", line) for line in (*told, *report.notes)])))
    lead = chips([f"{len(report.rows)} images", f"{report.runs} starts each", report.machine])
    footer = "measured on the machine that is named above: compare rows, not pages."
    return page("Images side by side", lead, sections, made=footer)


def _plain(name: str, size: int) -> _Line:
    return _Line(name, size, size, size, size_text(size))


def chart(lines: Sequence[_Line], label: str) -> Html:
    """Horizontal bars from zero, in the order of the table: with the names beside them, and for a narrow window above them."""
    return Html(_drawn(lines, label, _WIDE) + _drawn(lines, label, _NARROW))


def _drawn(lines: Sequence[_Line], label: str, shape: _Shape) -> Html:
    longest = max(max(line.high, line.value) for line in lines) or 1
    room = shape.width - shape.left - shape.amounts

    def at(value: float) -> float:
        return shape.left + room * value / longest

    pieces: list[Html] = []
    for number, line in enumerate(lines):
        top = 8 + shape.row * number + (shape.row - _BAR - _GAP)
        middle = top + _BAR / 2
        name = line.name if len(line.name) <= _LONGEST else line.name[: _LONGEST - 1] + "…"
        pieces.append(_text(8, middle + 4 if shape.beside else top - 6, name))
        width = _n(max(at(line.value) - shape.left, 1))
        bar = tag("rect", x=shape.left, y=_n(top), width=width, height=_BAR, class_=f"s{number % 8}")
        pieces.append(tag("g", tag("title", f"{line.name}: {line.text}"), bar))
        if line.high > line.low:
            long = _n(at(line.high) - at(line.low))
            pieces.append(tag("rect", x=_n(at(line.low)), y=_n(middle - 1), width=long, height=2, class_="whisker"))
        factor = line.value / lines[0].value if number and lines[0].value else 0
        compared = f"{line.text}, {factor:.2f} of the first" if factor else line.text
        pieces.append(_text(at(max(line.high, line.value)) + 8, middle + 4, compared))
    height = 16 + shape.row * len(lines)
    box = f"0 0 {shape.width} {height}"
    return tag("svg", *pieces, viewBox=box, role="img", aria_label=label, class_=shape.name)


def _text(x: float, y: float, text: str) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), class_="name")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
