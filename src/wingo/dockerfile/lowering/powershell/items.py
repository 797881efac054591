r"""Cmdlets for files and directories, and for what PowerShell shows like them: `HKLM:\`, `Env:\`."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.edits import CopyPath, MovePath, RemovePath, has_hole, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import compile_pattern, is_pattern
from wingo.dockerfile.lowering.powershell import registry
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Thing, Unknown, Value, text_of
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text

_ENVIRONMENT = re.compile(r"env:[\\/]?(.*)", re.IGNORECASE)
_DRIVES = re.compile(r"(cert|wsman|function|alias|variable|iis):", re.IGNORECASE)


def plain_path(session: Session, written: str) -> str:
    """A path without the file system's provider; `~` is the account's directory.

    Raises:
        CannotLower: it is on a drive of PowerShell's own.
    """
    text = re.sub(r"^(?:Microsoft\.PowerShell\.Core\\)?FileSystem::", "", written, flags=re.IGNORECASE)
    if found := _DRIVES.match(text):
        raise CannotLower(f"{written!r}: the drive {found[1]}: is not lowered")
    if text == "~" or text.startswith(("~\\", "~/")):
        return (session.variables.get("USERPROFILE") or "C:\\") + text[1:]
    return text


def file_thing(item: Item) -> Thing:
    """A file or directory as an object."""
    name = item.path[-1] if item.path else "C:\\"
    stem, dot, extension = name.rpartition(".")
    properties: dict[str, Value] = {
        "Name": name,
        "FullName": item.text,
        "BaseName": stem if dot and not item.is_directory else name,
        "Extension": dot + extension if dot else "",
        "PSIsContainer": item.is_directory,
        "Exists": True,
        "DirectoryName": path_text(item.path[:-1]),
        "PSPath": f"Microsoft.PowerShell.Core\\FileSystem::{item.text}",
    }
    if item.is_file:
        properties["Length"] = item.content.size if item.content is not None else Unknown(f"size of {name}")
    return Thing("file", properties, item.text, item)


def _expand(bound: Bound, *names: str) -> list[tuple[str, list[Item], bool]]:
    """The paths of a cmdlet: as written, what is there, and whether there may be more."""
    session = bound.shell.session
    found = []
    literal = bound.has("LiteralPath")
    for written in bound.paths(*names):
        plain = plain_path(session, written)
        if not literal and is_pattern(plain) and not has_hole(plain):
            items, late = session.glob(plain)
            found.append((plain, items, late))
        else:
            item = session.find(session.path(plain), follow=False)
            found.append((plain, [item] if item is not None else [], False))
    return found


def _chosen(bound: Bound, items: list[Item]) -> list[Item]:
    """Those that -Include, -Exclude and -Filter leave."""
    session = bound.shell.session
    include = [compile_pattern(text) for text in bound.texts("Include")]
    exclude = [compile_pattern(text) for text in bound.texts("Exclude")]
    narrow = [compile_pattern(text, brackets=False) for text in bound.texts("Filter")]
    session.tick(len(items) // 16)
    return [
        item
        for item in items
        if (not include or any(pattern.match(item.path[-1]) for pattern in include))
        and not any(pattern.match(item.path[-1]) for pattern in exclude)
        and all(pattern.match(item.path[-1]) for pattern in narrow)
    ]


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
        if found_env := _ENVIRONMENT.fullmatch(written):
            session.variables.set(found_env[1], bound.text("Value"))
            continue
        path = session.path(plain_path(session, written))
        there = session.find(path)
        exists = there is not None and not there.unknown
        if kind in ("directory", "container", "d") or "directory".startswith(kind):
            if exists and (not bound.switch("Force") or (there is not None and there.is_file)):
                raise CommandFailed(f"an item with the specified name {path_text(path)} already exists")
            session.check_allowed(path)
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
    for written, items, late in _expand(bound, "LiteralPath", "Path"):
        chosen = _chosen(bound, items)
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
        return (*path, item.path[-1])
    if there is not None and there.unknown and target.rstrip(" .").endswith(("\\", "/")):
        return (*path, item.path[-1])
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
    for written, items, late in _expand(bound, "LiteralPath", "Path"):
        if registry.is_path(written):
            raise CannotLower("Move-Item of registry keys is not lowered")
        chosen = _chosen(bound, items)
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
        if found_env := _ENVIRONMENT.fullmatch(written):
            session.variables.remove(found_env[1])
            return []
    failures = []
    for written, items, late in _expand(bound, "LiteralPath", "Path"):
        if not items and not late and not is_pattern(written):
            failures.append(f"cannot find path {written!r} because it does not exist")
        chosen = _chosen(bound, items)
        if not chosen and late:
            session.add(RemovePath(path_text((*session.directory, hole(written)))))
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


def test_path(bound: Bound) -> list[Value]:
    """`Test-Path`."""
    session = bound.shell.session
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        if registry.is_path(written):
            found.append(registry.key_exists(bound, written))
            continue
        if found_env := _ENVIRONMENT.fullmatch(written):
            found.append(session.variables.get(found_env[1]) is not None)
            continue
        plain = plain_path(session, written)
        if re.match(r"[abd-z]:", plain, re.IGNORECASE):
            found.append(False)
            continue
        kind = bound.text("PathType", "Any").lower()
        if is_pattern(plain) and not has_hole(plain) and not bound.has("LiteralPath"):
            items, late = session.glob(plain)
        else:
            item = session.find(session.path(plain))
            items, late = ([item] if item is not None else []), False
        if any(item.unknown for item in items) or (late and not items):
            found.append(Unknown(f"whether {plain} is there"))
        else:
            wanted = {"leaf": False, "container": True}.get(kind)
            found.append(any(wanted is None or item.is_directory == wanted for item in items))
    return found


def get_child_item(bound: Bound) -> list[Value]:
    """`Get-ChildItem`."""
    session = bound.shell.session
    found: list[Item] = []
    unknown = False
    paths = (
        bound.paths("LiteralPath", "Path")
        if bound.has("Path") or bound.has("LiteralPath") or bound.piped is not None
        else ["."]
    )
    for written in paths:
        if registry.is_path(written):
            return registry.child_keys(bound, written)
        if re.match(r"env:", written, re.IGNORECASE):
            return [
                Thing("variable", {"Name": name, "Value": value}, name) for name, value in session.variables.items()
            ]
        plain = plain_path(session, written)
        recurse = bound.switch("Recurse") or bound.has("Depth")
        pattern = is_pattern(plain) and not has_hole(plain) and not bound.has("LiteralPath")
        if pattern:
            roots, late = session.glob(plain)
            unknown = unknown or late
            # With -Recurse the last component is looked for in every directory below.
            if recurse:
                folder, _, last = plain.replace("/", "\\").rpartition("\\")
                matcher = compile_pattern(last)
                top = session.path(folder or ".")
                unknown = unknown or session.tree.is_vague(top)
                found += [item for item in session.tree.below(top) if matcher.match(item.path[-1])]
                continue
            found += roots if len(roots) != 1 or not roots[0].is_directory else session.children(roots[0].path)[0]
            continue
        item = session.find(session.path(plain))
        if item is None:
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        if item.unknown:
            unknown = True
        elif item.is_file:
            found.append(item)
        else:
            children, late = session.children(item.path)
            unknown = unknown or late
            if recurse:
                below = list(session.tree.below(item.path))
                session.tick(len(below) // 16)
                unknown = unknown or (session.planning and session.vague_below(item))
                depth = len(item.path) + 1 + int(text_of(bound.get("Depth")) or 1000)
                found += [inside for inside in below if len(inside.path) <= depth]
            else:
                found += children
    found = _chosen(bound, found)
    if bound.switch("Directory"):
        found = [item for item in found if item.is_directory]
    if bound.switch("File"):
        found = [item for item in found if not item.is_directory]
    if not bound.switch("Force"):
        found = [item for item in found if not item.bits & 2]
    found.sort(key=lambda item: (item.path[:-1], not item.is_directory, upcase(item.path[-1])))
    if not found and unknown and session.planning:
        session.late = True
        return [Unknown(f"what is in {' '.join(paths)}")]
    if bound.switch("Name"):
        return [item.path[-1] for item in found]
    return [file_thing(item) for item in found]


def get_item(bound: Bound) -> list[Value]:
    """`Get-Item`."""
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        if registry.is_path(written):
            found += registry.get_key(bound, written)
            continue
        if found_env := _ENVIRONMENT.fullmatch(written):
            value = bound.shell.session.variables.get(found_env[1])
            found.append(Thing("variable", {"Name": found_env[1], "Value": value}, text_of(value)))
            continue
        session = bound.shell.session
        plain = plain_path(session, written)
        if is_pattern(plain) and not bound.has("LiteralPath"):
            items, late = session.glob(plain)
            found += [file_thing(item) for item in items] or ([Unknown(plain)] if late else [])
            continue
        item = session.find(session.path(plain))
        if item is None:
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        found.append(file_thing(item))
    return found


def set_item(bound: Bound) -> list[Value]:
    """`Set-Item Env:NAME value`."""
    for written in bound.paths("LiteralPath", "Path"):
        found_env = _ENVIRONMENT.fullmatch(written)
        if found_env is None:
            raise CannotLower(f"Set-Item of {written!r} is not lowered")
        bound.shell.session.variables.set(found_env[1], bound.text("Value"))
    return []


def join_path(bound: Bound) -> list[Value]:
    """`Join-Path`."""
    found: list[Value] = []
    for place in bound.paths("Path"):
        text = place
        for child in [*bound.texts("ChildPath"), *bound.texts("AdditionalChildPath")]:
            text = f"{text.rstrip(chr(92) + '/')}\\{child.lstrip(chr(92) + '/')}"
        found.append(text)
    return found


def split_path(bound: Bound) -> list[Value]:
    """`Split-Path`."""
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        text = written.replace("/", "\\").rstrip("\\")
        folder, _, name = text.rpartition("\\")
        if bound.switch("Leaf"):
            found.append(name)
        elif bound.switch("Qualifier"):
            found.append(text[:2] if text[1:2] == ":" else "")
        elif bound.switch("NoQualifier"):
            found.append(text[2:] if text[1:2] == ":" else text)
        elif bound.switch("LeafBase"):
            found.append(name.rpartition(".")[0] or name)
        elif bound.switch("Extension"):
            found.append("." + name.rpartition(".")[2] if "." in name else "")
        elif bound.switch("IsAbsolute"):
            found.append(text[1:3] == ":\\")
        else:
            found.append(folder + "\\" if folder.endswith(":") else folder)
    return found


def resolve_path(bound: Bound) -> list[Value]:
    """`Resolve-Path` and `Convert-Path`."""
    found: list[Value] = []
    for written, items, late in _expand(bound, "LiteralPath", "Path"):
        if not items and not late and not is_pattern(written):
            raise CommandFailed(f"cannot find path {written!r} because it does not exist")
        if not items and late:
            found.append(Unknown(written))
        for item in items:
            thing: Value = item.text
            if bound.cmdlet == "Resolve-Path":
                thing = Thing("path", {"Path": item.text, "ProviderPath": item.text}, item.text, item)
            found.append(thing)
    return found


def set_location(bound: Bound) -> list[Value]:
    """`Set-Location`, `Push-Location`, `Pop-Location`."""
    shell, session = bound.shell, bound.shell.session
    if bound.cmdlet == "Pop-Location":
        if shell.locations:
            session.directory = shell.locations.pop()
        return []
    if bound.cmdlet == "Push-Location":
        shell.locations.append(session.directory)
    written = bound.texts("LiteralPath") or bound.texts("Path")
    if not written:
        return []
    if registry.is_path(written[0]) or _ENVIRONMENT.fullmatch(written[0]):
        raise CannotLower(
            f"a location outside the file system: {written[0]!r}", "Write the whole path in each command."
        )
    path = session.path(plain_path(session, written[0]))
    if is_pattern(written[0]) and not has_hole(written[0]):
        items, late = session.glob(plain_path(session, written[0]))
        if not items and late:
            raise CannotLower(f"the location {written[0]} is not known before the build")
        if len(items) == 1:
            path = items[0].path
    if not session.is_directory(path):
        raise CommandFailed(f"cannot find path {written[0]!r} because it does not exist")
    session.directory = session.tree.resolve(path) if not any(map(has_hole, path)) else path
    return []


def get_location(bound: Bound) -> list[Value]:
    """`Get-Location`."""
    text = path_text(bound.shell.session.directory)
    return [Thing("path", {"Path": text, "ProviderPath": text}, text)]


_PATH = "Path LiteralPath/PSPath/LP Filter Include Exclude Force! Recurse/s!"
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("New-Item", "Path Name ItemType/Type Value Target Force! Credential", new_item, positional="Path"),
    cmdlet("mkdir", "Path Name Value Force! Credential", new_item, positional="Path"),
    cmdlet("Copy-Item", f"{_PATH} Destination Container! PassThru! ToSession FromSession", copy_item, positional="Path Destination"),
    cmdlet("Move-Item", "Path LiteralPath/PSPath Filter Include Exclude Force! Destination PassThru!", move_item, positional="Path Destination"),
    cmdlet("Rename-Item", "Path LiteralPath/PSPath NewName Force! PassThru!", rename_item, positional="Path NewName"),
    cmdlet("Remove-Item", _PATH, remove_item, positional="Path"),
    cmdlet("Test-Path", "Path LiteralPath/PSPath PathType/Type Filter Include Exclude IsValid!", test_path, positional="Path"),
    cmdlet("Get-ChildItem", f"{_PATH} Name! File! Directory/ad/d! Depth Attributes Hidden!", get_child_item, positional="Path Filter"),
    cmdlet("Get-Item", "Path LiteralPath/PSPath Filter Include Exclude Force! Stream", get_item, positional="Path"),
    cmdlet("Set-Item", "Path LiteralPath/PSPath Value Force! PassThru!", set_item, positional="Path Value"),
    cmdlet("Join-Path", "Path/PSPath ChildPath AdditionalChildPath Resolve!", join_path, positional="Path ChildPath AdditionalChildPath*"),
    cmdlet("Split-Path", "Path LiteralPath/PSPath Leaf! Parent! Qualifier! NoQualifier! LeafBase! Extension! IsAbsolute! Resolve!", split_path, positional="Path"),
    cmdlet("Resolve-Path", "Path LiteralPath/PSPath Relative!", resolve_path, positional="Path"),
    cmdlet("Convert-Path", "Path LiteralPath/PSPath", resolve_path, positional="Path"),
    cmdlet("Set-Location", "Path LiteralPath/PSPath PassThru! StackName", set_location, positional="Path"),
    cmdlet("Push-Location", "Path LiteralPath/PSPath PassThru! StackName", set_location, positional="Path"),
    cmdlet("Pop-Location", "PassThru! StackName", set_location),
    cmdlet("Get-Location", "PSProvider PSDrive Stack! StackName", get_location),
)  # fmt: skip
