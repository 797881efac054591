r"""Services as the registry keeps them: reading them, who needs whom, and the edits that change one.

A service is a key of `SYSTEM\ControlSet00N\Services`. Reading and editing are functions from a `Registry` to values; what
is written follows `sc.exe` and `Set-Service` (learn.microsoft.com, "sc config", "Set-Service").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

import msgspec

from wingo.errors import RequestError
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.keys import Key, find_value
from wingo.hive.upcase import upcase
from wingo.hive.values import (
    DWORD,
    EXPAND_SZ,
    MULTI_SZ,
    SZ,
    encode_text,
    encode_texts,
    number_of,
    text_of,
    texts_of,
)
from wingo.windows.registry import Registry

SERVICES = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services"
"""Where services are."""

_NAME = re.compile(r"[^/\\\x00-\x1f]{1,256}\Z")
_SYSTEM_ROOT = re.compile(r"(?:%SystemRoot%|%windir%|\\SystemRoot|C:\\Windows)(?=\\)", re.IGNORECASE)
_ENDS = re.compile(r"(.+?\.(?:exe|sys|dll|com))(?=\s|\Z)", re.IGNORECASE)
DRIVER_TYPES = 0x1 | 0x2 | 0x8
"""Bits of a service's type that say it is a driver: kernel, file system, recogniser."""

PER_USER = 0x40
"""The bit of a template that is copied for each user who logs on."""


class Start(Enum):
    """When a service starts; the value is the number in `Start`."""

    BOOT = 0
    SYSTEM = 1
    AUTOMATIC = 2
    DEMAND = 3
    DISABLED = 4


_STARTS = {
    "boot": (Start.BOOT, False),
    "system": (Start.SYSTEM, False),
    "auto": (Start.AUTOMATIC, False),
    "automatic": (Start.AUTOMATIC, False),
    "delayed-auto": (Start.AUTOMATIC, True),
    "automaticdelayedstart": (Start.AUTOMATIC, True),
    "delayed": (Start.AUTOMATIC, True),
    "demand": (Start.DEMAND, False),
    "manual": (Start.DEMAND, False),
    "disabled": (Start.DISABLED, False),
}


class Service(msgspec.Struct, frozen=True):
    r"""One service or driver.

    Attributes:
        name: its key's name.
        type: the bits of `Type`.
        start: when it starts; None where the key has no such number: it is no service then, but data of one.
        delayed: an automatic one that waits until others have started.
        depends_on: the services that it needs.
        depends_on_groups: the groups of which it needs one member.
        group: the group that it is in.
        image: the text of `ImagePath`.
        library: the text of `Parameters\\ServiceDll`.
        account: the text of `ObjectName`.
        display_name: for people; mostly a reference to a resource.
        triggers: how many events start it on their own.
    """

    name: str
    type: int
    start: Start | None
    delayed: bool = False
    depends_on: tuple[str, ...] = ()
    depends_on_groups: tuple[str, ...] = ()
    group: str = ""
    image: str = ""
    library: str = ""
    account: str = ""
    display_name: str = ""
    triggers: int = 0

    @property
    def is_driver(self) -> bool:
        """Whether the kernel loads it; in a process container the host's kernel does not."""
        return bool(self.type & DRIVER_TYPES)

    @property
    def starts_itself(self) -> bool:
        """Whether nobody need ask for it: at boot, automatically, or by a trigger."""
        if self.start in (Start.BOOT, Start.SYSTEM, Start.AUTOMATIC):
            return True
        return self.start is Start.DEMAND and bool(self.triggers)

    @property
    def files(self) -> tuple[str, ...]:
        r"""The files that it is made of, below `C:\`: `Windows\System32\svchost.exe`."""
        image = file_of(self.image)
        if not image and self.is_driver and self.start is not None:
            image = f"Windows\\System32\\drivers\\{self.name}.sys"
        return tuple(dict.fromkeys(filter(None, (image, file_of(self.library)))))


