"""`python -m tests.checks DIR`: writes the corpus, `DIR/WGO105/bad` and `DIR/WGO105/good`, layouts or Dockerfiles.

`python -m tests.checks --findings` writes down what is said of each, for tests/unit/check/test_corpus.py to hold: read the difference before you
commit it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.checks.corpus import CASES, EXPECTED_FILE, name_of
from tests.checks.twins import said
from wingo.pipeline.rulebook import BY_ID


def main(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Writes every image, and gives what its rule says of it."""
    found: dict[str, dict[str, list[str]]] = {}
    for rule, pairs in CASES.items():
        for number, twins in enumerate(pairs):
            for bad in (True, False):
                name = name_of(number, bad=bad)
                twins.write(folder / rule / name, bad=bad)
                subject = twins.read(folder / rule / name, bad=bad)
                lines = [said(finding) for finding in twins.findings(subject, BY_ID[rule], bad=bad)]
                found.setdefault(rule, {})[name] = lines
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--findings"]:
        with tempfile.TemporaryDirectory() as name:
            text = json.dumps(main(Path(name)), indent=1, ensure_ascii=False)
        EXPECTED_FILE.write_text(text + "\n", "utf-8")
    else:
        print("\n".join(f"{sys.argv[1]}/{rule}" for rule in main(Path(sys.argv[1]))))
