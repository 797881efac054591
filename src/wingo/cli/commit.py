"""`wingo commit`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Makes an image of a container: the image that it was started from, with what it has written as one more layer on top. Of a
container that runs, the files are taken as they are at the moment.
"""

_EPILOG = """\
examples:
  wingo commit app oci:out:changed
  wingo commit app registry.example/team/app:changed -e DATA=/data
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo commit`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument(
        "places", nargs="+", metavar="PLACE", help="where the image goes: a registry's reference or a local place"
    )
    parser.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of the new image"
    )
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Makes and writes it, and prints its digest."""
    from wingo.oci.place import parse_place
    from wingo.pipeline.commit import commit
    from wingo.pipeline.places import Places
    from wingo.pipeline.report import as_json

    targets = [parse_place(place, default_tag="latest") for place in args.places]
    epoch = host.environment.get("SOURCE_DATE_EPOCH", "")
    time = int(epoch) if epoch.isdigit() else int(host.now())
    with Places(host, settings_of(args, host)) as places:
        report = commit(args.name, targets, args.env, places, host.containers, time)
    if args.json:
        host.console.result(as_json(report))
        return OK
    host.console.say(f"{report.entries} entries in the new layer {host.console.dim(report.layer[7:19])}")
    for place in report.places:
        host.console.say(f"{host.console.good('wrote')} {place}")
    for reference in report.references or (report.digest,):
        host.console.result(reference)
    return OK
