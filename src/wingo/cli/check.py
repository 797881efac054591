"""`wingo check`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import CHECKS_FAILED, OK
from wingo.cli.flags import add_output, add_settings, settings_of
from wingo.cli.plan import add_dockerfile, asked_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wingo.binary.buildinfo import BuildInfo
    from wingo.check.demands import Demands
    from wingo.host import Host
    from wingo.pipeline.checking import CheckReport, PlaceReport
    from wingo.pipeline.settings import Settings
    from wingo.windows.hosts import HostProfile

_DESCRIPTION = """\
Finds what would fail on a node, before anything is pushed: layers that cannot be imported, a program that does not start,
an index from which hosts pick the wrong image. Images of any tool are looked at; nothing of them is run. Of an image in a
registry, only the documents and the layers above its base are fetched. With -f, a Dockerfile is looked at, and PLACE is its
build context.
"""

_EPILOG = """\
examples:
  wingo check registry.example/team/app:v1
  wingo check oci:out docker-archive:app.tar --sarif > findings.sarif
  wingo check registry.example/team/app:v1 --ignore WGO183 --json
  wingo check registry.example/team/app:v1 --host 10.0.17763 --host 10.0.26100
  wingo check -f Dockerfile . --build-arg VERSION=1
  wingo check --explain WGO105

