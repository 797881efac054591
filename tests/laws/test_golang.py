"""Laws of the input fingerprint, without go: what it calls unchanged is unchanged."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.golang.environment import split_flags
from wingo.golang.fingerprint import (
    Glance,
    Kind,
    Record,
    Role,
    Watch,
    compare,
    observe,
    read_record,
    relevant_name,
    write_record,
)
from wingo.golang.git import web_address
from wingo.golang.gosource import head
from wingo.golang.templates import fill, names_in

TICK = 0.012
NAMES = ("a.go", "b.go", "b_test.go", ".x.go", "data", "go.mod", "go.sum", "sub/c.go", "sub/d", "sub/deep/e.go")
CONTENTS = ("package a\n", "package b\n", 'package a\n\nimport "os"\n', "package a // 1\n", "")
WATCH = Watch(
    (
        ("a.go", Role.SOURCE),
        ("data", Role.DATA),
        ("go.mod", Role.RULE),
        ("sub/c.go", Role.SOURCE),
        ("sub/deep", Role.PRESENCE),
    ),
    ((".", Kind.SOURCES), ("sub", Kind.TREE), ("sub/deep", Kind.ALL)),
)

_edits = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("same times"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("touch"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("link"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def apply(top: Path, edit: tuple[str, str, str]) -> None:
    verb, name, value = edit
    path = top / name
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns) if path.exists() else None
    if verb in ("write", "same times"):
        if path.is_symlink() and not path.exists():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
        if verb == "same times" and times is not None:
            os.utime(path, ns=times)
    elif verb == "touch" and times is not None:
        os.utime(path)
    elif verb == "remove" and os.path.lexists(path):
        path.unlink()
    elif verb == "rename" and path.exists():
        (top / value).parent.mkdir(parents=True, exist_ok=True)
        path.replace(top / value)
    elif verb == "link" and name != value and (top / value).is_file() and not (top / value).is_symlink():
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(top / value)


def absolute(top: Path) -> Watch:
    return Watch(
        tuple((str(top / path), role) for path, role in WATCH.files),
        tuple((str(top / path), kind) for path, kind in WATCH.directories),
    )


def meaning(top: Path) -> list[object]:
    """What the watched files and directories are, read plainly."""
    seen: list[object] = []
    for name, role in WATCH.files:
        path = top / name
        if role is Role.PRESENCE:
            seen.append((path.is_dir(), os.path.lexists(path)))
        else:
            seen.append((path.is_symlink(), path.read_bytes() if path.is_file() else None))
    for name, kind in WATCH.directories:
        folder = top / name
        entries = []
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            letter = "l" if entry.is_symlink() else "d" if entry.is_dir() else "f"
            if kind is Kind.ALL or relevant_name(entry.name, letter, kind):
                entries.append((entry.name, letter))
        seen.append((folder.is_dir(), entries))
    return seen


def recorded(top: Path, folder: Path) -> Record | None:
    began = folder / "began"
    began.write_text("")
    seen = observe(absolute(top), began.stat(), Glance())
    return None if seen.unsettled else Record((), seen.files, seen.directories)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_edits, max_size=6), st.lists(_edits, max_size=4), st.booleans())
def test_unchanged_means_unchanged(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]], late: bool
) -> None:
    with scratch() as folder:
        top = folder / "top"
        for name in ("a.go", "data", "go.mod", "sub/c.go", "sub/deep/e.go"):
            apply(top, ("write", name, CONTENTS[0]))
        for edit in before:
            apply(top, edit)
        was = meaning(top)
        if late:
            time.sleep(TICK)
        record = recorded(top, folder)
        dangling = any((top / name).is_symlink() and not (top / name).exists() for name, _ in WATCH.files)
        assert record is not None or not late or dangling, "what rests longer than a tick is settled"
        if record is None:
            return
        for edit in after:
            apply(top, edit)
        difference = compare(record, Glance())
        assert (difference.reason == "") == (meaning(top) == was), difference
        write_record(str(folder / "record"), record)
        assert read_record(str(folder / "record")) == record


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_record_is_no_record(data: st.DataObject) -> None:
    with scratch() as folder:
        path = folder / "record"
        write_record(str(path), Record((), notes=("a note",)))
        whole = path.read_bytes()
        position = data.draw(st.integers(0, len(whole) - 1))
        kind = data.draw(st.sampled_from(("flip", "cut", "more")))
        if kind == "flip":
            broken = bytearray(whole)
            broken[position] ^= data.draw(st.integers(1, 255))
        else:
            broken = bytearray(whole[:position] if kind == "cut" else whole + b"x")
        path.write_bytes(broken)
        assert read_record(str(path)) is None


_comments = st.sampled_from(("", "\n", "// c\n", '/* import "x" */ ', "/*\n*/\n", "\t\n"))
_specs = st.sampled_from(('"fmt"', '_ "embed"', '. "os"', "x `a/b`", 'y "a/c" // import "z"\n'))
_bodies = st.sampled_from(("var x = 1\n", "func f() { import_() }\n", 'var s = `\nimport "os"\n`\n', "// import\n", ""))


@st.composite
def _heads(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(("", "//go:build windows\n\n", "\ufeff"))) + draw(_comments) + "package p\n"
    for _ in range(draw(st.integers(0, 3))):
        text += draw(_comments)
        if draw(st.booleans()):
            text += "import " + draw(_specs) + "\n"
        else:
            text += (
                "import (\n"
                + "".join(draw(_comments) + draw(_specs) + "\n" for _ in range(draw(st.integers(0, 3))))
                + ")\n"
            )
    return text


@given(_heads(), _heads(), _bodies, _bodies, st.sampled_from(("", "//go:embed a\n", "\t//go:embed b c\n")))
def test_a_head_is_all_but_the_body(one: str, other: str, body: str, change: str, embed: str) -> None:
    assert head((one + body).encode()) == head((one + change).encode())
    if embed:
        assert head((one + body + embed).encode()) != head((one + change).encode())
    if one.split() != other.split():
        assert head((one + "var x = 1\n").encode()) != head((other + "var x = 1\n").encode())


@given(
    st.lists(st.text(st.characters(exclude_categories=("Z", "C"), exclude_characters="'\""), min_size=1), max_size=5)
)
def test_plain_flags_are_split_at_spaces(words: list[str]) -> None:
    assert split_flags("  ".join(words)) == words
    assert split_flags(" ".join(f"'{word} x'" for word in words)) == [f"{word} x" for word in words]


@given(st.text(max_size=40).filter(lambda text: "{{" not in text))
def test_text_without_templates_stays(text: str) -> None:
    assert names_in([text]) == frozenset()
    assert fill(text, {}, {}) == text


@given(st.text("abc:@/.-_?&= ", max_size=40), st.sampled_from(("https://", "ssh://", "git@", "")))
def test_no_credential_survives_in_an_address(rest: str, scheme: str) -> None:
    address = web_address(f"{scheme}user:hunter2@{rest}")
    assert "hunter2" not in address
    assert address == "" or address.startswith("https://")
