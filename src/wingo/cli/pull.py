"""`wingo pull`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.transfer import add_transfer, run_transfer

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Fetches an image or index from a registry into a local place, as it is: every byte is checked against its digest.
"""

_EPILOG = """\
examples:
  wingo pull registry.example/team/app:v1 oci:out
  wingo pull registry.example/team/app:v1 docker-archive:app.tar --platform ltsc2022
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo pull`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("reference", metavar="REFERENCE", help="REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST")
    parser.add_argument(
        "places",
        nargs="+",
        metavar="PLACE",
        help="oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or files:DIR",
    )
    add_transfer(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Fetches it, and prints its digest."""
    from wingo.errors import RequestError
    from wingo.oci.place import Place, PlaceKind, parse_place
    from wingo.oci.reference import parse_reference

    if parse_place(args.reference).kind is not PlaceKind.REGISTRY:
        raise RequestError(
            f"{args.reference} is no registry", hint=f"Use 'wingo copy {args.reference} {args.places[0]}'."
        )
    source = Place(PlaceKind.REGISTRY, reference=parse_reference(args.reference, default_tag="latest"))
    targets = [parse_place(place) for place in args.places]
    for target in targets:
        if target.kind is PlaceKind.REGISTRY:
            raise RequestError(f"{target} is no local place", hint=f"Use 'wingo copy {args.reference} {target}'.")
    return run_transfer(args, host, source, targets)
