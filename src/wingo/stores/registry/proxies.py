"""Which proxy, if any, stands between us and a host: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl and Go read them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.errors import Malformed, RequestError
from wingo.stores.registry.url import Url, is_loopback, parse_url, split_authority


class Proxy(msgspec.Struct, frozen=True):
    """One proxy.

    Attributes:
        url: where it listens.
        authorization: the Proxy-Authorization header, a secret; "" when it wants none.
    """

    url: Url
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.url})"


class Proxies(msgspec.Struct, frozen=True):
    """The proxies of this machine.

    Attributes:
        http: for http addresses.
        https: for https addresses.
        exempt: hosts that are reached directly: names with their subdomains, host:port, networks, or "*".
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exempt: tuple[str, ...] = ()

    def of(self, url: Url) -> Proxy | None:
        """The proxy for an address; this machine itself is never asked for through one."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or is_loopback(url.host) or any(_matches(pattern, url) for pattern in self.exempt):
            return None
        return proxy


NO_PROXIES = Proxies()


def read_proxies(environment: Mapping[str, str]) -> Proxies:
    """The proxies that environment variables name, in lower case first.

    Raises:
        RequestError: a variable that is not the address of an HTTP proxy; the message does not repeat it.
    """

    def value(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name) or ""

    # A CGI program's HTTP_PROXY comes from a request header (httpoxy); it announces itself with REQUEST_METHOD.
    http = environment.get("http_proxy", "") if "REQUEST_METHOD" in environment else value("HTTP_PROXY")
    exempt = tuple(item.strip().lower() for item in value("NO_PROXY").split(",") if item.strip())
    return Proxies(parse_proxy(http, "HTTP_PROXY"), parse_proxy(value("HTTPS_PROXY"), "HTTPS_PROXY"), exempt)


def parse_proxy(text: str, name: str) -> Proxy | None:
    """Reads `[http://][user:password@]host[:port]`.

    Raises:
        RequestError: it is none.
    """
    if not text:
        return None
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    user, at, address = rest.rpartition("@")
    authorization = ""
    if at:
        import base64
        from urllib.parse import unquote

        authorization = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    try:
        url = parse_url(f"{scheme}://{address}")
    except Malformed as error:
        raise RequestError(
            f"{name} is not the address of an HTTP proxy", hint=f"Set {name} to http://HOST:PORT."
        ) from error
    return Proxy(url, authorization)


def _matches(pattern: str, url: Url) -> bool:
    if pattern == "*":
        return True
    if "/" in pattern:
        return _in_network(pattern, url.host)
    try:
        host, port = split_authority(pattern)
    except Malformed:
        return False
    if port is not None and port != url.port:
        return False
    host = host.removeprefix("*").removeprefix(".")
    return url.host == host or url.host.endswith("." + host)


def _in_network(pattern: str, host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False
