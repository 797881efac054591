"""URLs as far as a registry client needs them: HTTP only, no user information, nothing that could break a request line.

`urllib.parse` costs 5 ms at start, and a build that changes nothing makes one request; it is imported where a server
sends us a relative address or where a query is written.
"""

from __future__ import annotations

import msgspec

from wingo.errors import Malformed

_PORTS = {"http": 80, "https": 443}
_MAX_URL = 16 << 10


class Url(msgspec.Struct, frozen=True):
    """An absolute HTTP address.

    Attributes:
        scheme: "http" or "https".
        host: in lower case, an IPv6 address without its brackets.
        port: always there.
        target: path and query, from the slash on.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom credentials are for: scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the Host header wants them: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Without the query: upload sessions and signed storage addresses carry secrets in theirs."""
        return f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}"

    __repr__ = __str__

    def at(self, target: str) -> Url:
        """Another path and query of the same server."""
        return Url(self.scheme, self.host, self.port, target)

    def with_query(self, name: str, value: str) -> Url:
        """The same address with one more query member."""
        from urllib.parse import quote

        joint = "&" if "?" in self.target else "?"
        return self.at(f"{self.target}{joint}{name}={quote(value, safe='')}")


def split_authority(text: str) -> tuple[str, int | None]:
    """Splits "host", "host:port" or "[v6]:port"; the host comes back in lower case, without brackets.

    Raises:
        Malformed: a port that is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not port:
        return host.lower(), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise Malformed("URL", f"{port[:20]!r} is not a port")
    return host.lower(), int(port)


def parse_url(text: str) -> Url:
    """Reads an absolute http or https address; a fragment is dropped.

    Raises:
        Malformed: another scheme, user information, or characters that do not belong into a request line.
    """
    if len(text) > _MAX_URL or not text.isascii() or any(character <= " " or character == "\x7f" for character in text):
        raise Malformed("URL", "it is too long or has characters that no URL may have")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise Malformed("URL", f"{text[:40]!r} is neither http nor https")
    rest = rest.partition("#")[0]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, target = rest[:end], rest[end:]
    if "@" in authority:
        raise Malformed("URL", "it carries a user name")
    host, port = split_authority(authority)
    if not host or not all(character.isalnum() or character in "-._:%" for character in host):
        raise Malformed("URL", f"{host[:100]!r} is not a host")
    return Url(scheme, host, port or _PORTS[scheme], target if target.startswith("/") else "/" + target)


def follow(base: Url, location: str) -> Url:
    """The address that a Location or Link header names, seen from the one that was asked (RFC 9110, 10.2.2).

    Raises:
        Malformed: it is not an http or https address.
    """
    if location.startswith(("http://", "https://")):
        return parse_url(location)
    if location.startswith("/") and not location.startswith("//"):
        return parse_url(f"{base.scheme}://{base.authority}{location}")
    from urllib.parse import urljoin

    return parse_url(urljoin(f"{base.scheme}://{base.authority}{base.target}", location))


def is_loopback(host: str) -> bool:
    """Whether a host name can only be this machine: `localhost`, 127.0.0.0/8, ::1."""
    if host in ("localhost", "::1") or host.endswith(".localhost"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdigit() for part in parts)
