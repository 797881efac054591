from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from wingo.testing.host import FakeHost

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers run on Linux")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "nothing to measure"),
        (("--advise", "oci:x"), "--advise"),
        (("oci:x", "--base", "alpine"), "--variants"),
        (("oci:x", "--ready", "soon"), "--ready"),
        (("oci:x", "--runs", "many"), "--runs"),
        (("--variants", "a", "b"), "one program"),
        (("oci:nowhere",), "not an OCI image layout"),
    ],
)
def test_what_cannot_be_measured_says_why(host: FakeHost, argv: tuple[str, ...], says: str) -> None:
    assert host.wingo("bench", *argv) == 2
    assert says in host.err.getvalue()
    assert "hint:" in host.err.getvalue()
    assert host.out.getvalue() == ""


def test_advice_has_facts(host: FakeHost) -> None:
    assert host.wingo("bench", "--advise", "--json") == 0
    document = json.loads(host.out.getvalue())
    assert document["facts"]["processors"] >= 1
    assert document["facts"]["file_micros"] > 0
    assert {"GOMAXPROCS", "GOMEMLIMIT", "file system", "signals"} <= {item["topic"] for item in document["advice"]}


def test_advice_for_people(host: FakeHost) -> None:
    assert host.wingo("bench", "--advise") == 0
    assert "GOMAXPROCS: " in host.out.getvalue()
