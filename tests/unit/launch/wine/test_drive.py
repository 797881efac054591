from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.errors import RequestError
from wingo.hive.keys import TreeKey
from wingo.hive.values import Value
from wingo.hive.write import write_delta
from wingo.launch.wine.drive import DRIVE, Names, account_of, drive_key, image_path, lay_out, windows_layers
from wingo.launch.wine.prefix import USER, Prefix
from wingo.launch.wine.registry import WineRegistry
from wingo.testing.hives import SYSTEM_SECURITY
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.view.layer import read_layer
from wingo.view.merged import View, make_view

SYSTEM_REG = f"""WINE REGISTRY Version 2

[Software\\\\Acme] 1
"Home"="C:\\\\users\\\\{USER}\\\\AppData"

[System\\\\CurrentControlSet\\\\Control] 1

"""


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    folder = tmp_path / "prefix"
    for below in ("windows/system32", "users/Public", "Program Files"):
        (folder / "root" / DRIVE / below).mkdir(parents=True)
    (folder / "root" / DRIVE / "windows/system32/cmd.exe").write_bytes(b"Wine's")
    (folder / "profile" / "Documents").mkdir(parents=True)
    (folder / "system.reg").write_text(SYSTEM_REG)
    for name in ("user.reg", "userdef.reg"):
        (folder / name).write_text("WINE REGISTRY Version 2\n\n")
    return Prefix(str(folder), "k")


def windows(*layers: Sequence[Entry]) -> View:
    image = image_of([layer_of(entries) for entries in layers], {"os": "windows", "architecture": "amd64"})
    return make_view(image, [read_layer(layer, number, "windows") for number, layer in enumerate(image.layers)])


def files(*paths: str, **contents: bytes) -> list[Entry]:
    made: dict[str, Entry] = {}
    for path in ("Files", "Hives", *(f"Files/{path}" for path in paths)):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            made.setdefault(above, directory_entry(above))
        is_file = "." in parts[-1]
        made[path] = file_entry(path, contents.get("data", path.encode())) if is_file else directory_entry(path)
    return list(made.values())


def laid_out(view: View, prefix: Prefix, target: Path, base_layers: int = 0) -> tuple[str, ...]:
    target.mkdir()
    return lay_out(view, prefix, "ContainerUser", str(target), base_layers=base_layers)


def tree(folder: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(above, name), folder)
        for above, folders, names in os.walk(folder)
        for name in (*folders, *names)
    }


def test_an_images_names_go_where_wine_has_them(prefix: Prefix, tmp_path: Path) -> None:
    view = windows(files("Windows/System32/Own.dll", "WINDOWS/system32/CMD.EXE", "App/server.exe", "Users/me/x.txt"))
    assert laid_out(view, prefix, tmp_path / "out") == ()
    drive = tmp_path / "out" / DRIVE
    assert (drive / "windows/system32/Own.dll").read_bytes() == b"Files/Windows/System32/Own.dll"
    assert (drive / "windows/system32/cmd.exe").read_bytes() == b"Files/WINDOWS/system32/CMD.EXE"
    assert {"App/server.exe", "users/me/x.txt", "users/ContainerUser/Documents"} <= tree(drive)
    assert {path.split("/")[0] for path in tree(drive)} == {"windows", "App", "users"}


def test_a_bases_files_come_only_where_wine_has_none(prefix: Prefix, tmp_path: Path) -> None:
    base = files("Windows/System32/cmd.exe", "Windows/System32/extra.dll")
    laid_out(windows(base, files("Windows/System32/own.dll")), prefix, tmp_path / "out", base_layers=1)
    assert sorted(os.listdir(tmp_path / "out" / DRIVE / "windows/system32")) == ["extra.dll", "own.dll"]


def test_links_stay_on_the_drive(prefix: Prefix, tmp_path: Path) -> None:
    links = [
        Entry("Files/a/plain", EntryKind.SYMLINK, link_target=r"..\b\f.txt"),
        Entry("Files/a/whole", EntryKind.SYMLINK, link_target=r"C:\WINDOWS\System32"),
        Entry("Files/a/out", EntryKind.SYMLINK, link_target=r"..\..\..\..\etc\passwd"),
        Entry("Files/a/other", EntryKind.SYMLINK, link_target=r"Z:\etc"),
        Entry("Files/a/net", EntryKind.SYMLINK, link_target=r"\\host\share"),
    ]
    notes = laid_out(windows([*files("a", "b/f.txt"), *links]), prefix, tmp_path / "out")
    drive = tmp_path / "out" / DRIVE
    found = {name: os.readlink(drive / "a" / name) for name in os.listdir(drive / "a")}
    assert found == {"plain": "../b/f.txt", "whole": "../windows/system32", "out": "../etc/passwd"}
    assert [note.split("'")[1] for note in notes] == ["a/net", "a/other"]


