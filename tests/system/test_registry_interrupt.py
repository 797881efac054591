"""Ctrl-C during a push, in a process of its own: it ends at once, leaves no tag, and the next push goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from wingo.oci.reference import Reference
from wingo.stores.registry import Shipment
from wingo.testing.images import random_index
from wingo.testing.registry import Fault, RegistryServer
from wingo.testing.registry_client import make_client

_PUSH = """
import sys
from wingo.oci.reference import Reference
from wingo.stores.registry import Shipment
from wingo.testing.images import random_index
from wingo.testing.registry_client import make_client

try:
    with make_client() as client:
        client.write([Shipment(Reference(sys.argv[1], "a/b", tag="v1"), random_index(1, count=4, size=300_000))])
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupt_ends_a_push_that_hangs() -> None:
    index = random_index(1, count=4, size=300_000)
    with RegistryServer() as server:
        # Two layers arrive, then the registry falls silent.
        server.fail(Fault(method="PUT", path="/blobs/", after=2, delay=60, times=-1))
        with subprocess.Popen([sys.executable, "-c", _PUSH, server.host]) as process:
            deadline = time.monotonic() + 30
            while len(server.asked("PUT", "/blobs/")) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(server.asked("PUT", "/blobs/")) >= 2
            time.sleep(0.2)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert time.monotonic() - started < 5
        assert server.tag("a/b", "v1") is None
        there = set(server.repository("a/b").blobs)
        assert there
        server.heal()
        server.forget()
        with make_client() as client:
            client.write([Shipment(Reference(server.host, "a/b", tag="v1"), index)])
        assert server.tag("a/b", "v1") == index.digest
        sent = {request.path.rpartition("%3A")[2] for request in server.asked("PUT", "/blobs/")}
        assert not any(digest.partition(":")[2] in sent for digest in there), "what had arrived was sent again"
