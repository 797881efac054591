"""Who a program runs as: an image's `User` and the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

import msgspec

from wingo.errors import RequestError
from wingo.linux.users import MAX_ID, owner_of_user


class Account(msgspec.Struct, frozen=True):
    """A user in the container.

    Attributes:
        groups: the further ones.
        home: its directory.
    """

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"
    name: str = ""


def find_account(user: str, passwd: str, group: str) -> Account:
    """Resolves `USER[:GROUP]` as runc does: a name, or a number that may have an entry.

    Args:
        user: the config's `User`, or what was asked for; "" is root.
        passwd: the text of the image's /etc/passwd; "" when it has none.
        group: the text of its /etc/group.

    Raises:
        RequestError: a name that the image does not know.
    """
    name, colon, group_name = user.partition(":")
    name = name or "0"
    entry = next(
        (
            fields
            for fields in _entries(passwd, 7)
            if fields[0] == name or (name.isdigit() and fields[2] == str(int(name)))
        ),
        None,
    )
    groups = [fields for fields in _entries(group, 4) if fields[2].isdigit()]
    if entry is not None and entry[2].isdigit() and entry[3].isdigit():
        account = Account(int(entry[2]), int(entry[3]), home=entry[5] or "/", name=entry[0])
    elif name.isascii() and name.isdigit():
        account = Account(int(name), home="/root" if int(name) == 0 else "/")
    else:
        try:
            owner = owner_of_user(name)
        except RequestError as error:
            raise RequestError(
                f"the image has no user {name[:80]!r} in its /etc/passwd",
                hint="Give a number: -u 1000 or -u 1000:1000.",
            ) from error
        account = Account(owner.uid, owner.gid, name=name)
    if colon and group_name:
        chosen = next((int(fields[2]) for fields in groups if group_name in (fields[0], fields[2])), None)
        if chosen is None and group_name.isascii() and group_name.isdigit():
            chosen = int(group_name)
        if chosen is None:
            raise RequestError(f"the image has no group {group_name[:80]!r} in its /etc/group", hint="Give a number.")
        account = msgspec.structs.replace(account, gid=chosen)
    elif account.name:
        further = tuple(int(fields[2]) for fields in groups if account.name in fields[3].split(","))
        account = msgspec.structs.replace(account, groups=tuple(sorted({*further} - {account.gid})))
    if max(account.uid, account.gid, *account.groups, 0) > MAX_ID:
        raise RequestError(f"the user {user[:80]!r} has a number that is too large", hint=f"{MAX_ID} is the highest.")
    return account


def _entries(text: str, fields: int) -> list[list[str]]:
    return [found for line in text.splitlines() if len(found := line.split(":")) >= fields and found[0]]
