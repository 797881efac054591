"""`wingo login` and `wingo logout`: credentials are checked with the registry before they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.errors import RequestError
from wingo.oci.reference import parse_reference
from wingo.stores.registry.credentials import Credential, OneCredential, docker_config_path
from wingo.stores.registry.login import erase_credential, store_credential

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.settings import Settings


def log_in(registry: str, username: str, password: str, settings: Settings, host: Host) -> str:
    """Checks a credential and keeps it.

    Returns:
        Where it is kept, for people.

    Raises:
        RequestError: the registry's name is wrong, or the user name or password is empty.
        RemoteError: the registry does not take them.
    """
    name = _registry_name(registry)
    if not username or not password:
        raise RequestError(
            "a user name and a password are needed", hint="Give --username, and the password with --password-stdin."
        )
    credential = Credential(username, password)
    with host.registry_client(settings, credentials=OneCredential(name, credential)) as client:
        client.check_login(name)
    return store_credential(docker_config_path(host.environment, host.home), name, credential, host.run_helper)


def log_out(registry: str, host: Host) -> bool:
    """Removes a registry's credential; whether there was one.

    Raises:
        RequestError: the registry's name is wrong.
    """
    path = docker_config_path(host.environment, host.home)
    return erase_credential(path, _registry_name(registry), host.run_helper)


def _registry_name(text: str) -> str:
    """A registry's host, also when it is written as an address."""
    name = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    try:
        registry = parse_reference(f"{name}/x").registry
    except RequestError:
        registry = ""
    if not registry or (registry != name and name not in ("index.docker.io", "registry-1.docker.io")):
        raise RequestError(
            f"{text[:160]!r} is not a registry's host name", hint="Write for instance registry.example:5000."
        )
    return registry
