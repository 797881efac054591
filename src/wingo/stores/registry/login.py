"""Keeps and removes credentials, where Docker and Podman look for them too."""

from __future__ import annotations

import base64
import os
from typing import Any

import msgspec

from wingo.errors import HostError, Malformed
from wingo.oci.reference import DOCKER_HUB
from wingo.stores.registry.credentials import HUB_KEY, MAX_FILE_BYTES, Credential, RunHelper


def store_credential(path: str, registry: str, credential: Credential, run_helper: RunHelper) -> str:
    """Keeps a credential: with the helper that the file names for the registry, else in the file itself.

    The file is written anew beside itself and put in place whole, readable for its owner only; members that wingo does
    not know stay.

    Args:
        path: see `docker_config_path`; a missing file and its directory are made.
        registry: as in a reference.
        credential: a user name with a password, or an identity token.
        run_helper: runs a credential helper.

    Returns:
        Where it is kept, for people: a helper's name or the file.

    Raises:
        HostError: the helper or the file system refuses.
        Malformed: the file is not a JSON object.
    """
    document = _load(path)
    server = _server(registry)
    helper = _helper(document, registry)
    if helper:
        token = bool(credential.identity_token)
        told = {
            "ServerURL": server,
            "Username": "<token>" if token else credential.username,
            "Secret": credential.identity_token or credential.password,
        }
        status, _, _ = run_helper(helper, "store", msgspec.json.encode(told))
        if status != 0:
            raise HostError(f"the credential helper docker-credential-{helper} did not keep it (exit status {status})")
        return f"docker-credential-{helper}"
    entry: dict[str, Any] = {}
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    text = f"{credential.username}:{credential.password}"
    entry["auth"] = base64.b64encode(text.encode()).decode()
    auths = _table(document, "auths")
    for key in _spellings(registry):
        auths.pop(key, None)
    document["auths"] = {**auths, server: entry}
    _save(path, document)
    return path


def erase_credential(path: str, registry: str, run_helper: RunHelper) -> bool:
    """Removes a registry's credential from its helper and from the file.

    Returns:
        Whether there was one, as far as that can be told: helpers do not say.

    Raises:
        HostError: the helper or the file system refuses.
        Malformed: the file is not a JSON object.
    """
    document = _load(path)
    found = False
    helper = _helper(document, registry)
    if helper:
        status, output, _ = run_helper(helper, "erase", _server(registry).encode())
        if status != 0 and b"credentials not found" not in output:
            raise HostError(
                f"the credential helper docker-credential-{helper} did not remove it (exit status {status})"
            )
        found = status == 0
    auths = _table(document, "auths")
    kept = {key: entry for key, entry in auths.items() if key not in _spellings(registry)}
    if len(kept) != len(auths):
        document["auths"] = kept
        _save(path, document)
        found = True
    return found


def _server(registry: str) -> str:
    return HUB_KEY if registry == DOCKER_HUB else registry


def _spellings(registry: str) -> frozenset[str]:
    hosts = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io") if registry == DOCKER_HUB else (registry,)
    ends = ("", "/", "/v1", "/v1/", "/v2", "/v2/")
    return frozenset(f"{scheme}{host}{end}" for scheme in ("", "https://", "http://") for host in hosts for end in ends)


def _helper(document: dict[str, Any], registry: str) -> str:
    helpers = _table(document, "credHelpers")
    named = next((name for key, name in helpers.items() if key in _spellings(registry)), "")
    return str(named or document.get("credsStore") or "")


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    if not data.strip():
        return {}
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError:
        # Not chained: a decoder's message may quote what it read.
        raise Malformed("credentials", f"{path} is not a JSON file of credentials", hint="Mend or remove it.") from None


def _save(path: str, document: dict[str, Any]) -> None:
    target = os.path.realpath(path)  # a link to a file elsewhere stays a link
    directory = os.path.dirname(target)
    beside = os.path.join(directory, f".{os.path.basename(target)}.{os.urandom(6).hex()}")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error
