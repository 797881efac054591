r"""Writes which DLLs a Windows base has, one name a line, from a base that somebody pulled.

`scripts/run python scripts/base_libraries.py oci:nanoserver` lists the DLLs of `Windows\\System32`, and says where
`wingo.windows.base_libraries` is wrong about them. Any place that `wingo check` reads will do.
"""

from __future__ import annotations

import sys

from wingo.cli.render import Console
from wingo.host import this_host
from wingo.image.model import images_of
from wingo.oci.place import parse_place
from wingo.pipeline.base_layers import flavour_of
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.pipeline.viewing import view_of
from wingo.view.merged import View
from wingo.windows.base_libraries import Knowledge, library_in


def libraries(view: View) -> list[str]:
    """The DLLs of System32, in lower case, sorted."""
    names = {node.name.lower() for node in view.children("C:\\Windows\\System32")}
    return sorted(name for name in names if name.endswith(".dll"))


def contradictions(names: list[str], flavour: str, asked: list[str]) -> list[str]:
    """What the table says and the base denies."""
    wrong = []
    for name in asked:
        known = library_in(flavour, name).knowledge
        if known is not Knowledge.UNKNOWN and (known is Knowledge.PRESENT) != (name in names):
            wrong.append(f"{name}: the table says {known.value}")
    return wrong


def main(text: str, flavour: str) -> int:
    """Prints the list, and what is wrong in the table on stderr."""
    from wingo.windows import base_libraries

    host = this_host(Console(sys.stdout, sys.stderr))
    with Places(host, Settings()) as places:
        image = next(images_of(places.open(parse_place(text, default_tag="latest")).read()))
        names = libraries(view_of(image, places, base_layers=True))
    print("\n".join(names))
    asked = sorted({name for tables in base_libraries.TABLES.values() for table in tables for name in table})
    wrong = contradictions(names, flavour or flavour_of(text), asked)
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: base_libraries.py PLACE [nanoserver|servercore|server]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ""))
