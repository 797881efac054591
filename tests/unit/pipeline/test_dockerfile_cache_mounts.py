"""Who may use a cache mount's directory at the same time as somebody else (BuildKit `solver/llbsolver/mounts`)."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from wingo.dockerfile.mounts import Mount, MountKind
from wingo.pipeline.content import bytes_content
from wingo.pipeline.dockerfile_cache_mounts import cache_name, held_cache
from wingo.pipeline.dockerfile_files import Found


def _mount(sharing: str, mode: int | None = None) -> Mount:
    return Mount(kind=MountKind.CACHE, target="/c", sharing=sharing, mode=mode)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("shared", "shared", True), ("", "shared", True), ("", "private", False), ("private", "private", False),
     ("private", "shared", False), ("locked", "shared", False), ("locked", "private", False)],
)  # fmt: skip
def test_two_at_once(tmp_path: Path, first: str, second: str, same: bool) -> None:
    with (
        held_cache(str(tmp_path), "name", _mount(first)) as one,
        held_cache(str(tmp_path), "name", _mount(second)) as other,
    ):
        assert (one == other) is same
        assert os.path.isdir(one)
        assert os.path.isdir(other)
    with held_cache(str(tmp_path), "name", _mount(second)) as again:
        assert again == one, "what is free is used again"


@pytest.mark.parametrize("other", ["shared", "private", "locked"])
def test_locked_waits(tmp_path: Path, other: str) -> None:
    entered = threading.Event()

    def use() -> None:
        with held_cache(str(tmp_path), "name", _mount("locked")) as path:
            found.append(path)
            entered.set()

    found: list[str] = []
    thread = threading.Thread(target=use)
    with held_cache(str(tmp_path), "name", _mount(other)) as path:
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(20)
    thread.join()
    assert found == [path]


def test_locked_takes_any_that_is_free(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(held_cache(str(tmp_path), "name", _mount("private")))
        with held_cache(str(tmp_path), "name", _mount("private")) as second:
            pass
        assert stack.enter_context(held_cache(str(tmp_path), "name", _mount("locked"))) == second


def test_caches_are_told_apart(tmp_path: Path) -> None:
    names = {
        cache_name(Mount(kind=MountKind.CACHE, target="/a"), "/a", "shifted"),
        cache_name(Mount(kind=MountKind.CACHE, target="/b"), "/b", "shifted"),
        cache_name(Mount(kind=MountKind.CACHE, target="/b", id="x"), "/b", "shifted"),
        cache_name(Mount(kind=MountKind.CACHE, target="/b"), "/b", "single"),
    }
    assert len(names) == 4
    with (
        held_cache(str(tmp_path), "one", _mount("locked")) as one,
        held_cache(str(tmp_path), "other", _mount("locked")) as other,
    ):
        assert one != other


def test_a_new_directory(tmp_path: Path) -> None:
    first = [Found("d", "directory", 0o755), Found("d/f", "file", 0o644, content=bytes_content(b"seed", "f"))]
    with held_cache(str(tmp_path), "name", _mount("", 0o1777), first) as path:
        assert os.stat(path).st_mode & 0o7777 == 0o1777
        assert Path(path, "d", "f").read_bytes() == b"seed"
        Path(path, "d", "f").write_bytes(b"used")
    with held_cache(str(tmp_path), "name", _mount(""), first) as path:
        assert Path(path, "d", "f").read_bytes() == b"used", "only what is new begins with something"


def test_many_make_it_once(tmp_path: Path) -> None:
    ready = threading.Barrier(6)

    def use(number: int) -> None:
        with held_cache(str(tmp_path), "name", _mount("shared")) as path:
            ready.wait(20)
            Path(path, str(number)).touch()
            ready.wait(20)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(tmp_path / "name")) == list("012345")
