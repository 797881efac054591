"""Images that want out: links where something is mounted, layers that write elsewhere, set-id bits; and other identities."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import missing, need_tool
from tests.system.containers import PROGRAMS, WHO, Wingo, build, folder_for
from wingo.archive.entry import Entry, EntryKind
from wingo.image.model import images_of
from wingo.stores.layout import Layout
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of


@pytest.fixture(scope="module")
def probe() -> Iterator[Path]:
    with folder_for(os.geteuid()) as folder:
        build(PROGRAMS / "probe", folder / "image")
        yield folder / "image"


@pytest.fixture(scope="module")
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    uid = {"root": 0, "own": os.geteuid()}.get(request.param, 65534)
    with folder_for(uid) as folder:
        yield Wingo(request.param, folder)


def with_layer(probe: Path, target: Path, entries: list[Entry], user: str = "0") -> str:
    """The program's image with one more layer."""
    tag = json.loads((probe / "index.json").read_bytes())["manifests"][0]["annotations"][
        "org.opencontainers.image.ref.name"
    ]
    (image,) = images_of(Layout(str(probe), tag).read())
    config = json.loads(image.config_bytes)
    config["config"]["User"] = user
    del config["rootfs"], config["history"]
    Layout(str(target)).write(image_of([*image.layers, layer_of(entries)], config), ["latest"])
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    return f"oci:{target}"


@WHO
@pytest.mark.parametrize("engine", ["crun", "wingo"])
def test_links_do_not_lead_mounts_out(wingo: Wingo, probe: Path, engine: str) -> None:
    if engine == "crun":
        need_tool("crun")
    outside = wingo.folder / f"outside-{engine}"
    outside.mkdir()
    os.chown(outside, wingo.uid, -1)
    with folder_for(os.geteuid()) as folder:
        image = with_layer(
            probe,
            folder / "linked",
            [
                Entry("data", EntryKind.SYMLINK, link_target=str(outside)),
                Entry("up", EntryKind.SYMLINK, link_target="../../../../../../../.." + str(outside)),
                Entry("etc/hosts", EntryKind.SYMLINK, link_target=f"{outside}/hosts"),
                Entry("etc/resolv.conf", EntryKind.SYMLINK, link_target="/proc/1/root/etc/resolv.conf"),
            ],
        )
        volume = wingo.folder / f"volume-{engine}"
        volume.mkdir()
        os.chown(volume, wingo.uid, -1)
        for target in ("/data", "/up/deep", "/data/x"):
            flags = ["-v", f"{volume}:{target}", "--engine", engine, "--network", "none"]
            wingo("run", image, *flags, "--", "write", f"{target}/new", "x")
        wingo("run", image, "--engine", engine, "--", "write", "/data/direct", "x")
    assert os.listdir(outside) == []
    assert not os.path.exists("/new")


@WHO
def test_a_layer_that_leads_out_is_refused(wingo: Wingo, probe: Path) -> None:
    name = uuid.uuid4().hex
    with folder_for(os.geteuid()) as folder:
        for number, entries in enumerate(
            (
                [file_entry("ok"), Entry("x", EntryKind.HARDLINK, link_target="../../../../../../etc/passwd")],
                [Entry("x", EntryKind.SYMLINK, link_target="/tmp"), file_entry(f"x/{name}", b"out")],
            )
        ):
            image = with_layer(probe, folder / f"bad{number}", entries)
            done = wingo("run", image, "--network", "none", "--", "exit", "0")
            assert done.returncode in (0, 5), done.stderr
    assert not os.path.exists(f"/tmp/{name}")
    assert not list((wingo.folder / "cache").rglob("*.new"))


@WHO
def test_set_id_bits_do_nothing(wingo: Wingo, probe: Path) -> None:
    """A program with a set-user-id bit is started by another user, and stays that user."""
    with folder_for(os.geteuid()) as folder:
        program = (probe_program(probe, folder)).read_bytes()
        image = with_layer(
            probe, folder / "setid", [directory_entry("bin"), file_entry("bin/root", program, mode=0o6755)], "4242"
        )
        done = wingo("run", image, "--network", "none", "--", "run", "/bin/root", "info")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["uid"] == 4242


def probe_program(probe: Path, folder: Path) -> Path:
    tag = json.loads((probe / "index.json").read_bytes())["manifests"][0]["annotations"][
        "org.opencontainers.image.ref.name"
    ]
    need_tool("umoci")
    argv = ["umoci", "raw", "unpack", "--rootless", "--image", f"{probe}:{tag}", str(folder / "raw")]
    subprocess.run(argv, check=True, capture_output=True)
    return folder / "raw" / "app" / "probe"


def test_an_account_with_subordinate_users(probe: Path) -> None:
    """Made by the test: needs root, for useradd."""
    if os.geteuid() != 0:
        missing("root, who alone makes accounts")
    for tool in ("newuidmap", "useradd", "userdel"):
        need_tool(tool) if os.path.exists(f"/usr/bin/{tool}") else os.path.exists(f"/usr/sbin/{tool}") or missing(tool)
    name = f"wingo{os.getpid()}"
    subprocess.run(["/usr/sbin/useradd", "-M", name], check=True)
    import pwd

    uid = pwd.getpwnam(name).pw_uid
    for path in ("/etc/subuid", "/etc/subgid"):
        with open(path, "a", encoding="utf-8") as file:
            if not any(line.startswith(f"{name}:") for line in Path(path).read_text().splitlines()):
                file.write(f"{name}:{uid * 65536}:65536\n")
    try:
        with folder_for(uid) as folder, folder_for(0) as other:
            wingo = Wingo("ordinary", folder)
            wingo.uid = uid
            image = with_layer(probe, other / "owned", [Entry("owned", EntryKind.DIRECTORY, 0o700, 33, 44)], "33:44")
            for engine in ("crun", "runc", "wingo"):
                done = wingo("run", image, "--engine", engine, "--network", "none", "--", "write", "/owned/x", "y")
                assert done.returncode == 0, done.stderr
            found = json.loads(wingo("run", image, "-u", "1000:1001", "--", "info").stdout)
            assert (found["uid"], found["gid"]) == (1000, 1001)
            assert wingo("run", image, "-u", "34", "--", "write", "/owned/x", "y").returncode == 1
            assert wingo.containers == []
    finally:
        subprocess.run(["/usr/sbin/userdel", name], check=False, capture_output=True)
        for path in ("/etc/subuid", "/etc/subgid"):
            lines = Path(path).read_text().splitlines(keepends=True)
            Path(path).write_text("".join(line for line in lines if not line.startswith(f"{name}:")))
