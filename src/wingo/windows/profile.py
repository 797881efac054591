r"""Profiles: what is to be changed in an image's registry, as a TOML text, each rule with its reason and its source.

```toml
name = "web"
about = "a Go service that is asked over HTTP"
extends = ["minimal"]

[[service]]
name = "LanmanServer"
start = "disabled"            # or manual, auto, delayed-auto, delete
reason = "it shares files, which a container cannot"
source = "https://registry.example/why"
may-break = ["Browser"]       # services that start on demand only, and may be left without it

[[value]]
key = 'HKLM\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters'
name = "MaxCacheTtl"
data = "dword:0"              # TYPE:DATA, or "delete"
reason = "..."
source = "..."
```

A rule about a service that the image does not have does nothing, nor does one about a value below such a service: no key of
a service is ever made.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec.structs import replace

from wingo.errors import RequestError
from wingo.hive.edit import DeleteKey, DeleteValue, Edit, SetValue
from wingo.hive.paths import HIVES, SYSTEM, parse_where
from wingo.hive.upcase import upcase
from wingo.hive.values import Value, parse_data, show
from wingo.windows.registry import Registry, edited
from wingo.windows.registry_policy import Objection, objections
from wingo.windows.services import (
    SERVICES,
    ServiceChange,
    Services,
    Start,
    change_service,
    delete_service,
    parse_start,
    read_services,
)

MAX_BYTES = 1 << 20
DELETE = "delete"
"""What stands for a start type or for data when the service or value is to go."""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class ServiceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What becomes of a service.

    Attributes:
        name: the service's.
        start: a start type, or "delete".
        reason: why, for people.
        source: where that is said.
        may_break: services on demand that may be left without it.
    """

    name: _Text
    reason: _Text
    source: _Text
    start: _Text = "disabled"
    may_break: tuple[str, ...] = ()


class ValueRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What becomes of a value.

    Attributes:
        key: the path.
        name: the value's; "" is the default value.
        data: TYPE:DATA, or "delete".
        reason: why, for people.
        source: where that is said.
    """

    key: _Text
    name: str
    data: _Text
    reason: _Text
    source: _Text


class Profile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"services": "service", "values": "value"}
):
    """A profile.

    Attributes:
        name: what it is called.
        about: one line for people.
        extends: profiles whose rules come first.
        services: rules about services.
        values: rules about values.
    """

    name: _Text
    about: str = ""
    extends: tuple[str, ...] = ()
    services: tuple[ServiceRule, ...] = ()
    values: tuple[ValueRule, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, and what it comes to in an image.

    Attributes:
        profile: the name of the profile that it is of.
        subject: `service DiagTrack`, or a value's path and name.
        reason: why.
        source: where that is said.
        before: what is there, for people.
        after: what is wanted, for people.
        edits: what is to be done; none when nothing is.
        skipped: why nothing is to be done; "" otherwise.
    """

    profile: str
    subject: str
    reason: str
    source: str
    before: str = ""
    after: str = ""
    edits: tuple[Edit, ...] = ()
    skipped: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What profiles come to in an image.

    Attributes:
        steps: one for each rule.
        edits: all that is to be done, in order.
        objections: what speaks against it; nothing may be done while there is one.
    """

    steps: tuple[Step, ...]
    edits: tuple[Edit, ...]
    objections: tuple[Objection, ...]


def parse_profile(text: str, origin: str) -> Profile:
    """Reads a profile.

    Raises:
        RequestError: it is no TOML, has an unknown key, lacks a reason or a source, or a start type or data is none.
    """
    if len(text) > MAX_BYTES:
        raise RequestError(f"{origin} has more than {MAX_BYTES} characters")
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile)
    except (ValueError, RecursionError) as error:  # of both kinds
        raise RequestError(
            f"{origin} is no profile: {str(error)[:300]}",
            hint="Each [[service]] and [[value]] has a name, a reason and a source.",
        ) from error
    check_profile(profile, origin)
    return profile


def check_profile(profile: Profile, origin: str) -> None:
    """Refuses start types, paths and data that are none.

    Raises:
        RequestError: one is.
    """
    for service in profile.services:
        if service.start != DELETE:
            parse_start(service.start)
    for value in profile.values:
        where = parse_where(value.key)
        if not where.hive:
            raise RequestError(
                f"{origin}: {value.key!r} does not begin with a root", hint="HKLM\\SYSTEM, for instance."
            )
        if value.data != DELETE:
            parse_data(value.data)


def with_extended(profiles: Sequence[Profile], find: Callable[[str], Profile]) -> tuple[Profile, ...]:
    """Profiles with those that they extend, each once and before those that extend it.

    Args:
        profiles: as asked for.
        find: gives the profile of a name.

    Raises:
        RequestError: one extends itself, by whatever way.
    """
    found: dict[str, Profile] = {}
    under_way: list[str] = []

    def add(profile: Profile) -> None:
        if profile.name in found:
            return
        if profile.name in under_way:
            raise RequestError(f"the profile {profile.name} extends itself ({' → '.join([*under_way, profile.name])})")
        under_way.append(profile.name)
        for name in profile.extends:
            add(find(name))
        under_way.pop()
        found[profile.name] = profile

    for profile in profiles:
        add(profile)
    return tuple(found.values())


def plan_profiles(profiles: Sequence[Profile], registry: Registry, more: Sequence[Step] = ()) -> Plan:
    """What profiles come to in an image's registry.

    Args:
        profiles: in order; a later rule wins.
        registry: the image's.
        more: steps that did not come from a profile, for instance from a .reg file; they come last.

    Raises:
        RequestError: a path in a rule is none.
        Malformed: a hive is not what its format says.
    """
    steps: list[Step] = []
    may_break: list[str] = []
    now = registry
    for profile in profiles:
        for step in (*_service_steps(profile, now), *_value_steps(profile, now)):
            steps.append(step)
            now = edited(now, step.edits)
        may_break.extend(name for rule in profile.services for name in rule.may_break)
    for step in more:
        steps.append(step)
        now = edited(now, step.edits)
    edits = tuple(edit for step in steps for edit in step.edits)
    return Plan(tuple(steps), edits, objections(registry, now, may_break=may_break))


def _service_steps(profile: Profile, registry: Registry) -> Iterator[Step]:
    services = read_services(registry) if SYSTEM in registry.hives else Services(())
    for rule in profile.services:
        known = services.find(rule.name)
        name = known.name if known is not None else rule.name
        step = Step(profile=profile.name, subject=f"service {name}", reason=rule.reason, source=rule.source)
        if known is None or known.start is None:
            yield replace(step, skipped="this image does not have it")
            continue
        step = replace(step, before=show_start(known.start, delayed=known.delayed))
        if rule.start == DELETE:
            yield replace(step, after="deleted", edits=delete_service(registry, name))
            continue
        start, delayed = parse_start(rule.start)
        step = replace(step, after=show_start(start, delayed=delayed))
        if step.before == step.after:
            yield replace(step, skipped=f"it is {step.after} already")
        else:
            change = ServiceChange(start=start, delayed=delayed)
            yield replace(step, edits=change_service(registry, name, change))


def _value_steps(profile: Profile, registry: Registry) -> Iterator[Step]:
    for rule in profile.values:
        hive = parse_where(rule.key).hive
        subject = f"{rule.key}\\{rule.name or '(default)'}"
        step = Step(profile=profile.name, subject=subject, reason=rule.reason, source=rule.source)
        if hive not in registry.hives:
            yield replace(step, skipped=f"this image has no {HIVES[hive]}")
            continue
        path = registry.full_path(rule.key)
        service = _service_above(registry, path) if hive == SYSTEM else ""
        if service and registry.find(f"{SERVICES}\\{service}") is None:
            yield replace(step, skipped=f"this image has no service {service}")
            continue
        there = registry.value(path, rule.name)
        edits: tuple[Edit, ...]
        if rule.data == DELETE:
            edits = (DeleteValue(path, rule.name),) if there is not None else ()
        else:
            kind, data = parse_data(rule.data)
            same = there is not None and (there.type, there.data) == (kind, data)
            edits = () if same else (SetValue(path, rule.name, kind, data),)
        yield replace(
            step,
            subject=f"{path}\\{rule.name or '(default)'}",
            before=show(there) if there is not None else "(none)",
            after="(none)" if rule.data == DELETE else rule.data,
            edits=edits,
            skipped="" if edits else "it is so already",
        )


def steps_of_edits(edits: Sequence[Edit], registry: Registry, origin: str) -> tuple[Step, ...]:
    """Edits that a person asks for, as steps: one for each edit that changes something.

    Args:
        edits: paths begin with their root.
        registry: the image's.
        origin: where they come from, for instance a file's name.
    """
    steps = []
    for edit in edits:
        name = getattr(edit, "name", None)
        path = registry.full_path(edit.path)
        subject = path if name is None else f"{path}\\{name or '(default)'}"
        there = registry.value(path, name) if name is not None else None
        before = show(there) if there is not None else "(none)"
        after = "deleted" if isinstance(edit, DeleteKey) else "(none)"
        if isinstance(edit, SetValue):
            after = show_data(edit)
        moved = replace(edit, path=path)
        steps.append(
            Step(
                profile=origin,
                subject=subject,
                reason="asked for",
                source=origin,
                before=before,
                after=after,
                edits=(moved,),
            )
        )
    return tuple(steps)


def show_data(edit: SetValue) -> str:
    """What a value is set to, as people write it."""
    return show(Value(edit.name, edit.type, edit.data))


def show_start(start: Start | None, *, delayed: bool = False) -> str:
    """A start type in the words that `sc.exe` takes."""
    if start is Start.AUTOMATIC:
        return "delayed-auto" if delayed else "auto"
    return {None: "none", Start.BOOT: "boot", Start.SYSTEM: "system", Start.DEMAND: "demand"}.get(start, "disabled")


def _service_above(registry: Registry, key: str) -> str:
    """The service that a path is below; "" for none."""
    path, above = registry.full_path(key), registry.full_path(SERVICES)
    if not upcase(path).startswith(upcase(above) + "\\"):
        return ""
    return path[len(above) + 1 :].partition("\\")[0]
