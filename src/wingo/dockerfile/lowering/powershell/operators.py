"""PowerShell's operators and casts (specification chapter 7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.powershell.nodes import ScriptBlock
from wingo.dockerfile.lowering.powershell.values import (
    MAX_ITEMS,
    MAX_MATCHED,
    Table,
    Terminating,
    Thing,
    TypeName,
    Unknown,
    Value,
    compare,
    format_text,
    is_unknown,
    list_of,
    number_of,
    regex,
    substitution,
    text_of,
    truth_of,
    version_of,
    wildcard,
)
from wingo.dockerfile.lowering.step import MAX_TEXT
from wingo.hive.upcase import upcase

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell

_COMPARE = ("eq", "ne", "gt", "ge", "lt", "le", "like", "notlike", "match", "notmatch")


def unary(shell: PowerShell, operator: str, value: Value) -> Value:
    """`-not x`, `-join x`, `-x`."""
    match operator:
        case "not":
            truth = truth_of(value)
            if truth is None:
                equal = value.equal if isinstance(value, Unknown) else None
                return Unknown("condition", (equal[0], equal[1], not equal[2]) if equal else None)
            return not truth
        case "join":
            return shell.session.check_size("".join(map(text_of, list_of(value))))
        case "split":
            return [part for part in re.split(r"\s+", text_of(value)) if part]
        case "-":
            return -number_of(value)
        case "+":
            return number_of(value)
        case "bnot":
            return ~int(number_of(value))
        case _:
            raise CannotLower(f"the operator {operator} is not lowered")


def binary(shell: PowerShell, written: str, left: Value, right: Value) -> Value:
    """`left -operator right`.

    Raises:
        Terminating: the values do not fit.
        CannotLower: it is not lowered.
    """
    sensitive = False
    operator = written
    if operator[:1] in "ic" and operator[1:] in (
        *_COMPARE,
        "replace",
        "contains",
        "notcontains",
        "in",
        "notin",
        "split",
    ):
        sensitive, operator = operator[0] == "c", operator[1:]
    if operator in ("+", "-", "*", "/", "%"):
        return _arithmetic(shell, operator, left, right)
    if operator in _COMPARE:
        if isinstance(left, list):
            found: list[Value] = []
            for item in left:
                truth = truth_of(_compare(shell, operator, item, right, sensitive=sensitive))
                if truth is None:
                    return Unknown("what is in an array")
                if truth:
                    found.append(item)
            return found
        return _compare(shell, operator, left, right, sensitive=sensitive)
    match operator:
        case "f":
            return shell.session.check_size(
                format_text(text_of(left), list_of(right) if isinstance(right, list) else [right])
            )
        case "replace":
            return _replace(shell, left, right, sensitive=sensitive)
        case "split":
            return _split(left, right, sensitive=sensitive)
        case "join":
            return shell.session.check_size(text_of(right).join(map(text_of, list_of(left))))
        case "contains" | "notcontains" | "in" | "notin":
            items, wanted = (left, right) if "contains" in operator else (right, left)
            results = [compare(item, wanted, sensitive=sensitive) for item in list_of(items)]
            if any(result == 0 for result in results):
                return not operator.startswith("not")
            if any(result is None for result in results) or is_unknown(items):
                return Unknown("what an array contains")
            return operator.startswith("not")
        case "..":
            first, last = int(number_of(left)), int(number_of(right))
            if abs(last - first) > MAX_ITEMS:
                raise CannotLower(f"a range of more than {MAX_ITEMS} numbers")
            return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))
        case "xor":
            one, two = truth_of(left), truth_of(right)
            return Unknown("condition") if one is None or two is None else one != two
        case "is" | "isnot":
            return _is(left, right) == (operator == "is")
        case "as":
            return cast(right.name if isinstance(right, TypeName) else text_of(right), left)
        case "band" | "bor" | "bxor":
            # Enumerations of flags, such as security protocols, are put together; nobody reads the sum.
            if isinstance(left, Thing) or isinstance(right, Thing):
                return left if isinstance(left, Thing) else right
            one_number, two_number = int(number_of(left)), int(number_of(right))
            return {"band": one_number & two_number, "bor": one_number | two_number, "bxor": one_number ^ two_number}[
                operator
            ]
        case _:
            raise CannotLower(f"the operator -{written} is not lowered")


def _compare(shell: PowerShell, operator: str, left: Value, right: Value, *, sensitive: bool) -> Value:
    if operator in ("like", "notlike", "match", "notmatch"):
        if is_unknown(left) or is_unknown(right):
            return Unknown(f"whether {text_of(left)} matches")
        negated = operator.startswith("not")
        if operator.endswith("like"):
            return wildcard(text_of(left), text_of(right), sensitive=sensitive) != negated
        text = text_of(left)
        if len(text) > MAX_MATCHED:
            raise CannotLower(f"-match on a text of more than {MAX_MATCHED} characters is not lowered")
        found = regex(text_of(right), sensitive=sensitive).search(text)
        if found is not None and not negated:
            table = Table()
            for index, group in enumerate((found[0], *found.groups())):
                table.set(str(index), group)
            for name, group in found.groupdict().items():
                table.set(name, group)
            shell.set("Matches", table)
        return (found is not None) != negated
    order = compare(left, right, sensitive=sensitive)
    if order is None:
        return _unknown_comparison(shell, operator, left, right)
    return {"eq": order == 0, "ne": order != 0, "gt": order > 0, "ge": order >= 0, "lt": order < 0, "le": order <= 0}[
        operator
    ]


def _unknown_comparison(shell: PowerShell, operator: str, left: Value, right: Value) -> Unknown:
    """A comparison in a plan; of a download's hash with a text it is remembered which."""
    equal = None
    if operator in ("eq", "ne"):
        for one, other in ((left, right), (right, left)):
            if (
                is_unknown(one)
                and isinstance(other, str)
                and not is_unknown(other)
                and upcase(text_of(one)) in shell.session.hashes
            ):
                equal = (text_of(one), other, operator == "eq")
    return Unknown(f"whether {text_of(left)} is {text_of(right)}", equal)


