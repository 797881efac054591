"""`python -m bench.merge RESULTS.json...`: one table of several runs; a later run's row replaces an earlier one's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.report import ROOT, Row, write


def main() -> None:
    """Merges results and writes them into docs/explanation/performance.md, with the commit and command of each run."""
    rows: dict[tuple[str, str], Row] = {}
    facts: dict[str, str] = {}
    raw: dict[str, object] = {}
    for path in sys.argv[1:]:
        results = json.loads(Path(path).read_text())
        said = results["facts"]
        facts |= {key: said[key] for key in ("machine", "tools")}
        facts[f"commit {said['commit']}"] = said["run"]
        rows |= {(row["work"], row["other"]): Row(**row) for row in results["rows"]}
        raw |= results["raw"]
    write(list(rows.values()), raw, facts, ROOT / "build/bench", ROOT / "docs/explanation/performance.md")


if __name__ == "__main__":
    main()
