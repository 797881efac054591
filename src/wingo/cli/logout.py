"""`wingo logout`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = (
    "Removes a registry's credentials from Docker's config.json and from the credential helper that it names."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo logout`."""
    parser.description = _DESCRIPTION
    parser.add_argument("server", metavar="REGISTRY", help="host, with its port when it has one")
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Removes them."""
    from wingo.pipeline.login import log_out

    found = log_out(args.server, host)
    if args.json:
        import json

        host.console.result(json.dumps({"registry": args.server, "removed": found}))
    else:
        host.console.say(f"logged out of {args.server}" if found else f"there were no credentials for {args.server}")
    return OK
