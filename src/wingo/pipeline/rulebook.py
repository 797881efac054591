"""Every rule that there is, whatever it looks at; what `[check]` may name, and what the documentation has pages for."""

from __future__ import annotations

from typing import Any

from wingo.check.catalogue import RULES
from wingo.check.rule import Rule
from wingo.dockerfile.rules import DOCKERFILE_RULES

ALL_RULES: tuple[Rule[Any], ...] = tuple(sorted((*RULES, *DOCKERFILE_RULES), key=lambda rule: rule.id))
"""By number. Rules of rooms above `check` (Dockerfiles) join here."""
BY_ID = {rule.id: rule for rule in ALL_RULES}
