"""`wingo copy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.transfer import add_transfer, run_transfer

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Copies an image or index between any two places, as it is: its digest stays. Between repositories of one registry, the
registry copies the layers itself.
"""

_EPILOG = """\
examples:
  wingo copy registry.example/team/app:v1 mirror.example/team/app:v1
  wingo copy docker-archive:app.tar oci:out:v1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo copy`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="FROM", help="a place: a reference, oci:DIR[:TAG], …")
    parser.add_argument("targets", nargs="+", metavar="TO", help="one or more places")
    add_transfer(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Copies it, and prints the digest reference or the digest."""
    from wingo.oci.place import parse_place

    targets = [parse_place(place, default_tag="latest") for place in args.targets]
    args.targets = None
    return run_transfer(args, host, parse_place(args.source, default_tag="latest"), targets)
