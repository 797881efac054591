"""`wingo ps`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.launch.containers import Container, State

_DESCRIPTION = """\
Lists the containers of this account: those that run, with -a also those that have ended and are kept.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo ps`."""
    parser.description = _DESCRIPTION
    parser.add_argument("-a", "--all", action="store_true", help="also those that have ended")
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Prints them."""
    found = [(container, state) for container, state in host.containers.all() if args.all or state.status == "running"]
    if args.json:
        import json

        host.console.result(json.dumps([_as_json(*each) for each in found], indent=2))
        return OK
    from wingo.cli.render import one_line

    rows = [("NAME", "STATUS", "IMAGE", "PORTS", "PROGRAM")]
    for container, state in found:
        ports = ", ".join(map(str, state.ports)) if state.status == "running" else ""
        rows.append((container.name, _status(state, host.now()), container.image, ports, " ".join(container.argv)[:60]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        line = "  ".join(word.ljust(width) for word, width in zip(row, [*widths, 0], strict=True)).rstrip()
        host.console.result(one_line(line))
    return OK


def _status(state: State, now: float) -> str:
    if state.status == "running":
        return f"running {_span(now - state.started)}"
    if state.status == "exited":
        return f"exited ({state.exit_code}) {_span(now - state.finished)} ago"
    return state.status


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _as_json(container: Container, state: State) -> dict[str, object]:
    import msgspec

    return {
        "name": container.name,
        "image": container.image,
        "digest": container.digest,
        "platform": container.platform,
        "argv": list(container.argv),
        "created": container.created,
        "runtime": container.runtime,
        "status": state.status,
        "exitCode": state.exit_code,
        "reason": state.reason,
        "started": state.started,
        "finished": state.finished,
        "storage": state.storage,
        "keeper": state.keeper,
        "ports": msgspec.to_builtins(state.ports),
        "notes": list(state.notes),
        "role": container.policy.role if container.policy is not None else "",
        "labels": container.labels,
    }
