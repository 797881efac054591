"""Locks between threads and between processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from wingo.errors import HostError
from wingo.stores.lock import locked, locked_directory

HOLD = """
import sys, time
from wingo.stores.lock import locked, locked_directory
with (locked if sys.argv[1] == "file" else locked_directory)(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_another_process_waits_until_the_first_ends_or_dies(tmp_path, kind) -> None:
    path = str(tmp_path / "place")
    hold = locked if kind == "file" else locked_directory
    for way in ("ends", "dies"):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, kind, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "held\n"
            got: list[float] = []

            def take(got: list[float] = got) -> None:
                with hold(path):
                    got.append(time.monotonic())

            thread = threading.Thread(target=take)
            thread.start()
            thread.join(0.2)
            assert not got, "the lock is held by the other process"
            if way == "ends":
                process.stdin.write("\n")
                process.stdin.close()
            else:
                process.kill()
            thread.join(20)
            assert got


@pytest.mark.parametrize("hold", [locked, locked_directory])
def test_threads_take_turns(tmp_path, hold) -> None:
    path, inside, most = str(tmp_path / "place"), [], []

    def work() -> None:
        with hold(path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 10


def test_a_directory_that_its_holder_removed_is_made_anew(tmp_path) -> None:
    path = str(tmp_path / "place")
    order: list[str] = []

    def second() -> None:
        with locked_directory(path):
            order.append("second")
            assert os.path.isdir(path)

    with locked_directory(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
        shutil.rmtree(path)
    thread.join(20)
    assert order == ["first", "second"]


def test_a_place_that_cannot_be_locked(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError), locked(str(tmp_path / "file" / "lock")):
        pass
    with pytest.raises(HostError), locked_directory(str(tmp_path / "file")):
        pass
