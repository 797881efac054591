"""The command that builds a folder of Dockerfiles whole, with stand-ins for what cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.build_dockerfiles import main
from tests.needs import missing, need_tool


def case(folder: Path, dockerfile: str, **settings: object) -> None:
    (folder / "context").mkdir(parents=True)
    (folder / "context" / "Dockerfile").write_text(dockerfile)
    (folder / "build.json").write_text(json.dumps(settings))


def test_it_builds_checks_and_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need_tool("openssl")
    if not Path("/bin/busybox").exists():
        missing("Debian's busybox-static")
    case(
        tmp_path / "downloads",
        "ARG WHAT\nFROM alpine\nARG WHAT\nADD https://files.example/a.txt /\nRUN echo $WHAT >> /a.txt\nENTRYPOINT cat /a.txt; exit 3\n",
        arguments={"WHAT": "argument"}, downloads={"https://files.example/a.txt": "a.txt"}, start=[], status=3,
        repository="team/app", level="L3", assumed="a.txt",
    )  # fmt: skip
    (tmp_path / "downloads/a.txt").write_text("downloaded\n")
    pinned = f"mcr.microsoft.com/windows/servercore:ltsc2022@sha256:{'0' * 64}"
    case(tmp_path / "pinned", f"FROM {pinned} AS base\nFROM base\nRUN mkdir C:\\data\nCOPY Dockerfile C:/data/\n")
    case(tmp_path / "wrong", "FROM mcr.microsoft.com/windows/servercore:ltsc2022\nRUN msiexec /i x.msi\n")
    assert main([str(tmp_path), "--json"]) == 1
    downloads, pinned_one, wrong = json.loads(capsys.readouterr().out)
    assert (downloads["result"], downloads["started"]) == ("built", "'downloaded', exit code 3")
    assert downloads["steps"] == {"files": 1, "metadata": 2, "sandbox": 1}
    assert downloads["size"] > 0
    assert pinned_one["result"] == "built"
    assert pinned_one["steps"] == {"files": 1, "lowered": 1}
    assert pinned_one["bases"] == ["mcr.microsoft.com/windows/servercore:ltsc2022"]
    assert "Dockerfile:2: this step is impossible: msiexec" in wrong["result"]
    assert main([str(tmp_path), "pinned"]) == 0
    heading, rule, line = capsys.readouterr().out.splitlines()
    assert heading.count("|") == rule.count("|") == line.count("|")
    assert line.startswith("| pinned |")
