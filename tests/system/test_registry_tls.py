"""TLS with real certificates: our own CA, client certificates, what is wrong with them, tunnels; `openssl` makes them."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest

from tests.needs import need_tool
from wingo.errors import HostError, RemoteError
from wingo.image.model import Image
from wingo.oci.reference import Reference
from wingo.stores.registry import Shipment, TlsOptions, Transport
from wingo.stores.registry.certificates import certificate_directories
from wingo.stores.registry.proxies import Proxies, Proxy
from wingo.stores.registry.transport import SYSTEM_TLS
from wingo.stores.registry.url import parse_url
from wingo.testing.images import random_image
from wingo.testing.registry import RegistryServer
from wingo.testing.registry_client import QUICK, make_client, make_transport


class Certificates(msgspec.Struct):
    """Files: a CA, a server's pair for 127.0.0.1 and localhost, one for another name, a client's pair."""

    directory: Path

    def path(self, name: str) -> str:
        return str(self.directory / name)


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run([need_tool("openssl"), *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    ca = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(
        directory,
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=Test CA",
        *ca,
    )
    for name, alternative in (
        ("server", "IP:127.0.0.1,DNS:localhost"),
        ("other", "DNS:registry.example"),
        ("client", "DNS:client.example"),
    ):
        _openssl(
            directory,
            *(
                "req",
                "-x509",
                *key,
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.crt",
                "-days",
                "2",
                "-subj",
                f"/CN={name}",
            ),
            *("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName={alternative}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
    return Certificates(directory)


def _context(certificates: Certificates, name: str = "server", *, client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path(f"{name}.crt"), certificates.path(f"{name}.key"))
    if client:
        context.load_verify_locations(certificates.path("ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def server(certificates: Certificates) -> Iterator[RegistryServer]:
    with RegistryServer(tls=_context(certificates)) as started:
        yield started


def _trusting(certificates: Certificates) -> TlsOptions:
    return TlsOptions(ca_files=(certificates.path("ca.crt"),), wanted=True)


def test_a_push_and_a_pull_with_our_own_ca(server: RegistryServer, certificates: Certificates) -> None:
    image = random_image(1, size=3 << 20)
    to = Reference(server.host, "a/b", tag="v1")
    with make_client(make_transport(tls=_trusting(certificates))) as client:
        client.write([Shipment(to, image)])
        read = client.read(to)
        assert isinstance(read, Image)
        with read.layers[0].open() as theirs, image.layers[0].open() as ours:
            assert theirs.read() == ours.read()


def test_an_unknown_ca_is_refused_with_what_to_do(server: RegistryServer) -> None:
    with make_client(make_transport(tls=TlsOptions(wanted=True))) as client, pytest.raises(RemoteError) as caught:
        client.head(Reference(server.host, "a/b", tag="v1"))
    assert "is not trusted" in str(caught.value)
    assert f"/etc/docker/certs.d/{server.host}/ca.crt" in caught.value.hint
    assert server.requests == []


def test_a_certificate_for_another_name_is_refused(certificates: Certificates) -> None:
    with RegistryServer(tls=_context(certificates, "other")) as server:
        with (
            make_client(make_transport(tls=_trusting(certificates))) as client,
            pytest.raises(RemoteError, match="127"),
        ):
            client.head(Reference(server.host, "a/b", tag="v1"))
        assert server.requests == []


@pytest.mark.parametrize("insecure", [True, False])
def test_insecure_means_without_proof_and_only_when_named(server: RegistryServer, insecure: bool) -> None:
    server.add("a/b:v1", random_image(1))
    transport = make_transport(tls=TlsOptions(wanted=True), insecure=[server.host] if insecure else ["127.0.0.1:1"])
    with make_client(transport) as client:
        if insecure:
            assert client.head(Reference(server.host, "a/b", tag="v1")) is not None
        else:
            with pytest.raises(RemoteError, match="is not trusted"):
                client.head(Reference(server.host, "a/b", tag="v1"))


def test_client_certificates(certificates: Certificates) -> None:
    with RegistryServer(tls=_context(certificates, client=True)) as server:
        server.add("a/b:v1", random_image(1))
        options = _trusting(certificates)
        with make_client(make_transport(tls=options)) as client, pytest.raises(RemoteError):
            client.head(Reference(server.host, "a/b", tag="v1"))
        pair = (certificates.path("client.crt"), certificates.path("client.key"))
        options = msgspec.structs.replace(options, client_certificates=(pair,))
        with make_client(make_transport(tls=options)) as client:
            assert client.head(Reference(server.host, "a/b", tag="v1")) is not None


def test_docker_directories(server: RegistryServer, certificates: Certificates, tmp_path: Path) -> None:
    server.add("a/b:v1", random_image(1))
    directory = tmp_path / "certs.d" / server.host
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes(Path(certificates.path("ca.crt")).read_bytes())
    (directory / "client.cert").write_bytes(Path(certificates.path("client.crt")).read_bytes())
    with pytest.raises(HostError, match=r"has no client\.key beside it"):
        certificate_directories([str(tmp_path / "certs.d")])(server.host)
    (directory / "client.key").write_bytes(Path(certificates.path("client.key")).read_bytes())
    tls = certificate_directories([str(tmp_path / "none"), str(tmp_path / "certs.d")])
    assert tls("other.example") is SYSTEM_TLS
    options = tls(server.host)
    assert options.wanted
    with Transport(clock=lambda: 0, sleep=lambda _: None, random=lambda: 0, tls=tls, patience=QUICK) as transport:
        with make_client(transport) as client:
            assert client.head(Reference(server.host, "a/b", tag="v1")) is not None


def test_one_more_ca_for_every_host(server: RegistryServer, certificates: Certificates) -> None:
    server.add("a/b:v1", random_image(1))
    options = msgspec.structs.replace(
        certificate_directories([], extra_ca=certificates.path("ca.crt"))("x"), wanted=True
    )
    with make_client(make_transport(tls=options)) as client:
        assert client.head(Reference(server.host, "a/b", tag="v1")) is not None


@pytest.mark.parametrize("data", [b"", b"no certificate"])
def test_a_ca_file_without_a_certificate(server: RegistryServer, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ca.crt").write_bytes(data)
    options = TlsOptions(ca_files=(str(tmp_path / "ca.crt"),), wanted=True)
    with (
        make_client(make_transport(tls=options)) as client,
        pytest.raises(HostError, match="cannot use the CA certificate"),
    ):
        client.head(Reference(server.host, "a/b", tag="v1"))


def test_plain_http_to_a_port_with_tls(server: RegistryServer) -> None:
    with make_client() as client, pytest.raises(RemoteError) as caught:
        client.head(Reference(server.host, "a/b", tag="v1"))
    assert server.host in str(caught.value)


def test_gos_answer_to_plain_http_on_a_port_with_tls_is_explained(certificates: Certificates, tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    argv = [need_tool("olareg"), "serve", "--addr", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)]
    argv += ["--tls-cert", certificates.path("server.crt"), "--tls-key", certificates.path("server.key")]
    to = Reference(f"127.0.0.1:{port}", "a/b", tag="v1")
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    select.select([], [], [], 0.05)
            with make_client() as client, pytest.raises(RemoteError, match="speaks TLS, not plain HTTP") as caught:
                client.read(to)
            assert "certs.d" in caught.value.hint
            with make_client(make_transport(tls=_trusting(certificates))) as client:
                image = random_image(2, size=1 << 20)
                client.write([Shipment(to, image)])
                assert client.resolve(to).digest == image.digest
        finally:
            process.kill()


class _Tunnel:
    """A proxy that opens tunnels to one port, whatever host it is asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.heads: list[bytes] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._one, args=(client,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _one(self, client: socket.socket) -> None:
        head = b""
        with client, socket.create_connection(("127.0.0.1", self._port)) as upstream:
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.heads.append(head)
            client.sendall(b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n")
            while True:
                ready, _, _ = select.select([client, upstream], [], [], 10)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (upstream if source is client else client).sendall(data)
                if not ready:
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)


def test_tls_through_a_proxys_tunnel(certificates: Certificates) -> None:
    with RegistryServer(tls=_context(certificates, "other")) as server:
        server.add("a/b:v1", random_image(1))
        with _Tunnel(int(server.host.partition(":")[2])) as proxy:
            proxies = Proxies(https=Proxy(parse_url(f"http://{proxy.host}"), "Basic c2VjcmV0"))
            with make_client(make_transport(tls=_trusting(certificates), proxies=proxies)) as client:
                for _ in range(3):
                    assert client.head(Reference("registry.example", "a/b", tag="v1")) is not None
            assert len(proxy.heads) == 1
            assert proxy.heads[0].startswith(b"CONNECT registry.example:443 HTTP/1.1\r\n")
            assert b"Proxy-Authorization: Basic c2VjcmV0" in proxy.heads[0]
        assert all("proxy-authorization" not in request.headers for request in server.requests)
