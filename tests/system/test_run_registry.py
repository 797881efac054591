"""`wingo run` straight from a registry, and through a policy's hook: what stands between a reference and a process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers import olareg
from tests.needs import need_tool
from tests.system.containers import MARK, PROGRAMS, WHO, Wingo, build, folder_for, leftovers, settles
from wingo.image.model import Image, images_of
from wingo.oci.digest import Digest
from wingo.stores.layout import Layout
from wingo.testing.images import file_entry, image_of, layer_of
from wingo.testing.registry import Fault, RegistryServer

CHECKED = f"{MARK}-checked"


@pytest.fixture(scope="module")
def probe() -> Iterator[Path]:
    with folder_for(os.geteuid()) as folder:
        build(PROGRAMS / "probe", folder / "image", ".", "--data-dir", "/data")
        yield folder / "image"


@pytest.fixture
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    """A new one for each test: nothing is in its cache."""
    before = leftovers()
    uid = {"root": 0, "own": os.geteuid()}.get(request.param, 65534)
    with folder_for(uid) as folder:
        found = Wingo(request.param, folder)
        yield found
        settles(before)
        assert found.containers == []


class Meeting(RegistryServer):
    """A registry that sends no layer before all have been asked for: who fetches one after the other waits in vain."""

    def __init__(self, layers: set[Digest]) -> None:
        super().__init__()
        self._layers, self._missing, self._all = layers, {*layers}, threading.Event()

    def fault_for(self, method: str, path: str) -> Fault | None:
        digest = Digest(path.rpartition("/")[2])
        if method == "GET" and "/blobs/" in path and digest in self._layers:
            self._missing.discard(digest)
            if not self._missing:
                self._all.set()
            if not self._all.wait(10):
                return Fault(status=500)
        return super().fault_for(method, path)


def four_layers(layout: Path) -> Image:
    """The program's image, with two more layers."""
    tag = json.loads((layout / "index.json").read_bytes())["manifests"][0]["annotations"]
    (image,) = images_of(Layout(str(layout), tag["org.opencontainers.image.ref.name"]).read())
    config = json.loads(image.config_bytes)
    del config["rootfs"], config["history"]
    more = [layer_of([file_entry(f"more{number}", os.urandom(200_000))]) for number in range(2)]
    return image_of([*image.layers, *more], config)


@WHO
def test_layers_of_a_registry_are_streamed_side_by_side(wingo: Wingo, probe: Path) -> None:
    image = four_layers(probe)
    assert len(image.layers) == 4
    with Meeting({layer.descriptor.digest for layer in image.layers}) as registry:
        registry.add("team/probe:v1", image)
        reference = f"{registry.host}/team/probe:v1"
        run = ["run", reference, "--jobs", "4", "--network", "none", "--explain", "--", "exit", "7"]
        first = wingo(*run)
        assert first.returncode == 7, first.stderr
        assert "4 layers, 4 of them unpacked now" in first.stderr
        registry.forget()
        again = wingo(*run)
        assert (again.returncode, "4 layers, 0 of them unpacked now" in again.stderr) == (7, True), again.stderr
        assert registry.asked("GET", "/blobs/") == []
    gone = wingo(*run)
    assert gone.returncode == 4, gone.stderr
    assert wingo(*run[:-3], "--offline", "--", "exit", "8").returncode == 8


@WHO
def test_a_layer_that_is_another_ones_is_refused(wingo: Wingo, probe: Path) -> None:
    image = four_layers(probe)
    digest = image.layers[2].descriptor.digest

    with RegistryServer() as registry:
        registry.add("team/probe:v1", image)
        registry.fail(Fault(method="GET", path=digest, times=-1, flip=True))
        run = ["run", f"{registry.host}/team/probe:v1", "--network", "none", "--", "exit", "9"]
        done = wingo(*run)
        assert done.returncode == 5, done.stderr
        assert digest in done.stderr
        registry.heal()
        assert wingo(*run).returncode == 9
    assert not list((wingo.folder / "cache").rglob("*.new"))  # what was under way then was begun anew


@WHO
def test_from_a_real_registry(wingo: Wingo, probe: Path, tmp_path: Path) -> None:
    with olareg(tmp_path / "olareg", need_tool("olareg")) as port:
        reference = f"127.0.0.1:{port}/team/probe:v1"
        copied = wingo("copy", f"oci:{probe}", reference)
        assert copied.returncode == 0, copied.stderr
        done = wingo("run", reference, "--network", "none", "--", "print", "from olareg")
    assert (done.returncode, done.stdout) == (0, "[from olareg]\n"), done.stderr


HOOK = """
function admit(event) {
  if (event.user === "0") return "nobody runs as root here";
  return event.image.labels.team === undefined && event.role === "server";
}
function transform(event) {
  return { env: { RUN_BY: event.role, SAW: event.env.join(" ") }, labels: { "checked.by": "hook " + event.name } };
}
"""
TABLE = """
hook = "hook.js"

[roles.server]
exec = ["/app"]
network = "none"

[roles.other]
exec = ["/app"]
"""


@WHO
def test_a_hook_decides_and_adds(wingo: Wingo, probe: Path) -> None:
    for name, text in (("table.toml", TABLE), ("hook.js", HOOK)):
        (wingo.folder / name).write_text(text)
        (wingo.folder / name).chmod(0o644)
    run = ["run", f"oci:{probe}", "--policy", "table.toml", "--network", "none", "-e", "SECRET=hidden"]
    done = wingo(*run, "--role", "server", "--name", CHECKED, "--", "info")
    assert done.returncode == 0, done.stderr
    variables = dict(item.partition("=")[::2] for item in json.loads(done.stdout)["env"])
    assert variables["RUN_BY"] == "server"
    assert "SECRET" in variables["SAW"]
    assert "hidden" not in variables["SAW"]
    (listed,) = json.loads(wingo("ps", "-a", "--json").stdout)
    assert listed["labels"] == {"checked.by": f"hook {CHECKED}"}
    assert wingo("stop", "--rm", CHECKED).returncode == 0
    for flags, words in (
        (["--role", "server", "-u", "0"], "the hook hook.js does not admit this: nobody runs as root here"),
        (["--role", "other"], "the hook hook.js does not admit this: it did not say why"),
    ):
        refused = wingo(*run, *flags, "--", "exit", "0")
        assert (refused.returncode, words in refused.stderr) == (6, True), refused.stderr
    # A change holds for the next start; what is wrong with it stops the start, and never lets it through.
    for text, words in (
        ("function admit() { while (true) {} }", "hook.js"),
        ("function admit() { return require('fs'); }", "hook.js"),
        ("function admit( {", "hook.js"),
        ("function transform() { return { user: '0' }; }", "env and labels alone"),
    ):
        (wingo.folder / "hook.js").write_text(text)
        refused = wingo(*run, "--role", "server", "--", "exit", "0")
        assert refused.returncode not in (0, 1), refused.stderr
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
    (wingo.folder / "hook.js").unlink()
    assert wingo(*run, "--role", "server", "--", "exit", "0").returncode in (2, 3)
    assert wingo.containers == []
