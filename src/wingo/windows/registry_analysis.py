r"""What an image's registry is made of, and what in it is of no use: sizes, services, what points nowhere.

Pure: files are asked for through a function. Sizes are those of the cells that a hive needs for a key with its values and
what is below it; they say where the bytes are, not what a change saves: a layer can only add to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from wingo.hive.cells import KEY_SIZE, SEGMENT, VALUE_SIZE
from wingo.hive.keys import Key
from wingo.hive.paths import HIVES, SYSTEM
from wingo.hive.upcase import upcase
from wingo.hive.values import Value
from wingo.windows.profile import Plan, show_start
from wingo.windows.registry import Registry
from wingo.windows.registry_policy import ignored_reason, never_touched
from wingo.windows.services import Service, Services, Start, read_services

_SUBTREES = 12
_HOST = re.compile(r"svchost\.exe\s+-k\s+(\S+)", re.IGNORECASE)
_IGNORED_KEYS = (
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters",
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\CrashControl",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\TimeZoneInformation",
)


class Subtree(msgspec.Struct, frozen=True, rename="camel"):
    """A key with everything below it.

    Attributes:
        path: of the key.
        bytes: of the cells that it needs.
        keys: how many, itself included.
        values: how many.
    """

    path: str
    bytes: int
    keys: int
    values: int


class HiveFacts(msgspec.Struct, frozen=True, rename="camel"):
    """One hive.

    Attributes:
        hive: where Windows shows it.
        whole: everything in it.
        subtrees: the largest keys, none of which holds nearly all of another.
        empty_keys: keys without values and without keys below.
        descriptors: how many different security descriptors there are.
    """

    hive: str
    whole: Subtree
    subtrees: tuple[Subtree, ...]
    empty_keys: int
    descriptors: int


class ServiceFacts(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One service.

    Attributes:
        name: its name.
        start: its start type, in the words of `sc.exe`.
        driver: whether it is one of the kernel's.
        triggers: how many events start it.
        needs: the services and groups ("+group") that it needs.
        needed_by: the services that need it.
        process: what it runs in: a program, or `svchost -k GROUP`.
        kept: why it is never changed; "" when it may be.
        missing: what it needs and is not there: services, and files of the image.
    """

    name: str
    start: str
    driver: bool = False
    triggers: int = 0
    needs: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    process: str = ""
    kept: str = ""
    missing: tuple[str, ...] = ()


class Estimate(msgspec.Struct, frozen=True, rename="camel"):
    """What a plan comes to, counted and not measured: nothing here has run.

    Attributes:
        automatic: services that start by themselves, drivers left out.
        processes: processes that these start, if those that share one do.
    """

    automatic: int
    processes: int


class Analysis(msgspec.Struct, frozen=True, rename="camel"):
    """Everything about an image's registry.

    Attributes:
        hives: each hive.
        services: every service, by name.
        counts: how many services there are of each start type, drivers left out.
        unnoticed: values that a container does not notice, with the reason.
        now: what starts as it is.
        files_known: whether all layers were looked at for files; else `missing` names services alone.
    """

    hives: tuple[HiveFacts, ...]
    services: tuple[ServiceFacts, ...]
    counts: Mapping[str, int]
    unnoticed: tuple[str, ...]
    now: Estimate
    files_known: bool


def analyse(registry: Registry, has_file: Callable[[str], bool] | None) -> Analysis:
    r"""Looks at everything.

    Args:
        registry: the merged view.
        has_file: whether a file is there, asked by its path below `C:\`; None when nobody knows all of them.

    Raises:
        Malformed: a hive is not what its format says.
    """
    services = read_services(registry) if SYSTEM in registry.hives else Services(())
    return Analysis(
        hives=tuple(_hive(HIVES[name], registry.hives[name]) for name in HIVES if name in registry.hives),
        services=_services(services, has_file),
        counts=count_services(services),
        unnoticed=tuple(_unnoticed(registry)) if SYSTEM in registry.hives else (),
        now=estimate(services),
        files_known=has_file is not None,
    )


