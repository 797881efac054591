"""What Microsoft's own pause image does to its base, done to a base made from a real SYSTEM hive with its logs.

`sc.exe delete diagtrack` and `reg import keylight.reg` (microsoft/windows-pause-image-base), without Windows.
"""

from __future__ import annotations

import json
import lzma

import pytest

from tests.needs import missing, need_vectors
from tests.unit.hive.test_values_reg import KEYLIGHT
from wingo.archive.unpack import open_tar, read_tar
from wingo.hive.diff import diff, edits_between
from wingo.hive.edit import CreateKey, DeleteKey, SetValue, apply_edits
from wingo.hive.fsck import fsck
from wingo.hive.keys import find_key, find_value
from wingo.hive.merge import merge
from wingo.hive.read import open_hive
from wingo.hive.values import DWORD, EXPAND_SZ, MULTI_SZ, encode_text, encode_texts, text_of
from wingo.hive.write import write_hive
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.hives import registry_trees
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of

SERVICES = "ControlSet001\\Services"


def vector(name: str) -> bytes:
    return lzma.decompress((need_vectors("hives") / f"{name}.xz").read_bytes())


@pytest.fixture(scope="module")
def hives() -> dict[str, bytes]:
    software = write_hive(registry_trees()["SOFTWARE"], name="SOFTWARE")
    return {
        "SYSTEM": vector("SYSTEM_B"),
        "SYSTEM.LOG1": vector("SYSTEM_B.LOG1"),
        "SYSTEM.LOG2": vector("SYSTEM_B.LOG2"),
        "SOFTWARE": software,
    }


@pytest.fixture(scope="module")
def recovered(hives):
    return open_hive(hives["SYSTEM"], [hives["SYSTEM.LOG1"], hives["SYSTEM.LOG2"]])


def machine(tmp_path):
    (tmp_path / "keylight.reg").write_bytes(KEYLIGHT)
    (tmp_path / "pause.toml").write_text(
        'name = "pause"\n[[service]]\nname = "diagtrack"\nstart = "delete"\n'
        'reason = "causes CPU spikes and delays pod/container startup"\nsource = "microsoft/windows-pause-image-base"\n'
    )
    return FakeHost(str(tmp_path), str(tmp_path / "cache"))


@pytest.fixture
def host(tmp_path):
    return machine(tmp_path)


@pytest.fixture(scope="module")
def paused(hives, tmp_path_factory):
    """An application on a base, `app`, and the same as Microsoft's pause image has it, `pause`."""
    folder = tmp_path_factory.mktemp("paused")
    Layout(str(folder / "app")).write(application(windows_base(hives=hives)), ["latest"])
    host = machine(folder)
    run(host, "optimize", "apply", "oci:app", "--profile", "pause.toml", "--reg", "keylight.reg", "-o", "oci:pause")
    return folder, host


def deltas_of(folder) -> dict[str, bytes]:
    with open_tar(Layout(str(folder / "pause")).read().layers[1]) as tar:
        return {member.name: content.read() for member, content in read_tar(tar) if member.size}


def application(base):
    layer = layer_of([file_entry("Files/app.exe", b"MZ")])
    return image_of([*base.layers, layer], json.loads(base.config_bytes))


def run(host, *argv, code=0) -> str:
    assert host.wingo(*argv) == code, host.err.getvalue()
    text = host.out.getvalue()
    host.out.truncate(0)
    host.out.seek(0)
    return text


