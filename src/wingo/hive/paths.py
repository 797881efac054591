r"""Registry paths as people write them: `HKLM\SYSTEM\CurrentControlSet\Services`, `HKLM:\SOFTWARE`, `Registry::HKEY_...`."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from wingo.errors import RequestError
from wingo.hive.keys import Key, find_key, find_value, split_path
from wingo.hive.upcase import upcase
from wingo.hive.values import number_of

SYSTEM, SOFTWARE, SAM, SECURITY, DEFAULT = "SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT"
HIVES = {
    SYSTEM: "HKEY_LOCAL_MACHINE\\SYSTEM",
    SOFTWARE: "HKEY_LOCAL_MACHINE\\SOFTWARE",
    SAM: "HKEY_LOCAL_MACHINE\\SAM",
    SECURITY: "HKEY_LOCAL_MACHINE\\SECURITY",
    DEFAULT: "HKEY_USERS\\.DEFAULT",
}
"""The hives that an image's layers can change, and where Windows shows each."""

_ROOTS = {
    "HKLM": "HKLM",
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKU": "HKU",
    "HKEY_USERS": "HKU",
    "HKCR": "HKCR",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKCU": "HKCU",
    "HKEY_CURRENT_USER": "HKCU",
    "HKCC": "HKCC",
    "HKEY_CURRENT_CONFIG": "HKCC",
}
_PROVIDERS = ("MICROSOFT.POWERSHELL.CORE\\REGISTRY::", "REGISTRY::", "COMPUTER\\")
_NO_HIVE = {
    "HKCU": "a user's hive is made at the first logon, from the default profile",
    "HKCC": "it shows a part of SYSTEM that Windows chooses when it starts",
}


class Where(msgspec.Struct, frozen=True):
    """A key's place.

    Attributes:
        hive: one of `HIVES`; "" when the path names no root and so is below the root of the hive at hand.
        path: below the hive's root.
    """

    hive: str
    path: str


@lru_cache(maxsize=4096)
def parse_where(text: str) -> Where:
    """A path as a person writes it.

    Raises:
        RequestError: a name in it cannot be, or no hive of an image holds it.
    """
    plain = text.strip()
    for provider in _PROVIDERS:
        if upcase(plain).startswith(provider):
            plain = plain[len(provider) :]
    first, _, rest = plain.lstrip("\\").partition("\\")
    root = _ROOTS.get(upcase(first.removesuffix(":")))
    if root is None:
        if first.endswith(":"):
            raise RequestError(f"there is no registry root {first!r}", hint="Write HKLM, HKU or HKCR.")
        return Where("", "\\".join(split_path(plain)))
    names = split_path(rest)
    if root == "HKCR":
        return Where(SOFTWARE, "\\".join(("Classes", *names)))
    if root in _NO_HIVE:
        raise RequestError(
            f"{text}: no hive of an image holds {root}: {_NO_HIVE[root]}",
            hint="HKU\\.DEFAULT is the hive of the system's own account.",
        )
    below = upcase(names[0]) if names else ""
    hive = {"HKLM": below, "HKU": DEFAULT if below == ".DEFAULT" else ""}[root]
    if hive not in HIVES or (root == "HKLM" and hive == DEFAULT):
        shown = ", ".join(HIVES.values())
        raise RequestError(f"{text}: no hive of an image holds it", hint=f"The hives are {shown}.")
    return Where(hive, "\\".join(names[1:]))


def resolve_control_set(root: Key, path: str) -> str:
    r"""A path below SYSTEM with `CurrentControlSet`, a link that exists at run time, as the key that `Select\Current` names.

    Raises:
        RequestError: the hive has no `Select\Current`.
        Malformed: the hive is not what its format says.
    """
    names = split_path(path)
    if not names or upcase(names[0]) != "CURRENTCONTROLSET":
        return path
    select = find_key(root, "Select")
    value = find_value(select, "Current") if select is not None else None
    number = number_of(value) if value is not None else None
    if number is None or not 0 < number < 1000:
        if find_key(root, "CurrentControlSet") is not None:
            return path
        raise RequestError(
            "the hive has no Select\\Current, so CurrentControlSet leads nowhere", hint="Write ControlSet001."
        )
    return "\\".join((f"ControlSet{number:03}", *names[1:]))
