"""`wingo cat`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.listing import PLACE_HELP, add_image, chosen_of, layer_of, missing_path, open_places, unread_text

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.choosing import Chosen
    from wingo.view.layer import Node

_DESCRIPTION = """\
Prints files of an image, straight from its layers; every byte is checked against the layer's digest before it is believed.
Symbolic links are followed inside the image.
"""

_EPILOG = """\
examples:
  wingo cat registry.example/team/app:v1 /etc/os-release --platform linux/amd64
  wingo cat oci:out 'C:\\app\\config.json'
  wingo cat oci:out --layer 2 Hives/System_Delta > System_Delta
"""
_PIECE = 1 << 18


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo cat`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("place", metavar="PLACE", help=PLACE_HELP)
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file of the image")
    parser.add_argument("--layer", type=int, metavar="N", help="from one layer, by its name in the tar")
    add_image(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Prints."""
    places, platform = open_places(args, host)
    with places:
        chosen = chosen_of(args, platform, places)
        nodes = [_find(args, path, chosen) for path in args.paths]
        if args.json:
            _print_json(host, chosen, nodes)
            return OK
        for node in nodes:
            for _, stream in chosen.view.open_each([node]):
                while data := stream.read(_PIECE):
                    host.console.result_bytes(data)
    return OK


def _find(args: argparse.Namespace, path: str, chosen: Chosen) -> Node:
    from wingo.archive.unpack import MemberKind
    from wingo.errors import RequestError

    if args.layer is not None:
        return _in_layer(args.layer, path, chosen)
    node = chosen.view.find(path)
    if node is None:
        raise missing_path(chosen, path, unread_text(chosen))
    if node.kind is MemberKind.DIRECTORY:
        raise RequestError(f"{path} is a directory", hint=f"'wingo ls {args.place} {path}' lists it.")
    return node


def _in_layer(number: int, path: str, chosen: Chosen) -> Node:
    from wingo.errors import RequestError

    files = chosen.view.layers[layer_of(number, chosen)]
    assert files is not None
    prefix = "Files/" if files.os == "windows" else ""
    wanted = path.strip("/")
    for node in files.nodes:
        if prefix + node.path == wanted:
            return node
    for node in (*files.hives, *files.other):
        if node.path == wanted:
            return node
    raise RequestError(
        f"layer {number} has no entry {path}", hint=f"'wingo ls PLACE --layer {number}' shows what it has."
    )


def _print_json(host: Host, chosen: Chosen, nodes: list[Node]) -> None:
    import base64
    import json

    shown = []
    for node in nodes:
        data = chosen.view.read(node, _MAX_JSON)
        entry: dict[str, object] = {"path": node.path, "size": node.size, "digest": node.digest}
        try:
            entry["text"] = data.decode()
        except UnicodeDecodeError:
            entry["base64"] = base64.b64encode(data).decode()
        shown.append(entry)
    host.console.result(json.dumps(shown, indent=2))


_MAX_JSON = 64 << 20
