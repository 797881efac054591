"""`RegistryServer`: a whole registry in this process, which can be made to fail in every way that real ones do.

It speaks the distribution API 1.1: manifests, blobs, mounts, uploads in one piece and in many, ranges, tags, referrers,
basic and token authentication, with TLS too. It listens on loopback alone and keeps everything in memory.
"""

from __future__ import annotations

import itertools
import re
import secrets
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.image.model import Image, Index, images_of
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.media_types import is_foreign
from wingo.oci.reference import Reference
from wingo.testing.registry_http import HttpServer
from wingo.testing.registry_state import Auth, Blob, Fault, Request, StoredRepository, held

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

__all__ = ["Auth", "Fault", "RegistryServer", "Request"]


class RegistryServer:
    """A registry on a free port of this machine; a context manager.

    Attributes:
        host: host and port, as in a reference.
        url: where it is: "http://127.0.0.1:PORT".
        requests: what was asked, in the order of the answers; cleared with `forget`.
    """

    def __init__(
        self,
        *,
        auth: Auth = Auth.NONE,
        username: str = "user",
        password: str = "password",  # noqa: S107  (a test server's)
        realm: str = "",
        token_seconds: float = 300,
        referrers_api: bool = True,
        mounts: bool = True,
        least_chunk: int = 0,
        page: int = 1000,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Binds the port; serves from `start` (or `with`) on.

        Args:
            auth: how it wants to know who comes.
            username: who may do everything; nobody else may do anything.
            password: with it; also what an identity token for it is called: "identity-" and the password.
            realm: the address of the token service that it names; by default its own.
            token_seconds: how long its tokens are good, by their own word.
            referrers_api: whether it has one; without, it answers 404 there.
            mounts: whether blobs can be mounted from other repositories.
            least_chunk: the least size of pieces that it asks for.
            page: tags and referrers of one answer.
            tls: a server's context, to speak TLS.
        """
        self.auth = auth
        self.username = username
        self.password = password
        self.realm = realm
        self.token_seconds = token_seconds
        self.referrers_api = referrers_api
        self.mounts = mounts
        self.least_chunk = least_chunk
        self.page = page
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._repositories: dict[str, StoredRepository] = {}
        self._sessions: dict[str, tuple[str, bytearray]] = {}
        self._tokens: dict[str, frozenset[str]] = {}
        self._session_ids = itertools.count(1)
        self._server = HttpServer(self, tls)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        port = self._server.server_address[1]
        self.host = f"127.0.0.1:{port}"
        self.url = f"{'http' if tls is None else 'https'}://{self.host}"

    def start(self) -> Self:
        """Serves in a thread of its own."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Closes every connection and the port."""
        self._stopping.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.drop_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What is in it

    def add(self, reference: Reference | str, artifact: Image | Index) -> Reference:
        """Puts an image or index in, without requests.

        Layers are not read before they are asked for; those that are kept elsewhere are left out, as their `urls` say.

        Args:
            reference: the repository and tag; a registry in it is left out, so "mcr.microsoft.com/windows/nanoserver:x"
                makes this server a mirror of that one.
            artifact: what is put in, with the children that are at hand.

        Returns:
            Its reference in this registry.
        """
        path, tag = _split(reference)
        with self.lock:
            repository = self.repository(path)
            for image in images_of(artifact):
                repository.blobs[image.manifest.config.digest] = held(image.config_bytes)
                for layer in image.layers:
                    descriptor = layer.descriptor
                    if not is_foreign(descriptor.media_type):
                        repository.blobs[descriptor.digest] = Blob(descriptor.size, layer.open)
            for part in _parts(artifact):
                repository.manifests[part.digest] = (part.manifest_bytes, part.media_type)
            if tag:
                repository.tags[tag] = artifact.digest
        return Reference(self.host, path, tag=tag, digest=Digest("") if tag else artifact.digest)

    def add_blob(self, path: str, data: bytes) -> Digest:
        """Puts a blob into a repository."""
        digest = sha256_digest(data)
        with self.lock:
            self.repository(path).blobs[digest] = held(data)
        return digest

    def add_manifest(self, path: str, data: bytes, media_type: str, tag: str = "") -> Digest:
        """Puts any bytes in as a manifest: nothing is checked."""
        digest = sha256_digest(data)
        with self.lock:
            repository = self.repository(path)
            repository.manifests[digest] = (data, media_type)
            if tag:
                repository.tags[tag] = digest
        return digest

    def repository(self, path: str) -> StoredRepository:
        """What is in a repository: `blobs`, `manifests`, `tags`; made when there is none."""
        with self.lock:
            return self._repositories.setdefault(path, StoredRepository())

    def has_repository(self, path: str) -> bool:
        """Whether anything was ever put into it."""
        with self.lock:
            return path in self._repositories

    def tag(self, path: str, tag: str) -> Digest | None:
        """What a tag stands for."""
        with self.lock:
            return self.repository(path).tags.get(tag)

    def blob(self, path: str, digest: Digest) -> bytes | None:
        """A blob's bytes."""
        with self.lock:
            blob = self.repository(path).blobs.get(digest)
        if blob is None:
            return None
        with blob.open() as stream:
            return stream.read()

    # What goes wrong, and what was asked

    def fail(self, fault: Fault) -> None:
        """Makes something go wrong from now on; several faults for one request happen one request after another."""
        with self.lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Forgets every fault."""
        with self.lock:
            self._faults.clear()

    def forget(self) -> None:
        """Clears `requests`."""
        with self.lock:
            self.requests.clear()

    def asked(self, method: str = "", path: str = "") -> list[Request]:
        """The requests with a method ("" for every one) whose path contains a regular expression."""
        with self.lock:
            return [
                request
                for request in self.requests
                if method in ("", request.method) and re.search(path, request.path) is not None
            ]

    def revoke_tokens(self) -> None:
        """Makes every token that was given out worthless."""
        with self.lock:
            self._tokens.clear()

    # For the handler

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault that this request suffers."""
        with self.lock:
            for fault in self._faults:
                if fault.method not in ("", method) or re.search(fault.path, path) is None or fault.times == 0:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def wait(self, seconds: float) -> None:
        """Sleeps, but not longer than the server lives."""
        self._stopping.wait(seconds)

    def new_session(self, path: str) -> str:
        """Opens an upload."""
        with self.lock:
            name = f"{next(self._session_ids)}{secrets.token_hex(4)}"
            self._sessions[name] = (path, bytearray())
            return name

    def session(self, name: str, path: str) -> bytearray | None:
        """The bytes of an upload so far."""
        with self.lock:
            found = self._sessions.get(name)
            return found[1] if found is not None and found[0] == path else None

    def end_session(self, name: str) -> None:
        """Forgets an upload."""
        with self.lock:
            self._sessions.pop(name, None)

    def token(self, scopes: Sequence[str]) -> str:
        """A new token for some scopes."""
        with self.lock:
            name = secrets.token_urlsafe(12)
            self._tokens[name] = frozenset(scopes)
            return name

    def token_scopes(self, token: str) -> frozenset[str] | None:
        """What a token is good for, None when it is none."""
        with self.lock:
            return self._tokens.get(token)


def _parts(artifact: Image | Index) -> list[Image | Index]:
    parts: list[Image | Index] = [artifact]
    if isinstance(artifact, Index):
        for child in artifact.children:
            parts.extend(_parts(child))
    return parts


def _split(reference: Reference | str) -> tuple[str, str]:
    if isinstance(reference, Reference):
        return reference.repository, reference.tag
    first, slash, rest = reference.partition("/")
    path = rest if slash and ("." in first or ":" in first or first == "localhost") else reference
    name, _, tag = path.partition("@")[0].partition(":")
    return name, tag
