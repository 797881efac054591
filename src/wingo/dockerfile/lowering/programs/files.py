"""`xcopy`, `robocopy`, `attrib`, `where`, `find`, `findstr`, `more`, and what only waits."""

from __future__ import annotations

import re

import msgspec

from wingo.dockerfile.lowering.edits import CopyPath, SetAttributes, has_hole, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import compile_pattern, is_pattern
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text


def _split(arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Switches in upper case without "/", and the other words."""
    switches, words = [], []
    for argument in arguments:
        if argument.startswith("/"):
            switches += [part.upper() for part in argument[1:].split("/")]
        else:
            words.append(argument)
    return switches, words


def xcopy(session: Session, call: Call) -> int:
    """`xcopy SOURCE TARGET [/s /e /i /y …]`."""
    switches, words = _split(call.arguments)
    if not 1 <= len(words) <= 2:
        raise CommandFailed("xcopy: invalid number of parameters", 4)
    if unlikely := {"P", "W", "D", "A", "M", "U", "L", "EXCLUDE"} & {switch.partition(":")[0] for switch in switches}:
        raise CannotLower(f"xcopy /{min(unlikely).lower()} is not lowered", "Name the files, or use copy.")
    source, target = words[0], words[1] if len(words) > 1 else "."
    deep = "S" in switches or "E" in switches
    items, late = session.glob(source, brackets=False)
    whole = len(items) == 1 and items[0].is_directory
    root = items[0].path if whole else session.path(source.replace("/", "\\").rpartition("\\")[0] or ".")
    files = [item for item in items if item.is_file]
    if whole:
        files = [
            item
            for item in (session.tree.below(root) if deep else session.tree.children(root))
            if not item.is_directory
        ]
    elif deep:
        pattern = compile_pattern(source.replace("/", "\\").rpartition("\\")[2], brackets=False)
        files = [item for item in session.tree.below(root) if not item.is_directory and pattern.match(item.path[-1])]
    unseen = late or any(item.unknown for item in items)
    vague = unseen or (whole and session.vague_below(items[0]))
    if not items and not vague:
        raise CommandFailed(f"xcopy: file not found - {source}", 4)
    place = session.path(target)
    there = session.find(place)
    if there is None and "I" not in switches and not target.endswith(("\\", "/")):
        raise CannotLower(
            f"xcopy asks whether {target} is a file or a directory", "Add /i, or end it with a backslash."
        )
    if whole and deep:
        session.copy_tree(items[0], place)
        if "E" not in switches:
            _drop_empty(session, items[0], place)
        return 0
    session.make_directory(place)
    if vague and not files:
        session.tree.vague.add(tuple(map(upcase, place)))
        if unseen:
            written = hole(source) if is_pattern(source, brackets=False) else path_text(session.path(source))
            session.add(CopyPath(written, path_text(place)))
    for item in files:
        inside = (*place, *item.path[len(root) :])
        existing = session.find(inside)
        if existing is not None and existing.is_file and "Y" not in switches:
            raise CannotLower(f"xcopy asks before it overwrites {path_text(inside)}", "Add /y.")
        session.make_directory(inside[:-1])
        session.copy_file(item, inside)
    return 0


def _drop_empty(session: Session, source: Item, target: Components) -> None:
    """`/s` without `/e`: directories in which there is no file are not copied."""
    if session.vague_below(source):
        return
    for item in sorted(session.tree.below(source.path), key=lambda one: -len(one.path)):
        inside = (*target, *item.path[len(source.path) :])
        if item.is_directory and not session.tree.children(session.tree.resolve(inside)):
            session.tree.remove(session.tree.resolve(inside))


_ROBOCOPY_PLAIN = re.compile(
    r"(?:E|S|COPYALL|COPY:\w+|DCOPY:\w+|NFL|NDL|NJH|NJS|NP|NC|NS|NS|R:\d+|W:\d+|MT(?::\d+)?|Z|B|ZB|J|IS|IT|V|SL|SEC|LOG:.*|TEE|XJ|XJD|XJF|FFT|UNICODE)\Z"
)


def robocopy(session: Session, call: Call) -> int:
    """`robocopy SOURCE TARGET [FILES] [/e …]`; exit code 1 says that files were copied."""
    switches, words = _split(call.arguments)
    if len(words) < 2:
        raise CommandFailed("robocopy: it wants a source and a target", 16)
    unknown = [
        switch
        for switch in switches
        if not _ROBOCOPY_PLAIN.match(switch) and switch not in ("MIR", "PURGE", "MOVE", "MOV")
    ]
    if unknown:
        raise CannotLower(f"robocopy /{unknown[0]} is not lowered", "Use xcopy or Copy-Item.")
    source = session.find(session.path(words[0]))
    if source is None:
        raise CommandFailed(f"robocopy: there is no directory {words[0]}", 16)
    place = session.path(words[1])
    patterns = [compile_pattern(word, brackets=False) for word in words[2:]]
    deep = bool({"E", "S", "MIR", "MOVE"} & set(switches))
    there = session.find(place)
    before = (
        {item.path[len(place) :] for item in session.tree.below(there.path)}
        if there is not None and there.is_directory
        else set()
    )
    if deep and not patterns:
        session.copy_tree(source, place)
        copied = sum(1 for item in session.tree.below(source.path) if not item.is_directory)
    else:
        session.make_directory(place)
        found = session.tree.below(source.path) if deep else session.tree.children(source.path)
        copied = 0
        for item in list(found):
            if item.is_file and (not patterns or any(pattern.match(item.path[-1]) for pattern in patterns)):
                inside = (*place, *item.path[len(source.path) :])
                session.make_directory(inside[:-1])
                session.copy_file(item, inside)
                copied += 1
    vague = session.vague_below(source)
    status = 1 if copied or vague else 0
    if {"MIR", "PURGE"} & set(switches) and not vague:
        kept = {tuple(map(upcase, item.path[len(source.path) :])) for item in session.tree.below(source.path)}
        extra = sorted(path for path in before if tuple(map(upcase, path)) not in kept)
        for path in extra:
            item = session.find((*place, *path), follow=False)  # type: ignore[assignment]
            if item is not None:
                session.remove(item)
        status |= 2 if extra else 0
    if {"MOVE", "MOV"} & set(switches) and not source.unknown:
        session.remove(source)
    return status


def attrib(session: Session, call: Call) -> int:
    """`attrib [+-rhsa] FILES [/s] [/d]`."""
    add = drop = 0
    words = []
    bits = {"r": 1, "h": 2, "s": 4}
    for word in call.arguments:
        if re.fullmatch(r"[+-][rhsaiopuxvb]", word, re.IGNORECASE):
            bit = bits.get(word[1].lower(), 0)
            add, drop = (add | bit, drop) if word[0] == "+" else (add, drop | bit)
        elif not word.startswith("/"):
            words.append(word)
    if not add and not drop:
        call.output.unknown = "attrib"
        return 0
    for word in words:
        items, late = session.glob(word, brackets=False)
        if not items and not late:
            session.print(f"file not found - {word}")
        for item in items:
            if not item.unknown:
                now = item.bits & ~drop | add
                session.tree.put(msgspec.structs.replace(item, bits=now, in_base=False))
                session.add(SetAttributes(item.text, now))
    return 0


def where(session: Session, call: Call) -> int:
    """`where NAME`."""
    from wingo.dockerfile.lowering.programs.running import find_program

    status = 0
    for word in call.arguments:
        if word.startswith("/"):
            continue
        item = find_program(session, word, here_first=True)
        if item is None:
            status = 1
            session.last_error = f"where: could not find {word}"
        elif item.unknown:
            call.output.unknown = f"where {word}"
        else:
            call.output.line(item.text)
    return status


def find(session: Session, call: Call) -> int:
    """`find "TEXT" [FILES]` and `findstr TEXT [FILES]`: whether there is such a line."""
    switches, words = _split(call.arguments)
    strings = call.name.lower().endswith(("findstr", "findstr.exe"))
    text = None
    for switch in switches:
        if strings and switch.startswith("C:"):
            text = next(argument[3:] for argument in call.arguments if argument.upper().startswith("/C:"))
    if text is None:
        if not words:
            raise CommandFailed("find: parameter format not correct", 2)
        text = words.pop(0)
    if strings and "L" not in switches and re.search(r"[.*\[\]^$\\]", text):
        raise CannotLower("findstr with a pattern is not lowered", "Use /c: and /l with the text itself.")
    alternatives = text.split() if strings and not any(switch.startswith("C:") for switch in switches) else [text]
    lines: list[str] = []
    for word in words:
        data = session.read(session.path(word))
        if data is None:
            call.output.unknown = "find"
            return 0
        lines += data.decode("cp1252", "replace").splitlines()
    if not words:
        if call.stdin is None or has_hole(call.stdin):
            call.output.unknown = "find"
            session.late = session.late or session.planning
            if not session.planning:
                raise CannotLower(f"{call.name} reads something that is not known")
            return 0
        lines = call.stdin.splitlines()

    def matches(line: str) -> bool:
        if "I" in switches:
            return any(word.lower() in line.lower() for word in alternatives)
        return any(word in line for word in alternatives)

    found = [line for line in lines if matches(line) != ("V" in switches)]
    for line in found:
        call.output.line(line)
    return 0 if found else 1


def more(session: Session, call: Call) -> int:
    """`more`: prints what it reads."""
    if call.arguments and not call.arguments[0].startswith("/"):
        data = session.read(session.path(call.arguments[0]))
        call.output.text += (data or b"").decode("cp1252", "replace")
    elif call.stdin is not None:
        call.output.text += call.stdin
    else:
        call.output.unknown = "more"
    return 0


def nothing(session: Session, call: Call) -> int:
    """A program that waits, shows something, or ends what ends with the step anyway."""
    session.tick()
    call.output.unknown = call.name
    return 0


PROGRAMS: dict[str, Program] = {
    "attrib": attrib,
    "chcp": nothing,
    "find": find,
    "findstr": find,
    "hostname": nothing,
    "ipconfig": nothing,
    "more": more,
    "ping": nothing,
    "robocopy": robocopy,
    "systeminfo": nothing,
    "taskkill": nothing,
    "tasklist": nothing,
    "timeout": nothing,
    "tree": nothing,
    "where": where,
    "whoami": nothing,
    "xcopy": xcopy,
}
