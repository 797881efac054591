"""A stage's files on the disk: whatever a tree says, nothing is written or read out of the directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wingo.errors import RequestError
from wingo.pipeline.content import bytes_content
from wingo.pipeline.dockerfile_files import Found
from wingo.pipeline.dockerfile_memory import WorkDirectory, is_plain


def _file(path: str, text: bytes = b"x") -> Found:
    return Found(path, "file", content=bytes_content(text, path))


def _link(path: str, target: str) -> Found:
    return Found(path, "link", 0o777, target=target)


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("b", "d/e/b"), ("./b", "d/e/b"), ("../b", "d/b"), ("../../b", "b"), ("/b", "b"), ("/../b", "b"), ("..", "d"),
        ("../..", ""), ("../../..", ""), ("../../../b", "b"), ("../../../../b", "b"), ("x/../../../../b", "b"),
        ("b..", "d/e/b.."), ("..b", "d/e/..b"), ("../..b/c", "d/..b/c"), (".../b", "d/e/.../b"),
    ],
)  # fmt: skip
def test_links_stay_inside(tmp_path: Path, target: str, leads_to: str) -> None:
    root = tmp_path / "work"
    WorkDirectory(str(root)).write([_link("d/e/l", target)])
    found = os.path.normpath(root / "d" / "e" / os.readlink(root / "d" / "e" / "l"))
    assert found == os.path.normpath(root / leads_to)


def test_links_on_a_way_out_stay_inside(tmp_path: Path) -> None:
    """`d` is the root itself, so that a name behind it goes up less than it seems to."""
    (tmp_path / "secret").write_text("s3cret")
    root = tmp_path / "work"
    WorkDirectory(str(root)).write([_link("d", "."), Found("e", "directory", 0o755), _link("x", "d/e/../../secret")])
    assert not (root / "x").exists()
    assert Path(root, os.readlink(root / "x")) == root / "secret"


@pytest.mark.parametrize("target", ["../..", "/", "..", "."])
def test_nothing_is_written_through_a_link(tmp_path: Path, target: str) -> None:
    root = tmp_path / "work"
    with pytest.raises(RequestError, match="/a/x would be written through the link /a"):
        WorkDirectory(str(root), mounted=True).write([_file("a/x"), _link("a", target)])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//x", "", "."])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    with pytest.raises(RequestError, match="cannot be a path"):
        WorkDirectory(str(tmp_path / "work")).write([_file(path)])


def test_a_mounted_directory_keeps_the_texts_of_links(tmp_path: Path) -> None:
    WorkDirectory(str(tmp_path / "work"), mounted=True).write([_link("a", "/etc/passwd"), _link("b", "../../c")])
    assert os.readlink(tmp_path / "work" / "a") == "/etc/passwd"
    assert os.readlink(tmp_path / "work" / "b") == "../../c"


def test_changes(tmp_path: Path) -> None:
    work = WorkDirectory(str(tmp_path / "work"))
    work.write([_file("same"), _file("gone"), _file("d/other"), _link("l", "/d")])
    root = tmp_path / "work"
    (root / "gone").unlink()
    (root / "d" / "other").write_text("changed")
    (root / "n").mkdir()
    (root / "m").symlink_to(root / "d")
    changed = work.changes()
    assert [(item.path, item.kind, item.target) for item in changed.found] == [
        ("d/other", "file", ""), ("m", "link", "/d"), ("n", "directory", ""),
    ]  # fmt: skip
    assert changed.removed == ("gone",)


@pytest.mark.parametrize(
    ("path", "plain"),
    [("a/b", True), (r"C:\a\b", True), ("a..b/c", True), ("../a", False), (r"C:\a\..\b", False), ("", False), ("/a", False), ("a\0b", False)],
)  # fmt: skip
def test_plain_paths(path: str, plain: bool) -> None:
    assert is_plain(path) is plain
