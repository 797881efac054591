from __future__ import annotations

from pathlib import Path

import pytest

from wingo.launch.surroundings import Surroundings, look_around


def machine(tmp_path: Path, **files: str) -> Surroundings:
    """What is found where these files are, named by their path with '__' for '/'."""
    root = tmp_path / "root"
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder = tmp_path / "here"
    folder.mkdir()
    return look_around(str(folder), {"GOMEMLIMIT": "1GiB"}, str(root))


def test_version_2_with_limits_above(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        proc__self__cgroup="0::/pod/app\n",
        proc__meminfo="MemTotal:       16384 kB\n",
        **{
            "sys__fs__cgroup__pod__cpu.max": "50000 100000\n",
            "sys__fs__cgroup__pod__cpu.stat": "nr_periods 200\nnr_throttled 30\n",
            "sys__fs__cgroup__pod__app__cpu.max": "max 100000\n",
            "sys__fs__cgroup__pod__app__memory.max": "8388608\n",
            "sys__fs__cgroup__pod__app__memory.current": "4194304\n",
            "sys__fs__cgroup__pod__memory.max": "max\n",
        },
    )
    assert (found.cpu_quota, found.throttled) == (0.5, (30, 200))
    assert (found.memory, found.memory_limit, found.memory_used) == (16 << 20, 8 << 20, 4 << 20)
    assert found.gomemlimit == "1GiB"
    assert found.file_micros > 0


def test_version_1(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        proc__self__cgroup="4:memory:/a\n3:cpu,cpuacct:/a\n",
        proc__meminfo="MemTotal:       16384 kB\n",
        **{
            "sys__fs__cgroup__cpu__a__cpu.cfs_quota_us": "150000\n",
            "sys__fs__cgroup__cpu__a__cpu.cfs_period_us": "100000\n",
            "sys__fs__cgroup__memory__a__memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert found.cpu_quota == 1.5
    assert found.memory_limit == 0


@pytest.mark.parametrize(
    ("release", "wsl"),
    [("5.15.0-microsoft-standard-WSL2", "2"), ("4.4.0-19041-Microsoft", "1"), ("6.1.0-13-amd64", "")],
)
def test_wsl_is_told_by_the_kernel(tmp_path: Path, release: str, wsl: str) -> None:
    assert machine(tmp_path, proc__sys__kernel__osrelease=release).wsl == wsl


def test_the_nearest_mount_says_which_file_system(tmp_path: Path) -> None:
    here = str(tmp_path / "here").replace(" ", "\\040")
    found = machine(tmp_path, proc__self__mounts=f"a / ext4 rw 0 0\nb {here} 9p rw 0 0\nc {here}-other tmpfs rw 0 0\n")
    assert (found.filesystem, found.slow_filesystem) == ("9p", True)


def test_nothing_is_known_without_files(tmp_path: Path) -> None:
    found = machine(tmp_path, other="")
    assert (found.cpu_quota, found.memory, found.memory_limit, found.wsl, found.container) == (0.0, 0, 0, "", False)
