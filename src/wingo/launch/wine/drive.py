r"""An image's own files as a layer over a prepared prefix: its drive C:, its user and its registry.

Linux compares names as they are and Windows without case, so what an image calls `Windows\System32` goes where Wine's
`windows/system32` is. A base's files are left out: Wine brings its own system, and does not start on Microsoft's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from wingo.archive.unpack import MemberKind
from wingo.errors import ContentError, Malformed, RequestError
from wingo.hive.paths import DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM
from wingo.hive.read import open_hive
from wingo.hive.upcase import upcase
from wingo.launch.wine.prefix import REGISTRIES, USER, Prefix
from wingo.launch.wine.registry import WineRegistry
from wingo.view.names import read_route
from wingo.windows.command import user_name
from wingo.windows.paths import check_component

if TYPE_CHECKING:
    from wingo.view.layer import Node
    from wingo.view.merged import View

RECIPE: Final = 1
"""Goes up when what is laid out here changes."""
DRIVE: Final = "prefix/drive_c"
"""Where drive C: is, below a container's root."""
MAX_HIVE: Final = 64 << 20

_DELTAS: Final = {
    "HIVES/SYSTEM_DELTA": (SYSTEM, "system.reg", ("System",)),
    "HIVES/SOFTWARE_DELTA": (SOFTWARE, "system.reg", ("Software",)),
    "HIVES/SAM_DELTA": (SAM, "system.reg", ("SAM",)),
    "HIVES/SECURITY_DELTA": (SECURITY, "system.reg", ("SECURITY",)),
    "HIVES/DEFAULTUSER_DELTA": (DEFAULT, "userdef.reg", ()),
}
_SPELLINGS: Final = ("Windows/System32", "Windows/SysWOW64", "Windows/Temp", "Windows", "Users")
"""How Windows spells what Wine spells otherwise."""
_KERNEL: Final = frozenset({"WINDOWS/SYSTEM32/NTDLL.DLL", "WINDOWS/SYSTEM32/KERNEL32.DLL"})
_READ_SIZE: Final = 1 << 18


class Names:
    """The spelling on disk of names that Windows takes for the same.

    Args:
        folders: directories of this machine that lie on each other as one drive, the lowest first.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = list(folders)
        self._listed: dict[tuple[str, ...], dict[str, str]] = {}

    def real(self, parts: Sequence[str]) -> tuple[str, ...]:
        """A path's components as they are spelt where they exist; the others as given."""
        found: tuple[str, ...] = ()
        for part in parts:
            found = (*found, self._list(found).get(upcase(part), part))
        return found

    def add(self, parts: tuple[str, ...]) -> None:
        """Says that a path now exists."""
        self._list(parts[:-1]).setdefault(upcase(parts[-1]), parts[-1])

    def _list(self, above: tuple[str, ...]) -> dict[str, str]:
        if above not in self._listed:
            names: dict[str, str] = {}
            for folder in self._folders:
                try:
                    for name in os.listdir(os.path.join(folder, *above)):
                        names.setdefault(upcase(name), name)
                except OSError:
                    continue
            self._listed[above] = names
        return self._listed[above]


def account_of(user: str, flavour: str) -> str:
    """The account that an image's program runs as, as Windows names it.

    Args:
        user: the config's `User`, or what was asked for.
        flavour: of Microsoft's bases; "" when it is none.

    Raises:
        RequestError: no Windows account.
    """
    if not user:
        return "ContainerUser" if flavour == "nanoserver" else "ContainerAdministrator"
    name = user_name(user).rpartition("\\")[2]
    check_component(name)
    return name


class Drive(msgspec.Struct, frozen=True):
    """A laid out drive.

    Attributes:
        account: who its programs run as.
        notes: what could not be taken over, a sentence each.
    """

    account: str
    notes: tuple[str, ...] = ()


def drive_key(prefix: Prefix, digest: str, user: str, *, with_base: bool) -> str:
    """The name under which an image's drive is kept.

    Args:
        prefix: what it lies on.
        digest: the image's.
        user: the config's `User`, or what was asked for.
        with_base: whether the base's files are in it.
    """
    parts = (str(RECIPE), prefix.key, digest, user, str(with_base))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def lay_out(view: View, prefix: Prefix, account: str, target: str, *, base_layers: int) -> tuple[str, ...]:
    """Writes the layer that lies over a prefix.

    Args:
        view: the image's files.
        prefix: what is below.
        account: of `account_of`.
        target: an empty directory.
        base_layers: how many of the lowest layers are the base's: their files come only where Wine has none.

    Returns:
        What could not be taken over, a sentence each.

    Raises:
        ContentError: a layer is damaged.
        OSError: something cannot be written.
    """
    below = os.path.join(prefix.root, DRIVE)
    notes: list[str] = []
    drive = os.path.join(target, DRIVE)
    os.makedirs(drive)
    shutil.copytree(os.path.join(prefix.directory, "profile"), os.path.join(drive, "users", account), symlinks=True)
    names = Names([below, drive])
    _write_files(view, names, drive, below, base_layers, notes)
    for name, text in _registries(view, prefix, account, base_layers).items():
        with open(os.path.join(target, "prefix", name), "w", encoding="latin-1") as file:
            file.write(text)
    return tuple(notes)


