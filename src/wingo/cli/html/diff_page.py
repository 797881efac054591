"""The page of `wingo diff --html`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.cli.findings import counted, size_text
from wingo.cli.html.markup import Child, Html, page, tag
from wingo.cli.html.parts import Bar, Number, badge, bars, changes, chips, fold, section, table

if TYPE_CHECKING:
    from wingo.pipeline.comparing import Changed, Difference, FileRow, FileState, ImageDifference, ProgramRow

_PACKAGES = 25
_SHORT = 19
_MANY = 40


def diff_page(report: Difference, more: Sequence[Html] = ()) -> str:
    """The page.

    Args:
        report: of `wingo diff`.
        more: further sections, of other commands.
    """
    lead = [
        tag(
            "p", badge("A", "note"), " ", report.before, " ", tag("code", report.digest_before[:_SHORT], class_="soft")
        ),
        tag("p", badge("B", "note"), " ", report.after, " ", tag("code", report.digest_after[:_SHORT], class_="soft")),
        chips(_chips(report)),
    ]
    programs = [program for image in report.images for program in image.programs]
    sections = [_sizes(report)] if report.images else []
    told: dict[tuple[Changed, ...], str] = {}
    for number, image in enumerate(report.images, 1):
        sections.append(_image(image, number, told.setdefault(image.config, image.platform)))
    sections += [_program(program, number) for number, program in enumerate(programs, 1)]
    return page("What differs", lead, [*sections, *more])


def _chips(report: Difference) -> list[str]:
    texts = [counted(len(report.images), "platform") + " in both"]
    texts += [f"{name} in A alone" for name in report.removed]
    texts += [f"{name} in B alone" for name in report.added]
    if report.digest_before == report.digest_after:
        texts.append("they are the same")
    return texts


def delta_text(delta: int) -> str:
    """A difference in bytes with its sign."""
    sign = "+" if delta >= 0 else "\N{MINUS SIGN}"
    return sign + size_text(abs(delta))


def _sizes(report: Difference) -> Html:
    drawn: list[Bar] = []
    rows: list[list[Child | Number]] = []
    for image in report.images:
        same = sum(layer.size for layer in image.layers if layer.change == "same")
        gone = sum(layer.size for layer in image.layers if layer.change == "removed")
        come = sum(layer.size for layer in image.layers if layer.change == "added")
        for name, own, fill, total in (("A", gone, "f4", image.size_before), ("B", come, "f2", image.size_after)):
            parts = ((same, "fr", f"in both: {size_text(same)}"), (own, fill, f"in {name} alone: {size_text(own)}"))
            drawn.append(Bar(f"{name}  {image.platform}", parts, size_text(total)))
        sizes = (Number(size_text(size)) for size in (same, gone, come))
        rows.append([image.platform, *sizes, Number(delta_text(image.size_after - image.size_before))])
    heads = ("image", "layers in both", "in A alone", "in B alone", "change")
    return section(
        "Layers",
        bars(drawn, label="Layers of both images: those in both, and those in one alone"),
        table(heads, rows, caption="Stored bytes of layers", numbers=(1, 2, 3, 4)),
    )


def _image(image: ImageDifference, number: int, config_as: str) -> Html:
    pieces: list[Child] = [tag("p", badge("note", "note"), f" {note}") for note in image.notes]
    if not image.differs:
        pieces.append(tag("p", "Nothing differs."))
    if image.config and config_as != image.platform:
        pieces.append(tag("p", f"The config differs as for {config_as}.", class_="soft"))
    elif image.config:
        pieces += [tag("h3", "Config"), _changed(image.config, f"Config of {image.platform}")]
    if image.same_files_as:
        pieces.append(tag("p", f"The files differ as for {image.same_files_as}.", class_="soft"))
    elif image.files:
        made = _files(image.files, f"Files of {image.platform}")
        pieces.append(tag("h3", f"{counted(len(image.files), 'file')} differ" + ("s" if len(image.files) == 1 else "")))
        pieces.append(made if len(image.files) <= _MANY else fold("List them", made))
    return section(image.platform, *pieces, name=f"image-{number}")


def _changed(items: Sequence[Changed], caption: str) -> Html:
    rows = [(tag("code", item.name), _value(item.before), _value(item.after)) for item in items]
    return table(("what", "A", "B"), rows, caption=caption)


def _value(text: str | None) -> Html:
    return tag("span", "none", class_="soft") if text is None else tag("code", text)


def _files(items: Sequence[FileRow], caption: str) -> Html:
    rows = []
    for item in items:
        before, after = item.before, item.after
        sizes = (_size(before), _size(after))
        path: Child = tag("code", item.path)
        if before is not None and before.path:
            path = [tag("code", before.path), " → ", path]
        rows.append((path, _what(item), *sizes))
    return table(("file", "what", "A", "B"), rows, caption=caption, numbers=(2, 3))


def _what(item: FileRow) -> Child:
    if item.before is None:
        return badge("added", "good")
    if item.after is None:
        return badge("removed", "bad")
    return ", ".join(item.what)


def _size(state: FileState | None) -> Number:
    if state is None:
        return Number("")
    return Number(size_text(state.size) if state.kind == "file" else state.kind)


def _program(program: ProgramRow, number: int) -> Html:
    before, after = program.before, program.after
    pieces: list[Child] = []
    if before is None or after is None:
        only = before or after
        where = "B" if before is None else "A"
        about = f"{only.package}, {only.go_version}, {size_text(only.size)}" if only is not None else ""
        pieces.append(tag("p", f"It is in {where} alone: {about}."))
    else:
        size = f"{size_text(before.size)} → {size_text(after.size)}, {delta_text(after.size - before.size)}."
        moved = (
            [tag("code", program.path_before), " → ", tag("code", program.path), ": "] if program.path_before else None
        )
        pieces.append(tag("p", moved, size))
        if program.facts:
            pieces.append(_changed(program.facts, f"How {program.path} was built"))
        if program.modules:
            pieces += [tag("h3", "Modules"), _changed(program.modules, f"Modules of {program.path}")]
        if program.packages:
            pieces += _packages(program)
    return section(f"Program {program.path}", *pieces, name=f"program-{number}")


def _packages(program: ProgramRow) -> list[Child]:
    shown = [
        (item.package or "(none)", item.after - item.before, delta_text(item.after - item.before))
        for item in program.packages[:_PACKAGES]
    ]
    rows = [
        (
            tag("code", item.package or "(none)"),
            Number(size_text(item.before) if item.before else ""),
            Number(size_text(item.after) if item.after else ""),
            Number(delta_text(item.after - item.before)),
        )
        for item in program.packages
    ]
    made = table(("package", "A", "B", "change"), rows, caption=f"Code of {program.path} by package", numbers=(1, 2, 3))
    return [
        tag("h3", "Code by package"),
        changes(shown, label=f"Packages of {program.path} whose code has another size"),
        fold(f"All {len(rows)} packages", made),
    ]
