"""A layer's listing in the cache: the same again, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from wingo.errors import Malformed
from wingo.oci.digest import sha256_digest
from wingo.testing.bases import windows_base
from wingo.testing.images import directory_entry, file_entry, layer_of, layer_of_tar
from wingo.view.layer import LayerFiles, read_layer
from wingo.view.listing import decode_listing, encode_listing


def a_listing(number: int = 0) -> LayerFiles:
    return read_layer(windows_base("servercore").layers[0], number, "windows")


def encoded(files: LayerFiles) -> bytes:
    data = encode_listing(files)
    assert data is not None
    return data


def test_the_same_again() -> None:
    files = a_listing(3)
    assert decode_listing(encoded(files), files.diff_id, "windows", 3) == files


def test_another_number() -> None:
    files = a_listing(0)
    assert decode_listing(encoded(files), files.diff_id, "windows", 5) == a_listing(5)


def test_equal_records_are_kept_once() -> None:
    entries = [directory_entry("Files"), *(
        file_entry(f"Files/f{number}", b"x", pax=[("MSWINDOWS.rawsd", "A" * 500)]) for number in range(100)
    )]  # fmt: skip
    files = read_layer(layer_of(entries), 0, "windows")
    assert files.nodes[1].pax is files.nodes[2].pax
    back = decode_listing(encoded(files), files.diff_id, "windows", 0)
    assert back.nodes[1].pax is back.nodes[2].pax


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_damaged(cut: int) -> None:
    files = a_listing()
    data = encoded(files)
    with pytest.raises(Malformed):
        decode_listing(data[:cut], files.diff_id, "windows", 0)


def test_of_another_layer_or_other_rules() -> None:
    files = a_listing()
    with pytest.raises(Malformed, match="rules"):
        decode_listing(encoded(files), sha256_digest(b""), "windows", 0)
    with pytest.raises(Malformed, match="rules"):
        decode_listing(encoded(files), files.diff_id, "linux", 0)


def test_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    files = a_listing()
    data = encoded(files)
    monkeypatch.setattr("wingo.view.listing.VERSION", 99)
    with pytest.raises(Malformed):
        decode_listing(data, files.diff_id, "windows", 0)


def test_names_that_are_no_text() -> None:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        tar.addfile(tarfile.TarInfo("caf\u00e9"))
    files = read_layer(layer_of_tar(buffer.getvalue()), 0, "linux")
    assert files.nodes[0].path == "caf\udce9"
    assert encode_listing(files) is None


def test_it_notices_a_changed_shape() -> None:
    """The listing's version must go up when its parts change: this is the shape of version 1."""
    from wingo.view.layer import Node, Problem
    from wingo.view.listing import VERSION

    shape = [[field.name for field in msgspec.structs.fields(kind)] for kind in (Node, LayerFiles, Problem)]
    assert (VERSION, shape) == (
        1,
        [
            ["path", "kind", "size", "mode", "uid", "gid", "mtime", "link_target", "pax", "layer", "offset", "sha256"],
            ["diff_id", "os", "nodes", "whiteouts", "opaque", "hives", "other", "problems", "size", "kept"],
            ["rule", "path", "text", "offset", "layer"],
        ],
    )
