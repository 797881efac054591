"""`python -m bench.hives`: the registry engine on a real SYSTEM and a synthetic SOFTWARE, with its peers beside it.

Each piece of work runs in a process of its own; counted are the processor's seconds in the work, without the interpreter's
start, and the process's peak memory; beside it, in hives, the peak beyond what the interpreter and its modules had before the
hive was read. The real hive is one of the test vectors, which are not in the repository. regipy (`pip install regipy`) takes
minutes for it: it is asked for with `--regipy`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import lzma
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VECTOR = ROOT.parent / "shared" / "vectors" / "hives" / "SYSTEM_WIN_10_1709.xz"
_SYSTEM_PYTHON = "/usr/bin/python3"
_SERVICES = "ControlSet001\\Services"

_HIVEX = """
import hivex, sys, time
def peak():
    return [int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM:")][0]
before = peak()
start = time.process_time()
h = hivex.Hivex(sys.argv[1])
stack, count = [h.root()], 0
while stack:
    node = stack.pop()
    h.node_name(node)
    for value in h.node_values(node):
        h.value_key(value), h.value_value(value)
        count += 1
    stack.extend(h.node_children(node))
seconds = time.process_time() - start
print('{"seconds": %f, "memory": %d, "before": %d, "note": "%d values"}' % (seconds, peak(), before, count))
"""


def one_value(data: bytes, _: str) -> str:
    """Opens a hive and reads one value."""
    from wingo.hive.keys import find_key, find_value
    from wingo.hive.read import open_hive

    key = find_key(open_hive(data, allow_dirty=True).root, f"{_SERVICES}\\BITS")
    assert key is not None
    return str(find_value(key, "Start"))


def walk(data: bytes, _: str) -> str:
    """Reads every key and value."""
    from wingo.hive.read import open_hive

    keys = values = 0
    for _path, key in open_hive(data, allow_dirty=True).walk():
        keys += 1
        values += len(key.values())
    return f"{keys} keys, {values} values"


def delta(data: bytes, _: str) -> str:
    """Seven edits, as the hive of a layer."""
    from wingo.hive.diff import delta_of, diff
    from wingo.hive.edit import DeleteKey, SetValue, apply_edits
    from wingo.hive.keys import find_key
    from wingo.hive.read import open_hive
    from wingo.hive.write import write_delta

    root = open_hive(data, allow_dirty=True).root
    if find_key(root, _SERVICES):
        above, names = _SERVICES, ["XboxGipSvc", "BITS", "DiagTrack", "Dnscache", "Spooler", "SysMain", "W32Time"]
    else:
        above, names = "Classes", [f"{{{number:08X}-0000-0000-C000-000000000046}}" for number in range(5, 60_000, 9000)]
    edits = [SetValue(f"{above}\\{name}", "Start", 4, b"\4\0\0\0") for name in names[1:]]
    view = apply_edits(root, [*edits, DeleteKey(f"{above}\\{names[0]}")])
    return f"{len(write_delta(delta_of(diff(root, view), root)))} bytes"


def rewrite(data: bytes, _: str) -> str:
    """Reads everything and writes it again."""
    from wingo.hive.read import open_hive
    from wingo.hive.write import write_hive

    return f"{len(write_hive(open_hive(data, allow_dirty=True).root))} bytes"


def check(data: bytes, _: str) -> str:
    """Fsck."""
    from wingo.hive.fsck import fsck

    return f"{len(fsck(data))} findings"


def libregf(_: bytes, path: str) -> str:
    """Libregf reads every key and value."""
    import pyregf

    file = pyregf.file()
    file.open(path)
    stack, count = [file.get_root_key()], 0
    while stack:
        key = stack.pop()
        for index in range(key.number_of_values):
            value = key.get_value(index)
            _ = value.name, value.data
            count += 1
        stack.extend(key.get_sub_key(index) for index in range(key.number_of_sub_keys))
    file.close()
    return f"{count} values"


def python_registry(_: bytes, path: str) -> str:
    """python-registry reads every key and value."""
    from Registry import Registry

    stack, count = [Registry.Registry(path).root()], 0
    while stack:
        key = stack.pop()
        for value in key.values():
            value.name()
            value.raw_data()
            count += 1
        stack.extend(key.subkeys())
    return f"{count} values"


def regipy(_: bytes, path: str) -> str:
    """Regipy reads every key and value; it takes minutes, so it is asked for by name."""
    from regipy.registry import RegistryHive

    return f"{sum(1 for _ in RegistryHive(path).recurse_subkeys(fetch_values=True))} keys"


WORKS: dict[str, Callable[[bytes, str], str]] = {
    "one value": one_value,
    "walk": walk,
    "delta": delta,
    "rewrite": rewrite,
    "fsck": check,
    "walk by libregf": libregf,
    "walk by python-registry": python_registry,
    "walk by regipy": regipy,
}
_MODULES = {
    "walk by libregf": "pyregf",
    "walk by python-registry": "Registry.Registry",
    "walk by regipy": "regipy.registry",
}
TARGETS = {
    "SYSTEM": {"one value": 0.01, "walk": 0.5, "delta": 0.3, "rewrite": 1.0},
    "SOFTWARE": {"walk": 2.5, "delta": 0.3},
}
MEMORY = 3
"""The most memory that reading or writing may need, in hives."""


def synthetic_software(path: Path) -> None:
    """A hive of about 68 MB and 190,000 keys: classes with two keys and a few values each."""
    from wingo.hive.keys import TreeKey
    from wingo.hive.values import Value, encode_text
    from wingo.hive.write import write_hive
    from wingo.testing.hives import SYSTEM_SECURITY

    server = encode_text("%SystemRoot%\\System32\\some-server-library-of-this-class.dll")
    padding = Value("Padding", 3, bytes(380))
    classes = tuple(
        TreeKey(
            f"{{{number:08X}-0000-0000-C000-000000000046}}",
            SYSTEM_SECURITY,
            contents=(Value("", 1, encode_text(f"A class with the number {number}")),),
            children=(
                TreeKey("InprocServer32", SYSTEM_SECURITY, contents=(Value("", 2, server), padding)),
                TreeKey("ProgID", SYSTEM_SECURITY, contents=(Value("", 1, encode_text(f"Program.Class.{number}")),)),
            ),
        )
        for number in range(63_333)
    )
    root = TreeKey("ROOT", SYSTEM_SECURITY, children=(TreeKey("Classes", SYSTEM_SECURITY, children=classes),))
    path.write_bytes(write_hive(root))


def measure(work: str, path: Path) -> dict[str, object]:
    """One run, in a process of its own."""
    if work == "walk by hivex":
        argv = [_SYSTEM_PYTHON, "-c", _HIVEX, str(path)]
    else:
        argv = [sys.executable, "-m", "bench.hives", "--work", work, str(path)]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        return {"note": "failed: " + (result.stderr.strip().splitlines() or ["?"])[-1]}
    found: dict[str, object] = json.loads(result.stdout)
    return found


def perform(work: str, path: str) -> None:
    """Does the work in this process, and prints what it took."""
    if " by " not in work:
        import wingo.hive.diff
        import wingo.hive.fsck
        import wingo.hive.write  # noqa: F401 # importing is not the work
    else:
        import importlib

        with contextlib.suppress(ImportError):
            importlib.import_module(_MODULES[work])
    before = peak_memory()
    data = b"" if " by " in work else Path(path).read_bytes()
    start = time.process_time()
    note = WORKS[work](data, path)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "memory": peak_memory(), "before": before, "note": note}))


def peak_memory() -> int:
    """The most memory that this process has had, in bytes; `getrusage` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def main() -> None:
    """Runs everything and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="SYSTEM or SOFTWARE")
    parser.add_argument("--regipy", action="store_true", help="regipy too, which takes minutes")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        perform(*options.work)
        return
    with tempfile.TemporaryDirectory() as scratch:
        hives = {name: Path(scratch) / name for name in TARGETS if options.only in (None, name)}
        if "SYSTEM" in hives:
            hives["SYSTEM"].write_bytes(lzma.decompress(VECTOR.read_bytes()))
        if "SOFTWARE" in hives:
            synthetic_software(hives["SOFTWARE"])
        print(f"| hive | work | processor's seconds (median, range) | target | peak memory | in hives (≤ {MEMORY}) | |")
        print("|---|---|---|---|---|---|---|")
        for name, path in hives.items():
            for work in (*WORKS, "walk by hivex"):
                if (work == "walk by regipy" and not options.regipy) or (name == "SOFTWARE" and work == "one value"):
                    continue
                row(name, work, path, options.rounds)


def row(name: str, work: str, path: Path, rounds: int) -> None:
    """Measures one piece of work, and prints its row."""
    runs = [measure(work, path) for _ in range(rounds)]
    if "seconds" not in runs[0]:
        print(f"| {name} | {work} | - | | | | {runs[0]['note']} |")
        return
    seconds = sorted(float(str(run["seconds"])) for run in runs)
    memory = max(int(str(run["memory"])) for run in runs)
    target = TARGETS[name].get(work)
    bound = f"≤ {target:g}" if target else ""
    before = min(int(str(run["before"])) for run in runs)
    times = (memory - before) / path.stat().st_size
    spread = f"{statistics.median(seconds):.3f} ({seconds[0]:.3f}-{seconds[-1]:.3f})"
    print(
        f"| {name} | {work} | {spread} | {bound} | {memory >> 20} MiB | {times:.1f} | {runs[0]['note']} |", flush=True
    )


if __name__ == "__main__":
    main()
