"""Markup as values: what is text is escaped here and nowhere else, and a page is put together here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from wingo.cli.html.style import CSS
from wingo.cli.render import printable
from wingo.version import VERSION

_VOID = frozenset({"br", "meta"})
_SHAPES = frozenset({"rect"})
"""Of SVG: without the slash, what follows would be inside them."""


class Html(str):
    """Markup that is complete and safe as it stands; made by `tag` and `joined` only."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
"""What an element may hold: text (escaped), markup (as it is), nothing, or several of these."""


def markup(child: Child) -> Html:
    """A child as markup: text is escaped, its control characters are replaced."""
    if child is None:
        return Html()
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return Html(escape(printable(child), quote=False))
    if isinstance(child, int):
        return Html(str(child))
    return Html("".join(markup(item) for item in child))


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        name: the element's.
        children: what is in it.
        attributes: `class_` is class, `aria_label` is aria-label; None and False are left out, True has no value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escape(printable(str(value)), quote=True)}"')
    if name in _SHAPES:
        return Html(f"<{' '.join(words)}/>")
    start = f"<{' '.join(words)}>"
    if name in _VOID:
        return Html(start)
    return Html(f"{start}{markup(children)}</{name}>")


_FROM_BYTES = "from the bytes of the image; nothing of it was run."


def page(title: str, lead: Child, sections: Iterable[Html], *, made: str = _FROM_BYTES) -> str:
    """A whole page.

    Args:
        title: of the window, and the first heading.
        lead: what stands under the heading.
        sections: from top to bottom.
        made: the end of the line at the foot: what the page was made from.
    """
    # Nothing may be fetched and no script may run, whatever an image's names try.
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · wingo"),
        tag("style", Html(CSS)),
    )
    body = (
        tag("header", tag("h1", title), lead),
        tag("main", *sections),
        tag("footer", f"Made by wingo {VERSION} {made}"),
    )
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"
