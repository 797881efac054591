"""`wingo bench`."""

from __future__ import annotations

import argparse
import tempfile
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wingo.host import Host
    from wingo.launch.machine import Machine
    from wingo.pipeline.bench import Bench, BenchReport, Candidate
    from wingo.pipeline.settings import Settings

_DESCRIPTION = """\
Measures images side by side, here: what is downloaded, what it takes on the disk, how long a start takes until the program is
ready, and what it uses by then. With --variants it builds the program itself, in the ways that are usually compared.
"""

_EPILOG = """\
examples:
  wingo bench oci:full oci:slim --ready http://:8080/healthz --html bench.html
  wingo bench --variants ./cmd/server --base debian=oci:debian --ready tcp:8080
  wingo bench --variants . --platform ltsc2022 --base nanoserver=oci:nano --base servercore=oci:core
  wingo bench --advise

Times are of this machine: compare rows of one table, not tables. The median is of --runs starts after a first one, which
unpacks. Memory is each process's largest resident set, added up. A Windows image is started through Wine.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo bench`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument(
        "places", metavar="PLACE", nargs="*", help="images; with --variants: what to build, by default ."
    )
    parser.add_argument("--variants", action="store_true", help="build a program in several ways and measure those")
    parser.add_argument(
        "--advise", action="store_true", help="advice for Go programs from what is found and measured here"
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--platform",
        action="append",
        metavar="PLATFORM,…",
        help="the images of an index; default: what 'wingo run' takes",
    )
    what.add_argument(
        "--base",
        action="append",
        default=[],
        metavar="[NAME=]BASE",
        help="for --variants: one more base, and its name in the table; on Windows in place of nanoserver and servercore",
    )
    what.add_argument(
        "--args", action="append", default=[], metavar="ARG", help="an argument in the place of the image's Cmd"
    )
    what.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of the program"
    )
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--ready",
        default="",
        metavar="WHEN",
        help="http://:PORT/PATH, tcp:PORT or stdout:PATTERN; default: its first output, or its end",
    )
    how.add_argument("--runs", metavar="N", default="5", help="starts that the median is of; default 5")
    how.add_argument("--timeout", metavar="TIME", default="60s", help="the longest that a start may take; default 60s")
    parser.add_argument("--html", metavar="FILE", help="write a page with a chart, too")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Measures, and prints a table in Markdown."""
    from wingo.errors import RequestError

    platforms = [name for item in args.platform or [] for name in item.split(",") if name]
    args.platform = None
    if args.advise:
        if args.places or args.variants:
            raise RequestError(
                "--advise looks at this place, not at images", hint="Use it alone: wingo bench --advise."
            )
        return _advise(args, host)
    if not args.places and not args.variants:
        raise RequestError("nothing to measure", hint="Name images, or build some: wingo bench --variants.")
    if args.base and not args.variants:
        raise RequestError("--base is for --variants", hint="Name the image itself: wingo bench PLACE.")
    if args.html and not host.is_directory(host.folder_of(args.html)):
        raise RequestError(
            f"--html {args.html}: there is no directory {host.folder_of(args.html)}",
            hint="Choose a place that you may write.",
        )
    machine = host.machine
    bench = _bench(args)
    bases, args.base = args.base, None
    if not args.variants:
        settings = settings_of(args, host)
        report = _measure(_candidates(args.places, platforms), bench, settings, host, machine)
    else:
        with tempfile.TemporaryDirectory(prefix="wingo-bench-") as folder:
            report = _variants(args, bench, bases, platforms, host, machine, folder)
    _print(args, host, report)
    return OK


def _runs(text: str) -> int:
    from wingo.errors import RequestError
    from wingo.launch.spec import parse_count

    runs = parse_count(text, "--runs")
    if runs < 1:
        raise RequestError("--runs 0: nothing would be measured", hint="Write --runs 1 or more; the default is 5.")
    return runs


def _bench(args: argparse.Namespace) -> Bench:
    from wingo.launch.spec import RunRequest, parse_duration
    from wingo.pipeline.bench import Bench, parse_ready

    return Bench(
        RunRequest(args=tuple(args.args), env=tuple(args.env)),
        parse_ready(args.ready),
        _runs(args.runs),
        parse_duration(args.timeout, "--timeout"),
        tolerant=args.variants,
    )


def _candidates(places: Sequence[str], platforms: Sequence[str]) -> list[Candidate]:
    from wingo.oci.place import parse_place
    from wingo.pipeline.bench import Candidate

    found: list[Candidate] = []
    for text in places:
        place = parse_place(text, default_tag="latest")
        found += [
            Candidate(f"{text} ({platform})" if platform else text, place, platform) for platform in platforms or [""]
        ]
    return found


