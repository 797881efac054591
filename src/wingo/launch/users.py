"""Who a program runs as: see `wingo.linux.accounts`."""

from __future__ import annotations

from wingo.linux.accounts import Account as Account  # noqa: PLC0414  (a public name of this room)
from wingo.linux.accounts import find_account as find_account  # noqa: PLC0414
