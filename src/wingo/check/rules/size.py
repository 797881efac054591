"""What an image carries for nothing, with the bytes that there are to win.

Of files they are uncompressed ones, as they lie on a node's disk; of a base compressed ones, as they are pulled.
"""

from __future__ import annotations

from collections.abc import Iterator

from wingo.binary.lazy import Evidence
from wingo.check.capabilities import can
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, Needs, image_rule
from wingo.check.rules.go import go_program
from wingo.check.subject import ImageSubject
from wingo.view.layer import Node
from wingo.windows.base_libraries import Knowledge, is_api_set, library_in

MATTERS = 64 << 10
"""Bytes from which on something is said."""
NANOSERVER_BYTES = {17763: 101_145_811, 20348: 124_257_916, 26100: 197_219_393}
"""Compressed bytes of nanoserver by build (docker-library/repo-info, ggcr `pkg/v1/tarball/README.md`)."""
_MAX_FINDINGS = 50


@image_rule("WGO401", Severity.NOTE, Group.SIZE, needs=Needs.OUR_LAYERS)
def no_content_twice(image: ImageSubject) -> Iterator[Problem]:
    """No content is in the image's layers twice.

    Why:
        Each copy is pulled and stored by itself: layers know nothing of each other's files.

    Example:
        `COPY app.exe` followed by `RUN copy app.exe …`; a `chown -R` in a later step, which copies every file.
    Mend:
        Copy once, to where it belongs and with the owner that it is to have; or use a hard link.
    """
    found: dict[bytes, list[Node]] = {}
    for number, layer in enumerate(image.files.layers):
        for node in layer.nodes if layer is not None else ():
            # A hard link has no content of its own.
            if node.size >= MATTERS and node.sha256:
                known = found.setdefault(node.sha256, [])
                if number >= image.base_layers or not known:
                    known.append(node)
    doubled = [(nodes[0].size * (len(nodes) - 1), nodes) for nodes in found.values() if len(nodes) > 1]
    for win, nodes in sorted(doubled, key=lambda each: (-each[0], each[1][0].path))[:_MAX_FINDINGS]:
        names = list(dict.fromkeys(node.path for node in nodes))
        where = " and ".join(names[:3]) if len(names) > 1 else f"{names[0]} in {len(nodes)} layers"
        yield Problem(
            message=f"the same {nodes[0].size / 1e6:.1f} MB are there {len(nodes)} times: {where}",
            hint="Put it into one layer, once.",
            path=nodes[-1].path,
            win=win,
        )


@image_rule("WGO402", Severity.NOTE, Group.SIZE, needs=Needs.OUR_LAYERS)
def nothing_removed_later(image: ImageSubject) -> Iterator[Problem]:
    """What our layers bring is not removed or replaced by a later one.

    Why:
        A file that a later layer removes is still pulled with its own layer, and can be read from it.

    Example:
        Downloading an archive in one step, unpacking it in the next, and deleting it in a third.
    Mend:
        Do it in one step, or in a stage of its own from which the result is copied.
    """
    ours = [node for node in image.files.hidden if node.layer >= image.base_layers and node.size >= MATTERS]
    for node in sorted(ours, key=lambda each: (-each.size, each.path))[:_MAX_FINDINGS]:
        replaced = image.files.find(node.path, follow=False) is not None
        yield Problem(
            message=f"{node.path}, {node.size / 1e6:.1f} MB of layer {node.layer + 1}, is {'replaced' if replaced else 'removed'} by a later one",
            hint="Do both in one step, or copy the result from another stage.",
            path=node.path,
            layer=image.image.layers[node.layer].descriptor.digest,
            win=node.size,
        )


@image_rule("WGO403", Severity.NOTE, Group.SIZE, needs=Needs.OUR_LAYERS, os="windows")
def base_not_too_heavy(image: ImageSubject) -> Iterator[Problem]:
    """A Windows base is as small as the program allows.

    Why:
        Server Core is ten to twenty times as large as Nano Server, and nodes pull it for minutes. A Go program mostly
        needs a dozen DLLs that both have.

    Example:
        A static Go program on `servercore:ltsc2022`.
    Mend:
        Use nanoserver of the same release. What the program starts besides itself (PowerShell, cmd) may still want Server
        Core: then nothing is said.
    """
    if image.flavour not in ("servercore", "server") or image.start.binary is None or image.start.shell:
        return
    program = go_program(image.start.binary)
    others = [each for path, each in image.binaries.items() if path != image.start.binary.node.path]
    if program is None or others or image.scripts or can("exec", program.inspected.names):
        return
    facts = program.inspected.facts
    if facts.pe is None:
        return  # WGO206 tells of it
    names = {each.library for each in (*facts.imports, *facts.pe.delay_imports)}
    names |= {each.name for each in program.inspected.libraries if each.evidence is not Evidence.WRITTEN}
    unknown = [
        name
        for name in names
        if not is_api_set(name) and library_in("nanoserver", name).knowledge is not Knowledge.PRESENT
    ]
    if unknown or program.functions is None:
        return
    build = image.config.os_version.split(".")[2:3]
    small = NANOSERVER_BYTES.get(int(build[0]) if build and build[0].isdecimal() else 0, max(NANOSERVER_BYTES.values()))
    size = sum(layer.descriptor.size for layer in image.image.layers[: image.base_layers])
    win = max(size - small, 0)
    yield Problem(
        message=f"{program.path} needs only DLLs that nanoserver has too, and the base is {image.flavour}"
        + (f": {size / 1e6:.0f} MB to pull instead of some {small / 1e6:.0f}" if win else ""),
        hint="Build on nanoserver of the same release.",
        path=program.path,
        win=win,
    )