def count_services(services: Services) -> dict[str, int]:
    """How many services there are of each start type, drivers left out."""
    counts = dict.fromkeys(("auto", "delayed-auto", "demand", "disabled"), 0)
    for service in services:
        if not service.is_driver and service.start is not None:
            word = show_start(service.start, delayed=service.delayed)
            counts[word] = counts.get(word, 0) + 1
    return counts


def estimate(services: Services) -> Estimate:
    """What starts by itself."""
    own = [service for service in services if service.start is Start.AUTOMATIC and not service.is_driver]
    return Estimate(len(own), len({process_of(service) for service in own}))


def win_of(plan: Plan, before: Registry, after: Registry) -> str:
    """What a plan wins, in a sentence."""
    if SYSTEM not in before.hives or not plan.edits:
        return "nothing changes"
    old, new = estimate(read_services(before)), estimate(read_services(after))
    return (
        f"{old.automatic - new.automatic} fewer services start by themselves ({new.automatic} of {old.automatic}), "
        f"in {old.processes - new.processes} fewer processes if those that share one do ({new.processes} of {old.processes})"
    )


def wins_of(plan: Plan, before: Registry) -> tuple[str, ...]:
    """What each step of a plan wins, in the order of the steps: a sentence, or "" where nothing starts less.

    Args:
        plan: for that registry.
        before: the registry as it is.
    """
    services = read_services(before) if SYSTEM in before.hives else Services(())
    running: dict[str, set[str]] = {}
    for service in services:
        if service.start is Start.AUTOMATIC and not service.is_driver:
            running.setdefault(process_of(service), set()).add(service.name)
    wins = []
    for step in plan.steps:
        known = services.find(step.subject.removeprefix("service ")) if step.edits else None
        wins.append(_win(known, running, step.after) if known is not None else "")
    return tuple(wins)


def _win(service: Service, running: dict[str, set[str]], after: str) -> str:
    if after not in ("disabled", "demand", "deleted"):
        return ""
    if service.start is not Start.AUTOMATIC:
        if service.triggers and after != "demand":
            return f"{service.triggers} trigger(s) start it no more"
        return "it could be started when asked for, and cannot now" if after != "demand" else ""
    process = process_of(service)
    others = running.get(process, set())
    others.discard(service.name)
    if others:
        return f"one service less in {process}, which {len(others)} others start as well"
    return f"{process} does not start"


def process_of(service: Service) -> str:
    """What a service runs in."""
    matched = _HOST.search(service.image)
    if matched:
        return f"svchost -k {matched[1]}"
    return service.image or service.name


def measure(key: Key, path: str) -> tuple[Subtree, list[Subtree], int, set[bytes]]:
    """A key's whole subtree; the subtree of every key in it; how many are empty; and the descriptors."""
    found: list[Subtree] = []
    descriptors: set[bytes] = set()
    empty = 0
    # after all below a key were visited, it is added up: (path, key, None) opens, (path, None, totals) closes
    totals: list[list[int]] = [[0, 0, 0]]
    stack: list[tuple[str, Key | None]] = [(path, key)]
    while stack:
        place, here = stack.pop()
        if here is None:
            size, keys, values = totals.pop()
            found.append(Subtree(place, size, keys, values))
            above = totals[-1]
            above[0] += size
            above[1] += keys
            above[2] += values
            continue
        contents, children = here.values(), here.subkeys()
        descriptors.add(here.security)
        empty += not contents and not children
        totals.append([_size(here, contents, len(children)), 1, len(contents)])
        stack.append((place, None))
        stack.extend((f"{place}\\{child.name}", child) for child in children)
    return found[-1], found, empty, descriptors


