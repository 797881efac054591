from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.errors import RequestError
from wingo.pipeline.commit_windows import plan_windows_capture
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.view.layer import read_layer
from wingo.view.merged import View, make_view
from wingo.windows.sddl import format_sddl, sddl_bytes
from wingo.windows.security import DATA_DIRECTORY, READ_ONLY_FILE, decode_descriptor

D = "prefix/drive_c"


def described(sddl: str, attributes: str) -> tuple[tuple[str, str], ...]:
    return (
        ("MSWINDOWS.fileattr", attributes),
        ("MSWINDOWS.rawsd", base64.b64encode(sddl_bytes(sddl)).decode()),
    )


@pytest.fixture
def view() -> View:
    entries = [
        directory_entry("Files"),
        directory_entry("Files/Data", pax=described(DATA_DIRECTORY, "16")),
        directory_entry("Files/Data/old"),
        file_entry("Files/Data/old/a.txt", b"a"),
        file_entry("Files/Data/old/b.txt", b"b"),
        file_entry("Files/Data/config.ini", b"x", pax=described(READ_ONLY_FILE, "34")),
        directory_entry("Files/Windows"),
        directory_entry("Files/Windows/System32"),
        directory_entry("Hives"),
    ]
    image = image_of([layer_of(entries)], {"os": "windows", "architecture": "amd64"})
    return make_view(image, [read_layer(image.layers[0], 0, "windows")])


def captured(view: View, *entries: Entry) -> tuple[dict[str, Entry], Sequence[str]]:
    recipe, notes = plan_windows_capture(entries, view, "app", 0)
    return {entry.name: entry for entry in recipe.entries}, notes


def sddl(entry: Entry) -> str:
    return format_sddl(decode_descriptor(base64.b64decode(dict(entry.pax)["MSWINDOWS.rawsd"])))


def test_a_new_file_takes_after_its_directory_which_stays_as_it_is(view: View) -> None:
    entries, notes = captured(view, directory_entry(f"{D}/Data"), file_entry(f"{D}/Data/new.txt", b"new"))
    assert list(entries) == ["Hives", "Files", "Files/Data", "Files/Data/new.txt"]
    assert sddl(entries["Files/Data"]) == DATA_DIRECTORY
    assert "0x1301bf;;;BU" in sddl(entries["Files/Data/new.txt"])
    assert notes == ()


def test_what_lies_outside_of_the_drive_is_wines(view: View) -> None:
    entries, _ = captured(
        view, directory_entry("prefix"), file_entry("prefix/system.reg", b"x"), file_entry("run/result", b"12345678")
    )
    assert list(entries) == ["Hives", "Files"]


def test_names_are_spelt_as_the_image_spells_them(view: View) -> None:
    entries, _ = captured(
        view,
        directory_entry(f"{D}/windows"),
        directory_entry(f"{D}/windows/system32"),
        file_entry(f"{D}/windows/system32/x.dll", b"x"),
        file_entry(f"{D}/data/CONFIG.ini", b"changed"),
        file_entry(f"{D}/users/me/y.txt", b"y"),
    )
    assert {"Files/Windows/System32/x.dll", "Files/Data/config.ini", "Files/Users/me/y.txt"} <= {*entries}
    assert sddl(entries["Files/Data/config.ini"]) == READ_ONLY_FILE
    # Hidden, as the image has it.
    assert dict(entries["Files/Data/config.ini"].pax)["MSWINDOWS.fileattr"] == "34"


def test_what_was_removed_becomes_a_tombstone(view: View) -> None:
    entries, notes = captured(
        view, file_entry(f"{D}/Data/.wh.config.ini"), file_entry(f"{D}/windows/system32/.wh.cmd.exe")
    )
    assert "Files/Data/.wh.config.ini" in entries
    assert not any("cmd.exe" in name for name in entries)
    assert [note for note in notes if "cmd.exe" in note and "nothing is said" in note]


def test_a_replaced_directory_loses_what_it_had(view: View) -> None:
    entries, _ = captured(
        view,
        directory_entry(f"{D}/Data/old"),
        file_entry(f"{D}/Data/old/.wh..wh..opq"),
        file_entry(f"{D}/Data/old/b.txt", b"again"),
    )
    assert "Files/Data/old/.wh.a.txt" in entries
    assert "Files/Data/old/b.txt" in entries
    assert not any(name.endswith(".opq") for name in entries)


def test_links(view: View) -> None:
    entries, notes = captured(
        view,
        Entry(f"{D}/Data/link", EntryKind.SYMLINK, link_target="old/a.txt"),
        Entry(f"{D}/Data/folder", EntryKind.SYMLINK, link_target="old"),
        Entry(f"{D}/Data/out", EntryKind.SYMLINK, link_target="../../../etc"),
        Entry(f"{D}/Data/root", EntryKind.SYMLINK, link_target="/etc"),
        file_entry(f"{D}/Data/one", b"1"),
        Entry(f"{D}/Data/other", EntryKind.HARDLINK, link_target=f"{D}/Data/one"),
        Entry(f"{D}/Data/lost", EntryKind.HARDLINK, link_target="prefix/system.reg"),
    )
    assert entries["Files/Data/link"].link_target == r"old\a.txt"
    assert dict(entries["Files/Data/link"].pax)["MSWINDOWS.fileattr"] == "1056"
    assert dict(entries["Files/Data/folder"].pax)["MSWINDOWS.fileattr"] == "1040"
    assert entries["Files/Data/other"].kind is EntryKind.FILE
    left = [name for name in ("out", "root", "lost") if f"Files/Data/{name}" in entries]
    assert left == []
    assert len(notes) == 3


@pytest.mark.parametrize("name", ["aux", "a:b", "x."])
def test_names_that_windows_cannot_have_are_refused(view: View, name: str) -> None:
    with pytest.raises(RequestError):
        captured(view, file_entry(f"{D}/Data/{name}", b"x"))
