"""Requests over a pool of connections: TLS, proxies, redirects, tries again. Knows HTTP, not registries.

The world comes in as arguments: clock, sleep, randomness, proxies and certificates (design, decision 6).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from wingo.errors import Malformed, RemoteError, RequestError
from wingo.stores.registry.faults import RETRIED, clean, network_fault, whole_seconds
from wingo.stores.registry.http1 import Body, Connection, Cut, NotHttp, Response
from wingo.stores.registry.proxies import NO_PROXIES, Proxies, Proxy
from wingo.stores.registry.url import Url, follow, is_loopback

if TYPE_CHECKING:
    import ssl
    from typing import Self

_MAX_IDLE = 16
_MAX_IDLE_SECONDS = 50.0
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class TlsOptions(msgspec.Struct, frozen=True):
    """How TLS is spoken with a host.

    Attributes:
        ca_files: certificates that are trusted beside the system's.
        client_certificates: pairs of files, certificate and key.
        verify: whether the server must prove who it is.
        wanted: somebody configured it for this very host, so even localhost is spoken to over TLS.
    """

    ca_files: tuple[str, ...] = ()
    client_certificates: tuple[tuple[str, str], ...] = ()
    verify: bool = True
    wanted: bool = False


SYSTEM_TLS = TlsOptions()


class Patience(msgspec.Struct, frozen=True):
    """How long we wait and how often we try, in seconds.

    Attributes:
        connect: for a connection, TLS included.
        idle: without a byte of an answer.
        answer: the same after a body was sent: a registry may have gigabytes to put away first.
        tries: of one request that may be repeated.
        first_pause: before the second try; doubled each time, then multiplied with a random number in 0.5..1.
        longest_pause: the most of that.
        longest_retry_after: a server that asks for more is not waited for.
    """

    connect: float = 15.0
    idle: float = 60.0
    answer: float = 300.0
    tries: int = 5
    first_pause: float = 0.25
    longest_pause: float = 8.0
    longest_retry_after: float = 60.0


PATIENCE = Patience()


class Transport:
    """Sends requests; safe to share between threads."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        proxies: Proxies = NO_PROXIES,
        tls: Callable[[str], TlsOptions] = lambda _authority: SYSTEM_TLS,
        insecure: Collection[str] = (),
        patience: Patience = PATIENCE,
        user_agent: str = "wingo",
    ) -> None:
        """Makes a pool; opens nothing.

        Args:
            clock: seconds that only grow.
            sleep: waits for some seconds.
            random: a number from 0 up to 1, for the pauses.
            proxies: see `read_proxies`.
            tls: the options for a host[:port], see `certificate_directories`.
            insecure: hosts (with their port, when they have one) that may be spoken to without TLS or without proof.
            patience: time limits.
            user_agent: what we call ourselves.
        """
        self.clock = clock
        self._sleep = sleep
        self._random = random
        self._proxies = proxies
        self._tls = tls
        self._insecure = frozenset(insecure)
        self._patience = patience
        self._user_agent = user_agent
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._contexts: dict[TlsOptions, ssl.SSLContext] = {}
        self._plain: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Ends the idle connections, and keeps none from now on."""
        with self._lock:
            self._closed = True
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def scheme_for(self, authority: str, host: str, port: int | None) -> str:
        """Whether a registry is spoken to over TLS: "https", but for this machine's and the insecure ones.

        An insecure host is asked once whether it speaks TLS (then its certificate is not checked).
        """
        if authority not in self._insecure:
            return "http" if is_loopback(host) and not self._tls(authority).wanted else "https"
        with self._lock:
            plain = self._plain.get(authority)
        if plain is None:
            plain = not self._speaks_tls(Url("https", host, port or 443, "/"))
            with self._lock:
                self._plain[authority] = plain
        return "http" if plain else "https"

    def _speaks_tls(self, url: Url) -> bool:
        try:
            self._connect(url, self._proxies.of(url)).close()
        except (OSError, NotHttp):
            return False
        return True

    def request(
        self,
        method: str,
        url: Url,
        doing: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str = "",
        body: bytes | Body | None = None,
        again: bool | None = None,
        redirects: bool | None = None,
    ) -> Response:
        """Sends a request and reads the head of its answer, whatever its status is.

        Args:
            method: the method.
            url: the address.
            doing: what it is for, for error messages: "reading the manifest of registry.example/app:v1".
            headers: more headers.
            authorization: the Authorization header; never sent to another host than the address's.
            body: what is sent.
            again: whether it may be sent a second time after a temporary failure; by default GET and HEAD may.
            redirects: whether they are followed; by default those of GET and HEAD are.

        Raises:
            RemoteError: no answer, or none that is HTTP; after all tries.
        """
        safe = method in ("GET", "HEAD")
        tries = self._patience.tries if (safe if again is None else again) else 1
        for tried in range(1, tries + 1):
            last = tried == tries
            try:
                response = self._followed(
                    method, url, doing, headers or {}, authorization, body, safe if redirects is None else redirects
                )
            except RemoteError as error:
                # Silence is not waited for twice: the limits are wide, and five times one of them is a hang.
                if last or not error.temporary or isinstance(error.__cause__, TimeoutError):
                    raise
                self.rest(tried)
                continue
            if last or response.status not in RETRIED:
                return response
            pause = self._asked_pause(response, tried)
            if pause is None:
                return response
            response.close()
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def rest(self, tried: int, asked: float = 0.0) -> None:
        """Waits before another try.

        Args:
            tried: how often it has failed.
            asked: seconds that the server wants; granted within limits.
        """
        self._sleep(max(self._pause(tried), min(asked, self._patience.longest_retry_after)))

    def _pause(self, tried: int) -> float:
        patience = self._patience
        longest = min(patience.first_pause * 2.0 ** (tried - 1), patience.longest_pause)
        return longest * (0.5 + self._random() / 2)

    def _asked_pause(self, response: Response, tried: int) -> float | None:
        """The pause before another try, None when the server wants a longer one than we grant."""
        asked = response.headers.get("retry-after", "")
        if not asked:
            return self._pause(tried)
        seconds = whole_seconds(asked)
        if seconds is None:
            seconds = _seconds_between(response.headers.get("date", ""), asked)
        return max(seconds, 0.0) + self._random() if seconds <= self._patience.longest_retry_after else None

    def _followed(
        self,
        method: str,
        url: Url,
        doing: str,
        headers: Mapping[str, str],
        authorization: str,
        body: bytes | Body | None,
        redirects: bool,
    ) -> Response:
        origin = url.origin
        for _ in range(_MAX_REDIRECTS + 1):
            secret = authorization if url.origin == origin else ""
            response = self._once(method, url, doing, headers, secret, body)
            if not redirects or response.status not in _REDIRECTS or "location" not in response.headers:
                return response
            response.close()
            try:
                to = follow(url, response.headers["location"])
            except Malformed as error:
                raise RemoteError(f"{doing}: {url.authority} redirects to an address that is none") from error
            if url.scheme == "https" and to.scheme == "http":
                raise RemoteError(
                    f"{doing}: {url.authority} redirects from TLS to plain HTTP at {to.authority}",
                    hint="Tell the registry's operator; wingo does not follow that.",
                )
            url = to
        raise RemoteError(f"{doing}: {url.authority} redirects more than {_MAX_REDIRECTS} times")

    def _once(
        self,
        method: str,
        url: Url,
        doing: str,
        headers: Mapping[str, str],
        authorization: str,
        body: bytes | Body | None,
    ) -> Response:
        """One exchange; a kept connection that turns out to be dead is replaced by a new one, once."""
        proxy = self._proxies.of(url)
        sent = {"Host": url.authority, "User-Agent": self._user_agent, **headers}
        if authorization:
            sent["Authorization"] = authorization
        target = url.target
        if proxy is not None and url.scheme == "http":
            target = f"http://{url.authority}{url.target}"
            if proxy.authorization:
                sent["Proxy-Authorization"] = proxy.authorization
        asked = proxy.url if proxy is not None and url.scheme == "http" else url
        try:
            connection = self._kept(asked.origin)
            if connection is not None:
                try:
                    return self._exchange(connection, asked.origin, method, target, sent, body)
                except (Cut, ConnectionError) as error:
                    if isinstance(body, Body) or getattr(error, "answered", False):
                        raise
            return self._exchange(
                self._connect(asked, proxy if asked is url else None), asked.origin, method, target, sent, body
            )
        except (OSError, NotHttp) as error:
            raise network_fault(error, doing, asked) from error

    def _exchange(
        self,
        connection: Connection,
        origin: tuple[str, str, int],
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Body | None,
    ) -> Response:
        return connection.exchange(
            method,
            target,
            headers,
            body,
            timeout=self._patience.idle if body is None else self._patience.answer,
            done=lambda keep: self._give_back(connection, origin, keep),
        )

    def _kept(self, origin: tuple[str, str, int]) -> Connection | None:
        while True:
            with self._lock:
                connections = self._idle.get(origin)
                if not connections:
                    return None
                connection = connections.pop()
            if self.clock() - connection.idle_since <= _MAX_IDLE_SECONDS and not connection.stale():
                return connection
            connection.close()

    def _give_back(self, connection: Connection, origin: tuple[str, str, int], keep: bool) -> None:
        if keep:
            connection.idle_since = self.clock()
            with self._lock:
                connections = self._idle.setdefault(origin, [])
                if not self._closed and len(connections) < _MAX_IDLE:
                    connections.append(connection)
                    return
        connection.close()

    def _connect(self, url: Url, tunnel: Proxy | None) -> Connection:
        """A new connection to a server, through a proxy's tunnel when it is spoken to over TLS.

        Raises:
            OSError, NotHttp: there is none.
        """
        if tunnel is not None and tunnel.url.scheme == "https":
            raise RequestError(
                "a proxy that is itself spoken to over TLS cannot be used for TLS",
                hint="Set HTTPS_PROXY to an http:// one.",
            )
        host, port = (url.host, url.port) if tunnel is None else (tunnel.url.host, tunnel.url.port)
        # As bytes: for text, the socket module imports the tables of internationalised names first.
        address: Any = host.encode("ascii") if host.isascii() else host
        sock = socket.create_connection((address, port), self._patience.connect)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tunnel is not None:
                self._open_tunnel(sock, tunnel, url)
            if url.scheme == "https":
                sock = self._context(url.authority).wrap_socket(sock, server_hostname=url.host)
            return Connection(sock)
        except BaseException:
            sock.close()
            raise

    def _open_tunnel(self, sock: socket.socket, proxy: Proxy, url: Url) -> None:
        host = f"[{url.host}]" if ":" in url.host else url.host
        headers = {"Host": f"{host}:{url.port}"}
        if proxy.authorization:
            headers["Proxy-Authorization"] = proxy.authorization
        # A connection of its own, as its buffer must not swallow the first bytes of TLS (the server speaks second).
        connection = Connection(sock, buffer=0)
        try:
            response = connection.exchange(
                "CONNECT", headers["Host"], headers, None, timeout=self._patience.connect, done=lambda _keep: None
            )
        finally:
            connection.let_go()
        if response.status == 407:
            raise RemoteError(
                f"the proxy {proxy.url.authority} wants credentials",
                status=407,
                hint="Write them into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT.",
            )
        if response.status != 200:
            raise RemoteError(
                f"the proxy {proxy.url.authority} does not connect to {clean(url.authority)} ({response.status})",
                status=response.status,
                hint="Check HTTPS_PROXY and NO_PROXY.",
                temporary=response.status in RETRIED,
            )

    def _context(self, authority: str) -> ssl.SSLContext:
        options = self._tls(authority)
        if not self._insecure.isdisjoint((authority, f"{authority}:443")):
            options = msgspec.structs.replace(options, verify=False)
        with self._lock:
            context = self._contexts.get(options)
            if context is None:
                from wingo.stores.registry.tls import make_context

                context = self._contexts[options] = make_context(options)
        return context


def _seconds_between(earlier: str, later: str) -> float:
    """Seconds from one HTTP date to another; without the first, or when they are no dates: 1 (just try again)."""
    from email.utils import parsedate_to_datetime

    try:
        return (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds()
    except (TypeError, ValueError):
        return 1.0
