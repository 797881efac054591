"""Whose name we use with a registry: Docker's `config.json`, Podman's `auth.json`, credential helpers.

Sources: docker/cli `cli/config/configfile`, containers/image `docs/containers-auth.json.5.md`,
docker/docker-credential-helpers (the protocol).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from wingo.errors import HostError, Malformed
from wingo.oci.reference import DOCKER_HUB
from wingo.oci.wire import decoder

HUB_KEY = "https://index.docker.io/v1/"
"""What Docker Hub is called in these files, since its first version."""
MAX_FILE_BYTES = 4 << 20
_TOKEN_USER = "<token>"  # noqa: S105  (the protocol's word for "the secret is an identity token")

RunHelper: TypeAlias = Callable[[str, str, bytes], tuple[int, bytes, bytes]]
"""Runs `docker-credential-NAME VERB` with an input; gives exit status, stdout and stderr. Raises `HostError` when there
is no such program."""


class Credential(msgspec.Struct, frozen=True):
    """What a registry is told about us; never printed.

    Attributes:
        username: with `password`.
        password: a password or an access token.
        identity_token: an OAuth 2 refresh token, exchanged for access tokens.
        registry_token: a bearer token, sent as it is.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credential(…)"

    __str__ = __repr__

    @property
    def basic(self) -> str:
        """The Authorization header of basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Credentials(Protocol):
    """Somebody who knows credentials."""

    def lookup(self, registry: str, repository: str = "") -> Credential | None:
        """Those for a repository, None when we come without a name.

        Args:
            registry: as in a reference, for instance "docker.io" or "registry.example:5000".
            repository: narrower keys of Podman's files are for namespaces and repositories.

        Raises:
            HostError: a helper that is configured fails.
            Malformed: a file that is not what it should be.
        """


class NoCredentials:
    """Nobody is known anywhere."""

    def lookup(self, registry: str, repository: str = "") -> Credential | None:  # noqa: ARG002  (the protocol's)
        """None."""
        return None


class OneCredential:
    """One credential for one registry, such as the one that `wingo login` is about to keep."""

    def __init__(self, registry: str, credential: Credential) -> None:
        self._registry = registry
        self._credential = credential

    def lookup(self, registry: str, repository: str = "") -> Credential | None:  # noqa: ARG002  (the protocol's)
        """The credential, for its registry."""
        return self._credential if registry == self._registry else None


class _Entry(msgspec.Struct, frozen=True):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None

    def __repr__(self) -> str:
        return "_Entry(…)"


class _File(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry | None] | None = None
    creds_store: str | None = msgspec.field(name="credsStore", default=None)
    cred_helpers: dict[str, str] | None = msgspec.field(name="credHelpers", default=None)


class FileCredentials:
    """The credentials that files on this machine name; they are read when first asked for."""

    def __init__(self, paths: Sequence[str], read: Callable[[str], bytes | None], run_helper: RunHelper) -> None:
        """Takes what is needed, reads nothing yet.

        Args:
            paths: see `credential_paths`; the first file that knows a registry is believed.
            read: the bytes of a file, None when there is none.
            run_helper: runs a credential helper.
        """
        self._paths = tuple(paths)
        self._read = read
        self._run_helper = run_helper
        self._files: list[tuple[str, _File]] | None = None

    def lookup(self, registry: str, repository: str = "") -> Credential | None:
        """The credential of the narrowest key, in the first file that has one."""
        keys = list(_keys(registry, repository))
        for path, file in self._all():
            for key in keys:
                found = self._in_file(path, file, key, registry)
                if found is not None:
                    return found
        return None

    def _all(self) -> list[tuple[str, _File]]:
        if self._files is None:
            self._files = [(path, _parse(path, data)) for path in self._paths if (data := self._read(path)) is not None]
        return self._files

    def _in_file(self, path: str, file: _File, key: str, registry: str) -> Credential | None:
        helpers = {_normal(name): helper for name, helper in (file.cred_helpers or {}).items()}
        if helper := helpers.get(key):
            return ask_helper(self._run_helper, helper, _server(key))
        if file.creds_store and key == registry:
            found = ask_helper(self._run_helper, file.creds_store, _server(key))
            if found is not None:
                return found
        for name, entry in (file.auths or {}).items():
            if entry is not None and _normal(name) == key:
                found = _credential(path, name, entry)
                if found is not None:
                    return found
        return None


def credential_paths(environment: Mapping[str, str], home: str) -> tuple[str, ...]:
    """The files that may name credentials, in the order in which they are believed.

    REGISTRY_AUTH_FILE first, as somebody chose it; then Docker's file; then Podman's, the one of the session before
    the one that stays.
    """
    paths = []
    if chosen := environment.get("REGISTRY_AUTH_FILE"):
        paths.append(chosen)
    paths.append(docker_config_path(environment, home))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        paths.append(f"{runtime}/containers/auth.json")
    paths.append(f"{environment.get('XDG_CONFIG_HOME') or f'{home}/.config'}/containers/auth.json")
    return tuple(dict.fromkeys(paths))


def docker_config_path(environment: Mapping[str, str], home: str) -> str:
    """Docker's `config.json`, where `wingo login` keeps credentials too."""
    return f"{environment.get('DOCKER_CONFIG') or f'{home}/.docker'}/config.json"


