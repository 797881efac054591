"""Published ports: sockets of this machine, forwarded into the container's network namespace.

Nothing is changed in this machine's network, and no rights are needed: the process that lives in the namespace makes a
socket there and hands it over (`SCM_RIGHTS`); a socket belongs to the namespace that it was made in, whoever uses it.
One thread, one selector; a datagram's answers find their way back by a socket for each sender.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from wingo.errors import HostError
from wingo.launch.spec import Port

_CHUNK = 1 << 16
_MAX_CONNECTIONS = 1024
_MAX_SENDERS = 256
_TARGET = "127.0.0.1"


class _Pipe:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting = b""
        self.ended = False


class Forwarder:
    """All published ports of one container."""

    def __init__(
        self, selector: selectors.BaseSelector, ask: Callable[[str, Callable[[socket.socket | None], None]], None]
    ) -> None:
        """Prepares it.

        Args:
            selector: whose `data` is a function that is called when the socket is ready.
            ask: asks for a socket in the namespace ("tcp", "udp"), and calls back with it, or with None.
        """
        self._selector = selector
        self._ask = ask
        self._listening: list[socket.socket] = []
        self._connections: dict[socket.socket, tuple[_Pipe, _Pipe]] = {}
        self._senders: dict[tuple[socket.socket, tuple[Any, ...]], socket.socket] = {}

    def listen(self, port: Port) -> Port:
        """Takes a port of this machine; with the number that it became.

        Raises:
            HostError: it is taken, or may not be had.
        """
        family = socket.AF_INET6 if ":" in port.host_address else socket.AF_INET
        kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
        made = socket.socket(family, kind)
        try:
            if port.protocol == "tcp":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((port.host_address, port.host_port))
            if port.protocol == "tcp":
                made.listen(128)
        except OSError as error:
            made.close()
            hint = "Publish another one, or stop what has it."
            if error.errno == errno.EACCES:
                hint = "Take one from 1024 on: those below are root's."
            elif error.errno == errno.EADDRNOTAVAIL:
                hint = "Give an address that this machine has, 0.0.0.0 for all."
            what = f"{port.host_address}:{port.host_port}/{port.protocol}"
            raise HostError(f"cannot listen on {what}: {error.strerror}", hint=hint) from error
        made.setblocking(False)
        self._listening.append(made)
        if port.protocol == "tcp":
            self._selector.register(made, selectors.EVENT_READ, lambda _: self._accept(made, port))
        else:
            self._selector.register(made, selectors.EVENT_READ, lambda _: self._receive(made, port))
        return msgspec.structs.replace(port, host_port=made.getsockname()[1])

    def close(self) -> None:
        """Closes everything."""
        for made in [*self._listening, *self._connections, *self._senders.values()]:
            self._forget(made)
        self._listening.clear()
        self._connections.clear()
        self._senders.clear()

    def _forget(self, made: socket.socket) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(made)
        made.close()

    def _accept(self, listening: socket.socket, port: Port) -> None:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        if len(self._connections) >= 2 * _MAX_CONNECTIONS:
            client.close()
            return
        client.setblocking(False)

        def made(inner: socket.socket | None) -> None:
            if inner is None:
                client.close()
                return
            inner.setblocking(False)
            if inner.connect_ex((_TARGET, port.port)) not in (0, errno.EINPROGRESS):
                inner.close()
                client.close()
                return
            up, down = _Pipe(client, inner), _Pipe(inner, client)
            for side in (client, inner):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[side] = (up, down)
                self._selector.register(side, selectors.EVENT_READ, lambda mask, side=side: self._ready(side, mask))
            # Until the connection stands, the kernel says "writable" when it does, and an error when it does not.
            self._watch(client)
            self._watch(inner)

        self._ask("tcp", made)

    def _ready(self, side: socket.socket, mask: int) -> None:
        if side not in self._connections:
            return
        up, down = self._connections[side]
        incoming, outgoing = (up, down) if up.source is side else (down, up)
        try:
            if mask & selectors.EVENT_WRITE and outgoing.waiting:
                outgoing.waiting = outgoing.waiting[side.send(outgoing.waiting) :]
            if mask & selectors.EVENT_READ and not incoming.waiting and not incoming.ended:
                data = side.recv(_CHUNK)
                incoming.waiting, incoming.ended = data, not data
                if data:
                    with suppress(BlockingIOError):
                        incoming.waiting = data[incoming.target.send(data) :]
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self._drop(side)
                return
        for pipe in (up, down):
            if pipe.ended and not pipe.waiting:
                with suppress(OSError):
                    pipe.target.shutdown(socket.SHUT_WR)
        if all(pipe.ended and not pipe.waiting for pipe in (up, down)):
            self._drop(side)
            return
        for each in (up.source, up.target):
            self._watch(each)

    def _watch(self, side: socket.socket) -> None:
        up, down = self._connections[side]
        incoming, outgoing = (up, down) if up.source is side else (down, up)
        wanted = 0
        if not incoming.waiting and not incoming.ended:
            wanted |= selectors.EVENT_READ
        if outgoing.waiting:
            wanted |= selectors.EVENT_WRITE
        try:
            registered = self._selector.get_key(side)
        except KeyError:
            registered = None
        action = lambda mask: self._ready(side, mask)  # noqa: E731  (a name for what is registered)
        if not wanted and registered is not None:
            self._selector.unregister(side)
        elif wanted and registered is None:
            self._selector.register(side, wanted, action)
        elif registered is not None and registered.events != wanted:
            self._selector.modify(side, wanted, action)

    def _drop(self, side: socket.socket) -> None:
        up, _ = self._connections[side]
        for each in (up.source, up.target):
            self._connections.pop(each, None)
            self._forget(each)

    def _receive(self, listening: socket.socket, port: Port) -> None:
        try:
            data, sender = listening.recvfrom(_CHUNK)
        except OSError:
            return
        key = (listening, sender)
        if key in self._senders:
            with suppress(OSError):
                self._senders[key].send(data)
            return
        if len(self._senders) >= _MAX_SENDERS:
            # The one that has been there longest: there is no end of a conversation to wait for.
            oldest = next(iter(self._senders))
            self._forget(self._senders.pop(oldest))

        def made(inner: socket.socket | None) -> None:
            if inner is None:
                return
            inner.setblocking(False)
            inner.connect((_TARGET, port.port))
            self._senders[key] = inner
            self._selector.register(inner, selectors.EVENT_READ, lambda _: self._answer(inner, listening, sender))
            with suppress(OSError):
                inner.send(data)

        self._ask("udp", made)

    def _answer(self, inner: socket.socket, listening: socket.socket, sender: tuple[Any, ...]) -> None:
        try:
            data = inner.recv(_CHUNK)
            listening.sendto(data, sender)
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                return


def socket_of(descriptor: int) -> socket.socket:
    """A socket whose descriptor was handed over."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise
