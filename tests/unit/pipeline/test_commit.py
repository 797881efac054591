"""What containers wrote, as layers."""

from __future__ import annotations

import os

from wingo.archive.entry import EntryKind
from wingo.launch.capture import capture
from wingo.launch.identity import Identity, IdRange
from wingo.launch.stack import OPAQUE, Storage, copy_layer

SINGLE = Identity("single", (IdRange(0, os.getuid(), 1),), (IdRange(0, os.getgid(), 1),))


def names(entries):
    return [entry.name for entry in entries]


def test_a_writable_layer(tmp_path):
    upper = tmp_path / "upper"
    for folder in ("etc", "data/deep", "new", "made"):
        (upper / folder).mkdir(parents=True)
    (upper / "data/deep/file").write_text("x")
    os.link(upper / "data/deep/file", upper / "data/deep/same")
    (upper / "link").symlink_to("/anywhere")
    (upper / "etc/hosts").write_text("")
    os.setxattr(upper / "new", OPAQUE, b"y")
    os.mkfifo(upper / "pipe")
    entries = capture(str(upper), SINGLE, made=["/etc/hosts", "/made", "/etc"])
    assert names(entries) == [
        "data",
        "data/deep",
        "data/deep/file",
        "data/deep/same",
        "link",
        "new",
        "new/.wh..wh..opq",
    ]
    kinds = {entry.name: entry.kind for entry in entries}
    assert kinds["data/deep/same"] is EntryKind.HARDLINK
    assert all((entry.uid, entry.gid) == (0, 0) for entry in entries)


def test_a_file_that_was_made_to_mount_on_stays_when_something_was_written_to_it(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("written")
    assert names(capture(str(tmp_path), SINGLE, made=["/etc", "/etc/hosts"])) == ["etc", "etc/hosts"]


def test_a_copy_is_compared_with_the_layers(tmp_path):
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "keep").mkdir(parents=True)
    (lower / "gone/deep").mkdir(parents=True)
    for name in ("keep/same", "keep/changed", "keep/removed", "gone/deep/x"):
        (lower / name).write_text("before")
    upper.mkdir()
    copy_layer(str(lower), str(upper))
    assert capture(str(upper), SINGLE, storage=Storage.COPY, lowers=[str(lower)]) == ()
    (upper / "keep/changed").write_text("after!!")
    (upper / "keep/removed").unlink()
    (upper / "gone/deep/x").unlink()
    (upper / "gone/deep").rmdir()
    (upper / "gone").rmdir()
    (upper / "new").write_text("new")
    found = names(capture(str(upper), SINGLE, storage=Storage.COPY, lowers=[str(lower)]))
    assert found == [".wh.gone", "keep", "keep/.wh.removed", "keep/changed", "new"]
