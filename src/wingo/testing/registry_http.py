"""The HTTP side of the in-process registry: the distribution API, and the faults that were asked for."""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher, sha256_digest
from wingo.oci.manifest import decode_index, decode_manifest
from wingo.oci.media_types import OCI_INDEX, is_foreign, is_index, is_manifest
from wingo.testing.registry_state import Auth, Blob, Fault, Request, held

if TYPE_CHECKING:
    import ssl

    from wingo.testing.registry import RegistryServer

_PIECE = 256 << 10
_SESSION = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>[0-9a-z]+)\Z")
_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>[^?]*)\Z")


class _Answer(msgspec.Struct):
    status: int
    body: bytes | Blob = b""
    headers: dict[str, str] = {}
    start: int = 0


class _HungUp(Exception):
    pass


class HttpServer(socketserver.ThreadingTCPServer):
    """Accepts connections and serves each in a thread, until all of them are dropped."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, registry: RegistryServer, tls: ssl.SSLContext | None) -> None:
        self.registry = registry
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accepts one."""
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            # The handshake is done by the first read, in the connection's own thread.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._open_lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Ends one."""
        with self._open_lock:
            self._open.discard(cast("socket.socket", request))
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Ends all, so that their threads do."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the peer was faster

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not trust us, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = _PIECE
    disable_nagle_algorithm = True

    server: HttpServer  # type: ignore[mutable-override]  # the base class knows any server
    _fault: Fault

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        """Serves any method."""
        registry = self.server.registry
        self._fault = registry.fault_for(self.command, self.path) or Fault()
        self._body_left = 0 if self._chunked_request() else int(self.headers.get("content-length") or 0)
        status = 0
        try:
            answer = self._answer()
            if self._fault.delay:
                registry.wait(self._fault.delay)
            status = answer.status
            # Noted before the client can see the answer, so that tests need not wait for the log.
            self._note(status)
            self._send(answer)
        except _HungUp:
            self.close_connection = True
            if not status:
                self._note(0)
        except (OSError, ValueError):
            self.close_connection = True

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  (the base's names)

    def _note(self, status: int) -> None:
        registry = self.server.registry
        headers = {name.lower(): value for name, value in self.headers.items()}
        with registry.lock:
            registry.requests.append(Request(self.command, self.path, status, headers))

    # The request

    def _chunked_request(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    def _read_into(self, target: bytearray) -> None:
        """Reads the request's body, as far as a fault lets it come."""
        cut = self._fault.cut_upload_after
        if self._chunked_request():
            while size := int(self.rfile.readline(64).partition(b";")[0], 16):
                target += self.rfile.read(size)
                self.rfile.readline(8)
            self.rfile.readline(8)
            return
        while self._body_left:
            piece = self.rfile.read1(min(_PIECE, self._body_left, cut if cut > 0 else _PIECE))
            if not piece:
                raise _HungUp
            self._body_left -= len(piece)
            target += piece
            if cut >= 0:
                cut -= len(piece)
                if cut <= 0:
                    raise _HungUp

    def _body(self) -> bytes:
        data = bytearray()
        self._read_into(data)
        return bytes(data)

    # The answer

    def _answer(self) -> _Answer:
        fault = self._fault
        if fault.status or fault.hang_up:
            if not fault.early:
                self._body()
            if fault.hang_up:
                raise _HungUp
            return _Answer(fault.status, fault.body or b"")
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/token":
            return self._token(url.query)
        refused = self._authorize(url.path, query)
        if refused is not None:
            self._body()
            return refused
        if url.path in ("/v2/", "/v2"):
            return _Answer(200, b"{}", {"Content-Type": "application/json"})
        if match := _SESSION.match(url.path):
            return self._upload(match["name"], match["id"], query)
        match = _ROUTE.match(url.path)
        if match is None:
            self._body()
            return _error(404, "NOT_FOUND", "no such address")
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if kind == "manifests":
            return self._put_manifest(name, rest) if self.command == "PUT" else self._get_manifest(name, rest)
        if kind == "blobs":
            return self._start(name, query) if self.command == "POST" else self._get_blob(name, rest)
        self._body()
        return self._get_tags(name, query) if kind == "tags" else self._get_referrers(name, rest, query)

    def _send(self, answer: _Answer) -> None:
        fault = self._fault
        body, start = answer.body, answer.start
        if fault.body is not None:
            body, start = fault.body, 0
        blob = held(body) if isinstance(body, bytes) else body
        left = blob.size - start
        headers = {
            "Content-Length": str(left + fault.longer),
            "Date": self.date_time_string(),
            **answer.headers,
            **fault.headers,
        }
        if fault.chunked:
            del headers["Content-Length"]
            headers["Transfer-Encoding"] = "chunked"
        if self._body_left:
            headers["Connection"] = "close"
            self.close_connection = True
        self.send_response_only(answer.status)
        for name, value in headers.items():
            if name.lower() not in fault.without:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or answer.status == 204:
            return
        if fault.cut_after >= 0:
            left = min(left, fault.cut_after)
        with blob.open() as stream:
            _discard(stream, start)
            while left:
                piece = stream.read(min(left, _PIECE))
                left -= len(piece)
                if fault.flip and not left:
                    piece = piece[:-1] + bytes([piece[-1] ^ 1])
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if fault.chunked else piece)
        if fault.chunked and fault.cut_after < 0:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if fault.cut_after >= 0 or fault.longer > 0:
            raise _HungUp

    # Who comes

    def _authorize(self, path: str, query: Mapping[str, str]) -> _Answer | None:
        registry = self.server.registry
        if registry.auth is Auth.NONE:
            return None
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if registry.auth is Auth.BASIC:
            if kind.lower() == "basic" and self._knows(value):
                return None
            return _error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="test"'})
        needed = self._needed(path, query)
        scopes = registry.token_scopes(value) if kind.lower() == "bearer" else None
        if scopes is not None and needed <= scopes:
            return None
        realm = registry.realm or f"{registry.url}/token"
        wanted = f',scope="{" ".join(sorted(needed))}"' if needed else ""
        problem = ',error="insufficient_scope"' if scopes is not None else ""
        challenge = f'Bearer realm="{realm}",service="{registry.host}"{wanted}{problem}'
        return _error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})

    def _needed(self, path: str, query: Mapping[str, str]) -> frozenset[str]:
        match = _SESSION.match(path) or _ROUTE.match(path)
        if match is None:
            return frozenset()
        action = "pull" if self.command in ("GET", "HEAD") and not _SESSION.match(path) else "push"
        needed = {f"{match['name']}:{action}"}
        if "from" in query:
            needed.add(f"{query['from']}:pull")
        return frozenset(needed)

    def _knows(self, encoded: str) -> bool:
        registry = self.server.registry
        try:
            told = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return False
        return told == f"{registry.username}:{registry.password}"

    def _token(self, query: str) -> _Answer:
        """The token service: a password over GET, an identity token over POST."""
        registry = self.server.registry
        form = parse_qs(self._body().decode() if self.command == "POST" else query)
        if self.command == "POST":
            known = form.get("refresh_token") == [f"identity-{registry.password}"]
        else:
            kind, _, value = self.headers.get("authorization", "").partition(" ")
            known = kind.lower() == "basic" and self._knows(value)
        if not known:
            return _error(401, "UNAUTHORIZED", "wrong user name or password")
        granted = []
        for scope in " ".join(form.get("scope", [])).split():
            _, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted += [f"{name}:{action}" for action in actions.split(",")]
        token = registry.token(granted)
        name = "access_token" if self.command == "POST" else "token"
        return _json(200, {name: token, "expires_in": registry.token_seconds})

    # Manifests

    def _get_manifest(self, name: str, target: str) -> _Answer:
        self._body()
        registry = self.server.registry
        with registry.lock:
            if not registry.has_repository(name):
                return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
            repository = registry.repository(name)
            digest = Digest(target) if ":" in target else repository.tags.get(target)
            found = repository.manifests.get(digest) if digest is not None else None
        if found is None or digest is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        data, media_type = found
        return _Answer(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _put_manifest(self, name: str, target: str) -> _Answer:
        registry = self.server.registry
        data = self._body()
        media_type = self.headers.get("content-type", "")
        digest = sha256_digest(data)
        if ":" in target and target != digest:
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        with registry.lock:
            repository = registry.repository(name)
            subject = None
            if is_index(media_type):
                index = decode_index(data)
                subject = index.subject
                if any(entry.digest not in repository.manifests for entry in index.manifests):
                    return _error(404, "MANIFEST_UNKNOWN", "a manifest of the index is unknown")
            elif is_manifest(media_type):
                manifest = decode_manifest(data)
                subject = manifest.subject
                needed = [manifest.config, *(item for item in manifest.layers if not is_foreign(item.media_type))]
                if any(item.digest not in repository.blobs for item in needed):
                    return _error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
            else:
                return _error(400, "MANIFEST_INVALID", "unknown media type")
            repository.manifests[digest] = (data, media_type)
            if ":" not in target:
                repository.tags[target] = digest
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if subject is not None and registry.referrers_api:
            headers["OCI-Subject"] = subject.digest
        return _Answer(201, b"", headers)

    def _get_tags(self, name: str, query: Mapping[str, str]) -> _Answer:
        registry = self.server.registry
        with registry.lock:
            if not registry.has_repository(name):
                return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
            tags = sorted(registry.repository(name).tags)
        count = min(int(query.get("n", registry.page)), registry.page)
        rest = [tag for tag in tags if tag > query.get("last", "")]
        answer = _json(200, {"name": name, "tags": rest[:count]})
        if len(rest) > count:
            answer.headers["Link"] = f'</v2/{name}/tags/list?n={count}&last={rest[count - 1]}>; rel="next"'
        return answer

    def _get_referrers(self, name: str, digest: str, query: Mapping[str, str]) -> _Answer:
        registry = self.server.registry
        if not registry.referrers_api:
            return _error(404, "NOT_FOUND", "no such address")
        found = []
        with registry.lock:
            for known, (data, media_type) in registry.repository(name).manifests.items():
                entry = _referrer(known, data, media_type, digest)
                if entry is not None and query.get("artifactType", "") in ("", entry.artifact_type):
                    found.append(entry)
        skip = int(query.get("skip", 0))
        page = found[skip : skip + registry.page]
        answer = _json(200, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page})
        answer.headers["Content-Type"] = OCI_INDEX
        if "artifactType" in query:
            answer.headers["OCI-Filters-Applied"] = "artifactType"
        if len(found) > skip + registry.page:
            answer.headers["Link"] = f'</v2/{name}/referrers/{digest}?skip={skip + registry.page}>; rel="next"'
        return answer

    # Blobs

    def _get_blob(self, name: str, target: str) -> _Answer:
        self._body()
        registry = self.server.registry
        with registry.lock:
            known = registry.has_repository(name)
            blob = registry.repository(name).blobs.get(Digest(target)) if known else None
        if blob is None:
            return _error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": target}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if match is None:
            return _Answer(200, blob, headers)
        start = int(match[1])
        if start >= blob.size:
            return _error(416, "RANGE_INVALID", "no such range", {"Content-Range": f"bytes */{blob.size}"})
        headers["Content-Range"] = f"bytes {start}-{blob.size - 1}/{blob.size}"
        return _Answer(206, blob, headers, start)

    def _start(self, name: str, query: Mapping[str, str]) -> _Answer:
        registry = self.server.registry
        data = self._body()
        digest, source = query.get("mount", ""), query.get("from", "")
        with registry.lock:
            if digest and source and registry.mounts and registry.has_repository(source):
                blob = registry.repository(source).blobs.get(Digest(digest))
                if blob is not None:
                    registry.repository(name).blobs[Digest(digest)] = blob
                    return _stored(name, digest)
        if "digest" in query:
            return self._store(name, query["digest"], data)
        session = registry.new_session(name)
        answer = _Answer(202, b"", _session_headers(name, session, 0))
        if registry.least_chunk:
            answer.headers["OCI-Chunk-Min-Length"] = str(registry.least_chunk)
        return answer

    def _upload(self, name: str, session: str, query: Mapping[str, str]) -> _Answer:
        registry = self.server.registry
        held = registry.session(session, name)
        if held is None:
            self._body()
            return _error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self.command == "GET":
            return _Answer(204, b"", _session_headers(name, session, len(held)))
        if self.command == "DELETE":
            registry.end_session(session)
            return _Answer(204)
        start = self.headers.get("content-range", "").partition("-")[0]
        if start and int(start) != len(held):
            self._body()
            return _error(416, "BLOB_UPLOAD_INVALID", "out of order", _session_headers(name, session, len(held)))
        self._read_into(held)
        if self.command == "PATCH":
            return _Answer(202, b"", _session_headers(name, session, len(held)))
        registry.end_session(session)
        return self._store(name, query.get("digest", ""), bytes(held))

    def _store(self, name: str, claimed: str, data: bytes) -> _Answer:
        hasher = Hasher("sha512" if claimed.startswith("sha512:") else "sha256")
        hasher.update(data)
        digest = hasher.digest()
        if digest != claimed:
            return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        registry = self.server.registry
        with registry.lock:
            registry.repository(name).blobs[digest] = held(data)
        return _stored(name, digest)


