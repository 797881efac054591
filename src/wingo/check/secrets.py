"""Private keys and access tokens in a file's bytes, by the marks that their makers gave them.

Only what says itself what it is: a PEM header, a prefix that a service gives to its tokens (so that scanners find them). What a
random text may be is not guessed. Found texts are never kept: a finding says which kind, and in which file.

Sources: RFC 7468; the token formats that GitHub, GitLab, Slack, Stripe, npm, PyPI, Google and AWS document.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

MAX_FILE = 1 << 20
"""Bytes of a file beyond which it is not searched; keys and configurations are smaller."""


class SecretKind(Enum):
    """What it is."""

    KEY = "private key"
    TOKEN = "access token"  # noqa: S105  (a name)


class Secret(msgspec.Struct, frozen=True):
    """A secret that was found; never its text.

    Attributes:
        kind: key or token.
        what: whose, for people: "an RSA private key", "a GitHub token".
        line: where in the file, from 1.
    """

    kind: SecretKind
    what: str
    line: int


_KEY = re.compile(
    rb"-----BEGIN ((?:RSA |EC |DSA |OPENSSH |PGP |ENCRYPTED )?PRIVATE KEY(?: BLOCK)?)-----\s*(?:[A-Za-z][\w-]*: [^\n]*\s+)*([A-Za-z0-9+/=\\nr\s]{40})"
)
_MARKS = tuple(
    b"ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- glrt- glcbt- glptt- glft- glsoat- AKIA ASIA xox AIza k_live_ npm_ "
    b'pypi-AgE dckr_ AGE-SECRET "auth"'.split()
)
"""One of them is in every token; looking for them first is ten times as fast as the patterns."""
_TOKENS = (
    ("a GitHub token", rb"(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    ("a GitLab token", rb"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,64}"),
    ("an AWS access key", rb"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    ("a Slack token", rb"xox[abpors]-[0-9]{6,}-[0-9A-Za-z-]{10,}"),
    ("a Google API key", rb"AIza[0-9A-Za-z_-]{35}"),
    ("a Stripe key", rb"[sr]k_live_[0-9A-Za-z]{24,}"),
    ("an npm token", rb"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
    ("a Docker Hub token", rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}"),
    ("an age secret key", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("a registry password", rb'"auth"\s*:\s*"[A-Za-z0-9+/]{12,}={0,2}"'),
)
_TOKEN = re.compile(
    rb"(?<![A-Za-z0-9_-])(?:" + b"|".join(b"(%s)" % pattern for _, pattern in _TOKENS) + rb")(?![A-Za-z0-9_])"
)
_EXAMPLES = (b"EXAMPLE", b"example", b"XXXX", b"xxxx", b"0000000000")
_MAX_FOUND = 20


def secrets_in(data: bytes) -> tuple[Secret, ...]:
    """The secrets in a file's bytes, at most 20, in order; what names itself an example is none."""
    found = []
    if b"PRIVATE KEY" in data:
        for match in _KEY.finditer(data):
            words = match[1].decode("ascii").removesuffix(" BLOCK")
            if words != "ENCRYPTED PRIVATE KEY" and not _is_encrypted(match[0]):
                found.append(Secret(SecretKind.KEY, f"{_article(words)} {_spelt(words)}", _line(data, match.start())))
    for match in _TOKEN.finditer(data) if any(mark in data for mark in _MARKS) else ():
        if not any(word in match[0] for word in _EXAMPLES):
            assert match.lastindex is not None
            found.append(Secret(SecretKind.TOKEN, _TOKENS[match.lastindex - 1][0], _line(data, match.start())))
        if len(found) >= _MAX_FOUND:
            break
    return tuple(sorted(found[:_MAX_FOUND], key=lambda each: each.line))


def _is_encrypted(start: bytes) -> bool:
    return b"Proc-Type: 4,ENCRYPTED" in start


def _spelt(words: str) -> str:
    return words.replace("PRIVATE KEY", "private key").strip()


def _article(words: str) -> str:
    return "an" if words.startswith(("RSA", "EC", "OPENSSH")) else "a"


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1
