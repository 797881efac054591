"""`New-LocalUser` and `Add-LocalGroupMember`."""

from __future__ import annotations

from wingo.dockerfile.lowering import accounts
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Thing, Value


def new_local_user(bound: Bound) -> list[Value]:
    """`New-LocalUser NAME -NoPassword`."""
    if not bound.switch("NoPassword"):
        raise CannotLower("a password is encrypted with keys of the running system", "Use -NoPassword.")
    name = bound.text("Name")
    accounts.add_user(
        bound.shell.session,
        name,
        full_name=bound.text("FullName"),
        comment=bound.text("Description"),
        active=not bound.switch("Disabled"),
    )
    return [Thing("account", {"Name": name}, name)]


def add_member(bound: Bound) -> list[Value]:
    """`Add-LocalGroupMember -Group G -Member A`."""
    if not bound.has("Group"):
        raise CannotLower("Add-LocalGroupMember by a group's SID is not lowered", "Name the group.")
    for account in bound.texts("Member"):
        accounts.add_member(bound.shell.session, bound.text("Group"), account)
    return []


def set_local_user(bound: Bound) -> list[Value]:
    """`Set-LocalUser NAME -PasswordNeverExpires $true`: the accounts that are made here are so."""
    given = set(bound.values) - {"Name", "ErrorAction"}
    if given - {"PasswordNeverExpires"} or not bound.switch("PasswordNeverExpires"):
        raise CannotLower("Set-LocalUser changes an account, which is not lowered", "Say it with New-LocalUser.")
    for name in bound.texts("Name"):
        if not accounts.local_account_sid(bound.shell.session, name):
            raise CommandFailed(f"user {name} was not found")
    return []


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("New-LocalUser", "Name Password NoPassword! FullName Description Disabled! AccountExpires AccountNeverExpires! PasswordNeverExpires! UserMayNotChangePassword!", new_local_user, positional="Name"),
    cmdlet("Set-LocalUser", "Name PasswordNeverExpires Password Description FullName AccountExpires AccountNeverExpires! UserMayChangePassword", set_local_user, positional="Name"),
    cmdlet("Add-LocalGroupMember", "Group Member SID", add_member, positional="Group Member"),
)  # fmt: skip
