"""`wingo ls`."""

from __future__ import annotations

import argparse
from functools import lru_cache
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.listing import PLACE_HELP, add_image, chosen_of, open_places, unread_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wingo.host import Host
    from wingo.pipeline.choosing import Chosen
    from wingo.view.layer import LayerFiles, Node
    from wingo.view.merged import View

_DESCRIPTION = """\
Lists the files of an image as a container would see them: its layers lie on each other, what upper ones removed is gone,
and names follow the rules of the image's own system. Nothing is unpacked.
"""

_EPILOG = """\
examples:
  wingo ls registry.example/team/app:v1 --platform ltsc2022 'C:\\app' -l
  wingo ls oci:out /etc -r
  wingo ls oci:out --layer 1 -l

Of a base in a registry, nothing is fetched without --with-base. With --layer N, what one layer adds and removes is listed,
by the names in its tar; layers count from 1, the base's first.
"""

_ATTRIBUTES = ((0x01, "r"), (0x02, "h"), (0x04, "s"), (0x20, "a"), (0x400, "l"))
"""FILE_ATTRIBUTE_READONLY, HIDDEN, SYSTEM, ARCHIVE, REPARSE_POINT, as `Get-ChildItem` shows them."""
_LETTERS = {"directory": "d", "symbolic link": "l", "device, pipe or socket": "?"}
_AT_ONCE = 1000
"""Lines that are written together; each write costs more than a line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo ls`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("place", metavar="PLACE", help=PLACE_HELP)
    parser.add_argument("path", metavar="PATH", nargs="?", default="", help="a directory or file; default: the root")
    parser.add_argument("-l", "--long", action="store_true", help="with kind, mode, owner, size, time and layer")
    parser.add_argument("-r", "--recursive", action="store_true", help="and everything below it")
    parser.add_argument("--layer", type=int, metavar="N", help="list what one layer adds and removes")
    add_image(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Lists."""
    from wingo.cli.render import printable

    places, platform = open_places(args, host)
    with places:
        chosen = chosen_of(args, platform, places)
    unread = unread_text(chosen)
    if args.layer is not None:
        return _list_layer(args, host, chosen)
    view = chosen.view
    nodes = list(_listed(view, args.path, chosen, unread, recursive=args.recursive))
    if unread:
        host.console.note(f"{unread}: --with-base reads all")
    if args.json:
        _print_json(host, [_as_json(node) for node in nodes])
        return OK
    above = view.find(args.path)
    base = above.path if above is not None else ""
    line = _line_maker(long=args.long, windows=view.image.config.os == "windows")
    for start in range(0, len(nodes), _AT_ONCE):
        lines = [
            printable(line(node, node.path if args.recursive or node.path == base else node.name))
            for node in nodes[start : start + _AT_ONCE]
        ]
        host.console.result("\n".join(lines))
    return OK


def _listed(view: View, path: str, chosen: Chosen, unread: str, *, recursive: bool) -> Iterator[Node]:
    from wingo.archive.unpack import MemberKind
    from wingo.cli.listing import missing_path

    node = view.find(path)
    if node is None:
        raise missing_path(chosen, path, unread)
    if node.kind is not MemberKind.DIRECTORY:
        yield node
    elif recursive:
        yield from view.walk(path)
    else:
        yield from view.children(path)


def _line_maker(*, long: bool, windows: bool) -> Callable[[Node, str], str]:
    """What gives a node's line, by the name that it is to be shown by; there may be a hundred thousand."""
    from wingo.archive.unpack import MemberKind

    file, directory, link = MemberKind.FILE, MemberKind.DIRECTORY, MemberKind.SYMLINK
    letter_of = {id(kind): _LETTERS.get(kind.value, "-") for kind in MemberKind}

    def short_line(node: Node, name: str) -> str:
        return f"{name}/" if node.kind is directory else name

    def long_line(node: Node, name: str) -> str:
        kind, target = node.kind, node.link_target
        letters = _letters(node.attributes or 0) if windows else f"{_mode(node.mode)} {node.uid}:{node.gid}"
        size = node.size if kind is file else "-"
        if kind is directory:
            name += "/"
        elif target:
            name += f" -> {target}" if kind is link else f" = {target}"
        where = "-" if node.implied else node.layer + 1
        return f"{letter_of[id(kind)]}{letters} {size:>11} {_time(node.mtime):<16} {where:>3}  {name}"

    return long_line if long else short_line


