"""What a program can do, by its functions and calls."""

from __future__ import annotations

from struct import pack

from wingo.binary.buildinfo import parse_build_info
from wingo.binary.functions import read_functions
from wingo.binary.read import open_program
from wingo.check.capabilities import BY_NAME, TABLE, Packages, capabilities
from wingo.testing.programs import PE_BASE, go_functions, make_pe

INFO = parse_build_info(
    "go1.26.1", "path\texample/app/cmd\nmod\texample/app\t(devel)\ndep\texample.com/lib/v2\tv2.0.0\th1:x\n"
)


def found(functions: list[str], calls: list[tuple[int, int]] = (), inlined: list[str] = ()):
    """Capabilities of a program with these functions of 16 bytes; calls are (caller, callee) by number."""
    code = bytearray(b"\xcc" * 16 * len(functions))
    used = {}
    for caller, callee in calls:
        at = 16 * caller + 5 * used.setdefault(caller, 0)
        used[caller] += 1
        code[at : at + 5] = b"\xe8" + pack("<i", 16 * callee - at - 5)
    table = go_functions([(name, 16) for name in functions], text=PE_BASE + 0x1000, inlined=inlined)
    program = open_program(make_pe(code=bytes(code), rdata=table))
    answer = capabilities(program, read_functions(program), INFO)
    return {each.name: (each.functions, each.packages) for each in answer}


def test_a_program_that_can_do_nothing():
    assert found(["main.main", "fmt.Println", "os.(*File).Write"]) == {}


def test_exec_with_who_brings_it():
    functions = ["main.main", "os.StartProcess", "os/exec.(*Cmd).Start", "example.com/lib/v2/run.Do", "os/exec.Command"]
    assert found(functions, [(2, 1), (3, 2), (0, 4)]) == {
        "exec": (("os.StartProcess",), ("example.com/lib/v2/run", "main"))
    }


def test_os_exec_without_a_start_is_no_exec():
    assert found(["main.main", "os/exec.LookPath"], [(0, 1)]) == {}


def test_an_inlined_function_counts():
    assert found(["main.main"], inlined=["os.Create"]) == {"write-files": (("os.Create",), ())}


def test_what_go_itself_does_is_not_told():
    functions = ["main.main", "syscall.SyscallN", "syscall.RegOpenKeyEx", "syscall.(*LazyDLL).Load", "time.initLocal"]
    assert found(functions, [(4, 1), (4, 2), (4, 3)]) == {}
    assert set(found([*functions, "example.com/lib/v2.F"], [(5, 1), (5, 2), (5, 3)])) == {"syscall", "registry", "dll"}


def test_cgo():
    assert found(["main.main", "main._Cfunc_puts", "runtime/cgo.init", "runtime.cgocall"])["cgo"] == (
        ("runtime.cgocall",),
        ("main",),
    )
    # A Windows program without C has the second as well.
    assert found(["main.main", "runtime.cgocall"]) == {}


def test_plugin_and_listen():
    assert set(found(["main.main", "plugin.Open", "net.Listen", "net.(*sysDialer).dialTCP"])) == {
        "plugin",
        "listen",
        "net",
    }


def test_modules():
    packages = Packages(INFO)
    assert packages.module_of("main") == "example/app"
    assert packages.module_of("example/app/internal/x") == "example/app"
    assert packages.module_of("example.com/lib/v2/run") == "example.com/lib/v2"
    assert packages.module_of("example.com/lib/v22") == ""
    assert packages.is_standard("net/http")
    assert packages.is_standard("vendor/golang.org/x/net/dns")
    assert not packages.is_standard("example/app")
    assert not packages.is_standard("main")
    assert not Packages(None).is_standard("github.com/x/y")


def test_the_table_is_sound():
    assert len(BY_NAME) == len(TABLE)
    for each in TABLE:
        assert all("." in name.rpartition("/")[2] for name in (*each.proofs, *each.entries)), each.name
        assert not any("*" in name.removesuffix("*").replace("(*", "") for name in each.entries), each.name
