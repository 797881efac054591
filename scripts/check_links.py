"""Says which relative links in the Markdown pages lead nowhere, files and headings; nothing is fetched."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Checks every page of the repository's root and of docs."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests" / "windows").glob("*.md")]
    dead = [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in dead_links(page)]
    for line in dead:
        print(f"a link that leads nowhere: {line}", file=sys.stderr)
    print(f"{len(pages)} pages, {len(dead)} dead links")
    return int(bool(dead))


def dead_links(page: Path) -> list[str]:
    """The links of a page whose file or heading does not exist."""
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and target.suffix == ".md" and heading not in anchors(target)):
            dead.append(link)
    return dead


def anchors(page: Path) -> set[str]:
    """The anchors that forges make of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    sys.exit(main())
