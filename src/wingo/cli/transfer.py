"""What `wingo push`, `wingo pull` and `wingo copy` have in common: they read one place and write others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.findings import say_warnings
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.image.model import Image, Index
    from wingo.oci.place import Place
    from wingo.pipeline.places import Places
    from wingo.pipeline.settings import Settings


def add_transfer(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that all three have."""
    parser.add_argument("--platform", metavar="PLATFORM", help="move the image for one platform only")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run_transfer(
    args: argparse.Namespace, host: Host, source: Place, targets: Sequence[Place], *, check: bool = False
) -> int:
    """Moves, and prints the digest reference, or the place and digest; with `check`, looks first for what would fail."""
    from wingo.pipeline.places import Places
    from wingo.pipeline.report import as_json
    from wingo.pipeline.transfer import transfer

    platform, args.platform = args.platform or "", None
    settings = settings_of(args, host)
    with Places(host, settings) as places:
        look = _looks(settings, places, host) if check and not settings.no_check else None
        report = transfer(source, targets, platform, places, look)
    if args.json:
        host.console.result(as_json(report))
        return OK
    for place in report.places:
        host.console.say(f"{host.console.good('wrote')} {place}")
    for reference in report.references or (report.digest,):
        host.console.result(reference)
    return OK


def _looks(settings: Settings, places: Places, host: Host) -> Callable[[str, Image | Index], None]:
    """Asks the rules of `wingo check`, and says what they warn of."""
    from wingo.pipeline.checking import check_once, policy_of, refuse_errors
    from wingo.pipeline.demanding import demands_of

    policy = policy_of(settings)
    demands = demands_of(settings, host.directory)

    def look(place: str, artifact: Image | Index) -> None:
        report = check_once(place, artifact, places, policy, host.now(), demands)
        refuse_errors([report])
        say_warnings(report.findings, host.console)

    return look
