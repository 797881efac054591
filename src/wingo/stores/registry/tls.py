"""TLS contexts: the system's CAs or named ones, client certificates, Docker's certs.d (imports `ssl`; loaded when needed)."""

from __future__ import annotations

import ssl

from wingo.errors import HostError
from wingo.stores.registry.transport import TlsOptions


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """The context for a host.

    Raises:
        HostError: a certificate or key file that cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in options.ca_files:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            raise HostError(f"cannot use the CA certificate {path}: {error.strerror or error}") from error
    for certificate, key in options.client_certificates:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise HostError(f"cannot use the client certificate {certificate}: {error.strerror or error}") from error
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
