"""Laws of plain trees: nothing gets out, whatever the layers say; and the tree is what the layers add up to."""

from __future__ import annotations

import os
import shutil
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from wingo.archive.entry import Entry, EntryKind
from wingo.errors import WingoError
from wingo.stores.files import MARKER, FileTree
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of

unhurried = settings(deadline=None)
"""A busy machine is no failure."""
LINUX = {"os": "linux", "architecture": "amd64"}
WINDOWS = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}
word = st.sampled_from(["a", "b", "c", "A", ".wh.a", ".wh.b", ".wh..wh..opq"])
plain = st.sampled_from(["a", "b", "c"])
paths = st.lists(word, min_size=1, max_size=4).map("/".join)
targets = st.lists(st.sampled_from(["..", ".", "a", "b", "c", "", "outside"]), min_size=1, max_size=6).map("/".join)


def entry_of(name: str, kind: EntryKind, target: str, windows: bool) -> Entry:
    name = f"Files/{name}" if windows else name
    if kind is EntryKind.FILE:
        return file_entry(name, b"written")
    if kind is EntryKind.DIRECTORY:
        return directory_entry(name)
    if kind is EntryKind.HARDLINK:
        return Entry(name, kind, link_target=f"Files/{target}" if windows else target or "a")
    return Entry(name, kind, link_target=target or "/")


def snapshot(folder: str, inside: str) -> dict[str, tuple[int, int]]:
    found = {}
    for at, directories, files in os.walk(folder):
        if at == inside:
            directories.clear()
            continue
        for name in directories + files:
            path = os.path.join(at, name)
            if path != inside:
                status = os.lstat(path)
                found[path] = (status.st_mode, status.st_size)
    return found


steps = st.lists(st.tuples(paths, st.sampled_from(list(EntryKind)), targets), max_size=8)


@unhurried
@given(st.lists(steps, min_size=1, max_size=3), st.booleans())
def test_nothing_outside_is_touched(layers, windows) -> None:
    top = tempfile.mkdtemp(prefix="wingo-law-")
    try:
        inside = os.path.join(top, "x", "out")
        for name in ("x/outside", "outside", "x/a", "a"):
            os.makedirs(os.path.join(top, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(top, name), "w") as file:
                file.write("untouched")
        before = snapshot(top, inside)
        made = []
        for entries in layers:
            unique = {item[0]: entry_of(*item, windows) for item in entries}
            made.append(layer_of(list(unique.values())))
        try:
            FileTree(inside).write(image_of(made, WINDOWS if windows else LINUX))
        except WingoError:
            assert not os.path.exists(inside)
        assert snapshot(top, inside) == before
    finally:
        shutil.rmtree(top)


def apply(tree: dict[str, str | None], entries: list[tuple[str, str]], number: int) -> None:
    """The model: paths to the text of files and None of directories; whiteouts see only what was there before."""
    before = set(tree)
    for name, what in entries:
        if what == "whiteout":
            gone = {path for path in before if path == name or path.startswith(f"{name}/")}
            for path in gone:
                tree.pop(path, None)
    for name, what in entries:
        parts = name.split("/")
        if what == "whiteout":
            continue
        for length in range(1, len(parts)):
            above = "/".join(parts[:length])
            if tree.get(above, "no") is not None:
                tree[above] = None
        if what == "directory":
            if isinstance(tree.get(name), str):
                del tree[name]
            tree[name] = None
        else:
            for path in [path for path in tree if path == name or path.startswith(f"{name}/")]:
                del tree[path]
            tree[name] = f"{number}"


@st.composite
def layers_without_contradictions(draw) -> list[list[tuple[str, str]]]:
    """Within a layer: no path below a file of it, no whiteout of what it has itself."""
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        names = draw(
            st.lists(st.lists(plain, min_size=1, max_size=3).map("/".join), unique=True, max_size=5).map(sorted)
        )
        entries: list[tuple[str, str]] = []
        for name in names:
            if any(what != "directory" and name.startswith(f"{other}/") for other, what in entries):
                continue
            leaf = not any(other.startswith(f"{name}/") for other in names)
            entries.append((name, draw(st.sampled_from(["file", "directory", "whiteout"] if leaf else ["directory"]))))
        layers.append(entries)
    return layers


@unhurried
@given(layers_without_contradictions())
def test_a_tree_is_what_its_layers_add_up_to(layers) -> None:
    expected: dict[str, str | None] = {}
    made = []
    for number, entries in enumerate(layers):
        apply(expected, entries, number)
        items: list[Entry] = []
        for name, what in entries:
            above, _, last = name.rpartition("/")
            parts = above.split("/") if what != "whiteout" and above else []
            for length in range(1, len(parts) + 1):
                # Without these, a layer above a file of that name would contradict the one below.
                parent = "/".join(parts[:length])
                if all(item.name != parent for item in items):
                    items.append(directory_entry(parent))
            if what == "file":
                items.append(file_entry(name, f"{number}".encode()))
            elif what == "directory" and all(item.name != name for item in items):
                items.append(directory_entry(name))
            elif what == "whiteout":
                items.append(file_entry(f"{above}/.wh.{last}" if above else f".wh.{last}"))
        made.append(layer_of(items))
    top = tempfile.mkdtemp(prefix="wingo-law-")
    try:
        out = os.path.join(top, "out")
        FileTree(out).write(image_of(made, LINUX))
        found: dict[str, str | None] = {}
        for at, directories, files in os.walk(out):
            for name in directories:
                found[os.path.relpath(os.path.join(at, name), out)] = None
            for name in files:
                if name != MARKER:
                    with open(os.path.join(at, name)) as file:
                        found[os.path.relpath(os.path.join(at, name), out)] = file.read()
        assert found == expected
    finally:
        shutil.rmtree(top)
