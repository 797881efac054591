"""A registry client for tests: it does not wait between its tries, and remembers how long it would have."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from wingo.stores.registry.client import DEFAULT_JOBS, RegistryClient
from wingo.stores.registry.proxies import NO_PROXIES, Proxies
from wingo.stores.registry.transport import SYSTEM_TLS, Patience, TlsOptions, Transport
from wingo.stores.registry.upload import DEFAULT_PIECES, Pieces

if TYPE_CHECKING:
    from wingo.stores.registry.credentials import Credentials
    from wingo.stores.registry.read import DocumentCache

QUICK = Patience(connect=5, idle=5, answer=5, tries=4)
"""Less patience than with real registries."""


def make_transport(
    *,
    pauses: list[float] | None = None,
    clock: Callable[[], float] = time.monotonic,
    proxies: Proxies = NO_PROXIES,
    tls: TlsOptions = SYSTEM_TLS,
    insecure: Collection[str] = (),
    patience: Patience = QUICK,
) -> Transport:
    """A transport with the real network, without pauses and without chance.

    Args:
        pauses: learns the seconds that were not waited.
        clock: seconds that only grow.
        proxies: of this machine.
        tls: the options for every host.
        insecure: hosts that may be spoken to without TLS or without proof.
        patience: time limits.
    """
    waited: list[float] = [] if pauses is None else pauses
    return Transport(
        clock=clock,
        sleep=waited.append,
        random=lambda: 1.0,
        proxies=proxies,
        tls=lambda _authority: tls,
        insecure=insecure,
        patience=patience,
    )


def make_client(
    transport: Transport | None = None,
    *,
    pauses: list[float] | None = None,
    credentials: Credentials | None = None,
    cache: DocumentCache | None = None,
    mirrors: Mapping[str, str] | None = None,
    jobs: int = DEFAULT_JOBS,
    fetch_urls: bool = False,
    push_foreign: bool = False,
    pieces: Pieces = DEFAULT_PIECES,
) -> RegistryClient:
    """A client on `make_transport()` or the transport given; see `RegistryClient` for the rest."""
    return RegistryClient(
        transport or make_transport(pauses=pauses),
        now=lambda: 0.0,
        credentials=credentials,
        cache=cache,
        mirrors=mirrors,
        jobs=jobs,
        fetch_urls=fetch_urls,
        push_foreign=push_foreign,
        pieces=pieces,
    )
