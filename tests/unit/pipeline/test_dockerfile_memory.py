"""A stage's files on the disk: whatever a tree says, nothing is written or read out of the directory."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from wingo.errors import RequestError
from wingo.pipeline.content import bytes_content
from wingo.pipeline.dockerfile_files import Found
from wingo.pipeline.dockerfile_memory import Changed, MemoryTree, WorkDirectory, is_plain, with_digest


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


def _known(path: str, text: bytes, mode: int = 0o644) -> Found:
    return with_digest(Found(path, "file", mode, content=bytes_content(text, path)))


def _settle() -> None:
    """What is young is not trusted."""
    time.sleep(0.12)


def test_what_is_there_stays(tmp_path: Path) -> None:
    root = tmp_path / "work"
    items = [_known("a", b"one"), _known("d/b", b"two", 0o755), _link("l", "a"), Found("e", "directory", 0o700)]
    work = WorkDirectory(str(root))
    work.write(items)
    _settle()
    inodes = {name: (root / name).stat().st_ino for name in ("a", "d/b")}
    state = tmp_path / "work.json"
    states = {
        name: [f"sha256:{hashlib.sha256(text).hexdigest()}", _state_of(root / name)]
        for name, text in (("a", b"one"), ("d/b", b"two"))
    }
    state.write_text(json.dumps(states))
    again = WorkDirectory(str(root))
    again.write([*items[1:], _known("a", b"changed"), _known("new", b"new")])
    assert (root / "d" / "b").stat().st_ino == inodes["d/b"], "it is not written again"
    assert (root / "a").read_bytes() == b"changed"
    assert again.changes() == Changed((), ())
    assert list(json.loads(state.read_text())) == ["d/b"], "what is as young as the write is not remembered"


def _state_of(path: Path) -> list[int]:
    status = path.lstat()
    return [status.st_mode, status.st_size, status.st_ctime_ns, status.st_mtime_ns, status.st_ino]


def test_what_a_program_did_is_undone(tmp_path: Path) -> None:
    root = tmp_path / "work"
    items = [
        _known("a", b"one"),
        _known("b", b"two"),
        _known("d/c", b"three"),
        _link("l", "a"),
        _known("m", b"x", 0o755),
    ]
    WorkDirectory(str(root)).write(items)
    _settle()
    names = ("a", "b", "d/c", "m")
    texts = (b"one", b"two", b"three", b"x")
    states = {
        name: [f"sha256:{hashlib.sha256(text).hexdigest()}", _state_of(root / name)]
        for name, text in zip(names, texts, strict=True)
    }
    (tmp_path / "work.json").write_text(json.dumps(states))
    before = (root / "a").stat()
    (root / "a").write_bytes(b"ONE")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same size and time
    (root / "b").unlink()
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "d" / "c").unlink()
    (root / "d").rmdir()
    (root / "d").symlink_to(tmp_path)
    (root / "l").unlink()
    (root / "l").mkdir()
    (root / "l" / "more").write_text("more")
    (root / "m").chmod(0o600)
    os.mkfifo(root / "pipe")
    work = WorkDirectory(str(root))
    work.write(items)
    assert {path: (root / path).read_bytes() for path in names} == dict(zip(names, texts, strict=True))
    assert not (root / "d").is_symlink()
    assert os.readlink(root / "l") == "a"
    assert (root / "m").stat().st_mode & 0o777 == 0o755
    assert sorted(os.listdir(root)) == ["a", "b", "d", "l", "m"]
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "c").exists()


def test_a_state_that_nobody_can_read(tmp_path: Path) -> None:
    (tmp_path / "work.json").write_text("{")
    WorkDirectory(str(tmp_path / "work")).write([_known("a", b"one")])
    assert (tmp_path / "work" / "a").read_bytes() == b"one"


def test_a_pipe_that_a_step_left(tmp_path: Path) -> None:
    work = WorkDirectory(str(tmp_path / "work"))
    work.write([])
    os.mkfifo(tmp_path / "work" / "pipe")
    with pytest.raises(RequestError, match="a pipe or a device"):
        work.changes()


def test_children_of_a_tree_in_memory() -> None:
    tree = MemoryTree()
    for path in ("d/b", "d/a", "d/c/x", "e"):
        tree.put(path, _file(path))
    assert [found.path for found in tree.children("")] == ["d", "e"]
    assert [found.path for found in tree.children("d")] == ["d/a", "d/b", "d/c"]
    tree.remove("d/c")
    tree.put("d/0", _file("d/0"))
    assert [found.path for found in tree.children("d")] == ["d/0", "d/a", "d/b"]
    assert tree.children("nothing") == []
