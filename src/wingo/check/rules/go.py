"""What Go puts into its programs, and what they then need: versions, cgo, users, time zones, certificates, symbols.

Sources: Go's release notes (minimum systems), `os/user`, `time/zoneinfo_*.go`, `crypto/x509/root_*.go`, `cmd/go` (settings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from wingo.binary.buildinfo import BuildInfo
from wingo.binary.functions import FunctionTable
from wingo.check.capabilities import can
from wingo.check.finding import Problem, Severity
from wingo.check.goversions import KNOWN, newest_go
from wingo.check.rule import Group, Needs, image_rule
from wingo.check.subject import BinarySubject, ImageSubject, Inspected
from wingo.errors import RequestError
from wingo.windows.osversion import parse_os_version

MINIMUM_BUILD = ((21, 10240, "Windows 10 or Server 2016"), (11, 7601, "Windows 7 or Server 2008 R2"))
"""Since Go 1.x, the least build of Windows, and its name (Go's release notes, "Ports")."""
_FIRST_WITHOUT_NETAPI = 24
_VERSION = re.compile(r"go1\.(\d{1,3})(?:\.(\d{1,3}))?")
_DEBUG_MATTERS = 64 << 10
_CERTIFICATES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/cacert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/ssl/certs",
    "etc/pki/tls/certs",
)
"""Files and directories of `crypto/x509/root_linux.go`."""
_ZONES = ("usr/share/zoneinfo", "usr/share/lib/zoneinfo", "usr/lib/locale/TZ", "etc/zoneinfo")
"""Directories of `time/zoneinfo_unix.go`."""
_INSTRUMENTED = {
    "-race": "the race detector",
    "-msan": "the memory sanitizer",
    "-asan": "the address sanitizer",
    "-cover": "coverage counters",
}


class GoProgram(msgspec.Struct, frozen=True):
    """A Go program of our layers.

    Attributes:
        path: in the image.
        info: how it was built.
        inspected: what else can be read in it.
    """

    path: str
    info: BuildInfo
    inspected: Inspected

    @property
    def functions(self) -> FunctionTable | None:
        """Its functions."""
        return self.inspected.functions

    def has(self, *functions: str) -> bool:
        """Whether one of these functions is in it."""
        return not self.inspected.names.isdisjoint(functions)


def go_programs(image: ImageSubject) -> Iterator[GoProgram]:
    """The Go programs of our layers, by their path."""
    for path in sorted(image.binaries):
        found = go_program(image.binaries[path])
        if found is not None:
            yield found


def go_program(binary: BinarySubject) -> GoProgram | None:
    """A binary as a Go program; None when it is none."""
    inspected = binary.inspected
    if inspected is None or inspected.build_info is None:
        return None
    return GoProgram(binary.node.path, inspected.build_info, inspected)


def go_minor(version: str) -> int | None:
    """The x of Go 1.x: 26 for "go1.26.1" and "devel go1.26-abcdef"; None for what is no version."""
    found = _VERSION.search(version)
    return int(found[1]) if found else None


@image_rule("WGO301", Severity.ERROR, Group.GO, needs=Needs.OUR_LAYERS, os="windows")
def go_runs_on_the_build(image: ImageSubject) -> Iterator[Problem]:
    """The Go that built the program supports the image's Windows.

    Why:
        Each Go has a least Windows version; on older ones its programs end at once, for lack of a function in a DLL.

    Example:
        A program of Go 1.21 or later, which needs Windows 10 or Server 2016, in an image whose os.version is 6.3.9600.
    Mend:
        Build with an older Go, or use a newer base.
    """
    try:
        version = parse_os_version(image.config.os_version)
    except RequestError:
        return
    for program in go_programs(image):
        minor = go_minor(program.info.go_version)
        needed = next(
            ((build, name) for since, build, name in MINIMUM_BUILD if minor is not None and minor >= since), None
        )
        if needed is not None and version.build < needed[0]:
            yield Problem(
                message=f"{program.path} was built with {program.info.go_version}, which needs {needed[1]}, "
                f"and the image is for {image.config.os_version}",
                hint="Use a base of a newer Windows.",
                path=program.path,
            )