def _variants(
    args: argparse.Namespace,
    bench: Bench,
    bases: Sequence[str],
    platforms: Sequence[str],
    host: Host,
    machine: Machine,
    folder: str,
) -> BenchReport:
    import msgspec

    from wingo.errors import ChecksFailed, RemoteError, RequestError
    from wingo.oci.place import parse_place
    from wingo.pipeline.bench import Candidate
    from wingo.pipeline.bench_variants import parse_bases, plan_variants
    from wingo.pipeline.build import build
    from wingo.pipeline.request import read_request

    targets = tuple(args.places) or (".",)
    if len(targets) > 1:
        raise RequestError("--variants builds one program", hint="Name one: wingo bench --variants ./cmd/server.")
    start = next((target for target in targets if host.is_directory(target)), "")
    cgo = host.has_program("cc") or host.has_program("gcc")
    named = parse_bases(bases)
    candidates: list[Candidate] = []
    notes: list[str] = []
    for platform in platforms or [f"linux/{machine.architecture}"]:
        for variant in plan_variants(platform, named, cgo=cgo):
            place = f"oci:{folder}/{len(candidates)}"
            name = f"{variant.name} ({platform})" if len(platforms) > 1 else variant.name
            flags = argparse.Namespace(**{**vars(args), **variant.flags, "output": [place]})
            settings = settings_of(flags, host, start)
            try:
                host.console.say(f"building {name}")
                build(read_request(targets, settings, host), host)
            except (RemoteError, ChecksFailed) as error:
                # A base that cannot be had is no reason to measure nothing.
                notes.append(f"{name} is left out: {error}")
                continue
            candidates.append(Candidate(name, parse_place(place)))
    if not candidates:
        raise RequestError("no variant could be built", hint=notes[0] if notes else "")
    report = _measure(candidates, bench, settings_of(args, host), host, machine)
    if not cgo:
        notes.append("dynamic variants are left out: there is no C compiler")
    return msgspec.structs.replace(report, notes=(*report.notes, *notes))


def _measure(
    candidates: Sequence[Candidate], bench: Bench, settings: Settings, host: Host, machine: Machine
) -> BenchReport:
    from wingo.pipeline.bench import World, measure
    from wingo.pipeline.places import Places

    with Places(host, settings) as places:
        world = World(places, machine, host.containers, host.runner, host.now)
        return measure(
            candidates, bench, world, host.console.say, f"linux/{machine.architecture}, {host.processors} processor(s)"
        )


def _print(args: argparse.Namespace, host: Host, report: BenchReport) -> None:
    from wingo.pipeline.report import as_json

    if args.html:
        from wingo.cli.html.bench_page import bench_page

        host.write_text(args.html, bench_page(report))
        host.console.say(f"wrote {host.path(args.html)}")
    if args.json:
        host.console.result(as_json(report))
        return
    for line in markdown(report):
        host.console.result(line)
    for note in report.notes:
        host.console.note(note)


HEADS = ("image", "download", "on disk", "layers", "first start", "start", "peak memory", "CPU until ready")


def markdown(report: BenchReport) -> list[str]:
    """The table, and what is to be said of it."""
    from wingo.cli.render import printable

    rows = [[printable(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in cells(report)]
    lines = [f"| {' | '.join(HEADS)} |", f"| --- |{' ---: |' * (len(HEADS) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    ready = report.ready
    when = {
        "output": "its first output",
        "http": f"its first answer to GET :{ready.port or 'PORT'}{ready.path}",
        "tcp": f"a connection to port {ready.port or 'PORT'}",
        "stdout": f"an output that matches {ready.pattern}",
    }[ready.kind]
    lines += [
        "",
        f"Median of {report.runs} {'start' if report.runs == 1 else 'starts'} (lowest to highest), until {when}; {report.machine}.",
    ]
    for row in report.rows:
        lines += [f"- {printable(row.name)}: {printable(note)}".replace("\n", " ") for note in row.notes]
    return lines


def cells(report: BenchReport) -> list[list[str]]:
    """The table's texts, row by row."""
    from wingo.cli.findings import size_text

    found = []
    for row in report.rows:
        start, memory, cpu = row.start, row.memory, row.cpu
        found.append(
            [
                row.name,
                size_text(row.download),
                "not at hand" if row.disk is None else size_text(row.disk),
                f"{row.layers} ({row.base_layers} of the base)" if row.base_layers else str(row.layers),
                "-" if row.first is None else seconds_text(row.first),
                "-"
                if start is None
                else f"{seconds_text(start.median)} ({seconds_text(start.low)} to {seconds_text(start.high)})",
                "-" if memory is None else size_text(int(memory.median)),
                "-" if cpu is None else seconds_text(cpu.median),
            ]
        )
    return found


def seconds_text(seconds: float) -> str:
    """A time for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _advise(args: argparse.Namespace, host: Host) -> int:
    from wingo.launch.surroundings import look_around
    from wingo.pipeline.advice import advise

    # Its facts are read where Linux has them.
    _ = host.machine
    found = look_around(host.directory, dict(host.environment))
    advice = advise(found)
    if args.json:
        import msgspec

        document = {"facts": msgspec.to_builtins(found), "advice": msgspec.to_builtins(advice)}
        host.console.result(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        return OK
    for each in advice:
        host.console.result(f"{each.topic}: {each.text}")
        if each.setting:
            host.console.result(f"  {each.setting}")
        host.console.result(f"  {host.console.dim(each.fact)}")
    return OK
