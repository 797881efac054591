"""`wingo plan`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import CHECKS_FAILED, OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.dockerfile_request import Asked

_DESCRIPTION = """\
Says what 'wingo build -f Dockerfile CONTEXT' would do with every instruction, and why: compiled by the local Go, executed
in the sandbox, lowered to edits of files and registry, copied, put into the config, or impossible, with what to write
instead. Nothing is run and nothing is built; bases are asked for their configs where they can be reached.
"""

_EPILOG = """\
examples:
  wingo plan
  wingo plan -f build/Dockerfile.windows . --build-arg VERSION=1.2
  wingo plan -f Dockerfile --platform windows/amd64,linux/amd64 --json

The exit code is 1 when a step is impossible.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo plan`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("context", nargs="?", default=".", metavar="CONTEXT", help="the build context; default: .")
    add_dockerfile(parser)
    parser.add_argument(
        "--platform", action="append", metavar="PLATFORM,…", help="for which platforms; default: as the Dockerfile says"
    )
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def add_dockerfile(parser: argparse.ArgumentParser) -> None:
    """Adds what a Dockerfile can be given."""
    group = parser.add_argument_group("of a Dockerfile")
    group.add_argument("-f", "--file", metavar="FILE", help="the Dockerfile; - is standard input")
    group.add_argument("--target", metavar="STAGE", help="the stage that becomes the image")
    group.add_argument("--build-arg", action="append", metavar="NAME=VALUE", help="a value for an ARG")
    group.add_argument(
        "--build-context",
        action="append",
        metavar="NAME=DIR",
        help="a directory, docker-image://… or oci-layout://… for FROM and --from",
    )
    group.add_argument("--secret", action="append", metavar="id=NAME,src=FILE", help="a secret for RUN --mount")
    group.add_argument(
        "--ssh", action="append", metavar="default|NAME=SOCKET", help="an SSH agent for RUN --mount=type=ssh"
    )
    group.add_argument(
        "--run-windows",
        choices=("wine",),
        help="run Windows programs that are no edits, installers for instance, under Wine, which is not Windows",
    )


def asked_of(args: argparse.Namespace, context: str, platforms: tuple[str, ...]) -> Asked:
    """The flags as a value."""
    from wingo.pipeline.dockerfile_request import Asked

    return Asked(
        file=args.file or "",
        context=context,
        target=args.target or "",
        platforms=platforms,
        build_args=tuple(args.build_arg or ()),
        contexts=tuple(args.build_context or ()),
        secrets=tuple(args.secret or ()),
        ssh=tuple(args.ssh or ()),
        run_windows=args.run_windows or "",
    )


def run(args: argparse.Namespace, host: Host) -> int:
    """Plans and prints."""
    from wingo.dockerfile.report import plan_lines, report_plan
    from wingo.pipeline.dockerfile_planning import plan_request
    from wingo.pipeline.dockerfile_request import read_dockerfile_request
    from wingo.pipeline.places import Places

    settings = settings_of(args, host)
    request = read_dockerfile_request(asked_of(args, args.context, settings.platform), host)
    with Places(host, settings) as places:
        plans = plan_request(request, places)
    reports = tuple(report_plan(plan) for plan in plans)
    if args.json:
        import msgspec

        host.console.result(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode())
    else:
        for report in reports:
            for line in plan_lines(report):
                host.console.result(line)
    return OK if all(report.possible for report in reports) else CHECKS_FAILED
