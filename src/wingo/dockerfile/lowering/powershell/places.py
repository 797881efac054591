r"""Where items are: what a cmdlet's paths, filters and drives choose, and the cmdlets that only look: `Get-Item`, `Test-Path`."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import compile_pattern, is_pattern
from wingo.dockerfile.lowering.powershell import registry
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.values import Thing, Unknown, Value, text_of
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item
from wingo.hive.upcase import upcase
from wingo.windows.paths import path_text

ENVIRONMENT = re.compile(r"env:[\\/]?(.*)", re.IGNORECASE)
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
    name = item.name or "C:\\"
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


def expand_paths(bound: Bound, *names: str) -> list[tuple[str, list[Item], bool]]:
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


def chosen_of(bound: Bound, items: list[Item]) -> list[Item]:
    """Those that -Include, -Exclude and -Filter leave."""
    session = bound.shell.session
    include = [compile_pattern(text) for text in bound.texts("Include")]
    exclude = [compile_pattern(text) for text in bound.texts("Exclude")]
    narrow = [compile_pattern(text, brackets=False) for text in bound.texts("Filter")]
    session.tick(len(items) // 16)
    return [
        item
        for item in items
        if (not include or any(pattern.match(item.name) for pattern in include))
        and not any(pattern.match(item.name) for pattern in exclude)
        and all(pattern.match(item.name) for pattern in narrow)
    ]


def test_path(bound: Bound) -> list[Value]:
    """`Test-Path`."""
    session = bound.shell.session
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        if registry.is_path(written):
            found.append(registry.key_exists(bound, written))
            continue
        if found_env := ENVIRONMENT.fullmatch(written):
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
                found += [item for item in session.tree.below(top) if matcher.match(item.name)]
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
    found = chosen_of(bound, found)
    if bound.switch("Directory"):
        found = [item for item in found if item.is_directory]
    if bound.switch("File"):
        found = [item for item in found if not item.is_directory]
    if not bound.switch("Force"):
        found = [item for item in found if not item.bits & 2]
    found.sort(key=lambda item: (item.path[:-1], not item.is_directory, upcase(item.name)))
    if not found and unknown and session.planning:
        session.late = True
        return [Unknown(f"what is in {' '.join(paths)}")]
    if bound.switch("Name"):
        return [item.name for item in found]
    return [file_thing(item) for item in found]


def get_item(bound: Bound) -> list[Value]:
    """`Get-Item`."""
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        if registry.is_path(written):
            found += registry.get_key(bound, written)
            continue
        if found_env := ENVIRONMENT.fullmatch(written):
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
        found_env = ENVIRONMENT.fullmatch(written)
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
    for written, items, late in expand_paths(bound, "LiteralPath", "Path"):
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
    if registry.is_path(written[0]) or ENVIRONMENT.fullmatch(written[0]):
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


COMMON = "Path LiteralPath/PSPath/LP Filter Include Exclude Force! Recurse/s!"
"""The parameters of the cmdlets that choose items."""
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Test-Path", "Path LiteralPath/PSPath PathType/Type Filter Include Exclude IsValid!", test_path, positional="Path"),
    cmdlet("Get-ChildItem", f"{COMMON} Name! File! Directory/ad/d! Depth Attributes Hidden!", get_child_item, positional="Path Filter"),
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
