"""The part of a page that shows the registry of a Windows image: where its bytes are, its services, and what could be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.cli.findings import counted, size_text
from wingo.cli.html.markup import Child, Html, tag
from wingo.cli.html.parts import COLOURS, Bar, Number, badge, bars, chips, fold, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wingo.pipeline.optimizing import AnalysedImage
    from wingo.windows.registry_analysis import HiveFacts, ServiceFacts

_NEEDED_BY = 8


def registry_sections(images: Sequence[AnalysedImage]) -> list[Html]:
    """One section for each image."""
    return [_section(image) for image in images]


def _section(image: AnalysedImage) -> Html:
    found = image.analysis
    own = [service for service in found.services if not service.driver]
    itself = [service for service in own if service.start in ("auto", "delayed-auto")]
    numbers = [f"{count} {word}" for word, count in found.counts.items()]
    return section(
        f"Registry of {image.platform}",
        chips(
            (
                *(f"services: {text}" for text in numbers),
                f"{found.now.processes} processes at the start, if sharing ones do",
            )
        ),
        bars([_bar(hive) for hive in found.hives], label="Bytes of each hive, the largest keys first"),
        [
            fold(f"{hive.hive}: {size_text(hive.whole.bytes)}, {counted(hive.whole.keys, 'key')}", _keys(hive))
            for hive in found.hives
        ],
        fold(f"{counted(len(itself), 'service')} that start by themselves", _services(itself)),
        fold(f"all {counted(len(own), 'service')}", _services(own)),
        _dangling(found.services, known=found.files_known),
        _list("What a container does not notice", found.unnoticed),
        _steps(image),
        name=f"registry-{image.digest[7:19]}",
    )


def _bar(hive: HiveFacts) -> Bar:
    outer = [
        part for part in hive.subtrees if not any(part.path.startswith(f"{other.path}\\") for other in hive.subtrees)
    ]
    parts = tuple((part.bytes, f"f{number % COLOURS}", part.path) for number, part in enumerate(outer[:COLOURS]))
    rest = hive.whole.bytes - sum(size for size, _, _ in parts)
    return Bar(hive.hive, (*parts, (max(rest, 0), "fr", "everything else")), size_text(hive.whole.bytes))


def _keys(hive: HiveFacts) -> Html:
    rows = [
        (tag("code", part.path), Number(size_text(part.bytes)), Number(f"{part.keys:,}"), Number(f"{part.values:,}"))
        for part in (hive.whole, *hive.subtrees)
    ]
    return table(
        ("key", "bytes", "keys", "values"),
        rows,
        caption=f"The largest keys of {hive.hive}; {hive.empty_keys} are empty, there are {hive.descriptors} descriptors",
        numbers=(1, 2, 3),
    )


def _services(services: Sequence[ServiceFacts]) -> Html:
    rows = [
        (
            service.name,
            service.start + (f", {counted(service.triggers, 'trigger')}" if service.triggers else ""),
            tag("code", service.process),
            ", ".join(service.needs),
            ", ".join(service.needed_by[:_NEEDED_BY]) + (" …" if len(service.needed_by) > _NEEDED_BY else ""),
            badge("kept", "note") if service.kept else "",
            service.kept,
        )
        for service in services
    ]
    heads = ("service", "starts", "runs in", "needs", "needed by", "", "why it is never changed")
    return table(heads, rows, caption="Services")


def _dangling(services: Sequence[ServiceFacts], *, known: bool) -> Html | None:
    rows = [(service.name, service.start, ", ".join(service.missing)) for service in services if service.missing]
    if not rows:
        return None
    what = "services and files" if known else "services (not every layer is at hand: files were not looked for)"
    return fold(
        f"{counted(len(rows), 'service')} that need what is not there",
        table(("service", "starts", "missing"), rows, caption=f"What points nowhere: {what}"),
    )


def _list(title: str, texts: Sequence[str]) -> Html | None:
    return fold(title, tag("ul", (tag("li", text) for text in texts))) if texts else None


def _steps(image: AnalysedImage) -> Html:
    rows = [
        (step.subject, f"{step.before} → {step.after}", won, step.reason, step.source)
        for step, won in zip(image.steps, image.wins, strict=True)
        if step.edits
    ]
    children: list[Child] = [
        table(("what", "change", "wins", "why", "who says so"), rows, caption="What the profiles would change")
    ]
    if image.objections:
        children.append(tag("p", badge("refused", "bad"), " It is not safe:"))
        children.append(tag("ul", (tag("li", text) for text in image.objections)))
    children.append(tag("p", f"Counted, and not measured: {image.win}.", class_="soft"))
    return fold(f"{counted(len(rows), 'change')} that 'wingo optimize' would make", *children, opened=True)


def registry_page(place: str, images: Sequence[AnalysedImage]) -> str:
    """The page of `wingo optimize analyze --html`."""
    from wingo.cli.html.markup import page

    return page(f"Registry of {place}", tag("p", counted(len(images), "Windows image")), registry_sections(images))
