"""A recipe that never changes: prints what it is packed into, as JSON.

Run by tests natively, in other environments and on emulated processors: the output must be the same everywhere.
It needs nothing but wingo's `archive` room. Arguments: the number of threads, then files that go in as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.pack import pack, recipe_key

EPOCH = 1_700_000_000
TIMES = (("LIBARCHIVE.creationtime", str(EPOCH)), ("atime", str(EPOCH)), ("ctime", str(EPOCH)))


def frozen_bytes(name: str, size: int) -> bytes:
    """Bytes that compress about as a program does: words of many lengths, some far more frequent, some noise."""
    words = [hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(512)]
    pieces, length, state = [], 0, 1
    while length < size:
        # Knuth's MMIX generator: Python's `random` may change between versions.
        state = (state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        top = state >> 40
        word = words[min(top & 511, (top >> 9) & 511)][: 1 + (top >> 18 & 31)]
        pieces.append(word if top >> 23 else os.fsencode(f"{state:x}"))
        length += len(pieces[-1])
    return b"".join(pieces)[:size]


def frozen_recipe(files: tuple[str, ...] = ()) -> LayerRecipe:
    """Every kind of entry, lengths around the borders of blocks and pieces, names in several scripts."""
    entries = [Entry(name, EntryKind.DIRECTORY, 0o755, pax=TIMES) for name in ("Hives", "Files", "Files/app")]
    sizes = {"app.exe": 5_000_001, "empty": 0, "block": 512, "naïve Ærøskøbing 日本語.txt": 513, "x" * 180: 1 << 20}
    for name, size in sizes.items():
        data = frozen_bytes(name, size)
        content = Content(size, lambda data=data: io.BytesIO(data), name)
        pax = (("MSWINDOWS.rawsd", "AQAEgBQAAAA="), ("MSWINDOWS.fileattr", "32"), *TIMES)
        entries.append(Entry(f"Files/app/{name}", EntryKind.FILE, 0o644, content=content, pax=pax))
    for number, path in enumerate(files):
        content = Content(os.path.getsize(path), lambda path=path: open(path, "rb"), path)
        entries.append(Entry(f"Files/app/real-{number}", EntryKind.FILE, 0o755, uid=65532, gid=65532, content=content))
    entries.append(Entry("Files/app/link", EntryKind.SYMLINK, 0o777, link_target="C:\\app\\app.exe", pax=TIMES))
    entries.append(Entry("Files/app/hard", EntryKind.HARDLINK, link_target="Files/app/app.exe", pax=TIMES))
    return LayerRecipe(tuple(entries), EPOCH, "frozen")


def main() -> None:
    """Packs it in every way."""
    recipe = frozen_recipe(tuple(sys.argv[2:]))
    found = {"key": recipe_key(recipe)}
    for compression in ("gzip", "zstd", "none"):
        packed = pack(recipe, io.BytesIO(), compression=compression, threads=int(sys.argv[1]))
        found[compression] = f"{packed.descriptor.digest} {packed.descriptor.size}"
        found["diff_id"] = packed.diff_id
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