def _hive(path: str, root: Key) -> HiveFacts:
    whole, every, empty, descriptors = measure(root, path)
    return HiveFacts(path, whole, _largest(whole, every), empty, len(descriptors))


def _largest(whole: Subtree, every: Sequence[Subtree]) -> tuple[Subtree, ...]:
    """The largest subtrees; one that is nearly all of what is above it stands for both."""
    chosen: list[Subtree] = []
    for item in sorted(every, key=lambda item: (-item.bytes, item.path)):
        if item is whole or item.bytes * 100 < whole.bytes:
            continue
        above = next((known for known in chosen if item.path.startswith(known.path + "\\")), None)
        if above is not None and item.bytes * 10 >= above.bytes * 9:
            chosen.remove(above)
        chosen.append(item)
        if len(chosen) >= _SUBTREES:
            break
    return tuple(sorted(chosen, key=lambda item: (-item.bytes, item.path)))


def _size(key: Key, values: Sequence[Value], children: int) -> int:
    size = _cell(KEY_SIZE + len(key.name)) + (_cell(4 + 8 * children) if children else 0)
    if key.class_name:
        size += _cell(len(key.class_name))
    if values:
        size += _cell(4 * len(values))
        for value in values:
            size += _cell(VALUE_SIZE + len(value.name))
            length = len(value.data)
            if length > SEGMENT:
                size += -(-length // SEGMENT) * (SEGMENT + 8) + _cell(8) + _cell(4 * -(-length // SEGMENT))
            elif length > 4:
                size += _cell(length)
    return size


def _cell(size: int) -> int:
    return size + 11 & ~7


def _services(services: Services, has_file: Callable[[str], bool] | None) -> tuple[ServiceFacts, ...]:
    kept = never_touched(services)
    dangling: dict[str, list[str]] = {}
    for service, name in services.dangling():
        dangling.setdefault(service.name, []).append(f"service {name}")
    found = []
    for service in sorted(services, key=lambda service: upcase(service.name)):
        missing = dangling.get(service.name, [])
        # a driver's file is the host's: its kernel loads it
        if has_file is not None and not service.is_driver and service.start is not Start.DISABLED:
            missing = [*missing, *(f"C:\\{path}" for path in service.files if not has_file(path))]
        reason, chain = kept.get(upcase(service.name), ("", ()))
        found.append(
            ServiceFacts(
                name=service.name,
                start=show_start(service.start, delayed=service.delayed),
                driver=service.is_driver,
                triggers=service.triggers,
                needs=(*service.depends_on, *(f"+{group}" for group in service.depends_on_groups)),
                needed_by=tuple(other.name for other in services.needed_by(service.name)),
                process="" if service.is_driver else process_of(service),
                kept=f"{reason} ({' needs '.join(chain)})" if len(chain) > 1 else reason,
                missing=tuple(missing),
            )
        )
    return tuple(found)


def _unnoticed(registry: Registry) -> list[str]:
    found = []
    for path in _IGNORED_KEYS:
        key = registry.find(path)
        count = len(key.values()) if key is not None else 0
        if count:
            found.append(f"{registry.full_path(path)}: {count} value(s): {ignored_reason(registry, path, 'x')}")
    return found


class Totals(msgspec.Struct, frozen=True, rename="camel"):
    """A registry in numbers.

    Attributes:
        services: by start type, drivers left out.
        keys: of all hives.
        values: of all hives.
        bytes: of the cells that they need.
    """

    services: Mapping[str, int]
    keys: int
    values: int
    bytes: int


def totals(registry: Registry) -> Totals:
    """Counts everything; reads every key.

    Raises:
        Malformed: a hive is not what its format says.
    """
    whole = [measure(root, name)[0] for name, root in registry.hives.items()]
    return Totals(
        count_services(read_services(registry)) if SYSTEM in registry.hives else {},
        sum(item.keys for item in whole),
        sum(item.values for item in whole),
        sum(item.bytes for item in whole),
    )
