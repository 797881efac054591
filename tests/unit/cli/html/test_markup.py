"""Markup: what is text is escaped, whatever it tries."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.cli.html.markup import Html, markup, page, tag
from wingo.cli.html.parts import Bar, Number, bars, changes, facts, findings, fold, section, table

calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b & c", tag("b", "x"), None, 3) == "<p>a &lt; b &amp; c<b>x</b>3</p>"
    assert tag("p", ["a", ("<", [tag("i")])]) == "<p>a&lt;<i></i></p>"


def test_attributes() -> None:
    made = tag("a", class_='x" onload="y', aria_label="<", hidden=True, title=None, open=False, tabindex=0)
    assert made == '<a class="x&quot; onload=&quot;y" aria-label="&lt;" hidden tabindex="0"></a>'


def test_shapes_close_themselves() -> None:
    assert tag("rect", x=1) == '<rect x="1"/>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_control_characters_and_half_characters_are_replaced() -> None:
    assert markup("a\x1b\0b\ud800") == "a\ufffd\ufffdb\ufffd"


@calmly
@given(st.text(), st.text())
def test_nothing_gets_out(text: str, attribute: str) -> None:
    made = ET.fromstring(tag("p", text, title=attribute))
    assert list(made) == []
    assert set(made.attrib) == {"title"}


HOSTILE = '"><script>alert(1)</script><img src=x onerror=y>'


def every_part(text: str) -> list[Html]:
    from wingo.check.finding import Finding, Severity, Where

    finding = Finding("WGO1", Severity.ERROR, text, Where(text, path=text, platforms=(text,)), hint=text, waived=text)
    return [
        section(text, text, table((text,), [(text, Number(text))], caption=text), name="x"),
        facts([(text, text)], caption=text),
        fold(text, text),
        bars([Bar(text, ((1, "f0", text),), text)], label=text),
        changes([(text, -1, text), (text, 1, text)], label=text),
        findings([finding], {"WGO1": text}),
    ]


def test_no_part_lets_markup_in() -> None:
    for part in every_part(HOSTILE):
        assert "<script" not in part
        assert "<img" not in part
        # Attributes keep their quotes.
        assert 'onerror=y>"' not in part.replace("&gt;", "")
        ET.fromstring(part.replace("<br>", ""))


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    made = page(HOSTILE, "lead", every_part(HOSTILE))
    assert made.startswith("<!doctype html>\n<html")
    assert "default-src &#x27;none&#x27;" in made
    for forbidden in ("<script", "http://", "https://", "@import", "url(", "javascript:", "<iframe", "<link"):
        assert forbidden not in made, forbidden


@pytest.mark.parametrize("found", [(), []])
def test_no_findings_is_said(found) -> None:
    assert "nothing found" in findings(found, {})


def test_tables_can_be_reached_and_are_named() -> None:
    made = table(("a", "b"), [("x", Number("1"))], caption="the caption", numbers=(1,))
    assert 'tabindex="0" role="region" aria-label="the caption"' in made
    assert '<th scope="col" class="number">b</th>' in made
    assert '<th scope="row">x</th><td class="number">1</td>' in made
