"""Wine's prefix, prepared once for each Wine and kept: what every Windows container on this machine stands on.

```
DIRECTORY/                 whole or not at all; nothing in it is written again
  root/                    the lowest layer of a container
    prefix/dosdevices/c:   → ../drive_c; no other drive, so no Z: with the machine's files
    prefix/drive_c/        Wine's system directory; its DLLs are links to the installed ones
    wingo/init.exe         `wingo.windows.init_exe`
    etc, dev, proc, tmp …  what a Linux program needs to find
  profile/                 a user's directory, for `drive` to name
  system.reg …             the registry, for `drive` to complete
```

Wine makes a prefix in about six seconds and 700 MB; with links it takes 13 MB.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final, TypeAlias

import msgspec

from wingo.errors import HostError
from wingo.launch.wine.finding import Runner, Wine
from wingo.launch.wine.registry import WineRegistry
from wingo.windows import prng_dll
from wingo.windows.init_exe import init_exe

RECIPE: Final = 2
"""Goes up when what is prepared here changes."""
USER: Final = "wingo-user"
"""The account that stands in a prepared prefix for the one to come."""
REGISTRIES: Final = ("system.reg", "user.reg", "userdef.reg")

_SECONDS: Final = 180
_KEPT_SERVICES: Final = frozenset({"MOUNTMGR", "NSIPROXY", "RPCSS"})
"""Volumes, network interfaces, COM. The others that start by themselves are for hardware and desktops."""
_DISABLED: Final = 4
_MANUAL: Final = 3
_SERVICES: Final = ("System", "CurrentControlSet", "Services")
_DEBUGGER: Final = ("Software", "Microsoft", "Windows NT", "CurrentVersion", "AeDebug")
_DIRECTORIES: Final = ("dev", "etc", "lib", "lib64", "proc", "run", "sys", "tmp", "usr", "wingo")
_ACCOUNTS: Final = "root:x:0:0:root:/prefix:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n"


class Prefix(msgspec.Struct, frozen=True):
    """A prepared prefix.

    Attributes:
        directory: see the module.
        key: says which Wine and which recipe it is of.
        added: the DLLs that wingo wrote because this Wine lacks them.
    """

    directory: str
    key: str
    added: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The lowest layer of a container."""
        return os.path.join(self.directory, "root")

    def registry(self, name: str) -> str:
        """The text of one of `REGISTRIES`."""
        with open(os.path.join(self.directory, name), encoding="latin-1") as file:
            return file.read()


Owner: TypeAlias = tuple[int, int] | None
"""User and group of this machine whose a container's files are; None: the account's that runs wingo."""


def prefix_key(wine: Wine, owner: Owner = None) -> str:
    """The name of the prefix that this Wine and this wingo need."""
    parts = (str(RECIPE), wine.loader, wine.server, wine.described, str(wine.changed), wine.dlls, str(owner))
    return hashlib.sha256("\0".join(parts).encode() + prng_dll.prng_dll() + init_exe()).hexdigest()[:32]


def prepared_prefix(
    wine: Wine,
    folder: str,
    runner: Runner,
    lock: Callable[[str], AbstractContextManager[None]],
    tell: Callable[[str], None] = lambda _text: None,
    owner: Owner = None,
) -> Prefix:
    """The prefix of this Wine: the one that is there, else made now; one process at a time makes it.

    Args:
        wine: whose it is.
        folder: where prefixes are kept.
        runner: runs Wine.
        lock: a lock between processes, by name.
        tell: is told that it is made, which takes seconds.
        owner: whose it is to be; Wine wants its prefix to be its account's.

    Raises:
        HostError: Wine does not make one, or it cannot be written.
    """
    key = prefix_key(wine, owner)
    directory = os.path.join(folder, key)
    if (found := _opened(directory, key)) is not None:
        return found
    with lock(f"wine-{key}"):
        if (found := _opened(directory, key)) is not None:
            return found
        tell(f"preparing a prefix for {wine.described}, once; it takes some seconds")
        with made_whole(folder, key) as new:
            _make(wine, new, runner)
            give_to(os.path.join(new, "root"), owner)
    made = _opened(directory, key)
    assert made is not None
    return made


def _opened(directory: str, key: str) -> Prefix | None:
    try:
        with open(os.path.join(directory, "added"), encoding="ascii") as file:
            return Prefix(directory, key, tuple(file.read().split()))
    except OSError:
        return None


@contextmanager
def made_whole(folder: str, key: str) -> Iterator[str]:
    """A new directory to fill, which gets its name when the block ends well, and goes when it does not.

    Whoever holds the lock for a key is the only one that makes it: what a killed wingo has left of it is removed.

    Raises:
        HostError: it cannot be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name.startswith(f".{key}-"):
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        new = tempfile.mkdtemp(prefix=f".{key}-", dir=folder)
        try:
            os.chmod(new, 0o755)  # noqa: S103  (containers of other accounts' numbers read it)
            yield new
            os.rename(new, os.path.join(folder, key))
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise HostError(f"cannot write {error.filename or folder}: {error.strerror or error}") from error


def give_to(path: str, owner: Owner) -> None:
    """Gives a directory and everything below it to a container's root."""
    if owner is None:
        return
    os.lchown(path, *owner)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.lchown(os.path.join(folder, name), *owner)


