"""Layers to directories: nothing gets out, whiteouts become overlayfs's, a later member wins."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading

import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.errors import ContentError, HostError, Malformed
from wingo.launch.identity import Identity, IdRange
from wingo.launch.layer_store import LayerStore
from wingo.launch.stack import OPAQUE, is_opaque, is_whiteout
from wingo.launch.unpack import unpack
from wingo.testing.images import directory_entry, file_entry, layer_of

SINGLE = Identity("single", (IdRange(0, os.getuid(), 1),), (IdRange(0, os.getgid(), 1),))


def tar_of(*members: tuple[str, str, object]) -> io.BytesIO:
    """A tar of (name, kind, what): "file", "dir", "sym", "link", "dev", "fifo"."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if kind == "file":
                data = str(what).encode()
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                continue
            info.type = {
                "dir": tarfile.DIRTYPE,
                "sym": tarfile.SYMTYPE,
                "link": tarfile.LNKTYPE,
                "dev": tarfile.BLKTYPE,
                "fifo": tarfile.FIFOTYPE,
            }[kind]
            if kind == "dir" and what:
                info.mode = int(str(what), 8)
            info.linkname = str(what) if kind in ("sym", "link") else ""
            tar.addfile(info)
    buffer.seek(0)
    return buffer


@pytest.fixture
def target(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("untouched")
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside"


def untouched(target) -> bool:
    outside = target.parent / "outside"
    return os.listdir(outside) == ["canary"] and (outside / "canary").read_text() == "untouched"


@pytest.mark.parametrize(
    "members",
    [
        [("../outside/new", "file", "x")],
        [("a/../../outside/new", "file", "x")],
        [("a", "dir", ""), ("a/..", "dir", "")],
        [("x", "link", "../outside/canary")],
        [("x", "link", "/etc/passwd")],
        [("x", "sym", "/etc/passwd"), ("y", "link", "nothing")],
        [("a", "dir", ""), ("x", "link", "a")],
        [(".wh...", "file", "")],
        [(".wh..", "file", "")],
        [("a", "file", "x"), ("a/b", "file", "y")],
        [("/".join("d" * 300), "file", "x")],
        [("n" * 300, "file", "x")],
    ],
)
def test_what_leads_out_or_cannot_be_is_refused(target, members):
    with pytest.raises(Malformed):
        unpack(tar_of(*members), str(target))
    assert untouched(target)


@pytest.mark.parametrize("link", ["../outside", "/OUTSIDE", "../../../../../../../../OUTSIDE"])
@pytest.mark.parametrize("name", ["l/new", "l/canary", "l/deep/er/new"])
def test_links_on_the_way_lead_nowhere_but_inside(target, link, name):
    link = link.replace("/OUTSIDE", str(target.parent / "outside"))
    try:
        unpack(tar_of(("l", "sym", link), (name, "file", "changed")), str(target))
    except (Malformed, HostError):
        pass
    assert untouched(target)


def test_whiteouts_and_hard_links_do_not_follow_links_out(target):
    outside = str(target.parent / "outside")
    for members in (
        [("l", "sym", outside), ("l/.wh.canary", "file", "")],
        [("l", "sym", outside), ("x", "link", "l/canary"), ("x", "file", "changed")],
        [("l", "sym", f"{outside}/canary"), ("l", "file", "changed")],
        [("l", "sym", outside), ("l", "dir", ""), ("l/canary", "file", "changed")],
        [("l", "sym", f"{outside}/canary"), ("x", "link", "l"), ("x", "file", "changed")],
    ):
        try:
            unpack(tar_of(*members), str(target))
        except (Malformed, HostError):
            pass
        assert untouched(target), members


def test_a_link_inside_is_followed_inside(target):
    unpack(tar_of(("real", "dir", ""), ("l", "sym", "/real"), ("l/x", "file", "here")), str(target))
    assert (target / "real" / "x").read_text() == "here"


def test_devices_and_pipes_are_left_out(target):
    done = unpack(tar_of(("d", "dev", ""), ("p", "fifo", ""), ("f", "file", "x")), str(target))
    assert (done.left_out, done.files, sorted(os.listdir(target))) == (2, 1, ["f"])


def test_whiteouts_become_overlayfs(target):
    members = [("a/.wh.gone", "file", ""), ("b/.wh..wh..opq", "file", ""), ("a/.wh..wh.aufs", "file", "")]
    unpack(tar_of(*members), str(target))
    assert is_whiteout(os.lstat(target / "a" / "gone"))
    assert os.getxattr(target / "b", OPAQUE) == b"y"
    assert os.listdir(target / "a") == ["gone"]


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_beside_what_it_names_hides_only_what_is_below(target, first):
    whiteout, folder = (".wh.x", "file", ""), ("x", "dir", "")
    unpack(tar_of(*((whiteout, folder) if first else (folder, whiteout)), ("x/new", "file", "y")), str(target))
    assert is_opaque(str(target / "x"))
    assert (target / "x" / "new").read_text() == "y"


def test_a_later_member_wins(target):
    unpack(
        tar_of(
            ("x", "dir", ""),
            ("x/y/z", "file", "1"),
            ("x", "file", "2"),
            ("s", "sym", "nowhere"),
            ("s", "file", "3"),
            ("f", "file", "4"),
            ("f", "dir", ""),
            ("f/g", "file", "5"),
        ),
        str(target),
    )
    assert (target / "x").read_text() == "2"
    assert (target / "s").read_text() == "3"
    assert (target / "f" / "g").read_text() == "5"


def test_modes_times_and_hard_links(target):
    layer = layer_of(
        [
            directory_entry("locked", mode=0o500),
            file_entry("locked/set", b"x", mode=0o4755),
            Entry("locked/same", EntryKind.HARDLINK, link_target="locked/set"),
        ]
    )
    from wingo.archive.unpack import open_tar

    with open_tar(layer) as tar:
        unpack(tar, str(target))
    status = os.stat(target / "locked" / "set")
    assert stat.S_IMODE(status.st_mode) == 0o4755
    assert status.st_nlink == 2
    assert int(status.st_mtime) == int(os.stat(target / "locked").st_mtime) == 1_704_758_400
    assert stat.S_IMODE(os.stat(target / "locked").st_mode) == 0o500
    os.chmod(target / "locked", 0o700)


def test_many_directories_are_not_all_open(target):
    members = [(f"d{number}/e/f/g/h", "file", str(number)) for number in range(200)]
    unpack(tar_of(*members, ("last", "link", "d0/e/f/g/h")), str(target))
    assert (target / "last").read_text() == "0"
    assert (target / "d199" / "e" / "f" / "g" / "h").read_text() == "199"


def test_the_store_has_a_layer_whole_or_not_at_all(tmp_path):
    store = LayerStore(str(tmp_path / "store"), SINGLE, {})
    good, other = layer_of([file_entry("a", b"x")]), layer_of([file_entry("a", b"y")])
    lying = type(good)(good.descriptor, other.diff_id, good.open)
    with pytest.raises(ContentError):
        store.unpack(lying)
    assert not store.has(lying.diff_id)
    path = store.unpack(good)
    assert store.has(good.diff_id)
    assert os.listdir(path) == ["a"]
    assert stat.S_IMODE(os.stat(tmp_path / "store" / "single").st_mode) == 0o700
    left = [name for name in os.listdir(os.path.dirname(path)) if not name.endswith(".lock")]
    assert left == [os.path.basename(path)]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    store = LayerStore(str(tmp_path), SINGLE, {})
    layer = layer_of([file_entry("a", b"x")])
    folder, name = os.path.split(store.path(layer.diff_id))
    os.makedirs(os.path.join(folder, f".{name}.new", "half"))
    assert os.listdir(store.unpack(layer)) == ["a"]
    assert not os.path.exists(os.path.join(folder, f".{name}.new"))


def test_threads_unpack_once(tmp_path):
    store = LayerStore(str(tmp_path), SINGLE, {})
    opened = []
    plain = layer_of([file_entry(f"f{number}", b"x" * 100) for number in range(300)])

    def counted():
        opened.append(1)
        return plain.open()

    layer = type(plain)(plain.descriptor, plain.diff_id, counted)
    threads = [threading.Thread(target=store.unpack, args=(layer,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len(os.listdir(store.path(layer.diff_id))) == 300
