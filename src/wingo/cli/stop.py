"""`wingo stop`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Ends containers: the image's stop signal (SIGTERM by default), and SIGKILL when that has not helped in time.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo stop`."""
    parser.description = _DESCRIPTION
    parser.add_argument("names", nargs="+", metavar="NAME", help="the containers")
    parser.add_argument(
        "-t", "--time", metavar="TIME", help="from the stop signal to SIGKILL; default 10s, 0 for at once"
    )
    parser.add_argument(
        "--rm", action="store_true", help="remove them afterwards, with what they wrote; also when they have ended"
    )
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Ends them, and prints their names."""
    from wingo.errors import RequestError
    from wingo.launch.spec import GRACE_SECONDS, parse_duration
    from wingo.launch.stopping import stop_container

    grace = GRACE_SECONDS if args.time is None else 0.0 if args.time in ("0", "0s") else parse_duration(args.time, "-t")
    containers, tools = host.containers, host.machine.tools
    stopped = []
    for name in args.names:
        container, state = containers.read(name)
        if state.status not in ("running", "starting") and not args.rm:
            raise RequestError(f"the container {name!r} does not run", hint=f"Remove it with wingo stop --rm {name}.")
        outcome = stop_container(containers, name, grace)
        if args.rm and not container.remove:
            containers.remove(name, tools)
        code = state.exit_code if outcome is None else outcome.exit_code
        stopped.append({"name": name, "exitCode": code, "reason": "" if outcome is None else outcome.reason})
        if outcome is not None and outcome.reason:
            host.console.note(f"{name}: {outcome.reason}")
    if args.json:
        import json

        host.console.result(json.dumps(stopped, indent=2))
        return OK
    for each in stopped:
        host.console.result(str(each["name"]))
    return OK
