"""WWW-Authenticate headers (RFC 9110, 11.6.1). Imported when a registry has refused us, as most builds meet none that does."""

from __future__ import annotations

import re

import msgspec

_MAX_CHALLENGE = 16 << 10
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s+|(?=,)|$)")
_PARAMETER = re.compile(r"\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))")


class Challenge(msgspec.Struct, frozen=True):
    """One thing that a WWW-Authenticate header asks for.

    Attributes:
        scheme: in lower case, "bearer" or "basic".
        parameters: by lower-case name.
    """

    scheme: str
    parameters: dict[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Reads a WWW-Authenticate header, joined ones included (RFC 9110, 11.6.1); what is broken ends the list."""
    challenges = []
    header = header[:_MAX_CHALLENGE]
    at = 0
    while match := _SCHEME.match(header, at):
        at = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, at):
            quoted, bare = parameter.group(2), parameter.group(3)
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(parameter.group(1).lower(), value)
            at = parameter.end()
        challenges.append(Challenge(match.group(1).lower(), parameters))
    return tuple(challenges)
