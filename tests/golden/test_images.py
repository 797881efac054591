"""Whole images from frozen inputs: exact digests. A digest that changes here changes for every user.

The inputs are ours (no go, no tool's version): bytes for a program, copied files, synthetic bases. When a change is meant, run
this file as a script to print the new digests, and say in the commit why they changed.
"""

from __future__ import annotations

import io
import tarfile

import msgspec
import pytest

from wingo.archive.pack import pack
from wingo.image.model import Layer
from wingo.oci.media_types import Family
from wingo.oci.platform import Platform
from wingo.pipeline.application import Application, plan_application
from wingo.pipeline.assemble import Origin, added_layer, assemble, assemble_index
from wingo.pipeline.bases import Base, BaseChoice
from wingo.pipeline.content import Item, ItemKind, bytes_content
from wingo.pipeline.settings import Settings
from wingo.testing.bases import static_base, windows_base
from wingo.testing.images import opener_of

EPOCH = 1_700_000_000
PROGRAM = bytes(range(256)) * 4096
SETTINGS = Settings(
    arg=("--listen", ":8080"),
    expose=("8080",),
    data_dir=("data",),
    env={"MODE": "frozen"},
    label={"team": "golden"},
    permissions={r"C:\app\secret": "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"},
)
ITEMS = (
    Item("conf/a.txt", ItemKind.FILE, "conf/a.txt", content=bytes_content(b"one\n", "a test")),
    Item("conf/link", ItemKind.LINK, "conf/link", link_target="a.txt"),
    Item("conf/späte.txt", ItemKind.FILE, "conf/späte.txt", content=bytes_content(b"two\n", "a test")),
)
LAYERS = {
    "windows": "sha256:5374e81c36e07a2e733342c6ea97a7b319c70fe6ac1616c1d6f0cf17f09fe83b",
    "linux": "sha256:76fe71534c882465ea123ad7447c25b8df24164296ae38ce714665b4e928d0c9",
}
INDEX = "sha256:9fe71198f89033dfc57194286cd7b622bd9af6210f7cfbcd687c0c9c86455a0d"


def packed(system):
    content = bytes_content(PROGRAM, "the frozen program")
    application = Application("frozen", system, content, ITEMS, {"WINGO_DATA_PATH": "x"}, SETTINGS, EPOCH)
    recipe = plan_application(application).recipe
    out = io.BytesIO()
    layer = pack(recipe, out, threads=2)
    return application, Layer(layer.descriptor, layer.diff_id, opener_of(out.getvalue())), out.getvalue()


def whole_index():
    images = []
    bases = [windows_base("nanoserver", name) for name in ("ltsc2019", "ltsc2022", "ltsc2025")] + [static_base()]
    layers = {system: packed(system) for system in LAYERS}
    for image in bases:
        application, layer, _ = layers[image.platform.os]
        base = Base(BaseChoice(image.platform, "x", None), image, image.platform, "registry.example/base:v1")
        added = added_layer(layer, "wingo build", "example.com/frozen", EPOCH)
        images.append(assemble(application, base, [added], Origin("", "b" * 40, "v1"), Family.OCI)[0])
    alone = Base(BaseChoice(Platform("linux", "arm64"), "scratch", None), None, Platform("linux", "arm64"), "")
    application, layer, _ = layers["linux"]
    images.append(assemble(application, alone, [added_layer(layer, "wingo build", "", 0)], Origin(), Family.OCI)[0])
    return assemble_index(images, SETTINGS, Origin(), EPOCH, Family.OCI)


@pytest.mark.parametrize("system", LAYERS)
def test_layers(system):
    _, layer, data = packed(system)
    assert layer.descriptor.digest == LAYERS[system], _listing(data)


def test_the_index_over_them():
    index = whole_index()
    assert index.digest == INDEX, _documents(index)


def _listing(data):
    """What to compare by eye: names, sizes, records."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return "\n".join(
            f"{item.name} {item.size} {item.mode:o} {item.linkname} {item.pax_headers}" for item in archive
        )


def _documents(index):
    texts = [index.manifest_bytes]
    for child in index.children:
        texts += [child.manifest_bytes, child.config_bytes]
    return "\n".join(msgspec.json.format(text, indent=1).decode() for text in texts)


if __name__ == "__main__":
    for name in LAYERS:
        print(f'    "{name}": "{packed(name)[1].descriptor.digest}",')
    print(f'INDEX = "{whole_index().digest}"')
