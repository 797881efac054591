"""Plain trees: whiteouts, links, and layers that try to get out."""

from __future__ import annotations

import os
import stat

import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.archive.unpack import Limits
from wingo.errors import ContentError, DigestMismatch, HostError, Malformed, RequestError
from wingo.image.model import Image
from wingo.oci.digest import sha256_digest
from wingo.stores.files import MARKER, FileTree
from wingo.testing.images import directory_entry, file_entry, image_of, index_of, layer_of

LINUX = {"os": "linux", "architecture": "amd64"}
WINDOWS = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}


def link(name: str, target: str) -> Entry:
    return Entry(name, EntryKind.SYMLINK, mode=0o777, link_target=target)


def hard_link(name: str, target: str) -> Entry:
    return Entry(name, EntryKind.HARDLINK, link_target=target)


def linux(*layers: list[Entry]) -> Image:
    return image_of([layer_of(entries) for entries in layers], LINUX)


def windows(*layers: list[Entry]) -> Image:
    return image_of([layer_of(entries) for entries in layers], WINDOWS)


@pytest.fixture
def out(tmp_path) -> str:
    return str(tmp_path / "out")


def tree(out: str) -> dict[str, str | None]:
    """Paths to texts of files, "-> target" of links, None of directories."""
    found: dict[str, str | None] = {}
    for folder, directories, files in os.walk(out):
        for name in directories + files:
            path = os.path.join(folder, name)
            below = os.path.relpath(path, out)
            if os.path.islink(path):
                found[below] = f"-> {os.readlink(path)}"
            elif os.path.isdir(path):
                found[below] = None
            elif below != MARKER:
                with open(path) as file:
                    found[below] = file.read()
    return found


def test_files_links_modes_and_times(out) -> None:
    FileTree(out).write(
        linux(
            [
                directory_entry("app", mode=0o750),
                file_entry("app/program", b"x", mode=0o4755),
                link("app/soft", "program"),
                hard_link("app/hard", "app/program"),
                file_entry("missing/parents/file", b"y", mode=0o600),
            ]
        )
    )
    assert tree(out) == {
        "app": None,
        "app/program": "x",
        "app/soft": "-> program",
        "app/hard": "x",
        "missing": None,
        "missing/parents": None,
        "missing/parents/file": "y",
    }
    status = os.stat(f"{out}/app/program")
    assert stat.S_IMODE(status.st_mode) == 0o755, "set-id bits do not travel"
    assert status.st_mtime == 1_704_758_400
    assert os.stat(f"{out}/app").st_mtime == 1_704_758_400
    assert stat.S_IMODE(os.stat(f"{out}/app").st_mode) == 0o750
    assert os.stat(f"{out}/app/hard").st_ino == status.st_ino
    assert stat.S_IMODE(os.stat(f"{out}/missing/parents/file").st_mode) == 0o600


def test_whiteouts(out) -> None:
    FileTree(out).write(
        linux(
            [
                directory_entry("a"),
                file_entry("a/1", b"1"),
                file_entry("a/2", b"2"),
                directory_entry("b"),
                file_entry("b/3", b"3"),
                directory_entry("c"),
                directory_entry("c/d"),
                file_entry("c/d/4", b"4"),
                file_entry("e", b"5"),
            ],
            [
                file_entry("a/.wh.1"),
                file_entry("b/new", b"new"),
                file_entry("b/.wh..wh..opq"),
                file_entry(".wh.c"),
                file_entry(".wh.nothing"),
                file_entry("no/such/.wh.thing"),
                file_entry("e", b"newer"),
            ],
        )
    )
    assert tree(out) == {"a": None, "a/2": "2", "b": None, "b/new": "new", "e": "newer"}


def test_a_whiteout_removes_only_what_is_below_the_layer(out) -> None:
    FileTree(out).write(
        linux(
            [directory_entry("d"), file_entry("d/old", b"old")],
            [directory_entry("d"), file_entry("d/kept", b"kept"), file_entry(".wh.d")],
        )
    )
    assert tree(out) == {"d": None, "d/kept": "kept"}


def test_one_kind_replaces_another(out) -> None:
    FileTree(out).write(
        linux(
            [directory_entry("x"), file_entry("x/in", b"1"), file_entry("y", b"2"), link("z", "y")],
            [file_entry("x", b"file"), directory_entry("y"), file_entry("z", b"no link any more")],
        )
    )
    assert tree(out) == {"x": "file", "y": None, "z": "no link any more"}


def test_a_directory_that_stands_there_again_keeps_what_is_in_it(out) -> None:
    FileTree(out).write(
        linux(
            [directory_entry("d"), file_entry("d/f", b"1")], [directory_entry("d", mode=0o700), file_entry("d/g", b"2")]
        )
    )
    assert tree(out) == {"d": None, "d/f": "1", "d/g": "2"}
    assert stat.S_IMODE(os.stat(f"{out}/d").st_mode) == 0o700


