"""`python -m tests.checks DIR`: writes the corpus as OCI layouts, `DIR/WGO105/bad` and `DIR/WGO105/good`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.checks.corpus import CASES


def main(folder: Path) -> None:
    """Writes every image."""
    for number, case in CASES.items():
        case.write(folder / number / "bad", case.bad)
        case.write(folder / number / "good", case.good)
        print(f"{folder / number}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
