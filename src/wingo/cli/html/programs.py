"""What is in a Go program, as a section: its facts, a picture of its packages, tables of packages and modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wingo.cli.findings import counted, size_text
from wingo.cli.html.markup import Child, Html, tag
from wingo.cli.html.parts import COLOURS, Number, facts, fold, key, section, table
from wingo.cli.html.treemap import Box, Group, treemap
from wingo.pipeline.programs import COMPILER, STANDARD

if TYPE_CHECKING:
    from wingo.pipeline.programs import GoProgram

_NOT_CODE = "not code"
_PACKAGES = 25
_NAMES = {STANDARD: "standard library", COMPILER: "compiler and C"}
_SETTINGS = ("GOOS", "GOARCH", "GOAMD64", "GOARM", "GOARM64", "CGO_ENABLED", "-tags", "-ldflags", "-buildmode", "-race")
_REVISION = ("vcs.revision", "vcs.time", "vcs.modified")


def program_section(path: str, program: GoProgram, platforms: Sequence[str], number: int) -> Html:
    """A section about one program.

    Args:
        path: in the image.
        program: what was found out.
        platforms: of the images that have it.
        number: of the program on the page.
    """
    groups = _groups(program)
    machine = "/".join(program.settings[name] for name in ("GOOS", "GOARCH") if program.settings.get(name))
    name = f"{path} for {machine}" if machine else f"{path} ({number})"
    settings = [(setting, program.settings.get(setting, "")) for setting in (*_SETTINGS, *_REVISION)]
    described: list[tuple[str, Child]] = [
        ("file", tag("code", path)),
        ("in the images for", ", ".join(platforms)),
        ("size", size_text(program.size)),
        ("Go", program.go_version),
        ("main package", program.package),
        ("module", f"{program.module} {program.version}".strip()),
        *settings,
    ]
    pieces: list[Html | None] = [facts(described, caption=f"The program {name}")]
    if program.code:
        code, rest = sum(program.code.values()), sum(program.sections.values())
        label = (
            f"The bytes of {name}: {size_text(code)} of machine code in {len(program.code)} packages, "
            f"{size_text(rest)} of data and tables."
        )
        pieces += [
            tag("h3", "Where the bytes are"),
            tag("p", f"{label} Areas are in proportion; the tables below say the same.", class_="soft"),
            treemap(groups, label),
            _groups_table(groups, name),
            fold(f"All {len(program.code)} packages", _packages_table(program, name)),
        ]
    if program.modules:
        rows = [(tag("code", module), version) for module, version in program.modules.items()]
        pieces.append(
            fold(counted(len(rows), "module"), table(("module", "version"), rows, caption=f"Modules of {name}"))
        )
    return section(f"Program {name}", *pieces, name=f"program-{number}")


def _groups(program: GoProgram) -> list[Group]:
    boxes: dict[str, list[Box]] = {}
    for package, size in program.code.items():
        if size:
            boxes.setdefault(program.group_of(package), []).append(Box(package or "no package", size))
    order = sorted(
        boxes, key=lambda name: (name != program.module, name != STANDARD, -sum(box.size for box in boxes[name]))
    )
    found = [
        Group(_NAMES.get(name, name), tuple(boxes[name]), f"s{at}" if at < COLOURS else "sr")
        for at, name in enumerate(order)
    ]
    rest = tuple(Box(name or "no name", size) for name, size in program.sections.items())
    return [*found, Group(_NOT_CODE, rest, "sr")] if rest else found


def _groups_table(groups: Sequence[Group], name: str) -> Html:
    total = sum(group.size for group in groups) or 1
    rows = []
    for group in sorted(groups, key=lambda item: -item.size):
        largest = ", ".join(box.name for box in sorted(group.boxes, key=lambda box: -box.size)[:3])
        rows.append(
            (
                key(f"f{group.colour[1:]}", group.name),
                Number(size_text(group.size)),
                Number(f"{100 * group.size / total:.1f} %"),
                tag("span", largest, class_="soft"),
            )
        )
    heads = ("module", "bytes", "share", "largest")
    return table(heads, rows, caption=f"Bytes of {name} by module", numbers=(1, 2))


def _packages_table(program: GoProgram, file: str) -> Html:
    ordered = sorted(program.code.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        (
            tag("code", name or "(none)"),
            _NAMES.get(group := program.group_of(name), group),
            Number(size_text(size) if size else "inlined"),
        )
        for name, size in ordered
    ]
    return table(("package", "module", "code"), rows, caption=f"Code of {file} by package", numbers=(2,))


def sections_of(programs: Mapping[str, tuple[str, GoProgram, Sequence[str]]]) -> list[Html]:
    """A section for each program.

    Args:
        programs: by digest: path, what was found out, platforms.
    """
    return [program_section(*item, number) for number, item in enumerate(programs.values(), 1)]