The exit code is 1 when there are errors. Severities and waivers stand in the [check] table of wingo.toml.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo check`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument(
        "places", nargs="*", metavar="PLACE", help="a reference, oci:DIR, oci-archive:FILE, docker-archive:FILE"
    )
    parser.add_argument("--platform", metavar="PLATFORM", help="look at the image for one platform only")
    parser.add_argument(
        "--base-files", action="store_true", help="look at the base's files too, and fetch them if need be"
    )
    group = parser.add_argument_group("hosts")
    group.add_argument(
        "--host", action="append", metavar="HOST", help="which image this host takes: 10.0.17763, ltsc2022, linux/arm64"
    )
    group.add_argument(
        "--hosts", metavar="FILE", help="the same for a cluster: the output of kubectl get nodes -o json"
    )
    group = parser.add_argument_group("rules")
    group.add_argument("--ignore", action="append", metavar="RULE,…", help="do not ask these rules")
    group.add_argument(
        "--vuln-db", metavar="PATH", help="a copy of Go's vulnerability database: vulndb.zip or its directory"
    )
    group.add_argument(
        "--sources", action="append", metavar="TARGET", help="the programs' sources, ./cmd/app, for the ways of imports"
    )
    group.add_argument("--rules", action="store_true", help="list the rules")
    group.add_argument(
        "--explain", metavar="RULE", help="print what a rule is about, with an example and how to mend it"
    )
    add_dockerfile(parser)
    add_settings(parser, everywhere_only=True)
    add_output(parser)
    formats = next(item for item in parser._action_groups if item.title == "what is printed")  # noqa: SLF001
    formats.add_argument("--sarif", action="store_true", help="print the findings as SARIF 2.1.0")
    formats.add_argument("--waived", action="store_true", help="show what is waived too")


def run(args: argparse.Namespace, host: Host) -> int:
    """Looks, and prints what was found."""
    from wingo.errors import RequestError

    if args.rules or args.explain:
        return _about_rules(args, host)
    if not args.places and not args.file:
        raise RequestError("nothing to check was named", hint="Name a reference, or a place such as oci:out.")
    if args.json and args.sarif:
        raise RequestError("--json and --sarif are two formats", hint="Choose one.")
    platform, args.platform = args.platform or "", None
    ignore = [word.strip() for item in args.ignore or () for word in item.split(",") if word.strip()]
    settings = settings_of(args, host)
    report = (
        _of_dockerfile(args, platform, ignore, settings, host)
        if args.file
        else _checked(
            args.places,
            platform,
            ignore,
            settings,
            host,
            _hosts(args, host),
            args.sources or [],
            all_files=args.base_files,
        )
    )
    if args.sarif:
        from wingo.check.sarif import to_sarif
        from wingo.pipeline.rulebook import BY_ID
        from wingo.version import VERSION

        findings = [finding for place in report.places for finding in place.findings]
        host.console.result(to_sarif(findings, BY_ID, VERSION))
    elif args.json:
        from wingo.pipeline.report import as_json

        host.console.result(as_json(report))
    else:
        _show(report, host, waived=args.waived)
    return CHECKS_FAILED if report.errors else OK


def _of_dockerfile(
    args: argparse.Namespace, platform: str, ignore: list[str], settings: Settings, host: Host
) -> CheckReport:
    from wingo.errors import RequestError
    from wingo.pipeline.checking import policy_of, report_of
    from wingo.pipeline.dockerfile_checking import check_dockerfile
    from wingo.pipeline.dockerfile_request import read_dockerfile_request
    from wingo.pipeline.places import Places

    if len(args.places) > 1:
        raise RequestError(f"a Dockerfile has one build context, not {len(args.places)}", hint="Name one directory.")
    asked = asked_of(args, args.places[0] if args.places else ".", tuple(platform.split(",")) if platform else ())
    request = read_dockerfile_request(asked, host)
    with Places(host, settings) as places:
        return report_of([check_dockerfile(request, places, policy_of(settings, ignore), host.now())])


def _hosts(args: argparse.Namespace, host: Host) -> tuple[HostProfile, ...]:
    if not args.host and not args.hosts:
        return ()
    from wingo.windows.hosts import MAX_NODES_BYTES, parse_host, read_nodes

    named = [parse_host(word) for item in args.host or () for word in item.split(",") if word.strip()]
    if args.hosts:
        named += read_nodes(host.read_bytes(args.hosts, MAX_NODES_BYTES))
    return tuple(named)


def _checked(
    texts: list[str],
    platform: str,
    ignore: list[str],
    settings: Settings,
    host: Host,
    hosts: tuple[HostProfile, ...],
    sources: list[str],
    *,
    all_files: bool,
) -> CheckReport:
    from wingo.errors import RequestError
    from wingo.oci.place import PlaceKind, parse_place
    from wingo.pipeline.checking import BaseFiles, check_artifact, policy_of, report_of
    from wingo.pipeline.demanding import demands_of, with_sources
    from wingo.pipeline.places import Places
    from wingo.pipeline.transfer import read_platform
    from wingo.stores.reading import readable

    policy = policy_of(settings, ignore)
    demands = demands_of(settings, host.directory)
    base_files = BaseFiles.ALL if all_files else BaseFiles.AT_HAND
    reports: list[PlaceReport] = []

    def ways(demands: Demands, programs: Sequence[BuildInfo]) -> Demands:
        return with_sources(demands, programs, sources, host)

    with Places(host, settings) as places:
        for text in texts:
            place = parse_place(text, default_tag="latest")
            if place.kind is PlaceKind.REGISTRY and host.is_directory(text):
                raise RequestError(f"{text} is a directory", hint=f"Write oci:{text} for an OCI layout.")
            artifact = read_platform(place, platform, places, wanted=readable)
            report = check_artifact(
                text, artifact, places, policy, host.now(), hosts, demands, ways=ways, base_files=base_files
            )
            reports.append(report)
    return report_of(reports)


def _show(report: CheckReport, host: Host, *, waived: bool) -> None:
    from wingo.cli.findings import host_lines, lines_of, skipped_lines, summary
    from wingo.cli.render import printable
    from wingo.pipeline.rulebook import BY_ID

    console = host.console
    for place in report.places:
        for note in place.notes:
            console.note(printable(note))
        shown = [finding for finding in place.findings if waived or not finding.waived]
        if shown and len(report.places) > 1:
            console.result(f"{printable(place.place)}\n")
        for line in lines_of(shown, BY_ID, platforms=place.platforms, waived=waived, paint=console.severity):
            console.result(line)
        for line in host_lines(place):
            console.result(line)
    for line in skipped_lines(report):
        console.say(console.dim(line))
    console.say(summary(report))


def _about_rules(args: argparse.Namespace, host: Host) -> int:
    from wingo.check.policy import check_rules
    from wingo.cli.findings import page_of
    from wingo.pipeline.rulebook import ALL_RULES, BY_ID

    if args.explain:
        check_rules([args.explain], BY_ID, "--explain")
        host.console.result("\n".join(page_of(BY_ID[args.explain])))
        return OK
    if args.json:
        import json

        listed = [
            {"rule": rule.id, "severity": rule.severity.value, "group": rule.group.value, "title": rule.title}
            for rule in ALL_RULES
        ]
        host.console.result(json.dumps(listed, indent=2))
        return OK
    for rule in ALL_RULES:
        host.console.result(f"{rule.id}  {rule.severity.value:<8} {rule.title}")
    return OK
