"""Synthetic base images of the published shape, pushed to a registry with nothing but http.client.

One index of Docker schema 2, as the Microsoft registry serves them: a child per Windows version with its
`os.version` and one layer, and a small Linux child beside them. Written without wingo, so that the peers'
work does not rest on the code under test.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import random
import tarfile
from typing import Any

WINDOWS_VERSIONS = ("10.0.17763.8027", "10.0.20348.4405", "10.0.26100.7171")
LATER_VERSIONS = ("10.0.17763.8146", "10.0.20348.4529", "10.0.26100.7462")
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def push_base(port: int, repository: str, tag: str, versions: tuple[str, ...], *, layer_bytes: int = 4 << 20) -> str:
    """Pushes an index of one Windows child per version and linux/amd64, linux/arm64; gives its digest."""
    children = [_child(port, repository, "windows", "amd64", version, layer_bytes) for version in versions]
    children += [_child(port, repository, "linux", architecture, "", 4096) for architecture in ("amd64", "arm64")]
    body = json.dumps({"schemaVersion": 2, "mediaType": _LIST, "manifests": children}).encode()
    return _put_manifest(port, repository, tag, _LIST, body)


def _child(port: int, repository: str, system: str, architecture: str, version: str, size: int) -> dict[str, Any]:
    raw = _layer_tar(system, version or architecture, size)
    blob = gzip.compress(raw, 1, mtime=0)
    config: dict[str, Any] = {
        "architecture": architecture,
        "os": system,
        "config": {"Cmd": ["c:\\windows\\system32\\cmd.exe"]} if system == "windows" else {},
        "created": "2026-11-10T00:00:00Z",
        "history": [{"created": "2026-11-10T00:00:00Z", "created_by": "bench/bases.py"}],
        "rootfs": {"type": "layers", "diff_ids": [_digest(raw)]},
    }
    if version:
        config["os.version"] = version
    config_bytes = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(config_bytes), "digest": _digest(config_bytes)},
        "layers": [{"mediaType": _LAYER, "size": len(blob), "digest": _digest(blob)}],
    }
    _put_blob(port, repository, blob)
    _put_blob(port, repository, config_bytes)
    body = json.dumps(manifest).encode()
    digest = _put_manifest(port, repository, _digest(body), _MANIFEST, body)
    platform = {"architecture": architecture, "os": system} | ({"os.version": version} if version else {})
    return {"mediaType": _MANIFEST, "size": len(body), "digest": digest, "platform": platform}


def _layer_tar(system: str, seed: str, size: int) -> bytes:
    """A tar with the directories of a base and one incompressible file of `size` bytes."""
    names = ["Files", "Files/Windows", "Files/Windows/System32", "Hives"] if system == "windows" else ["etc"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        entry = tarfile.TarInfo(f"{names[-2] if len(names) > 1 else names[0]}/base.bin")
        entry.size = size
        tar.addfile(entry, io.BytesIO(random.Random(seed).randbytes(size)))  # noqa: S311: filler, not a secret
    return out.getvalue()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _call(port: int, method: str, path: str, body: bytes | None = None, kind: str = "") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status >= http.client.BAD_REQUEST:
        message = f"{method} {path} answered {response.status}: {text[:200]!r}"
        raise RuntimeError(message)
    return response


def _put_blob(port: int, repository: str, data: bytes) -> None:
    location = _call(port, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
    path = location.split(f":{port}", 1)[-1]
    joint = "&" if "?" in path else "?"
    _call(port, "PUT", f"{path}{joint}digest={_digest(data)}", data, "application/octet-stream")


def _put_manifest(port: int, repository: str, tag: str, media_type: str, body: bytes) -> str:
    _call(port, "PUT", f"/v2/{repository}/manifests/{tag}", body, media_type)
    return _digest(body)