def equals(shell: PowerShell, left: Value, right: Value, *, sensitive: bool = True) -> Value:
    """`.Equals(x)`."""
    return _compare(shell, "eq", left, right, sensitive=sensitive)


def _arithmetic(shell: PowerShell, operator: str, left: Value, right: Value) -> Value:
    if operator == "+":
        if isinstance(left, list):
            if len(left) > MAX_ITEMS:
                raise CannotLower(f"an array of more than {MAX_ITEMS} values")
            return [*left, *list_of(right)] if isinstance(right, list) else [*left, right]
        if isinstance(left, str | Unknown):
            return shell.session.check_size(text_of(left) + text_of(right))
        if left is None:
            return right
        if isinstance(left, Table) and isinstance(right, Table):
            table = Table()
            for key, value in (*left.items(), *right.items()):
                table.set(key, value)
            return table
        if isinstance(left, Thing):
            return shell.session.check_size(left.text + text_of(right))
    if operator == "*" and isinstance(left, str | list):
        count = int(number_of(right))
        if count < 0 or count * max(len(left), 1) > min(MAX_TEXT, MAX_ITEMS * 10):
            raise CannotLower("a text or array is repeated too often")
        return left * count
    one, two = number_of(left), number_of(right)
    if max(abs(one), abs(two)) > 1e30:
        raise CannotLower("a number is too large")
    if operator in ("/", "%") and two == 0:
        raise Terminating("attempted to divide by zero")
    if operator == "+":
        return one + two
    if operator == "-":
        return one - two
    if operator == "*":
        return one * two
    if operator == "%":
        # The sign is that of the left, as in C.
        result = abs(one) % abs(two)
        return -result if one < 0 else result
    quotient = one / two
    return int(quotient) if isinstance(one, int) and isinstance(two, int) and one % two == 0 else quotient


def _replace(shell: PowerShell, left: Value, right: Value, *, sensitive: bool) -> Value:
    parts = list_of(right)
    pattern = regex(text_of(parts[0]) if parts else "", sensitive=sensitive)
    new = parts[1] if len(parts) > 1 else ""
    if isinstance(new, ScriptBlock):
        raise CannotLower("-replace with a block is not lowered")
    found: list[Value] = []
    for item in list_of(left):
        text = text_of(item)
        if len(text) > MAX_TEXT:
            raise CannotLower("-replace on too long a text")
        found.append(shell.session.check_size(pattern.sub(substitution(text_of(new)), text)))
    if isinstance(left, list):
        return found
    return found[0] if found else ""


