r"""Which Windows paths are taken, and that everything Win32 would read differently is refused."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.paths import check_component, fold, parse_path, path_text, utf16_units


@pytest.mark.parametrize(
    "text", [r"C:\app\x", "c:/app/x", "/app/x", r"app\x", "app/x", r"C:\\app\.\x\\", "./app/x", r"\app\x", "C:/app\\x/"]
)
def test_all_spellings_mean_one_path(text: str) -> None:
    assert parse_path(text) == ("app", "x")
    assert path_text(parse_path(text)) == r"C:\app\x"


@pytest.mark.parametrize("text", ["C:\\", "/", "\\", ".", "c:/"])
def test_the_root_has_no_components(text: str) -> None:
    assert parse_path(text) == ()
    assert path_text(()) == "C:\\"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (r"D:\app", "no drive D:"),
        ("C:app", "relative to whatever"),
        ("C:", "relative to whatever"),
        (r"\\server\share", "network and device"),
        ("//server/share", "network and device"),
        (r"\\?\C:\app", "network and device"),
        (r"\\.\NUL", "network and device"),
        (r"C:\app\..\x", "contains .."),
        ("../x", "contains .."),
        (r"C:\app\x:stream", "alternate data stream"),
        (r"C:\a:b\x", "alternate data stream"),
        ("é:/x", "alternate data stream"),
        (r"C:\app\NUL", "device"),
        (r"C:\nul.txt", "device"),
        (r"C:\aux\x", "device"),
        ("/com1", "device"),
        ("/COM9.log.gz", "device"),
        ("/lpt¹", "device"),
        ("/Com³.x", "device"),
        ("/CONIN$", "device"),
        ("/conout$.txt", "device"),
        ("/prn .txt", "device"),
        ("/x.", "dot"),
        ("/x. /y", "space"),
        ("/x /y", "space"),
        ("/...", "dot"),
        ("/a<b", "'<'"),
        ("/a>b", "'>'"),
        ('/a"b', "'\"'"),
        ("/a|b", "'|'"),
        ("/a?b", "'?'"),
        ("/a*b", "'*'"),
        ("/a\tb", "no Windows file name"),
        ("/a\x00b", "no Windows file name"),
        ("/a\x1f", "no Windows file name"),
        ("/a\ud800b", "Unicode"),
        ("/" + "x" * 256, "255"),
        ("/" + "😀" * 128, "255"),
        ("/x" * 20_000, "32767"),
    ],
)
def test_what_windows_cannot_have_is_refused(text: str, why: str) -> None:
    with pytest.raises(RequestError, match="Windows") as caught:
        parse_path(text)
    assert why in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "CONSOLE",
        "com",
        "com0",
        "COM10",
        "lpt",
        "null",
        "a.nul",
        "xcon",
        ".gitignore",
        "a b",
        "é",
        "x" * 255,
        "😀" * 127,
        "$x",
    ],
)
def test_near_misses_are_fine(name: str) -> None:
    check_component(name)
    assert parse_path(f"C:\\{name}") == (name,)


@pytest.mark.parametrize("name", ["", "a/b", "a\\b"])
def test_a_component_is_one_name(name: str) -> None:
    with pytest.raises(RequestError):
        check_component(name)


def test_the_longest_path_is_taken_and_one_more_unit_is_not() -> None:
    # "Files" + 127 times (separator + 255) = 32517; one more component fills up to 32767.
    stem = "/" + "/".join(["x" * 255] * 127)
    assert parse_path(stem + "/" + "y" * 249)
    with pytest.raises(RequestError, match="32767"):
        parse_path(stem + "/" + "y" * 250)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("App", "aPP", True),
        ("é", "É", True),
        ("ПРИВЕТ", "привет", True),
        ("ÿ", "Ÿ", True),
        ("straße", "STRASSE", False),
        ("ß", "ẞ", False),
        ("ŉ", "\u02bcN", False),
        ("𐐨", "𐐀", False),
        ("e\u0301", "\u00e9", False),
        ("\u00b5", "\u039c", False),
        ("\u0131", "I", False),
        ("a", "b", False),
    ],
)
def test_names_are_compared_as_ntfs_does(left: str, right: str, same: bool) -> None:
    assert (upcase(left) == upcase(right)) is same
    assert (fold((left, "x")) == fold((right, "X"))) is same


def test_upcase_keeps_the_length() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    assert len(upcase(every)) == len(every)
    assert upcase(upcase(every)) == upcase(every)


def test_windows_counts_utf16_units() -> None:
    assert utf16_units("aé😀") == 4
