"""Pieces of pages: a section, a table, a list of facts, bars, findings. Each takes values and gives markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.cli.html.markup import Child, Html, tag

if TYPE_CHECKING:
    from wingo.check.finding import Finding

COLOURS = 8
"""Fills `f0` to `f7` in style sheets, `s0` to `s7` in pictures; `fr` and `sr` are the rest."""


class Number(msgspec.Struct, frozen=True):
    """A cell of a table that is a number, or a size: it stands on the right.

    Attributes:
        text: as it is shown.
    """

    text: str


class Bar(msgspec.Struct, frozen=True):
    """One bar.

    Attributes:
        label: what stands before it.
        parts: lengths and fills, "f0" to "f7" or "fr", with what each is.
        amount: what stands behind it.
    """

    label: str
    parts: tuple[tuple[int, str, str], ...]
    amount: str


def section(title: str, *children: Child, name: str = "") -> Html:
    """A part of the page with its heading; `name` makes it a target of links."""
    anchor = name or "".join(char if char.isalnum() else "-" for char in title.lower())[:60]
    return tag("section", tag("h2", title, id=anchor), *children, aria_labelledby=anchor)


def chips(texts: Iterable[str]) -> Html:
    """A row of short facts."""
    return tag("ul", (tag("li", text) for text in texts), class_="chips")


def badge(text: str, kind: str) -> Html:
    """A word that stands out: "error", "warning", "note", "good" or "bad"."""
    return tag("span", text, class_=f"badge {kind}")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Child | Number]], *, caption: str, numbers: Sequence[int] = ()
) -> Html:
    """A table whose first column names the row.

    Args:
        heads: of the columns; none: a list of names and what they are.
        rows: a cell for each.
        caption: what the table is of: it is the name of the region that can be scrolled.
        numbers: the columns of numbers.
    """
    head = tag(
        "tr",
        (tag("th", text, scope="col", class_="number" if at in numbers else None) for at, text in enumerate(heads)),
    )
    body = (tag("tr", (_cell(at, cell) for at, cell in enumerate(row))) for row in rows)
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", head) if heads else None,
        tag("tbody", body),
        class_=None if heads else "facts",
    )
    # What can be scrolled must be reachable by keyboard, and say what it is.
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cell(at: int, cell: Child | Number) -> Html:
    name = "th" if at == 0 else "td"
    scope = "row" if at == 0 else None
    if isinstance(cell, Number):
        return tag(name, cell.text, class_="number", scope=scope)
    return tag(name, cell, scope=scope)


def facts(items: Iterable[tuple[str, Child]], *, caption: str) -> Html:
    """Names and what they are, as a table of two columns; what is empty is left out."""
    shown = [(name, value) for name, value in items if value not in ("", None, ())]
    return table((), shown, caption=caption)


def fold(summary: Child, *children: Child, opened: bool = False) -> Html:
    """Something that can be unfolded."""
    return tag("details", tag("summary", summary), *children, open=opened)


def bars(items: Sequence[Bar], *, label: str) -> Html:
    """Stacked bars, the longest over the whole width; what they say must stand in a table as well."""
    longest = max((sum(size for size, _, _ in bar.parts) for bar in items), default=0) or 1
    rows = []
    for bar in items:
        pieces = (
            tag("span", class_=fill, style=f"width:{100 * size / longest:.2f}%", title=about)
            for size, fill, about in bar.parts
            if size
        )
        rows.append(
            tag(
                "div",
                tag("div", bar.label, class_="label"),
                tag("div", pieces, class_="track", aria_hidden="true"),
                tag("div", bar.amount, class_="amount"),
                class_="row",
            )
        )
    return tag("div", rows, class_="bars", role="group", aria_label=label)


def changes(items: Sequence[tuple[str, int, str]], *, label: str) -> Html:
    """Bars to the left (less) and to the right (more) of a line in the middle.

    Args:
        items: a name, the difference, and the difference as text.
        label: what they are of.
    """
    longest = max((abs(delta) for _, delta, _ in items), default=0) or 1
    rows = []
    for name, delta, text in items:
        piece = tag("span", class_="f2" if delta < 0 else "f1", style=f"width:{100 * abs(delta) / longest:.2f}%")
        rows.append(
            tag(
                "div",
                tag("div", name, class_="label"),
                tag(
                    "div",
                    tag("div", piece if delta < 0 else None),
                    tag("div", piece if delta > 0 else None),
                    class_="both",
                    aria_hidden="true",
                ),
                tag("div", text, class_="amount"),
                class_="row",
            )
        )
    return tag("div", rows, class_="bars", role="group", aria_label=label)


def key(fill: str, text: Child) -> Html:
    """A word with its colour before it."""
    return tag("span", tag("span", class_=f"key {fill}", aria_hidden="true"), text)


def findings(found: Sequence[Finding], titles: Mapping[str, str]) -> Html:
    """Findings, worst first.

    Args:
        found: whoever found them.
        titles: of the rules, by number.
    """
    if not found:
        return tag("p", badge("nothing found", "good"), " No rule has anything to say.")
    return tag("ul", (_finding(item, titles.get(item.rule, "")) for item in found), class_="findings")


def _finding(item: Finding, title: str) -> Html:
    from wingo.cli.findings import size_text

    where = item.where
    places = ", ".join(where.platforms) or where.place
    at = f"{where.path}:{where.line}" if where.line else where.path
    return tag(
        "li",
        tag("p", badge(item.severity.value, item.severity.value), " ", tag("code", item.rule), f" {title}".rstrip()),
        tag("p", item.message),
        tag("p", f"To mend it: {item.hint}", class_="hint") if item.hint else None,
        tag("p", f"Saves {size_text(item.win)}.", class_="hint") if item.win else None,
        tag("p", f"Waived: {item.waived}", class_="hint") if item.waived else None,
        tag("p", ", ".join(text for text in (places, at) if text), class_="soft"),
    )
