"""Docker's `certs.d` directories: per registry CA certificates (`*.crt`) and client certificates (`*.cert`, `*.key`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from wingo.errors import HostError
from wingo.stores.registry.transport import SYSTEM_TLS, TlsOptions


def certificate_directories(directories: Iterable[str], *, extra_ca: str = "") -> Callable[[str], TlsOptions]:
    """What `Transport` asks for the TLS options of a host.

    Args:
        directories: such as "/etc/docker/certs.d" and "/etc/containers/certs.d"; each has one directory per host[:port].
        extra_ca: a file of CA certificates that are trusted for every host, "" for none.
    """
    roots = tuple(directories)
    everywhere = TlsOptions(ca_files=(extra_ca,)) if extra_ca else SYSTEM_TLS

    def options(authority: str) -> TlsOptions:
        for root in roots:
            found = _read(os.path.join(root, authority))
            if found is not None:
                return TlsOptions(
                    ca_files=(*everywhere.ca_files, *found.ca_files),
                    client_certificates=found.client_certificates,
                    wanted=True,
                )
        return everywhere

    return options


def _read(directory: str) -> TlsOptions | None:
    """One host's directory, or None when there is none.

    Raises:
        HostError: it cannot be read, or a certificate has no key.
    """
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HostError(f"cannot read {directory}: {error.strerror}") from error
    pairs = []
    for name in names:
        if not name.endswith(".cert"):
            continue
        key = name.removesuffix(".cert") + ".key"
        if key not in names:
            raise HostError(f"the client certificate {os.path.join(directory, name)} has no {key} beside it")
        pairs.append((os.path.join(directory, name), os.path.join(directory, key)))
    authorities = tuple(os.path.join(directory, name) for name in names if name.endswith(".crt"))
    return TlsOptions(ca_files=authorities, client_certificates=tuple(pairs), wanted=True)