def _referrer(known: Digest, data: bytes, media_type: str, subject: str) -> Descriptor | None:
    document = (
        decode_index(data) if is_index(media_type) else decode_manifest(data) if is_manifest(media_type) else None
    )
    if document is None or document.subject is None or document.subject.digest != subject:
        return None
    config = getattr(document, "config", None)
    artifact_type = document.artifact_type or (config.media_type if config is not None else "")
    return Descriptor(media_type, known, len(data), artifact_type=artifact_type, annotations=document.annotations)


def _session_headers(name: str, session: str, size: int) -> dict[str, str]:
    return {
        "Location": f"/v2/{name}/blobs/uploads/{session}",
        "Range": f"0-{max(size - 1, 0)}",
        "Docker-Upload-UUID": session,
    }


def _stored(name: str, digest: str) -> _Answer:
    return _Answer(201, b"", {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})


def _json(status: int, document: object) -> _Answer:
    return _Answer(status, msgspec.json.encode(document), {"Content-Type": "application/json"})


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> _Answer:
    answer = _json(status, {"errors": [{"code": code, "message": message}]})
    answer.headers.update(headers or {})
    return answer


def _discard(stream: BinaryIO, count: int) -> None:
    while count:
        count -= len(stream.read(min(count, _PIECE)))
