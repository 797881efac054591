"""The page of `wingo inspect --html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.cli.findings import counted, size_text
from wingo.cli.html.markup import Child, Html, page, tag
from wingo.cli.html.parts import COLOURS, Bar, Number, badge, bars, chips, facts, findings, fold, key, section, table
from wingo.cli.html.programs import sections_of

if TYPE_CHECKING:
    from wingo.check.finding import Finding
    from wingo.oci.platform import Platform
    from wingo.pipeline.inspecting import ImageRow, Inspection, LayerRow
    from wingo.pipeline.programs import GoProgram
    from wingo.windows.hosts import HostProfile, Pick

_SHORT = 19


class HostRow(msgspec.Struct, frozen=True):
    """What one host takes.

    Attributes:
        host: the machine.
        picks: what each runtime on it takes.
    """

    host: HostProfile
    picks: tuple[Pick, ...]


class ImagePage(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        report: of `wingo inspect`.
        programs: Go programs by digest: path, what was found out, platforms.
        findings: whoever found them; None when nobody looked.
        titles: of the rules, by number.
        candidates: the platforms that hosts choose from, in the index's order.
        hosts: what they take.
        more: further sections, of other commands.
        notes: what a person should know.
    """

    report: Inspection
    programs: Mapping[str, tuple[str, GoProgram, Sequence[str]]] = {}
    findings: Sequence[Finding] | None = None
    titles: Mapping[str, str] = {}
    candidates: Sequence[Platform] = ()
    hosts: Sequence[HostRow] = ()
    more: Sequence[Html] = ()
    notes: Sequence[str] = ()


def image_page(shown: ImagePage) -> str:
    """The page."""
    report = shown.report
    fills = _fills(report.images)
    sections = [_images(report, fills)]
    sections += sections_of(shown.programs)
    if shown.findings is not None:
        sections.append(_findings(shown))
    if shown.hosts:
        sections.append(_hosts(shown))
    sections += shown.more
    if report.attached or report.referrers:
        sections.append(_attached(report))
    return page(report.place, _lead(shown), sections)


def _lead(shown: ImagePage) -> list[Child]:
    report = shown.report
    texts = [counted(len(report.images), "image"), f"{size_text(report.size)} of layers, each once"]
    alone = sum(row.size for row in report.images)
    if alone > report.size:
        texts.append(f"{size_text(alone - report.size)} shared")
    if shown.findings is not None:
        open_ones = [item.severity.value for item in shown.findings if not item.waived]
        counts = [(word, open_ones.count(word)) for word in ("error", "warning")]
        texts += [counted(number, word) for word, number in counts if number] or ["no errors, no warnings"]
    return [
        tag("p", tag("code", report.digest), class_="soft"),
        tag("p", report.media_type, class_="soft"),
        chips(texts),
        [tag("p", badge("note", "note"), f" {note}") for note in shown.notes],
    ]


def _fills(images: Sequence[ImageRow]) -> dict[str, str]:
    """The same colour for the same layer; bases are grey, unless images share them."""
    fills: dict[str, str] = {}
    used = 0
    for layer in (layer for image in images for layer in image.layers):
        if layer.digest in fills:
            continue
        if layer.of_base and not layer.shared:
            fills[layer.digest] = "fr"
        else:
            fills[layer.digest] = f"f{used % COLOURS}"
            used += 1
    return fills


def _images(report: Inspection, fills: Mapping[str, str]) -> Html:
    drawn = [
        Bar(
            _name(image),
            tuple(
                (layer.size, fills[layer.digest], f"{_about(layer)}: {size_text(layer.size)}") for layer in image.layers
            ),
            size_text(image.size),
        )
        for image in report.images
    ]
    return section(
        "Images and their layers",
        tag("p", "A layer has the same colour wherever it is; the bases' own are grey.", class_="soft"),
        bars(drawn, label="Layers of each image"),
        _layers_table(report, fills),
        [_image(image, opened=len(report.images) == 1) for image in report.images],
        [tag("p", f"Not at hand: {text}", class_="soft") for text in report.missing],
    )


def _name(image: ImageRow) -> str:
    return f"{image.platform} ({image.release})" if image.release else image.platform


def _about(layer: LayerRow) -> str:
    return layer.created_by or ("of the base" if layer.of_base else "a layer")


