"""A proxy on loopback that answers for other servers, so that what a build downloads can be served where there is no network.

It is what stands between a company and the outside: a builder is told of it by HTTP_PROXY and HTTPS_PROXY, and of the
authority that signs its certificates by `--ca-file`. Nothing is forwarded.
"""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["DownloadProxy", "certificate_for"]


class DownloadProxy:
    """Answers with the files that it was given, and with 404 for anything else; a context manager.

    Attributes:
        url: for HTTP_PROXY and HTTPS_PROXY.
        asked: the addresses, in order.
    """

    def __init__(self, files: Mapping[str, bytes | Path], tls: ssl.SSLContext | None = None) -> None:
        """Binds a port of this machine.

        Args:
            files: by their whole address; a directory by an address with a slash at its end, which is how a bare
                repository is cloned (after `git update-server-info`).
            tls: a server's context with a certificate for every host of an https address.
        """
        self.asked: list[str] = []
        self.files, self.tls = files, tls
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *rest: _Handler(self, *rest))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def find(self, url: str) -> bytes | Path | None:
        """What is served at an address."""
        if url in self.files:
            return self.files[url]
        for address, folder in self.files.items():
            if address.endswith("/") and url.startswith(address) and isinstance(folder, Path):
                path = (folder / url.removeprefix(address)).resolve()
                if path.is_file() and path.is_relative_to(folder.resolve()):
                    return path
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, proxy: DownloadProxy, *rest: Any) -> None:
        self.proxy, self.tunnel = proxy, ""
        super().__init__(*rest)

    def do_CONNECT(self) -> None:
        """Plays the server that is asked for, over TLS."""
        if self.proxy.tls is None:
            self.send_error(502)
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.close_connection = True
        self.tunnel = f"https://{self.path.removesuffix(':443')}"
        try:
            self.connection = self.proxy.tls.wrap_socket(self.connection, server_side=True)
        except OSError:
            return  # the client does not trust us, which is its right
        with self.connection:
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.handle_one_request()
            self.rfile.close()

    def do_GET(self) -> None:
        """Answers with a file."""
        url = f"{self.tunnel}{self.path}" if self.tunnel else self.path
        self.proxy.asked.append(url)
        found = self.proxy.find(url.partition("?")[0])
        if found is None:
            self.send_error(404)
            return
        data = found.read_bytes() if isinstance(found, Path) else found
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def certificate_for(addresses: Iterable[str], folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for the hosts of https addresses, made by openssl: its file for `--ca-file`, and the server's context."""
    hosts = sorted({urlsplit(address).hostname or "" for address in addresses} - {""})
    names = ",".join(f"DNS:{host}" for host in hosts or ["localhost"])
    certificate, key = folder / "proxy.crt", folder / "proxy.key"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    about = ["-subj", "/CN=a proxy of this test", "-addext", f"subjectAltName={names}"]
    subprocess.run(["openssl", *made, *about, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
