"""What a Go program can do, from the functions that the linker kept in it, and which packages bring that.

The linker drops what cannot be reached from `main`, so a function's presence means that something in the program may call
it, and its absence that nothing can. That holds but for what reflection and linkname hide: with `reflect.Value.MethodByName` of
a name that is not constant the linker keeps every exported method, so more is reported than can happen, never less.

A package *brings* a capability when its code calls one of the table's functions directly; calls through function values and
interfaces are not seen (`wingo.binary.code`). Go's own packages are not listed: they bring nothing that nobody asked for.

The table is ours. What each function does is in Go's documentation of its package; the kinds follow those of Google's capslock
(`docs/capabilities.md` there), which works on sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import msgspec

from wingo.binary.code import Code
from wingo.binary.functions import package_of, unescaped

if TYPE_CHECKING:
    from wingo.binary.buildinfo import BuildInfo
    from wingo.binary.functions import FunctionTable
    from wingo.binary.program import Program

X_SYS = "golang.org/x/sys/"
_WINDOWS = "golang.org/x/sys/windows"
_UNIX = "golang.org/x/sys/unix"


class Capability(msgspec.Struct, frozen=True):
    """A row of the table.

    Attributes:
        name: for `[policy] deny` and reports.
        what: the program does with it, for people.
        proofs: functions of which one in the program shows that it can; () when only a caller outside of Go's own
            packages shows it, because those use it themselves in every program.
        entries: functions that packages call for it, besides the proofs; with "*" at the end, all that begin so.
        sources_only: the function table cannot show it.
    """

    name: str
    what: str
    proofs: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    sources_only: bool = False


TABLE: tuple[Capability, ...] = (
    Capability(
        "exec",
        "starts other programs",
        proofs=(
            "os.StartProcess",
            "os.startProcess",
            "syscall.StartProcess",
            "syscall.ForkExec",
            "syscall.forkExec",
            "syscall.Exec",
            "syscall.CreateProcess",
            "syscall.CreateProcessAsUser",
            f"{_UNIX}.Exec",
            f"{_UNIX}.ForkExec",
            f"{_WINDOWS}.CreateProcess",
            f"{_WINDOWS}.CreateProcessAsUser",
            f"{_WINDOWS}.ShellExecute",
        ),
        entries=("os/exec.*", "golang.org/x/sys/execabs.*"),
    ),
    Capability(
        "net",
        "opens connections",
        proofs=(
            "net.(*sysDialer).dialSingle",
            "net.(*sysDialer).dialTCP",
            "net.(*sysDialer).dialUDP",
            "net.(*sysDialer).dialUnix",
            f"{_UNIX}.Connect",
            f"{_WINDOWS}.Connect",
            f"{_WINDOWS}.ConnectEx",
        ),
        entries=(
            "net.Dial*",
            "net.(*Dialer).*",
            "net.(*Resolver).*",
            "net.Lookup*",
            "net/http.(*Client).*",
            "net/http.(*Transport).*",
            "net/http.Get",
            "net/http.Head",
            "net/http.Post*",
            "net/rpc.Dial*",
            "net/smtp.*",
            "crypto/tls.Dial*",
            "crypto/tls.(*Dialer).*",
            "syscall.Connect",
            "syscall.ConnectEx",
        ),
    ),
    Capability(
        "listen",
        "listens for connections",
        proofs=(
            "net.Listen",
            "net.ListenPacket",
            "net.ListenTCP",
            "net.ListenUDP",
            "net.ListenUnix",
            "net.ListenUnixgram",
            "net.ListenIP",
            "net.ListenMulticastUDP",
            "net.(*ListenConfig).Listen",
            "net.(*ListenConfig).ListenPacket",
            "net.FileListener",
            "net.FilePacketConn",
            f"{_UNIX}.Listen",
            f"{_WINDOWS}.Listen",
        ),
        entries=(
            "net/http.ListenAndServe*",
            "net/http.(*Server).*",
            "net/http.Serve*",
            "crypto/tls.Listen",
            "syscall.Listen",
        ),
    ),
    Capability(
        "write-files",
        "changes files by itself: creates, renames or removes them (a file may also be written through `os.OpenFile`)",
        proofs=(
            "os.WriteFile",
            "os.Create",
            "os.CreateTemp",
            "os.MkdirTemp",
            "os.Mkdir",
            "os.MkdirAll",
            "os.Remove",
            "os.RemoveAll",
            "os.Rename",
            "os.Symlink",
            "os.Link",
            "os.Truncate",
            "os.Chmod",
            "os.Chown",
            "io/ioutil.WriteFile",
            "io/ioutil.TempFile",
            "io/ioutil.TempDir",
        ),
        entries=(
            "os.(*Root).Create",
            "os.(*Root).Mkdir*",
            "os.(*Root).Remove*",
            "os.(*Root).Rename",
            "os.(*Root).WriteFile",
        ),
    ),
    Capability(
        "signal",
        "ends or signals other processes",
        proofs=(f"{_UNIX}.Kill", f"{_WINDOWS}.TerminateProcess", f"{_WINDOWS}.GenerateConsoleCtrlEvent"),
        entries=(
            "os.(*Process).Kill",
            "os.(*Process).Signal",
            "os.(*Process).signal",
            "os.(*Process).kill",
            "syscall.Kill",
            "syscall.TerminateProcess",
        ),
    ),
    Capability(
        "registry",
        "reads or writes the Windows registry",
        proofs=(
            f"{_WINDOWS}/registry.OpenKey",
            f"{_WINDOWS}/registry.CreateKey",
            f"{_WINDOWS}.RegOpenKeyEx",
        ),
        entries=(f"{_WINDOWS}/registry.*", "syscall.Reg*"),
    ),
    Capability(
        "dll",
        "loads libraries while it runs",
        entries=(
            "syscall.LoadLibrary",
            "syscall.LoadDLL",
            "syscall.NewLazyDLL",
            "syscall.MustLoadDLL",
            "syscall.GetProcAddress",
            "syscall.(*LazyDLL).*",
            "syscall.(*LazyProc).*",
            "syscall.(*DLL).*",
            "syscall.(*Proc).*",
            f"{_WINDOWS}.LoadLibrary*",
            f"{_WINDOWS}.LoadDLL",
            f"{_WINDOWS}.NewLazy*",
            f"{_WINDOWS}.MustLoadDLL",
            f"{_WINDOWS}.GetProcAddress*",
            f"{_WINDOWS}.(*LazyDLL).*",
            f"{_WINDOWS}.(*LazyProc).*",
            f"{_WINDOWS}.(*DLL).*",
            f"{_WINDOWS}.(*Proc).*",
        ),
    ),
    Capability(
        "syscall",
        "calls the system past Go's own packages and golang.org/x/sys",
        entries=(
            "syscall.Syscall*",
            "syscall.RawSyscall",
            "syscall.RawSyscall6",
            "syscall.AllThreadsSyscall*",
            f"{_UNIX}.Syscall*",
            f"{_UNIX}.RawSyscall",
            f"{_UNIX}.RawSyscall6",
        ),
    ),
    Capability(
        "privilege",
        "changes users, roots, mounts or privileges",
        proofs=(
            "syscall.Setuid",
            "syscall.Setgid",
            "syscall.Setgroups",
            "syscall.Chroot",
            "syscall.Mount",
            "syscall.Unshare",
            f"{_UNIX}.Setuid",
            f"{_UNIX}.Setgid",
            f"{_UNIX}.Setgroups",
            f"{_UNIX}.Chroot",
            f"{_UNIX}.Mount",
            f"{_UNIX}.Unshare",
            f"{_UNIX}.Setns",
            f"{_UNIX}.Capset",
            f"{_UNIX}.PivotRoot",
            f"{_WINDOWS}.AdjustTokenPrivileges",
            f"{_WINDOWS}.SetThreadToken",
        ),
    ),
    Capability(
        "debug",
        "reads or changes other processes' memory",
        proofs=(
            "syscall.ptrace",
            "syscall.PtraceAttach",
            f"{_UNIX}.PtraceAttach",
            f"{_UNIX}.PtraceSeize",
            f"{_UNIX}.ProcessVMReadv",
            f"{_UNIX}.ProcessVMWritev",
            f"{_WINDOWS}.ReadProcessMemory",
            f"{_WINDOWS}.WriteProcessMemory",
        ),
    ),
    Capability("plugin", "loads Go plugins", proofs=("plugin.Open", "plugin.open")),
    Capability("cgo", "runs C code"),
    Capability("unsafe", "has packages that import unsafe", sources_only=True),
)
BY_NAME: Mapping[str, Capability] = {each.name: each for each in TABLE}
"""The table by name."""
_PREFIXES = tuple({name[:-1] for each in TABLE for name in each.entries if name.endswith("*")})


class Found(msgspec.Struct, frozen=True):
    """A capability of a program.

    Attributes:
        name: of the table.
        functions: of the table, that are in the program, sorted.
        packages: outside of Go's own that call them directly, sorted; may be () though the program can.
    """

    name: str
    functions: tuple[str, ...]
    packages: tuple[str, ...]


class Packages:
    """Which module a package belongs to, by the build information."""

    def __init__(self, info: BuildInfo | None) -> None:
        modules = [] if info is None else [*([info.main] if info.main else []), *info.deps]
        self._modules = {each.path for each in modules}
        self._main = info.path if info else ""

    def module_of(self, package: str) -> str:
        """The path of the package's module; "" for one of Go's own, or when it is not known."""
        path = self._main if package == "main" else package
        while path and path not in self._modules:
            path = path.rpartition("/")[0]
        return path

    def is_standard(self, package: str) -> bool:
        """Whether a package is Go's own: of no module, and without a dot in its first element."""
        return (
            not package
            or (package != "main" and not self.module_of(package) and "." not in package.partition("/")[0])
            or package.startswith("vendor/")
        )


