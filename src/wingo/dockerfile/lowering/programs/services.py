"""`sc` and `net`'s words for services."""

from __future__ import annotations

import struct

import msgspec

from wingo.dockerfile.lowering.edits import ChangeService
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.programs.registry_tools import apply
from wingo.dockerfile.lowering.session import Session
from wingo.errors import RequestError
from wingo.hive.edit import Edit, SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import BINARY, DWORD, SZ, encode_text
from wingo.windows.registry_policy import never_touched
from wingo.windows.services import (
    SERVICES,
    ServiceChange,
    Start,
    change_service,
    create_service,
    delete_service,
    parse_start,
    read_services,
    service_key,
)

NO_SUCH_SERVICE = 1060
_TYPES = {"own": 0x10, "share": 0x20, "kernel": 0x1, "filesys": 0x2, "rec": 0x8, "interact": 0x100}
_ERRORS = {"ignore": 0, "normal": 1, "severe": 2, "critical": 3}
_ACTIONS = {"": 0, "restart": 1, "reboot": 2, "run": 3}


def sc(session: Session, call: Call) -> int:
    """`sc create | config | delete | description | failure | failureflag | query | start | stop`."""
    arguments = list(call.arguments)
    if not arguments:
        raise CommandFailed("sc: it wants a command", 1639)
    if arguments[0].startswith("\\\\"):
        raise CannotLower(f"sc {arguments[0]} is another machine")
    verb, rest = arguments[0].lower(), arguments[1:]
    if verb in ("query", "queryex", "qc", "qdescription", "qfailure", "start", "stop", "pause", "continue", "enumdepend", "sdshow", "getdisplayname", "getkeyname"):  # fmt: skip
        return _passing(session, call, verb, rest)
    if not rest:
        raise CommandFailed(f"sc {verb}: it wants the service's name", 1639)
    name = rest[0]
    if verb == "delete":
        remove(session, name)
    elif verb in ("create", "config"):
        configure(session, name, _change(session, rest[1:]), create=verb == "create")
    elif verb == "description":
        configure(session, name, ServiceChange(description=rest[1] if len(rest) > 1 else ""), create=False)
    elif verb == "failure":
        _failure(session, name, rest[1:])
    elif verb == "failureflag":
        flag = int(rest[1]) if len(rest) > 1 and rest[1] in ("0", "1") else 1
        _set(session, name, "FailureActionsOnNonCrashFailures", DWORD, struct.pack("<I", flag), f"{flag}")
    else:
        raise CannotLower(f"sc {verb} is not lowered", "sc create, config, delete, description and failure are.")
    return 0


def _passing(session: Session, call: Call, verb: str, rest: list[str]) -> int:
    """What only looks, or what ends with the step."""
    call.output.unknown = f"sc {verb}"
    if (rest and verb not in ("query", "queryex")) or (rest and not rest[0].endswith("=")):
        require(session, rest[0], status=NO_SUCH_SERVICE)
    if verb in ("start", "stop", "pause", "continue"):
        session.note(f"sc {verb} {' '.join(rest[:1])} does nothing to an image: services run in a container alone")
    return 0


def require(session: Session, name: str, *, status: int = NO_SUCH_SERVICE) -> None:
    """Fails when there is no such service; in a plan without the registry it is taken to be there.

    Raises:
        CommandFailed: there is none.
    """
    assume(session, name)
    try:
        service_key(session.registry, name)
    except RequestError as error:
        raise CommandFailed(str(error), status) from error


def assume(session: Session, name: str) -> None:
    """In a plan without the registry: a service is taken to be there.

    Raises:
        CannotLower: this is no plan, and the registry was not read.
    """
    if not session.registry.is_assumed(SERVICES):
        return
    if not session.planning:
        raise CannotLower("the base's registry was not read", "Let wingo read the base's hives.")
    session.late = True
    try:
        session.registry = session.registry.assume_key(f"{SERVICES}\\{name}")
    except RequestError as error:
        raise CommandFailed(str(error)) from error


def configure(session: Session, name: str, change: ServiceChange, *, create: bool) -> None:
    """Makes or changes a service.

    Raises:
        CommandFailed: it is there already, or is not.
    """
    if not create:
        assume(session, name)
    try:
        edits = (create_service if create else change_service)(session.registry, name, change)
    except RequestError as error:
        raise CommandFailed(str(error), 1073 if create else NO_SUCH_SERVICE) from error
    _note_kept(session, name)
    session.add(ChangeService(name, "create" if create else "configure", _shown(change)))
    apply(session, edits)


def remove(session: Session, name: str) -> None:
    """Removes a service.

    Raises:
        CommandFailed: there is none.
    """
    assume(session, name)
    try:
        edits = delete_service(session.registry, name)
    except RequestError as error:
        raise CommandFailed(str(error), NO_SUCH_SERVICE) from error
    _note_kept(session, name)
    session.add(ChangeService(name, "delete"))
    apply(session, edits)


