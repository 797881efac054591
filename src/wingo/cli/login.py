"""`wingo login`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Checks a user name and a password with a registry and keeps them where Docker and Podman find them too: in Docker's
config.json, or with the credential helper that it names. The password is read from the terminal, without showing it, or
from standard input with --password-stdin; it is never an argument, which other users of the machine could see.
"""

_EPILOG = """\
examples:
  wingo login registry.example
  echo "$TOKEN" | wingo login registry.example --username ci --password-stdin
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo login`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument(
        "server", metavar="REGISTRY", help="host, with its port when it has one; docker.io for Docker Hub"
    )
    parser.add_argument("-u", "--username", metavar="NAME", help="the user; asked for when it is not given")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Checks and keeps a credential."""
    from wingo.pipeline.login import log_in

    settings = settings_of(args, host)
    username = args.username or host.ask("Username: ")
    password = host.read_secret(from_stdin=args.password_stdin)
    where = log_in(args.server, username, password, settings, host)
    if args.json:
        import json

        host.console.result(json.dumps({"registry": args.server, "keptIn": where}))
    else:
        host.console.say(f"logged in to {args.server}; kept in {where}")
    return OK
