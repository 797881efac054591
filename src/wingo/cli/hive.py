"""`wingo hive`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import CHECKS_FAILED, OK
from wingo.cli.flags import add_output, add_settings, settings_of
from wingo.cli.render import one_line
from wingo.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wingo.hive.edit import Edit
    from wingo.hive.keys import Key
    from wingo.hive.values import Value
    from wingo.host import Host
    from wingo.oci.place import Place
    from wingo.pipeline.hives import OpenHive
    from wingo.pipeline.places import Places

_DESCRIPTION = """\
Reads, changes, compares and checks Windows registry hives, without Windows.

WHERE is a hive file; a directory with the hives of an image: SYSTEM, SOFTWARE, SAM, SECURITY and DEFAULT in it, in its
Windows/System32/config or in its Hives, with layers (System_Delta) merged onto them; or an image: oci:DIR[:TAG],
oci-archive:FILE, docker-archive:FILE or REGISTRY/NAME:TAG. Logs (SYSTEM.LOG1) beside a dirty hive are applied.

A KEY is written as in Windows: HKLM\\SYSTEM\\CurrentControlSet\\Services, HKLM:\\SOFTWARE\\Microsoft, or below the root of a
hive file. DATA is TYPE:DATA: dword:4, sz:text, expand_sz:%SystemRoot%\\x, multi_sz:a|b, qword:1, hex:00ff, hex(2):...
"""

_EPILOG = """\
examples:
  wingo hive ls SYSTEM 'HKLM\\SYSTEM\\CurrentControlSet\\Services'
  wingo hive get config 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\BITS' Start
  wingo hive set SYSTEM 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\BITS' Start dword:4 --layer -o System_Delta
  wingo hive import config keylight.reg --layer -o Hives
  wingo hive diff SYSTEM SYSTEM.new
  wingo hive ls registry.example/team/app:v1 --platform ltsc2022 'HKLM\\SOFTWARE\\Microsoft'
  wingo hive set oci:app 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\DiagTrack' Start dword:4 -o oci:smaller

Changes of an image go into one layer, directly on its base's; of an index, every Windows image gets one. A file that is read is never changed. What --layer writes is experimental until a Windows host has merged it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo hive`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def action(name: str, summary: str, *, writes: bool = False, key: str = "") -> argparse.ArgumentParser:
        made = actions.add_parser(
            name, help=summary, description=summary[:1].upper() + summary[1:] + ".", allow_abbrev=False
        )
        if name != "diff":
            made.add_argument("where", metavar="WHERE", help="a hive file, a directory of hives, or an image")
        if key:
            optional = key == "?"
            made.add_argument("key", metavar="KEY", nargs="?" if optional else None, default="", help="the key's path")
        if writes:
            made.add_argument(
                "-o",
                "--output",
                metavar="OUT",
                required=True,
                help="the file to write; a directory, for a directory; a place, for an image",
            )
            made.add_argument("--layer", action="store_true", help="write the hive of a layer, with the changes alone")
        if not writes and name != "fsck":
            made.add_argument("--dirty", action="store_true", help="read a dirty hive without its logs, as it is")
        made.set_defaults(dirty=False)
        made.add_argument("--platform", metavar="PLATFORM", help="which image of an index")
        add_settings(made, everywhere_only=True)
        add_output(made)
        return made

    listing = action("ls", "list the keys and values of a key", key="?")
    listing.add_argument("-r", "--recursive", action="store_true", help="and everything below it")
    get = action("get", "print the values of a key, or one of them", key="1")
    get.add_argument("value", metavar="VALUE", nargs="?", help="the value's name; @ is the default value")
    put = action("set", "set a value", writes=True, key="1")
    put.add_argument("value", metavar="VALUE", help="the value's name; @ is the default value")
    put.add_argument("data", metavar="TYPE:DATA", help="what it is set to")
    remove = action("rm", "delete a key with everything below it, or a value", writes=True, key="1")
    remove.add_argument("value", metavar="VALUE", nargs="?", help="the value's name; without it, the key is deleted")
    export = action("export", "print a key and everything below it as a .reg file", key="?")
    export.add_argument("-o", "--output", metavar="FILE", help="write it there, in UTF-16 as Windows does")
    importing = action("import", "make the changes of a .reg file", writes=True)
    importing.add_argument("file", metavar="FILE.reg", help="either dialect: Version 5.00 or REGEDIT4")
    compare = action("diff", "tell what differs between two hives, or two directories of hives")
    compare.add_argument("where", metavar="A", help="a hive file, or a directory of hives")
    compare.add_argument("other", metavar="B", help="the same")
    compare.add_argument("--reg", action="store_true", help="print the .reg file that makes B of A")
    action("fsck", "check everything in a hive; the exit status is 1 when something is wrong")
    action("stats", "count keys, values and bytes")


