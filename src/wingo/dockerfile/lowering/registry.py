r"""The registry while steps are lowered: the base's hives, and the edits so far on them.

`HKCU` is the hive of the account that the steps run as, which in an image is a file of its profile and no hive of a layer.
A hive that was not read is stood in for by one with next to nothing in it, and what edits need there is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wingo.dockerfile.lowering.edits import hole
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.errors import RequestError
from wingo.hive.edit import CreateKey, Edit, SetValue, apply_edits
from wingo.hive.keys import Key, TreeKey, split_path
from wingo.hive.paths import HIVES, SYSTEM
from wingo.hive.upcase import upcase
from wingo.hive.values import DWORD, EXPAND_SZ, SZ, Value, encode_text
from wingo.windows.registry import Registry

USER = "USER"
"""The name here of the hive of the step's account."""
USER_ROOT = "HKEY_CURRENT_USER"
USER_ENVIRONMENT = rf"{USER_ROOT}\Environment"
MAX_CHANGES = 20_000
_MAX_DEPTH = 24

_USER_ROOTS = ("HKCU", USER_ROOT)
_PROVIDERS = ("MICROSOFT.POWERSHELL.CORE\\REGISTRY::", "REGISTRY::")
BASE_PATH = hole("PATH of the base")


class StageRegistry(Registry, frozen=True):
    """A registry in which changes are kept.

    Attributes:
        hives: the hives' root keys with the changes, by name (`wingo.hive.paths.HIVES`, `USER`).
        bases: the same before the changes.
        assumed: names of the hives that were not read.
        changes: in order, each path with its root in full.
        located: the same by hive, their paths below its root.
        depths: how many views lie on each other, by hive.
    """

    bases: Mapping[str, Key] = {}
    assumed: frozenset[str] = frozenset()
    changes: tuple[Edit, ...] = ()
    located: Mapping[str, tuple[Edit, ...]] = {}
    depths: Mapping[str, int] = {}

    def locate(self, path: str) -> tuple[str, str]:
        """See `Registry.locate`; `HKCU` is known here.

        Raises:
            RequestError: the path is none, or no hive of an image holds it.
        """
        plain = plain_path(path)
        first, _, rest = plain.partition("\\")
        if upcase(first) in _USER_ROOTS:
            return USER, "\\".join(split_path(rest))
        return super().locate(plain)

    def full_path(self, path: str) -> str:
        """See `Registry.full_path`.

        Raises:
            RequestError: see `locate`.
        """
        hive, below = self.locate(path)
        root = USER_ROOT if hive == USER else HIVES[hive]
        return f"{root}\\{below}" if below else root

    def is_assumed(self, path: str) -> bool:
        """Whether the hive of a path was not read.

        Raises:
            RequestError: see `locate`.
        """
        return self.locate(path)[0] in self.assumed

    def with_changes(self, changes: Sequence[Edit]) -> StageRegistry:
        """The registry after changes, in their order.

        Raises:
            CannotLower: there are too many.
            RequestError: a change cannot be made.
        """
        if len(self.changes) + len(changes) > MAX_CHANGES:
            raise CannotLower(f"the steps make more than {MAX_CHANGES} changes of the registry")
        whole = tuple(msgspec.structs.replace(change, path=self.full_path(change.path)) for change in changes)
        located, hives, depths = dict(self.located), dict(self.hives), dict(self.depths)
        for change in whole:
            name, path = self.locate(change.path)
            located[name] = (*located.get(name, ()), msgspec.structs.replace(change, path=path))
        for name, every in located.items():
            fresh = every[len(self.located.get(name, ())) :]
            if not fresh:
                continue
            # Views on views get slow, and one view of everything is slow to make: now and then it is made anew.
            depths[name] = (depths.get(name, 0) + 1) % _MAX_DEPTH
            below, edits = (hives[name], fresh) if depths[name] else (self.bases[name], every)
            hives[name] = apply_edits(below, edits)
        return msgspec.structs.replace(
            self, changes=(*self.changes, *whole), located=located, hives=hives, depths=depths
        )

    def assume_key(self, path: str) -> StageRegistry:
        """The registry with a key that is taken to be there, in a hive that was not read; no change.

        Raises:
            RequestError: see `locate`.
        """
        hive, below = self.locate(path)
        if hive not in self.assumed or self.find(path) is not None:
            return self
        bases = {**self.bases, hive: apply_edits(self.bases[hive], [CreateKey(below)])}
        after = msgspec.structs.replace(self, bases=bases)
        return msgspec.structs.replace(
            after, hives={**self.hives, hive: apply_edits(bases[hive], after.edits_of(hive))}
        )

    def with_user(self, root: Key) -> StageRegistry:
        """The registry with the hive of the step's account, which was not read before."""
        bases = {**self.bases, USER: root}
        after = msgspec.structs.replace(self, bases=bases, assumed=self.assumed - {USER})
        hives = {**self.hives, USER: apply_edits(root, after.edits_of(USER)) if USER in self.changed else root}
        return msgspec.structs.replace(after, hives=hives)

    def edits_of(self, name: str) -> list[Edit]:
        """The changes of one hive, their paths below its root."""
        return list(self.located.get(name, ()))

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the hives that changes are in."""
        return tuple(self.located)


def plain_path(path: str) -> str:
    r"""A path without PowerShell's provider and drive: `HKLM:\X` and `Registry::HKLM\X` are `HKLM\X`."""
    plain = path.strip()
    for provider in _PROVIDERS:
        if upcase(plain).startswith(provider):
            plain = plain[len(provider) :]
    drive, colon, rest = plain.partition(":")
    if colon and drive.isalnum() and len(drive) > 1:
        plain = f"{drive}\\{rest.lstrip('/').lstrip(chr(92))}".replace("/", "\\")
    return plain.strip("\\")


