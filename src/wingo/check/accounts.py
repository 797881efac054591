"""Whom an image's program runs as, and what he may do with a file of it."""

from __future__ import annotations

import msgspec

from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.linux.accounts import Account, find_account
from wingo.view.layer import Node
from wingo.windows.security import CONTAINER_ADMINISTRATOR, SERVICE_ACCOUNTS

ADMINISTRATORS = "S-1-5-32-544"
SERVERCORE_LIKE = frozenset({"servercore", "server"})
"""Bases whose default user is ContainerAdministrator; nanoserver's is ContainerUser."""


class WindowsAccount(msgspec.Struct, frozen=True):
    """A user of a Windows container.

    Attributes:
        name: for people.
        sids: its own and its groups'.
    """

    name: str
    sids: frozenset[str]


_USER = WindowsAccount("ContainerUser", SERVICE_ACCOUNTS)
_ADMINISTRATOR = WindowsAccount(
    "ContainerAdministrator",
    frozenset({CONTAINER_ADMINISTRATOR, ADMINISTRATORS, *(SERVICE_ACCOUNTS - {"S-1-5-93-2-2"})}),
)


def account_of(user: str, flavour: str) -> WindowsAccount:
    """The account of a config's `User` on a base; where neither says who, the one with fewer rights.

    Other names are taken for ordinary users: their groups are in the base's registry.
    """
    name = upcase(user.rpartition("\\")[2])
    if name == "CONTAINERADMINISTRATOR" or (not name and flavour in SERVERCORE_LIKE):
        return _ADMINISTRATOR
    return _USER if name in ("", "CONTAINERUSER") else WindowsAccount(user, SERVICE_ACCOUNTS)


def linux_account(user: str, passwd: str, group: str) -> Account | None:
    """The account of a config's `User` in an image; None when it is not there."""
    try:
        return find_account(user, passwd, group)
    except RequestError:
        return None


def may(account: Account, node: Node, bits: int) -> bool:
    """Whether an account has rights on a file (4 read, 2 write, 1 run); root runs what anybody may run."""
    if account.uid == 0:
        return not bits & 1 or bool(node.mode & 0o111)
    if account.uid == node.uid:
        mode = node.mode >> 6
    elif node.gid in (account.gid, *account.groups):
        mode = node.mode >> 3
    else:
        mode = node.mode
    return mode & bits == bits