def test_the_container_practice_of_microsoft(paused, recovered):
    folder, host = paused
    before, after = (Layout(str(folder / name)).read() for name in ("app", "pause"))
    assert [layer.diff_id for layer in after.layers[::2]] == [layer.diff_id for layer in before.layers]
    deltas = deltas_of(folder)
    system, software = deltas["Hives/SYSTEM_DELTA"], deltas["Hives/SOFTWARE_DELTA"]
    assert len(system) == 2 * 4096
    assert all(fsck(data) == () for data in deltas.values())

    # the layer, key by key
    base = recovered.root
    found = dict(open_hive(system).walk())
    assert {path: key.layer for path, key in found.items()} == {
        "": 0,
        "ControlSet001": 0x80,
        SERVICES: 0x80,
        f"{SERVICES}\\DiagTrack": 1,
    }
    for path, key in found.items():
        assert key.security == find_key(base, path).security
        assert list(key.values()) == []
    found = dict(open_hive(software).walk())
    assert {path: key.layer for path, key in found.items()} == {
        "": 0,
        "Microsoft": 0x80,
        "Microsoft\\ole": 0,
        "Microsoft\\Rpc": 0x80,
    }
    rpc = found["Microsoft\\Rpc"]
    assert {value.name: (value.type, value.data) for value in rpc.values()} == {
        "DCOM Protocols": (MULTI_SZ, b"\0\0"),
        "EpMapDisallowedProtocols": (1, encode_text("ncacn_ip_tcp")),
        "UuidSequenceNumber": (DWORD, bytes.fromhex("b0c1723a")),
    }
    assert text_of(find_value(found["Microsoft\\ole"], "EnableDCOM")) == "N"

    # the merged view: exactly the two edits
    view = merge(base, open_hive(system).root)
    assert list(edits_between(diff(base, view))) == [DeleteKey(f"{SERVICES}\\DiagTrack")]
    assert run(host, "hive", "get", "oci:pause", "HKLM\\SOFTWARE\\Microsoft\\OLE", "enabledcom") == "N\n"
    assert "as meant" in run(host, "optimize", "verify", "oci:pause")

    # and back
    run(host, "optimize", "undo", "oci:pause", "-o", "oci:back")
    assert Layout(str(folder / "back")).read().digest == before.digest


def test_libregf_reads_the_layer(paused, tmp_path):
    try:
        import pyregf
    except ImportError:
        missing("libregf-python")
    (tmp_path / "delta").write_bytes(deltas_of(paused[0])["Hives/SYSTEM_DELTA"])
    file = pyregf.file()
    file.open(str(tmp_path / "delta"))
    key = file.get_root_key()
    names = []
    while key.number_of_sub_keys:
        key = key.get_sub_key(0)
        names.append(key.name)
    file.close()
    assert names == ["ControlSet001", "Services", "DiagTrack"]


def test_a_chain_of_real_services_that_must_not_break(host, hives, recovered, tmp_path):
    """`cexecsvc` as in a container's base (facts: smallmodel/wincon), in a real machine's SYSTEM."""
    place = f"{SERVICES}\\cexecsvc"
    edits = [
        CreateKey(place),
        SetValue(place, "Type", DWORD, b"\x10\0\0\0"),
        SetValue(place, "Start", DWORD, b"\2\0\0\0"),
        SetValue(place, "ImagePath", EXPAND_SZ, encode_text("%SystemRoot%\\System32\\cexecsvc.exe")),
        SetValue(place, "DependOnService", MULTI_SZ, encode_texts(("condrv", "ProfSvc", "nsi"))),
    ]
    system = write_hive(apply_edits(recovered.root, edits), name="SYSTEM")
    Layout(str(tmp_path / "app")).write(
        windows_base(hives={"SYSTEM": system, "SOFTWARE": hives["SOFTWARE"]}), ["latest"]
    )

    def refused(name: str) -> str:
        assert host.wingo("optimize", "apply", "oci:app", "--disable-service", name, "-o", "oci:x") == 2
        assert not (tmp_path / "x").exists()
        return host.err.getvalue()

    assert "cexecsvc needs nsi needs nsiproxy" in refused("nsiproxy")
    assert "cexecsvc needs ProfSvc needs RpcSs needs DcomLaunch" in refused("DcomLaunch")
    assert "driver that starts with the kernel" in refused("volsnap")
    assert "Fax needs Spooler" in refused("Spooler")
    run(host, "optimize", "apply", "oci:app", "--profile", "servercore", "--profile", "web", "-o", "oci:smaller")
    table = run(host, "optimize", "verify", "oci:smaller")
    assert "as meant" in table
    before, after = next(
        line.split()[2:] for line in table.splitlines() if line.split()[:2] == ["services", "disabled"]
    )
    assert int(after) - int(before) > 10
