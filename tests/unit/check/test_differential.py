"""Every image that the independent verifier calls broken is found by a rule, and by the right one; a good one by none."""

from __future__ import annotations

import pytest

from tests.system.test_layers_verifier import TWINS
from tests.verifier import broken
from wingo.errors import WingoError

RULES = {
    "layer-corrupt": "WGO101",
    "layer-trailing-bytes": "WGO101",
    "diff-id": "WGO101",
    "blob-digest": "WGO101",
    "hives-missing": "WGO102",
    "files-missing": "WGO102",
    "top-level-name": "WGO103",
    "utility-vm": "WGO103",
    "hive-name": "WGO104",
    "parent-missing": "WGO105",
    "parent-after-child": "WGO105",
    "parent-not-directory": "WGO106",
    "duplicate-entry": "WGO107",
    "case-collision": "WGO108",
    "not-relative": "WGO109",
    "backslash-in-name": "WGO109",
    "colon-in-name": "WGO109",
    "reserved-name": "WGO110",
    "trailing-dot-or-space": "WGO110",
    "invalid-character": "WGO110",
    "name-too-long": "WGO111",
    "entry-type": "WGO112",
    "fileattr": "WGO120",
    "times-missing": "WGO121",
    "times-unequal": "WGO122",
    "times-format": "WGO123",
    "not-pax": "WGO124",
    "gzip-not-neutral": "WGO125",
    "sd-missing": "WGO130",
    "sd-broken": "WGO131",
    "sd-no-owner": "WGO132",
    "sd-no-group": "WGO132",
    "sd-no-dacl": "WGO133",
    "symlink-target": "WGO140",
    "symlink-attributes": "WGO141",
    "junction": "WGO142",
    "hardlink-target": "WGO143",
    "opaque-whiteout": "WGO144",
    "whiteout-outside-files": "WGO145",
    "whiteout-of-added": "WGO146",
    "history-count": "WGO164",
    "mixed-family": "WGO165",
    "foreign-layer": "WGO166",
    "env-duplicate": "WGO167",
    "args-escaped": "WGO168",
    "base-cmd-kept": "WGO169",
    "linux-path": "WGO170",
    "path-loses-system32": "WGO170",
    "workdir-slash": "WGO171",
    "entrypoint-missing": "WGO201",
    "entrypoint-not-absolute": "WGO202",
    "entrypoint-not-in-layers": "WGO203",
    "entrypoint-no-exe": "WGO204",
    "not-executable-by-users": "WGO205",
    "index-platform": "WGO180",
    "index-os-version": "WGO181",
    "index-os-features": "WGO182",
    "index-order": "WGO183",
    "index-duplicate-platform": "WGO184",
    "layer-not-shared": "WGO186",
}
"""The rule that finds what the verifier calls by this code."""
BY_FAULT = {
    ("writable-by-users", "the program"): "WGO134",
    ("writable-by-users", "by Everyone, generic right"): "WGO134",
    ("writable-by-users", "denied too late"): "WGO134",
    ("writable-by-users", "the owner may change the DACL"): "WGO134",
    ("writable-by-users", "files can be added to the directory: BuildKit's default"): "WGO135",
    ("writable-by-users", "inherited by files only"): "WGO135",
    ("writable-by-users", "Files lets children be deleted"): "WGO135",
    ("writable-by-users", "data directory gives away its DACL"): "WGO136",
    ("config-os-version", "three parts"): "WGO161",
    ("config-os-version", "missing"): "WGO161",
    ("config-shape", "Env without value"): "WGO167",
    ("entrypoint-machine", "arm64"): "WGO207",
    ("entrypoint-machine", "no PE"): "WGO206",
    ("media-type-disagrees", "manifest"): "WGO173",
    ("layout-broken", "config is no JSON"): "WGO187",
    ("blob-size", "a layer"): "WGO101",
}
REFUSED = {
    ("layout-broken", "index.json without manifests"),
    ("layout-broken", "no oci-layout"),
    ("blob-missing", "the application layer"),
    ("blob-size", "a manifest"),
    ("media-type-disagrees", "index"),
    ("config-platform", "no architecture"),
    ("config-shape", "shell form"),
    ("diff-id-count", ""),
}
"""What is no image at all: reading it ends with an error."""
ALSO = {
    ("config-os-version", "missing"): {"WGO183"},  # an entry without os.version fits every host, and should be the last
    ("entrypoint-not-absolute", "no drive"): {"WGO203"},  # seen from the working directory C:\\app, it is not there
    ("case-collision", "ASCII"): {"WGO206"},  # the second file is what the image shows, and it is no program
    ("parent-not-directory", "below a file"): {"WGO206"},  # the program gives way to a directory
    ("whiteout-of-added", "a file"): {"WGO203"},  # the program is gone
    ("whiteout-of-added", "a directory with what is below"): {"WGO203", "WGO213"},
}
"""What else is found, and rightly."""
NOT_OURS = {
    "data-dir-missing",  # the verifier is told of --data-dir; an image does not say what is to be written
    "data-dir-not-writable",
}
NEEDS_BASE = {("config-os-version", "not the base's"), ("config-os-features", "dropped")}
"""Found where the base is at hand: tests/unit/check/test_bases.py."""


def cases():
    for code, about, fault in TWINS:
        if code in NOT_OURS or (code, about) in NEEDS_BASE:
            continue
        yield pytest.param(code, about, fault, id=f"{code}-{about}".strip("-"))


def test_a_good_image_has_no_finding(tmp_path, checked):
    report = checked(f"oci:{broken.write_layout(tmp_path / 'good')}")
    assert report.findings == ()
    assert len(report.platforms) == 4


@pytest.mark.parametrize(("code", "about", "fault"), list(cases()))
def test_what_the_verifier_finds_is_found(tmp_path, checked, code, about, fault):
    place = f"oci:{broken.write_layout(tmp_path / 'broken', fault)}"
    if (code, about) in REFUSED:
        with pytest.raises(WingoError):
            checked(place)
        return
    wanted = BY_FAULT.get((code, about)) or RULES[code]
    assert {finding.rule for finding in checked(place).findings} == {wanted} | ALSO.get((code, about), set())


def test_every_code_of_the_verifier_is_spoken_of():
    spoken = set(RULES) | {code for code, _ in (*BY_FAULT, *REFUSED, *NEEDS_BASE)} | NOT_OURS
    assert {code for code, _, _ in TWINS} <= spoken
