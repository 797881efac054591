"""Users of a Linux image, by number: no other file of the image has to be read to know who owns what."""

from __future__ import annotations

import msgspec

from wingo.errors import RequestError

MAX_ID = (1 << 32) - 2
"""The highest user or group number; the one above means "unchanged" to chown(2)."""


class Owner(msgspec.Struct, frozen=True):
    """A user's and a group's number."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


ROOT = Owner(0, 0)
NONROOT = Owner(65532, 65532)
"""As distroless calls it; Kubernetes' runAsNonRoot only believes a number."""
NOBODY = Owner(65534, 65534)

DEFAULT_USER = str(NONROOT)
"""The config's user on a base of ours."""

_KNOWN = {"": ROOT, "root": ROOT, "nonroot": NONROOT, "nobody": NOBODY}
"""Names that mean the same number in every base that has them."""


def parse_owner(text: str) -> Owner:
    """Reads `UID:GID`.

    Raises:
        RequestError: not two numbers, or one too large.
    """
    uid, colon, gid = text.partition(":")
    if not colon:
        raise _not_numbers(text)
    return Owner(_number(uid, text), _number(gid, text))


def owner_of_user(user: str) -> Owner:
    """Who the files of a service belong to that runs as a config's `User`.

    Args:
        user: "", a number, a name that is the same everywhere (root, nonroot, nobody), or `USER:GROUP` of those. A
            number alone goes with the group of the same number when it is one of those names', else with group 0, as
            runtimes take a number that is not in /etc/passwd (OCI runtime-spec leaves it to them; runc
            `libcontainer/user` does so).

    Raises:
        RequestError: any other name: its number stands in the base's /etc/passwd, which is not read.
    """
    name, colon, group = user.partition(":")
    if name in _KNOWN:
        owner = _KNOWN[name]
    elif _is_number(name):
        uid = _number(name, user)
        owner = next((known for known in _KNOWN.values() if known.uid == uid), Owner(uid, 0))
    else:
        raise _not_numbers(user)
    if not colon:
        return owner
    if group in _KNOWN and group:
        return Owner(owner.uid, _KNOWN[group].gid)
    return Owner(owner.uid, _number(group, user))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str, text: str) -> int:
    if not _is_number(digits):
        raise _not_numbers(text)
    if len(digits) > 10 or int(digits) > MAX_ID:
        raise RequestError(f"{text[:80]!r} has a number above {MAX_ID}, the highest that Linux has")
    return int(digits)


def _not_numbers(text: str) -> RequestError:
    return RequestError(
        f"the numbers of the user {text[:80]!r} are not known", hint=f"Write UID:GID, for instance {DEFAULT_USER}."
    )
