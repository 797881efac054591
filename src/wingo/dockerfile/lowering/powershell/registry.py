r"""Cmdlets for registry keys and values, on `HKLM:\`, `HKCU:\` and `Registry::…`."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Thing, Unknown, Value, is_unknown, number_of, text_of
from wingo.dockerfile.lowering.programs.registry_tools import apply
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.state import expand
from wingo.errors import RequestError
from wingo.hive import values as hive_values
from wingo.hive.upcase import upcase
from wingo.hive.values import EXPAND_SZ, texts_of
from wingo.hive.values import Value as HiveValue
from wingo.hive.values import number_of as hive_number
from wingo.windows.registry_commands import (
    PowerShellValue,
    new_item,
    new_item_property,
    remove_item,
    remove_item_property,
    set_item_property,
)

_PATH = re.compile(r"(?:(?:Microsoft\.PowerShell\.Core\\)?Registry::|(?:HKLM|HKCU|HKCR|HKU|HKCC):)", re.IGNORECASE)


def is_path(text: str) -> bool:
    """Whether a path is one of the registry."""
    return _PATH.match(text) is not None


def _assume(session: Session, path: str) -> bool:
    """In a plan without the registry: the key is taken to be there."""
    try:
        if not session.registry.is_assumed(path):
            return False
        if not session.planning:
            raise CannotLower("the base's registry was not read", "Let wingo read the base's hives.")
        session.registry = session.registry.assume_key(path)
    except RequestError as error:
        raise CannotLower(str(error), error.hint) from error
    session.late = True
    return True


def new_key(bound: Bound, path: str) -> None:
    """`New-Item` of a key.

    Raises:
        CommandFailed: it is there, or the one above is not.
    """
    session = bound.shell.session
    above = path.rstrip("\\/").replace("/", "\\").rpartition("\\")[0]
    if above and is_path(above + "\\") and not above.endswith(":"):
        try:
            if session.registry.is_assumed(path):
                _assume(session, above)
        except RequestError as error:
            raise CannotLower(str(error), error.hint) from error
    try:
        apply(session, new_item(session.registry, path, force=bound.switch("Force")))
        if bound.has("Value"):
            apply(session, (new_item_property(session.registry, path, "", _value(bound.get("Value")), force=True)))
    except RequestError as error:
        raise CommandFailed(str(error)) from error


def remove_key(bound: Bound, path: str) -> None:
    """`Remove-Item` of a key.

    Raises:
        CommandFailed: it is not there.
        CannotLower: PowerShell would ask.
    """
    session = bound.shell.session
    if any(character in path for character in "*?"):
        raise CannotLower("Remove-Item of registry keys by a pattern is not lowered", "Name each key.")
    _assume(session, path)
    try:
        there = session.registry.find(path)
        if there is not None and there.subkeys() and not bound.switch("Recurse"):
            raise CannotLower(f"Remove-Item asks whether {path} is to go with all that is in it", "Add -Recurse.")
        apply(session, remove_item(session.registry, path, recursive=bound.switch("Recurse")))
    except RequestError as error:
        raise CommandFailed(str(error)) from error


def key_exists(bound: Bound, path: str) -> Value:
    """`Test-Path` of a key."""
    session = bound.shell.session
    try:
        if session.registry.find(path) is not None:
            return True
        return Unknown(f"whether {path} is there") if session.registry.is_assumed(path) else False
    except RequestError as error:
        raise CannotLower(str(error), error.hint) from error


def child_keys(bound: Bound, path: str) -> list[Value]:
    """`Get-ChildItem` of a key."""
    session = bound.shell.session
    try:
        key = session.registry.find(path)
        if session.registry.is_assumed(path):
            return [Unknown(f"what is below {path}")]
        full = session.registry.full_path(path)
    except RequestError as error:
        raise CannotLower(str(error), error.hint) from error
    if key is None:
        raise CommandFailed(f"cannot find path {path!r} because it does not exist")
    return [_key_thing(session, f"{full}\\{child.name}") for child in key.subkeys()]


def get_key(bound: Bound, path: str) -> list[Value]:
    """`Get-Item` of a key."""
    session = bound.shell.session
    exists = key_exists(bound, path)
    if isinstance(exists, Unknown):
        return [exists]
    if not exists:
        raise CommandFailed(f"cannot find path {path!r} because it does not exist")
    return [_key_thing(session, session.registry.full_path(path))]


def _key_thing(session: Session, full: str) -> Thing:
    name = full.rpartition("\\")[2]
    properties: dict[str, Value] = {"Name": full, "PSChildName": name, "PSPath": f"Registry::{full}"}
    del session
    return Thing("key", properties, f"Registry::{full}", data=full)


def set_property(bound: Bound) -> list[Value]:
    """`New-ItemProperty` and `Set-ItemProperty`."""
    session = bound.shell.session
    names = bound.texts("Name")
    pairs = [(name, bound.get("Value")) for name in names]
    for path in bound.paths("LiteralPath", "Path"):
        if not is_path(path):
            return _set_file_property(bound, path, pairs)
        _assume(session, path)
        for name, value in pairs:
            if is_unknown(value) and not session.planning:
                raise CannotLower(f"the value of {name} is not known")
            kind = bound.text("PropertyType") or bound.text("Type")
            plain_name = "" if upcase(name) == "(DEFAULT)" else name
            try:
                converted = _converted(_value(value), kind)
                if bound.cmdlet == "New-ItemProperty":
                    force = bound.switch("Force")
                    edits = new_item_property(session.registry, path, plain_name, converted, type=kind, force=force)
                else:
                    edits = set_item_property(session.registry, path, plain_name, converted, type=kind)
                apply(session, edits)
            except RequestError as error:
                raise CommandFailed(str(error)) from error
    return []


def _set_file_property(bound: Bound, path: str, pairs: list[tuple[str, Value]]) -> list[Value]:
    import msgspec

    from wingo.dockerfile.lowering.edits import SetAttributes
    from wingo.dockerfile.lowering.powershell.places import plain_path
    from wingo.dockerfile.lowering.powershell.values import truth_of

    session = bound.shell.session
    item = session.read_item(session.path(plain_path(session, path)))
    for name, value in pairs:
        if name.lower() != "isreadonly":
            raise CannotLower(f"{bound.cmdlet} {name} of a file is not lowered")
        bits = item.bits | 1 if truth_of(value) else item.bits & ~1
        session.tree.put(msgspec.structs.replace(item, bits=bits, in_base=False))
        session.add(SetAttributes(item.text, bits))
    return []


def _value(value: Value) -> PowerShellValue:
    match value:
        case bool():
            return int(value)
        case int() | str() | bytes():
            return value
        case float():
            return int(value) if value.is_integer() else text_of(value)
        case list():
            if value and all(
                isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 256 for item in value
            ):
                return bytes(int(number_of(item)) for item in value)
            return [text_of(item) for item in value]
        case _:
            return text_of(value)


def _converted(value: PowerShellValue, kind: str) -> PowerShellValue:
    """A text that is a number becomes one where the type is one, as .NET converts it."""
    lower = kind.lower()
    if lower in ("dword", "qword") and isinstance(value, str):
        return int(number_of(value))
    if lower in ("string", "expandstring") and not isinstance(value, str):
        return text_of(list(value) if isinstance(value, list | bytes) else value)  # type: ignore[arg-type]
    if lower == "multistring" and isinstance(value, str):
        return [value]
    return value


def remove_property(bound: Bound) -> list[Value]:
    """`Remove-ItemProperty`."""
    session = bound.shell.session
    for path in bound.paths("LiteralPath", "Path"):
        if not is_path(path):
            raise CannotLower("Remove-ItemProperty of a file is not lowered")
        for name in bound.texts("Name"):
            try:
                if _assume(session, path):
                    from wingo.hive.edit import DeleteValue

                    apply(session, (DeleteValue(session.registry.full_path(path), name),))
                else:
                    apply(session, remove_item_property(session.registry, path, name))
            except RequestError as error:
                raise CommandFailed(str(error)) from error
    return []


def get_property(bound: Bound) -> list[Value]:
    """`Get-ItemProperty` and `Get-ItemPropertyValue`."""
    session = bound.shell.session
    found: list[Value] = []
    for path in bound.paths("LiteralPath", "Path"):
        if not is_path(path):
            from wingo.dockerfile.lowering.powershell.places import file_thing, plain_path

            item = session.find(session.path(plain_path(session, path)))
            if item is None:
                raise CommandFailed(f"cannot find path {path!r} because it does not exist")
            found.append(file_thing(item))
            continue
        try:
            key = session.registry.find(path)
            assumed = session.registry.is_assumed(path)
        except RequestError as error:
            raise CannotLower(str(error), error.hint) from error
        wanted = bound.texts("Name")
        if key is None and not assumed:
            raise CommandFailed(f"cannot find path {path!r} because it does not exist")
        values = {value.name or "(default)": _read(bound, value) for value in (key.values() if key is not None else ())}
        known = {name.lower() for name in values}
        missing = [name for name in wanted if name.lower() not in known]
        if missing and assumed:
            session.late = True
            values.update({name: Unknown(f"{name} of {path}") for name in missing})
        elif missing:
            raise CommandFailed(f"property {missing[0]} does not exist at path {path}")
        if bound.cmdlet == "Get-ItemPropertyValue":
            lower = {name.lower(): value for name, value in values.items()}
            found += [lower[name.lower()] for name in wanted]
        else:
            found.append(Thing("properties", values, "@{}", data="open" if assumed and not wanted else None))
    return found


def _read(bound: Bound, value: HiveValue) -> Value:
    """A value as PowerShell shows it: REG_EXPAND_SZ expanded."""
    if (number := hive_number(value)) is not None:
        return number
    if (text := hive_values.text_of(value)) is not None:
        return expand(text, bound.shell.session.variables) if value.type == EXPAND_SZ else text
    if (texts := texts_of(value)) is not None:
        return list(texts)
    return list(value.data)


_PROPERTY = "Path LiteralPath/PSPath Name/PSProperty Value PropertyType/Type Force! PassThru! Include Exclude Filter"
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("New-ItemProperty", _PROPERTY, set_property, positional="Path Name"),
    cmdlet("Set-ItemProperty", _PROPERTY, set_property, positional="Path Name Value"),
    cmdlet("Remove-ItemProperty", "Path LiteralPath/PSPath Name Force! Include Exclude Filter", remove_property, positional="Path Name"),
    cmdlet("Get-ItemProperty", "Path LiteralPath/PSPath Name/PSProperty Include Exclude Filter", get_property, positional="Path Name"),
    cmdlet("Get-ItemPropertyValue", "Path LiteralPath/PSPath Name/PSProperty Include Exclude Filter", get_property, positional="Path Name"),
)  # fmt: skip
