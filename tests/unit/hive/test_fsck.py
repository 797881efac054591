"""Each check of fsck finds the hive that was broken for it, and the reader survives it."""

from __future__ import annotations

import re

import pytest

from wingo.errors import Malformed
from wingo.hive import fsck as module
from wingo.hive.fsck import MAX_FINDINGS, fsck
from wingo.hive.read import open_hive
from wingo.testing.hives import DELTA_FAULTS, FAULTS, at_key, patched, sample_delta, sample_hive

HIVE = sample_hive()
DELTA = sample_delta()


def test_good_hives_have_no_findings():
    assert fsck(HIVE) == ()
    assert fsck(DELTA) == ()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name):
    rule, breaks = FAULTS[name]
    broken = breaks(HIVE)
    assert broken != HIVE
    assert rule in {finding.rule for finding in fsck(broken)}


@pytest.mark.parametrize("name", DELTA_FAULTS)
def test_each_fault_of_a_layer_is_found(name):
    rule, breaks = DELTA_FAULTS[name]
    assert rule in {finding.rule for finding in fsck(breaks(DELTA))}


@pytest.mark.parametrize("name", FAULTS)
def test_the_reader_survives_each_fault(name):
    """It reads on or names an offset; it does not go round in circles."""
    broken = FAULTS[name][1](HIVE)
    try:
        for _, key in open_hive(broken).walk():
            assert isinstance(key.security, bytes)
            key.values()
            assert isinstance(key.class_name, bytes)
    except Malformed as error:
        offset = error.offset
    else:
        offset = 0
    assert 0 <= offset <= len(HIVE)


def test_every_rule_has_a_fault():
    source = module.__loader__.get_source(module.__name__)
    rules = set(re.findall(r'(?:self\.note|Finding)\(\s*"([a-z-]+)"', source))
    assert rules == {rule for rule, _ in (*FAULTS.values(), *DELTA_FAULTS.values())}


def test_findings_name_the_key_and_the_byte():
    broken = FAULTS["another parent"][1](HIVE)
    (finding,) = (finding for finding in fsck(broken) if finding.rule == "parent")
    assert finding.path == "Select"
    assert finding.offset == at_key(HIVE, "Select") - 4


def test_findings_end():
    broken = HIVE
    for number in range(600):
        broken = patched(broken, at_key(HIVE, f"ControlSet001\\Services\\Svc{number:04}", 2), b"\x25", seal=False)
    assert len(fsck(broken)) == MAX_FINDINGS
