"""What differs between two views."""

from __future__ import annotations

import pytest

from wingo.archive.unpack import MemberKind
from wingo.oci.digest import Digest
from wingo.testing.images import image_of
from wingo.view.diff import diff_views
from wingo.view.layer import LayerFiles, Node
from wingo.view.merged import View, make_view


def view(*nodes: Node, os: str = "linux") -> View:
    return make_view(image_of([], {"os": os}), [LayerFiles(Digest(""), os, nodes)])


def file(path: str, content: str = "x", **fields: object) -> Node:
    node = Node(path, MemberKind.FILE, size=1, offset=0, sha256=content.encode().ljust(32, b"\0"))
    for name, value in fields.items():
        node = _with(node, name, value)
    return node


def _with(node: Node, name: str, value: object) -> Node:
    import msgspec

    return msgspec.structs.replace(node, **{name: value})


def told(before: View, after: View) -> list[tuple[str, str]]:
    found = []
    for change in diff_views(before, after):
        if change.before is None:
            found.append((change.path, "added"))
        elif change.after is None:
            found.append((change.path, "removed"))
        else:
            found.append((change.path, " ".join(change.what)))
    return found


def test_nothing_differs_but_times() -> None:
    before = view(file("a", mtime=1, pax={"LIBARCHIVE.creationtime": "1", "mtime": "1.5"}))
    assert told(before, view(file("a", mtime=2, pax={"LIBARCHIVE.creationtime": "2"}))) == []


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("sha256", b"y" * 32, "content"),
        ("mode", 0o4755, "mode"),
        ("uid", 5, "owner"),
        ("gid", 5, "owner"),
        ("pax", {"MSWINDOWS.rawsd": "x"}, "security"),
        ("pax", {"MSWINDOWS.fileattr": "1"}, "attributes"),
        ("pax", {"SCHILY.xattr.user.x": "1"}, "records"),
        ("kind", MemberKind.DIRECTORY, "kind"),
    ],
)
def test_each_thing_that_counts(field: str, value: object, what: str) -> None:
    assert told(view(file("a")), view(file("a", **{field: value}))) == [("a", what)]


def test_links() -> None:
    before, after = (view(Node("s", MemberKind.SYMLINK, link_target=text, offset=0)) for text in ("a", "b"))
    assert told(before, after) == [("s", "link")]


def test_added_removed_and_in_the_order_of_the_tree() -> None:
    before = view(file("a/x"), file("a-b", "1"), file("gone", "2"))
    after = view(file("a/x", "9"), file("a-b", "1"), file("a/new", "3"))
    assert told(before, after) == [("a/new", "added"), ("a/x", "content"), ("gone", "removed")]


def test_a_file_that_moved() -> None:
    (change,) = diff_views(view(file("old", "same")), view(file("new", "same")))
    assert (change.path, change.before and change.before.path, change.what) == ("new", "old", ("moved",))
    # Of two that could have, nobody knows.
    assert told(view(file("a", "same"), file("b", "same")), view(file("c", "same"))) == [
        ("a", "removed"), ("b", "removed"), ("c", "added")
    ]  # fmt: skip


def test_windows_compares_by_its_own_rules() -> None:
    assert told(view(file("A", mode=1, uid=3), os="windows"), view(file("A", mode=2), os="windows")) == []
    assert told(view(file("A"), os="windows"), view(file("a"), os="windows")) == [("a", "spelling")]
    assert told(view(file("A", "1")), view(file("a", "2"))) == [("A", "removed"), ("a", "added")]


def test_a_directory_that_is_only_on_the_way() -> None:
    before = view(file("d/x"))
    after = view(Node("d", MemberKind.DIRECTORY, mode=0o700, offset=0), file("d/x"))
    assert told(before, after) == []
