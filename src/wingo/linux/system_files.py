"""The system's files for an image without a base: what a Go program looks for, and a user to run it as.

Certificates where crypto/x509 looks first (`root_linux.go`), time zones where time does (`zoneinfo_unix.go`), users and
groups for os/user, nsswitch.conf for net. There is no os-release: nothing here belongs to a distribution, so a scanner
that took one at its word would look its advisories up in vain.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from wingo.archive.entry import Content, LayerRecipe
from wingo.errors import RequestError
from wingo.linux.layer import plan_layer
from wingo.linux.requests import Attributes, LayerRequest, LinuxDirectory, LinuxFile
from wingo.linux.users import NONROOT

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ZONES = "/usr/share/zoneinfo"

_PASSWD = b"""\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
_GROUP = b"""\
root:x:0:
nobody:x:65534:
nonroot:x:65532:
"""
_NSSWITCH = b"hosts: files dns\n"

_SYSTEM = Attributes(mode=0o644)
"""As distributions have them: a runtime may add its users to passwd."""


def system_files(certificates: bytes, zones: Mapping[str, bytes]) -> tuple[LayerRequest, ...]:
    """The requests for a whole system.

    Args:
        certificates: a bundle in PEM.
        zones: compiled time zones, by their names below /usr/share/zoneinfo ("Europe/Paris").

    Raises:
        RequestError: there is no certificate in the bundle, or no zone UTC: programs would fail in ways hard to explain.
    """
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        raise RequestError("the bundle of certificate authorities has no certificate in it")
    if not zones.get("UTC", b"").startswith(b"TZif"):
        raise RequestError("the time zones lack UTC, or are not compiled")
    files = {
        "/etc/group": _GROUP,
        "/etc/nsswitch.conf": _NSSWITCH,
        "/etc/passwd": _PASSWD,
        CERTIFICATES: certificates,
        **{f"{ZONES}/{name}": zones[name] for name in sorted(zones)},
    }
    directories = {
        "/home/nonroot": Attributes(mode=0o700, owner=NONROOT),
        "/root": Attributes(mode=0o700),
        "/tmp": Attributes(mode=0o1777),  # noqa: S108  (of the image)
    }
    return (
        *(
            LinuxFile(path=path, content=_content(data, path), attributes=_SYSTEM, source="the system's files")
            for path, data in files.items()
        ),
        *(
            LinuxDirectory(path=path, attributes=attributes, source="the system's files")
            for path, attributes in directories.items()
        ),
    )


def plan_system_layer(
    certificates: bytes, zones: Mapping[str, bytes], *, epoch: int, created_by: str, comment: str = ""
) -> LayerRecipe:
    """The layer of the system's files, the lowest of an image without a base; it changes with its data alone.

    Raises:
        RequestError: see `system_files`.
    """
    requests = system_files(certificates, zones)
    return plan_layer(requests, epoch=epoch, created_by=created_by, comment=comment, on_base=False).recipe


def _content(data: bytes, path: str) -> Content:
    return Content(len(data), lambda: io.BytesIO(data), f"the system's {path}")
