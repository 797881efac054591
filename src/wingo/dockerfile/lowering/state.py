r"""What a step starts from and leaves: the stage's files, registry, variables, directory and account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from wingo.dockerfile.lowering.registry import USER as USER_HIVE
from wingo.dockerfile.lowering.registry import USER_ENVIRONMENT, StageRegistry, stage_registry
from wingo.dockerfile.lowering.tree import NoBase, Tree
from wingo.hive.keys import Key
from wingo.hive.paths import SYSTEM
from wingo.hive.upcase import upcase
from wingo.hive.values import EXPAND_SZ, SZ, text_of
from wingo.windows.paths import Components
from wingo.windows.registry_commands import ENVIRONMENT

ADMINISTRATOR = "ContainerAdministrator"
USER = "ContainerUser"


class State(msgspec.Struct, frozen=True, kw_only=True):
    r"""A Windows stage between two steps.

    Attributes:
        tree: its files; not changed in place once it is here.
        registry: its registry.
        environment: the image's `ENV` and the stage's `ARG`s, which Docker gives to `RUN` as variables; later ones win.
        directory: `WORKDIR`, below `C:\`; it need not be there yet.
        user: `USER`, or what the base says; "" is what the flavour has.
        flavour: "nanoserver", "servercore", "server" or "" when not known.
        architecture: GOARCH of the stage.
        unread_environment: the variables that the base's config sets are not known.
        toolchain: the stage's base is a Go toolchain image, so that `go` and `git` are there: the local ones.
        settings: variables that steps set for later ones alone (`go env -w`, `git config --global`); never in the image.
        assumed_accounts: local accounts that steps of a plan added, in upper case.
        epoch: seconds since 1970, which `Get-Date` says.
        runs_programs: the build has something that runs Windows programs (Wine).
        planning: nothing has been done yet: what is not known is taken to be as the step needs it.
    """

    tree: Tree = msgspec.field(default_factory=lambda: Tree(NoBase()))
    registry: StageRegistry = msgspec.field(default_factory=lambda: stage_registry({}))
    environment: tuple[tuple[str, str], ...] = ()
    directory: Components = ()
    user: str = ""
    flavour: str = ""
    architecture: str = "amd64"
    unread_environment: bool = False
    toolchain: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    assumed_accounts: tuple[str, ...] = ()
    epoch: int = 0
    runs_programs: bool = False
    planning: bool = False

    @property
    def account(self) -> str:
        r"""The account that the step runs as, without a domain."""
        name = self.user.rpartition("\\")[2]
        if name:
            known = {upcase(account): account for account in (ADMINISTRATOR, USER)}
            return known.get(upcase(name), name)
        return USER if self.flavour == "nanoserver" else ADMINISTRATOR

    @property
    def is_administrator(self) -> bool:
        """Whether the step may change the machine: every account but ContainerUser is taken to be allowed."""
        return self.account != USER

    @property
    def sets_path(self) -> bool:
        """Whether `ENV` or `ARG` replace PATH."""
        return any(len(name) == 4 and upcase(name) == "PATH" for name, _ in self.environment)


class Variables:
    """Environment variables of a process: names without case, in the order in which they came.

    Attributes:
        late_path: gives what is yet to be added to PATH, when somebody asks for it.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self.late_path: Callable[[], str] | None = None
        for name, value in (values or {}).items():
            self.set(name, value)

    def get(self, name: str) -> str | None:
        """A variable's value."""
        if self.late_path is not None and upcase(name) == "PATH":
            late, self.late_path = self.late_path, None
            if more := expand(late(), self):
                before = (self.get("PATH") or "").rstrip(";")
                self.set("PATH", f"{before};{more}" if before else more)
        found = self._values.get(upcase(name))
        return found[1] if found else None

    def set(self, name: str, value: str) -> None:
        """Sets a variable; the spelling of the name that was there stays."""
        key = upcase(name)
        if key == "PATH":
            self.late_path = None
        self._values[key] = (self._values[key][0] if key in self._values else name, value)

    def remove(self, name: str) -> None:
        """Removes a variable."""
        self._values.pop(upcase(name), None)

    def items(self) -> list[tuple[str, str]]:
        """Names and values."""
        return list(self._values.values())

    def copy(self) -> Variables:
        """Another one with the same variables."""
        other = Variables()
        other._values, other.late_path = dict(self._values), self.late_path
        return other


HOST_VARIABLES = frozenset({"COMPUTERNAME", "NUMBER_OF_PROCESSORS", "PROCESSOR_IDENTIFIER", "PROCESSOR_REVISION", "PROCESSOR_LEVEL", "RANDOM", "TIME", "DATE", "LOGONSERVER", "USERDOMAIN"})  # fmt: skip
"""Variables whose values depend on where or when the step runs, so that no build may use them."""

_MACHINE = {
    "ALLUSERSPROFILE": r"C:\ProgramData",
    "CommonProgramFiles": r"C:\Program Files\Common Files",
    "CommonProgramFiles(x86)": r"C:\Program Files (x86)\Common Files",
    "CommonProgramW6432": r"C:\Program Files\Common Files",
    "ProgramData": r"C:\ProgramData",
    "ProgramFiles": r"C:\Program Files",
    "ProgramFiles(x86)": r"C:\Program Files (x86)",
    "ProgramW6432": r"C:\Program Files",
    "PUBLIC": r"C:\Users\Public",
    "SystemDrive": "C:",
    "SystemRoot": r"C:\Windows",
}
"""What Windows gives every process, whatever the registry says (CreateEnvironmentBlock)."""

_PROCESSORS = {"amd64": "AMD64", "arm64": "ARM64", "386": "x86"}


def process_environment(state: State) -> Variables:
    r"""The variables that a step's process starts with.

    The machine's and the account's from the registry (`PATH` of both, one after the other), then what Windows gives every
    process, then `ENV` and `ARG`, which replace them.
    """
    system, user = (_Held(state.registry.hives[name]) for name in (SYSTEM, USER_HIVE))
    own = (*state.settings, *state.environment)
    return _with_own(own, system, user, state.account, state.architecture).copy()


class _Held:
    """A hive by its identity, for a cache; it stays alive as long as the cache knows it."""

    def __init__(self, root: Key) -> None:
        self.root = root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.root is self.root

    def __hash__(self) -> int:
        return id(self.root)


@lru_cache(maxsize=16)
def _with_own(
    own: tuple[tuple[str, str], ...], system: _Held, user: _Held, account: str, architecture: str
) -> Variables:
    variables = _of_hives(system, user, account, architecture).copy()
    for name, value in own:
        variables.set(name, value)
    return variables


@lru_cache(maxsize=16)
def _of_hives(system: _Held, user: _Held, account: str, architecture: str) -> Variables:
    registry = StageRegistry(hives={SYSTEM: system.root, USER_HIVE: user.root})
    variables = Variables(_MACHINE)
    variables.set("PROCESSOR_ARCHITECTURE", _PROCESSORS.get(architecture, architecture.upper()))
    profile = rf"C:\Users\{account}"
    for name, value in (
        ("APPDATA", rf"{profile}\AppData\Roaming"),
        ("HOMEDRIVE", "C:"),
        ("HOMEPATH", profile[2:]),
        ("LOCALAPPDATA", rf"{profile}\AppData\Local"),
        ("USERNAME", account),
        ("USERPROFILE", profile),
    ):
        variables.set(name, value)
    for name, value in registry_variables(registry, machine=True).items():
        variables.set(name, expand(value, variables))
    own = registry_variables(registry, machine=False)
    for name, value in own.items():
        if upcase(name) == "PATH":
            before = (variables.get("PATH") or "").rstrip(";")
            value = f"{before};{value}" if before else value  # noqa: PLW2901  (the joined value is the value)
        variables.set(name, expand(value, variables))
    if "TEMP" not in {upcase(name) for name in own}:
        for name in ("TEMP", "TMP"):
            variables.set(name, rf"{profile}\AppData\Local\Temp")
    return variables


def registry_variables(registry: StageRegistry, *, machine: bool) -> dict[str, str]:
    """The variables that the registry holds, not expanded."""
    key = registry.find(ENVIRONMENT if machine else USER_ENVIRONMENT)
    found: dict[str, str] = {}
    for value in key.values() if key is not None else ():
        text = _text_of(value) if value.type in (SZ, EXPAND_SZ) else None
        if text is not None:
            found[value.name] = text
    return found


# One variable more, and all the others are asked for again.
_text_of = lru_cache(maxsize=512)(text_of)


def expand(text: str, variables: Variables) -> str:
    """`%NAME%` replaced, as ExpandEnvironmentStrings does: what is not set stays as it stands."""
    if "%" not in text:
        return text
    done: list[str] = []
    rest = text
    while True:
        before, percent, after = rest.partition("%")
        done.append(before)
        if not percent:
            return "".join(done)
        name, closing, behind = after.partition("%")
        value = variables.get(name) if closing and name else None
        if value is None:
            done.append("%")
            rest = after
        else:
            done.append(value)
            rest = behind