def _layers_table(report: Inspection, fills: Mapping[str, str]) -> Html:
    holders: dict[str, list[str]] = {}
    layers: dict[str, LayerRow] = {}
    for image in report.images:
        for layer in image.layers:
            layers[layer.digest] = layer
            holders.setdefault(layer.digest, []).append(image.release or image.platform)
    rows = [
        (
            key(fills[digest], tag("code", digest[:_SHORT])),
            Number(size_text(layer.size)),
            "the base's" if layer.of_base else "own",
            ", ".join(dict.fromkeys(holders[digest])),
            tag("span", layer.created_by, class_="soft"),
        )
        for digest, layer in layers.items()
    ]
    heads = ("layer", "stored", "whose", "in the images for", "made by")
    return table(heads, rows, caption="Layers, each once", numbers=(1,))


def _image(image: ImageRow, *, opened: bool) -> Html:
    base = image.base
    about_base: Child = "not known"
    if base is not None:
        age = "" if base.age_days is None else f", {counted(base.age_days, 'day')} old"
        about_base = f"{base.name or base.flavour or base.digest[:_SHORT] or 'one of Microsoft'}{age}"
    items: list[tuple[str, Child]] = [
        ("manifest", tag("code", image.digest)),
        ("starts", tag("code", " ".join(image.start)) if image.start else "nothing"),
        ("as", image.user or "the base's default user"),
        ("in", tag("code", image.working_dir) if image.working_dir else ""),
        ("base", about_base),
        ("on top of it", size_text(image.own_size) if base is not None else ""),
        ("made", image.created),
        ("ports", ", ".join(image.ports)),
        ("features", ", ".join(image.os_features)),
    ]
    named = [
        ("environment", [item.partition("=")[::2] for item in image.environment]),
        ("labels", list(image.labels.items())),
        ("annotations", list(image.annotations.items())),
    ]
    tables = [
        table(
            ("name", "value"),
            [(tag("code", name), value) for name, value in rows],
            caption=f"{what} of {image.platform}",
        )
        for what, rows in named
        if rows
    ]
    summary = [_name(image), " ", tag("span", size_text(image.size), class_="soft")]
    return fold(summary, facts(items, caption=f"The image for {image.platform}"), tables, opened=opened)


def _findings(shown: ImagePage) -> Html:
    found = shown.findings or ()
    return section("Findings", findings(found, shown.titles))


def _hosts(shown: ImagePage) -> Html:
    runtimes = list(
        dict.fromkeys(
            pick.runtime.value if pick.runtime is not None else "any runtime"
            for row in shown.hosts
            for pick in row.picks
        )
    )
    rows = []
    for row in shown.hosts:
        by_runtime = {pick.runtime.value if pick.runtime is not None else "any runtime": pick for pick in row.picks}
        cells: list[Child] = [row.host.name]
        cells += [_pick(by_runtime.get(name) or by_runtime.get("any runtime"), shown.candidates) for name in runtimes]
        rows.append(cells)
    return section(
        "Hosts",
        tag(
            "p",
            "Which image each host takes from the index, by the rules of its runtime, without Hyper-V.",
            class_="soft",
        ),
        table(("host", *runtimes), rows, caption="What each host takes"),
    )


def _pick(pick: Pick | None, candidates: Sequence[Platform]) -> Child:
    from wingo.pipeline.inspecting import release_of

    if pick is None:
        return ""
    if pick.taken is None:
        return badge("no image", "bad")
    taken = candidates[pick.taken]
    name = release_of(taken.os_version) or taken.os_version or f"{taken.os}/{taken.architecture}"
    return badge(name, "good") if pick.starts else badge(f"{name}: does not start", "bad")


def _attached(report: Inspection) -> Html:
    rows = [
        (
            row.kind,
            tag("code", row.digest[:_SHORT]),
            tag("code", row.subject[:_SHORT]),
            Number(size_text(row.size)),
            where,
        )
        for where, found in (("in the index", report.attached), ("in the registry", report.referrers))
        for row in found
    ]
    heads = ("what", "digest", "about", "manifest", "where")
    return section("Attached", table(heads, rows, caption="Attestations, signatures and the like", numbers=(3,)))
