"""How a provider is asked: by HTTPS, within a time, for an answer of a certain size, quietly.

Everything is in the transport adapter, so that it holds for whatever sends
through it, requests-oauthlib's sessions included.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from authhost.errors import ProviderFailed

TIMEOUT = 5.0
"""Seconds to connect, and between two packets."""
DEADLINE = 15.0
"""Seconds for the whole answer, however slowly it drips."""
LONGEST = 1024 * 1024
"""Bytes of an answer."""
DEEPEST = 24
"""Levels of an answer; MariaDB stores 32."""
BUSY = (502, 503, 504)
"""Statuses of a provider that may answer a moment later."""
HOST = re.compile(r"[\w:][\w.:-]*")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a translator names them (RFC 6052, section 2.1)."""
SECURE, PLAIN = "https://", "http://"
LOGGERS = (
    "oauthlib.oauth1.rfc5849",
    "oauthlib.oauth1.rfc5849.signature",
    "requests_oauthlib.oauth1_auth",
    "requests_oauthlib.oauth1_session",
    "requests_oauthlib.oauth2_session",
    "urllib3.connectionpool",
)
"""They write tokens, codes and whole answers at level DEBUG."""

_here = threading.local()


class _NoSecrets(logging.Filter):
    """Drops what is logged on this thread while a provider is asked."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG or not getattr(_here, "quiet", False)


_no_secrets = _NoSecrets()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep secrets out of the logs of the libraries, on this thread."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_no_secrets)
    before, _here.quiet = getattr(_here, "quiet", False), True
    try:
        yield
    finally:
        _here.quiet = before


def host_of(url: str) -> str:
    """The host of ``url``; empty where it is no address."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # may not be a number
        host = parts.hostname or ""
        return host if HOST.fullmatch(host) else ""
    except ValueError:
        return ""


class Zone(IntEnum):
    """Where an address leads, the nearest first."""

    HERE = 0
    """This machine."""
    PRIVATE = 1
    """A private network: RFC 1918, link-local, shared, reserved."""
    PUBLIC = 2


def zone_of(address: str) -> Zone:
    """The zone of an IP address; raises ``ValueError``."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour
        if inside is None and found in NAT64:
            inside = ipaddress.IPv4Address(found.packed[-4:])
        if inside is not None:
            return zone_of(str(inside))
    if found.is_loopback or found.is_unspecified:
        return Zone.HERE
    return Zone.PUBLIC if found.is_global else Zone.PRIVATE


def zone_of_name(url: str) -> Zone:
    """The nearest zone that the host of ``url`` resolves to; `Zone.PUBLIC` where it does not resolve."""
    try:
        found = socket.getaddrinfo(host_of(url).strip("[]"), None, type=socket.SOCK_STREAM)
        return min((zone_of(str(each[4][0])) for each in found), default=Zone.PUBLIC)
    except (OSError, ValueError):
        return Zone.PUBLIC


def leads_here(url: str) -> bool:
    """Whether the host of ``url`` names this machine, in any form that a resolver takes.

    Wider than `is_loopback`, which says where plain HTTP may be spoken. Where a
    name leads is seen when it is connected to (`Transport`).
    """
    host = host_of(url).rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return zone_of(host) is Zone.HERE
    except ValueError:
        pass
    try:
        return zone_of(socket.inet_ntoa(socket.inet_aton(host))) is Zone.HERE  # such as 127.1
    except (OSError, ValueError):
        return False


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this machine (RFC 8252, section 8.3)."""
    host = host_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_secure(url: str) -> bool:
    """HTTPS, or plain HTTP to this machine."""
    return bool(host_of(url)) and (url.startswith(SECURE) or (url.startswith(PLAIN) and is_loopback(url)))


def shown_to_oauthlib(url: str) -> str:
    """oauthlib insists on HTTPS; a loopback address is named so to it, and `Transport` knows better."""
    if url.startswith(PLAIN) and is_loopback(url):
        return SECURE + url.removeprefix(PLAIN)
    return url


class _Deadline:
    """Ends a request that takes too long as a whole: a time-out alone starts anew with each byte."""

    def __init__(self, nearest: Zone) -> None:
        self.over = threading.Event()
        self._nearest = nearest
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(DEADLINE, self._end)
        self._timer.daemon = True

    def watch(self, sock: socket.socket) -> None:
        """Through a descriptor of our own, since TLS takes the other one over.

        Raises `ProviderFailed` where the other end is nearer than it may be,
        before a byte is sent. The name is not resolved again, so its owner cannot
        answer in two ways.
        """
        _here.zone = zone = zone_of(sock.getpeername()[0])
        if zone < self._nearest:
            sock.close()
            raise ProviderFailed(reason="private_address")
        self._sockets.append(socket.socket(fileno=os.dup(sock.fileno())))
        if self.over.is_set():
            self._end()

    def _end(self) -> None:
        self.over.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        _here.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        _here.deadline = None
        self._timer.cancel()
        for each in self._sockets:
            each.close()


