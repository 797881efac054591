"""The permission table: who may do what to what. Pure: a table and a question → an answer and the rule that gave it.

A table is TOML, read at every start:

```toml
[roles.guest]
read = ["/data/public"]

[roles.user]
extends = ["guest"]
read = ["/usr", "/lib"]
write = ["/data/user/${uid}"]
exec = ["/app"]
connect = ["tcp/443", "tcp/8000-8100"]
listen = ["tcp/8080"]
network = "private"
deny = ["/data/user/${uid}/locked"]
```

What no rule allows is denied; a `deny` wins over everything; a rule holds for its path and all below it. `write` allows to
read as well, `exec` does too. `${uid}`, `${gid}`, `${user}` and `${name}` (the container's) are filled in at the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

import msgspec

from wingo.errors import RequestError
from wingo.launch.spec import Network

MAX_TABLE_BYTES = 1 << 20
"""Bytes of one table."""
_MAX_ROLES = 1000
_MAX_RULES = 1000
_MAX_DEPTH = 16
_VARIABLE = re.compile(r"\$\{([a-z]*)\}")
_PORTS = re.compile(r"(tcp|udp)/([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_REACH = {Network.NONE: 0, Network.PRIVATE: 1, Network.HOST: 2}


class Action(Enum):
    """What somebody wants to do."""

    READ = "read"
    WRITE = "write"
    EXEC = "exec"
    CONNECT = "connect"
    LISTEN = "listen"
    NETWORK = "network"


_ON_PATHS = (Action.READ, Action.WRITE, Action.EXEC)
_GIVES = {
    Action.READ: (Action.READ, Action.WRITE, Action.EXEC),
    Action.WRITE: (Action.WRITE,),
    Action.EXEC: (Action.EXEC,),
}
"""The rules that allow an action: what may be written or executed may be read."""


class PortRange(msgspec.Struct, frozen=True):
    """Ports of one protocol, both ends included."""

    protocol: str
    first: int
    last: int


class Rule(msgspec.Struct, frozen=True):
    """One line of a table.

    Attributes:
        role: where it stands.
        action: what it is about; None: it denies every action on paths.
        resource: as it was written, variables filled in.
        path: its components, for paths.
        ports: for `connect` and `listen`.
        network: for `network`.
    """

    role: str
    action: Action | None
    resource: str
    path: tuple[str, ...] = ()
    ports: PortRange | None = None
    network: Network | None = None

    def __str__(self) -> str:
        return f"{self.role}: {'deny' if self.action is None else self.action.value}: {self.resource}"


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role as a table has it."""

    extends: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    exec: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    listen: tuple[str, ...] = ()
    network: str = ""
    deny: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole table.

    Attributes:
        roles: by name.
        hook: a script beside the table that has a word in every start; "" for none.
    """

    roles: dict[str, Role]
    hook: str = ""


class Policy(msgspec.Struct, frozen=True):
    """One role's rules, ready to be asked.

    Attributes:
        role: its name.
        rules: its own and those of the roles that it extends.
    """

    role: str
    rules: tuple[Rule, ...]


class Decision(msgspec.Struct, frozen=True):
    """An answer.

    Attributes:
        allowed: whether it may be done.
        action: what was asked.
        resource: of what.
        rule: the rule that decided; None: no rule is about it, so that it is denied.
    """

    allowed: bool
    action: Action
    resource: str
    rule: Rule | None

    def __str__(self) -> str:
        why = f"by the rule {self.rule}" if self.rule is not None else "as no rule allows it"
        return f"{self.action.value} {self.resource}: {'allowed' if self.allowed else 'denied'} {why}"


def parse_table(data: bytes, where: str) -> Table:
    """Reads a table.

    Args:
        data: its TOML.
        where: what it is called, for messages.

    Raises:
        RequestError: it is none; the message says where it is wrong.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise RequestError(f"{where} has more than {MAX_TABLE_BYTES} bytes")
    try:
        table = msgspec.toml.decode(data, type=Table)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RequestError(f"{where} is no table of permissions: {str(error)[:300]}", hint=_HINT) from error
    if len(table.roles) > _MAX_ROLES:
        raise RequestError(f"{where} has more than {_MAX_ROLES} roles")
    for name, role in table.roles.items():
        if not _ROLE.match(name):
            raise RequestError(
                f"{where}: {name[:80]!r} is no name for a role", hint="Use letters, digits, '-' and '_'."
            )
        if (
            sum(len(getattr(role, field)) for field in ("read", "write", "exec", "connect", "listen", "deny"))
            > _MAX_RULES
        ):
            raise RequestError(f"{where}: the role {name} has more than {_MAX_RULES} rules")
        # Every rule is read now, with variables that mean nothing, so that a mistake is found whoever starts something.
        _rules(name, role, {"uid": "0", "gid": "0", "user": "u", "name": "n"}, where)
        _lineage(table, name, where)
    return table


_HINT = 'Write for instance: [roles.guest] and below it read = ["/data/public"].'


