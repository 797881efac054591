"""Variables without case, and a PATH that keeps Windows."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.windows.environment import keeps_system, merge_environment, path_of

SYSTEM = r"C:\Windows\System32;C:\Windows"


def test_without_a_path_none_is_written() -> None:
    assert merge_environment(None, [("A", "1"), ("B", "")]).variables == ("A=1", "B=")
    assert merge_environment(None, []).variables == ()


def test_names_have_no_case_and_keep_their_place_and_spelling() -> None:
    planned = merge_environment(["Foo=1", "BAR=2"], [("bar", "3"), ("New", "4"), ("FOO", "5"), ("NEW", "6")])
    assert planned.variables == ("Foo=5", "BAR=3", "New=6")
    assert planned.notes == ()


def test_values_may_contain_equals_signs() -> None:
    assert merge_environment(["A=b=c"], [("D", "=e=")]).variables == ("A=b=c", "D==e=")


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        (r"C:\app", rf"C:\app;{SYSTEM}"),
        (rf"C:\app;{SYSTEM}", rf"C:\app;{SYSTEM}"),
        (r"c:\windows\system32\;C:/WINDOWS", r"c:\windows\system32\;C:/WINDOWS"),
        (r"%SystemRoot%\system32;%windir%;C:\x", r"%SystemRoot%\system32;%windir%;C:\x"),
        (r"C:\app;C:\Windows\System32", r"C:\app;C:\Windows\System32;C:\Windows"),
        ("", SYSTEM),
        ("C:/opt/tool;c:/bin", rf"C:/opt/tool;c:/bin;{SYSTEM}"),
        (r"C:\app;%PATH%", rf"C:\app;{SYSTEM}"),
        (r"C:\app;${PATH}", rf"C:\app;{SYSTEM}"),
        (r"$env:Path;C:\app", rf"{SYSTEM};C:\app"),
        (r'"C:\a b";C:\App', rf'"C:\a b";C:\App;{SYSTEM}'),
    ],
)
def test_a_path_keeps_windows(path: str, becomes: str) -> None:
    planned = merge_environment(None, [("Path", path)])
    assert planned.variables == (f"Path={becomes}",)
    assert bool(planned.notes) is (path != becomes)


def test_itself_means_the_bases_path() -> None:
    base = [rf"Path=C:\tools;{SYSTEM}"]
    assert merge_environment(base, [("PATH", r"C:\app;%PATH%")]).variables == (rf"Path=C:\app;C:\tools;{SYSTEM}",)


def test_directories_can_come_first() -> None:
    assert merge_environment(None, [], prepend_path=[r"C:\app"]).variables == (rf"PATH=C:\app;{SYSTEM}",)
    planned = merge_environment([rf"Path=C:\x;{SYSTEM}"], [], prepend_path=[r"C:\a", r"C:\b"])
    assert planned.variables == (rf"Path=C:\a;C:\b;C:\x;{SYSTEM}",)
    for wrong in ("C:\\a;C:\\b", "C:\\a\0"):
        with pytest.raises(RequestError, match="one directory"):
            merge_environment(None, [], prepend_path=[wrong])


LINUX = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize(
    "path",
    [
        LINUX,
        f"{LINUX};C:\\app",
        "/bin:$PATH",
        "$PATH:/usr/local/go/bin",
        "C:\\app:/usr/bin",
        "C:/x;/opt/y",
        "C:/x:/opt/y",
    ],
)
def test_a_path_for_linux_is_refused_when_asked_for(path: str) -> None:
    with pytest.raises(RequestError, match="for Linux") as caught:
        merge_environment(None, [("PATH", path)])
    assert "%PATH%" in caught.value.hint


def test_a_path_for_linux_in_the_base_is_left_out() -> None:
    planned = merge_environment([f"PATH={LINUX}", "A=1"], [])
    assert planned.variables == ("A=1",)
    assert "for Linux" in planned.notes[0]


def test_the_bases_path_is_mended_too() -> None:
    planned = merge_environment([r"PATH=C:\ko-app"], [])
    assert planned.variables == (rf"PATH=C:\ko-app;{SYSTEM}",)
    assert "lacks Windows" in planned.notes[0]


def test_rubbish_in_the_base_is_left_out() -> None:
    planned = merge_environment(["A=1", "rubbish", "=C:=x", "N=\0"], [])
    assert planned.variables == ("A=1",)
    assert len(planned.notes) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "1"), ("A=B", "1"), ("=C:", "1"), ("A\0", "1"), ("A", "1\0"), ("A", "x" * 32_766), ("A" * 32_767, "")],
)
def test_impossible_variables_are_refused(name: str, value: str) -> None:
    with pytest.raises(RequestError):
        merge_environment(None, [(name, value)])


def test_the_longest_variable_is_taken() -> None:
    assert merge_environment(None, [("A", "x" * 32_765)]).variables


def test_the_path_can_be_judged() -> None:
    assert path_of(["A=1"]) is None
    assert path_of(["A=1", r"path=C:\a;;C:\b"]) == (r"C:\a", r"C:\b")
    assert keeps_system([r"C:\app", r"c:\windows\SYSTEM32"])
    assert not keeps_system([r"C:\app", r"C:\Windows"])
