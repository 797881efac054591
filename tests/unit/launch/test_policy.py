"""Tables of permissions: reading them, asking them."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError, TrustError
from wingo.launch.enforce import decide_start, has_datagrams, require_allowed, under_policy
from wingo.launch.policy import Action, decide_network, decide_path, decide_port, parse_table, policy_of
from wingo.launch.spec import Mount, MountKind, Network, Port, RunSpec
from wingo.oci.platform import Platform

TABLE = b"""
[roles.guest]
read = ["/data/public"]

[roles.user]
extends = ["guest"]
write = ["/data/user/${uid}"]
exec = ["/app/bin"]
connect = ["tcp/443", "udp/53"]
listen = ["tcp/8000-8010"]
network = "private"
deny = ["/data/user/${uid}/locked", "/data/public/secret"]
"""
VARIABLES = {"uid": "7", "gid": "8", "user": "somebody", "name": "box"}


def policy(role: str):
    return policy_of(parse_table(TABLE, "table"), role, VARIABLES, "table")


@pytest.mark.parametrize(
    ("role", "action", "path", "rule"),
    [
        ("guest", Action.READ, "/data/public", "guest: read: /data/public"),
        ("guest", Action.READ, "/data/public/a/b", "guest: read: /data/public"),
        ("guest", Action.READ, "/data/publicity", None),
        ("guest", Action.READ, "/data", None),
        ("guest", Action.READ, "/", None),
        ("guest", Action.WRITE, "/data/public", None),
        ("guest", Action.EXEC, "/data/public", None),
        ("guest", Action.READ, "/data/user/7", None),
        ("user", Action.READ, "/data/public/x", "guest: read: /data/public"),
        ("user", Action.READ, "/data/user/7/x", "user: write: /data/user/7"),
        ("user", Action.WRITE, "/data/user/7/x", "user: write: /data/user/7"),
        ("user", Action.EXEC, "/data/user/7/x", None),
        ("user", Action.WRITE, "/data/user/70", None),
        ("user", Action.EXEC, "/app/bin/x", "user: exec: /app/bin"),
        ("user", Action.READ, "/app/bin/x", "user: exec: /app/bin"),
        ("user", Action.WRITE, "/app/bin/x", None),
    ],
)
def test_paths(role, action, path, rule):
    decision = decide_path(policy(role), action, path)
    assert decision.allowed == (rule is not None)
    assert (str(decision.rule) if decision.rule else None) == rule


@pytest.mark.parametrize("action", [Action.READ, Action.WRITE, Action.EXEC])
@pytest.mark.parametrize("path", ["/data/user/7/locked", "/data/user/7/locked/x", "/data/public/secret"])
def test_a_denial_wins_and_says_so(action, path):
    decision = decide_path(policy("user"), action, path)
    assert not decision.allowed
    assert decision.rule is not None
    assert str(decision.rule).startswith("user: deny: ")


@pytest.mark.parametrize("path", ["/data/public/../user", "data/public", "", "/data/public/.."])
def test_paths_that_are_not_plain_are_denied(path):
    assert not decide_path(policy("guest"), Action.READ, path).allowed


def test_ports_and_networks():
    user, guest = policy("user"), policy("guest")
    assert decide_port(user, Action.CONNECT, "tcp", 443).allowed
    assert not decide_port(user, Action.CONNECT, "udp", 443).allowed
    assert decide_port(user, Action.LISTEN, "tcp", 8010).allowed
    assert not decide_port(user, Action.LISTEN, "tcp", 8011).allowed
    assert not decide_port(user, Action.CONNECT, "tcp", 8010).allowed
    assert not decide_port(guest, Action.CONNECT, "tcp", 443).allowed
    assert decide_network(guest, Network.NONE).allowed
    assert not decide_network(guest, Network.PRIVATE).allowed
    assert decide_network(user, Network.PRIVATE).allowed
    assert not decide_network(user, Network.HOST).allowed
    assert has_datagrams(user)
    assert not has_datagrams(guest)


def spec(**changes: object) -> RunSpec:
    plain = {"name": "x", "platform": Platform("linux", "amd64"), "argv": ("/app/bin/x",)}
    return RunSpec(**{**plain, **changes})  # type: ignore[arg-type]


def test_a_start_is_asked_for_its_network_ports_and_volumes():
    wanted = spec(
        ports=(Port(8000), Port(80)),
        mounts=(Mount("/data/user/7", "/a"), Mount("/data/public", "/b", read_only=True), Mount("/data/public", "/c")),
    )
    decisions = decide_start(policy("user"), wanted)
    assert [decision.allowed for decision in decisions] == [True, True, False, True, True, False]
    with pytest.raises(TrustError, match=r"listen tcp/80: denied as no rule.*write /data/public: denied"):
        require_allowed(policy("user"), wanted)
    require_allowed(policy("user"), spec(ports=(Port(8000),)))


def test_what_nobody_may_write_is_read_only():
    assert under_policy(policy("guest"), spec()).read_only
    assert not under_policy(policy("user"), spec()).read_only
    assert under_policy(policy("user"), spec(mounts=(Mount("/data/user", "/a"),))).read_only
    covered = under_policy(policy("user"), spec()).mounts
    assert {(mount.target, mount.kind) for mount in covered} == {
        ("/data/user/7/locked", MountKind.NOTHING),
        ("/data/public/secret", MountKind.NOTHING),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("roles = 3", "no table of permissions"),
        ("[roles.a]\nreed = []", "reed"),
        ("[roles.a]\nread = 'x'", "array"),
        ("[roles.'a b']\nread = []", "no name for a role"),
        ("[roles.a]\nread = ['data']", "no absolute path"),
        ("[roles.a]\nread = ['/a/../b']", "no absolute path"),
        ("[roles.a]\nread = ['/a/${home}']", "no variable"),
        ("[roles.a]\nread = ['/a/${uid']", "never closed"),
        ("[roles.a]\nconnect = ['443']", "no port"),
        ("[roles.a]\nconnect = ['tcp/9-8']", "no port"),
        ("[roles.a]\nlisten = ['tcp/65536']", "no port"),
        ("[roles.a]\nnetwork = 'all'", "no network"),
        ("[roles.a]\nextends = ['b']", "no role 'b'"),
        ("\xff", "no table"),
    ],
)
def test_mistakes_are_found_before_anything_starts(text, words):
    with pytest.raises(RequestError, match=words):
        parse_table(text.encode("latin-1"), "table")


def test_variables_cannot_lead_elsewhere():
    table = parse_table(b"[roles.a]\nread = ['/home/${user}']", "table")
    for user in ("..", "a/b", "", ".", "a\0b"):
        with pytest.raises(RequestError, match="cannot stand in a path"):
            policy_of(table, "a", VARIABLES | {"user": user}, "table")


def test_circles_of_roles_end():
    table = parse_table(b"[roles.a]\nextends=['b']\nread=['/a']\n[roles.b]\nextends=['a']\nread=['/b']", "table")
    assert [str(rule) for rule in policy_of(table, "a", VARIABLES, "t").rules] == ["a: read: /a", "b: read: /b"]
