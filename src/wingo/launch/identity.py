"""Whose numbers a container's users are outside of it: three ways, whichever the account can have.

| way | when | user N in the container is |
| --- | --- | --- |
| shifted | wingo runs as root | BASE + N: nobody on this machine, so that nothing of root's is the container's |
| subordinate | the account has lines in /etc/subuid and /etc/subgid, and newuidmap is installed | 0: the account; else one of its subordinates |
| single | otherwise | 0: the account; there is no other |
"""

from __future__ import annotations

import msgspec

SHIFT = 1_879_048_192
"""The first number of the range that root's containers have; systemd's "Users, Groups, UIDs and GIDs" leaves it free."""
SHIFTED_SIZE = 65_536
NOBODY = 65_534


class IdRange(msgspec.Struct, frozen=True):
    """Consecutive numbers: as the container has them, as this machine has them, and how many."""

    inside: int
    outside: int
    size: int

    def __str__(self) -> str:
        return f"{self.inside} {self.outside} {self.size}"


class Identity(msgspec.Struct, frozen=True):
    """How users and groups of a container are numbered on this machine.

    Attributes:
        way: "shifted", "subordinate" or "single"; layers are unpacked once for each.
        uids: users.
        gids: groups.
    """

    way: str
    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    def uid_outside(self, uid: int) -> int:
        """This machine's number of a user of the container; nobody's when it has none."""
        return _outside(self.uids, uid)

    def gid_outside(self, gid: int) -> int:
        """The same for a group."""
        return _outside(self.gids, gid)

    def uid_inside(self, uid: int) -> int:
        """The container's number of a user of this machine; nobody's when it has none."""
        return _inside(self.uids, uid)

    def gid_inside(self, gid: int) -> int:
        """The same for a group."""
        return _inside(self.gids, gid)


def choose_identity(
    uid: int, gid: int, name: str, subordinate_uids: str, subordinate_gids: str, *, has_helpers: bool
) -> Identity:
    """The way that an account can have.

    Args:
        uid: its user's number.
        gid: its group's.
        name: its user's name.
        subordinate_uids: the text of /etc/subuid; "" when there is none.
        subordinate_gids: the text of /etc/subgid.
        has_helpers: whether newuidmap and newgidmap are installed.
    """
    if uid == 0:
        shifted = (IdRange(0, SHIFT, SHIFTED_SIZE),)
        return Identity("shifted", shifted, shifted)
    uids, gids = _subordinate(subordinate_uids, uid, name), _subordinate(subordinate_gids, uid, name)
    if has_helpers and uids is not None and gids is not None:
        return Identity("subordinate", (IdRange(0, uid, 1), uids), (IdRange(0, gid, 1), gids))
    return Identity("single", (IdRange(0, uid, 1),), (IdRange(0, gid, 1),))


def _subordinate(text: str, uid: int, name: str) -> IdRange | None:
    """The first line of an account in /etc/subuid (subuid(5)), as the numbers from 1 on."""
    for line in text.splitlines():
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if owner in (name, str(uid)) and first.isdigit() and count.strip().isdigit() and int(count) > 0:
            return IdRange(1, int(first), int(count))
    return None


def _outside(ranges: tuple[IdRange, ...], number: int) -> int:
    for wanted in (number, NOBODY):
        for each in ranges:
            if each.inside <= wanted < each.inside + each.size:
                return each.outside + wanted - each.inside
    return ranges[0].outside


def _inside(ranges: tuple[IdRange, ...], number: int) -> int:
    for each in ranges:
        if each.outside <= number < each.outside + each.size:
            return each.inside + number - each.outside
    return NOBODY
