"""The calls of the distribution API, one method each (distribution-spec 1.1); what they mean together is in read and write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import DigestMismatch, Malformed, RemoteError
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher, algorithm_of, parse_digest
from wingo.oci.manifest import IndexManifest, decode_index
from wingo.oci.media_types import ACCEPTED, OCI_INDEX
from wingo.oci.reference import DOCKER_HUB
from wingo.oci.wire import MAX_MANIFEST_BYTES, decode
from wingo.stores.registry.auth import Authenticator, pull_scope, push_scope
from wingo.stores.registry.faults import HUB_API, clean, network_fault, refusal
from wingo.stores.registry.http1 import Body, NotHttp, Response, TooLong
from wingo.stores.registry.url import Url, follow, split_authority

if TYPE_CHECKING:
    from wingo.stores.registry.credentials import Credentials
    from wingo.stores.registry.transport import Transport

_ACCEPT = ", ".join(ACCEPTED)
_MAX_TAGS = 10_000
_TAGS_PER_PAGE = 1000
_MAX_TAG_PAGES = 10
_MAX_REFERRER_PAGES = 20
_MAX_LIST_BYTES = 4 << 20
_TRIES = 3
"""How often a document is asked for whose answers are cut off."""

OK, CREATED, ACCEPTED_STATUS, NO_CONTENT, PARTIAL = 200, 201, 202, 204, 206
UNAUTHORIZED, NOT_FOUND, RANGE_NOT_SATISFIABLE = 401, 404, 416


class Document(msgspec.Struct, frozen=True):
    """A manifest or index as a registry gave it.

    Attributes:
        data: its bytes.
        digest: of the bytes.
        media_type: what the registry calls them; a claim.
    """

    data: bytes
    digest: Digest
    media_type: str


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None


class _Referrers(msgspec.Struct, frozen=True):
    """An index, but for registries in Go that write an empty list as null."""

    manifests: tuple[Descriptor, ...] | None = None


class Registry:
    """One registry's address and our standing with it.

    Attributes:
        name: as in a reference.
        base: where its API is.
    """

    def __init__(self, name: str, transport: Transport, credentials: Credentials) -> None:
        self.name = name
        self.transport = transport
        authority = HUB_API if name == DOCKER_HUB else name
        host, port = split_authority(authority)
        scheme = transport.scheme_for(authority, host, port)
        self.base = Url(scheme, host, port or (443 if scheme == "https" else 80), "/v2/")
        self._auth = Authenticator(name, self.base, transport, credentials)

    def send(
        self,
        method: str,
        url: Url,
        doing: str,
        *,
        repository: str = "",
        scopes: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        again: bool | None = None,
    ) -> Response:
        """Sends a request with our credentials, which go to the registry itself only.

        A 401 is answered once, with what its challenge asks for.

        Raises:
            RemoteError: no answer; any status is returned.
        """
        ours = url.origin == self.base.origin
        scopes = tuple(scopes)
        header = self._auth.header(repository, scopes) if ours else ""
        response = self.transport.request(
            method, url, doing, headers=headers, authorization=header, body=body, again=again
        )
        challenge = response.headers.get("www-authenticate", "")
        if response.status != UNAUTHORIZED or not ours or not self._auth.refused(challenge, header, scopes):
            return response
        try:
            fresh = self._auth.header(repository, scopes)
            if not fresh:
                return response
        except BaseException:
            response.close()
            raise
        response.close()
        return self.transport.request(method, url, doing, headers=headers, authorization=fresh, body=body, again=again)

    def check(self) -> None:
        """Asks whether the registry knows us (distribution-spec, end-1).

        Raises:
            RemoteError: it does not, or is none.
        """
        doing = f"logging in to {self.name}"
        with self.send("GET", self.base, doing) as response:
            if response.status != OK:
                raise refusal(response, doing, self.base)

    def session(self, asked: Url, response: Response, doing: str) -> Url:
        """The address at which an upload goes on.

        Raises:
            RemoteError: there is none, or it is on a host without TLS though the registry has it.
        """
        location = response.headers.get("location", "")
        try:
            url = follow(asked, location) if location else None
        except Malformed:
            url = None
        if url is None:
            raise RemoteError(f"{doing}: {self.base.authority} does not say where the upload goes on")
        if self.base.scheme == "https" and url.scheme == "http":
            if url.host != self.base.host:
                raise RemoteError(
                    f"{doing}: {self.base.authority} wants the upload sent without TLS to {url.authority}"
                )
            # A registry behind a proxy that ends TLS often does not know of it.
            url = Url("https", self.base.host, self.base.port, url.target)
        return url


class Repository:
    """One repository of a registry, with the rights that we ask for.

    Attributes:
        registry: where it is.
        path: its name there.
    """

    def __init__(self, registry: Registry, path: str, *, write: bool = False) -> None:
        self.registry = registry
        self.path = path
        self.scopes = (push_scope(path) if write else pull_scope(path),)

    @property
    def name(self) -> str:
        """Registry and path, for people."""
        return f"{self.registry.name}/{self.path}"

    def url(self, rest: str) -> Url:
        """An address below the repository."""
        return self.registry.base.at(f"/v2/{self.path}/{rest}")

    def send(
        self,
        method: str,
        url: Url,
        doing: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        again: bool | None = None,
        scopes: Iterable[str] = (),
    ) -> Response:
        """See `Registry.send`; `scopes` are wanted beside the repository's own."""
        return self.registry.send(
            method,
            url,
            doing,
            repository=self.path,
            scopes=(*self.scopes, *scopes),
            headers=headers,
            body=body,
            again=again,
        )

    def head_manifest(self, target: str) -> Descriptor | None:
        """What a tag or digest stands for, by the registry's word; None when there is nothing (end-3).

        A registry that does not tell the digest is asked for the bytes.
        """
        doing = f"looking up {self._named(target)}"
        url = self.url(f"manifests/{target}")
        with self.send("HEAD", url, doing, headers={"Accept": _ACCEPT}) as response:
            if response.status == NOT_FOUND:
                return None
            if response.status != OK:
                raise refusal(response, doing, url)
            headers = response.headers
        try:
            digest = parse_digest(headers.get("docker-content-digest", ""))
            size = int(headers.get("content-length", ""))
        except (Malformed, ValueError):
            document = self.get_manifest(target)
            return Descriptor(document.media_type, document.digest, len(document.data))
        return Descriptor(_bare_type(headers), digest, size)

    def get_manifest(self, target: str) -> Document:
        """A manifest or index (end-3).

        Raises:
            DigestMismatch: the bytes are not those that were asked for, or that the registry says they are.
            Malformed: more bytes than a manifest may have.
            RemoteError: the registry refuses, or has none.
        """
        doing = f"reading the manifest of {self._named(target)}"
        url = self.url(f"manifests/{target}")

        def ask() -> Response:
            response = self.send("GET", url, doing, headers={"Accept": _ACCEPT})
            if response.status != OK:
                with response:
                    raise refusal(response, doing, url)
            return response

        data, headers = self._whole_document(ask, "manifest", MAX_MANIFEST_BYTES, doing, url)
        claimed = headers.get("docker-content-digest", "")
        try:
            digest = parse_digest(target if ":" in target else claimed)
        except Malformed:
            digest = Digest("sha256:")
        hasher = Hasher(algorithm_of(digest))
        hasher.update(data)
        actual = hasher.digest()
        if digest not in ("sha256:", actual):
            raise DigestMismatch(
                f"the manifest of {self._named(target)}",
                digest,
                actual,
                hint="Try again; if it stays, the registry lies.",
            )
        return Document(data, actual, _bare_type(headers))

    def put_manifest(self, target: str, data: bytes, media_type: str) -> bool:
        """Writes a manifest or index under a tag or its digest (end-7).

        Returns:
            Whether the registry has taken note of its subject (the OCI-Subject header).

        Raises:
            DigestMismatch: the registry says that it holds something else.
            RemoteError: it refuses.
        """
        doing = f"writing the manifest of {self._named(target)}"
        url = self.url(f"manifests/{target}")
        with self.send("PUT", url, doing, headers={"Content-Type": media_type}, body=data, again=True) as response:
            if response.status not in (OK, CREATED, ACCEPTED_STATUS):
                raise refusal(response, doing, url)
            headers = response.headers
        claimed = headers.get("docker-content-digest", "")
        if claimed:
            hasher = Hasher("sha512" if claimed.startswith("sha512:") else "sha256")
            hasher.update(data)
            if claimed != hasher.digest():
                raise DigestMismatch(
                    f"the manifest of {self._named(target)}, as written", hasher.digest(), clean(claimed, 150)
                )
        return "oci-subject" in headers

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there, by the registry's word (end-2)."""
        doing = f"looking for the blob {digest} in {self.name}"
        url = self.url(f"blobs/{digest}")
        with self.send("HEAD", url, doing) as response:
            if response.status not in (OK, NOT_FOUND):
                raise refusal(response, doing, url)
            return response.status == OK

    def get_blob(self, digest: Digest, *, start: int = 0) -> Response:
        """A blob's bytes from some offset on; unverified (end-2). The status is 200 (all of it) or 206.

        Raises:
            RemoteError: the registry refuses, or has none.
        """
        doing = f"reading the blob {digest} of {self.name}"
        url = self.url(f"blobs/{digest}")
        response = self.send("GET", url, doing, headers={"Range": f"bytes={start}-"} if start else None)
        if response.status not in (OK, PARTIAL):
            raise refusal(response, doing, url)
        return response

    def small_blob(self, descriptor: Descriptor, what: str, limit: int) -> bytes:
        """A blob that is held whole; unverified.

        Raises:
            Malformed: it has more than `limit` bytes.
            RemoteError: the registry refuses, cuts, or has none.
        """
        doing = f"reading the {what} {descriptor.digest} of {self.name}"
        url = self.url(f"blobs/{descriptor.digest}")
        return self._whole_document(lambda: self.get_blob(descriptor.digest), what, limit, doing, url)[0]

    def _whole_document(
        self, ask: Callable[[], Response], what: str, limit: int, doing: str, url: Url
    ) -> tuple[bytes, Mapping[str, str]]:
        """A document and its headers; one that is cut off is asked for again, from its beginning."""
        for tried in range(1, _TRIES + 1):
            with ask() as response:
                try:
                    return _whole(response, what, limit, doing, url), response.headers
                except RemoteError as error:
                    if tried == _TRIES or not error.temporary:
                        raise
            self.registry.transport.rest(tried)
        raise AssertionError("the last try returns or raises")

    def tags(self) -> tuple[str, ...]:
        """The repository's tags, ten thousand at most (end-8)."""
        doing = f"listing the tags of {self.name}"
        url: Url | None = self.url(f"tags/list?n={_TAGS_PER_PAGE}")
        found: list[str] = []
        for _ in range(_MAX_TAG_PAGES):
            if url is None or len(found) >= _MAX_TAGS:
                break
            with self.send("GET", url, doing) as response:
                if response.status != OK:
                    raise refusal(response, doing, url)
                data = _whole(response, "tag list", _MAX_LIST_BYTES, doing, url)
                following = self._next(url, response)
            found.extend(decode(data, _Tags, "tag list", limit=_MAX_LIST_BYTES).tags or ())
            url = following
        return tuple(found[:_MAX_TAGS])

    def referrers(self, digest: Digest, artifact_type: str = "") -> tuple[Descriptor, ...] | None:
        """What refers to a manifest; None when the registry has no such API (end-12)."""
        doing = f"listing what refers to {self.name}@{digest}"
        url: Url | None = self.url(f"referrers/{digest}")
        if artifact_type and url is not None:
            url = url.with_query("artifactType", artifact_type)
        found: list[Descriptor] = []
        for _ in range(_MAX_REFERRER_PAGES):
            if url is None:
                break
            with self.send("GET", url, doing, headers={"Accept": OCI_INDEX}) as response:
                if response.status == NOT_FOUND:
                    return None
                if response.status != OK:
                    raise refusal(response, doing, url)
                if _bare_type(response.headers) != OCI_INDEX:
                    return None  # some answer every unknown address with a page
                data = _whole(response, "referrers", _MAX_LIST_BYTES, doing, url)
                following = self._next(url, response)
            found.extend(decode(data, _Referrers, "referrers", limit=_MAX_LIST_BYTES).manifests or ())
            url = following
        return tuple(item for item in found if artifact_type in ("", item.artifact_type))

    def fallback_index(self, digest: Digest) -> IndexManifest | None:
        """The index under the tag that stands in for the referrers API, None when there is none
        (distribution-spec, "Unavailable Referrers API").
        """
        tag = fallback_tag(digest)
        doing = f"reading {self.name}:{tag}"
        url = self.url(f"manifests/{tag}")
        with self.send("GET", url, doing, headers={"Accept": OCI_INDEX}) as response:
            if response.status == NOT_FOUND:
                return None
            if response.status != OK:
                raise refusal(response, doing, url)
            return decode_index(_whole(response, "index", MAX_MANIFEST_BYTES, doing, url))

    def _next(self, url: Url, response: Response) -> Url | None:
        """The next page, by the Link header; on another host there is none for us."""
        address, _, relation = response.headers.get("link", "").partition(">")
        if not address.startswith("<") or "next" not in relation:
            return None
        following = follow(url, address[1:])
        return following if following.origin == url.origin and following != url else None

    def _named(self, target: str) -> str:
        return f"{self.name}{'@' if ':' in target else ':'}{target}"


def fallback_tag(digest: Digest) -> str:
    """The tag that lists what refers to a digest where there is no referrers API."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def _bare_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip()


def _whole(response: Response, what: str, limit: int, doing: str, url: Url) -> bytes:
    try:
        return response.read_all(limit)
    except TooLong as error:
        raise Malformed(what, f"more than the {limit} bytes that wingo reads, from {url.authority}") from error
    except (OSError, NotHttp) as error:
        raise network_fault(error, doing, url) from error