def run(args: argparse.Namespace, host: Host) -> int:
    """Runs the action."""
    actions: dict[str, Callable[[argparse.Namespace, Host], int | None]] = {
        "ls": _list,
        "get": _get,
        "set": _set,
        "rm": _remove,
        "export": _export,
        "import": _import,
        "diff": _diff,
        "fsck": _fsck,
        "stats": _stats,
    }
    return actions[args.action](args, host) or OK


def _open(args: argparse.Namespace, host: Host, where: str) -> tuple[OpenHive, ...]:
    from wingo.pipeline.hives import image_place, open_hives, open_image_hives

    place = image_place(where, host.path(where))
    if place is None:
        return open_hives(host.path(where), allow_dirty=args.dirty)
    with _places(args, host) as places:
        return open_image_hives(place, args.platform or "", places, allow_dirty=args.dirty)


def _places(args: argparse.Namespace, host: Host) -> Places:
    from wingo.pipeline.places import Places

    # what names an image here is no setting of a build
    own = argparse.Namespace(**{**vars(args), "platform": None, "output": None, "reg": None})
    return Places(host, settings_of(own, host))


def _find(host: Host, args: argparse.Namespace) -> tuple[OpenHive, str, Key]:
    from wingo.hive.keys import find_key
    from wingo.pipeline.hives import locate

    hive, path = locate(_open(args, host, args.where), args.key)
    key = find_key(hive.root, path)
    if key is None:
        raise _missing(hive, path)
    return hive, path, key


def _missing(hive: OpenHive, path: str) -> RequestError:
    from wingo.hive.keys import find_key, split_path

    names = split_path(path)
    above = next(
        size for size in range(len(names) - 1, -1, -1) if find_key(hive.root, "\\".join(names[:size])) is not None
    )
    there = find_key(hive.root, "\\".join(names[:above]))
    assert there is not None
    near = _near(names[above], [key.name for key in there.subkeys()])
    inside = "\\".join((hive.shown_root, *names[:above]))
    return RequestError(f"there is no key {names[above]!r} in {inside}", hint=near)


def _near(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names[:5000], n=1)
    return f"Did you mean {near[0]!r}?" if near else "'wingo hive ls' shows what is there."


