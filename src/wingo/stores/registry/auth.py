"""Proves to a registry who we are: bearer tokens and basic authentication (distribution `docs/content/spec/auth`).

A registry says on its first refusal what it wants; from then on every request carries it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import Malformed, RemoteError
from wingo.oci.wire import decoder
from wingo.stores.registry.faults import network_fault, refusal
from wingo.stores.registry.http1 import NotHttp
from wingo.stores.registry.url import is_loopback, parse_url

if TYPE_CHECKING:
    from wingo.stores.registry.challenge import Challenge
    from wingo.stores.registry.credentials import Credential, Credentials
    from wingo.stores.registry.transport import Transport
    from wingo.stores.registry.url import Url

_MAX_TOKEN_BYTES = 1 << 20
_CLIENT = "wingo"
_DEFAULT_LIFE = 60.0
_MARGIN = 10.0


class _Token(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None

    def __repr__(self) -> str:
        return "_Token(…)"


def pull_scope(repository: str) -> str:
    """The right to read a repository."""
    return f"repository:{repository}:pull"


def push_scope(repository: str) -> str:
    """The right to read and write a repository."""
    return f"repository:{repository}:pull,push"


class Authenticator:
    """Gives the Authorization header for one registry; safe to share between threads."""

    def __init__(self, registry: str, base: Url, transport: Transport, credentials: Credentials) -> None:
        """Asks nobody yet.

        Args:
            registry: as in a reference; what credentials are looked up by.
            base: where its API is.
            transport: for the token service.
            credentials: who we may be.
        """
        self._registry = registry
        self._base = base
        self._transport = transport
        self._credentials = credentials
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._known: dict[str, Credential | None] = {}
        self._lock = threading.Lock()

    def header(self, repository: str, scopes: Iterable[str]) -> str:
        """The header for a request that needs these scopes; "" as long as the registry has asked for nothing.

        Raises:
            RemoteError: the token service refuses.
        """
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            with self._lock:
                credential = self._credential(repository)
            return credential.basic if credential is not None and credential.password else ""
        wanted = tuple(sorted(set(scopes)))
        with self._lock:
            kept = self._tokens.get(wanted)
            if kept is None or kept[1] <= self._transport.clock():
                kept = self._tokens[wanted] = self._fetch(challenge, repository, wanted)
        return f"Bearer {kept[0]}"

    def refused(self, www_authenticate: str, sent: str, scopes: Iterable[str]) -> bool:
        """Takes in a 401.

        Args:
            www_authenticate: the answer's header.
            sent: the Authorization header that was refused.
            scopes: what the request needed.

        Returns:
            Whether the request is worth another try with a new header.
        """
        from wingo.stores.registry.challenge import parse_challenges

        challenges = {challenge.scheme: challenge for challenge in reversed(parse_challenges(www_authenticate))}
        challenge = challenges.get("bearer") or challenges.get("basic")
        if challenge is None:
            return False
        with self._lock:
            self._challenge = challenge
            kept = self._tokens.get(tuple(sorted(set(scopes))))
            if kept is not None and sent == f"Bearer {kept[0]}":
                del self._tokens[tuple(sorted(set(scopes)))]
        return not sent or challenge.scheme == "bearer"

    def _credential(self, repository: str) -> Credential | None:
        """Who we are there; asked for once, as a helper is a process."""
        if repository not in self._known:
            self._known[repository] = self._credentials.lookup(self._registry, repository)
        return self._known[repository]

    def _fetch(self, challenge: Challenge, repository: str, scopes: tuple[str, ...]) -> tuple[str, float]:
        credential = self._credential(repository)
        if credential is not None and credential.registry_token:
            return credential.registry_token, self._transport.clock() + 365 * 86400.0
        doing = f"getting a token for {self._registry}"
        realm = self._realm(challenge, credential)
        service = challenge.parameters.get("service", "")
        started = self._transport.clock()
        if credential is not None and credential.identity_token:
            token = self._exchange(realm, service, scopes, credential, doing)
        else:
            url = realm.with_query("service", service) if service else realm
            for scope in scopes:
                url = url.with_query("scope", scope)
            named = credential is not None and credential.password
            token = self._ask("GET", url, doing, authorization=credential.basic if credential and named else "")
        value = token.token or token.access_token
        if not value:
            raise RemoteError(f"{doing}: the answer of {realm.authority} has no token")
        life = token.expires_in if token.expires_in and token.expires_in > 0 else _DEFAULT_LIFE
        return value, started + max(life - _MARGIN, life / 2)

    def _exchange(
        self, realm: Url, service: str, scopes: tuple[str, ...], credential: Credential, doing: str
    ) -> _Token:
        """OAuth 2 with a refresh token (distribution `docs/content/spec/auth/oauth.md`)."""
        from urllib.parse import urlencode

        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": credential.identity_token,
        }
        return self._ask("POST", realm, doing, form=urlencode(form).encode())

    def _ask(self, method: str, url: Url, doing: str, *, authorization: str = "", form: bytes | None = None) -> _Token:
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        response = self._transport.request(
            method, url, doing, headers=headers, authorization=authorization, body=form, again=True
        )
        if response.status != 200:
            error = refusal(response, doing, url)
            if error.status in (400, 401, 403):
                error.hint = f"Run 'wingo login {self._registry}' with credentials that are valid."
            raise error
        try:
            with response:
                return decoder(_Token).decode(response.read_all(_MAX_TOKEN_BYTES))
        except (OSError, NotHttp) as error:
            raise network_fault(error, doing, url) from error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # Not chained: a decoder's message may quote the token.
            raise RemoteError(f"{doing}: the answer of {url.authority} is not a token document") from None

    def _realm(self, challenge: Challenge, credential: Credential | None) -> Url:
        """The token service that the registry names, when it may be asked.

        Raises:
            RemoteError: it is no address, or asking it would show a secret, or us, to the network.
        """
        try:
            realm = parse_url(challenge.parameters.get("realm", ""))
        except Malformed as error:
            raise RemoteError(f"{self._registry} names a token service that has no address") from error
        if realm.scheme == "https":
            return realm
        if self._base.scheme == "https":
            raise RemoteError(
                f"{self._registry} names a token service without TLS, {realm.authority}; credentials would be readable "
                "on the way",
                hint="Tell the registry's operator.",
            )
        near = realm.host == self._base.host or (is_loopback(realm.host) and is_loopback(self._base.host))
        if credential is not None and not near:
            raise RemoteError(
                f"{self._registry} names a token service on another host without TLS, {realm.authority}; credentials "
                "are not sent there",
                hint="Use a token service with TLS, or log out to go without credentials.",
            )
        return realm
