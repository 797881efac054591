"""What `wingo push`, `wingo pull` and `wingo copy` have in common: they read one place and write others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.oci.place import Place


def add_transfer(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that all three have."""
    parser.add_argument("--platform", metavar="PLATFORM", help="move the image for one platform only")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run_transfer(args: argparse.Namespace, host: Host, source: Place, targets: Sequence[Place]) -> int:
    """Moves, and prints the digest reference, or the place and digest."""
    from wingo.pipeline.places import Places
    from wingo.pipeline.report import as_json
    from wingo.pipeline.transfer import transfer

    platform, args.platform = args.platform or "", None
    settings = settings_of(args, host)
    with Places(host, settings) as places:
        report = transfer(source, targets, platform, places)
    if args.json:
        host.console.result(as_json(report))
        return OK
    for place in report.places:
        host.console.say(f"{host.console.good('wrote')} {place}")
    for reference in report.references or (report.digest,):
        host.console.result(reference)
    return OK