def _note_kept(session: Session, name: str) -> None:
    if session.registry.is_assumed(SERVICES):
        return
    kept = never_touched(read_services(session.registry)).get(upcase(name))
    if kept is not None:
        session.note(f"the service {name} should stay as it is: {kept[0]}")


def _shown(change: ServiceChange) -> tuple[tuple[str, str], ...]:
    found = []
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if value is not None and value is not False:
            text = (
                value.name.lower()
                if isinstance(value, Start)
                else "/".join(value)
                if isinstance(value, tuple)
                else str(value)
            )
            found.append((name.replace("_", " "), text))
    return tuple(found)


def _pairs(session: Session, words: list[str]) -> list[tuple[str, str]]:
    """`start= auto`: the name with its `=` is one word, the value the next."""
    found = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not equals:
            raise CommandFailed(f"sc: {word} is no option: one ends with =", 1639)
        if not value:
            if not left:
                raise CommandFailed(f"sc: {word} wants a value", 1639)
            value = left.pop(0)
        else:
            session.note(f"sc {word}: older Windows wants a space behind the =")
        found.append((name.lower(), value))
    return found


def _change(session: Session, words: list[str]) -> ServiceChange:
    change = ServiceChange()
    for name, value in _pairs(session, words):
        if name == "start":
            try:
                start, delayed = parse_start(value)
            except RequestError as error:
                raise CommandFailed(f"sc: {error}", 1639) from error
            change = msgspec.structs.replace(change, start=start, delayed=delayed)
        elif name == "binpath":
            change = msgspec.structs.replace(change, image=value)
        elif name == "depend":
            wanted = tuple(part for part in value.split("/") if part)
            change = msgspec.structs.replace(change, depends_on=wanted)
        elif name == "obj":
            change = msgspec.structs.replace(change, account=value)
        elif name == "displayname":
            change = msgspec.structs.replace(change, display_name=value)
        elif name == "group":
            change = msgspec.structs.replace(change, group=value)
        elif name == "type" and value.lower() in _TYPES:
            before = change.type or 0
            change = msgspec.structs.replace(change, type=before | _TYPES[value.lower()])
        elif name == "error" and value.lower() in _ERRORS:
            change = msgspec.structs.replace(change, error_control=_ERRORS[value.lower()])
        elif name in ("password", "tag"):
            if value.strip() not in ("", '""', "no"):
                raise CannotLower(f"sc {name}= is kept by the running system", "Use LocalSystem or a virtual account.")
        else:
            raise CommandFailed(f"sc: {name}= {value} is not valid", 1639)
    return change


def _failure(session: Session, name: str, words: list[str]) -> None:
    """`sc failure NAME reset= SECONDS actions= restart/5000/…`: `FailureActions`, SERVICE_FAILURE_ACTIONS with offsets."""
    require(session, name)
    reset, actions, command, message = 0, None, None, None
    for option, value in _pairs(session, words):
        if option == "reset":
            reset = 0xFFFF_FFFF if value.upper() == "INFINITE" else int(value) if value.isdigit() else -1
        elif option == "actions":
            parts = value.split("/") if value else []
            pairs = list(zip(parts[::2], parts[1::2], strict=False))
            if len(parts) % 2 or any(
                kind.lower() not in _ACTIONS or not (delay or "0").isdigit() for kind, delay in pairs
            ):
                raise CommandFailed(f"sc failure: actions= {value} is not valid", 1639)
            actions = [(_ACTIONS[kind.lower()], int(delay or "0")) for kind, delay in pairs]
        elif option == "command":
            command = value
        elif option == "reboot":
            message = value
        else:
            raise CommandFailed(f"sc failure: there is no {option}=", 1639)
    if reset < 0:
        raise CommandFailed("sc failure: reset= wants seconds", 1639)
    if actions is not None:
        data = struct.pack("<IIIII", reset, int(bool(message)), int(bool(command)), len(actions), 20)
        data += b"".join(struct.pack("<II", kind, delay & 0xFFFF_FFFF) for kind, delay in actions)
        shown = "/".join(f"{kind}/{delay}" for kind, delay in actions)
        _set(session, name, "FailureActions", BINARY, data, shown)
    for value_name, text in (("FailureCommand", command), ("RebootMessage", message)):
        if text:
            _set(session, name, value_name, SZ, encode_text(text), text)


def _set(session: Session, name: str, value: str, type_: int, data: bytes, shown: str) -> None:
    require(session, name)
    edit: Edit = SetValue(service_key(session.registry, name), value, type_, data)
    session.add(ChangeService(name, "configure", ((value, shown),)))
    apply(session, (edit,))


PROGRAMS: dict[str, Program] = {"sc": sc}