@image_rule("WGO302", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def go_still_mended(image: ImageSubject) -> Iterator[Problem]:
    """The Go that built the program still gets security fixes.

    Why:
        Go mends its two newest releases. What is found in an older one stays in its programs.

    Example:
        A program of Go 1.22 in 2026.
    Mend:
        Build with a newer Go; the module's `go` line may stay as it is.
    """
    newest = newest_go(image.today)
    how = "" if newest == KNOWN else ", by Go's schedule of releases"
    for program in go_programs(image):
        minor = go_minor(program.info.go_version)
        if minor is not None and minor < newest - 1:
            yield Problem(
                message=f"{program.path} was built with {program.info.go_version}, which gets no fixes any more "
                f"(Go 1.{newest} and 1.{newest - 1} do{how})",
                hint=f"Build it with Go 1.{newest - 1} or later.",
                path=program.path,
            )


@image_rule("WGO303", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def not_instrumented(image: ImageSubject) -> Iterator[Problem]:
    """The program is built without the race detector, sanitizers and coverage counters.

    Why:
        The race detector takes 5 to 10 times the memory and 2 to 20 times the time, needs cgo, and ends programs that
        others would let run. Coverage counters slow down every branch.

    Example:
        `GOFLAGS=-race` left set in CI.
    Mend:
        Build again without `-race`, `-msan`, `-asan`, `-cover`.
    """
    for program in go_programs(image):
        for flag, what in _INSTRUMENTED.items():
            if program.info.setting(flag) == "true":
                yield Problem(
                    message=f"{program.path} is built with {what} ({flag})",
                    hint=f"Build it again without {flag}.",
                    path=program.path,
                )


@image_rule("WGO304", Severity.NOTE, Group.GO, needs=Needs.OUR_LAYERS)
def cgo_for_a_reason(image: ImageSubject) -> Iterator[Problem]:
    """A program that was built with cgo has C code of its own.

    Why:
        With cgo on, Go's `net` and `os/user` use the C library: the program becomes dynamic, and starts only where that
        library is. Nothing else is gained when no package has C code.

    Example:
        `go build` on a machine with gcc, of a program without `import "C"`.
    Mend:
        Build with CGO_ENABLED=0.
    """
    for program in go_programs(image):
        if program.info.setting("CGO_ENABLED") == "0" or "runtime/cgo" not in program.inspected.packages:
            continue
        cgo = next((each for each in program.inspected.capabilities if each.name == "cgo"), None)
        if cgo is not None and not cgo.packages:
            yield Problem(
                message=f"{program.path} uses the C library for Go's own packages only",
                hint="Build it with CGO_ENABLED=0, so that it starts on any base.",
                path=program.path,
            )


@image_rule("WGO305", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS, os="windows")
def user_current_on_nanoserver(image: ImageSubject) -> Iterator[Problem]:
    """A program on nanoserver does not ask for its user with a Go before 1.24.

    Why:
        Before Go 1.24, `os/user.Current` called netapi32.dll, which nanoserver does not have: the program panics
        (golang/go#21867). Logging and configuration libraries call it.

    Example:
        `user.Current()` in a program of Go 1.23 on nanoserver.
    Mend:
        Build with Go 1.24 or later.
    """
    if image.flavour != "nanoserver":
        return
    for program in go_programs(image):
        minor = go_minor(program.info.go_version)
        if minor is not None and minor < _FIRST_WITHOUT_NETAPI and program.has("os/user.Current", "os/user.current"):
            yield Problem(
                message=f"{program.path} calls os/user.Current, which panics on nanoserver with {program.info.go_version}",
                hint="Build it with Go 1.24 or later.",
                path=program.path,
            )


@image_rule("WGO306", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def time_zones_at_hand(image: ImageSubject) -> Iterator[Problem]:
    """A program that loads time zones by name has them at hand.

    Why:
        `time.LoadLocation("Europe/Berlin")` reads IANA's database. Windows does not have it, nor do scratch and static
        bases: the call fails with "unknown time zone" (golang/go#38453, ko#739).

    Example:
        A scheduler with time zones in its configuration, on nanoserver.
    Mend:
        Build with `-tags timetzdata` (450 KB), or add a `zoneinfo.zip` and set ZONEINFO.
    """
    if any(item.upper().startswith("ZONEINFO=") for item in image.settings.env or ()):
        return
    missing = image.os == "windows" or (image.complete and not any(image.files.find(path) for path in _ZONES))
    for program in go_programs(image) if missing else ():
        if program.has("time.LoadLocation") and not _carries_zones(program):
            yield Problem(
                message=f"{program.path} loads time zones by name, and the image has none",
                hint="Build it with -tags timetzdata.",
                path=program.path,
            )


def _carries_zones(program: GoProgram) -> bool:
    return program.has("time/tzdata.loadFromEmbeddedTZData", "time/tzdata.init.0", "time/tzdata.init")


@image_rule("WGO307", Severity.WARNING, Group.GO, needs=Needs.BASE_FILES, os="linux")
def certificates_at_hand(image: ImageSubject) -> Iterator[Problem]:
    """A program that checks certificates has some to trust.

    Why:
        On Linux, Go reads the certificate authorities from files. Without one every TLS connection fails with "certificate
        signed by unknown authority". Windows has its own.

    Example:
        An HTTP client `FROM scratch`.
    Mend:
        Use wingo's `static` base, copy `/etc/ssl/certs/ca-certificates.crt`, or import golang.org/x/crypto/x509roots/fallback.
    """
    if any(item.startswith(("SSL_CERT_FILE=", "SSL_CERT_DIR=")) for item in image.settings.env or ()):
        return
    if any(image.files.find(path) is not None for path in _CERTIFICATES):
        return
    for program in go_programs(image):
        if not program.has("crypto/x509.loadSystemRoots", "crypto/x509.systemRootsPool"):
            continue
        if "golang.org/x/crypto/x509roots/fallback" in program.inspected.packages:
            continue
        if can("net", program.inspected.names):
            yield Problem(
                message=f"{program.path} checks certificates, and the image has no authorities to trust",
                hint="Use a base with /etc/ssl/certs/ca-certificates.crt, or add the file.",
                path=program.path,
            )


@image_rule("WGO308", Severity.NOTE, Group.GO, needs=Needs.OUR_LAYERS)
def no_debug_symbols(image: ImageSubject) -> Iterator[Problem]:
    """A program is shipped without symbols for debuggers.

    Why:
        They are a quarter to a third of a Go program, and nothing in a container reads them; stack traces and profiles
        do not need them.

    Example:
        `go build` without `-ldflags "-s -w"`.
    Mend:
        Build with `-ldflags "-s -w"`, and keep the whole program where crash dumps are read.
    """
    for program in go_programs(image):
        symbols = program.inspected.facts.symbols
        size = symbols.debug_bytes + symbols.table_bytes
        if size >= _DEBUG_MATTERS:
            yield Problem(
                message=f"{program.path} carries {size / 1e6:.1f} MB of symbols for debuggers",
                hint='Build it with -ldflags "-s -w".',
                path=program.path,
                win=size,
            )


@image_rule("WGO309", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def clean_checkout(image: ImageSubject) -> Iterator[Problem]:
    """The program was built from committed sources.

    Why:
        `vcs.modified=true` says that files differed from the commit: nobody can build it again, and the revision that it
        names is not what runs.

    Example:
        A build beside unsaved work, or in CI after a step that wrote files.
    Mend:
        Commit, or ignore what the build writes, and build again.
    """
    for program in go_programs(image):
        if program.info.setting("vcs.modified") == "true":
            revision = program.info.setting("vcs.revision")[:12]
            yield Problem(
                message=f"{program.path} was built from changed sources"
                + (f", not from {revision} as it says" if revision else ""),
                hint="Commit or put away the changes, and build again.",
                path=program.path,
            )


@image_rule("WGO310", Severity.WARNING, Group.GO, needs=Needs.OUR_LAYERS)
def no_local_modules(image: ImageSubject) -> Iterator[Problem]:
    """No module of the program is replaced by a directory.

    Why:
        A `replace` with a path takes whatever is there on the machine that builds: no version, no checksum, and scanners
        that look for vulnerable versions find none.

    Example:
        `replace example.com/lib => ../lib` left over from debugging.
    Mend:
        Drop the replacement, or replace by a module and a version.
    """
    for program in go_programs(image):
        for module in program.info.deps:
            other = module.replace
            if other is not None and (not other.version or other.version == "(devel)"):
                yield Problem(
                    message=f"{program.path}: {module.path} is replaced by the directory {other.path}",
                    hint="Drop the replacement, or replace by a module and a version.",
                    path=program.path,
                )
