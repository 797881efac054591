"""`icacls`, `takeown`, `cacls`."""

from __future__ import annotations

import re

import msgspec

from wingo.dockerfile.lowering import security
from wingo.dockerfile.lowering.edits import CheckProgram, SetSecurity
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.windows.paths import path_text
from wingo.windows.security import AccessEntry

_SIMPLE = {"N": 0, "F": 0x1F01FF, "M": 0x1301BF, "RX": 0x1200A9, "R": 0x120089, "W": 0x100116, "D": 0x110000}
_SPECIFIC = {
    **_SIMPLE,
    "DE": 0x10000, "RC": 0x20000, "WDAC": 0x40000, "WO": 0x80000, "S": 0x100000, "MA": 0x2000000,
    "GR": 0x80000000, "GW": 0x40000000, "GE": 0x20000000, "GA": 0x10000000,
    "RD": 0x1, "WD": 0x2, "AD": 0x4, "REA": 0x8, "WEA": 0x10, "X": 0x20, "DC": 0x40, "RA": 0x80, "WA": 0x100,
}  # fmt: skip
_FLAGS = {"OI": 1, "CI": 2, "NP": 4, "IO": 8, "I": 0x10}


def parse_permission(session: Session, text: str, *, allow: bool = True) -> AccessEntry:
    """`ACCOUNT:(OI)(CI)F` as an entry.

    Raises:
        CommandFailed: it is none.
    """
    name, colon, rights = text.rpartition(":")
    if not colon:
        raise CommandFailed(f"icacls: invalid parameter {text!r}", 87)
    flags = mask = 0
    plain = rights.upper().replace(" ", "")
    found = re.fullmatch(r"((?:\((?:OI|CI|NP|IO|I)\))*)(?:\(([A-Z,]+)\)|([A-Z]+))", plain)
    if found is None:
        raise CommandFailed(f"icacls: invalid parameter {text!r}", 87)
    for flag in re.findall(r"[A-Z]+", found[1]):
        flags |= _FLAGS[flag]
    words = found[2].split(",") if found[2] else [found[3]]
    for word in words:
        if word not in (_SPECIFIC if found[2] else _SIMPLE):
            raise CommandFailed(f"icacls: there is no right {word!r}", 87)
        mask |= _SPECIFIC[word]
    return AccessEntry(allow, flags, mask, security.sid_of(session, name.strip('"')))


def icacls(session: Session, call: Call) -> int:
    """`icacls PATH [/grant[:r] | /deny | /remove | /inheritance | /setowner | /reset] … [/t]`."""
    if not call.arguments:
        raise CommandFailed("icacls: invalid parameter", 87)
    target, *left = call.arguments
    recurse = any(word.lower() in ("/t", "-t") for word in left)
    items, late = session.glob(target, brackets=False)
    if not items and not late:
        raise CommandFailed(f"icacls: {target}: the system cannot find the file specified", 2)
    changes = _changes(session, left)
    if not changes:
        session.add(
            CheckProgram(path_text(session.path(target)) if "*" not in target else target, ("icacls", *call.arguments))
        )
        call.output.unknown = "icacls"
        return 0
    if recurse:
        for item in list(items):
            if item.is_directory:
                session.vague_below(item)
                items += list(session.tree.below(item.path))
    for item in items:
        session.tick()
        _change_one(session, item, changes, first=item.text == items[0].text)
    return 0


def _changes(session: Session, words: list[str]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    left = list(words)
    verb = ""
    while left:
        word = left.pop(0)
        if not word.startswith(("/", "-")):
            if verb.startswith(("/grant", "/deny")):
                found.append((verb, parse_permission(session, word, allow=verb.startswith("/grant"))))
            elif verb.startswith("/remove") or verb == "/setowner":
                found.append((verb, security.sid_of(session, word)))
            else:
                raise CommandFailed(f"icacls: invalid parameter {word!r}", 87)
            continue
        verb = "/" + word[1:].lower()
        if verb in ("/t", "/c", "/q", "/l"):
            verb = ""
        elif verb == "/reset" or verb.startswith("/inheritance:"):
            found.append((verb, None))
        elif verb.startswith(("/save", "/restore", "/substitute", "/setintegritylevel", "/findsid", "/verify")):
            raise CannotLower(
                f"icacls {verb} is not lowered", "Use /grant, /deny, /remove, /inheritance, /setowner or /reset."
            )
        elif not re.fullmatch(r"/(?:grant(?::r)?|deny|remove(?::[gd])?|setowner)", verb):
            raise CommandFailed(f"icacls: invalid parameter {word!r}", 87)
    return found


def _change_one(session: Session, item: Item, changes: list[tuple[str, object]], *, first: bool) -> None:
    if item.unknown:
        session.add(SetSecurity(item.text, "", _shown(changes)))
        return
    descriptor = security.descriptor_of(session.tree, item.path)
    owned = bool(item.access)
    del first
    for verb, value in changes:
        if verb == "/reset":
            session.tree.put(msgspec.structs.replace(item, access="", in_base=False))
            session.add(SetSecurity(item.text, "", "inherited from the directory"))
            return
        if verb.startswith("/inheritance:"):
            if verb.endswith(":e"):
                continue
            descriptor = security.protected(descriptor, keep=verb.endswith(":d") or owned)
        elif verb == "/setowner":
            descriptor = msgspec.structs.replace(descriptor, owner=str(value))
        elif verb.startswith("/remove"):
            kinds = verb.partition(":")[2] or "gd"
            descriptor = security.without_account(descriptor, str(value), kinds=kinds)
        elif isinstance(value, AccessEntry):
            entry = value
            if not item.is_directory and entry.flags & 3:
                if entry.flags & 8 and item.kind is Kind.FILE:
                    continue
                entry = AccessEntry(entry.allow, 0, entry.mask, entry.sid)
            descriptor = security.with_entry(descriptor, entry, replace=verb == "/grant:r")
    security.set_descriptor(session, item, descriptor, _shown(changes))


_INHERITANCE = ((1, "(OI)"), (2, "(CI)"), (8, "(IO)"), (4, "(NP)"))


def _shown(changes: list[tuple[str, object]]) -> str:
    words = []
    for verb, value in changes:
        if isinstance(value, AccessEntry):
            inherited = "".join(name for bit, name in _INHERITANCE if value.flags & bit)
            words.append(f"{verb[1:]} {value.sid} {inherited}0x{value.mask:x}")
        else:
            words.append(verb[1:] + (f" {value}" if value else ""))
    return ", ".join(words)


def takeown(session: Session, call: Call) -> int:
    """`takeown /f PATH [/r] [/a]`."""
    words = list(call.arguments)
    lower = [word.lower() for word in words]
    if "/f" not in lower or lower.index("/f") + 1 >= len(words):
        raise CommandFailed("takeown: invalid syntax")
    target = words[lower.index("/f") + 1]
    items, late = session.glob(target, brackets=False)
    if not items and not late:
        raise CommandFailed(f"takeown: the system cannot find the file {target}")
    owner = "S-1-5-32-544" if "/a" in lower else security.sid_of(session, session.start.account)
    if "/r" in lower:
        for item in list(items):
            if item.is_directory:
                session.vague_below(item)
                items += list(session.tree.below(item.path))
    for item in items:
        if not item.unknown:
            descriptor = security.descriptor_of(session.tree, item.path)
            security.set_descriptor(session, item, msgspec.structs.replace(descriptor, owner=owner), f"owner {owner}")
    return 0


PROGRAMS: dict[str, Program] = {"icacls": icacls, "takeown": takeown}
