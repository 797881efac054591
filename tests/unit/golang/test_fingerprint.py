"""One test for each way in which a change could go unseen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from wingo.golang.fingerprint import (
    Binary,
    Difference,
    Glance,
    Kind,
    Observation,
    Record,
    Role,
    Watch,
    binaries_intact,
    compare,
    observe,
    read_record,
    write_record,
)

TICK = 0.012
SOURCE = "package p // 1\n\nvar x = 1\n"


class Watched:
    """A directory with one file of each role, recorded."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.source, self.data, self.rule = top / "a.go", top / "data", top / "go.mod"
        for path in (self.source, self.data, self.rule):
            path.write_text(SOURCE)
        self.elsewhere = top / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "linked.go").write_text(SOURCE)
        (self.elsewhere / "other.go").write_text(SOURCE)
        self.link = top / "link.go"
        self.link.symlink_to(self.elsewhere / "linked.go")
        self.watch = Watch(
            (
                (str(self.source), Role.SOURCE),
                (str(self.data), Role.DATA),
                (str(self.rule), Role.RULE),
                (str(self.link), Role.SOURCE),
                (str(top / "go.work"), Role.RULE),
                (str(top / ".git"), Role.PRESENCE),
            ),
            ((str(top), Kind.SOURCES), (str(top / "embedded"), Kind.ALL)),
        )
        time.sleep(TICK)
        self.record = self.recorded()

    def recorded(self) -> Record:
        seen = self.observed()
        assert not seen.unsettled
        return Record((), seen.files, seen.directories)

    def observed(self) -> Observation:
        mark = self.top / "elsewhere" / "mark"
        mark.write_text("")
        return observe(self.watch, mark.stat(), Glance())

    def difference(self) -> Difference:
        return compare(self.record, Glance())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    made = Watched(tmp_path)
    assert made.difference() == Difference()
    return made


def unseen(path: Path, text: str) -> None:
    """Changes a file but neither its size nor its modification time."""
    times = path.stat()
    assert len(text) == times.st_size
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "relist"),
    [
        (lambda w: unseen(w.source, SOURCE.replace("x = 1", "x = 2")), False),
        (lambda w: unseen(w.data, SOURCE.replace("x = 1", "x = 2")), False),
        (lambda w: unseen(w.rule, SOURCE.replace("x = 1", "x = 2")), True),
        (lambda w: unseen(w.source, SOURCE.replace("package p", "package q")), True),
        (lambda w: unseen(w.elsewhere / "linked.go", SOURCE.replace("x = 1", "x = 2")), False),
        (lambda w: (w.link.unlink(), w.link.symlink_to(w.elsewhere / "other.go")), True),
        (lambda w: (w.source.unlink(), w.source.symlink_to(w.elsewhere / "linked.go")), True),
        (lambda w: (w.link.unlink(), w.link.write_text(SOURCE)), True),
        (lambda w: (w.elsewhere / "linked.go").unlink(), True),
        (lambda w: w.source.unlink(), True),
        (lambda w: (w.top / "go.work").write_text(""), True),
        (lambda w: (w.top / ".git").mkdir(), True),
        (lambda w: (w.top / "new.go").write_text(""), True),
        (lambda w: (w.top / "default.pgo").write_text(""), True),
        (lambda w: (w.top / "new.syso").write_text(""), True),
        (lambda w: (w.top / "embedded").mkdir(), True),
        (lambda w: w.data.chmod(0o700), False),
    ],
)
def test_a_change_is_seen(watched: Watched, change: Callable[[Watched], object], relist: bool) -> None:
    change(watched)
    difference = watched.difference()
    assert difference.reason
    assert difference.relist is relist