class Services:
    """The services of a registry, with who needs whom."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._by_name = {upcase(service.name): service for service in services}
        self._groups: dict[str, list[Service]] = {}
        self._needed_by: dict[str, list[Service]] = {}
        for service in services:
            if service.group:
                self._groups.setdefault(upcase(service.group), []).append(service)
            for name in service.depends_on:
                self._needed_by.setdefault(upcase(name), []).append(service)

    def __iter__(self) -> Iterator[Service]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Service | None:
        """The service of that name, in any case."""
        return self._by_name.get(upcase(name))

    def members(self, group: str) -> Sequence[Service]:
        """The services of a group."""
        return self._groups.get(upcase(group), ())

    def needed_by(self, name: str) -> Sequence[Service]:
        """The services that name this one among those that they need."""
        return self._needed_by.get(upcase(name), ())

    def needs(self, name: str) -> dict[str, tuple[str, ...]]:
        """Everything that a service needs, with itself: by upper-cased name, the chain from it to there.

        Of a group every member counts, since nothing says which of them will do.
        """
        service = self.find(name)
        if service is None:
            return {}
        chains: dict[str, tuple[str, ...]] = {upcase(service.name): (service.name,)}
        waiting = [service]
        while waiting:
            at = waiting.pop(0)
            members = [member.name for group in at.depends_on_groups for member in self.members(group)]
            for wanted in (*at.depends_on, *members):
                known = self.find(wanted)
                if known is not None and upcase(known.name) not in chains:
                    chains[upcase(known.name)] = (*chains[upcase(at.name)], known.name)
                    waiting.append(known)
        return chains

    def broken_by(self, stopped: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Which services could not start any more if some were disabled.

        Returns:
            By upper-cased name: the chain from the service to the disabled one. Those that are disabled, before or by
            this, and those that could not start before, are not among them.
        """
        asked = {upcase(known.name): (known.name,) for name in stopped if (known := self.find(name)) is not None}
        off = {upcase(service.name): (service.name,) for service in self if service.start in (None, Start.DISABLED)}
        before = self._unable(off, asked)
        after = self._unable({**before, **asked}, asked)
        return {name: chain for name, chain in after.items() if name not in before and name not in asked}

    def _unable(
        self, gone: Mapping[str, tuple[str, ...]], asked: Mapping[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        """What cannot start when some cannot: those, and all that need them, with chains."""
        found = dict(gone)
        changed = True
        while changed:
            changed = False
            for service in self:
                upper = upcase(service.name)
                if upper not in found and (chain := self._cut(service, found, asked)):
                    found[upper] = (service.name, *chain)
                    changed = True
        return found

    def _cut(
        self, service: Service, gone: Mapping[str, tuple[str, ...]], asked: Mapping[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """The chain to what keeps a service from starting; () when nothing does."""
        for name in service.depends_on:
            if chain := gone.get(upcase(name)):
                return chain
        for group in service.depends_on_groups:
            chains = [gone.get(upcase(member.name), ()) for member in self.members(group)]
            if chains and all(chains):
                return next((chain for chain in chains if upcase(chain[-1]) in asked), chains[0])
        return ()

    def dangling(self) -> Iterator[tuple[Service, str]]:
        """Services that are not disabled and need one that is not there, with the name of that."""
        for service in self:
            if service.start is Start.DISABLED or service.start is None:
                continue
            for name in service.depends_on:
                if self.find(name) is None:
                    yield service, name


def read_services(registry: Registry) -> Services:
    """The services of a registry; keys without a `Type` and a `Start` are no services and left out.

    Raises:
        RequestError: there is no SYSTEM hive.
        Malformed: the hive is not what its format says.
    """
    above = registry.find(SERVICES)
    found = (_service(key) for key in above.subkeys()) if above is not None else ()
    return Services([service for service in found if service is not None])


def _service(key: Key) -> Service | None:
    values = {upcase(value.name): value for value in key.values() if not value.tombstone}

    def number(name: str) -> int | None:
        value = values.get(name)
        return None if value is None else number_of(value)

    def text(name: str) -> str:
        value = values.get(name)
        return (text_of(value) or "") if value is not None else ""

    def texts(name: str) -> tuple[str, ...]:
        value = values.get(name)
        if value is None:
            return ()
        found = texts_of(value)
        return tuple(filter(None, found)) if found is not None else tuple(filter(None, (text_of(value),)))

    kind, start = number("TYPE"), number("START")
    if kind is None and start is None:
        return None
    triggers = key.subkey("TriggerInfo")
    parameters = key.subkey("Parameters")
    library = find_value(parameters, "ServiceDll") if parameters is not None else values.get("SERVICEDLL")
    return Service(
        name=key.name,
        type=kind or 0,
        start=Start(start) if start is not None and 0 <= start <= Start.DISABLED.value else None,
        delayed=bool(number("DELAYEDAUTOSTART")),
        depends_on=texts("DEPENDONSERVICE"),
        depends_on_groups=texts("DEPENDONGROUP"),
        group=text("GROUP"),
        image=text("IMAGEPATH"),
        library=(text_of(library) or "") if library is not None else "",
        account=text("OBJECTNAME"),
        display_name=text("DISPLAYNAME"),
        triggers=len(triggers.subkeys()) if triggers is not None else 0,
    )


def file_of(command: str) -> str:
    r"""The file that an `ImagePath` or `ServiceDll` names, below `C:\`; "" when it is not on the image's drive or unclear.

    `%SystemRoot%\System32\svchost.exe -k netsvcs`, `\SystemRoot\x.sys`, `System32\drivers\x.sys` (below `C:\Windows`),
    `\??\C:\x.sys` and quoted paths are understood.
    """
    text = command.strip()
    if text.startswith('"'):
        text = text[1:].partition('"')[0]
    else:
        text = text.removeprefix("\\??\\")
        matched = _ENDS.match(text)
        text = matched[1] if matched else text.partition(" ")[0]
    text = _SYSTEM_ROOT.sub(lambda _: "C:\\Windows", text, count=1)
    if upcase(text[:9]) == "SYSTEM32\\":
        text = f"C:\\Windows\\{text}"
    if "%" in text or upcase(text[:3]) != "C:\\":
        return ""
    return text[3:]


def parse_start(text: str) -> tuple[Start, bool]:
    """A start type in the words of `sc.exe` or PowerShell, in any case; and whether it is delayed.

    Raises:
        RequestError: it is none.
    """
    found = _STARTS.get(text.strip().lower())
    if found is None:
        raise RequestError(
            f"{text[:40]!r} is no start type", hint="Use disabled, demand (manual), auto, delayed-auto, system or boot."
        )
    return found


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be set of a service; None leaves it as it is.

    Attributes:
        start: when it starts.
        delayed: whether an automatic start is delayed; matters only with `start`.
        image: the command line, `ImagePath`.
        depends_on: services that it needs; names that begin with "+" are groups, as for `sc.exe`.
        account: `ObjectName`.
        display_name: for people.
        description: for people.
        type: the bits of `Type`.
        error_control: 0 ignore, 1 normal, 2 severe, 3 critical.
        group: `Group`.
    """

    start: Start | None = None
    delayed: bool = False
    image: str | None = None
    depends_on: tuple[str, ...] | None = None
    account: str | None = None
    display_name: str | None = None
    description: str | None = None
    type: int | None = None
    error_control: int | None = None
    group: str | None = None


def service_key(registry: Registry, name: str) -> str:
    """The path of a service's key, in the spelling that is there.

    Raises:
        RequestError: the name cannot be one, or there is no such service (1060 for `sc.exe`).
    """
    path, known = _place(registry, name)
    if known is None:
        raise RequestError(f"the image has no service {name!r}", hint="'wingo optimize analyze' lists the services.")
    return path


def change_service(registry: Registry, name: str, change: ServiceChange) -> tuple[Edit, ...]:
    """The edits of `sc config` and `Set-Service`; none where everything is so already.

    Raises:
        RequestError: there is no such service, or a text has a NUL.
    """
    path = service_key(registry, name)
    return tuple(edit for edit in _edits(path, change) if not _is_so(registry, edit))


def create_service(registry: Registry, name: str, change: ServiceChange) -> tuple[Edit, ...]:
    """The edits of `sc create` and `New-Service`, with their defaults: an own process of LocalSystem, on demand.

    Raises:
        RequestError: it is there already (1073), the name cannot be, or there is no command line.
    """
    path, known = _place(registry, name)
    if known is not None:
        raise RequestError(f"the service {name!r} is there already", hint="Change it with sc config.")
    if not change.image:
        raise RequestError(f"the service {name!r} needs a command line", hint="Give it with binPath=.")
    whole = ServiceChange(
        start=change.start or Start.DEMAND,
        delayed=change.delayed,
        image=change.image,
        depends_on=change.depends_on,
        account=change.account or "LocalSystem",
        display_name=change.display_name,
        description=change.description,
        type=0x10 if change.type is None else change.type,
        error_control=1 if change.error_control is None else change.error_control,
        group=change.group,
    )
    edits = _edits(path, whole)
    return (CreateKey(path), *(edit for edit in edits if not isinstance(edit, DeleteValue)))


def delete_service(registry: Registry, name: str) -> tuple[Edit, ...]:
    """The edits of `sc delete`.

    Raises:
        RequestError: there is no such service.
    """
    return (DeleteKey(service_key(registry, name)),)


def _place(registry: Registry, name: str) -> tuple[str, Key | None]:
    if not _NAME.match(name):
        raise RequestError(f"{name[:80]!r} cannot be the name of a service")
    above = registry.find(SERVICES)
    known = above.subkey(name) if above is not None else None
    return f"{registry.full_path(SERVICES)}\\{known.name if known is not None else name}", known


def _edits(path: str, change: ServiceChange) -> Iterator[Edit]:
    if change.type is not None:
        yield _number(path, "Type", change.type)
    if change.start is not None:
        yield _number(path, "Start", change.start.value)
        if change.delayed:
            yield _number(path, "DelayedAutostart", 1)
        else:
            yield DeleteValue(path, "DelayedAutostart")
    if change.error_control is not None:
        yield _number(path, "ErrorControl", change.error_control)
    if change.image is not None:
        yield SetValue(path, "ImagePath", EXPAND_SZ, encode_text(change.image))
    texts = (
        ("DisplayName", change.display_name),
        ("ObjectName", change.account),
        ("Description", change.description),
        ("Group", change.group),
    )
    for name, text in texts:
        if text is not None:
            yield SetValue(path, name, SZ, encode_text(text))
    if change.depends_on is not None:
        groups = tuple(name[1:] for name in change.depends_on if name.startswith("+"))
        services = tuple(name for name in change.depends_on if not name.startswith("+"))
        for name, wanted in (("DependOnService", services), ("DependOnGroup", groups)):
            if wanted:
                yield SetValue(path, name, MULTI_SZ, encode_texts(wanted))
            else:
                yield DeleteValue(path, name)


def _number(path: str, name: str, number: int) -> SetValue:
    return SetValue(path, name, DWORD, number.to_bytes(4, "little"))


def _is_so(registry: Registry, edit: Edit) -> bool:
    if isinstance(edit, SetValue):
        value = registry.value(edit.path, edit.name)
        return value is not None and (value.type, value.data) == (edit.type, edit.data)
    return isinstance(edit, DeleteValue) and registry.value(edit.path, edit.name) is None
