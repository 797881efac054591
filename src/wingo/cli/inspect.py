"""`wingo inspect`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import settings_of
from wingo.cli.listing import PLACE_HELP, open_places, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wingo.host import Host
    from wingo.pipeline.inspecting import AttachedRow, BaseRow, ImageRow, Inspected, Inspection
    from wingo.pipeline.places import Places
    from wingo.pipeline.settings import Settings

_DESCRIPTION = """\
Shows what is at a place: the images of an index, their layers and which of them they share, the bases that they stand on
and how old these are, and what refers to them. Only documents are fetched.
"""

_EPILOG = """\
examples:
  wingo inspect registry.example/team/app:v1
  wingo inspect oci:out --layers
  wingo inspect registry.example/team/app:v1 --platform ltsc2022 --config
  wingo inspect oci-archive:app.tar --raw | sha256sum
  wingo inspect registry.example/team/app:v1 --html app.html

With --raw the bytes are those of the manifest or index, to the last one.
"""
_HOSTS = (
    *("ltsc2019", "ltsc2022", "10.0.22631", "23H2", "ltsc2025", "10.0.26200"),
    *("linux/amd64", "linux/arm64"),
)
"""The hosts of the page's matrix: every release that Microsoft still serves, and its desktop siblings."""
_SHORT = 19
_MAX_COMMAND = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo inspect`."""
    from wingo.cli.flags import add_output, add_settings

    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("place", metavar="PLACE", help=PLACE_HELP)
    parser.add_argument("--platform", metavar="PLATFORM", help="the image for one platform only")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--layers", action="store_true", help="list every layer with the command that made it")
    shown.add_argument("--config", action="store_true", help="print the image's config")
    shown.add_argument("--raw", action="store_true", help="print the manifest or index as it is")
    shown.add_argument(
        "--html",
        metavar="FILE",
        help="write a page with the layers, the programs by package, findings and hosts; reads the image's own layers",
    )
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Looks, and prints."""
    from wingo.cli.render import printable
    from wingo.pipeline.inspecting import inspect
    from wingo.pipeline.report import as_json

    places, platform = open_places(args, host)
    settings = settings_of(args, host)
    with places:
        if args.raw or args.config:
            return _print_document(args, host, platform, places)
        found = inspect(place_of(args.place), platform, places, host.now())
        report = found.report
        if args.html:
            return _write_page(args, host, found, places, settings)
    for note in report.notes:
        host.console.note(printable(note))
    if args.json:
        host.console.result(as_json(report))
        return OK
    for line in _lines(report, layers=args.layers):
        host.console.result(printable(line))
    return OK


def _write_page(args: argparse.Namespace, host: Host, found: Inspected, places: Places, settings: Settings) -> int:
    """Writes the page: what was inspected, the programs, what `wingo check` says, and what hosts would take."""
    from wingo.cli.html.image_page import HostRow, ImagePage, image_page
    from wingo.cli.html.registry import registry_sections
    from wingo.pipeline.checking import check_artifact, policy_of
    from wingo.pipeline.inspecting import programs_of
    from wingo.pipeline.optimizing import Wanted, analyse_at_hand
    from wingo.pipeline.profiles import load_profiles
    from wingo.pipeline.rulebook import BY_ID
    from wingo.windows.hosts import parse_host, picks

    place = str(place_of(args.place))
    checked = check_artifact(place, found.artifact, places, policy_of(settings), host.now())
    candidates = [image.platform for image in found.images]
    systems = {platform.os for platform in candidates}
    hosts = [parse_host(text) for text in _HOSTS if "windows" in systems or text.startswith("linux")]
    analysed, left_out = analyse_at_hand(found.images, Wanted(load_profiles(["minimal"], host.read_text)), places)
    page = image_page(
        ImagePage(
            report=found.report,
            programs=programs_of(found, places),
            findings=checked.findings,
            titles={number: rule.title for number, rule in BY_ID.items()},
            candidates=candidates,
            hosts=[HostRow(item, tuple(picks(candidates, item))) for item in hosts],
            more=registry_sections(analysed),
            notes=tuple(dict.fromkeys((*found.report.notes, *checked.notes, *left_out))),
        )
    )
    host.write_text(args.html, page)
    host.console.result(host.path(args.html))
    return OK


def _print_document(args: argparse.Namespace, host: Host, platform: str, places: Places) -> int:
    from wingo.cli.render import printable

    place = place_of(args.place)
    if args.raw:
        from wingo.pipeline.transfer import read_platform

        artifact = read_platform(place, platform, places) if platform else places.open(place).read(lambda _: False)
        host.console.result_bytes(artifact.manifest_bytes)
        return OK
    from wingo.pipeline.choosing import one_image

    config = one_image(place, platform, places).config_bytes
    if args.json:
        # As it is: its digest is the image's id.
        host.console.result_bytes(config)
        return OK
    import json

    host.console.result(printable(json.dumps(json.loads(config), indent=2, ensure_ascii=False)))
    return OK


def _lines(report: Inspection, *, layers: bool) -> Iterator[str]:
    from wingo.cli.findings import counted, size_text

    kind = _kind(report)
    yield f"{report.place}"
    yield f"{kind}  {report.digest}"
    if report.images:
        many = len(report.images) > 1
        yield f"{counted(len(report.images), 'image')}, {size_text(report.size)} of layers{_saved(report) if many else ''}"
    items: list[tuple[str, list[str]]] = [(_head(row), list(_image_lines(row, layers=layers))) for row in report.images]
    items += [(_attached_head(row), []) for row in report.attached]
    items += [(f"not at hand: {text}", []) for text in report.missing]
    if report.referrers:
        items.append(("referrers", [_attached_head(row) for row in report.referrers]))
    for number, (head, below) in enumerate(items, 1):
        last = number == len(items)
        yield f"{'└─' if last else '├─'} {head}"
        for line in below:
            yield f"{'   ' if last else '│  '}  {line}".rstrip()


def _kind(report: Inspection) -> str:
    word = "index" if "index" in report.media_type or "list" in report.media_type else "manifest"
    family = "Docker" if "docker" in report.media_type else "OCI"
    return f"{family} {word}"


def _saved(report: Inspection) -> str:
    from wingo.cli.findings import size_text

    saved = sum(row.size for row in report.images) - report.size
    return f", each layer once ({size_text(saved)} are shared)" if saved else ", nothing shared"


def _head(row: ImageRow) -> str:
    from wingo.cli.findings import size_text

    release = f" ({row.release})" if row.release else ""
    return f"{row.platform}{release}  {row.digest[:_SHORT]}  {size_text(row.size)}"


def _attached_head(row: AttachedRow) -> str:
    from wingo.cli.findings import size_text

    subject = f" of {row.subject[:_SHORT]}" if row.subject else ""
    return f"{row.kind}{subject}  {row.digest[:_SHORT]}  {size_text(row.size)}"


def _image_lines(row: ImageRow, *, layers: bool) -> Iterator[str]:
    from wingo.cli.findings import counted, size_text

    if row.start:
        yield f"starts  {_command(row.start)}" + (f"  as {row.user}" if row.user else "")
    base = _base_text(row.base)
    if base:
        yield f"base    {base}"
    shared = [layer for layer in row.layers if layer.shared]
    text = f"layers  {len(row.layers)}"
    if row.base is not None:
        text += f", {row.base.layers} of the base; {size_text(row.own_size)} on top"
    if shared:
        text += f"; {len(shared)} ({size_text(sum(layer.size for layer in shared))}) shared with other images here"
    yield text
    if layers:
        for number, layer in enumerate(row.layers, 1):
            mark = "base" if layer.of_base else "    "
            also = f"  in {counted(layer.shared, 'other image')}" if layer.shared else ""
            line = f"{number:>3}  {layer.digest[:_SHORT]}  {size_text(layer.size):>9}  {mark}"
            yield f"{line}  {_cut(layer.created_by)}{also}"
            yield f"     diff_id {layer.diff_id}"


def _base_text(base: BaseRow | None) -> str:
    from wingo.cli.findings import counted

    if base is None:
        return ""
    name = base.name or (f"one of Microsoft's ({base.how})" if base.how == "history" else base.digest[:_SHORT])
    age = "" if base.age_days is None else f", {counted(base.age_days, 'day')} old"
    return f"{name}{age}"


def _command(words: tuple[str, ...]) -> str:
    return _cut(" ".join(f'"{word}"' if not word or " " in word else word for word in words))


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MAX_COMMAND else plain[: _MAX_COMMAND - 1] + "…"
