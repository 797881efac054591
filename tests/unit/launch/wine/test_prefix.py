"""Preparing a prefix, with a stand-in for Wine that does on disk what `wineboot --init` does."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from wingo.errors import HostError
from wingo.golang.runner import Completed
from wingo.launch.wine.finding import Wine
from wingo.launch.wine.prefix import USER, Prefix, prefix_key, prepared_prefix
from wingo.launch.wine.registry import WineRegistry
from wingo.windows.prng_dll import prng_dll

SYSTEM = r"""WINE REGISTRY Version 2

[Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug] 1
"Auto"="1"

[System\\CurrentControlSet\\Services\\MountMgr] 1
"Start"=dword:00000002

[System\\CurrentControlSet\\Services\\PlugPlay] 1
"Start"=dword:00000002

[System\\CurrentControlSet\\Services\\winebus] 1
"Start"=dword:00000003

"""
KERNEL32 = b"MZ" + bytes(5000)


class Wineboot:
    """Makes a prefix as Wine does, its ways out included."""

    def __init__(self, dlls: Path, *, fails: bool = False, has_prng: bool = False) -> None:
        self.dlls = dlls
        self.fails = fails
        self.has_prng = has_prng
        self.made = 0
        self.guard = threading.Lock()

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        if "wineboot" not in argv:
            return Completed(0, b"", b"")
        with self.guard:
            self.made += 1
        prefix = Path(env["WINEPREFIX"])
        assert str(prefix) not in env["HOME"]
        system32 = prefix / "drive_c" / "windows" / "system32"
        system32.mkdir(parents=True)
        if self.fails:
            return Completed(1, b"", b"wine: out of luck")
        (system32 / "kernel32.dll").write_bytes(KERNEL32)
        (system32 / "other.dll").write_bytes(b"MZ not the original")
        if self.has_prng:
            (system32 / "bcryptprimitives.dll").write_bytes(b"MZ Wine's own")
        profile = prefix / "drive_c" / "users" / env["USER"]
        profile.mkdir(parents=True)
        (profile / "Documents").symlink_to(env["HOME"])
        devices = prefix / "dosdevices"
        devices.mkdir()
        (devices / "c:").symlink_to("../drive_c")
        (devices / "z:").symlink_to("/")
        (devices / "com1").symlink_to("/dev/ttyS0")
        (prefix / "wineserver").write_text("")
        (prefix / "system.reg").write_text(SYSTEM)
        for name in ("user.reg", "userdef.reg"):
            (prefix / name).write_text("WINE REGISTRY Version 2\n\n")
        return Completed(0, b"", b"")


@pytest.fixture
def dlls(tmp_path: Path) -> Path:
    folder = tmp_path / "usr" / "x86_64-windows"
    folder.mkdir(parents=True)
    (folder / "kernel32.dll").write_bytes(KERNEL32)
    (folder / "other.dll").write_bytes(b"MZ the other original")
    return folder


def wine(dlls: Path) -> Wine:
    return Wine("/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64", "wine-8.0", str(dlls), 1)


def no_lock(_name: str) -> AbstractContextManager[None]:
    return nullcontext()


def prepared(dlls: Path, runner: Wineboot, folder: Path) -> Prefix:
    return prepared_prefix(wine(dlls), str(folder), runner, no_lock)


def test_every_way_out_is_cut(dlls: Path, tmp_path: Path) -> None:
    prefix = prepared(dlls, Wineboot(dlls), tmp_path / "cache")
    assert os.listdir(os.path.join(prefix.root, "prefix", "dosdevices")) == ["c:"]
    links = [
        os.readlink(os.path.join(folder, name))
        for folder, folders, files in os.walk(prefix.directory)
        for name in (*folders, *files)
        if os.path.islink(os.path.join(folder, name))
    ]
    assert sorted(links) == ["../drive_c", str(dlls / "kernel32.dll")]
    assert os.path.isdir(os.path.join(prefix.directory, "profile", "Documents"))
    assert not os.path.exists(os.path.join(prefix.root, "prefix", "drive_c", "users", USER))
    assert not os.path.exists(os.path.join(prefix.root, "prefix", "system.reg"))


def test_a_missing_dll_is_added_and_one_of_wines_is_kept(dlls: Path, tmp_path: Path) -> None:
    lacking = prepared(dlls, Wineboot(dlls), tmp_path / "one")
    path = Path("prefix/drive_c/windows/system32/bcryptprimitives.dll")
    assert lacking.added == ("bcryptprimitives.dll",)
    assert (Path(lacking.root) / path).read_bytes() == prng_dll()
    having = prepared(dlls, Wineboot(dlls, has_prng=True), tmp_path / "two")
    assert having.added == ()
    assert (Path(having.root) / path).read_bytes() == b"MZ Wine's own"


def test_services_for_hardware_and_the_debugger_are_off(dlls: Path, tmp_path: Path) -> None:
    registry = WineRegistry(prepared(dlls, Wineboot(dlls), tmp_path / "cache").registry("system.reg"))
    services = ("System", "CurrentControlSet", "Services")
    starts = {name: registry.number((*services, name), "Start") for name in ("MountMgr", "PlugPlay", "winebus")}
    assert starts == {"MountMgr": 2, "PlugPlay": 4, "winebus": 3}
    assert not registry.has("Software", "Microsoft", "Windows NT", "CurrentVersion", "AeDebug")


def test_others_may_read_it(dlls: Path, tmp_path: Path) -> None:
    prefix = prepared(dlls, Wineboot(dlls), tmp_path / "cache")
    for folder, _, files in os.walk(prefix.directory):
        assert stat.S_IMODE(os.stat(folder).st_mode) & 0o755 == 0o755
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            assert stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o444 == 0o444


def test_it_is_made_once(dlls: Path, tmp_path: Path) -> None:
    runner = Wineboot(dlls)
    told: list[str] = []
    lock = threading.Lock()
    threads = [
        threading.Thread(
            target=lambda: prepared_prefix(wine(dlls), str(tmp_path / "cache"), runner, lambda _: lock, told.append)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runner.made == len(told) == 1


def test_a_failure_says_what_wine_said_and_leaves_nothing(dlls: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="out of luck") as raised:
        prepared(dlls, Wineboot(dlls, fails=True), tmp_path / "cache")
    assert "wineboot --init" in raised.value.hint
    assert os.listdir(tmp_path / "cache") == []


def test_what_a_killed_wingo_left_is_removed(dlls: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    left = folder / f".{prefix_key(wine(dlls))}-abc"
    left.mkdir(parents=True)
    other = folder / ".another-abc"
    other.mkdir()
    prefix = prepared(dlls, Wineboot(dlls), folder)
    assert not left.exists()
    assert other.exists()
    assert os.path.basename(prefix.directory) == prefix.key


def test_another_wine_needs_another_prefix(dlls: Path) -> None:
    one = wine(dlls)
    others = [
        Wine(one.loader, one.server, "wine-9.0", one.dlls, one.changed),
        Wine(one.loader, one.server, one.described, one.dlls, 2),
    ]
    assert len({prefix_key(each) for each in (one, *others)}) == 3
