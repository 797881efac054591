"""What wingo reads in published programs is what go says of them: `scripts/compare_programs.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.needs import need_tool

ROOT = Path(__file__).resolve().parents[2]
BY_DEFAULT = "age-keygen"


def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("compare_programs", ROOT / "scripts" / "compare_programs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_programs"] = module
    spec.loader.exec_module(module)
    return module


COMPARE = script()
ALL = [(source, system) for source in COMPARE.SOURCES for system in source.systems]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("system", COMPARE.BOTH)
def test_a_small_program(tmp_path: Path, system: str) -> None:
    need_tool("go")
    (source,) = (each for each in COMPARE.SOURCES if each.name == BY_DEFAULT)
    row = COMPARE.compare(COMPARE.Builder(tmp_path), source, system)
    assert row.problems == ()
    assert row.functions > 1000
    assert row.modules >= 4


@pytest.mark.peers
@pytest.mark.timeout(2700)
@pytest.mark.parametrize(("source", "system"), ALL, ids=[f"{source.name}-{system}" for source, system in ALL])
def test_a_published_program(source: object, system: str) -> None:
    need_tool("go")
    row = COMPARE.compare(COMPARE.Builder(ROOT / ".tools" / "programs"), source, system)
    assert row.problems == ()


def test_there_are_more_than_twelve() -> None:
    assert len([source for source in COMPARE.SOURCES if source.systems == COMPARE.BOTH]) >= 12
