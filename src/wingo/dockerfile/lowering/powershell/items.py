r"""Cmdlets that make, copy, move, rename and remove files, directories and what PowerShell shows like them: `HKLM:\`, `Env:\`."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import CopyPath, MovePath, RemovePath, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.powershell import registry
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.places import (
    COMMON,
    ENVIRONMENT,
    chosen_of,
    expand_paths,
    file_thing,
    plain_path,
)
from wingo.dockerfile.lowering.powershell.values import Unknown, Value, text_of
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text


def new_item(bound: Bound) -> list[Value]:
    """`New-Item`, and `mkdir`."""
    session = bound.shell.session
    kind = "directory" if bound.cmdlet == "mkdir" else bound.text("ItemType", "file").lower()
    found: list[Value] = []
    paths = bound.texts("Path") if bound.has("Path") else [""]
    for place in paths:
        name = bound.text("Name")
        written = f"{place.rstrip(chr(92) + '/')}\\{name}" if name and place else name or place
        if registry.is_path(written):
            registry.new_key(bound, written)
            continue
        if found_env := ENVIRONMENT.fullmatch(written):
            session.variables.set(found_env[1], bound.text("Value"))
            continue
        path = session.path(plain_path(session, written))
        there = session.find(path)
        exists = there is not None and not there.unknown
        if kind in ("directory", "container", "d") or "directory".startswith(kind):
            if exists and (not bound.switch("Force") or (there is not None and there.is_file)):
                raise CommandFailed(f"an item with the specified name {path_text(path)} already exists")
            session.make_directory(path)
        elif kind in ("file", "leaf") or "file".startswith(kind):
            _new_file(bound, path, exists=exists)
        elif kind in ("symboliclink", "junction", "hardlink"):
            _new_link(bound, path, kind, exists=exists)
        else:
            raise CommandFailed(f"New-Item: the type {kind!r} is not known")
        item = session.find(path, follow=False)
        if item is not None:
            found.append(file_thing(item))
    return found


def _new_file(bound: Bound, path: Components, *, exists: bool) -> None:
    from wingo.dockerfile.lowering.powershell.content import write_text

    session = bound.shell.session
    if exists and not bound.switch("Force"):
        raise CommandFailed(f"the file {path_text(path)} already exists")
    if bound.switch("Force"):
        session.make_directory(path[:-1])
    value = bound.get("Value")
    text = None if isinstance(value, Unknown) else text_of(value)
    write_text(bound.shell, path, text, "utf8nobom", append=False)


def _new_link(bound: Bound, path: Components, kind: str, *, exists: bool) -> None:
    session = bound.shell.session
    target = bound.text("Target") or bound.text("Value")
    if not target:
        raise CommandFailed("New-Item: a link wants -Target")
    leads_to = session.path(plain_path(session, target), path[:-1] if kind == "symboliclink" else None)
    there = session.find(leads_to)
    if there is None:
        raise CommandFailed(f"cannot find path {target!r} because it does not exist")
    if exists:
        if not bound.switch("Force"):
            raise CommandFailed(f"{path_text(path)} already exists")
        existing = session.find(path, follow=False)
        if existing is not None:
            session.remove(existing)
    name = {"symboliclink": "symbolic", "junction": "junction", "hardlink": "hard"}[kind]
    session.link(path, target.replace("/", "\\"), name, directory=there.is_directory)


def copy_item(bound: Bound) -> list[Value]:
    """`Copy-Item`."""
    session = bound.shell.session
    target = bound.text("Destination", ".")
    if bound.has("ToSession") or bound.has("FromSession"):
        raise CannotLower("Copy-Item to or from another machine")
    if registry.is_path(target):
        raise CannotLower("Copy-Item of registry keys is not lowered", "Use reg copy.")
    for written, items, late in expand_paths(bound, "LiteralPath", "Path"):
        chosen = chosen_of(bound, items)
        if not items and not late and not is_pattern(written):
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        if not chosen and late:
            path = session.path(plain_path(session, target))
            session.add(CopyPath(path_text((*session.directory, hole(written))), path_text(path)))
            _unsure(session, path)
        for item in chosen:
            _copy_one(bound, item, target)
    return []


def _unsure(session: Session, path: Components) -> None:
    """In a plan: something comes to a path, or into it."""
    session.late = True
    item = session.tree.find(path)
    if item is not None and item.is_directory:
        session.tree.vague.add(tuple(map(upcase, item.path)))
    elif item is None or item.unknown:
        session.tree.put(Item(session.spelt(path), Kind.UNKNOWN))


def _into(session: Session, target: str, item: Item) -> Components:
    """Where something goes: into a directory that is there, else to the path itself."""
    path = session.path(plain_path(session, target))
    there = session.find(path)
    if there is not None and there.is_directory:
        return (*path, *item.path[-1:])
    if there is not None and there.unknown and target.rstrip(" .").endswith(("\\", "/")):
        return (*path, *item.path[-1:])
    return path


def _copy_one(bound: Bound, item: Item, target: str) -> None:
    session = bound.shell.session
    path = _into(session, target, item)
    resolved = session.find(item.path) or item
    if resolved.is_directory:
        there = session.find(path)
        if there is not None and there.is_file:
            raise CommandFailed("a container cannot be copied onto an existing leaf item")
        if bound.switch("Recurse"):
            session.copy_tree(resolved, path)
        else:
            session.make_directory(path)
        return
    session.copy_file(resolved, path)


def move_item(bound: Bound) -> list[Value]:
    """`Move-Item`."""
    session = bound.shell.session
    target = bound.text("Destination", ".")
    for written, items, late in expand_paths(bound, "LiteralPath", "Path"):
        if registry.is_path(written):
            raise CannotLower("Move-Item of registry keys is not lowered")
        chosen = chosen_of(bound, items)
        if not items and not late and not is_pattern(written):
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        if not chosen and late:
            path = session.path(plain_path(session, target))
            session.add(MovePath(path_text((*session.directory, hole(written))), path_text(path)))
            _unsure(session, path)
        for item in chosen:
            path = _into(session, target, item)
            there = session.find(path, follow=False)
            if there is not None and not there.unknown and there.path != item.path:
                if not bound.switch("Force") or there.is_directory:
                    raise CommandFailed(f"cannot create a file when that file already exists: {path_text(path)}")
                session.remove(there)
            session.move(item, path)
    return []


def rename_item(bound: Bound) -> list[Value]:
    """`Rename-Item`."""
    session = bound.shell.session
    name = bound.text("NewName")
    for written in bound.paths("LiteralPath", "Path"):
        if registry.is_path(written):
            raise CannotLower("Rename-Item of registry keys is not lowered")
        path = session.path(plain_path(session, written))
        item = session.find(path, follow=False)
        if item is None:
            raise CommandFailed(f"cannot rename because item at {written!r} does not exist")
        new = name.replace("/", "\\").rpartition("\\")
        if new[0] and session.path(new[0]) != path[:-1]:
            raise CommandFailed("Rename-Item: the target is in another directory")
        target = (*item.path[:-1], new[2])
        there = session.find(target, follow=False)
        if there is not None and not there.unknown and there.path != item.path:
            raise CommandFailed(f"cannot create a file when that file already exists: {path_text(target)}")
        session.move(item, target)
    return []


def remove_item(bound: Bound) -> list[Value]:
    """`Remove-Item`."""
    session = bound.shell.session
    written_paths = bound.paths("LiteralPath", "Path")
    if any(registry.is_path(written) for written in written_paths):
        for written in written_paths:
            registry.remove_key(bound, written)
        return []
    for written in written_paths:
        if found_env := ENVIRONMENT.fullmatch(written):
            session.variables.remove(found_env[1])
            return []
    failures = []
    for written, items, late in expand_paths(bound, "LiteralPath", "Path"):
        if not items and not late and not is_pattern(written):
            failures.append(f"cannot find path {written!r} because it does not exist")
        chosen = chosen_of(bound, items)
        if not chosen and late:
            kept = " ".join(bound.texts("Exclude"))
            session.add(
                RemovePath(path_text((*session.directory, hole(written + (f" except {kept}" if kept else "")))))
            )
            session.late = True
        for item in chosen:
            if item.is_directory and not bound.switch("Recurse"):
                inside, vague = session.children(item.path)
                if inside or (vague and not session.planning):
                    raise CannotLower(
                        f"Remove-Item asks whether {item.text} is to go with all that is in it", "Add -Recurse."
                    )
            session.remove(item)
    if failures:
        raise CommandFailed(failures[0])
    return []


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("New-Item", "Path Name ItemType/Type Value Target Force! Credential", new_item, positional="Path"),
    cmdlet("mkdir", "Path Name Value Force! Credential", new_item, positional="Path"),
    cmdlet("Copy-Item", f"{COMMON} Destination Container! PassThru! ToSession FromSession", copy_item, positional="Path Destination"),
    cmdlet("Move-Item", "Path LiteralPath/PSPath Filter Include Exclude Force! Destination PassThru!", move_item, positional="Path Destination"),
    cmdlet("Rename-Item", "Path LiteralPath/PSPath NewName Force! PassThru!", rename_item, positional="Path NewName"),
    cmdlet("Remove-Item", COMMON, remove_item, positional="Path"),
)  # fmt: skip