@pytest.mark.parametrize(
    "change",
    [
        lambda w: os.utime(w.source),
        lambda w: w.source.chmod(0o600),
        lambda w: (w.source.rename(w.top / "x"), (w.top / "x").rename(w.source)),
        lambda w: (w.source.unlink(), w.source.write_text(SOURCE)),
        lambda w: (w.source.write_text("other"), w.source.write_text(SOURCE)),
    ],
)
def test_new_times_with_old_content_are_no_change(watched: Watched, change: Callable[[Watched], object]) -> None:
    change(watched)
    assert watched.difference() == Difference()


@pytest.mark.parametrize("name", ["README.md", "a_test.go", ".hidden.go", "_x.go", "program.exe"])
def test_names_that_cannot_matter_do_not(watched: Watched, name: str) -> None:
    (watched.top / name).write_text("")
    assert not watched.difference().reason


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.source.write_text(SOURCE),
        lambda w: os.utime(w.data, (1, 1)),
        lambda w: (w.top / "x.go").write_text(""),
        lambda w: (w.elsewhere / "linked.go").write_text(SOURCE),
    ],
)
def test_what_changed_since_the_build_began_is_not_recorded(
    watched: Watched, change: Callable[[Watched], object]
) -> None:
    mark = watched.elsewhere / "mark"
    mark.write_text("")
    began = mark.stat()
    time.sleep(TICK)
    change(watched)
    assert observe(watched.watch, began, Glance()).unsettled


def test_what_changed_in_the_same_tick_is_not_recorded(watched: Watched) -> None:
    watched.source.write_text(SOURCE)
    assert observe(watched.watch, watched.source.stat(), Glance()).unsettled == str(watched.source)


def moment(now: os.stat_result, seconds: float, **other: int) -> os.stat_result:
    """The file system's time so long after another."""
    nanoseconds = int(seconds * 1_000_000_000)
    return cast(
        "os.stat_result",
        SimpleNamespace(
            st_ctime_ns=now.st_ctime_ns + nanoseconds,
            st_mtime_ns=now.st_mtime_ns + nanoseconds,
            st_dev=other.get("st_dev", now.st_dev),
        ),
    )


def test_another_file_systems_clock_is_trusted_only_with_a_look_before(watched: Watched) -> None:
    newest = (watched.elsewhere / "mark").stat()
    elsewhere = newest.st_dev + 1
    assert observe(watched.watch, moment(newest, 1, st_dev=elsewhere), Glance()).unsettled
    assert not observe(watched.watch, moment(newest, 3, st_dev=elsewhere), Glance()).unsettled
    before = Glance()
    compare(watched.record, before)
    for path, _ in watched.watch.files:
        before.stat(path)
    seen = observe(watched.watch, moment(newest, 1, st_dev=elsewhere), before).unsettled
    assert seen in ("", str(watched.link)), "a link's file was not looked at before"


def test_a_record_of_another_version_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "record")
    write_record(path, Record((), version=1))
    assert read_record(path) is None
    assert read_record(str(tmp_path / "none")) is None
    assert sorted(os.listdir(tmp_path)) == ["record"]


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "record")
    write_record(path, Record((), notes=("old",)))

    def full(_one: str, _other: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_record(path, Record((), notes=("new",)))
    record = read_record(path)
    assert record is not None
    assert record.notes == ("old",)
    assert os.listdir(tmp_path) == ["record"]


def test_programs_must_be_as_they_were_left(tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(b"program")
    found = path.stat()
    binary = Binary(str(path), "", found.st_size, "app", "p", "", "m", mtime=found.st_mtime_ns)
    assert binaries_intact(Record((binary,)), Glance())
    assert not binaries_intact(Record(()), Glance()), "no program is nothing to reuse"
    os.utime(path, (1, 1))
    assert not binaries_intact(Record((binary,)), Glance())
    path.unlink()
    assert not binaries_intact(Record((binary,)), Glance())


def test_a_glance_asks_once(tmp_path: Path) -> None:
    glance = Glance()
    assert glance.stat(str(tmp_path / "x")) is None
    (tmp_path / "x").write_text("")
    assert glance.stat(str(tmp_path / "x")) is None
    assert glance.stat_if_seen(str(tmp_path)) is None
