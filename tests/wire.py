"""A TCP proxy in front of a database server that counts round trips and statements on the wire.

A round trip is a change of direction: whatever a client sends until the server
answers, and that answer, count as one. So a batch that is sent at once counts
once, however many statements it has. Python's library is all that it needs.

    with Wire("postgresql+psycopg://postgres@127.0.0.1:5432/test") as wire:
        engine = create_engine(wire.url)
        ...
        wire.reset()
        ...
        assert wire.count <= 4, wire
"""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from threading import Lock, Thread
from typing import Protocol
from urllib.parse import urlsplit

CHUNK = 1 << 16
ENCRYPTED = "(encrypted)"


class Wire:
    """The proxy, for a ``with`` block; it listens on a free port of 127.0.0.1 until `close`.

    ``url`` is the database URL of a server, with a host: ``postgresql…``,
    ``mysql…`` or ``mariadb…`` (the port is the usual one unless given). Raises
    `ValueError` for any other URL.

    What connects a client counts, too (a startup and each step of a login are
    round trips without a statement), and so do other threads that use the same
    proxy. A client that is answered has been counted: nothing is to be waited for.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._protocol, port = _protocol(parts.scheme.partition("+")[0])
        if not parts.hostname:
            raise ValueError("the database URL names no host, and only TCP can be counted")
        self._server = (parts.hostname, parts.port or port)
        self._lock = Lock()
        self._round_trips: list[tuple[str, ...]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = self.through(url)
        """The URL that was given, by way of this proxy."""
        self._stop, self._stopped = socket.socketpair()
        self._thread = Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()

    def through(self, url: str) -> str:
        """Return ``url``, another one of the same server, by way of this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    @property
    def count(self) -> int:
        """The number of round trips since `reset`."""
        with self._lock:
            return len(self._round_trips)

    @property
    def round_trips(self) -> list[tuple[str, ...]]:
        """Each round trip since `reset`, as the SQL of the statements that the client sent with it."""
        with self._lock:
            return list(self._round_trips)

    @property
    def statements(self) -> list[str]:
        """The SQL of each statement that was executed since `reset`, BEGIN and COMMIT among them."""
        return [statement for trip in self.round_trips for statement in trip]

    def reset(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self._round_trips.clear()

    def __str__(self) -> str:
        trips = self.round_trips
        lines = [f"{number}. {'; '.join(trip) or '-'}" for number, trip in enumerate(trips, 1)]
        return "\n".join([f"{len(trips)} round trips", *lines])

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections and stop listening; a second call does nothing."""
        self._stop.close()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._stopped:
            selector.register(self._stopped, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = [(key.fileobj, key.data, mask) for key, mask in selector.select()]
                # A client first: it has sent this without the answer that may wait as well.
                for fileobj, end, mask in sorted(ready, key=lambda each: not getattr(each[1], "asks", False)):
                    if fileobj is self._stopped:
                        for key in list(selector.get_map().values()):
                            if isinstance(key.data, _End):
                                key.data.socket.close()
                        return
                    if end is None:
                        self._accept(selector)
                    elif not end.closed:
                        self._serve(selector, end, mask)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        for end in _ends(client, server, self._protocol()):
            end.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.socket.setblocking(False)
            selector.register(end.socket, selectors.EVENT_READ, end)

    def _serve(self, selector: selectors.BaseSelector, end: _End, mask: int) -> None:
        """Pass on what ``end`` has sent, and send what waits for it."""
        try:
            if mask & selectors.EVENT_WRITE:
                end.flush()
            if mask & selectors.EVENT_READ:
                data = end.socket.recv(CHUNK)
                if not data:
                    raise ConnectionResetError
                self._count(end, data)
                end.other.unsent += data
                end.other.flush()
        except BlockingIOError:
            pass
        except OSError:
            for each in (end, end.other):
                selector.unregister(each.socket)
                each.socket.close()
                each.closed = True
            return
        for each in (end, end.other):
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if each.unsent else 0)
            selector.modify(each.socket, wanted, each)

    def _count(self, end: _End, data: bytes) -> None:
        if end.asks:
            end.waiting = True
            end.statements += end.protocol.read(data)
        elif end.other.waiting:
            asked, end.other.statements, end.other.waiting = end.other.statements, [], False
            with self._lock:
                self._round_trips.append(tuple(asked))


class _End:
    """One end of a connection: the client's (which asks) or the server's."""

    def __init__(self, connected: socket.socket, protocol: _Reader, *, asks: bool) -> None:
        self.socket, self.protocol, self.asks = connected, protocol, asks
        self.other = self
        self.unsent = bytearray()
        self.closed = False
        self.waiting = False
        self.statements: list[str] = []

    def flush(self) -> None:
        """Send as much as the socket takes now."""
        with suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]


def _ends(client: socket.socket, server: socket.socket, protocol: _Reader) -> tuple[_End, _End]:
    one, other = _End(client, protocol, asks=True), _End(server, protocol, asks=False)
    one.other, other.other = other, one
    return one, other


class _Reader(Protocol):
    """What a client sends, taken apart."""

    def read(self, data: bytes) -> list[str]:
        """Return the SQL of the statements that end with ``data``."""


class PostgreSQL:
    """Version 3: each simple query counts as a statement, and each Execute of the extended protocol."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._prepared: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}

    def read(self, data: bytes) -> list[str]:
        self._buffer += data
        if not self._started and self._buffer[0] == 0x16:  # the handshake of TLS, which hides the rest
            return [ENCRYPTED]
        found: list[str] = []
        while (message := self._next()) is not None:
            found += self._statement(*message)
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        """The type and the body of the next message, or None until it is complete."""
        kind = 1 if self._started else 0  # what starts a connection has no type
        end = kind + int.from_bytes(self._buffer[kind : kind + 4])
        if len(self._buffer) < max(end, kind + 4):
            return None
        message = bytes(self._buffer[:kind]), bytes(self._buffer[kind + 4 : end])
        del self._buffer[:end]
        return message

    def _statement(self, kind: bytes, body: bytes) -> list[str]:
        sql: bytes | None = None
        if not kind:
            self._started = int.from_bytes(body[:4]) >> 16 == 3  # else it asks for encryption
        elif kind == b"P":
            name, query, _ = body.split(b"\0", 2)
            self._prepared[name] = query
        elif kind == b"B":
            portal, name, _ = body.split(b"\0", 2)
            self._portals[portal] = self._prepared.get(name, b"")
        elif kind == b"E":
            sql = self._portals.get(body.partition(b"\0")[0], b"")
        elif kind == b"Q":
            sql = body.rstrip(b"\0")
        return [] if sql is None else [sql.decode(errors="replace")]


class MariaDB:
    """Each COM_QUERY counts as a statement, and so does each COM_STMT_EXECUTE, whose text is its number."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, data: bytes) -> list[str]:
        self._buffer += data
        found: list[str] = []
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:3], "little")
            if len(self._buffer) < end:
                break
            sequence, command, body = self._buffer[3], self._buffer[4:5], bytes(self._buffer[5:end])
            del self._buffer[:end]
            if sequence == 0 and command == b"\x03":  # what logs in has higher numbers
                found.append(body.decode(errors="replace"))
            elif sequence == 0 and command == b"\x17":
                found.append(f"EXECUTE {int.from_bytes(body[:4], 'little')}")
        return found


def _protocol(backend: str) -> tuple[type[PostgreSQL] | type[MariaDB], int]:
    if backend == "postgresql":
        return PostgreSQL, 5432
    if backend in ("mysql", "mariadb"):
        return MariaDB, 3306
    raise ValueError(f"{backend}: round trips are counted in front of PostgreSQL and MariaDB")
