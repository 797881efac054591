"""`wingo exec`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from wingo.cli.flags import add_output

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Executes a program in a container that runs: in its files, namespaces and limits, under its filter. Standard streams and the
exit code pass through.
"""

_EPILOG = """\
examples:
  wingo exec app -- /bin/sh
  wingo exec app -u 0 -e DEBUG=1 -- /app --check
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo exec`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument("args", metavar="ARG", nargs="+", help="after '--': the program and its arguments")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable")
    parser.add_argument(
        "-u", "--user", metavar="USER[:GROUP]", help="who it runs as; default: as the container's program"
    )
    parser.add_argument("-w", "--workdir", metavar="PATH", help="the directory that it starts in")
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Executes it, and ends as it does."""
    from wingo.launch.joining import Joining, join, wait_for_start
    from wingo.launch.spec import RunSpec
    from wingo.launch.stopping import find_process
    from wingo.oci.platform import parse_platform

    containers = host.containers
    container, state = containers.read(args.name)
    platform = parse_platform(container.platform)
    terminal = not args.json and os.isatty(host.stdio[0]) and os.isatty(host.stdio[1])
    process = find_process(containers, args.name)
    variables = dict(item.partition("=")[::2] for item in (*container.env, *args.env))
    spec = RunSpec(
        name=container.name,
        platform=platform,
        argv=(*container.loader, *args.args),
        env=tuple(f"{name}={value}" for name, value in variables.items()),
        cwd=args.workdir or container.cwd,
        user=container.user if args.user is None else args.user,
    )
    if container.loader:
        from wingo.launch.wine.translate import beside

        spec = beside(spec)
    stdio, person, program = host.stdio, -1, -1
    if terminal:
        from wingo.launch.terminal import copy_size, open_terminal

        person, program = open_terminal()
        copy_size(host.stdio[1], person)
        stdio = (program, program, program)
    elif args.json:
        stdio = (stdio[0], stdio[2], stdio[2])
    child, channel = join(Joining(spec, container, state, process, host.machine.architecture, stdio, terminal))
    if terminal:
        os.close(program)
    refused = wait_for_start(channel)
    if terminal and refused is None:
        from wingo.launch.terminal import relay_until_closed

        relay_until_closed(host.stdio[0], host.stdio[1], person)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if refused is not None:
        host.console.ended(str(refused), refused.hint)
    if args.json:
        import json

        host.console.result(json.dumps({"name": container.name, "exitCode": code}))
    return code if code >= 0 else 128 - code
