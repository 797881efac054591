from __future__ import annotations

import io

import pytest

from wingo.archive.entry import Content, EntryKind
from wingo.errors import RequestError
from wingo.pipeline.application import Application, path_for, plan_application, program_path
from wingo.pipeline.content import Item, ItemKind, bytes_content
from wingo.pipeline.settings import Settings


def _application(system, items=(), **settings):
    binary = Content(2, lambda: io.BytesIO(b"MZ"), "a test")
    return Application("app", system, binary, tuple(items), {}, Settings(**settings), 0)


def _names(system, items=(), **settings):
    return [entry.name for entry in plan_application(_application(system, items, **settings)).recipe.entries]


def _file(target, data=b"x", **more):
    return Item(target, ItemKind.FILE, f"/src/{target}", content=bytes_content(data, "a test"), **more)


@pytest.mark.parametrize(
    ("path", "windows", "linux"),
    [
        ("data", r"C:\app\data", "/app/data"),
        ("a/b", r"C:\app\a/b", "/app/a/b"),
        ("/data", r"C:/data", "/data"),
        (r"\data", r"C:\data", "/data"),
        (r"C:\data", r"C:\data", None),
        ("d:/data", "d:/data", None),
    ],
)
def test_a_path_means_both_systems_or_windows_alone(path, windows, linux):
    assert path_for(path, "windows") == windows
    assert path_for(path, "linux") == linux


def test_the_program_has_its_place():
    assert program_path("app", "windows") == r"C:\app\app.exe"
    assert program_path("app", "linux") == "/app/app"
    assert "Files/app/app.exe" in _names("windows")
    assert "app/app" in _names("linux")


def test_content_goes_beside_the_program_on_both_systems():
    items = [_file("conf/a.txt"), _file("/etc/b.txt"), _file(r"C:\only\windows.txt")]
    assert {"Files/app/conf/a.txt", "Files/etc/b.txt", "Files/only/windows.txt"} <= set(_names("windows", items))
    names = set(_names("linux", items))
    assert {"app/conf/a.txt", "etc/b.txt"} <= names
    assert not any("windows.txt" in name for name in names)


def test_what_is_left_out_is_said():
    planned = plan_application(_application("linux", [_file(r"C:\only\windows.txt")]))
    assert any("C:" in note for note in planned.notes)
    assert plan_application(_application("linux", [_file("x")])).notes == ()
    assert any("C:" in note for note in plan_application(_application("linux", data_dir=(r"C:\data",))).notes)


def test_data_directories_are_writable_and_nothing_else():
    windows = plan_application(_application("windows", data_dir=("data",))).recipe
    linux = plan_application(_application("linux", data_dir=("data",))).recipe
    directory = next(entry for entry in linux.entries if entry.name == "app/data")
    program = next(entry for entry in linux.entries if entry.name == "app/app")
    assert (directory.kind, directory.uid) == (EntryKind.DIRECTORY, 65532)
    assert (program.uid, program.mode & 0o222) == (0, 0)
    descriptors = {entry.name: dict(entry.pax)["MSWINDOWS.rawsd"] for entry in windows.entries if "app" in entry.name}
    assert len({descriptors["Files/app/data"], descriptors["Files/app"], descriptors["Files/app/app.exe"]}) == 3


def test_permissions_by_path_replace_the_descriptor_whatever_the_case():
    sddl = "O:BAG:SYD:(A;;FA;;;BA)"
    plain = plan_application(_application("windows", [_file("a.txt")])).recipe
    strict = plan_application(_application("windows", [_file("a.txt")], permissions={r"c:\APP\a.TXT": sddl})).recipe
    changed = [one.name for one, other in zip(plain.entries, strict.entries, strict=True) if one.pax != other.pax]
    assert changed == ["Files/app/a.txt"]


def test_permissions_of_a_new_path_make_a_directory():
    names = _names("windows", permissions={r"C:\queue": "O:BAG:SYD:(A;OICI;FA;;;BA)"})
    assert "Files/queue" in names
    assert "Files/app/queue" in _names("windows", permissions={"queue": "O:BAG:SYD:(A;OICI;FA;;;BA)"})


def test_incomplete_permissions_are_refused():
    with pytest.raises(RequestError, match="SDDL"):
        _names("windows", permissions={r"C:\queue": "D:(A;;FA;;;BA)"})


def test_two_things_at_one_place_are_refused_naming_both():
    items = [_file("a.txt"), _file("A.TXT")]
    with pytest.raises(RequestError) as caught:
        _names("windows", items)
    assert "/src/a.txt" in str(caught.value)
    assert "/src/A.TXT" in str(caught.value)
    assert {"app/a.txt", "app/A.TXT"} <= set(_names("linux", items))


def test_links_are_the_systems_own():
    link = Item("l", ItemKind.LINK, "/src/l", link_target="conf/a.txt")
    windows = plan_application(_application("windows", [link, _file("conf/a.txt")])).recipe
    linux = plan_application(_application("linux", [link, _file("conf/a.txt")])).recipe
    assert next(entry for entry in windows.entries if entry.name == "Files/app/l").link_target == r"conf\a.txt"
    assert next(entry for entry in linux.entries if entry.name == "app/l").link_target == "conf/a.txt"
