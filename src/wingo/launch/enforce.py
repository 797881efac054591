"""A policy held against a start: what is asked for beforehand, and what has to be set up so that it holds.

| rule | held by |
| --- | --- |
| read, write, exec | Landlock, in the process that becomes the program; without a rule to write: a read-only root |
| deny | an empty read-only mount over the path, and the answers of `audit.py` |
| connect, listen (TCP) | Landlock (ABI 4), and the choice of ports that are published |
| connect, listen (UDP) | seccomp: without any rule about UDP there are no datagram sockets; ports are not told apart |
| network | the network namespace |
| -v | asked beforehand: reading or writing its target |

Whatever a rule refuses is written down with the rule (`audit.py`).
"""

from __future__ import annotations

import msgspec

from wingo.errors import TrustError
from wingo.launch.policy import (
    Action,
    Decision,
    Policy,
    decide_network,
    decide_path,
    decide_port,
)
from wingo.launch.spec import Mount, MountKind, RunSpec


def decide_start(policy: Policy, spec: RunSpec) -> list[Decision]:
    """What a policy says of everything that a start asks for: its network, published ports and volumes."""
    decisions = [decide_network(policy, spec.network)]
    decisions += [decide_port(policy, Action.LISTEN, port.protocol, port.port) for port in spec.ports]
    for mount in spec.mounts:
        action = Action.READ if mount.read_only and mount.kind is MountKind.BIND else Action.WRITE
        decisions.append(decide_path(policy, action, mount.target))
    return decisions


def require_allowed(policy: Policy, spec: RunSpec) -> None:
    """Refuses a start that asks for what its role may not have.

    Raises:
        TrustError: with every denial and the rule that decided it.
    """
    denied = [decision for decision in decide_start(policy, spec) if not decision.allowed]
    if denied:
        raise TrustError(
            f"the role {policy.role!r} may not start this: {'; '.join(map(str, denied))}",
            hint="Ask for less, start it with another role, or let the table allow it.",
        )


def under_policy(policy: Policy, spec: RunSpec) -> RunSpec:
    """The spec as the policy lets it be: denied paths are covered, and a root that nobody may write is read-only."""
    covers = tuple(
        Mount(rule.resource, kind=MountKind.NOTHING, read_only=True) for rule in policy.rules if rule.action is None
    )
    writes = [rule for rule in policy.rules if rule.action is Action.WRITE]
    volumes = [mount.target for mount in spec.mounts]
    read_only = spec.read_only or all(_is_within(rule.resource, volumes) for rule in writes)
    return msgspec.structs.replace(spec, mounts=(*spec.mounts, *covers), read_only=read_only)


def has_datagrams(policy: Policy) -> bool:
    """Whether any rule is about UDP."""
    return any(rule.ports is not None and rule.ports.protocol == "udp" for rule in policy.rules)


def _is_within(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)
