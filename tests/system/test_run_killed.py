"""`kill -9` of wingo, and of a container's keeper, at each of the five steps of a start: nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.needs import need_tool
from tests.system.containers import MARK, PROGRAMS, WHO, Wingo, build, folder_for, leftovers, settles
from wingo.image.model import Image, images_of
from wingo.launch.usage import descendants
from wingo.stores.layout import Layout
from wingo.testing.registry import Fault, RegistryServer

STALLS = """#!/bin/sh
touch {mark}
exec sleep 60
"""
"""In place of a program that a start waits for."""


@pytest.fixture(scope="module")
def probe() -> Iterator[tuple[str, Image]]:
    with folder_for(os.geteuid()) as folder:
        place = build(PROGRAMS / "probe", folder / f"{MARK}-image")
        tag = json.loads((folder / f"{MARK}-image" / "index.json").read_bytes())["manifests"][0]["annotations"]
        layout = Layout(str(folder / f"{MARK}-image"), tag["org.opencontainers.image.ref.name"])
        yield place, next(images_of(layout.read()))


@pytest.fixture
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    uid = {"root": 0, "own": os.geteuid()}.get(request.param, 65534)
    with folder_for(uid) as folder:
        folder.chmod(0o777)  # what a container's root may mark, too
        yield Wingo(request.param, folder)


@pytest.fixture(autouse=True)
def _nothing_left(wingo: Wingo, probe: tuple[str, Image]) -> Iterator[None]:
    before = leftovers()
    yield
    settles(before)
    # Another start works, and removes what could not be removed by who was killed.
    done = wingo("run", probe[0], "--network", "none", "--", "exit", "3")
    assert done.returncode == 3, done.stderr
    assert wingo.containers == []
    assert not list((wingo.folder / "cache").rglob("*.new"))
    settles(before)


def until(reached: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"it never came so far: {process.communicate()}")
        time.sleep(0.01)


class Slow(RegistryServer):
    """A registry that notes when something slow is asked for."""

    reached = False

    def wait(self, seconds: float) -> None:
        self.reached = True
        super().wait(seconds)


@WHO
@pytest.mark.parametrize("step", ["metadata", "layers"])
def test_while_it_is_fetched(wingo: Wingo, probe: tuple[str, Image], step: str) -> None:
    _, image = probe
    with Slow() as registry:
        registry.add("team/probe:v1", image)
        slow = "/manifests/" if step == "metadata" else image.layers[-1].descriptor.digest
        registry.fail(Fault(method="GET", path=slow, times=-1, delay=30))
        with wingo.start("run", f"{registry.host}/team/probe:v1") as process:
            until(lambda: registry.reached, process)
            process.kill()


@WHO
@pytest.mark.parametrize("victim", ["wingo", "keeper"])
@pytest.mark.parametrize(
    ("tool", "flags"),
    [
        ("fuse-overlayfs", ["--storage", "fuse-overlayfs", "--network", "none"]),
        ("slirp4netns", []),
        (
            "crun",
            ["--engine", "crun", "--network", "none", "-u", "0"],
        ),  # for other users an account without subordinates needs wingo's own
    ],
    ids=["writable", "namespaces", "execute"],
)
def test_while_it_is_made(wingo: Wingo, probe: tuple[str, Image], tool: str, flags: list[str], victim: str) -> None:
    place, _ = probe
    need_tool(tool)
    tools, mark = wingo.folder / "tools", wingo.folder / "reached"
    tools.mkdir()
    (tools / tool).write_text(STALLS.format(mark=mark))
    (tools / tool).chmod(0o755)
    environment = wingo.environment
    wingo.environment = environment | {"PATH": f"{tools}:{environment['PATH']}"}
    try:
        with wingo.start("run", place, *flags) as process:
            until(mark.exists, process)
            keeper = descendants(process.pid)[0]
            os.kill(process.pid if victim == "wingo" else keeper, signal.SIGKILL)
            _, err = process.communicate(timeout=20)
    finally:
        wingo.environment = environment
    if victim == "keeper":
        assert (process.returncode, "the container's keeper was killed" in err) == (3, True), err


@WHO
def test_while_it_runs(wingo: Wingo, probe: tuple[str, Image]) -> None:
    with wingo.start("run", probe[0], "--", "sleep") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sleeping\n"
        process.kill()
