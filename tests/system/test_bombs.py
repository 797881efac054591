"""Layers that would fill the disk or the memory: reading ends, and memory stays flat, as a process of its own shows."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

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
code = host.wingo("ls", "oci:image")
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, host.err.getvalue())
"""


def test_a_bomb_ends_early_and_memory_stays_flat(tmp_path: Path) -> None:
    """10 GB of zeros in 10 MB, as one file: reading ends at 2 GB, and nothing of it is held."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = squeezed.compress(bytes(64 << 20)) + squeezed.flush()
    info = tarfile.TarInfo("huge")
    info.size = 10 << 30
    data = gzip.compress(info.tobuf(tarfile.GNU_FORMAT)) + member * 160
    descriptor = Descriptor(OCI_LAYER_GZIP, sha256_digest(data), len(data))
    layer = Layer(descriptor, sha256_digest(b"nobody knows"), opener_of(data))
    bomb = image_of([layer], {"os": "linux", "architecture": "amd64"})
    Layout(str(tmp_path / "image")).write(bomb, ["v1"])
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=600
    )
    code, megabytes, said = done.stdout.split(maxsplit=2)
    assert (code, "it would fill the disk" in said) == ("5", True), done.stdout
    assert int(megabytes) < 150
