"""What this room needs to know of the machine, as a value: `host.py` or a test makes it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.launch.identity import Identity

TOOLS = ("crun", "runc", "bwrap", "fuse-overlayfs", "slirp4netns", "pasta", "newuidmap", "newgidmap")
"""Programs that are used when they are installed."""


class Machine(msgspec.Struct, frozen=True):
    """A Linux machine.

    Attributes:
        architecture: as GOARCH.
        identity: whose numbers containers' users are.
        tools: the absolute paths of those of `TOOLS` that are installed.
        environment: wingo's own variables.
        uid: the account's number.
    """

    architecture: str
    identity: Identity
    tools: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}
    uid: int = 0
