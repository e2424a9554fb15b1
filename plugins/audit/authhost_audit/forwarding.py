"""Forwards sealed records to receivers. Each receiver has its own cursor.

The records are sent in the order of the batches, which has no gaps: a record
that is committed late is in a later batch. So every record arrives, in order.
A record is sent twice only if the receiver's answer to it was lost.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from authhost_hookspecs import Host
from sqlalchemy import and_, func, or_, select

from authhost_audit.cursors import acquire_lease, move_cursor, read_cursor, release_lease
from authhost_audit.rows import all_rows
from authhost_audit.search import record_of
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import event_table, leaf_table
from authhost_audit.vocabulary import classify

CHUNK = 200
FACILITY = 13
"""The syslog facility "log audit" (RFC 5424, section 6.2.1)."""
NOTICE, WARNING = 5, 4
MAX_DELAY = 300.0
"""Seconds."""


class ReceiverError(Exception):
    """A receiver did not accept what was sent. It is sent again later."""


class Sink(Protocol):
    """A receiver of records and checkpoints."""

    name: str

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Send the lines. Returns after the receiver has accepted all of them, or raises `ReceiverError`."""


class Syslog:
    """A syslog server (RFC 5424), over UDP, or over TCP with octet counting (RFC 6587)."""

    def __init__(self, url: str, timeout: float) -> None:
        self.name = "syslog"
        parts = urlsplit(url)
        self._address = (parts.hostname or "localhost", parts.port or 514)
        self._udp, self._timeout = parts.scheme == "udp", timeout
        self._host = socket.gethostname()

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Send one message for each line.

        TCP only tells that the server has read the messages. UDP gives no answer at all.
        """
        messages = [self._message(line) for line in lines]
        try:
            if self._udp:
                with socket.socket(_family(self._address), socket.SOCK_DGRAM) as sock:
                    for message in messages:
                        sock.sendto(message, self._address)
                return
            with (
                socket.create_connection(self._address, self._timeout) as sock,
                deadline(self._timeout, sock),
            ):
                sock.sendall(b"".join(b"%d %s" % (len(message), message) for message in messages))
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)  # returns nothing if the receiver has read all, raises if it has not
        except TimeoutError:
            raise ReceiverError("timeout") from None
        except (OSError, ValueError) as error:
            raise ReceiverError(type(error).__name__) from error

    def _message(self, line: Mapping[str, Any]) -> bytes:
        event = str(line.get("event", "checkpoint"))
        severity = NOTICE if line.get("outcome") in (None, "success") else WARNING
        stamp = line.get("time") or line["sealed_at"]
        prefix = f"<{FACILITY * 8 + severity}>1 {stamp} {self._host} authhost - {event[:32]} - "
        return prefix.encode() + json.dumps(line, ensure_ascii=False).encode()


class Webhook:
    """An HTTPS POST request with JSON, signed with HMAC-SHA256 over its time and body."""

    def __init__(self, url: str, secret: str, timeout: float) -> None:
        self.name = "webhook"
        self._parts, self._secret, self._timeout = urlsplit(url), secret.encode(), timeout

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Send all lines in one request. The receiver accepts them by a status of 2xx."""
        body = json.dumps({"records": list(lines)}, ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        signature = hmac.new(self._secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Authhost-Signature": f"t={stamp},v1={signature}",
            "User-Agent": "authhost-audit",
        }
        parts = self._parts
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._timeout)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.connect()
            with deadline(self._timeout, connection.sock):
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ReceiverError(type(error).__name__) from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise ReceiverError(f"HTTP {status}")


@contextmanager
def deadline(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Limit the total time of the block. Raises `TimeoutError` after ``seconds``.

    A socket time-out is not enough, because it starts again with each received byte.
    """
    duplicate, expired = socket.socket(fileno=os.dup(sock.fileno())), threading.Event()

    def expire() -> None:
        expired.set()
        with suppress(OSError):
            duplicate.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        duplicate.close()
    if expired.is_set():  # an answer that was cut off may look complete
        raise TimeoutError


def sinks(settings: AuditSettings) -> list[Sink]:
    """Return the receivers that the settings name."""
    found: list[Sink] = []
    if settings.syslog:
        found.append(Syslog(settings.syslog, settings.timeout))
    if settings.webhook:
        found.append(Webhook(settings.webhook, settings.webhook_secret, settings.timeout))
    return found


def forward(host: Host, settings: AuditSettings, sink: Sink) -> Iterator[int]:
    """Send the records that are sealed and not sent yet. Yields the number of records of each chunk.

    Only one process at a time sends to a receiver. Raises `ReceiverError` if the
    receiver did not accept a chunk, or if another process holds its lease.
    """
    owner = str(host.new_id())
    lease = timedelta(seconds=10 * settings.timeout + 10)
    try:
        while acquire_lease(host, sink.name, owner, lease):
            with host.reader.connect() as connection:
                batch, position = read_cursor(connection, sink.name)
                rows = all_rows(connection, _next_records(batch, position))
            if not rows:
                return
            records = [record_of(row) for row in rows if row["id"] is not None]
            if records:
                sink.send(
                    [{**each, "owasp": classify(each["event"], each["reason"]).owasp} for each in records]
                )
            move_cursor(host, sink.name, owner, (rows[-1]["batch"], rows[-1]["position"]))
            yield len(records)
        raise ReceiverError("another process is sending to it")
    finally:
        release_lease(host, sink.name, owner)


def lag(host: Host, sink: Sink) -> int:
    """Return how many sealed records the receiver has not received yet."""
    with host.reader.connect() as connection:
        batch, position = read_cursor(connection, sink.name)
        count: int = connection.execute(
            select(func.count()).select_from(leaf_table).where(_after_cursor(batch, position))
        ).scalar_one()
    return count


def backoff_delays() -> Iterator[float]:
    """Yield the seconds to wait before each new attempt: 1, 2, 4 and so on, up to five minutes."""
    wait = 1.0
    while True:
        yield wait
        wait = min(MAX_DELAY, wait * 2)


def _after_cursor(batch: int, position: int) -> Any:
    """Return the condition for leaves after a cursor."""
    leaf = leaf_table.c
    # The second condition is sufficient; the first one lets the database use the index.
    return and_(leaf.batch >= batch, or_(leaf.batch > batch, leaf.position > position))


def _next_records(batch: int, position: int) -> Any:
    """Return the statement for the next chunk. The columns of a pruned record are NULL."""
    leaf = leaf_table.c
    return (
        select(leaf.batch, leaf.position, *event_table.columns)
        .outerjoin(event_table, event_table.c.id == leaf.event_id)
        .where(_after_cursor(batch, position))
        .order_by(leaf.batch, leaf.position)
        .limit(CHUNK)
    )


def _family(address: tuple[str, int]) -> socket.AddressFamily:
    return socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0][0]


# Old names, which are removed in version 0.3.
Refused = ReceiverError