def capabilities(program: Program, table: FunctionTable, info: BuildInfo | None) -> tuple[Found, ...]:
    """What a program can do, in the table's order.

    Args:
        program: the program.
        table: its functions.
        info: its build information, which tells modules from Go's own packages.
    """
    packages = Packages(info)
    present = set(table.names) | table.inlined
    candidates = [name for name in present if name.startswith(_PREFIXES)]
    targets = {each.name: _targets(each, present, candidates) for each in TABLE}
    callers = Code(program, table).callers(frozenset().union(*targets.values()))
    found = []
    for each in TABLE:
        functions = targets[each.name]
        proofs = sorted(functions.intersection(each.proofs))
        if each.name == "cgo":
            brought = {package_of(name) for name in present if "._Cfunc_" in name or "._cgoexp_" in name}
            proofs = sorted(
                name for name in ("_cgo_panic", "_cgo_topofstack", "crosscall2", "runtime.cgocall") if name in present
            )
            proofs = proofs if brought or "runtime/cgo" in map(package_of, present) else []
        else:
            brought = {package_of(caller) for name in functions for caller in callers.get(name, ())}
        outside = sorted({unescaped(name) for name in brought if not _is_own(packages, unescaped(name))})
        if proofs or (outside and not each.proofs) or (outside and each.name in ("signal", "registry")):
            found.append(Found(each.name, tuple(proofs or sorted(functions.intersection(callers))), tuple(outside)))
    return tuple(found)


def can(name: str, functions: AbstractSet[str]) -> bool:
    """Whether a program can do something, by the proofs alone: at once, without looking at its code.

    Args:
        name: of a capability that has proofs.
        functions: the names of the program's functions, inlined ones too.
    """
    return not functions.isdisjoint(BY_NAME[name].proofs)


def _targets(capability: Capability, present: AbstractSet[str], candidates: Iterable[str]) -> set[str]:
    """The table's functions that are in a program; `candidates`: those of its names that may be meant by a `*`."""
    exact = {*capability.proofs, *(each for each in capability.entries if not each.endswith("*"))}
    prefixes = tuple(each[:-1] for each in capability.entries if each.endswith("*"))
    found = exact & present
    if prefixes:
        found |= {name for name in candidates if name.startswith(prefixes)}
    return found


def _is_own(packages: Packages, package: str) -> bool:
    return packages.is_standard(package) or package.startswith(X_SYS)
