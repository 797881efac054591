"""Whatever the Windows room is asked for: it refuses, or what it writes passes the independent verifier."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier import verify_layer
from wingo.archive.entry import Content
from wingo.archive.pack import pack
from wingo.errors import RequestError
from wingo.windows.layer import plan_layer
from wingo.windows.requests import (
    DATA,
    READ_ONLY,
    UNSAID,
    HiveDelta,
    LayerRequest,
    Whiteout,
    WindowsDirectory,
    WindowsFile,
    WindowsHardLink,
    WindowsJunction,
    WindowsSymlink,
)

EPOCH = 1_700_000_000
# Few names, so that requests meet.
ALLOWED = st.sampled_from(
    [
        *("app", "bin", "data", "lib.dll", "whoami.exe", "a b", "\u00e9", "ProgramData", "Windows", "Users", "Files"),
        *("APP", "\u00c9", "\u0131", "ss", "\u00df", "x" * 255, "Hives", "UtilityVM"),
    ]
)
REFUSED = st.sampled_from(
    [
        *("nul", "NUL.txt", "com1", "conin$", "aux.", "x.", "y ", ".wh.x", ".wh..wh..opq", "a:b", "what?", "..", "."),
        *("x" * 256, "\U0001f600" * 128, "a\tb"),
    ]
)
NAMES = st.one_of(ALLOWED, REFUSED)


def paths(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda root, parts: root + "\\".join(parts),
        st.sampled_from(["C:\\", "c:/", "/"]),
        st.lists(names, min_size=1, max_size=3),
    )


PATHS = paths(NAMES)
LINK_TARGETS = st.one_of(PATHS, NAMES, st.builds("..\\{}".format, NAMES))
SOURCE = "a test"


def content(data: bytes) -> Content:
    return Content(size=len(data), open=lambda: io.BytesIO(data), origin="memory")


def requests() -> st.SearchStrategy[LayerRequest]:
    access = st.sampled_from([UNSAID, READ_ONLY])
    return st.one_of(
        st.builds(
            WindowsFile, path=PATHS, content=st.just(content(b"x" * 700)), attributes=access, source=st.just(SOURCE)
        ),
        st.builds(WindowsDirectory, path=PATHS, attributes=access, source=st.just(SOURCE)),
        st.builds(WindowsSymlink, path=PATHS, target=LINK_TARGETS, directory=st.booleans(), source=st.just(SOURCE)),
        st.builds(WindowsJunction, path=PATHS, target=LINK_TARGETS, source=st.just(SOURCE)),
        st.builds(WindowsHardLink, path=PATHS, target=PATHS, source=st.just(SOURCE)),
        st.builds(Whiteout, path=PATHS, source=st.just(SOURCE)),
        st.builds(
            HiveDelta,
            name=st.sampled_from(["SYSTEM", "SOFTWARE"]),
            content=st.just(content(b"regf")),
            source=st.just(SOURCE),
        ),
    )


@st.composite
def trees(draw: st.DrawFn) -> list[LayerRequest]:
    """Mostly good: different paths, links to what is there."""
    files = draw(st.lists(paths(ALLOWED), min_size=1, max_size=4, unique=True))
    others = draw(st.lists(paths(ALLOWED), max_size=3, unique=True))
    wanted: list[LayerRequest] = [WindowsFile(path=path, content=content(b"x"), source=SOURCE) for path in files]
    for path in others:
        target = draw(st.sampled_from(files))
        wanted.append(
            draw(
                st.sampled_from(
                    [
                        WindowsSymlink(path=path, target=target, directory=False, source=SOURCE),
                        WindowsSymlink(path=path, target="C:\\elsewhere", directory=True, source=SOURCE),
                        WindowsJunction(path=path, target="C:\\elsewhere", source=SOURCE),
                        WindowsHardLink(path=path, target=target, source=SOURCE),
                        WindowsDirectory(path=path, attributes=READ_ONLY, source=SOURCE),
                        Whiteout(path=path, source=SOURCE),
                    ]
                )
            )
        )
    return wanted


def packed(wanted: list[LayerRequest], path: Path) -> Path:
    recipe = plan_layer(wanted, epoch=EPOCH, created_by="a test").recipe
    with path.open("wb") as out:
        pack(recipe, out)
    return path


@settings(max_examples=400, deadline=None)
@given(wanted=st.one_of(st.lists(requests(), max_size=6), trees(), trees()))
def test_what_is_not_refused_is_right(tmp_path_factory: pytest.TempPathFactory, wanted: list[LayerRequest]) -> None:
    path = tmp_path_factory.getbasetemp() / "law-layer"
    try:
        packed(wanted, path)
    except RequestError:
        return
    assert verify_layer(path, epoch=EPOCH) == []


def test_one_of_everything(tmp_path: Path) -> None:
    """The law alone could refuse everything; this must pass, and have each kind of entry in it."""
    program = "C:\\app\\whoami.exe"
    path = packed(
        [
            WindowsFile(path=program, content=content(b"MZ"), source=SOURCE),
            WindowsSymlink(path="C:\\app\\latest.exe", target="whoami.exe", directory=False, source=SOURCE),
            WindowsSymlink(path="C:\\bin", target="C:\\app", directory=True, source=SOURCE),
            WindowsJunction(path="C:\\state", target="C:\\data\\state", source=SOURCE),
            WindowsHardLink(path="C:\\app\\other.exe", target=program, source=SOURCE),
            WindowsDirectory(path="C:\\data", attributes=DATA, source=SOURCE),
            WindowsFile(path="C:\\data\\state\\first.db", content=content(b"1"), source=SOURCE),
            WindowsFile(path="C:\\ProgramData\\app\\settings.ini", content=content(b"1"), source=SOURCE),
            Whiteout(path="C:\\License.txt", source=SOURCE),
            HiveDelta(name="SYSTEM", content=content(b"regf"), source=SOURCE),
        ],
        tmp_path / "layer",
    )
    assert verify_layer(path, epoch=EPOCH, writable=["Files/data"]) == []
    missing = {finding.code for finding in verify_layer(path, epoch=EPOCH)}
    assert missing == {"writable-by-users"}, "a data directory is writable, and was not declared"