def _watched(sock: socket.socket) -> socket.socket:
    deadline: _Deadline | None = getattr(_here, "deadline", None)
    if deadline is not None:
        deadline.watch(sock)
    return sock


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Transport(HTTPAdapter):
    """Sends one request; raises `ProviderFailed` with a ``reason``."""

    def __init__(
        self, plain: frozenset[str] = frozenset(), nearest: Zone = Zone.HERE, **options: Any
    ) -> None:
        self._plain, self._nearest = plain, nearest
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = request.url or ""
        if url.startswith(SECURE) and urlsplit(url).netloc in self._plain:
            request.url = url = PLAIN + url.removeprefix(SECURE)
        if not is_secure(url):
            raise ProviderFailed(reason="not_https")
        with _Deadline(self._nearest) as deadline:
            try:
                response = super().send(request, stream=True, timeout=TIMEOUT)
                try:
                    response._content = _body(response)
                finally:
                    response.close()
                    # We have asked to close it: the next request may not go over it (RFC 9112, section 9.6).
                    self.poolmanager.clear()
            except (requests.Timeout, Urllib3Timeout):
                raise ProviderFailed(reason="timeout") from None
            except (requests.RequestException, HTTPError, OSError, ValueError):
                # The library's error names the address, which may hold a code.
                raise ProviderFailed(reason="timeout" if deadline.over.is_set() else "unreachable") from None
            if deadline.over.is_set():  # what was cut short may look whole
                raise ProviderFailed(reason="timeout")
        if response.is_redirect:
            raise ProviderFailed(reason="redirected")
        return response


def _body(response: requests.Response) -> bytes:
    """The content, of which no more than `LONGEST` bytes are ever in memory, however it is encoded."""
    chunks, size = [], 0
    while chunk := response.raw.read1(65536, decode_content=False):
        size += len(chunk)
        if size > LONGEST:
            raise ProviderFailed(reason="too_large")
        chunks.append(chunk)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    return _decoded(b"".join(chunks), encoding)


def _decoded(content: bytes, encoding: str) -> bytes:
    """The content without its encoding (RFC 9110, section 8.4); some send gzip though none was asked for."""
    if encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "x-gzip"):
        raise ProviderFailed(reason="encoding")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(content, LONGEST + 1)
    except zlib.error:
        raise ProviderFailed(reason="encoding") from None
    if len(found) > LONGEST:
        raise ProviderFailed(reason="too_large")
    if not unpacker.eof or unpacker.unused_data:
        raise ProviderFailed(reason="encoding")
    return found


def prepare(session: requests.Session, *urls: str, nearest: Zone = Zone.HERE) -> None:
    """Let ``session`` send through `Transport` alone; ``urls`` are those that it will ask.

    ``nearest`` is the nearest zone that it may reach.
    """
    plain = frozenset(urlsplit(url).netloc for url in urls if url.startswith(PLAIN) and is_loopback(url))
    session.trust_env = False
    session.headers.update(
        {
            "User-Agent": "authhost",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
    )
    transport = Transport(plain, nearest)
    for prefix in (SECURE, PLAIN):
        session.mount(prefix, transport)


def ask(method: str, url: str, *, nearest: Zone = Zone.HERE, **options: Any) -> requests.Response:
    """One request; raises `ProviderFailed`."""
    with requests.Session() as session:
        prepare(session, url, nearest=nearest)
        return asked(session, method, url, **options)


def asked(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """One request of a session that is prepared; the library's errors may hold what was to be sent."""
    try:
        with quietly():
            return session.request(method, url, **options)
    except (requests.RequestException, ValueError):
        raise ProviderFailed(reason="unreachable") from None


def zone_reached(*, forget: bool = False) -> Zone:
    """Where the last request of this thread went; `Zone.PUBLIC` before the first, or after ``forget``."""
    if forget:
        _here.zone = Zone.PUBLIC
    return getattr(_here, "zone", Zone.PUBLIC)


def published(url: str, nearest: Zone = Zone.HERE) -> Any:
    """The JSON of what a provider publishes: tried three times where it is busy, within the time of one."""
    if not is_secure(url):
        raise ProviderFailed(reason="not_https")
    until = monotonic() + DEADLINE
    with requests.Session() as session:
        prepare(session, url, nearest=nearest)
        for pause in (0.1, 0.2, None):
            response = asked(session, "GET", url)
            if response.status_code not in BUSY or pause is None or monotonic() + pause > until:
                break
            threading.Event().wait(pause)
    return as_json(response)


def as_json(response: requests.Response) -> Any:
    """The JSON of an answer (RFC 8259); raises `ProviderFailed`."""
    if response.status_code >= 400:
        raise ProviderFailed(reason="http_error", status=response.status_code)
    try:
        return storable(json.loads(response.content))
    except (ValueError, RecursionError):
        raise ProviderFailed(reason="not_json") from None


def storable(value: Any) -> Any:
    """``value`` if every database can store it as JSON; raises ``ValueError`` or ``RecursionError``.

    None takes infinities or half a surrogate pair; MariaDB takes 32 levels.
    """
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    _check_depth(value, DEEPEST)
    return value


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if left == 0:
            raise ValueError("too deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, left - 1)
