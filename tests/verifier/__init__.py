"""A verifier of container images for Windows and Linux that shares no line with the writer it judges.

It imports nothing of the project: it reads the bytes itself and knows the rules from the specifications and
from the sources of the importers. `python -m tests.verifier DIR` prints what it finds.
"""

from __future__ import annotations

from tests.verifier.finding import CODES, Finding
from tests.verifier.layouts import verify_layer, verify_layout

__all__ = ["CODES", "Finding", "verify_layer", "verify_layout"]