def _split(left: Value, right: Value, *, sensitive: bool) -> Value:
    parts = list_of(right)
    if isinstance(parts[0] if parts else None, ScriptBlock):
        raise CannotLower("-split with a block is not lowered")
    pattern = regex(text_of(parts[0]) if parts else r"\s", sensitive=sensitive)
    limit = int(number_of(parts[1])) if len(parts) > 1 else 0
    found: list[Value] = []
    for item in list_of(left):
        found += pattern.split(text_of(item), maxsplit=max(0, limit - 1) if limit > 0 else 0)
    return found


def _is(value: Value, type_: Value) -> bool:
    name = type_.name if isinstance(type_, TypeName) else text_of(type_).lower().removeprefix("system.")
    kinds: dict[str, bool] = {
        "string": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "int32": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object[]": isinstance(value, list),
        "hashtable": isinstance(value, Table),
        "io.fileinfo": isinstance(value, Thing)
        and value.kind == "file"
        and value.item is not None
        and value.item.is_file,
        "io.directoryinfo": isinstance(value, Thing) and value.item is not None and value.item.is_directory,
        "version": isinstance(value, Thing) and value.kind == "version",
    }
    if name not in kinds:
        raise CannotLower(f"-is [{name}] is not lowered")
    return kinds[name]


def index(shell: PowerShell, target: Value, key: Value) -> Value:
    """`target[key]`."""
    if isinstance(target, Table):
        return target.get(text_of(key))
    if isinstance(target, Unknown) or isinstance(key, Unknown):
        return Unknown(f"a part of {text_of(target)}")
    if isinstance(key, list):
        return [index(shell, target, item) for item in key]
    if isinstance(target, str | list):
        try:
            return target[int(number_of(key))]
        except IndexError:
            return None
    if isinstance(target, Thing) and isinstance(target.data, Table):
        return target.data.get(text_of(key))
    raise Terminating("cannot index into this value")


def cast(written: str, value: Value) -> Value:
    """`[type] value`.

    Raises:
        Terminating: it cannot be converted.
        CannotLower: a type that is not lowered.
    """
    name = written.lower().removeprefix("system.")
    match name:
        case "string":
            return text_of(value)
        case "int" | "int32" | "int64" | "long" | "uint32" | "byte" | "uint16" | "short":
            number = number_of(value)
            whole = round(number)
            if not -(1 << 63) <= whole < 1 << 64:
                raise Terminating(f"{number} is too large for {name}")
            return whole
        case "double" | "float" | "single" | "decimal":
            return float(number_of(value))
        case "bool" | "boolean" | "switch":
            truth = truth_of(value)
            return Unknown("condition") if truth is None else truth
        case "array" | "object[]" | "string[]":
            items = list_of(value)
            return [text_of(item) for item in items] if name == "string[]" else items
        case "void":
            return None
        case "version" | "management.automation.semanticversion":
            if is_unknown(value):
                return Unknown(f"version {text_of(value)}")
            text = text_of(value)
            numbers = version_of(text)
            names = ("Major", "Minor", "Build", "Revision")
            found: dict[str, Value] = dict(zip(names, (*numbers, -1, -1)[:4], strict=True))
            return Thing("version", found, text.strip(), data=(*numbers, -1, -1)[:4])
        case "char":
            number_or_text = value if isinstance(value, int) else text_of(value)
            return chr(number_or_text & 0xFFFF) if isinstance(number_or_text, int) else number_or_text[:1]
        case (
            "scriptblock"
            | "regex"
            | "psobject"
            | "object"
            | "io.fileinfo"
            | "uri"
            | "pscustomobject"
            | "ordered"
            | "hashtable"
            | "net.securityprotocoltype"
            | "environmentvariabletarget"
            | "text.encoding"
        ):
            if name == "pscustomobject" and isinstance(value, Table):
                return Thing("object", dict(value.items()), "@{}")
            return value
        case _:
            raise CannotLower(f"the type [{written}] is not lowered")
