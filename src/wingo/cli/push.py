"""`wingo push`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.transfer import add_transfer, run_transfer

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Sends an image or index from a local place to a registry, as it is: its digest stays. Blobs that the registry has are
not sent again, and the tag is written last. What 'wingo check' calls an error stops it before anything is sent.
"""

_EPILOG = """\
examples:
  wingo push oci:out registry.example/team/app:v1
  wingo push oci-archive:app.tar:v1 registry.example/team/app:v1 registry.example/team/app:latest
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo push`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument(
        "place", metavar="PLACE", help="oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]"
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="REGISTRY/NAME:TAG, one or more")
    parser.add_argument("--no-check", action="store_true", help="send it without looking for what would fail")
    add_transfer(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Sends it, and prints the digest reference."""
    from wingo.errors import RequestError
    from wingo.oci.place import PlaceKind, parse_place

    source = parse_place(args.place)
    if source.kind is PlaceKind.REGISTRY:
        if host.is_directory(args.place):
            raise RequestError(f"{args.place} is a directory", hint=f"Write oci:{args.place} for an OCI layout.")
        raise RequestError(f"{args.place} is in a registry", hint=f"Use 'wingo copy {args.place} {args.names[0]}'.")
    targets = [parse_place(name, default_tag="latest") for name in args.names]
    for target in targets:
        if target.kind is not PlaceKind.REGISTRY:
            raise RequestError(f"{target} is no registry", hint=f"Use 'wingo copy {args.place} {target}'.")
    return run_transfer(args, host, source, targets, check=True)
