"""Go programs in images: modules, versions, settings, and how much code each package brings.

What is found out about a file is remembered by the digest of its content, so each program is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.binary.buildinfo import BuildInfo, Module, read_build_info
from wingo.binary.functions import read_functions
from wingo.binary.read import open_program
from wingo.errors import HostError, Malformed
from wingo.oci.wire import decoder

if TYPE_CHECKING:
    from wingo.pipeline.places import Places
    from wingo.view.layer import Node
    from wingo.view.merged import View

MAX_PROGRAM = 768 << 20
"""Bytes of one program: it is held in memory while it is looked at."""
VERSION = 2
"""Of what is remembered."""
STANDARD = "std"
"""The group of the standard library's packages."""
COMPILER = "compiler"
"""The group of what belongs to no package: what the compiler and C made."""

_KIND = "programs"
_MAGIC = (b"MZ", b"\x7fELF", b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_TEXT = frozenset({".text", "__TEXT,__text"})


class GoProgram(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One Go program.

    Attributes:
        digest: of the file.
        size: of the file, in bytes.
        format: "PE", "ELF", "Mach-O".
        go_version: "go1.26.1".
        package: the main package's import path.
        module: the main module.
        version: its version.
        modules: of the other modules, by path; `v1.2.3 => fork v1.2.4` where one is replaced.
        settings: of the build, by key.
        code: bytes of machine code by package, as import paths; "" is what belongs to none.
        sections: bytes in the file by section, those of the code left out.
    """

    digest: str
    size: int
    format: str
    go_version: str
    package: str = ""
    module: str = ""
    version: str = ""
    modules: dict[str, str] = {}
    settings: dict[str, str] = {}
    code: dict[str, int] = {}
    sections: dict[str, int] = {}

    def group_of(self, package: str) -> str:
        """The module that a package belongs to; `STANDARD`, or `COMPILER` for what belongs to none."""
        if not package:
            return COMPILER
        path = self.package or "main" if package == "main" else package
        best = ""
        for module in (self.module, *self.modules):
            if len(module) > len(best) and (path == module or path.startswith(module + "/")):
                best = module
        if best:
            return best
        if package == "main":
            return self.module or self.package or "main"
        return STANDARD if "." not in path.partition("/")[0] or path.startswith("vendor/") else path


class _Remembered(msgspec.Struct):
    """What is known of one file: None when it is no Go program."""

    program: GoProgram | None


def find_programs(view: View, nodes: Iterable[Node], places: Places) -> dict[str, GoProgram]:
    """The Go programs among files of a view, by path.

    Args:
        view: whose files they are.
        nodes: files; what is too small or too large for a program is passed over.
        places: its cache remembers what was found.

    Raises:
        ContentError: a layer is damaged.
    """
    found: dict[str, GoProgram] = {}
    unknown: list[Node] = []
    for node in nodes:
        if not node.sha256 or not 64 < node.size <= MAX_PROGRAM:
            continue
        remembered = _recall(node, places)
        if remembered is None:
            unknown.append(node)
        elif remembered.program is not None:
            found[node.path] = remembered.program
    for node, stream in view.open_each(unknown):
        program = _read(node, stream)
        _remember(node, program, places)
        if program is not None:
            found[node.path] = program
    return dict(sorted(found.items()))


def _key(node: Node) -> str:
    return f"{VERSION}-{node.sha256.hex()}"


def _recall(node: Node, places: Places) -> _Remembered | None:
    data = places.cache.record(_KIND, _key(node))
    if data is None:
        return None
    try:
        return decoder(_Remembered).decode(data)
    except msgspec.MsgspecError:
        places.cache.forget_record(_KIND, _key(node))
        return None


def _remember(node: Node, program: GoProgram | None, places: Places) -> None:
    # Of small files it costs more to remember that they are none.
    if program is None and node.size < 1 << 20:
        return
    try:
        places.cache.keep_record(_KIND, _key(node), msgspec.json.encode(_Remembered(program)))
    except (HostError, UnicodeEncodeError):
        # A cache that cannot be written costs time, not the result.
        return


def _read(node: Node, stream: BinaryIO) -> GoProgram | None:
    head = stream.read(4)
    while 0 < len(head) < 4 and (more := stream.read(4 - len(head))):
        head += more
    if not head.startswith(_MAGIC):
        return None
    data = BytesIO()
    data.write(head)
    while piece := stream.read(1 << 20):
        data.write(piece)
    # Its own bytes, not a copy of them: programs are large.
    return go_program(data.getvalue(), node.digest)


def go_program(data: bytes, digest: str) -> GoProgram | None:
    """What there is to know of a Go program; None when the bytes are none, or damaged."""
    try:
        program = open_program(data)
        info = read_build_info(program) if program is not None else None
        if program is None or info is None:
            return None
    except Malformed:
        return None
    try:
        table = read_functions(program)
    except Malformed:
        table = None
    sections: dict[str, int] = {}
    for section in program.facts.sections:
        if section.file_size and not (table is not None and section.name in _TEXT):
            name = _clean(section.name)
            sections[name] = sections.get(name, 0) + section.file_size
    return GoProgram(
        digest=digest,
        size=len(data),
        format=program.facts.format.value,
        go_version=_clean(info.go_version),
        package=_clean(info.path),
        module=_clean(info.main.path) if info.main is not None else "",
        version=_clean(info.main.version) if info.main is not None else "",
        modules=_modules(info),
        settings={_clean(key): _clean(value) for key, value in info.settings},
        code={_clean(name): code.code_bytes for name, code in table.packages().items()} if table is not None else {},
        sections=sections,
    )


def _modules(info: BuildInfo) -> dict[str, str]:
    return {_clean(module.path): _version(module) for module in info.deps}


def _version(module: Module) -> str:
    version = _clean(module.version)
    if module.replace is None:
        return version
    return f"{version} => {_clean(module.replace.path)} {_clean(module.replace.version)}".rstrip()


def _clean(text: str) -> str:
    """As Unicode: what is no UTF-8 in a program is a replacement character."""
    return text.encode("utf-8", "replace").decode()


class PackageSize(msgspec.Struct, frozen=True):
    """A package's code in two programs, in bytes; 0 where it has none."""

    package: str
    before: int
    after: int


def package_changes(before: Mapping[str, int], after: Mapping[str, int]) -> Sequence[PackageSize]:
    """Packages whose code has another size, the greatest change first."""
    changed = (
        PackageSize(name, before.get(name, 0), after.get(name, 0))
        for name in before.keys() | after.keys()
        if before.get(name, 0) != after.get(name, 0)
    )
    return sorted(changed, key=lambda item: (-abs(item.after - item.before), item.package))
