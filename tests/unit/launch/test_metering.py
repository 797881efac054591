from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wingo.launch.metering import Sample, sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
_USES = "x = bytearray(40 << 20); x[::4096] = b'1' * len(x[::4096]); print('up', flush=True); input()"


def test_a_process_and_its_child_are_added_up() -> None:
    argv = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_USES!r}])"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        found = sample(process.pid)
        process.communicate(b"\n")
    assert found.processes == 2
    assert 45 << 20 < found.memory < 400 << 20
    assert found.cpu > 0.001


def test_what_has_ended_counts_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert sample(process.pid) == Sample()
    assert sample(os.getpid()).processes >= 1


def test_the_highest_of_each_is_kept() -> None:
    assert Sample(5, 1.0, 2).highest(Sample(3, 2.0, 1)) == Sample(5, 2.0, 2)
