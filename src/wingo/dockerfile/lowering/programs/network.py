"""`net`: accounts, groups, services."""

from __future__ import annotations

from wingo.dockerfile.lowering import accounts
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs import services
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session

_PASSWORD = "a password is encrypted with keys of the running system"  # noqa: S105  (a sentence about them)


def net(session: Session, call: Call) -> int:
    """`net user | localgroup | accounts | start | stop`."""
    if not call.arguments:
        raise CommandFailed("net: the syntax of this command is incorrect")
    verb, *rest = call.arguments
    name = verb.lower()
    if name in ("start", "stop", "pause", "continue"):
        if rest:
            services.require(session, rest[0], status=2)
            session.note(f"net {name} {rest[0]} does nothing to an image: services run in a container alone")
        return 0
    switches = {word[1:].partition(":")[0].lower(): word[1:].partition(":")[2] for word in rest if word.startswith("/")}
    words = [word for word in rest if not word.startswith("/")]
    if name in ("user", "users"):
        return _user(session, call, words, switches)
    if name == "localgroup":
        return _group(session, call, words, switches)
    if name == "accounts":
        return _accounts(session, call, switches)
    raise CannotLower(f"net {verb} is not lowered", "net user, localgroup, accounts, start and stop are.")


def _user(session: Session, call: Call, words: list[str], switches: dict[str, str]) -> int:
    if not switches and len(words) <= 1:
        call.output.unknown = "net user"
        return 0
    if "add" not in switches:
        raise CannotLower(
            f"net user {' '.join(call.arguments[1:2])} … changes an account, which is not lowered", "Say it with /add."
        )
    if len(words) != 1:
        if len(words) == 2:
            raise CannotLower(
                f"net user {words[0]}: {_PASSWORD}", "Leave the password out: nobody logs on with it in a container."
            )
        raise CommandFailed("net user: the syntax of this command is incorrect")
    known = {"add", "expires", "expire", "passwordreq", "active", "fullname", "comment", "passwordchg", "y", "random"}
    unknown = [
        switch for switch in switches if not any(name.startswith(switch) for name in known) or switch == "random"
    ]
    if unknown:
        raise CannotLower(f"net user /{unknown[0]} is not lowered", "Leave it out.")
    accounts.add_user(
        session,
        words[0],
        full_name=switches.get("fullname", "").strip('"'),
        comment=switches.get("comment", "").strip('"'),
        password_needed=switches.get("passwordreq", "yes").lower() != "no",
        active=switches.get("active", "yes").lower() != "no",
    )
    return 0


def _group(session: Session, call: Call, words: list[str], switches: dict[str, str]) -> int:
    if not switches:
        call.output.unknown = "net localgroup"
        return 0
    if set(switches) != {"add"} or len(words) < 2:
        raise CannotLower(
            "net localgroup makes or removes a group, which is not lowered", "net localgroup GROUP ACCOUNT /add is."
        )
    for account in words[1:]:
        accounts.add_member(session, words[0], account)
    return 0


def _accounts(session: Session, call: Call, switches: dict[str, str]) -> int:
    if not switches:
        call.output.unknown = "net accounts"
        return 0
    if set(switches) != {"maxpwage"}:
        raise CannotLower(f"net accounts /{' /'.join(switches)} is not lowered", "net accounts /maxpwage is.")
    text = switches["maxpwage"].lower()
    if text != "unlimited" and not (text.isdigit() and 1 <= int(text) <= 999):
        raise CommandFailed("net accounts: /maxpwage wants a number of days or unlimited", 3952)
    accounts.set_maximum_age(session, None if text == "unlimited" else int(text))
    return 0


PROGRAMS: dict[str, Program] = {"net": net, "net1": net}
