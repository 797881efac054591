"""The merged view: what upper layers do to lower ones, links, each system's rules for names."""

from __future__ import annotations

import io
import tarfile

import pytest

from wingo.archive.unpack import MemberKind
from wingo.errors import ContentError, DigestMismatch, Malformed, RequestError
from wingo.image.model import Image, Layer
from wingo.testing.bases import windows_base
from wingo.testing.images import image_of, layer_of_tar, opener_of
from wingo.view.layer import LayerFiles, read_layer
from wingo.view.merged import View, make_view

Item = tuple[str, object]


def tar_of(*items: Item) -> bytes:
    """A tar: "name/" is a directory, (name, bytes) a file, (name, "-> x") a symlink, (name, "= x") a hard link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, what in items:
            info = tarfile.TarInfo(name.rstrip("/") if name != "/" else name)
            info.mode = 0o755 if name.endswith("/") else 0o644
            if isinstance(what, bytes):
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
                continue
            text = str(what or "")
            if text.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, text[3:]
            elif text.startswith("= "):
                info.type, info.linkname = tarfile.LNKTYPE, text[2:]
            elif text == "fifo":
                info.type = tarfile.FIFOTYPE
            else:
                info.type = tarfile.DIRTYPE
            tar.addfile(info)
    return buffer.getvalue()


def image(os: str, *layers: list[Item]) -> Image:
    made = [layer_of_tar(tar_of(*items)) for items in layers]
    return image_of(made, {"os": os, "architecture": "amd64"})


def view(os: str, *layers: list[Item], missing: int = 0) -> View:
    found = image(os, *layers)
    listed: list[LayerFiles | None] = [read_layer(layer, number, os) for number, layer in enumerate(found.layers)]
    listed[:missing] = [None] * missing
    return make_view(found, listed)


def linux(*layers: list[Item], missing: int = 0) -> View:
    return view("linux", *layers, missing=missing)


def windows(*layers: list[Item], missing: int = 0) -> View:
    return view("windows", *layers, missing=missing)


def text(of: View, path: str) -> str:
    node = of.find(path)
    assert node is not None, path
    return of.read(node, 1 << 20).decode()


def paths(of: View, below: str = "") -> list[str]:
    return [node.path for node in of.walk(below)]


def rules(of: View) -> list[str]:
    return [problem.rule for problem in of.problems]


# What upper layers do


def test_one_layer() -> None:
    seen = linux([("b/", None), ("b/two", b"2"), ("b/one", b"1"), ("a", b"0")])
    assert paths(seen) == ["a", "b", "b/one", "b/two"]
    assert [node.name for node in seen.children("/b/")] == ["one", "two"]
    assert text(seen, "/b/two") == "2"
    assert seen.complete
    assert seen.problems == ()
    assert seen.hidden == ()


def test_a_whiteout_removes_from_lower_layers_alone() -> None:
    seen = linux([("a/", None), ("a/x", b"old"), ("a/y", b"y")], [("a/.wh.x", b""), ("a/x", b"new"), ("a/.wh.y", b"")])
    assert paths(seen) == ["a", "a/x"]
    assert text(seen, "a/x") == "new"
    assert [(node.path, node.layer) for node in seen.hidden] == [("a/x", 0), ("a/y", 0)]


def test_a_whiteout_of_a_directory_that_comes_anew() -> None:
    seen = linux([("a/", None), ("a/old", b"")], [("a/", None), ("a/new", b""), (".wh.a", b"")])
    assert paths(seen) == ["a", "a/new"]


def test_an_opaque_directory_hides_what_was_in_it() -> None:
    seen = linux(
        [("a/", None), ("a/b/", None), ("a/b/c", b""), ("a/d", b"")],
        [("a/", None), ("a/e", b""), ("a/.wh..wh..opq", b"")],
    )
    assert paths(seen) == ["a", "a/e"]
    assert sorted(node.path for node in seen.hidden) == ["a/b/c", "a/d"]


def test_opaque_means_nothing_on_windows() -> None:
    seen = windows([("Files/a/", None), ("Files/a/b", b"")], [("Files/a/", None), ("Files/a/.wh..wh..opq", b"")])
    assert paths(seen) == ["a", "a/b"]
    assert rules(seen) == ["opaque"]


def test_a_windows_tombstone_hides_what_its_own_layer_adds() -> None:
    seen = windows([("Files/a", b"old")], [("Files/a", b"new"), ("Files/.wh.A", b"")])
    assert paths(seen) == []
    assert rules(seen) == ["whiteout"]


def test_a_whiteout_of_nothing_is_a_problem_where_all_layers_are_known() -> None:
    assert rules(linux([("a", b"")], [(".wh.b", b"")])) == ["whiteout"]
    assert rules(linux([("a", b"")], [(".wh.b", b"")], missing=1)) == []


def test_a_file_over_a_directory_and_a_directory_over_a_file() -> None:
    seen = linux([("a/", None), ("a/x", b""), ("b", b"file")], [("a", b"file now"), ("b/", None), ("b/y", b"")])
    assert paths(seen) == ["a", "b", "b/y"]
    assert text(seen, "a") == "file now"
    assert sorted(node.path for node in seen.hidden) == ["a/x", "b"]


def test_a_directory_over_a_directory_keeps_what_is_in_it() -> None:
    seen = linux([("a/", None), ("a/x", b"")], [("./a/", None), ("./a/y", b"")])
    assert paths(seen) == ["a", "a/x", "a/y"]
    found = seen.find("a")
    assert found is not None
    assert found.layer == 1


def test_a_name_below_a_file() -> None:
    seen = linux([("a", b"file")], [("a/x", b"")])
    assert paths(seen) == ["a", "a/x"]
    assert rules(seen) == ["below-file"]


def test_of_two_entries_for_a_name_the_later_counts() -> None:
    seen = linux([("a", b"first"), ("b", b""), ("a", b"second")])
    assert text(seen, "a") == "second"
    assert rules(seen) == ["duplicate"]
    assert rules(linux([("a/x", b""), ("a/", None)])) == []


def test_directories_on_the_way_are_there() -> None:
    seen = linux([("a/b/c", b"")])
    assert paths(seen) == ["a", "a/b", "a/b/c"]
    found = seen.find("a/b")
    assert found is not None
    assert found.implied
    assert (found.kind, found.mode) == (MemberKind.DIRECTORY, 0o755)


def test_names_cannot_leave_the_image() -> None:
    seen = linux([("../../etc/passwd", b"x"), ("/abs", b"y"), ("a/../b", b"z"), ("h", "= ../../etc/passwd")])
    assert paths(seen) == ["abs", "b", "etc", "etc/passwd", "h"]
    assert rules(seen) == ["escape", "escape"]
    assert text(seen, "/../../h") == "x"


def test_a_root_that_is_a_file_is_not_taken() -> None:
    seen = linux([("./", None), ("..", b"x"), ("a", b"")])
    assert paths(seen) == ["a"]
    assert "root" in rules(seen)


def test_a_layer_that_was_not_read() -> None:
    seen = linux([("a", b"")], [("b", b"")], missing=1)
    assert not seen.complete
    assert paths(seen) == ["b"]
    assert seen.find("a") is None


def test_too_deep() -> None:
    with pytest.raises(Malformed, match="components"):
        linux([("a/" * 1001 + "x", b"")])


# Links


def test_symbolic_links() -> None:
    seen = linux([("d/", None), ("d/f", b"f"), ("l", "-> d"), ("d/up", "-> ../l/f"), ("abs", "-> /d/up")])
    assert text(seen, "abs") == "f"
    assert text(seen, "l/up") == "f"
    assert text(seen, "l/../d/f") == "f"
    assert [node.path for node in seen.children("l")] == ["d/f", "d/up"]
    link = seen.find("l", follow=False)
    assert link is not None
    assert (link.kind, link.link_target) == (MemberKind.SYMLINK, "d")


def test_links_in_circles_and_out_of_the_image() -> None:
    seen = linux([("a", "-> b"), ("b", "-> a"), ("out", "-> ../../../../x"), ("x", b"x"), ("none", "-> nothing")])
    assert seen.find("a") is None
    assert seen.find("a", follow=False) is not None
    assert text(seen, "out") == "x"
    assert seen.find("none") is None


def test_dot_dot_follows_the_link_on_linux() -> None:
    seen = linux([("a/b/", None), ("a/x", b"right"), ("x", b"wrong"), ("l", "-> a/b")])
    assert text(seen, "l/../x") == "right"


def test_a_chain_of_forty_links() -> None:
    chain: list[Item] = [(f"l{number:02}", f"-> l{number + 1:02}") for number in range(40)]
    assert text(linux([*chain, ("l40", b"end")]), "l00") == "end"
    assert linux([("s", "-> l00"), *chain, ("l40", b"end")]).find("s") is None


def test_a_link_that_grows() -> None:
    assert linux([("l", "-> " + "l/" * 49)]).find("l") is None


def test_a_name_below_a_link() -> None:
    seen = linux([("usr/bin/", None), ("bin", "-> usr/bin")], [("bin/sh", b"sh")])
    assert paths(seen) == ["bin", "usr", "usr/bin", "usr/bin/sh"]
    assert rules(seen) == ["below-link"]
    assert text(seen, "bin/sh") == "sh"


def test_a_whiteout_below_a_link() -> None:
    seen = linux([("usr/bin/", None), ("usr/bin/sh", b""), ("bin", "-> usr/bin")], [("bin/.wh.sh", b"")])
    assert paths(seen) == ["bin", "usr", "usr/bin"]


def test_a_whiteout_of_a_link_removes_the_link() -> None:
    seen = linux([("d/", None), ("d/x", b""), ("l", "-> d")], [(".wh.l", b"")])
    assert paths(seen) == ["d", "d/x"]


def test_hard_links_into_lower_layers() -> None:
    seen = linux([("a", b"content")], [("b", "= a"), ("c", "= ./b")], [("a", b"other")])
    assert [text(seen, name) for name in "abc"] == ["other", "content", "content"]
    found = seen.find("c")
    assert found is not None
    assert (found.kind, found.layer, found.link_target) == (MemberKind.FILE, 0, "b")


def test_a_hard_link_outlives_its_name() -> None:
    seen = linux([("a", b"content")], [("b", "= a")], [(".wh.a", b"")])
    assert text(seen, "b") == "content"


def test_a_hard_link_to_a_symbolic_link() -> None:
    seen = linux([("f", b"f"), ("s", "-> f"), ("h", "= s")])
    found = seen.find("h", follow=False)
    assert found is not None
    assert (found.kind, found.link_target) == (MemberKind.SYMLINK, "f")


@pytest.mark.parametrize("target", ["nothing", "d", "later"])
def test_a_hard_link_to_no_file(target: str) -> None:
    seen = linux([("d/", None), ("h", f"= {target}"), ("later", b"")])
    assert rules(seen) == ["link-target"]
    found = seen.find("h")
    assert found is not None
    with pytest.raises(ContentError, match="not there"):
        seen.read(found, 100)


def test_a_hard_link_into_a_layer_that_was_not_read() -> None:
    assert rules(linux([("a", b"")], [("b", "= a")], missing=1)) == []


def test_a_hard_link_to_itself() -> None:
    seen = linux([("a", b"x"), ("a", "= a")])
    assert text(seen, "a") == "x"
    assert "link-target" in rules(seen)


# Windows


def test_windows_names_in_any_case_and_spelling() -> None:
    seen = windows([("Files/", None), ("Hives/", None), ("Files/Windows/", None), ("Files/Windows/System32/", None),
                    ("Files/Windows/System32/cmd.exe", b"cmd"), ("Files/\u00c4pfel", b"apples")])  # fmt: skip
    for spelling in (
        "C:\\Windows\\System32\\cmd.exe",
        "c:/windows/system32/CMD.EXE",
        "/WINDOWS/system32/cmd.exe",
        "Windows\\.\\System32\\x\\..\\cmd.exe",
        "\\\\?\\C:\\Windows\\System32\\cmd.exe",
        "\\??\\C:\\Windows\\System32\\cmd.exe",
    ):
        assert text(seen, spelling) == "cmd", spelling
    assert text(seen, "\u00e4PFEL") == "apples"
    for elsewhere in ("D:\\Windows", "\\\\server\\share", "\\\\.\\pipe\\x", "\\\\?\\Volume{1}\\Windows"):
        assert seen.find(elsewhere) is None


def test_linux_tells_cases_apart() -> None:
    seen = linux([("A", b"big"), ("a", b"small")])
    assert (text(seen, "A"), text(seen, "a")) == ("big", "small")
    assert seen.find("c:\\a") is None


def test_an_upper_layer_in_another_case() -> None:
    seen = windows(
        [("Files/Windows/", None), ("Files/Windows/Win.ini", b"old")],
        [("Files/windows/", None), ("Files/windows/WIN.INI", b"new"), ("Files/windows/x", b"")],
    )
    assert paths(seen) == ["Windows", "Windows/WIN.INI", "Windows/x"]
    assert text(seen, "windows/win.ini") == "new"
    assert rules(seen) == []


def test_two_names_that_windows_takes_for_one() -> None:
    assert rules(windows([("Files/a", b""), ("Files/A", b"")])) == ["duplicate"]


def test_windows_links() -> None:
    seen = windows([
        ("Files/real/", None), ("Files/real/f", b"f"), ("Files/rel", "-> real\\f"), ("Files/abs", "-> C:\\Real\\F"),
        ("Files/junction", "-> \\??\\C:\\real"), ("Files/real/up", "-> ..\\rel"), ("Files/d", "-> D:\\x"),
        ("Files/root", "-> \\real\\f"), ("Files/bad", "-> Files\\real\\f"),
    ])  # fmt: skip
    for path in ("rel", "abs", "junction\\f", "real\\up", "root"):
        assert text(seen, path) == "f", path
    assert seen.find("d") is None
    assert seen.find("bad") is None


def test_dot_dot_comes_before_links_on_windows() -> None:
    seen = windows([("Files/a/b/", None), ("Files/a/x", b"wrong"), ("Files/x", b"right"), ("Files/l", "-> a\\b")])
    assert text(seen, "C:\\l\\..\\x") == "right"


def test_windows_hard_links() -> None:
    seen = windows([("Files/a", b"content")], [("Files/b", "= Files/A"), ("Files/c", "= a")])
    assert text(seen, "b") == "content"
    # Without Files/ the importer refuses it; the view shows what was meant.
    assert rules(seen) == ["link-target"]


def test_hives_the_utility_vm_and_the_rest_are_apart() -> None:
    seen = windows([("Hives/", None), ("Hives/System_Delta", b"regf"), ("UtilityVM/Files/x", b"vm"),
                    ("UtilityVM/Files/y", "= UtilityVM/Files/x"), ("Files/f", b""),
                    ("Files/f:stream", b"s"), ("files/g", b""), ("README", b"")])  # fmt: skip
    (layer,) = seen.layers
    assert layer is not None
    assert [node.path for node in layer.hives] == ["Hives/System_Delta"]
    assert [node.path for node in layer.other] == [
        "UtilityVM/Files/x", "UtilityVM/Files/y", "Files/f:stream", "files/g", "README"
    ]  # fmt: skip
    assert paths(seen) == ["f"]
    assert rules(seen) == ["outside", "outside"]
    assert seen.read(layer.hives[0], 10) == b"regf"


def test_a_base_like_microsofts() -> None:
    base = windows_base("servercore")
    seen = make_view(base, [read_layer(layer, number, "windows") for number, layer in enumerate(base.layers)])
    found = seen.find("c:\\windows\\system32\\CMD.exe")
    assert found is not None
    assert found.attributes is not None or found.pax
    assert seen.problems == ()
    assert all(layer is not None and layer.hives for layer in seen.layers)


# Contents


def test_many_files_in_one_pass() -> None:
    seen = linux([(f"f{number}", b"%d" % number * number) for number in range(50)], [("h", "= f7"), ("f8", b"new")])
    nodes = [node for node in seen.walk() if node.kind is MemberKind.FILE]
    got = {node.path: stream.read() for node, stream in seen.open_each(reversed(nodes))}
    assert got == {f"f{number}": b"%d" % number * number for number in range(50)} | {"h": b"7" * 7, "f8": b"new"}


def test_streams_that_nobody_reads() -> None:
    seen = linux([("a", b"a" * 1000), ("b", b"b" * 1000)])
    assert [node.path for node, _ in seen.open_each(list(seen.walk()))] == ["a", "b"]


def test_only_files_can_be_read() -> None:
    seen = linux([("d/", None), ("f", b"1234"), ("p", "fifo")])
    directory, file, pipe = seen.walk()
    for node in (directory, pipe):
        with pytest.raises(RequestError, match="is no file"):
            seen.read(node, 100)
    with pytest.raises(RequestError, match="more than 3"):
        seen.read(file, 3)
    assert seen.read(file, 4) == b"1234"


def test_a_layer_that_changed_after_it_was_listed() -> None:
    made = image("linux", [("f", b"right")])
    (layer,) = made.layers
    files = read_layer(layer, 0, "linux")
    other = layer_of_tar(tar_of(("f", b"wrong")))
    changed = image_of([Layer(layer.descriptor, layer.diff_id, other.open)], {"os": "linux", "architecture": "amd64"})
    seen = make_view(changed, [files])
    with pytest.raises(DigestMismatch, match="file 'f'"):
        text(seen, "f")


def test_a_layer_that_is_not_its_diff_id() -> None:
    (layer,) = image("linux", [("f", b"right")]).layers
    other = layer_of_tar(tar_of(("f", b"wrong")))
    with pytest.raises(DigestMismatch):
        read_layer(Layer(layer.descriptor, layer.diff_id, other.open), 0, "linux")


def test_a_layer_without_a_byte() -> None:
    listed = read_layer(layer_of_tar(b"", compression="none"), 0, "linux")
    assert [problem.rule for problem in listed.problems] == ["empty-layer"]


def test_an_encrypted_layer() -> None:
    import msgspec

    (layer,) = image("linux", [("f", b"x")]).layers
    hidden = msgspec.structs.replace(layer.descriptor, media_type=layer.descriptor.media_type + "+encrypted")
    with pytest.raises(ContentError, match="encrypted"):
        read_layer(Layer(hidden, layer.diff_id, opener_of(b"\x93" * 4096)), 0, "linux")


def test_a_cut_layer() -> None:
    tar = tar_of(("f", b"x" * 5000))
    with pytest.raises(Malformed, match="cut short"):
        read_layer(layer_of_tar(tar[:2000]), 0, "linux")


def test_records_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wingo.view.layer.MAX_KEPT", 3000)
    with pytest.raises(Malformed, match="names and records"):
        linux([(f"name-{number:08}", b"") for number in range(300)])
    linux([(f"name-{number:08}", b"") for number in range(200)])
