"""Twins for the rules over `[policy]` and a database of vulnerabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from struct import pack

from tests.checks.programs import Images
from wingo.binary.buildinfo import BuildInfo
from wingo.check.demands import Demands, imports_key
from wingo.check.imports import ImportGraph
from wingo.check.vulnerabilities import Vulnerabilities
from wingo.image.model import Image
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_pe

GRAPH = ImportGraph(
    "example.com/app",
    {
        "example.com/app": ("fmt", "example.com/app/internal"),
        "example.com/app/internal": ("example.com/lib/run",),
        "example.com/lib/run": ("os/exec", "unsafe"),
        "fmt": ("unsafe", "os"),
    },
    frozenset({"fmt", "os", "os/exec"}),
)
KEY = imports_key(BuildInfo("", "example.com/app", settings=(("GOOS", "linux"),)))
SOURCES = {KEY: GRAPH}


def image(
    *functions: str,
    calls: Sequence[tuple[int, int]] = (),
    version: str = "go1.27.1",
    deps: str = "",
    raw: bytes = b"",
    main: str = "mod\texample.com/app\t(devel)\n",
    goos: str = "linux",
) -> Image:
    """An image of one program with these functions of 16 bytes; calls are (caller, callee) by number."""
    code = bytearray(b"\xcc" * 16 * max(len(functions), 1))
    used: dict[int, int] = {}
    for caller, callee in calls:
        at = 16 * caller + used.get(caller, 0)
        code[at : at + 5] = b"\xe8" + pack("<i", 16 * callee - at - 5)
        used[caller] = used.get(caller, 0) + 5
    modules = f"path\texample.com/app\n{main}dep\texample.com/lib\tv1.2.0\th1:x=\n{deps}"
    modules += f"build\tGOOS={goos}\n" if goos else ""
    table = go_functions([(name, 16) for name in functions], text=PE_BASE + 0x1000)
    program = raw or make_pe(code=bytes(code), rdata=table, data=go_build_info(version, modules))
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app"]}}
    return image_of([layer_of([directory_entry("d"), file_entry("app", program)])], config)


EXEC = ("main.main", "example.com/lib/run.Do", "os/exec.(*Cmd).Start", "os.StartProcess")
CALLS = ((1, 2), (2, 3))


def vulnerability(
    identity: str,
    module: str,
    events: Sequence[Mapping[str, str]],
    imports: Sequence[Mapping[str, object]] = (),
    **more: object,
) -> dict[str, object]:
    """A document as Go's database has them."""
    affected = {
        "package": {"name": module, "ecosystem": "Go"},
        "ranges": [{"type": "SEMVER", "events": list(events)}],
        "ecosystem_specific": {"imports": list(imports)},
    }
    return {"schema_version": "1.3.1", "id": identity, "summary": f"{identity} is bad", "affected": [affected], **more}


DOCUMENTS = [
    vulnerability(
        "GO-2026-0001",
        "stdlib",
        [{"introduced": "0"}, {"fixed": "1.26.5"}, {"introduced": "1.27.0-0"}, {"fixed": "1.27.2"}],
        [{"path": "net/http", "symbols": ["Server.Serve", "Get"]}],
        aliases=["CVE-2026-1", "GHSA-x"],
    ),
    vulnerability(
        "GO-2026-0002", "stdlib", [{"introduced": "0"}], [{"path": "os", "symbols": ["X"], "goos": ["windows"]}]
    ),
    vulnerability("GO-2026-0003", "stdlib", [{"introduced": "0"}], withdrawn="2026-01-01T00:00:00Z"),
    vulnerability(
        "GO-2026-0004", "gopkg.in/yaml.v3", [{"introduced": "0"}, {"fixed": "3.0.1"}], [{"path": "gopkg.in/yaml.v3"}]
    ),
    vulnerability(
        "GO-2026-0007", "stdlib", [{"introduced": "0"}], [{"path": "os", "symbols": ["Z"], "goarch": ["amd64"]}]
    ),
    vulnerability(
        "GO-2026-0008", "stdlib", [{"introduced": "0"}], [{"path": "os", "symbols": ["A"], "goarch": ["arm64"]}]
    ),
    vulnerability("GO-2026-0009", "stdlib", [{"introduced": "1.28.0"}]),
    vulnerability("GO-2026-0006", "example.com/bare", [{"introduced": "0"}, {"fixed": "2.0.0"}]),
    vulnerability("GO-2026-0005", "example.com/old", [{"introduced": "0"}], [{"path": "example.com/old"}]),
]