@pytest.mark.parametrize("target", ["/tmp", "../../../../../../tmp", "/", "..", "/etc/../../tmp"])
def test_a_link_is_never_followed_out_of_the_tree(out, tmp_path, target) -> None:
    FileTree(out).write(linux([link("out", target)], [file_entry("out/wingo-test-escaped", b"x")]))
    assert not os.path.exists("/tmp/wingo-test-escaped")
    assert tree(out)["out"] == f"-> {target}"
    inside = [path for path, text in tree(out).items() if text == "x"]
    assert inside in (["tmp/wingo-test-escaped"], ["wingo-test-escaped"])


def test_a_link_to_a_directory_is_followed_inside_the_tree(out) -> None:
    """As /bin is on today's distributions, and a layer on top says bin/program."""
    FileTree(out).write(
        linux(
            [directory_entry("usr"), directory_entry("usr/bin"), link("bin", "usr/bin"), link("abs", "/usr/bin")],
            [file_entry("bin/one", b"1"), file_entry("abs/two", b"2")],
        )
    )
    assert tree(out)["usr/bin/one"] == "1"
    assert tree(out)["usr/bin/two"] == "2"
    assert tree(out)["bin"] == "-> usr/bin"


def test_a_link_is_replaced_and_not_written_through(out, tmp_path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    FileTree(out).write(linux([link("f", str(victim))], [file_entry("f", b"evil")]))
    assert victim.read_text() == "untouched"
    assert tree(out) == {"f": "evil"}
    FileTree(out).write(linux([link("f", str(victim)), file_entry("g", b"")], [hard_link("h", "f")]))
    assert tree(out)["h"] == f"-> {victim}"


@pytest.mark.parametrize(
    "entries", [[link("a", "b"), link("b", "a"), file_entry("a/x", b"")], [link("l", "l/l"), file_entry("l/x", b"")]]
)
def test_links_that_lead_in_circles(out, entries) -> None:
    with pytest.raises(Malformed, match="too many links"):
        FileTree(out).write(linux(entries))
    assert not os.path.exists(out)


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "/../escape"])
def test_names_that_lead_out_are_refused(out, tmp_path, name) -> None:
    import io
    import tarfile

    from wingo.image.model import Layer
    from wingo.oci.descriptor import Descriptor

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    data = buffer.getvalue()
    layer = Layer(Descriptor("x", sha256_digest(data), len(data)), sha256_digest(data), lambda: io.BytesIO(data))
    with pytest.raises(Malformed, match="leads out"):
        FileTree(out).write(image_of([layer], LINUX))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", ["/etc/passwd", "nothing", "d"])
def test_hard_links_to_nothing_of_the_tree(out, target) -> None:
    with pytest.raises(Malformed, match="hard link"):
        FileTree(out).write(linux([directory_entry("d"), hard_link("h", target)]))


def test_a_file_below_a_file(out) -> None:
    with pytest.raises(Malformed, match="no directory"):
        FileTree(out).write(linux([file_entry("f", b""), file_entry("f/g", b"")]))


@pytest.mark.parametrize("name", [".wh.", ".wh...", ".wh.."])
def test_whiteouts_of_no_name(out, name) -> None:
    with pytest.raises(Malformed, match="whiteout"):
        FileTree(out).write(linux([file_entry(name, b"")]))


def test_windows_layers_lose_their_roots(out) -> None:
    notes: list[str] = []

    class Recorder:
        def start(self, what: str, total: int | None = None) -> Recorder:
            return self

        def advance(self, count: int) -> None: ...
        def done(self, note: str = "") -> None: ...

        def note(self, text: str) -> None:
            notes.append(text)

    FileTree(out, progress=Recorder()).write(
        windows(
            [
                directory_entry("Hives"),
                file_entry("Hives/SYSTEM_DELTA", b"regf"),
                directory_entry("Files"),
                directory_entry("Files/app"),
                file_entry("Files/app/a.exe", b"MZ"),
                file_entry("Files/app/a.exe:stream", b"ads"),
                hard_link("Files/app/b.exe", "Files/app/a.exe"),
                link("Files/app/c.exe", "..\\app\\a.exe"),
                link("Files/app/d", "C:\\app"),
            ],
            [
                directory_entry("Hives"),
                directory_entry("Files"),
                directory_entry("Files/APP"),
                file_entry("Files/APP/D/e", b"e"),
            ],
        )
    )
    assert tree(out) == {
        "app": None,
        "app/a.exe": "MZ",
        "app/b.exe": "MZ",
        "app/c.exe": "-> ../app/a.exe",
        "app/d": "-> ../app",
        "app/e": "e",
    }
    assert [note.partition(": ")[2] for note in notes] == [
        "left out: alternate data streams (1)",
        "left out: files outside of Files, the registry's hives among them (1)",
    ]


