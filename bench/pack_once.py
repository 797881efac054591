"""Packs one file with wingo in a process of its own: `python -m bench.pack_once FILE OUT THREADS`.

Prints JSON: seconds, bytes written, and by how much the process's greatest memory grew while it packed, in KiB.
The kernel's VmHWM counts from exec on, so that the parent's memory is not in it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.pack import pack


def high_water_kib() -> int:
    """The process's greatest resident memory so far, in KiB."""
    match = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    if match is None:
        message = "the kernel does not tell VmHWM"
        raise RuntimeError(message)
    return int(match[1])


def main() -> None:
    """Packs and reports."""
    source, target, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    content = Content(size=source.stat().st_size, open=lambda: source.open("rb"), origin=str(source))
    program = Entry("app/program", EntryKind.FILE, mode=0o555, content=content)
    recipe = LayerRecipe((Entry("app", EntryKind.DIRECTORY, mode=0o755), program), epoch=0, created_by="bench")
    before = high_water_kib()
    begin = time.perf_counter()
    with target.open("wb") as out:
        layer = pack(recipe, out, threads=threads)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "bytes": layer.descriptor.size, "memory_kib": high_water_kib() - before}))


if __name__ == "__main__":
    main()
