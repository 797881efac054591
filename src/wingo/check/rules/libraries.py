"""What a program loads when it starts and later: DLLs in the base's flavour, an interpreter and libraries on Linux."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wingo.binary.lazy import Evidence
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, Needs, image_rule
from wingo.check.subject import BinarySubject, ImageSubject
from wingo.view.layer import Node
from wingo.windows.base_libraries import Knowledge, is_api_set, library_in
from wingo.windows.environment import path_of

_SYSTEM = ("C:\\Windows\\System32", "C:\\Windows")
_MAX_LIBRARIES = 2000
_LINUX_DIRECTORIES = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib")
_MUSL, _GLIBC = "ld-musl-", "ld-linux"


class _Needed(msgspec.Struct, frozen=True):
    """A DLL that somebody loads."""

    name: str
    by: BinarySubject


def _loaded(image: ImageSubject) -> Iterator[_Needed]:
    """The DLLs that the loader binds for the program, and for those of our DLLs that it loads, each once."""
    start = image.start.binary
    pending = [start] if start is not None else []
    seen: set[str] = set()
    while pending:
        binary = pending.pop()
        if binary.facts is None or binary.facts.pe is None:
            continue  # WGO206 tells of it
        for item in binary.facts.imports:
            name = item.library.lower()
            if name in seen or len(seen) > _MAX_LIBRARIES:
                continue
            seen.add(name)
            yield _Needed(name, binary)
            node = _found(image, name)
            ours = image.binaries.get(node.path) if node is not None else None
            if ours is not None:
                pending.append(ours)


def _found(image: ImageSubject, name: str) -> Node | None:
    """A DLL in the image, where Windows looks for it: beside the program, in the system, along PATH."""
    assert image.start.node is not None
    own = "C:\\" + image.start.node.path.rpartition("/")[0].replace("/", "\\")
    for folder in (own, *_SYSTEM, *(path_of(image.settings.env or ()) or ())):
        node = image.files.find(f"{folder}\\{name}")
        if node is not None:
            return node
    return None


@image_rule("WGO209", Severity.ERROR, Group.LIBRARIES, needs=Needs.OUR_LAYERS, os="windows")
def imports_found(image: ImageSubject) -> Iterator[Problem]:
    """Every DLL that the program imports is in the image or its base.

    Why:
        The loader binds imports before the program's first instruction: if one is missing, the container ends with
        0xc0000135 and says nothing. nanoserver has few of Windows' DLLs.

    Example:
        A cgo program that needs `libstdc++-6.dll`; a program of another compiler that needs `vcruntime140.dll`.
    Mend:
        Put the DLL beside the program, link it statically, or use servercore.
    """
    for needed in _loaded(image):
        yield from _library_problems(image, needed.name, needed.by.node.path, "imports")


@image_rule("WGO210", Severity.WARNING, Group.LIBRARIES, needs=Needs.OUR_LAYERS, os="windows")
def lazy_libraries_found(image: ImageSubject) -> Iterator[Problem]:
    """Every DLL that the program loads while it runs is in the image or its base.

    Why:
        Go loads most of Windows' DLLs when they are first called: the program starts, and panics later ("Failed to load
        netapi32.dll"; golang/go#21867).

    Example:
        `os/user.Current` in a program of Go before 1.24 on nanoserver.
    Mend:
        Build with a newer Go, do without the call, or copy the DLL from servercore into the layer.
    """
    start = image.start.binary
    if start is None or start.inspected is None:
        return
    facts = start.inspected.facts
    for item in facts.pe.delay_imports if facts.pe is not None else ():
        name = item.library.lower()
        yield from _library_problems(image, name, start.node.path, "loads when it first calls it", late=True)
    for library in start.inspected.libraries:
        if library.evidence is Evidence.WRITTEN:
            continue  # the name stands there: in a text perhaps
        where = f" ({library.functions[0]})" if library.functions else ""
        yield from _library_problems(image, library.name, start.node.path, f"may load{where}", late=True)


def _library_problems(image: ImageSubject, name: str, by: str, how: str, *, late: bool = False) -> Iterator[Problem]:
    if is_api_set(name) or _found(image, name) is not None:
        return
    # Where there is no Windows below, WGO218 tells of it.
    complete = image.complete and image.files.find("C:\\Windows\\System32\\ntdll.dll") is not None
    known = library_in(image.flavour, name)
    hint = "Put it beside the program, or use a base that has it."
    if complete:
        yield Problem(
            message=f"{by} {how} {name}, which is not in the image",
            hint=hint,
            path=by,
        )
    elif known.knowledge is Knowledge.ABSENT:
        yield Problem(
            message=f"{by} {how} {name}, which {image.flavour} lacks ({known.source})",
            hint=hint,
            path=by,
        )
    elif known.knowledge is Knowledge.UNKNOWN and image.flavour in ("nanoserver", "servercore"):
        yield Problem(
            message=f"{by} {how} {name}, which is not known to be in {image.flavour}",
            hint=f"Fetch the base, so that its files are looked at: wingo base pull {image.flavour}.",
            path=by,
            severity=Severity.NOTE if late or image.flavour == "servercore" else Severity.WARNING,
        )


@image_rule("WGO211", Severity.ERROR, Group.LIBRARIES, needs=Needs.OUR_LAYERS, os="linux")
def interpreter_found(image: ImageSubject) -> Iterator[Problem]:
    """The program's dynamic loader, or the script's interpreter, is in the image.

    Why:
        A dynamic program names its loader by path. If that is not there, Linux says "no such file or directory" of the
        program itself, which is there: the classic of a glibc program on alpine.

    Example:
        A cgo program built on Debian (`/lib64/ld-linux-x86-64.so.2`) on alpine, which has `/lib/ld-musl-x86_64.so.1`.
    Mend:
        Build with CGO_ENABLED=0, link statically, or use a base with the same libc.
    """
    wanted, what = _interpreter(image)
    if not wanted or image.files.find(wanted) is not None:
        return
    hint = "Build it with CGO_ENABLED=0, or use a base with the same C library."
    name = image.start.argv[0][:120]
    if image.complete:
        yield Problem(message=f"{name} needs {what} {wanted}, which is not in the image", hint=hint)
    elif _GLIBC in wanted and "alpine" in image.base_name:
        yield Problem(message=f"{name} needs glibc's {what} {wanted}, and alpine has musl", hint=hint)
    elif "distroless/static" in image.base_name or image.base_name.endswith(("/static", "/static-debian12")):
        yield Problem(message=f"{name} needs {what} {wanted}, which a base for static programs has not", hint=hint)


def _interpreter(image: ImageSubject) -> tuple[str, str]:
    if image.start.script:
        words = image.start.script[2:].split()
        return (words[0] if words else "", "the interpreter")
    facts = image.start.facts
    if facts is None or facts.elf is None:
        return "", ""
    return facts.elf.interpreter, "the loader"


@image_rule("WGO212", Severity.ERROR, Group.LIBRARIES, needs=Needs.BASE_FILES, os="linux")
def shared_libraries_found(image: ImageSubject) -> Iterator[Problem]:
    """Every shared library that the program needs is in the image.

    Why:
        The loader looks for them before the program starts: "error while loading shared libraries".

    Example:
        A cgo program with `libsqlite3.so.0` on distroless/base.
    Mend:
        Link it statically, or add the library.
    """
    node, facts = image.start.node, image.start.facts
    if node is None or facts is None or facts.elf is None:
        return
    own = node.path.rpartition("/")[0]
    given = [*facts.elf.rpath, *facts.elf.runpath]
    folders = [path.replace("$ORIGIN", f"/{own}").replace("${ORIGIN}", f"/{own}") for path in given]
    folders += next(
        (item.partition("=")[2].split(":") for item in image.settings.env or () if item.startswith("LD_LIBRARY_PATH=")),
        [],
    )
    folders += _system_folders(image)
    for item in facts.imports:
        where = [f"{folder}/{item.library}" for folder in folders] if "/" not in item.library else [item.library]
        if not any(image.files.find(path) is not None for path in where):
            yield Problem(
                message=f"{image.start.argv[0][:120]} needs {item.library}, which is not in the image",
                hint="Link it statically, or add the library.",
                path=node.path,
            )


def _system_folders(image: ImageSubject) -> list[str]:
    """The loader's own directories, those of Debian's architectures (`lib/x86_64-linux-gnu`) included."""
    found = []
    for folder in _LINUX_DIRECTORIES:
        found.append(folder)
        found += [node.path for node in image.files.children(folder) if "-linux-" in node.path]
    return found
