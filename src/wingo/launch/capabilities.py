"""Capabilities: their numbers, and those that a container's root keeps, which are fewer than Docker leaves.

Source: `include/uapi/linux/capability.h`.
"""

from __future__ import annotations

NUMBERS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "SETFCAP": 31,
}
DEFAULT = tuple(sorted(NUMBERS))
"""What is kept; all of it holds in the container's user namespace alone."""
LAST = 63


def mask(names: tuple[str, ...] = DEFAULT) -> int:
    """Capabilities as bits."""
    return sum(1 << NUMBERS[name] for name in names)
