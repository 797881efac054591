"""`wingo export`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.listing import PLACE_HELP, add_image, chosen_of, open_places, place_of, unread_text

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.choosing import Chosen
    from wingo.pipeline.places import Places

_DESCRIPTION = """\
Writes the files of an image, its layers lying on each other, to a tar or into a directory. The tar is made straight from
the layers, the same for the same image; it keeps owners, modes, times, links and records. A directory gets files, links,
modes and times.
"""

_EPILOG = """\
examples:
  wingo export registry.example/team/app:v1 --platform linux/amd64 --with-base -o rootfs.tar
  wingo export oci:out /etc -o etc.tar
  wingo export oci:out -o rootfs
  wingo export oci:out -o - | tar -t
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo export`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("place", metavar="PLACE", help=PLACE_HELP)
    parser.add_argument("path", metavar="PATH", nargs="?", default="", help="a directory or file; default: everything")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="FILE.tar, a directory, or - for stdout")
    add_image(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Writes it, and prints where."""
    import json

    from wingo.errors import RequestError

    as_tar = args.output == "-" or args.output.endswith(".tar")
    if not as_tar and args.path:
        raise RequestError("a part of an image can be written to a tar only", hint="Write -o FILE.tar.")
    if args.output == "-" and args.json:
        raise RequestError("both the tar and JSON would go to standard output", hint="Write -o FILE.tar.")
    places, platform = open_places(args, host)
    with places:
        chosen = chosen_of(args, platform, places)
        if unread := unread_text(chosen):
            raise RequestError(f"{unread}, so this would not be the whole image", hint="Add --with-base.")
        if as_tar:
            _write_tar(args, chosen, places)
        else:
            _write_directory(args, chosen, places)
    if args.output == "-":
        return OK
    written = host.path(args.output)
    report = {"digest": chosen.image.digest, "platform": str(chosen.image.platform), "written": written}
    host.console.result(json.dumps(report, indent=2) if args.json else written)
    return OK


def _write_tar(args: argparse.Namespace, chosen: Chosen, places: Places) -> None:
    from wingo.cli.listing import missing_path
    from wingo.pipeline.exporting import export_tar

    if chosen.view.find(args.path) is None:
        raise missing_path(chosen, args.path, "")
    pieces = export_tar(chosen.view, args.path, progress=places.progress)
    places.write_pieces("" if args.output == "-" else args.output, pieces)


def _write_directory(args: argparse.Namespace, chosen: Chosen, places: Places) -> None:
    places.write(chosen.image, [place_of(f"files:{args.output}")], "latest")
