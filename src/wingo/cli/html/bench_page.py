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

_WIDTH, _LABELS, _AMOUNTS = 960, 300, 190
_ROW, _BAR = 30, 18
_LONGEST = 46


class _Line(msgspec.Struct, frozen=True):
    """A bar and its whisker: what it is of, its length, where the values of the runs lie, and how it reads."""

    name: str
    value: float
    low: float
    high: float
    text: str


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
    """Horizontal bars from zero, in the order of the table; the numbers stand beside them."""
    longest = max(max(line.high, line.value) for line in lines) or 1
    room = _WIDTH - _LABELS - _AMOUNTS

    def at(value: float) -> float:
        return _LABELS + room * value / longest

    pieces: list[Html] = []
    for number, line in enumerate(lines):
        top = 8 + _ROW * number
        middle = top + _BAR / 2
        name = line.name if len(line.name) <= _LONGEST else line.name[: _LONGEST - 1] + "…"
        pieces.append(_text(8, middle + 4, name, "name"))
        bar = tag(
            "rect", x=_LABELS, y=top, width=_n(max(at(line.value) - _LABELS, 1)), height=_BAR, class_=f"s{number % 8}"
        )
        pieces.append(tag("g", tag("title", f"{line.name}: {line.text}"), bar))
        if line.high > line.low:
            whisker = tag(
                "rect",
                x=_n(at(line.low)),
                y=_n(middle - 1),
                width=_n(at(line.high) - at(line.low)),
                height=2,
                class_="whisker",
            )
            pieces.append(whisker)
        factor = line.value / lines[0].value if number and lines[0].value else 0
        compared = f"{line.text}  {factor:.2f} of the first" if factor else line.text
        pieces.append(_text(at(max(line.high, line.value)) + 8, middle + 4, compared, "name"))
    height = 16 + _ROW * len(lines)
    return tag("svg", *pieces, viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label)


def _text(x: float, y: float, text: str, kind: str) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), class_=kind)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