def _make(wine: Wine, new: str, runner: Runner) -> None:
    root = os.path.join(new, "root")
    for name in ("", *_DIRECTORIES):
        os.mkdir(os.path.join(root, name))
    prefix = os.path.join(root, "prefix")
    _run_wineboot(wine, prefix, new, runner)
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(prefix, "wineserver"))
    _cut_off(prefix)
    added = _add_missing_dlls(os.path.join(prefix, "drive_c", "windows", "system32"))
    _link_dlls(os.path.join(prefix, "drive_c"), wine.dlls)
    os.rename(os.path.join(prefix, "drive_c", "users", USER), os.path.join(new, "profile"))
    for name in REGISTRIES:
        _move_registry(os.path.join(prefix, name), os.path.join(new, name))
    _write(os.path.join(root, "wingo", "init.exe"), init_exe())
    _write(os.path.join(root, "etc", "passwd"), _ACCOUNTS.encode())
    # Without one, fontconfig complains on the program's stderr.
    os.mkdir(os.path.join(root, "etc", "fonts"))
    _write(
        os.path.join(root, "etc", "fonts", "fonts.conf"), b"<fontconfig><cachedir>/tmp/fonts</cachedir></fontconfig>\n"
    )
    os.chmod(os.path.join(root, "tmp"), 0o1777)  # noqa: S103  (as /tmp is everywhere)
    _let_others_read(new)
    _write(os.path.join(new, "added"), "\n".join(added).encode())


def wine_environment(wine: Wine, prefix: str, user: str) -> dict[str, str]:
    """The variables that Wine itself needs: quiet, without a desktop, .NET and a browser.

    Args:
        wine: where its parts are.
        prefix: the prefix, as Wine sees it.
        user: the account's name on Windows.
    """
    return {
        "WINEPREFIX": prefix,
        "WINELOADER": wine.loader,
        "WINESERVER": wine.server,
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
        "USER": user,
        "LC_ALL": "C.UTF-8",
    }


def _run_wineboot(wine: Wine, prefix: str, scratch: str, runner: Runner) -> None:
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    # A HOME of its own: Wine would link the user's Documents and Desktop into the prefix.
    env = {**wine_environment(wine, prefix, USER), "HOME": home, "PATH": os.defpath}
    limit = ("timeout", "--kill-after=5", str(_SECONDS))
    done = runner.run([*limit, wine.loader, "wineboot", "--init"], cwd=home, env=env)
    # Its server waits for more work for a while; told to end, it writes the registry first.
    runner.run([*limit, wine.server, "--kill"], cwd=home, env=env)
    runner.run([*limit, wine.server, "--wait"], cwd=home, env=env)
    shutil.rmtree(home)
    needed = [*REGISTRIES, "drive_c/windows/system32/kernel32.dll", f"drive_c/users/{USER}"]
    missing = [name for name in needed if not os.path.exists(os.path.join(prefix, name))]
    if missing:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        raise HostError(
            f"{wine.described} did not make a prefix: there is no {missing[0]} (exit status {done.status})"
            + (f"\n{said[-1000:]}" if said else ""),
            hint=f"Try it by hand: WINEPREFIX=/tmp/prefix {wine.loader} wineboot --init",
        )


def _cut_off(prefix: str) -> None:
    """Removes every way out: drives other than C:, devices, links of the profile into a home directory."""
    devices = os.path.join(prefix, "dosdevices")
    for name in os.listdir(devices):
        if name != "c:":
            os.unlink(os.path.join(devices, name))
    for path, _ in _links(os.path.join(prefix, "drive_c")):
        os.unlink(path)
        os.mkdir(path)


def _links(folder: str) -> Iterator[tuple[str, str]]:
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(directory, name)
            if os.path.islink(path):
                yield path, os.readlink(path)


def _add_missing_dlls(system32: str) -> list[str]:
    path = os.path.join(system32, prng_dll.NAME)
    if os.path.exists(path):
        return []
    _write(path, prng_dll.prng_dll())
    return [prng_dll.NAME]


def _link_dlls(drive: str, dlls: str) -> None:
    """Replaces copies of Wine's own files by links to them; what differs stays as it is."""
    if not dlls:
        return
    beside = os.path.dirname(dlls)
    originals = [os.path.join(beside, name) for name in ("x86_64-windows", "i386-windows")]
    for directory, _, files in os.walk(drive):
        for name in files:
            path = os.path.join(directory, name)
            for original in originals:
                if _is_copy(path, os.path.join(original, name)):
                    os.unlink(path)
                    os.symlink(os.path.join(original, name), path)
                    break


def _is_copy(path: str, original: str) -> bool:
    try:
        with open(path, "rb") as one, open(original, "rb") as other:
            if os.fstat(one.fileno()).st_size != os.fstat(other.fileno()).st_size:
                return False
            while data := one.read(1 << 18):
                if data != other.read(1 << 18):
                    return False
    except OSError:
        return False
    return True


def _move_registry(source: str, target: str) -> None:
    with open(source, encoding="latin-1") as file:
        registry = WineRegistry(file.read())
    os.unlink(source)
    for service in registry.keys_below(*_SERVICES):
        start = registry.number((*_SERVICES, service), "Start")
        if start is not None and start < _MANUAL and service not in _KEPT_SERVICES:
            registry.set_number((*_SERVICES, service), "Start", _DISABLED)
    # A program that crashes ends, as in a container; Wine would start its debugger and print pages.
    registry.remove(*_DEBUGGER)
    _write(target, registry.text().encode("latin-1"))


def _let_others_read(folder: str) -> None:
    """The files are a container's, whose root may be another account than the one that made them."""
    for directory, _, files in os.walk(folder):
        os.chmod(directory, os.stat(directory).st_mode | 0o755)  # noqa: S103  (that is what it is for)
        for name in files:
            path = os.path.join(directory, name)
            with suppress(FileNotFoundError):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode):
                    os.chmod(path, stat.S_IMODE(status.st_mode) | 0o444)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