def stage_registry(hives: Mapping[str, Key], user: Key | None = None) -> StageRegistry:
    """The registry of a stage.

    Args:
        hives: the merged views of the base's hives, by name (`wingo.hive.paths.HIVES`); those that are missing are assumed.
        user: the root of the account's hive; None: it was not read.
    """
    bases: dict[str, Key] = {**_assumed(), **hives}
    if user is not None:
        bases[USER] = user
    known = {*hives, *([USER] if user is not None else [])}
    return StageRegistry(hives=bases, bases=bases, assumed=frozenset(set(bases) - known))


def _assumed() -> dict[str, Key]:
    """Hives with next to nothing: what every Windows has, and a PATH that is not known."""
    system = TreeKey("ROOT", b"")
    variables = (
        ("ComSpec", EXPAND_SZ, r"%SystemRoot%\system32\cmd.exe"),
        ("OS", SZ, "Windows_NT"),
        ("Path", EXPAND_SZ, BASE_PATH),
        ("PATHEXT", SZ, ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"),
        ("TEMP", EXPAND_SZ, r"%SystemRoot%\TEMP"),
        ("TMP", EXPAND_SZ, r"%SystemRoot%\TEMP"),
        ("windir", EXPAND_SZ, "%SystemRoot%"),
    )
    environment = r"ControlSet001\Control\Session Manager\Environment"
    edits: list[Edit] = [
        SetValue("Select", "Current", DWORD, b"\1\0\0\0"),
        CreateKey(r"ControlSet001\Services"),
        *(SetValue(environment, name, type_, encode_text(text)) for name, type_, text in variables),
    ]
    empty = {name: TreeKey("ROOT", b"") for name in (*HIVES, USER)}
    return {**empty, SYSTEM: apply_edits(system, edits)}


def text_value(name: str, text: str, *, expand: bool) -> Value:
    """A text as a value of the registry."""
    return Value(name, EXPAND_SZ if expand else SZ, encode_text(text))


def as_request(error: RequestError) -> CannotLower:
    """What cannot be asked of the registry, as what cannot be lowered."""
    return CannotLower(str(error), error.hint)
