"""What wingo writes, read by programs that others wrote: GNU tar, bsdtar, gzip, skopeo, crane, umoci."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

import pytest

from tests.needs import need_tool
from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.pack import pack
from wingo.archive.tar import tar_stream
from wingo.stores.archives import DockerArchive, OciArchive
from wingo.stores.files import FileTree
from wingo.stores.layout import Layout
from wingo.testing.images import directory_entry, file_entry, image_of, index_of, layer_of

TIMES = (("LIBARCHIVE.creationtime", "1700000000"), ("atime", "1700000000"), ("ctime", "1700000000"))
ENTRIES = (
    directory_entry("Files", pax=TIMES),
    directory_entry("Files/" + "long directory name " * 8, pax=TIMES),
    file_entry("Files/" + "long directory name " * 8 + "/file", b"hello", mode=0o755, pax=TIMES),
    file_entry("Files/日本語 Ærø.txt", b"", pax=TIMES),
    Entry("Files/soft", EntryKind.SYMLINK, 0o777, link_target="日本語 Ærø.txt"),
    Entry("Files/hard", EntryKind.HARDLINK, link_target="Files/日本語 Ærø.txt"),
    file_entry("plain", b"x" * 2000),
)
NAMES = [entry.name + ("/" if entry.kind is EntryKind.DIRECTORY else "") for entry in ENTRIES]


def run(*command: str, data: bytes | None = None) -> str:
    result = subprocess.run(
        command,
        input=data,
        check=False,
        capture_output=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
    )
    assert result.returncode == 0, result.stderr.decode()
    assert not result.stderr, result.stderr.decode()
    return result.stdout.decode()


@pytest.mark.parametrize("reader", ["tar", "bsdtar"])
def test_tar_readers_list_and_unpack(reader, tmp_path) -> None:
    tar = b"".join(tar_stream(LayerRecipe(ENTRIES, 1_700_000_000, "")))
    program = need_tool(reader)
    quoting = ["--quoting-style=literal"] if reader == "tar" else []
    # GNU tar warns of records that it does not know, unless told that somebody else does.
    quiet = ["--warning=no-unknown-keyword"] if reader == "tar" else []
    assert run(program, *quoting, *quiet, "-tf", "-", data=tar).splitlines() == NAMES
    run(program, *quiet, "-xf", "-", "-C", str(tmp_path), data=tar)
    path = tmp_path / "Files" / ("long directory name " * 8) / "file"
    assert path.read_bytes() == b"hello"
    assert path.stat().st_mode & 0o777 == 0o755
    assert path.stat().st_mtime == 1_700_000_000
    assert (tmp_path / "Files" / "soft").readlink().name == "日本語 Ærø.txt"
    assert (tmp_path / "Files" / "hard").stat().st_nlink == 2


def test_bsdtar_sees_all_four_times(tmp_path) -> None:
    tar = b"".join(tar_stream(LayerRecipe(ENTRIES[:1], 1_700_000_000, "")))
    listing = run(need_tool("bsdtar"), "-cf", "-", "--format=mtree", "@-", data=tar)
    assert "time=1700000000.0" in listing


def test_a_file_beyond_8_gib_is_understood() -> None:
    """Headers only: the size must be the record's, not the field's."""
    size = 9 << 30
    recipe = LayerRecipe((Entry("big", EntryKind.FILE, content=Content(size, io.BytesIO, "big")),), 0, "")
    headers = next(tar_stream(recipe))
    for reader in ("tar", "bsdtar"):
        result = subprocess.run([need_tool(reader), "-tvf", "-"], input=headers, check=False, capture_output=True)
        assert str(size) in result.stdout.decode()


def test_gzip_reads_all_members(tmp_path) -> None:
    recipe = LayerRecipe((file_entry("f", bytes(range(256)) * 20_000),), 0, "")
    path = tmp_path / "layer.tar.gz"
    with open(path, "wb") as file:
        packed = pack(recipe, file)
    run(need_tool("gzip"), "-t", str(path))
    listing = run(need_tool("bsdtar"), "-tvf", str(path))
    assert " 5120000 " in listing
    assert packed.uncompressed_size > 5_120_000


LINUX = image_of(
    [
        layer_of([directory_entry("app"), file_entry("app/program", b"x" * 3_000_000, mode=0o755)]),
        layer_of([file_entry("b", b"y")]),
    ],
    {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app/program"]}},
)
WINDOWS = image_of(
    [layer_of([directory_entry("Hives"), directory_entry("Files"), file_entry("Files/a.exe", b"MZ")])],
    {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2849"},
)


def test_skopeo_reads_a_layout(tmp_path) -> None:
    path, index = str(tmp_path / "layout"), index_of([LINUX, WINDOWS])
    Layout(path).write(index, ["v1"])
    Layout(path).write(LINUX, ["linux"])
    skopeo = need_tool("skopeo")
    assert run(skopeo, "inspect", "--raw", f"oci:{path}:v1").encode() == index.manifest_bytes
    copy = str(tmp_path / "copy")
    run(skopeo, "copy", "-q", "--all", "--insecure-policy", f"oci:{path}:v1", f"oci:{copy}:v2")
    assert Layout(copy, "v2").read().digest == index.digest
    assert json.loads(run(skopeo, "inspect", f"oci:{path}:linux"))["Digest"] == LINUX.digest


def test_skopeo_reads_an_oci_archive_and_we_read_its(tmp_path) -> None:
    ours, theirs = str(tmp_path / "ours.tar"), str(tmp_path / "theirs.tar")
    OciArchive(ours).write(LINUX, ["v1"])
    run(need_tool("skopeo"), "copy", "-q", "--insecure-policy", f"oci-archive:{ours}:v1", f"oci-archive:{theirs}:v2")
    assert OciArchive(theirs, "v2").read().digest == LINUX.digest


@pytest.mark.parametrize("image", [LINUX, WINDOWS], ids=["linux", "windows"])
def test_skopeo_reads_a_docker_archive_and_we_read_its(tmp_path, image) -> None:
    ours, theirs, copy = str(tmp_path / "ours.tar"), str(tmp_path / "theirs.tar"), str(tmp_path / "copy")
    DockerArchive(ours).write(image, ["example.com/app:v1"])
    skopeo = need_tool("skopeo")
    source = f"docker-archive:{ours}:example.com/app:v1"
    run(skopeo, "copy", "-q", "--insecure-policy", source, f"oci:{copy}:v1")
    found = Layout(copy, "v1").read()
    assert [layer.diff_id for layer in found.layers] == [layer.diff_id for layer in image.layers]
    run(skopeo, "copy", "-q", "--insecure-policy", source, f"docker-archive:{theirs}:example.com/app:v2")
    back = DockerArchive(theirs, "example.com/app:v2").read()
    assert back.config_bytes == image.config_bytes
    for layer in back.layers:
        with layer.open() as stream:
            assert stream.read()


def test_crane_reads_a_docker_archive(tmp_path) -> None:
    ours = str(tmp_path / "ours.tar")
    DockerArchive(ours).write(LINUX, ["example.com/app:v1"])
    crane = need_tool("crane")
    # It computes every digest itself.
    run(crane, "validate", "--tarball", ours)
    assert run(crane, "digest", "--tarball", ours).startswith("sha256:")
    theirs = tmp_path / "theirs.tar"
    with open(ours, "rb") as source:
        exported = subprocess.run([crane, "export", "-", "-"], stdin=source, check=True, capture_output=True).stdout
    theirs.write_bytes(exported)
    with tarfile.open(theirs) as tar:
        assert sorted(tar.getnames()) == ["app", "app/program", "b"]


def test_umoci_unpacks_a_layout_to_what_we_unpack(tmp_path) -> None:
    path, bundle, tree = str(tmp_path / "layout"), str(tmp_path / "bundle"), str(tmp_path / "tree")
    Layout(path).write(LINUX, ["v1"])
    run(need_tool("umoci"), "unpack", "--rootless", "--image", f"{path}:v1", bundle)
    FileTree(tree).write(LINUX)
    for name in ("app/program", "b"):
        theirs, ours = (tmp_path / root / name for root in ("bundle/rootfs", "tree"))
        assert theirs.read_bytes() == ours.read_bytes()
        assert theirs.stat().st_mode == ours.stat().st_mode
        assert theirs.stat().st_mtime == ours.stat().st_mtime