def _time(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    day = _day(days)
    return f"{day} {_clock(rest // 60)}" if day else "-"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    """A day since 1970, "2024-01-09"; "" when no calendar has it."""
    import datetime as dt

    try:
        return (dt.date(1970, 1, 1) + dt.timedelta(days)).isoformat()
    except OverflowError:
        return ""


@lru_cache(maxsize=1440)
def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@lru_cache(maxsize=256)
def _letters(attributes: int) -> str:
    return "".join(letter if attributes & bit else "-" for bit, letter in _ATTRIBUTES)


@lru_cache(maxsize=4096)
def _mode(mode: int) -> str:
    letters = ["rwx"[bit % 3] if mode >> (8 - bit) & 1 else "-" for bit in range(9)]
    for bit, place, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if mode & bit:
            letters[place] = letter if letters[place] == "x" else letter.upper()
    return "".join(letters)


def _as_json(node: Node) -> dict[str, object]:
    from wingo.archive.unpack import MemberKind

    shown: dict[str, object] = {
        "path": node.path,
        "kind": node.kind.value,
        "mode": f"{node.mode:04o}",
        "uid": node.uid,
        "gid": node.gid,
        "mtime": node.mtime,
        "layer": node.layer + 1,
    }
    if node.kind is MemberKind.FILE:
        shown |= {"size": node.size, "digest": node.digest}
    if node.link_target:
        shown["linkTarget"] = node.link_target
    if node.pax:
        shown["records"] = dict(node.pax)
    if node.implied:
        shown["implied"] = True
    return shown


def _print_json(host: Host, value: object) -> None:
    import json

    # Names that are no Unicode are escaped, as lone surrogates; JSON has nothing better.
    host.console.result(json.dumps(value, indent=2))


def _list_layer(args: argparse.Namespace, host: Host, chosen: Chosen) -> int:
    from wingo.cli.listing import layer_of
    from wingo.cli.render import printable

    number = layer_of(args.layer, chosen)
    files = chosen.view.layers[number]
    assert files is not None
    windows = files.os == "windows"
    line = _line_maker(long=args.long, windows=windows)
    nodes = sorted(_of_layer(files), key=lambda item: item[0])
    inside = [(name, node) for name, node in nodes if name.startswith(args.path.strip("/"))]
    removed = sorted(("Files/" if windows else "") + path for path in files.whiteouts)
    if args.json:
        _print_json(
            host,
            {
                "diffId": files.diff_id,
                "size": files.size,
                "entries": [{**_as_json(node), "path": name} for name, node in inside],
                "removed": removed,
                "opaque": list(files.opaque),
                "problems": [{"rule": item.rule, "path": item.path, "text": item.text} for item in files.problems],
            },
        )
        return OK
    for name, node in inside:
        host.console.result(printable(line(node, name)))
    for path in removed:
        host.console.result(printable(f"removed: {path}"))
    for path in files.opaque:
        host.console.result(printable(f"emptied: {path or '/'}"))
    for problem in files.problems:
        host.console.note(printable(f"{problem.path}: {problem.text}"))
    return OK


def _of_layer(files: LayerFiles) -> Iterator[tuple[str, Node]]:
    """Every entry with its name in the tar."""
    prefix = "Files/" if files.os == "windows" else ""
    for node in files.nodes:
        yield (prefix + node.path).rstrip("/") or "/", node
    for node in (*files.hives, *files.other):
        yield node.path, node
