"""`python -m bench.looking`: an image of 120,000 files is listed and looked at, by us and by what asks the same questions.

The image has one layer: of Windows as a base's is, with security descriptors, attributes and times in PAX records; of Linux without records;
half a kilobyte of content in each file. Each piece of work is a process of its own, its interpreter's start included, with an empty cache
but where "seen before" is said; all work in turns. dive and syft are taken from .tools/bin, where `scripts/go-peers.sh dive syft` puts them:
dive says what is wasted, as rules of `wingo check` do; syft says which packages are in the image, and is ended after a minute.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.costs import Cost, Work, cost, environment, table
from wingo.stores.layout import Layout
from wingo.testing.images import image_of, layer_of_tar
from wingo.windows.sddl import sddl_bytes
from wingo.windows.security import READ_ONLY_DIRECTORY, READ_ONLY_FILE

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


def works_of(folder: Path, system: str, files: int) -> Iterator[Work]:
    """What is asked of one image, and of whom."""
    folder.mkdir()
    tar = image_tar(files, system)
    Layout(str(folder / "image")).write(image_of([layer_of_tar(tar)], {"os": system, "architecture": "amd64"}), ["v1"])
    (folder / "layer.tar.gz").write_bytes(gzip.compress(tar, 1))
    place, packed = f"oci:{folder / 'image'}:v1", folder / "docker.tar"
    cache = folder / "cache"
    variables = environment(WINGO_CACHE_DIR=str(cache), HOME=str(folder), CI="true", SYFT_CHECK_FOR_APP_UPDATE="false")
    cost(["wingo", "copy", place, f"docker-archive:{packed}"], variables)

    def cold(argv: Sequence[str], statuses: Sequence[int] = (0,)) -> Cost:
        shutil.rmtree(cache, ignore_errors=True)
        return cost(argv, variables, statuses=statuses)

    listing = ["wingo", "ls", place, "-r", "-l"]
    listed = f"which {files:,} files, {system}"
    yield Work(listed, "wingo ls -r -l", partial(cold, listing), 3.0)
    yield Work(f"{listed}, seen before", "wingo ls -r -l", partial(cost, listing, variables), 3.0)
    for program in ("tar", "bsdtar"):
        if shutil.which(program):
            argv = [program, "-tvzf", str(folder / "layer.tar.gz")]
            yield Work(listed, f"{program} -tvzf, of the layer alone", partial(cost, argv, variables))
    # That the image has no program to start is an error, 1; dive cannot read Windows images' paths, but its waste.
    yield Work(
        f"what is wrong and wasted, {system}",
        "wingo check",
        partial(cold, ["wingo", "check", f"docker-archive:{packed}"], (0, 1)),
    )
    for program, argv in {
        "dive --ci": ["dive", "--ci", f"docker-archive://{packed}"],
        "syft": ["syft", "scan", f"oci-dir:{folder / 'image'}", "-o", "json", "-q"],
    }.items():
        if shutil.which(argv[0], path=variables["PATH"]):
            question = "what is wasted" if argv[0] == "dive" else "which packages"
            yield Work(f"{question}, {system}", program, partial(cost, argv, variables))


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.looking", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=FILES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as folder:
        works = [
            work for system in ("windows", "linux") for work in works_of(Path(folder) / system, system, options.files)
        ]
        print(table(works, options.rounds))


if __name__ == "__main__":
    main()
