"""`python -m tests.verifier PATH...`: verifies OCI layout directories and layer files; exit 1 when one is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.verifier import verify_layer, verify_layout


def main(arguments: list[str]) -> int:
    """Prints one line for each finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.verifier", description=__doc__)
    parser.add_argument("path", nargs="+", type=Path, help="an OCI layout directory, or a layer file")
    parser.add_argument(
        "--base-layers", type=int, help="layers of each image that are its base's (default: all but one)"
    )
    parser.add_argument("--data-dir", action="append", default=[], help="a tar path that users may write: Files/data")
    parser.add_argument("--epoch", type=int, help="the time that every entry must carry")
    parser.add_argument("--thin", action="store_true", help="base layers may be absent")
    parser.add_argument("--system", default="windows", choices=["windows", "linux"], help="of layer files")
    options = parser.parse_args(arguments)
    status = 0
    for path in options.path:
        if path.is_dir():
            found = verify_layout(
                path,
                base_layers=options.base_layers,
                writable=options.data_dir,
                epoch=options.epoch,
                thin=options.thin,
            )
        else:
            found = verify_layer(path, system=options.system, writable=options.data_dir, epoch=options.epoch)
        for finding in found:
            print(finding)
        status |= bool(found)
        print(f"{path}: {len(found)} findings", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
