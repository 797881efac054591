r"""Certificates in the machine's stores: values of the registry below `SystemCertificates`.

A value `Blob` is a list of properties, each with its number, a 1, its length and its bytes: 3 the SHA-1 digest, 32 the
certificate (wincrypt.h, CERT_SHA1_HASH_PROP_ID and CERT_CERT_PROP_ID; Wine `dlls/crypt32/serialize.c` reads the same).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct

from wingo.dockerfile.lowering.edits import ImportCertificate
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.session import Session
from wingo.hive.edit import SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import BINARY
from wingo.windows.paths import Components, path_text

STORES = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\SystemCertificates"
_NAMES = {
    upcase(name): name for name in ("AuthRoot", "CA", "Disallowed", "My", "Root", "TrustedPeople", "TrustedPublisher")
}
_SHA1, _CERTIFICATE = 3, 32
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_MAX = 1 << 20


def import_certificate(session: Session, path: Components, store: str) -> None:
    """Adds a certificate to a store of the machine.

    Raises:
        CommandFailed: there is no such file, or it is no certificate.
        CannotLower: it is in a store or of a kind that is not lowered.
    """
    name = _NAMES.get(upcase(store))
    if name is None:
        raise CannotLower(
            f"the certificate store {store!r} is not lowered", f"Use one of {', '.join(_NAMES.values())}."
        )
    if name == "My":
        raise CannotLower("a certificate in My has a private key, which the running system keeps")
    data = session.read(path, _MAX)
    if data is None:
        session.add(ImportCertificate(path_text(path), name))
        return
    for certificate in read_certificates(data):
        thumbprint = hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()
        blob = _property(_SHA1, bytes.fromhex(thumbprint)) + _property(_CERTIFICATE, certificate)
        session.add(ImportCertificate(path_text(path), name, thumbprint))
        session.change_registry(SetValue(rf"{STORES}\{name.upper()}\Certificates\{thumbprint}", "Blob", BINARY, blob))


def read_certificates(data: bytes) -> list[bytes]:
    """The certificates in a file, DER or PEM, as DER.

    Raises:
        CommandFailed: there is none in it.
    """
    found = [_decoded(match[1]) for match in _PEM.finditer(data)] or [data]
    for certificate in found:
        if not _is_whole_sequence(certificate):
            raise CommandFailed("the file holds no X.509 certificate, neither DER nor PEM")
    return found


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        raise CommandFailed("the PEM file's Base64 is damaged") from error


def _is_whole_sequence(data: bytes) -> bool:
    """Whether bytes are one DER SEQUENCE, as a certificate is (X.690 8.1.3)."""
    if len(data) < 4 or data[0] != 0x30:
        return False
    count = data[1] & 0x7F if data[1] & 0x80 else 0
    if count > 4 or len(data) < 2 + count:
        return False
    length = int.from_bytes(data[2 : 2 + count], "big") if count else data[1]
    # The first thing in a certificate is the part that is signed, a SEQUENCE too; in a PKCS#7 it is an identifier.
    return len(data) == 2 + count + length and data[2 + count] == 0x30


def _property(number: int, data: bytes) -> bytes:
    return struct.pack("<III", number, 1, len(data)) + data
