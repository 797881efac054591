"""What is no image, or means harm: a finding or a plain error, nothing written, and no more memory than it is worth."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from tests.system.test_layers_verifier import PROGRAM, change
from tests.verifier import broken
from tests.verifier.broken import Fault
from wingo.archive.unpack import Member, MemberKind
from wingo.check.reading import FREE, LayerWatch
from wingo.errors import ContentError


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(blob=lambda _: b""), id="no bytes"),
        pytest.param(Fault(blob=lambda data: data[:40]), id="cut short"),
        pytest.param(Fault(blob=lambda _: bytes(range(256)) * 40), id="encrypted"),
        pytest.param(Fault(raw=lambda _: b"PK\3\4" + bytes(2000)), id="a zip"),
        pytest.param(Fault(compress=lambda raw: gzip.compress(gzip.compress(raw))), id="compressed twice"),
    ],
)
def test_a_layer_that_is_none_is_a_finding(tmp_path, checked, fault):
    report = checked(f"oci:{broken.write_layout(tmp_path / 'x', fault)}")
    assert "WGO101" in {finding.rule for finding in report.findings}


@pytest.mark.parametrize("limit", ["FREE", "MAX_PROGRAMS"])
def test_a_program_that_unpacks_to_far_more_than_it_is_stored_as_is_not_kept(tmp_path, checked, monkeypatch, limit):
    monkeypatch.setattr(f"wingo.check.reading.{limit}", 1 << 16)
    bomb = broken.executable() + bytes(1 << 20)
    fault = Fault(items=change(PROGRAM, data=bomb), compress=gzip.compress)
    report = checked(f"oci:{broken.write_layout(tmp_path / 'x', fault)}")
    [finding] = [item for item in report.findings if item.rule == "WGO206"]
    assert "too many to look at" in finding.message


def test_what_is_left_out_is_not_held():
    watch = LayerWatch(stored=1)
    large = Member("x.exe", MemberKind.FILE, 0o644, 0, 0, FREE + 1, 0, "", {}, 512)
    stream = watch(large, io.BytesIO(b"MZ" + bytes(1000)))
    assert stream.read() == b"MZ" + bytes(1000)
    assert (watch.programs, watch.left_out) == ({}, {512: FREE + 1})
    small = Member("y.exe", MemberKind.FILE, 0o644, 0, 0, 1002, 0, "", {}, 4096)
    assert watch(small, io.BytesIO(b"MZ" + bytes(1000))).read() == watch.programs[4096]


def test_an_index_that_lies_about_its_digest_is_refused(tmp_path, checked):
    path = broken.write_layout(tmp_path / "x")
    top = json.loads((path / "index.json").read_bytes())["manifests"][0]
    blob = path / "blobs/sha256" / top["digest"].partition(":")[2]
    index = json.loads(blob.read_bytes())
    index["manifests"] = [top]  # itself
    blob.write_text(json.dumps(index))
    with pytest.raises(ContentError):
        checked(f"oci:{path}")
