from __future__ import annotations

import os
import socket

import pytest

from wingo.errors import HostError, RequestError
from wingo.pipeline.content import CopyRequest, ItemKind, data_requests, file_content, parse_copy, read_items


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conf:app/conf", ("conf", "app/conf", "")),
        (r"conf:C:\app\conf", ("conf", r"C:\app\conf", "")),
        (r"conf:C:\app\conf:ro", ("conf", r"C:\app\conf", "ro")),
        (r"C:\src:C:\dst:data", (r"C:\src", r"C:\dst", "data")),
        ("a:b:O:BAG:SYD:(A;;FA;;;BA)", ("a", "b", "O:BAG:SYD:(A;;FA;;;BA)")),
    ],
)
def test_copy_is_split_at_the_colons_that_are_no_drive(text, expected):
    request = parse_copy(text, "--copy")
    assert (request.source, request.target, request.attributes) == expected


@pytest.mark.parametrize("text", ["", "conf", "conf:", ":dst", "C:\\only"])
def test_copy_without_both_ends_is_refused(text):
    with pytest.raises(RequestError, match="SRC:DST"):
        parse_copy(text, "--copy")


def _items(source, target="t", **more):
    return {item.target: item for item in read_items(CopyRequest(str(source), target, **more))}


def test_a_tree_is_read_in_name_order_without_the_machines_modes(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("x")
    (tmp_path / "a").write_text("run")
    (tmp_path / "a").chmod(0o700)
    found = _items(tmp_path)
    assert list(found) == ["t", "t/a", "t/b", "t/b/x"]
    assert found["t/a"].executable
    assert not found["t/b/x"].executable
    with found["t/b/x"].content.open() as file:
        assert file.read() == b"x"


def test_a_file_goes_into_a_target_with_a_trailing_slash_and_onto_one_without(tmp_path):
    file = tmp_path / "f.txt"
    file.write_text("")
    assert list(_items(file, "conf/")) == ["conf/f.txt"]
    assert list(_items(file, "conf\\")) == ["conf\\f.txt"]
    assert list(_items(file, "conf")) == ["conf"]


def test_links_inside_the_tree_stay_links(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("")
    (tmp_path / "up").symlink_to("dir/file")
    (tmp_path / "dir" / "back").symlink_to("../dir")
    found = _items(tmp_path)
    assert (found["t/up"].kind, found["t/up"].link_target, found["t/up"].to_directory) == (
        ItemKind.LINK,
        "dir/file",
        False,
    )
    assert found["t/dir/back"].to_directory


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "dir/../../outside"])
def test_links_out_of_the_tree_are_refused_unless_they_are_followed(tmp_path, target):
    tree = tmp_path / "tree"
    (tree / "dir").mkdir(parents=True)
    (tmp_path / "outside").write_text("out")
    (tree / "link").symlink_to(target)
    with pytest.raises(RequestError, match="leads out of"):
        _items(tree)
    followed = _items(tree, follow=True)["t/link"]
    assert followed.kind is ItemKind.FILE


def test_a_link_out_of_the_tree_to_nothing_says_so(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to("../gone")
    with pytest.raises(HostError, match="cannot read"):
        _items(tree, follow=True)


def test_special_files_and_missing_sources_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError, match="a socket, a pipe or a device"):
        _items(tmp_path)
    with pytest.raises(RequestError, match="neither a file nor a directory"):
        _items(tmp_path / "pipe")
    with pytest.raises(RequestError, match="does not exist"):
        _items(tmp_path / "missing")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(RequestError):
            _items(tmp_path / "socket")


def test_a_file_that_went_away_is_named(tmp_path):
    content = file_content(str(tmp_path / "gone"), 1)
    with pytest.raises(HostError, match="gone"):
        content.open()


def test_data_folders_travel_when_they_are_there(tmp_path):
    assert data_requests(str(tmp_path)) == []
    (tmp_path / "wingodata").mkdir()
    (tmp_path / "kodata").mkdir()
    assert [(request.origin, request.target, request.follow) for request in data_requests(str(tmp_path))] == [
        ("wingodata", "wingodata", False),
        ("kodata", "/var/run/ko", True),
    ]


@pytest.mark.parametrize("target", ["/", "C:\\", "c:/", "//"])
def test_a_directory_that_is_copied_onto_the_root_does_not_become_one_itself(tmp_path, target):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "x").touch()
    root = target.rstrip("/\\")
    assert list(_items(tmp_path, target)) == [f"{root}/etc", f"{root}/etc/x"]
    assert list(_items(tmp_path, "/d/")) == ["/d", "/d/etc", "/d/etc/x"]