def _list(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.keys import walk

    if not args.key:
        hives = _open(args, host, args.where)
        if len(hives) > 1 and not args.recursive:
            _print(args, host, [hive.shown_root for hive in hives], [hive.shown_root for hive in hives])
            return
        found = [(hive, "", hive.root) for hive in hives]
    else:
        found = [_find(host, args)]
    shown: list[object] = []
    for hive, path, key in found:
        for place, each in walk(key, path) if args.recursive else [(path, key)]:
            full = f"{hive.shown_root}\\{place}" if place else hive.shown_root
            if args.json:
                keys = [child.name for child in each.subkeys()]
                shown.append({"key": full, "keys": keys, "values": [_as_json(value) for value in each.values()]})
                continue
            if args.recursive:
                host.console.result(one_line(full))
            else:
                for child in each.subkeys():
                    host.console.result(one_line(child.name) + "\\")
            for value in each.values():
                indent = "    " if args.recursive else ""
                host.console.result(f"{indent}{one_line(value.name or '@')}  {one_line(_shown(value))}")
    if args.json:
        _print(args, host, shown if args.recursive else shown[0], [])


def _get(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.keys import find_value
    from wingo.hive.values import number_of, text_of, texts_of

    hive, path, key = _find(host, args)
    if args.value is None:
        values = key.values()
        lines = [f"{one_line(value.name or '@')}  {one_line(_shown(value))}" for value in values]
        _print(args, host, [_as_json(value) for value in values], lines)
        return
    name = "" if args.value == "@" else args.value
    value = find_value(key, name)
    if value is None:
        near = _near(name, [known.name for known in key.values()])
        raise RequestError(f"{hive.shown_root}\\{path} has no value {args.value!r}", hint=near)
    number, text, texts = number_of(value), text_of(value), texts_of(value)
    plain = str(number) if number is not None else text if text is not None else None
    lines = (
        [one_line(plain)]
        if plain is not None
        else list(map(one_line, texts))
        if texts is not None
        else [value.data.hex()]
    )
    _print(args, host, _as_json(value), lines)


def _set(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.edit import SetValue
    from wingo.hive.values import parse_data

    kind, data = parse_data(args.data)
    name = "" if args.value == "@" else args.value
    _change(args, host, [SetValue(args.key, name, kind, data)])


def _remove(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.edit import DeleteKey, DeleteValue
    from wingo.hive.keys import find_value

    _, path, key = _find(host, args)
    if args.value is None:
        _change(args, host, [DeleteKey(args.key)])
        return
    name = "" if args.value == "@" else args.value
    if find_value(key, name) is None:
        raise RequestError(
            f"{path} has no value {args.value!r}", hint=_near(name, [value.name for value in key.values()])
        )
    _change(args, host, [DeleteValue(args.key, name)])


def _export(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.keys import walk
    from wingo.hive.regfile import encode_reg, format_reg
    from wingo.pipeline.hives import write_whole

    if not args.key and len(_open(args, host, args.where)) > 1:
        raise RequestError(
            "there are several hives: say which key is to be exported", hint="HKLM\\SYSTEM, for instance."
        )
    hive, path, key = _find(host, args)
    text = format_reg(hive.shown_root, walk(key, path))
    if args.output:
        write_whole(host.path(args.output), encode_reg(text), never=[hive.file])
    elif args.json:
        _print(args, host, text, [])
    else:
        host.console.result(text.replace("\r\n", "\n").rstrip("\n"))


def _import(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.regfile import parse_reg
    from wingo.pipeline.hives import read_hive_file

    _change(args, host, parse_reg(read_hive_file(host.path(args.file))))


def _change(args: argparse.Namespace, host: Host, edits: Sequence[Edit]) -> None:
    """Makes edits, and writes each hive that they change."""
    import os

    from wingo.pipeline.hives import edited_hive, image_place, layer_name, route, write_whole

    source = image_place(args.where, host.path(args.where))
    if source is not None:
        _change_image(args, host, source, edits)
        return
    where, output = host.path(args.where), host.path(args.output)
    hives = _open(args, host, args.where)
    sources = [file for hive in hives for file in (hive.file, *hive.layers)]
    results = [(hive, edited_hive(hive, own, as_layer=args.layer)) for hive, own in route(hives, edits)]
    written = []
    for hive, data in results:
        if data is None:
            host.console.note(f"{hive.shown_root}: everything is so already")
            continue
        name = layer_name(hive) if args.layer else os.path.basename(hive.file)
        target = os.path.join(output, name) if os.path.isdir(where) else output
        write_whole(target, data, never=sources)
        written.append({"hive": hive.name, "file": target, "size": len(data), "layer": args.layer})
    _print(args, host, written, [str(item["file"]) for item in written])


def _change_image(args: argparse.Namespace, host: Host, source: Place, edits: Sequence[Edit]) -> None:
    """Makes edits of an image's registry, and writes the image with one more layer."""
    from wingo.hive.paths import HIVES
    from wingo.pipeline.hives import target_place
    from wingo.pipeline.registry_layers import write_registry
    from wingo.pipeline.report import as_json
    from wingo.pipeline.request import source_date_epoch

    epoch = source_date_epoch(host.environment)
    target = target_place(args.output)
    with _places(args, host) as places:
        report, changed = write_registry(
            source,
            args.platform or "",
            [target],
            lambda _: edits,
            places,
            created_by="wingo hive",
            epoch=epoch,
        )
    for item in changed:
        what = ", ".join(HIVES[hive] for hive in item.plan.changed) if item.plan is not None else ""
        host.console.say(f"  {item.image.platform}: {what or 'everything is so already'}")
        for reason in item.unnoticed:
            host.console.note(reason)
    if args.json:
        host.console.result(as_json(report))
        return
    for reference in report.references or report.places:
        host.console.result(f"{reference}" if report.references else f"{reference}@{report.digest}")


def _diff(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.diff import diff, edits_between
    from wingo.hive.edit import DeleteKey, DeleteValue, SetValue
    from wingo.hive.regfile import format_edits
    from wingo.hive.values import Value, show

    left, right = _open(args, host, args.where), _open(args, host, args.other)
    if len(left) == len(right) == 1:
        pairs = [(left[0], right[0])]
    else:
        names = {hive.name for hive in left} & {hive.name for hive in right}
        lone = {hive.shown_root for hive in (*left, *right) if hive.name not in names}
        for name in sorted(lone):
            host.console.note(f"{name} is on one side only")
        by_name = {hive.name: hive for hive in right}
        pairs = [(hive, by_name[hive.name]) for hive in left if hive.name in names]
    edits = [edit for old, new in pairs for edit in edits_between(diff(old.root, new.root), old.shown_root)]
    if args.reg:
        host.console.result(format_edits(edits).replace("\r\n", "\n").rstrip("\n"))
        return
    shown, lines = [], []
    for edit in edits:
        name = edit.name or "@" if isinstance(edit, SetValue | DeleteValue) else ""
        sign = "-" if isinstance(edit, DeleteKey | DeleteValue) else "+"
        data = show(Value(edit.name, edit.type, edit.data)) if isinstance(edit, SetValue) else ""
        shown.append({"change": "delete" if sign == "-" else "set", "key": edit.path, "value": name, "data": data})
        lines.append(one_line(f"{sign} {edit.path}" + (f"  {name}" if name else "") + (f"  {data}" if data else "")))
    _print(args, host, shown, lines)


def _fsck(args: argparse.Namespace, host: Host) -> int:
    import msgspec

    from wingo.hive.fsck import Finding, fsck
    from wingo.pipeline.hives import find_hive_files, image_place, one_windows_image, read_hive_file

    found: list[tuple[str, Finding]] = []
    place = image_place(args.where, host.path(args.where))
    if place is None:
        for file in find_hive_files(host.path(args.where)):
            found.extend((file, finding) for finding in fsck(read_hive_file(file)))
    else:
        from wingo.pipeline.image_hives import hive_files

        with _places(args, host) as places:
            for file, data in hive_files(one_windows_image(place, args.platform or "", places), places):
                found.extend((file, finding) for finding in fsck(data))
    lines = []
    for file, finding in found:
        kind = "error" if finding.severe else "untidy"
        at = f" {one_line(finding.path)}:" if finding.path else ""
        lines.append(f"{file}: byte {finding.offset}: {kind}: {finding.rule}:{at} {one_line(finding.problem)}")
    _print(args, host, [{"file": file, **msgspec.structs.asdict(finding)} for file, finding in found], lines)
    return CHECKS_FAILED if any(finding.severe for _, finding in found) else OK


def _stats(args: argparse.Namespace, host: Host) -> None:
    from wingo.hive.keys import walk

    shown: list[dict[str, object]] = []
    lines: list[str] = []
    for hive in _open(args, host, args.where):
        keys = values = data = deepest = 0
        descriptors = set()
        for path, key in walk(hive.root):
            keys += 1
            contents = key.values()
            values += len(contents)
            data += sum(len(value.data) for value in contents)
            deepest = max(deepest, path.count("\\") + bool(path))
            descriptors.add(key.security)
        base = hive.hive.base
        numbers = {
            "hive": hive.shown_root,
            "file": hive.file,
            "version": f"1.{base.minor}",
            "layers": len(hive.layers) + base.is_layered,
            "bytes": len(hive.hive.data),
            "keys": keys,
            "values": values,
            "data_bytes": data,
            "descriptors": len(descriptors),
            "depth": deepest,
        }
        shown.append(numbers)
        lines.extend(f"{name.replace('_', ' '):<12} {number}" for name, number in numbers.items())
    _print(args, host, shown, lines)


def _as_json(value: Value) -> dict[str, object]:
    from wingo.hive.values import number_of, show, text_of, texts_of, type_name

    plain: object = number_of(value)
    for read in (text_of, texts_of):
        plain = read(value) if plain is None else plain
    found: dict[str, object] = {
        "name": value.name,
        "type": type_name(value.type),
        "shown": show(value),
        "hex": value.data.hex(),
    }
    return found if plain is None else {**found, "value": plain}


def _shown(value: Value) -> str:
    from wingo.hive.values import show

    return "deleted" if value.tombstone else show(value)


def _print(args: argparse.Namespace, host: Host, shown: object, lines: Sequence[str]) -> None:
    if args.json:
        import json

        host.console.result(json.dumps(shown, indent=2))
        return
    for line in lines:
        host.console.result(line)
