"""How a provider is asked: by HTTPS, within a time, for an answer of a certain size, quietly.

Everything is in the transport adapter, so that it holds for whatever sends
through it, requests-oauthlib's sessions included.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from authhost.errors import ProviderFailed

TIMEOUT = 5.0
"""Seconds to connect, and between two packets."""
DEADLINE = 15.0
"""Seconds for the whole answer, however slowly it drips."""
LONGEST = 1024 * 1024
"""Bytes of an answer."""
DEEPEST = 24
"""Levels of an answer; MariaDB stores 32."""
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


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this machine (RFC 8252, section 8.3)."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_secure(url: str) -> bool:
    """HTTPS, or plain HTTP to this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def shown_to_oauthlib(url: str) -> str:
    """oauthlib insists on HTTPS; a loopback address is named so to it, and `Transport` knows better."""
    if url.startswith(PLAIN) and is_loopback(url):
        return SECURE + url.removeprefix(PLAIN)
    return url


@contextmanager
def _deadline(connection: HTTPConnection) -> Iterator[None]:
    """Close the connection when the headers take too long: a time-out alone starts anew with each byte."""
    sock, late = connection.sock, threading.Event()

    def end() -> None:
        late.set()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():  # headers that were cut short look like whole ones
        raise TimeoutError


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        with _deadline(self):
            return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        with _deadline(self):
            return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Transport(HTTPAdapter):
    """Sends one request; raises `ProviderFailed` with a ``reason``."""

    def __init__(self, plain: frozenset[str] = frozenset(), **options: Any) -> None:
        self._plain = plain
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
        started = monotonic()
        try:
            response = super().send(request, stream=True, timeout=TIMEOUT)
            try:
                response._content = _body(response, started)
            finally:
                response.close()
        except requests.Timeout:
            raise ProviderFailed(reason="timeout") from None
        except (requests.RequestException, HTTPError, OSError):
            # The library's error names the address, which may hold a code.
            late = monotonic() - started >= DEADLINE
            raise ProviderFailed(reason="timeout" if late else "unreachable") from None
        if response.is_redirect:
            raise ProviderFailed(reason="redirected")
        return response


def _body(response: requests.Response, started: float) -> bytes:
    chunks, size = [], 0
    while chunk := response.raw.read1(65536, decode_content=True):
        size += len(chunk)
        if size > LONGEST:
            raise ProviderFailed(reason="too_large")
        if monotonic() - started > DEADLINE:
            raise ProviderFailed(reason="timeout")
        chunks.append(chunk)
    return b"".join(chunks)


def prepare(session: requests.Session, *urls: str, retries: int = 0) -> None:
    """Let ``session`` send through `Transport` alone; ``urls`` are those that it will ask."""
    plain = frozenset(urlsplit(url).netloc for url in urls if url.startswith(PLAIN) and is_loopback(url))
    retry = Retry(retries, backoff_factor=0.1, status_forcelist=(502, 503, 504), raise_on_status=False)
    session.trust_env = False
    session.headers["User-Agent"] = "authhost"
    session.headers["Accept"] = "application/json"
    for prefix in (SECURE, PLAIN):
        session.mount(prefix, Transport(plain, max_retries=retry))


def as_json(response: requests.Response) -> Any:
    """The JSON of an answer (RFC 8259), as every database can store it; raises `ProviderFailed`."""
    if response.status_code >= 400:
        raise ProviderFailed(reason="http_error", status=response.status_code)
    try:
        value = json.loads(response.content, parse_constant=_refused)
        json.dumps(value, ensure_ascii=False).encode()  # fails for half a surrogate pair
        _check_depth(value, DEEPEST)
    except (ValueError, RecursionError):
        raise ProviderFailed(reason="not_json") from None
    return value


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if left == 0:
            raise ValueError("too deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, left - 1)
