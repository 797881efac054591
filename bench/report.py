"""The table: one row for each comparison, the target beside it, and whether it is met."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bench.runs import Spread

ROOT = Path(__file__).resolve().parents[1]
_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"


class Row(NamedTuple):
    """One comparison: what was done, by us and by the other, and the bound of our number through theirs.

    `target` is the text of the bound and `met` whether it holds; both empty for rows that only inform.
    """

    work: str
    ours: str
    other: str
    theirs: str
    ratio: str
    target: str = ""
    met: bool | None = None


def seconds(numbers: list[float]) -> str:
    """Median and range, in the unit that reads well."""
    spread = Spread.of(numbers)
    if spread.high < 1:
        return f"{spread.median * 1000:.0f} ms ({spread.low * 1000:.0f}-{spread.high * 1000:.0f})"
    return f"{spread.median:.2f} s ({spread.low:.2f}-{spread.high:.2f})"


def compared(work: str, ours: list[float], other: str, theirs: list[float], bound: float | None = None) -> Row:
    """A row of times, judged by the median of the ratios of the pairs."""
    ratio = Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
    text = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    if bound is None:
        return Row(work, seconds(ours), other, seconds(theirs), text)
    return Row(work, seconds(ours), other, seconds(theirs), text, f"≤ {bound:g}", ratio.median <= bound)


def markdown(rows: list[Row], facts: dict[str, str]) -> str:
    """The section that goes into the documentation."""
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", "| work | wingo | beside | theirs | wingo / theirs | target | met |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        cells = (row.work, row.ours, row.other, row.theirs, row.ratio, row.target, met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def machine(arguments: list[str]) -> dict[str, str]:
    """Where and with what it was measured."""

    def said(*argv: str) -> str:
        result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        return result.stdout.strip() or result.stderr.strip()

    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    dirty = " and changes not committed" if said("git", "status", "--porcelain", "src") else ""
    ko = re.search(r"\smod\s+\S+\s+(\S+)", said("go", "version", "-m", _which("ko")))
    crane = re.search(
        r"\s(?:mod|dep)\s+github.com/google/go-containerregistry\s+(\S+)", said("go", "version", "-m", _which("crane"))
    )
    return {
        "commit": said("git", "rev-parse", "--short=12", "HEAD") + dirty,
        "machine": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, "
        f"{int(memory[1]) // 1048576 if memory else '?'} GiB, Linux {platform.release()}",
        "tools": f"Python {platform.python_version()}, {said('go', 'version').split()[2]}, "
        f"ko {ko[1] if ko else '?'}, crane {crane[1] if crane else '?'}, docker-registry on loopback",
        "run": f"`python -m bench {' '.join(arguments)}`".replace(" `", "`"),
    }


def _which(name: str) -> str:
    import shutil

    return shutil.which(name) or name


def write(rows: list[Row], raw: dict[str, Any], facts: dict[str, str], folder: Path, page: Path | None) -> None:
    """Writes results.json and results.md, and replaces the section of the documentation page if one is named."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, facts)
    (folder / "results.md").write_text(text)
    document = {"facts": facts, "rows": [row._asdict() for row in rows], "raw": raw}
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    if page is not None:
        head, found, rest = page.read_text().partition(_BEGIN)
        _, ended, tail = rest.partition(_END)
        if not found or not ended:
            sys.exit(f"{page} has no section between {_BEGIN} and {_END}")
        page.write_text(f"{head}{_BEGIN}\n{text}{_END}{tail}")
    print(text)
