"""What the rules about Go, size and secrets say, and never say; their twins are in tests/checks/programs.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.checks.programs import CASES, PEM, RANDOM, linux
from wingo.check.finding import Severity
from wingo.check.policy import Policy
from wingo.image.model import Image
from wingo.pipeline.checking import PlaceReport, check_artifact
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost

Check = Callable[[Image], PlaceReport]


@pytest.fixture
def check(tmp_path: Path) -> Iterator[Check]:
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))
    with Places(host, Settings()) as places:
        yield lambda image: check_artifact("a test", image, places, Policy(), 1_700_000_000.0)


def one(check: Check, image: Image, rule: str):
    (finding,) = [each for each in check(image).findings if each.rule == rule]
    return finding


def test_bytes_to_win(check: Check) -> None:
    twice = one(check, CASES["WGO401"][0].bad, "WGO401")
    assert twice.win == len(RANDOM)
    assert "app/a.bin and app/b.bin" in twice.message
    assert one(check, CASES["WGO402"][0].bad, "WGO402").win == len(RANDOM)
    assert one(check, CASES["WGO308"][0].bad, "WGO308").win == 70_000
    history = one(check, CASES["WGO453"][0].bad, "WGO453")
    assert history.win == len(RANDOM) + 6
    assert history.where.path == "src/.git"


def test_the_secret_itself_is_never_printed(check: Check) -> None:
    for rule in ("WGO451", "WGO452", "WGO455"):
        for twins in CASES[rule]:
            for finding in check(twins.bad).findings:
                assert "ghp_" not in str(finding)
                assert "QUJD" not in str(finding)
                assert "hunter2" not in str(finding)


def test_a_secret_names_file_and_line(check: Check) -> None:
    finding = one(check, CASES["WGO452"][0].bad, "WGO452")
    assert finding.message == "Files/app/config.yaml has a GitHub token in line 2"
    assert finding.severity is Severity.ERROR


def test_a_token_in_the_history_is_an_error(check: Check) -> None:
    assert one(check, CASES["WGO455"][2].bad, "WGO455").severity is Severity.ERROR


def test_an_encrypted_key_is_none(check: Check) -> None:
    encrypted = PEM.replace(
        b"PRIVATE KEY-----\n", b"PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AB\n\n", 1
    )
    findings = check(linux({"key.pem": encrypted, "k2.pem": PEM.replace(b"PRIVATE", b"ENCRYPTED PRIVATE")})).findings
    assert "WGO451" not in {finding.rule for finding in findings}
