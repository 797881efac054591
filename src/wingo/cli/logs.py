"""`wingo logs`."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.launch.records import Record

_DESCRIPTION = """\
Prints what a detached container has printed: its standard output here on standard output, its errors on standard error, byte
for byte.
"""
_POLL_SECONDS = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo logs`."""
    parser.description = _DESCRIPTION
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until it ends")
    parser.add_argument("--denied", action="store_true", help="print what its role was not allowed, and by which rule")
    parser.add_argument("--tail", metavar="N", help="the last N lines only")
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Prints its log."""
    from wingo.launch.records import last_lines, read_log
    from wingo.launch.spec import parse_count

    containers = host.containers
    containers.read(args.name)
    if args.denied:
        return _denied(args, host, os.path.join(containers.directory(args.name), "denials"))
    path = os.path.join(containers.directory(args.name), "log")
    position = 0
    records = []
    for record, position in read_log(path):  # noqa: B007  (where to go on)
        records.append(record)
    if args.tail is not None:
        records = last_lines(records, parse_count(args.tail, "--tail"))
    for record in records:
        _print(args, host, record)
    while args.follow:
        running = containers.is_kept(args.name)
        if os.path.exists(path) and os.path.getsize(path) < position:
            position = 0  # it was begun anew
        for record, after in read_log(path, position=position, older=False):
            _print(args, host, record)
            position = after
        if not running:
            break
        time.sleep(_POLL_SECONDS)
    return OK


def _print(args: argparse.Namespace, host: Host, record: Record) -> None:
    if args.json:
        import json

        text = record.data.decode("utf-8", "backslashreplace")
        host.console.result(json.dumps({"time": record.time, "stream": record.stream, "text": text}))
        return
    data = memoryview(record.data)
    while data:
        data = data[os.write(host.stdio[1 if record.stream == "stdout" else 2], data) :]


def _denied(args: argparse.Namespace, host: Host, path: str) -> int:
    from wingo.cli.run import denial_text
    from wingo.launch.audit import read_denials

    denials = read_denials(path)
    if args.json:
        import json

        host.console.result(json.dumps(denials, indent=2))
        return OK
    for denial in denials:
        host.console.result(denial_text(denial))
    return OK