def test_names_that_windows_cannot_have_are_left_out_and_said(prefix: Prefix, tmp_path: Path) -> None:
    notes = laid_out(windows(files("a/nul.txt", "a/good.txt", "a/x .")), prefix, tmp_path / "out")
    assert tree(tmp_path / "out" / DRIVE / "a") == {"good.txt"}
    assert len(notes) == 2
    assert "device" in notes[0]


def hive_layer(name: str, *children: TreeKey) -> list[Entry]:
    return [*files(), file_entry(f"Hives/{name}", write_delta(TreeKey("ROOT", SYSTEM_SECURITY, children=children)))]


def test_registry_deltas_are_laid_over_wines(prefix: Prefix, tmp_path: Path) -> None:
    value = Value("V", 4, bytes(4))
    base = hive_layer("System_Delta", TreeKey("Base", SYSTEM_SECURITY, (value,)))
    app = hive_layer(
        "SYSTEM_DELTA", TreeKey("ControlSet001", SYSTEM_SECURITY, (), (TreeKey("Own", SYSTEM_SECURITY, (value,)),))
    )
    app += [
        file_entry(
            "Hives/DefaultUser_Delta",
            write_delta(TreeKey("R", SYSTEM_SECURITY, (), (TreeKey("D", SYSTEM_SECURITY, (value,)),))),
        )
    ]
    laid_out(windows(base, app), prefix, tmp_path / "out", base_layers=1)
    system = WineRegistry((tmp_path / "out/prefix/system.reg").read_text())
    assert system.has("System", "CurrentControlSet", "Own")
    assert not system.has("System", "Base")
    assert WineRegistry((tmp_path / "out/prefix/userdef.reg").read_text()).has("D")


def test_the_account_takes_the_place_of_the_prepared_one(prefix: Prefix, tmp_path: Path) -> None:
    laid_out(windows(files("a")), prefix, tmp_path / "out")
    text = (tmp_path / "out/prefix/system.reg").read_text()
    assert r"C:\\users\\ContainerUser\\AppData" in text
    assert USER not in text


@pytest.mark.parametrize(
    ("user", "flavour", "account"),
    [
        ("", "nanoserver", "ContainerUser"),
        ("", "", "ContainerAdministrator"),
        ("containeruser", "", "ContainerUser"),
        (r"NT AUTHORITY\SYSTEM", "", "SYSTEM"),
    ],
)
def test_accounts(user: str, flavour: str, account: str) -> None:
    assert account_of(user, flavour) == account


@pytest.mark.parametrize("user", ["1000", "root", "..", r"..\..", "nul"])
def test_no_windows_accounts(user: str) -> None:
    with pytest.raises(RequestError):
        account_of(user, "")


def test_windows_is_known_by_its_own_files() -> None:
    assert windows_layers(windows(files("Windows/System32/NTDLL.dll"), files("a.txt"), files("b.txt"))) == 1
    assert windows_layers(windows(files("app/ntdll.dll"))) == 0


def test_the_key_knows_image_user_prefix_and_base(prefix: Prefix) -> None:
    keys = [
        drive_key(prefix, "sha256:1", "A", with_base=False),
        drive_key(prefix, "sha256:2", "A", with_base=False),
        drive_key(prefix, "sha256:1", "B", with_base=False),
        drive_key(prefix, "sha256:1", "A", with_base=True),
        drive_key(Prefix(prefix.directory, "other"), "sha256:1", "A", with_base=False),
    ]
    assert len({*keys}) == 5
    assert drive_key(prefix, "sha256:1", "A", with_base=False) == keys[0]


def test_names_are_found_in_either_folder(tmp_path: Path) -> None:
    (tmp_path / "low" / "Data" / "In").mkdir(parents=True)
    (tmp_path / "high" / "App").mkdir(parents=True)
    names = Names([str(tmp_path / "low"), str(tmp_path / "high"), str(tmp_path / "none")])
    assert names.real(["DATA", "in", "New"]) == ("Data", "In", "New")
    assert names.real(["app"]) == ("App",)


@pytest.mark.parametrize(
    ("on_drive", "in_image"),
    [
        ("windows/system32/x.dll", "Windows/System32/x.dll"),
        ("windows/inf/x", "Windows/inf/x"),
        ("users/me", "Users/me"),
        ("usersfile", "usersfile"),
        ("app/windows", "app/windows"),
    ],
)
def test_what_is_taken_out_is_spelt_as_windows_does(on_drive: str, in_image: str) -> None:
    assert image_path(on_drive.split("/")) == in_image
