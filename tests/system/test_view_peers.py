"""The merged view against umoci, which unpacks the same layers to disk: the same tree, for any stack of layers."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.needs import need_tool
from wingo.archive.unpack import MemberKind
from wingo.image.model import Image
from wingo.pipeline.exporting import export_tar
from wingo.stores.layout import Layout
from wingo.testing.images import image_of, layer_of_tar
from wingo.view.layer import read_layer
from wingo.view.merged import View, make_view

NAMES = ("a", "b", "c")


def random_layer(source: random.Random, view: View | None) -> bytes:
    """A layer such as a builder makes: parents first, no name twice, whiteouts of what is there."""
    buffer = io.BytesIO()
    there = [] if view is None else [node.path for node in view.walk()]
    added: dict[str, str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def put(name: str, kind: bytes, data: bytes = b"", target: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), target
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o640
            info.mtime = source.randrange(1, 2_000_000_000)
            tar.addfile(info, io.BytesIO(data))

        def parents(path: str) -> bool:
            """Whether there is a real directory above, which this layer says too."""
            above = path.rpartition("/")[0]
            if not above:
                return True
            known = view.find(above, follow=False) if view is not None else None
            if added.get(above, "d") != "d" or not parents(above):
                return False
            if above not in added and known is not None and known.kind is not MemberKind.DIRECTORY:
                return False
            if above not in added:
                put(above, tarfile.DIRTYPE)
                added[above] = "d"
            return True

        for path in source.sample(there, min(len(there), source.randrange(3))):
            if any(path.startswith(other + "/") or other.startswith(path + "/") for other in added) or path in added:
                continue
            above, _, name = path.rpartition("/")
            if view is not None and parents(path):
                put(f"{above}/.wh.{name}".lstrip("/"), tarfile.REGTYPE)
                added[path] = "w"
        for _ in range(source.randrange(1, 7)):
            path = "/".join(source.choice(NAMES) for _ in range(source.randrange(1, 4)))
            kind = source.choice("ffdslo")
            if path in added or any(other.startswith(path + "/") for other in added) or not parents(path):
                continue
            known = view.find(path, follow=False) if view is not None else None
            if kind == "f":
                put(path, tarfile.REGTYPE, source.randbytes(source.randrange(50)))
            elif kind == "s":
                put(path, tarfile.SYMTYPE, target=source.choice(("a", "../b", "/c/a", "nowhere")))
            elif kind == "l":
                files = [item for item, what in added.items() if what == "f"]
                if not files:
                    continue
                put(path, tarfile.LNKTYPE, target=source.choice(files))
            elif kind == "o" and (known is None or known.kind is MemberKind.DIRECTORY):
                put(path, tarfile.DIRTYPE)
                put(f"{path}/.wh..wh..opq", tarfile.REGTYPE)
            elif kind in "do":
                put(path, tarfile.DIRTYPE)
            added[path] = {"f": "f", "l": "f", "s": "s"}.get(kind, "d")
    return buffer.getvalue()


def stack(seed: int) -> Image:
    source = random.Random(seed)
    layers, view = [], None
    for _ in range(source.randrange(1, 6)):
        layers.append(layer_of_tar(random_layer(source, view)))
        image = image_of(layers, {"os": "linux", "architecture": "amd64"})
        view = make_view(image, [read_layer(layer, number, "linux") for number, layer in enumerate(layers)])
    return image_of(layers, {"os": "linux", "architecture": "amd64"})


def view_of(image: Image) -> View:
    return make_view(image, [read_layer(layer, number, "linux") for number, layer in enumerate(image.layers)])


Tree = dict[str, tuple[str, object, int]]


def as_tree(view: View) -> Tree:
    tree: Tree = {}
    for node in view.walk():
        if node.kind is MemberKind.DIRECTORY:
            tree[node.path] = ("directory", None, node.mode)
        elif node.kind is MemberKind.SYMLINK:
            tree[node.path] = ("link", node.link_target, 0)
        else:
            tree[node.path] = ("file", view.read(node, 1000), node.mode)
    return tree


def on_disk(root: Path) -> Tree:
    tree: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            key = str(path.relative_to(root))
            mode = path.lstat().st_mode & 0o7777
            if path.is_symlink():
                tree[key] = ("link", os.readlink(path), 0)
            elif path.is_dir():
                tree[key] = ("directory", None, mode)
            else:
                path.chmod(mode | 0o400)
                tree[key] = ("file", path.read_bytes(), mode)
                path.chmod(mode)  # its other names have the same
    return tree


@pytest.mark.parametrize("seed", range(24))
def test_umoci_unpacks_the_same_tree(tmp_path: Path, seed: int) -> None:
    umoci = need_tool("umoci")
    image = stack(seed)
    Layout(str(tmp_path / "layout")).write(image, ["v1"])
    subprocess.run(
        [umoci, "raw", "unpack", "--rootless", "--image", f"{tmp_path / 'layout'}:v1", str(tmp_path / "rootfs")],
        check=True,
        capture_output=True,
    )
    assert as_tree(view_of(image)) == on_disk(tmp_path / "rootfs")


@pytest.mark.parametrize("seed", range(6))
def test_bsdtar_reads_what_is_exported(tmp_path: Path, seed: int) -> None:
    bsdtar = need_tool("bsdtar")
    view = view_of(stack(seed + 100))
    (tmp_path / "all.tar").write_bytes(b"".join(export_tar(view)))
    (tmp_path / "root").mkdir()
    subprocess.run([bsdtar, "-xpf", "all.tar", "-C", "root"], check=True, cwd=tmp_path)
    assert as_tree(view) == on_disk(tmp_path / "root")