def ask_helper(run_helper: RunHelper, helper: str, server: str) -> Credential | None:
    """Asks a credential helper ("get").

    Raises:
        HostError: it fails; its output is not repeated but for the first line of what it says of itself.
    """
    status, output, _ = run_helper(helper, "get", server.encode())
    if status != 0:
        # The protocol's way of saying no is an exit status and this sentence on stdout.
        said = output.decode("utf-8", "replace").strip()
        if "credentials not found" in said:
            return None
        raise HostError(
            f"the credential helper docker-credential-{helper} failed for {server} with exit status {status}",
            hint=f"Run 'docker-credential-{helper} list' to see what is wrong, or 'wingo login' again.",
        )
    try:
        answer = msgspec.json.decode(output, type=dict[str, object])
    except msgspec.MsgspecError:
        # Not chained: the error may quote the secret.
        raise HostError(
            f"the credential helper docker-credential-{helper} answered with something else than JSON"
        ) from None
    username, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    if not secret:
        return None
    return Credential(identity_token=secret) if username == _TOKEN_USER else Credential(username, secret)


def _parse(path: str, data: bytes) -> _File:
    if not data.strip():
        return _File()
    try:
        return decoder(_File).decode(data[:MAX_FILE_BYTES])
    except msgspec.MsgspecError:
        # Not chained: a decoder's message may quote what it read.
        raise Malformed("credentials", f"{path} is not a JSON file of credentials", hint="Mend or remove it.") from None


def _credential(path: str, key: str, entry: _Entry) -> Credential | None:
    username, password = entry.username or "", entry.password or ""
    if entry.auth:
        try:
            decoded = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Malformed(
                "credentials", f"the entry {key!r} of {path} is damaged", hint=f"Run 'wingo login {key}' again."
            ) from None
        username, colon, password = decoded.rstrip("\x00").partition(":")
        if not colon:
            return None
    found = Credential(username, password, entry.identitytoken or "", entry.registrytoken or "")
    return found if found != Credential() else None


def _keys(registry: str, repository: str) -> list[str]:
    """What a repository's credential may be filed under, narrowest first: it, its namespaces, its registry."""
    parts = repository.split("/") if repository else []
    return [f"{registry}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)] + [registry]


def _normal(key: str) -> str:
    """A key of a file as `_keys` spells it: without scheme, API version and Docker Hub's other names."""
    for scheme in ("https://", "http://"):
        key = key.removeprefix(scheme)
    key = key.rstrip("/")
    for version in ("/v1", "/v2"):
        key = key.removesuffix(version)
    host, slash, path = key.partition("/")
    if host in ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"):
        host = DOCKER_HUB
    return f"{host}{slash}{path}"


def _server(key: str) -> str:
    """A key as helpers know it."""
    return HUB_KEY if key == DOCKER_HUB else key
