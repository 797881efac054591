"""`wingo rebase`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Puts every image of an index onto a newer base without building it again: only manifests and configs are sent, and base
layers where the registry lacks them. It is refused where the configs say that the program would start differently.
"""

_EPILOG = """\
examples:
  wingo rebase registry.example/team/app:v1
  wingo rebase registry.example/team/app:v1 --base nanoserver -t registry.example/team/app:v1-patched

Without --base, the tag that each image names as its base is looked up anew. Without -t, REFERENCE itself moves.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo rebase`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("reference", metavar="REFERENCE", help="the index or image, REGISTRY/NAME:TAG")
    parser.add_argument(
        "--base", action="append", metavar="[PLATFORM=]BASE", help="the new base; for some platforms: linux=REFERENCE"
    )
    parser.add_argument("-t", "--name", action="append", metavar="NAME", help="the name of the result")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Rebases, pushes and reports."""
    from wingo.errors import RequestError
    from wingo.oci.place import PlaceKind, parse_place
    from wingo.oci.reference import parse_reference
    from wingo.pipeline.places import Places
    from wingo.pipeline.rebase import rebase_reference
    from wingo.pipeline.report import as_json

    settings = settings_of(args, host)
    if parse_place(args.reference).kind is not PlaceKind.REGISTRY:
        raise RequestError(
            f"{args.reference} is no registry", hint="Push it first: what is rebased is in a registry, and stays there."
        )
    source = parse_reference(args.reference, default_tag="latest")
    bases = settings.base if args.base else {}
    targets = [parse_reference(name, default_tag="latest") for name in args.name or ()] or [source]
    with Places(host, settings) as places:
        report = rebase_reference(source, bases, targets, places)
    console = host.console
    if args.json:
        console.result(as_json(report))
        return OK
    for note in report.notes:
        console.note(note)
    for image in report.platforms:
        console.say(f"  {image.platform:<34} {console.dim(image.digest[7:19])}  on {image.base.rpartition('/')[2]}")
    console.say("every image stands on the newest base already" if report.unchanged else "rebased")
    for reference in report.references:
        console.result(reference)
    return OK
