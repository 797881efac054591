"""Every program that is lowered, by its name in lower case without `.exe`."""

from __future__ import annotations

from wingo.dockerfile.lowering.programs import (
    access,
    archives,
    files,
    network,
    posix_shells,
    registry_tools,
    services,
    shells,
    toolchain,
    variables,
)
from wingo.dockerfile.lowering.programs.calls import Program

PROGRAMS: dict[str, Program] = {
    **access.PROGRAMS,
    **archives.PROGRAMS,
    **files.PROGRAMS,
    **network.PROGRAMS,
    **posix_shells.PROGRAMS,
    **registry_tools.PROGRAMS,
    **services.PROGRAMS,
    **shells.PROGRAMS,
    **toolchain.PROGRAMS,
    **variables.PROGRAMS,
}
