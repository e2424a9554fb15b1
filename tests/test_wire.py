"""The proxy that counts round trips, in front of a server that answers each Sync of PostgreSQL's protocol."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterator
from threading import Thread

import pytest
from wire import ENCRYPTED, MariaDB, PostgreSQL, Wire


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


SYNC = message(b"S", b"")
STARTUP = message(b"", (3 << 16).to_bytes(4) + b"user\0ann\0\0")
SSL_REQUEST = message(b"", (80877103).to_bytes(4))
PARSE = message(b"P", b"one\0SELECT 1\0\0\0")
EXECUTE = message(b"B", b"\0one\0\0\0\0\0\0\0") + message(b"E", b"\0\0\0\0\0")
BATCH = message(b"Q", b"BEGIN\0") + PARSE + EXECUTE + EXECUTE + SYNC
SQL = ("BEGIN", "SELECT 1", "SELECT 1")


class AnswersSync(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        read = b""
        while data := self.request.recv(1 << 20):
            read += data
            if read.endswith(SYNC):
                self.request.sendall(b"answer to %d bytes\n" % len(read))
                read = b""


@pytest.fixture
def wire() -> Iterator[Wire]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), AnswersSync) as server:
        server.daemon_threads = True
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        with Wire(f"postgresql+psycopg://ann:pw@127.0.0.1:{server.server_address[1]}/db?a=b") as proxy:
            yield proxy
        server.shutdown()
        serving.join()


def connect(wire: Wire) -> socket.socket:
    return socket.create_connection(("127.0.0.1", wire.port), 10)


def ask(client: socket.socket, *parts: bytes) -> None:
    for part in parts:
        client.sendall(part)
    with client.makefile("rb", buffering=0) as answer:
        assert answer.readline() == b"answer to %d bytes\n" % sum(map(len, parts))


def test_what_is_sent_before_an_answer_is_one_round_trip(wire: Wire) -> None:
    with connect(wire) as client:
        ask(client, STARTUP, SYNC)
        assert (wire.count, wire.statements) == (1, [])
        wire.reset()
        ask(client, BATCH[:7], BATCH[7:])
        ask(client, SYNC)
    assert wire.count == 2
    assert wire.round_trips == [SQL, ()]
    assert str(wire) == "2 round trips\n1. BEGIN; SELECT 1; SELECT 1\n2. -"
    wire.reset()
    assert (wire.count, wire.statements) == (0, [])


def test_what_is_not_answered_is_no_round_trip(wire: Wire) -> None:
    with connect(wire) as client, connect(wire) as other:
        client.sendall(STARTUP)
        ask(other, STARTUP, SYNC)
    assert wire.count == 1


def test_connections_are_counted_together(wire: Wire) -> None:
    def work() -> None:
        with connect(wire) as client:
            ask(client, STARTUP, SYNC)
            for _ in range(50):
                ask(client, BATCH)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wire.count == 4 * 51
    assert len(wire.statements) == 4 * 50 * len(SQL)


def test_more_than_a_socket_holds_passes(wire: Wire) -> None:
    large = message(b"Q", b"x" * 30_000_000 + b"\0")
    with connect(wire) as client:
        ask(client, STARTUP, large, SYNC)
    assert wire.count == 1
    assert len(wire.statements[0]) == 30_000_000


def test_closing_ends_its_connections(wire: Wire) -> None:
    with connect(wire) as client:
        ask(client, STARTUP, SYNC)
        wire.close()
        wire.close()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(wire)


def test_a_server_that_does_not_answer_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Wire(f"postgresql://127.0.0.1:{port}/db") as wire, connect(wire) as client:
        assert client.recv(1) == b""


def test_the_url_leads_through_the_proxy(wire: Wire) -> None:
    assert wire.url == f"postgresql+psycopg://ann:pw@127.0.0.1:{wire.port}/db?a=b"
    assert wire.through("postgresql://db.internal/b") == f"postgresql://127.0.0.1:{wire.port}/b"


@pytest.mark.parametrize("url", ["sqlite:///a.sqlite3", "postgresql:///socket"])
def test_a_url_without_tcp_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"host|PostgreSQL and MariaDB"):
        Wire(url)


def test_statements_are_found_wherever_the_bytes_are_cut() -> None:
    protocol = PostgreSQL()
    found = [each for byte in SSL_REQUEST + STARTUP + BATCH for each in protocol.read(bytes([byte]))]
    assert tuple(found) == SQL


def test_what_is_encrypted_says_so() -> None:
    protocol = PostgreSQL()
    assert protocol.read(SSL_REQUEST) == []
    assert protocol.read(b"\x16\x03\x01\x02\x00") == [ENCRYPTED]


def test_statements_of_mariadb() -> None:
    def packet(number: int, body: bytes) -> bytes:
        return len(body).to_bytes(3, "little") + bytes([number]) + body

    protocol = MariaDB()
    sent = packet(1, b"\x03 a login") + packet(0, b"\x03SELECT 1") + packet(0, b"\x0e")
    sent += packet(0, b"\x17\x07\0\0\0 more")
    assert [each for byte in sent for each in protocol.read(bytes([byte]))] == ["SELECT 1", "EXECUTE 7"]
