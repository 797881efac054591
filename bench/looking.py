"""`python -m bench.looking`: an image of 120,000 files is listed, by us and by what asks the same question.

The image has one layer like a Windows base's: security descriptors, attributes and times in PAX records, half a kilobyte of
content in each file. Each piece of work runs in a process of its own, its interpreter's start included; rounds are paired.
dive and syft are taken from .tools/bin where `scripts/go-peers.sh dive syft` has put them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import Row, compared, markdown
from wingo.stores.layout import Layout
from wingo.testing.images import image_of, layer_of_tar
from wingo.windows.sddl import sddl_bytes
from wingo.windows.security import READ_ONLY_DIRECTORY, READ_ONLY_FILE

ROOT = Path(__file__).resolve().parents[1]
FILES = 120_000
_FOLDERS = 2_000
_EPOCH = 1_704_758_400


def image_tar(files: int, os_name: str) -> bytes:
    """The layer's tar: as many files, in folders, with the records of a Windows layer or none."""
    import base64

    source = random.Random(20)
    windows = os_name == "windows"
    descriptors = [base64.b64encode(sddl_bytes(text)).decode() for text in (READ_ONLY_FILE, READ_ONLY_DIRECTORY)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def put(name: str, data: bytes | None) -> None:
            info = tarfile.TarInfo(name)
            info.mtime = _EPOCH + source.randrange(10**7)
            if windows:
                times = {
                    key: f"{info.mtime}.{source.randrange(10**7):07}"
                    for key in ("atime", "ctime", "LIBARCHIVE.creationtime")
                }
                info.pax_headers = {
                    **times,
                    "MSWINDOWS.fileattr": "32" if data is not None else "16",
                    "MSWINDOWS.rawsd": descriptors[data is None],
                }
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

        top = "Files/Windows/WinSxS" if windows else "usr/share/data"
        parts = top.split("/")
        for depth in range(1, len(parts) + 1):
            put("/".join(parts[:depth]), None)
        if windows:
            put("Hives", None)
        for folder in range(_FOLDERS):
            put(f"{top}/amd64_component-{folder:05}_31bf3856ad364e35", None)
            for number in range(files // _FOLDERS):
                data = source.randbytes(64) * 8
                put(f"{top}/amd64_component-{folder:05}_31bf3856ad364e35/file-{number:04}.dll", data)
    return buffer.getvalue()


def timed(argv: list[str], environment: dict[str, str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> int:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=FILES)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for system in ("windows", "linux"):
            rows += measured(Path(folder) / system, system, options)
    print(markdown(rows, {}))
    return 0


def measured(folder: Path, system: str, options: argparse.Namespace) -> list[Row]:
    """The rows of one image."""
    folder.mkdir()
    tar = image_tar(options.files, system)
    layer = layer_of_tar(tar)
    Layout(str(folder / "image")).write(image_of([layer], {"os": system, "architecture": "amd64"}), ["v1"])
    (folder / "layer.tar.gz").write_bytes(gzip.compress(tar, 1))
    cache = folder / "cache"
    environment = {**os.environ, "WINGO_CACHE_DIR": str(cache), "HOME": str(folder), "PATH": _path()}
    listing = [sys.executable, "-m", "wingo", "ls", f"oci:{folder / 'image'}:v1", "-r", "-l"]
    if shutil.which("wingo", path=environment["PATH"]):
        listing[:3] = ["wingo"]

    def cold() -> float:
        shutil.rmtree(cache, ignore_errors=True)
        return timed(listing, environment)

    peers: dict[str, Callable[[], float]] = {
        "tar -tvzf, of the layer alone": lambda: timed(["tar", "-tvzf", str(folder / "layer.tar.gz")], environment),
    }
    if shutil.which("bsdtar"):
        peers["bsdtar -tvzf, of the layer alone"] = lambda: timed(
            ["bsdtar", "-tvzf", str(folder / "layer.tar.gz")], environment
        )
    if system == "linux" and (dive := shutil.which("dive", path=environment["PATH"])):
        archive = folder / "docker.tar"
        subprocess.run(["wingo", "copy", f"oci:{folder / 'image'}:v1", f"docker-archive:{archive}"], check=True,
                       env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        peers["dive --ci"] = lambda: timed([dive, "--ci", f"docker-archive://{archive}"], {**environment, "CI": "true"})
    if syft := shutil.which("syft", path=environment["PATH"]):
        scan = [syft, "scan", f"oci-dir:{folder / 'image'}", "-o", "json", "-q"]
        if system == "linux":
            peers["syft (packages too)"] = lambda: timed(scan, {**environment, "SYFT_CHECK_FOR_APP_UPDATE": "false"})
    work = f"list {options.files} files of a {system} image"
    times: dict[str, list[float]] = {"cold": [], "remembered": [], **{name: [] for name in peers}}
    for _ in range(options.rounds):
        times["cold"].append(cold())
        times["remembered"].append(timed(listing, environment))
        for name, run in list(peers.items()):
            try:
                times[name].append(run())
            except subprocess.CalledProcessError as error:
                print(f"{name} failed: {error}", file=sys.stderr)
                del peers[name]
    rows = [
        _bounded(work, times["cold"], 3.0),
        _bounded(f"{work}, seen before", times["remembered"], 3.0),
    ]
    rows += [compared(work, times["cold"], name, times[name]) for name in peers]
    for row in rows:
        print(row, file=sys.stderr)
    return rows


def _bounded(work: str, ours: list[float], bound: float) -> Row:
    from bench.report import seconds

    median = sorted(ours)[len(ours) // 2]
    return Row(work, seconds(ours), "a fixed bound", f"{bound:g} s", f"{median / bound:.2f}", "≤ 1", median <= bound)


def _path() -> str:
    return os.pathsep.join((str(ROOT / ".tools" / "bin"), os.environ.get("PATH", os.defpath)))


if __name__ == "__main__":
    sys.exit(main())
