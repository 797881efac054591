"""Plans every Dockerfile below a folder, and says what share of them `wingo build -f` would build.

    scripts/run python scripts/plan_dockerfiles.py FOLDER [--verbose] [--json]

A Dockerfile is any file with that word in its name (`Dockerfile`, `Dockerfile.windows`, `windows.Dockerfile`). Its build
context is the folder `context` beside it, else the folder that it is in; a file `class` or a `source.json` with a member
`class` beside it sorts it into a group of its own. No registry is asked: bases are known by their names, and arguments
without a value get likely ones (`Options.assume`).
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from wingo.dockerfile.graph import Options
from wingo.dockerfile.nodes import MAX_DOCKERFILE_BYTES
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.report import plan_lines, report_plan
from wingo.dockerfile.windows_stage import begin_stage
from wingo.errors import WingoError
from wingo.pipeline.dockerfile_files import Context
from wingo.pipeline.dockerfile_planning import context_brings


class Planned(msgspec.Struct, frozen=True):
    """One Dockerfile.

    Attributes:
        group: its class, "" for none.
        result: "plan", "impossible" or "error".
        reasons: why not.
        lines: the plan as text.
    """

    path: str
    group: str
    result: str
    kinds: dict[str, int] = {}
    reasons: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def dockerfiles(folder: Path) -> Iterator[Path]:
    """Every Dockerfile below a folder, by name; those in a `context` belong to the one beside it."""
    for path in sorted(folder.rglob("*")):
        name = path.name.lower()
        inside = path.relative_to(folder).parts[:-1]
        if "dockerfile" in name and not name.endswith(".dockerignore") and path.is_file() and "context" not in inside:
            yield path


def group_of(path: Path) -> str:
    """The class that is written beside a Dockerfile."""
    plain, source = path.parent / "class", path.parent / "source.json"
    if plain.is_file():
        return plain.read_text(encoding="utf-8").strip()
    if source.is_file():
        return str(json.loads(source.read_text(encoding="utf-8")).get("class", ""))
    return ""


def plan(path: Path, folder: Path) -> Planned:
    """Plans one."""
    name, group = str(path.relative_to(folder)), group_of(path)
    beside = path.parent / "context"
    try:
        with path.open("rb") as file:
            dockerfile = parse_dockerfile(file.read(MAX_DOCKERFILE_BYTES + 1), name)
        brings = context_brings(Context(str(beside if beside.is_dir() else path.parent)))
        found = plan_dockerfile(dockerfile, Options(assume=True), windows=lambda facts: begin_stage(facts, brings))
    except WingoError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Planned(name, group, "error", reasons=(f"{error}{hint}",))
    report = report_plan(found)
    kinds = Counter(step.kind for stage in report.stages for step in stage.steps)
    reasons = tuple(f"{step.at}: {step.why}" for _, step in found.impossible())
    lines = tuple(plan_lines(report))
    return Planned(name, group, "impossible" if reasons else "plan", dict(sorted(kinds.items())), reasons, lines)


def main(argv: Sequence[str]) -> int:
    """Plans and prints; the exit code is 0 whatever the share."""
    words = [word for word in argv if not word.startswith("-")]
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[0])
    started = time.monotonic()
    found = [plan(path, folder) for path in dockerfiles(folder)]
    seconds = time.monotonic() - started
    if "--json" in argv:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return 0
    for item in found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in item.kinds.items())
        print(f"{item.result:<10}  {item.group:<2} {item.path}  {kinds}")
        for reason in item.reasons:
            print(f"{'':<16}{reason}")
        if "--verbose" in argv:
            print("\n".join(f"    {line}" for line in item.lines))
    for group in sorted({item.group for item in found}):
        members = [item for item in found if item.group == group]
        planned = sum(item.result == "plan" for item in members)
        print(f"{'class ' + group if group else 'all':<8}  {planned} of {len(members)} can be built")
    planned = sum(item.result == "plan" for item in found)
    share = 100 * planned / len(found) if found else 0
    print(f"in all    {planned} of {len(found)} can be built ({share:.0f} %), planned in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