def database_files(documents: Sequence[Mapping[str, object]] = DOCUMENTS) -> dict[str, bytes]:
    """The files of a database by their names."""
    modules: dict[str, list[dict[str, object]]] = {}
    files = {}
    for document in documents:
        module = document["affected"][0]["package"]["name"]  # type: ignore[index]
        modules.setdefault(module, []).append({"id": document["id"]})
        files[f"ID/{document['id']}.json"] = json.dumps(document).encode()
    index = [{"path": path, "vulns": found} for path, found in modules.items()]
    return {**files, "index/modules.json": json.dumps(index).encode()}


DATABASE = Demands(vulnerabilities=Vulnerabilities(database_files().get))
ENCODED = "gopkg.in/yaml%2ev3.Unmarshal"
YAML = "dep\tgopkg.in/yaml.v3\tv3.0.{}\th1:x=\n"

CASES: dict[str, list[Images]] = {
    "WGO311": [
        Images(image("main.main", "net/http.(*Server).Serve"), image("main.main", "net/http.Post"), DATABASE),
        Images(
            image("main.main", "net/http.Get", version="go1.26.4"),
            image("main.main", "net/http.Get", version="go1.26.5"),
            DATABASE,
        ),
        Images(
            image("main.main", "net/http.Get"),
            image("main.main", "net/http.Get"),
            DATABASE,
            Demands(),
        ),
        # Without a table of functions it is a note.
        Images(
            image(raw=make_pe(data=go_build_info("go1.27.1", "path\tx\n"))),
            image(raw=make_pe(data=go_build_info("go1.27.2", "path\tx\n"))),
            Demands(vulnerabilities=Vulnerabilities(database_files(DOCUMENTS[:1]).get)),
        ),
    ],
    "WGO312": [
        Images(
            image("main.main", ENCODED, deps=YAML.format(0)), image("main.main", ENCODED, deps=YAML.format(1)), DATABASE
        ),
        Images(
            image(
                "main.main",
                "example.com/fork.Unmarshal",
                deps="dep\texample.com/fork\tv1.0.0\n=>\tgopkg.in/yaml.v3\tv3.0.0\th1:x=\n",
            ),
            image("main.main", ENCODED, deps="dep\tgopkg.in/yaml.v3\tv3.0.0\n=>\texample.com/yaml\tv3.0.0\th1:x=\n"),
            DATABASE,
        ),
        Images(
            image("main.main", "example.com/old.F", deps="dep\texample.com/old\tv1.0.0\th1:x=\n"),
            image("main.main", "example.com/old.F", deps="dep\texample.com/old\tv1.0.0\th1:x=\n"),
            DATABASE,
            Demands(),
        ),
    ],
    "WGO601": [
        Images(image(*EXEC, calls=CALLS), image("main.main"), Demands(("exec",), imports=SOURCES), Demands(("exec",))),
        Images(
            image(*EXEC, calls=CALLS),
            image(*EXEC, calls=CALLS),
            Demands(("exec",), {"exec": ("example.com/library",)}),
            Demands(("exec",), {"exec": ("example.com/lib",)}),
        ),
        Images(image(*EXEC), image(*EXEC), Demands(("exec",), {"exec": ("example.com/lib",)}), Demands(("net",))),
        Images(
            image("main.main"),
            image("main.main"),
            Demands(("unsafe",), imports=SOURCES),
            Demands(("unsafe",), {"unsafe": ("example.com/lib",)}, imports=SOURCES),
        ),
    ],
    "WGO602": [
        Images(
            image("main.main", "net/http/pprof.Index"),
            image("main.main", "net/http.Get"),
            Demands(("net/http/pprof",)),
        ),
        Images(
            image("main.main", "example.com/lib/run.Do"),
            image("main.main", "example.com/lib/run.Do"),
            Demands(("example.com/lib",), imports=SOURCES),
            Demands(("example.com/li",), imports=SOURCES),
        ),
    ],
    "WGO603": [
        Images(image(raw=make_elf()), image(raw=make_elf()), Demands(("exec",)), Demands()),
        Images(image("main.main"), image("main.main"), Demands(("unsafe",)), Demands(("unsafe",), imports=SOURCES)),
    ],
}
"""By the rule's number."""