def _write_files(view: View, names: Names, drive: str, below: str, base_layers: int, notes: list[str]) -> None:
    files: list[Node] = []
    for node in view.walk():
        try:
            for part in node.path.split("/"):
                check_component(part)
        except RequestError as error:
            notes.append(f"{node.path[:200]!r} is left out: {error}")
            continue
        real = names.real(node.path.split("/"))
        if node.layer < base_layers and os.path.lexists(os.path.join(below, *real)):
            continue
        path = os.path.join(drive, *real)
        if node.kind is MemberKind.DIRECTORY:
            os.makedirs(path, exist_ok=True)
        elif node.kind is MemberKind.FILE:
            files.append(node)
            continue
        elif node.kind is MemberKind.SYMLINK:
            _link(node, names, real, path, notes)
        else:
            notes.append(f"{node.path[:200]!r} is left out: it is a {node.kind.value}")
            continue
        names.add(real)
    for node, content in view.open_each(files):
        real = names.real(node.path.split("/"))
        path = os.path.join(drive, *real)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _copy(content, path, node.mtime)
        names.add(real)


def _copy(content: BinaryIO, path: str, mtime: int) -> None:
    with open(path, "wb") as file:
        while data := content.read(_READ_SIZE):
            file.write(data)
    os.chmod(path, 0o755)  # noqa: S103  (Windows has no such bit: any file may be executed)
    os.utime(path, (mtime, mtime))


def _link(node: Node, names: Names, real: tuple[str, ...], path: str, notes: list[str]) -> None:
    if not place_link(node.link_target, names, real, path):
        notes.append(f"the link {node.path[:200]!r} is left out: it leads to {node.link_target[:200]!r}")


def place_link(target: str, names: Names, real: tuple[str, ...], path: str) -> bool:
    """Makes a symbolic link or junction as a relative link, which stays inside the drive; whether it leads there.

    Args:
        target: as Windows has it.
        names: how files on the drive are spelt.
        real: the link's own path on the drive, as it is spelt.
        path: where it is made.
    """
    route = read_route(target, "windows")
    if route is None:
        return False
    leads = [] if route.absolute else list(real[:-1])
    for part in route.parts:
        if part != "..":
            leads.append(part)
        elif leads:
            leads.pop()
    to = os.path.relpath("/" + "/".join(names.real(leads)), "/" + "/".join(real[:-1]))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(to, path)
    return True


def _registries(view: View, prefix: Prefix, account: str, base_layers: int) -> Mapping[str, str]:
    registries = {name: WineRegistry(prefix.registry(name)) for name in REGISTRIES}
    for registry in registries.values():
        registry.replace_text(f"users\\\\{USER}", f"users\\\\{account}")
    for layer, node in _deltas(view, base_layers):
        found = _DELTAS.get(upcase(node.path))
        if found is None:
            continue
        hive, file, at = found
        where = f"{node.path} of layer {layer + 1}"
        if node.size > MAX_HIVE:
            raise ContentError(f"{where} has {node.size} bytes, and {MAX_HIVE} are read at most")
        # An image has ControlSet001, and CurrentControlSet is a link to it; in Wine 8 it is the key itself.
        renamed = {} if registries[file].has("System", "ControlSet001") else {"ControlSet001": "CurrentControlSet"}
        try:
            registries[file].apply(open_hive(view.read(node, MAX_HIVE)).root, at, renamed if hive == SYSTEM else {})
        except Malformed as error:
            raise ContentError(f"{where} cannot be read: {error}") from error
    return {name: registry.text() for name, registry in registries.items()}


def windows_layers(view: View) -> int:
    """How many of the lowest layers are Windows itself, told by its own system files, as far as layers were read."""
    return 1 + max(
        (
            number
            for number, layer in enumerate(view.layers)
            if layer is not None and any(upcase(node.path) in _KERNEL for node in layer.nodes)
        ),
        default=-1,
    )


def image_path(parts: Sequence[str]) -> str:
    """The path in an image of what lies on the drive at these components: as Windows spells it, not Wine."""
    path = "/".join(parts)
    for spelling in _SPELLINGS:
        if upcase(path + "/").startswith(upcase(spelling + "/")):
            return spelling + path[len(spelling) :]
    return path


def _deltas(view: View, base_layers: int) -> Iterator[tuple[int, Node]]:
    for number, layer in enumerate(view.layers):
        if layer is not None and number >= base_layers:
            yield from ((number, node) for node in layer.hives if node.kind is MemberKind.FILE and node.size)
