"""Sending sealed records on, each receiver from a cursor of its own.

The order is that of the seals, which has no gaps: a record that was committed
late comes with the seal that took it. So every record arrives, in order, and
twice only where the answer to it was lost.
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

from authhost_audit.cursors import cursor, leased, move, release
from authhost_audit.reading import shown
from authhost_audit.rows import all_rows
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import event_table, leaf_table
from authhost_audit.vocabulary import meaning

CHUNK = 200
FACILITY = 13
"""Log audit (RFC 5424, section 6.2.1)."""
NOTICE, WARNING = 5, 4
LONGEST_WAIT = 300.0


class Refused(Exception):
    """A receiver did not take what it was sent; it is sent again later."""


class Sink(Protocol):
    """A receiver. ``send`` returns once it has taken all, or raises `Refused`."""

    name: str

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Hand over records or checkpoints."""


class Syslog:
    """RFC 5424, over TCP with counted octets (RFC 6587) or over UDP."""

    def __init__(self, url: str, timeout: float) -> None:
        self.name = "syslog"
        parts = urlsplit(url)
        self._address = (parts.hostname or "localhost", parts.port or 514)
        self._udp, self._timeout = parts.scheme == "udp", timeout
        self._host = socket.gethostname()

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """One message a line. UDP tells nobody whether it arrived; TCP only that it was taken."""
        messages = [self._message(line) for line in lines]
        try:
            if self._udp:
                with socket.socket(_family(self._address), socket.SOCK_DGRAM) as sock:
                    for message in messages:
                        sock.sendto(message, self._address)
                return
            with socket.create_connection(self._address, self._timeout) as sock, within(self._timeout, sock):
                sock.sendall(b"".join(b"%d %s" % (len(message), message) for message in messages))
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)  # nothing, once the receiver has read all; a reset, if it has not
        except TimeoutError:
            raise Refused("timeout") from None
        except (OSError, ValueError) as error:
            raise Refused(type(error).__name__) from error

    def _message(self, line: Mapping[str, Any]) -> bytes:
        event = str(line.get("event", "checkpoint"))
        severity = WARNING if line.get("outcome") == "refused" else NOTICE
        stamp = line.get("time") or line["sealed_at"]
        head = f"<{FACILITY * 8 + severity}>1 {stamp} {self._host} authhost - {event[:32]} - "
        return head.encode() + json.dumps(line, ensure_ascii=False).encode()


class Webhook:
    """An HTTPS POST of JSON, signed by HMAC-SHA256 over its time and body."""

    def __init__(self, url: str, secret: str, timeout: float) -> None:
        self.name = "webhook"
        self._parts, self._secret, self._timeout = urlsplit(url), secret.encode(), timeout

    def send(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Taken is what is answered by 2xx."""
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
            with within(self._timeout, connection.sock):
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Refused(type(error).__name__) from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise Refused(f"HTTP {status}")


@contextmanager
def within(seconds: float, sock: socket.socket) -> Iterator[None]:
    """End what takes longer as a whole: a time-out alone starts anew with each byte."""
    own, late = socket.socket(fileno=os.dup(sock.fileno())), threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            own.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        own.close()
    if late.is_set():  # what was cut short may look whole
        raise TimeoutError


def sinks(settings: AuditSettings) -> list[Sink]:
    """The receivers that are set up."""
    found: list[Sink] = []
    if settings.syslog:
        found.append(Syslog(settings.syslog, settings.timeout))
    if settings.webhook:
        found.append(Webhook(settings.webhook, settings.webhook_secret, settings.timeout))
    return found


def forward(host: Host, settings: AuditSettings, sink: Sink) -> Iterator[int]:
    """Send what is sealed and not sent; yield how many of each chunk. Raises `Refused`.

    One process at a time sends to a receiver: another is refused until the
    lease of the first has run out.
    """
    owner = str(host.new_id())
    lease = timedelta(seconds=10 * settings.timeout + 10)
    try:
        while leased(host, sink.name, owner, lease):
            with host.reader.connect() as connection:
                batch, position = cursor(connection, sink.name)
                rows = all_rows(connection, _after(batch, position))
            if not rows:
                return
            records = [shown(row) for row in rows if row["id"] is not None]
            if records:
                sink.send(
                    [{**each, "owasp": meaning(each["event"], each["reason"]).owasp} for each in records]
                )
            move(host, sink.name, owner, (rows[-1]["batch"], rows[-1]["position"]))
            yield len(records)
        raise Refused("another process sends to it")
    finally:
        release(host, sink.name, owner)


def lag(host: Host, sink: Sink) -> int:
    """How many sealed records it has not taken yet."""
    with host.reader.connect() as connection:
        batch, position = cursor(connection, sink.name)
        count: int = connection.execute(
            select(func.count()).select_from(leaf_table).where(_behind(batch, position))
        ).scalar_one()
    return count


def waits() -> Iterator[float]:
    """Seconds between two tries: 1, 2, 4 and so on, up to five minutes."""
    wait = 1.0
    while True:
        yield wait
        wait = min(LONGEST_WAIT, wait * 2)


def _behind(batch: int, position: int) -> Any:
    leaf = leaf_table.c
    # The first condition is for the index; the second is the whole.
    return and_(leaf.batch >= batch, or_(leaf.batch > batch, leaf.position > position))


def _after(batch: int, position: int) -> Any:
    """A pruned record leaves its place, which is passed over."""
    leaf = leaf_table.c
    return (
        select(leaf.batch, leaf.position, *event_table.columns)
        .outerjoin(event_table, event_table.c.id == leaf.event_id)
        .where(_behind(batch, position))
        .order_by(leaf.batch, leaf.position)
        .limit(CHUNK)
    )


def _family(address: tuple[str, int]) -> socket.AddressFamily:
    return socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0][0]
