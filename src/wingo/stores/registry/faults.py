"""What went wrong, as a person can use it: socket, TLS and HTTP errors, and registries' own answers, as `RemoteError`."""

from __future__ import annotations

import errno
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RemoteError, WingoError
from wingo.oci.reference import DOCKER_HUB
from wingo.oci.wire import decoder
from wingo.stores.registry.http1 import Cut, NotHttp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wingo.stores.registry.http1 import Response
    from wingo.stores.registry.url import Url

_MAX_ERROR_BODY = 64 << 10
_MAX_TEXT = 300
_MAX_ERRORS = 3
HUB_API = "registry-1.docker.io"
"""Where Docker Hub's registry is."""
RETRIED = frozenset({408, 429, 502, 503, 504})
"""Answers after which the same request may succeed."""


class Refusal(RemoteError):
    """A registry's answer that is not the one we asked for.

    Attributes:
        codes: the registry's own error codes, for instance "MANIFEST_UNKNOWN" (distribution-spec, "Error Codes").
        retry_after: seconds that it wants us to wait, 0 when it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        codes: Sequence[str] = (),
        hint: str = "",
        temporary: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, status=status, hint=hint, temporary=temporary)
        self.codes = tuple(codes)
        self.retry_after = retry_after


class _Error(msgspec.Struct, frozen=True):
    code: object = ""
    message: object = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[_Error, ...] = ()


def clean(text: object, limit: int = _MAX_TEXT) -> str:
    """A stranger's text made fit to be printed: one line, no control characters, limited in length."""
    line = "".join(character if character.isprintable() else " " for character in str(text)[: limit * 4])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def network_fault(error: Exception, doing: str, url: Url) -> WingoError:
    """The error that a failed exchange with a server means.

    Args:
        error: what the socket, TLS or HTTP layer raised.
        doing: what was being done, for instance "reading the manifest of registry.example/app:v1".
        url: the address that was asked.
    """
    where = url.authority
    if isinstance(error, WingoError):
        return error
    ssl = sys.modules.get("ssl")
    if ssl is not None and isinstance(error, ssl.SSLError):
        return _tls_fault(error, doing, where)
    if isinstance(error, socket.gaierror):
        return RemoteError(
            f"{doing}: the host {url.host} is not known",
            hint="Check the host's name, the network, and the proxy settings (HTTPS_PROXY).",
        )
    if isinstance(error, TimeoutError):
        return RemoteError(
            f"{doing}: {where} does not answer", hint="Check the network and the proxy settings.", temporary=True
        )
    if isinstance(error, ConnectionRefusedError):
        return RemoteError(f"{doing}: nothing listens at {where}", hint="Check the address, and that the server runs.")
    if isinstance(error, NotHttp):
        speaks = "The server may want TLS, or be no registry." if url.scheme == "http" else ""
        return RemoteError(f"{doing}: {where} does not speak HTTP as expected: {error}", hint=speaks)
    if isinstance(error, Cut):
        return RemoteError(f"{doing}: {where}: {error}", hint="Try again.", temporary=True)
    if isinstance(error, ConnectionError):
        return RemoteError(f"{doing}: {where} cut the connection", hint="Try again.", temporary=True)
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return RemoteError(f"{doing}: {where} cannot be reached: {error.strerror}", hint="Check the network.")
    return RemoteError(f"{doing}: {where}: {clean(error)}")


def _tls_fault(error: Exception, doing: str, where: str) -> RemoteError:
    reason = str(getattr(error, "reason", "") or "")
    message = str(getattr(error, "verify_message", "") or "")
    if reason == "CERTIFICATE_VERIFY_FAILED":
        hint = f"If you trust this registry, name its CA with --ca-file, or put it into /etc/docker/certs.d/{where}/ca.crt."
        return RemoteError(f"{doing}: the certificate of {where} is not trusted: {clean(message)}", hint=hint)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return RemoteError(
            f"{doing}: {where} speaks plain HTTP, not TLS", hint=f"If that is meant, allow it with --insecure {where}."
        )
    if "EOF" in type(error).__name__ or reason == "UNEXPECTED_EOF_WHILE_READING":
        return RemoteError(f"{doing}: {where} cut the connection", hint="Try again.", temporary=True)
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
        hint = (
            f"It may want a client certificate: put it into /etc/docker/certs.d/{where}/ as client.cert and client.key."
        )
        return RemoteError(f"{doing}: {where} refused the TLS connection: {clean(reason)}", hint=hint)
    return RemoteError(f"{doing}: TLS with {where} failed: {clean(reason or error)}")


def refusal(response: Response, doing: str, url: Url) -> Refusal:
    """Reads a registry's error answer to its end and says what it means.

    The caller raises it; the response is closed.
    """
    status = response.status
    try:
        with response:
            body = response.read_all(_MAX_ERROR_BODY)
    except (OSError, NotHttp):
        body = b""
    codes, said = _registry_errors(body)
    if status == 400 and b"HTTP request to an HTTPS server" in body:
        return Refusal(
            f"{doing}: {url.authority} speaks TLS, not plain HTTP",
            status=status,
            hint=f"Put its CA certificate into /etc/docker/certs.d/{url.authority}/ca.crt; TLS is used then.",
        )
    meaning, hint = _meaning(status, codes, url)
    words = f" ({said})" if said else ""
    return Refusal(
        f"{doing}: {url.authority} {meaning}{words}",
        status=status,
        codes=codes,
        hint=hint,
        temporary=status in RETRIED,
        retry_after=whole_seconds(response.headers.get("retry-after", "")) or 0.0,
    )


def whole_seconds(text: str) -> float | None:
    """A Retry-After header in seconds, None when it is a date or nonsense."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _registry_errors(body: bytes) -> tuple[tuple[str, ...], str]:
    """The codes and the words of a registry's error document (distribution-spec, "Error Codes")."""
    try:
        errors = decoder(_Errors).decode(body).errors[:_MAX_ERRORS]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return (), ""
    codes = tuple(clean(error.code, 60) for error in errors)
    said = "; ".join(
        ": ".join(part for part in (code, clean(error.message)) if part)
        for code, error in zip(codes, errors, strict=True)
    )
    return codes, said


def _meaning(status: int, codes: Sequence[str], url: Url) -> tuple[str, str]:
    host = url.authority if url.authority != HUB_API else DOCKER_HUB
    if status == 401:
        return "wants credentials that are valid (401)", f"Run 'wingo login {host}' with credentials for it."
    if status == 403:
        return (
            "does not allow it (403)",
            f"Ask for the right to do this, or run 'wingo login {host}' with another account.",
        )
    if status == 404:
        if "NAME_UNKNOWN" in codes:
            return "has no such repository (404)", "Check the repository's name; some registries want it created first."
        return "does not have it (404)", "Check the name and the tag."
    if status == 429:
        return (
            "says that there were too many requests (429)",
            f"Wait, or run 'wingo login {host}': limits are wider then.",
        )
    if status == 413:
        return "says that it is too large (413)", "Raise the body limit of the registry or of the proxy before it."
    if status >= 500:
        return f"has a problem of its own ({status})", "Try again later; if it stays, tell the registry's operator."
    return f"refused it ({status})", ""
