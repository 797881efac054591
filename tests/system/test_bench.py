"""`wingo bench` on real containers: the shape of the table that the field knows, measured on a program of ours."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from tests.needs import need_tool
from wingo.stores.layout import Layout
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of

SOURCE = Path(__file__).parent / "go" / "served"


def full_base(folder: Path) -> str:
    """A stand-in for a full base: 300 files of 100 kB that nothing compresses; its sizes are no distribution's."""
    numbers = random.Random(1)
    files = [file_entry(f"usr/lib/file{number:03}", numbers.randbytes(100_000)) for number in range(300)]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    folders = [directory_entry("tmp", mode=0o1777), directory_entry("usr"), directory_entry("usr/lib")]
    image = image_of([layer_of([*folders, *files])], {"os": "linux", "architecture": machine, "config": {}})
    Layout(str(folder / "full")).write(image, ("v1",))
    return f"full=oci:{folder / 'full'}:v1"


def test_full_base_against_slim(tmp_path: Path) -> None:
    need_tool("go")
    page = tmp_path / "bench.html"
    argv = [sys.executable, "-c", "from wingo.cli.main import entry; entry()", "bench", "--variants", str(SOURCE)]
    argv += ["--base", full_base(tmp_path), "--ready", "http://:8000/", "-e", "PORT=8000", "-e", "DATA=/tmp"]
    argv += ["--runs", "2", "--html", str(page), "--json"]
    environment = os.environ | {"WINGO_CACHE_DIR": str(tmp_path / "cache"), "WINGO_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    slim, symbols, full = (
        rows[name] for name in ("scratch: static, stripped", "scratch: static, with symbols", "full: static, stripped")
    )
    assert slim["download"] < symbols["download"] < full["download"]
    assert slim["disk"] < symbols["disk"] < full["disk"]
    assert full["download"] - slim["download"] > 25_000_000
    for row in (slim, symbols, full):
        assert len(row["start"]["values"]) == 2
        assert 0 < row["start"]["low"] <= row["start"]["median"] <= row["start"]["high"] < 60
        assert 2_000_000 < row["memory"]["median"] < 200_000_000
        assert 0 < row["cpu"]["median"] < 10
    # The program is the same: what it has in memory does not depend on what lies beside it on the disk.
    assert 0.5 < slim["memory"]["median"] / full["memory"]["median"] < 2
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 8  # for a wide window and a narrow one
    assert "full: static, stripped" in text
    assert os.listdir(tmp_path / "state" / "containers") == []
