"""`wingo diff`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.listing import PLACE_HELP, add_image, open_places, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wingo.host import Host
    from wingo.pipeline.comparing import Changed, Difference, FileRow, FileState, ImageDifference, ProgramRow

_DESCRIPTION = """\
Tells what differs between two images, or between the images of two indexes for each platform that both have: the config,
the layers, the files, and of Go programs the modules, their versions and the code that each package brings. Times do not
count.
"""

_EPILOG = """\
examples:
  wingo diff registry.example/team/app:v1 registry.example/team/app:v2
  wingo diff registry.example/team/app:v1 oci:out --platform ltsc2022
  wingo diff oci:out oci:other --json
  wingo diff oci:out oci:other --html changes.html

Bases in a registry are not fetched: --with-base reads their files too.
"""
_LISTED = 40
_PACKAGES = 12
_LONG = 120


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo diff`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("before", metavar="A", help=PLACE_HELP)
    parser.add_argument("after", metavar="B", help="the same")
    parser.add_argument("--all", action="store_true", help="list every file and package, however many differ")
    parser.add_argument("--html", metavar="FILE", help="write a page instead")
    add_image(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Compares, and prints what differs."""
    from wingo.cli.render import printable
    from wingo.pipeline.comparing import compare
    from wingo.pipeline.report import as_json

    places, platform = open_places(args, host)
    before, after = place_of(args.before), place_of(args.after)
    with places:
        report = compare(before, after, platform, places, with_base=args.with_base)
    if args.html:
        from wingo.cli.html.diff_page import diff_page

        host.write_text(args.html, diff_page(report))
        host.console.result(host.path(args.html))
        return OK
    if args.json:
        host.console.result(as_json(report))
        return OK
    for note in dict.fromkeys(note for image in report.images for note in image.notes):
        host.console.note(printable(note))
    for line in _lines(report, everything=args.all):
        host.console.result(printable(line))
    return OK


def _lines(report: Difference, *, everything: bool) -> Iterator[str]:
    yield f"A  {report.before}  {report.digest_before}"
    yield f"B  {report.after}  {report.digest_after}"
    if report.digest_before == report.digest_after:
        yield "they are the same"
        return
    for platform in report.removed:
        yield f"- {platform} is in A alone"
    for platform in report.added:
        yield f"+ {platform} is in B alone"
    told: dict[tuple[Changed, ...], str] = {}
    for image in report.images:
        yield ""
        yield from _image_lines(image, told.setdefault(image.config, image.platform), everything=everything)


def _image_lines(image: ImageDifference, config_as: str, *, everything: bool) -> Iterator[str]:
    yield f"{image.platform}  {_sizes(image.size_before, image.size_after)}"
    if not image.differs:
        yield (
            "  nothing differs"
            if image.before == image.after
            else "  nothing differs but times and the documents' bytes"
        )
        return
    if image.config and config_as != image.platform:
        yield f"  config: as for {config_as}"
    elif image.config:
        yield "  config"
        yield from (f"    {_changed(item)}" for item in image.config)
    yield "  layers"
    yield from _layer_lines(image)
    if image.same_files_as:
        yield f"  files: as for {image.same_files_as}"
    elif image.files:
        yield "  files"
        shown = image.files if everything else image.files[:_LISTED]
        yield from (f"    {_file(item)}" for item in shown)
        yield from _more(len(image.files) - len(shown))
    for program in image.programs:
        yield from _program_lines(program, everything=everything)


def _layer_lines(image: ImageDifference) -> Iterator[str]:
    from wingo.cli.findings import counted, size_text

    same = [layer for layer in image.layers if layer.change == "same"]
    if same:
        yield f"    = {counted(len(same), 'layer')}, {size_text(sum(layer.size for layer in same))}"
    for layer in image.layers:
        if layer.change != "same":
            sign = "-" if layer.change == "removed" else "+"
            base = "  of the base" if layer.of_base else ""
            yield f"    {sign} {layer.digest[:19]}  {size_text(layer.size)}{base}"


def _sizes(before: int, after: int) -> str:
    from wingo.cli.findings import size_text

    if before == after:
        return size_text(after)
    return f"{size_text(before)} → {size_text(after)} ({delta_text(after - before)})"


def delta_text(delta: int) -> str:
    """A difference in bytes with its sign."""
    from wingo.cli.findings import size_text

    return f"{'+' if delta >= 0 else '-'}{size_text(abs(delta))}"


def _changed(item: Changed) -> str:
    if item.before is None:
        return f"+ {item.name}  {_cut(item.after or '')}"
    if item.after is None:
        return f"- {item.name}  {_cut(item.before)}"
    return f"~ {item.name}  {_cut(item.before)} → {_cut(item.after)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def _file(item: FileRow) -> str:
    from wingo.cli.findings import size_text

    before, after = item.before, item.after
    if before is None:
        return f"+ {item.path}{_about(after)}"
    if after is None:
        return f"- {item.path}{_about(before)}"
    if item.what == ("moved",):
        return f"> {before.path} → {item.path}"
    text = f"~ {item.path}  {', '.join(item.what)}"
    if "content" in item.what:
        text += f": {size_text(before.size)} → {size_text(after.size)}"
    if "mode" in item.what:
        text += f": {before.mode} → {after.mode}"
    if "owner" in item.what:
        text += f": {before.owner} → {after.owner}"
    if "link" in item.what:
        text += f": {before.link_target} → {after.link_target}"
    if "kind" in item.what:
        text += f": {before.kind} → {after.kind}"
    return text


def _about(state: FileState | None) -> str:
    from wingo.cli.findings import size_text

    if state is None or state.kind == "directory":
        return "/"
    if state.kind == "of the base":
        return "  (of the base)"
    return f"  {size_text(state.size)}" if state.kind == "file" else f"  {state.kind}"


def _program_lines(program: ProgramRow, *, everything: bool) -> Iterator[str]:
    from wingo.cli.findings import size_text

    before, after = program.before, program.after
    if before is None or after is None:
        only = before or after
        assert only is not None
        yield f"  {'+' if before is None else '-'} {program.path}: {only.package}, {only.go_version}, {size_text(only.size)}"
        return
    name = f"{program.path_before} → {program.path}" if program.path_before else program.path
    yield f"  {name}  {_sizes(before.size, after.size)}"
    yield from (f"    {_changed(item)}" for item in program.facts)
    if program.modules:
        yield "    modules"
        yield from (f"      {_changed(item)}" for item in program.modules)
    if program.packages:
        yield f"    code by package  {_sizes(sum(before.code.values()), sum(after.code.values()))}"
        shown = program.packages if everything else program.packages[:_PACKAGES]
        for package in shown:
            change = delta_text(package.after - package.before)
            yield f"      {change:>11}  {package.package or '(the compiler)'}"
        yield from _more(len(program.packages) - len(shown))


def _more(count: int) -> Sequence[str]:
    return [f"      … and {count} more; --all lists them"] if count > 0 else []
