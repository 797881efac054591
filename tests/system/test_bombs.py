"""Layers that would fill the disk or the memory: reading ends, and memory stays flat, as a process of its own shows."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest

from wingo.image.model import Layer
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import sha256_digest
from wingo.oci.media_types import OCI_LAYER_GZIP
from wingo.stores.layout import Layout
from wingo.testing.images import image_of, opener_of

_MEASURED = """
import resource, sys
from wingo.testing.host import FakeHost
host = FakeHost(sys.argv[1], sys.argv[1] + "/cache", {"HOME": sys.argv[1]})
code = host.wingo(*sys.argv[2:])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, host.out.getvalue(), host.err.getvalue())
"""
_CONFIG = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/huge"]}}
_MOST = 150
"""Megabytes at the peak, whatever is in the layer; half of it is Python and wingo."""


def measured(folder: Path, data: bytes, *argv: str) -> tuple[int, int, str]:
    """Exit code, megabytes at the peak, and what is said, of a command on an image of one layer with these stored bytes."""
    descriptor = Descriptor(OCI_LAYER_GZIP, sha256_digest(data), len(data))
    layer = Layer(descriptor, sha256_digest(b"nobody knows"), opener_of(data))
    Layout(str(folder / "image")).write(image_of([layer], _CONFIG), ["v1"])
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(folder), *argv], capture_output=True, text=True, check=True, timeout=600
    )
    code, megabytes, said = done.stdout.split(maxsplit=2)
    return int(code), int(megabytes), said


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(size: int) -> bytes:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return squeezed.compress(bytes(size)) + squeezed.flush()


@pytest.mark.parametrize("argv", [("ls", "oci:image"), ("check", "oci:image")], ids=["ls", "check"])
def test_a_bomb_ends_early_and_memory_stays_flat(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """10 GB of zeros in 10 MB, as one file: reading ends at 2 GB, and nothing of it is held."""
    code, megabytes, said = measured(tmp_path, gzip.compress(header("huge", 10 << 30)) + zeros(64 << 20) * 160, *argv)
    assert (code, "it would fill the disk" in said) == (5 if argv[0] == "ls" else 1, True), said
    assert megabytes < _MOST


def test_many_programs_of_zeros_are_not_all_held(tmp_path: Path) -> None:
    """40 files that begin as programs do, 31 MB each, in a layer of a megabyte: more than anyone's programs shrink."""
    size = 31 << 20
    piece = zeros(size - 512)
    members = [gzip.compress(header(f"p{number}", size) + b"MZ".ljust(512, b"\0")) + piece for number in range(40)]
    code, megabytes, said = measured(tmp_path, b"".join(members) + gzip.compress(bytes(1024)), "check", "oci:image")
    assert code == 1, said
    assert megabytes < _MOST


@pytest.mark.parametrize("argv", [("ls", "oci:image"), ("check", "oci:image")], ids=["ls", "check"])
def test_a_layer_that_is_cut_short(tmp_path: Path, argv: tuple[str, ...]) -> None:
    whole = gzip.compress(header("huge", 300 << 20)) + zeros(300 << 20)
    code, megabytes, said = measured(tmp_path, whole[:-20], *argv)
    assert (code, "cut short" in said) == (5 if argv[0] == "ls" else 1, True), said
    assert megabytes < _MOST


def test_an_archive_of_ten_gigabytes_of_nothing(tmp_path: Path) -> None:
    with (tmp_path / "nothing.tar").open("wb") as file:
        file.truncate(10 << 30)
    for kind in ("docker-archive", "oci-archive"):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(tmp_path), "check", f"{kind}:{tmp_path / 'nothing.tar'}"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        code, megabytes, said = done.stdout.split(maxsplit=2)
        assert code in {"2", "5"}, said
        assert int(megabytes) < _MOST
