from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import msgspec
import pytest

from wingo.errors import RequestError
from wingo.launch.spec import Mount, RunSpec
from wingo.launch.wine.drive import Names
from wingo.launch.wine.finding import Wine
from wingo.launch.wine.translate import SIGNALS, WindowsExit, beside, ending_of, read_exit, show_code, translate
from wingo.oci.platform import Platform

WINE = Wine("/opt/w/bin/wine64", "/opt/w/bin/wineserver", "wine-8.0", "", 1)
SPEC = RunSpec(
    name="c",
    platform=Platform("windows", "amd64"),
    argv=(r"C:\app\server.exe", "a b", ""),
    env=("GREETING=hi", r"Path=C:\app", "TEMP=C:\\t"),
    cwd=r"C:\Data",
    user="ContainerUser",
    volumes=("C:\\v",),
)


def translated(spec: RunSpec, *folders: str) -> RunSpec:
    return translate(spec, WINE, Names(folders), "ContainerUser")


def variables(spec: RunSpec) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in spec.env)


def test_wine_runs_the_program_from_drive_c() -> None:
    spec = translated(SPEC)
    assert spec.platform == Platform("linux", "amd64")
    assert spec.argv == (WINE.loader, "/wingo/init.exe", r"C:\app\server.exe", "a b", "")
    assert spec.cwd == "/prefix/drive_c"
    assert (spec.user, spec.volumes) == ("", ())
    env = variables(spec)
    assert env["WINEPREFIX"] == "/prefix"
    assert env["USER"] == "ContainerUser"
    assert env["WINGO_DIRECTORY"] == r"C:\Data"
    assert env["WINGO_RESULT"] == r"\\?\unix\run\result"
    assert env["GREETING"] == "hi"


def test_what_wine_would_not_take_over_goes_past_it() -> None:
    env = variables(translated(SPEC))
    assert env["WINGO_SET_PATH"] == r"C:\app"
    assert env["WINGO_SET_TEMP"] == "C:\\t"
    assert "Path" not in env


@pytest.mark.parametrize("name", ["WINEPREFIX", "WINEDLLOVERRIDES", "winedebug", "LC_ALL"])
def test_variables_of_wines_own_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match=name):
        translated(msgspec.structs.replace(SPEC, env=(f"{name}=x",)))


def test_a_whole_command_line_is_split_by_windows_rules() -> None:
    spec = msgspec.structs.replace(SPEC, argv=(r'"C:\a b\x.exe" -d "q\"uote" c:\d\ ', "more"), args_escaped=True)
    assert translated(spec).argv[2:] == (r"C:\a b\x.exe", "-d", 'q"uote', "c:\\d\\", "more")


def test_volumes_are_mounted_on_the_drive_in_its_spelling(tmp_path: Path) -> None:
    (tmp_path / "Data").mkdir()
    spec = msgspec.structs.replace(SPEC, mounts=(Mount(r"C:\DATA\sub", "/host"),))
    assert translated(spec, str(tmp_path)).mounts[-1] == Mount("/prefix/drive_c/Data/sub", "/host")


def test_the_machine_is_seen_read_only_and_no_home() -> None:
    mounts = translated(SPEC).mounts
    assert all(mount.read_only for mount in mounts)
    assert not any(os.path.commonpath([mount.target, "/home"]) == "/home" for mount in mounts)
    assert {"/", "/usr", "/etc"}.isdisjoint(mount.target for mount in mounts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"platform": Platform("windows", "arm64")}, "arm64"),
        ({"read_only": True}, "read-only"),
        ({"mounts": (Mount(r"D:\x", "/host"),)}, "drive D"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        translated(msgspec.structs.replace(SPEC, **change))


@pytest.mark.parametrize(
    ("ending", "number", "status", "says"),
    [
        (1, 0, 0, ""),
        (1, 255, 255, ""),
        (1, 256, 1, ""),
        (1, 0xC0000005, 1, ""),
        (2, 2, 127, "no such file"),
        (2, 193, 126, "no Windows program"),
        (2, 12345, 126, "12345"),
        (3, 2, 126, "working directory"),
    ],
)
def test_how_it_ended(ending: int, number: int, status: int, says: str) -> None:
    ended = read_exit(struct.pack("<II", ending, number), SPEC)
    assert ended is not None
    assert (ended.code, ended.status, bool(ended.problem)) == (number, status, bool(says))
    assert says in ended.problem


def test_a_killed_program_leaves_no_result() -> None:
    assert read_exit(b"", SPEC) is None


@pytest.mark.parametrize(
    ("code", "shown"), [(7, "7"), (0xC0000005, "0xC0000005 (access violation)"), (0xE0000001, "0xE0000001")]
)
def test_codes_for_people(code: int, shown: str) -> None:
    assert show_code(code) == shown
    assert WindowsExit(code, 1).code == code


def upper_with(tmp_path: Path, data: bytes | None) -> str:
    (tmp_path / "run").mkdir()
    if data is not None:
        (tmp_path / "run" / "result").write_bytes(data)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("data", "status", "code", "says"),
    [
        (struct.pack("<II", 1, 7), 7, 7, ""),
        (struct.pack("<II", 1, 0xC0000005), 5, 1, "access violation"),
        (struct.pack("<II", 2, 2), 2, 127, "no such file"),
        (None, 137, 137, ""),
        (None, 0, 0, "without saying"),
        (b"x" * 9, 1, 1, "without saying"),
    ],
)
def test_the_writable_layer_says_how_it_ended(
    tmp_path: Path, data: bytes | None, status: int, code: int, says: str
) -> None:
    found, told = ending_of(SPEC, status, upper_with(tmp_path, data))
    assert found == code
    assert says in told
    assert bool(says) == bool(told)


def test_a_programs_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    upper = upper_with(tmp_path, None)
    secret = tmp_path / "secret"
    secret.write_bytes(struct.pack("<II", 1, 42))
    (tmp_path / "run" / "result").symlink_to(secret)
    assert ending_of(SPEC, 137, upper) == (137, "")
    (tmp_path / "run" / "result").unlink()
    os.mkfifo(tmp_path / "run" / "result")
    assert ending_of(SPEC, 137, upper) == (137, "")


def test_what_is_executed_beside_the_program_does_not_say_how_it_ends() -> None:
    running = translated(SPEC)
    spec = beside(msgspec.structs.replace(running, argv=(*running.argv[:2], "x.exe"), cwd=r"C:\Other"))
    env = variables(spec)
    assert "WINGO_RESULT" not in env
    assert env["WINGO_DIRECTORY"] == r"C:\Other"
    assert spec.cwd == "/prefix/drive_c"


def test_signals_become_console_events() -> None:
    assert SIGNALS[signal.SIGTERM] == ("/run/wingo-shutdown", signal.SIGINT)
    assert SIGNALS[signal.SIGINT] == ("/run/wingo-interrupt", signal.SIGINT)
    assert SIGNALS[signal.SIGUSR1] == ("", 0)
    assert signal.SIGKILL not in SIGNALS