def policy_of(table: Table, role: str, variables: Mapping[str, str], where: str) -> Policy:
    """A role's rules, with variables filled in.

    Args:
        table: has the role.
        role: its name.
        variables: `uid`, `gid`, `user`, `name`.
        where: what the table is called.

    Raises:
        RequestError: there is no such role, or a variable's value cannot stand in a path.
    """
    rules: list[Rule] = []
    for name in _lineage(table, role, where):
        rules += _rules(name, table.roles[name], variables, where)
    return Policy(role, tuple(rules))


def decide_path(policy: Policy, action: Action, path: str) -> Decision:
    """Whether a path may be read, written or executed.

    Args:
        policy: the role's.
        action: one of the three.
        path: absolute; links are resolved by whoever asks.
    """
    parts = components(path)
    denying = [rule for rule in policy.rules if rule.action is None and _covers(rule.path, parts)]
    if ".." in path.split("/") or not path.startswith("/"):
        return Decision(False, action, path, None)
    if denying:
        return Decision(False, action, path, _longest(denying))
    allowing = [rule for rule in policy.rules if rule.action in _GIVES[action] and _covers(rule.path, parts)]
    return Decision(bool(allowing), action, path, _longest(allowing) if allowing else None)


def decide_port(policy: Policy, action: Action, protocol: str, port: int) -> Decision:
    """Whether a port may be connected to or listened on.

    Args:
        policy: the role's.
        action: CONNECT or LISTEN.
        protocol: "tcp" or "udp".
        port: its number.
    """
    for rule in policy.rules:
        ports = rule.ports
        if rule.action is action and ports and ports.protocol == protocol and ports.first <= port <= ports.last:
            return Decision(True, action, f"{protocol}/{port}", rule)
    return Decision(False, action, f"{protocol}/{port}", None)


def decide_network(policy: Policy, network: Network) -> Decision:
    """Whether a program may have a network: nobody needs permission to have none, and `host` includes `private`."""
    if network is Network.NONE:
        return Decision(True, Action.NETWORK, network.value, None)
    for rule in policy.rules:
        if rule.network is not None and _REACH[rule.network] >= _REACH[network]:
            return Decision(True, Action.NETWORK, network.value, rule)
    return Decision(False, Action.NETWORK, network.value, None)


def components(path: str) -> tuple[str, ...]:
    """A path's components."""
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _covers(rule: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return path[: len(rule)] == rule


def _longest(rules: list[Rule]) -> Rule:
    return max(rules, key=lambda rule: len(rule.path))


def _lineage(table: Table, role: str, where: str) -> list[str]:
    """A role and those that it extends, each once, the role first."""
    found: list[str] = []
    todo = [(role, 0)]
    while todo:
        name, depth = todo.pop(0)
        if name not in table.roles:
            has = ", ".join(sorted(table.roles)[:20]) or "none"
            raise RequestError(f"{where} has no role {name[:80]!r}", hint=f"It has {has}.")
        if depth > _MAX_DEPTH:
            raise RequestError(f"{where}: the role {role} extends others more than {_MAX_DEPTH} deep")
        if name not in found:
            found.append(name)
            todo += [(each, depth + 1) for each in table.roles[name].extends]
    return found


def _rules(name: str, role: Role, variables: Mapping[str, str], where: str) -> list[Rule]:
    rules = []
    for action in (*_ON_PATHS, None):
        for text in role.deny if action is None else getattr(role, action.value):
            path = _filled(text, variables, f"{where}: {name}")
            if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
                raise RequestError(f"{where}: {name}: {text[:120]!r} is no absolute path", hint="Write it from / on.")
            rules.append(Rule(name, action, path, components(path)))
    for action in (Action.CONNECT, Action.LISTEN):
        texts = getattr(role, action.value)
        rules += [Rule(name, action, text, ports=_ports(text, f"{where}: {name}")) for text in texts]
    if role.network:
        if role.network not in {each.value for each in Network}:
            raise RequestError(
                f"{where}: {name}: there is no network {role.network[:40]!r}", hint="Write none, private or host."
            )
        rules.append(Rule(name, Action.NETWORK, role.network, network=Network(role.network)))
    return rules


def _filled(text: str, variables: Mapping[str, str], where: str) -> str:
    def value(matched: re.Match[str]) -> str:
        found = variables.get(matched[1])
        if found is None:
            raise RequestError(
                f"{where}: {matched[0]} is no variable",
                hint=f"There are {', '.join('${' + each + '}' for each in sorted(variables))}.",
            )
        if not found or "/" in found or found in (".", "..") or "\0" in found:
            raise RequestError(f"{where}: {matched[0]} is {found[:40]!r}, which cannot stand in a path")
        return found

    filled = _VARIABLE.sub(value, text)
    if "${" in filled:
        raise RequestError(f"{where}: {text[:120]!r} has a ${{ that is never closed")
    return filled


def _ports(text: str, where: str) -> PortRange:
    matched = _PORTS.match(text)
    first = int(matched[2]) if matched else 0
    last = int(matched[3] or matched[2]) if matched else 0
    if not matched or not 0 < first <= last < 1 << 16:
        raise RequestError(f"{where}: {text[:80]!r} is no port", hint="Write for instance tcp/443 or udp/5000-5010.")
    return PortRange(matched[1], first, last)