def test_names_that_windows_cannot_tell_apart(out) -> None:
    with pytest.raises(Malformed, match="the same to Windows"):
        FileTree(out).write(
            windows([directory_entry("Files"), file_entry("Files/a", b"1"), file_entry("Files/A", b"2")])
        )
    FileTree(out).write(linux([file_entry("a", b"1"), file_entry("A", b"2")]))
    assert tree(out) == {"a": "1", "A": "2"}


def test_several_images_get_a_directory_each(out) -> None:
    FileTree(out).write(
        index_of([linux([file_entry("l", b"1")]), windows([directory_entry("Files"), file_entry("Files/w", b"2")])])
    )
    assert tree(out) == {
        "linux-amd64": None,
        "linux-amd64/l": "1",
        "windows-amd64-10.0.20348.1": None,
        "windows-amd64-10.0.20348.1/w": "2",
    }


def test_a_platform_that_is_a_path(out, tmp_path) -> None:
    evil = image_of([layer_of([file_entry("x", b"")])], {"os": "..", "architecture": "../../escape"})
    with pytest.raises(Malformed, match="no platform"):
        FileTree(out).write(index_of([linux([file_entry("l", b"")]), evil]))
    assert os.listdir(tmp_path) == []


def test_layers_may_be_left_out(out) -> None:
    image = linux([file_entry("base", b"1")], [file_entry("own", b"2")])
    FileTree(out).write(image, leave_out={image.layers[0].descriptor.digest})
    assert tree(out) == {"own": "2"}


def test_what_wingo_wrote_is_replaced_and_nothing_else_is(out, tmp_path) -> None:
    FileTree(out).write(linux([directory_entry("d", mode=0o500), file_entry("d/first", b"1")]))
    FileTree(out).write(linux([file_entry("second", b"2")]), ["app:v1"])
    assert tree(out) == {"second": "2"}
    assert os.listdir(tmp_path) == ["out"]
    os.unlink(os.path.join(out, MARKER))
    with pytest.raises(RequestError, match="is not empty, and wingo did not write it"):
        FileTree(out).write(linux([file_entry("third", b"3")]))
    assert tree(out) == {"second": "2"}


def test_an_empty_directory_is_taken(out) -> None:
    os.mkdir(out)
    FileTree(out).write(linux([file_entry("f", b"1")]))
    assert tree(out) == {"f": "1"}


def test_a_file_in_the_way(out) -> None:
    with open(out, "w") as file:
        file.write("precious")
    with pytest.raises(RequestError, match="is a file"):
        FileTree(out).write(linux([file_entry("f", b"1")]))
    with open(out) as file:
        assert file.read() == "precious"


def test_a_layer_with_another_diff_id_leaves_nothing(out, tmp_path) -> None:
    import msgspec

    image = linux([file_entry("f", b"1")])
    lie = msgspec.structs.replace(image.layers[0], diff_id=sha256_digest(b"else"))
    with pytest.raises(DigestMismatch):
        FileTree(out).write(msgspec.structs.replace(image, layers=(lie,)))
    assert os.listdir(tmp_path) == []


def test_a_bomb_leaves_nothing(out, tmp_path) -> None:
    image = linux([file_entry("f", bytes(8 << 20))])
    with pytest.raises(ContentError, match="fill the disk"):
        FileTree(out, limits=Limits(free_bytes=1 << 20, ratio=20)).write(image)
    assert os.listdir(tmp_path) == []


def test_a_path_of_very_many_directories(out) -> None:
    with pytest.raises(Malformed, match="1001 components"):
        FileTree(out).write(linux([file_entry("d/" * 1000 + "f", b"")]))


def test_names_too_long_for_the_disk_are_the_machines_limit(out, tmp_path) -> None:
    with pytest.raises(HostError, match="File name too long"):
        FileTree(out).write(linux([file_entry("n" * 300, b"")]))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_permissions_do_not_depend_on_the_umask(out, umask) -> None:
    old = os.umask(umask)
    try:
        FileTree(out).write(linux([file_entry("d/f", b"1")]))
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (out, f"{out}/d", f"{out}/d/f", f"{out}/{MARKER}")]
    assert modes == [0o755, 0o755, 0o644, 0o644]


def test_a_disk_that_does_not_tell_capitals_from_small_letters(out, tmp_path, monkeypatch) -> None:
    real = os.open

    def open_folded(path, *rest, **named):
        return real(path if isinstance(path, int) or "/in/" not in path else path.lower(), *rest, **named)

    monkeypatch.setattr(os, "open", open_folded)
    with pytest.raises(HostError, match="does not tell 'in/A' from another name") as caught:
        FileTree(out).write(linux([file_entry("in/a", b"1"), file_entry("in/A", b"2")]))
    assert "capital" in caught.value.hint
    assert os.listdir(tmp_path) == []
