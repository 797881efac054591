"""What is no image, or means harm: a finding or a plain error, nothing written, and no more memory than it is worth."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from tests.system.test_layers_verifier import PROGRAM, change
from tests.verifier import broken
from tests.verifier.broken import Fault
from wingo.check.reading import FREE
from wingo.errors import ContentError, WingoError


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


def test_a_program_that_unpacks_to_far_more_than_it_is_stored_as_is_not_kept(tmp_path, checked):
    size = 4 * FREE
    bomb = broken.executable() + bytes(size)
    place = (
        f"oci:{broken.write_layout(tmp_path / 'x', Fault(items=change(PROGRAM, data=bomb), compress=gzip.compress))}"
    )
    del bomb
    tracemalloc.start()
    report = checked(place)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * FREE  # of which the cache asks for 64 MB at once, whatever it reads
    [finding] = [item for item in report.findings if item.rule == "WGO206"]
    assert "too many to look at" in finding.message


def test_an_index_of_something_else_has_nothing_to_run(tmp_path, checked):
    path = broken.write_layout(tmp_path / "x")
    listing = json.loads((path / "index.json").read_bytes())
    listing["manifests"][0]["mediaType"] = "application/vnd.example.cake+json"
    (path / "index.json").write_text(json.dumps(listing))
    try:
        report = checked(f"oci:{path}")
    except WingoError:
        return
    assert report.platforms == () or {finding.rule for finding in report.findings} <= {"WGO187"}


def test_an_index_that_lies_about_its_digest_is_refused(tmp_path, checked):
    path = broken.write_layout(tmp_path / "x")
    top = json.loads((path / "index.json").read_bytes())["manifests"][0]
    blob = path / "blobs/sha256" / top["digest"].partition(":")[2]
    index = json.loads(blob.read_bytes())
    index["manifests"] = [top]  # itself
    blob.write_text(json.dumps(index))
    with pytest.raises(ContentError):
        checked(f"oci:{path}")
