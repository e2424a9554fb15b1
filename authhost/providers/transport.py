"""The transport for all requests to providers: HTTPS only, limited time, limited size, no redirects.

The limits are in an adapter of requests, so that they apply to every session
that uses it, including the sessions of requests-oauthlib.
"""

from __future__ import annotations

import os
import socket
import threading
import zlib
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, TimeoutError as Urllib3Timeout

from authhost.errors import ProviderFailed
from authhost.providers.addresses import HTTP, HTTPS, AddressSpace, address_space, is_loopback, is_secure

TIMEOUT = 5.0
"""Seconds to connect, and between two packets."""
DEADLINE = 15.0
"""Seconds for the whole response, even if it keeps arriving slowly."""
MAX_RESPONSE_SIZE = 1024 * 1024
"""Bytes."""

_thread = threading.local()


class _Deadline:
    """Ends a request after `DEADLINE` seconds in total: a socket's timeout restarts with each byte."""

    def __init__(self, min_address_space: AddressSpace) -> None:
        self.expired = threading.Event()
        self._min_address_space = min_address_space
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(DEADLINE, self._end)
        self._timer.daemon = True

    def watch(self, sock: socket.socket) -> None:
        """Close ``sock`` at the deadline. Uses a duplicate descriptor, since TLS takes over the original.

        Raises `ProviderFailed` before a byte is sent if the peer's address is less
        public than allowed. This checks the address of the connection itself: a
        second name resolution could give another address (DNS rebinding).
        """
        _thread.address_space = space = address_space(sock.getpeername()[0])
        if space < self._min_address_space:
            sock.close()
            raise ProviderFailed(reason="private_address")
        self._sockets.append(socket.socket(fileno=os.dup(sock.fileno())))
        if self.expired.is_set():
            self._end()

    def _end(self) -> None:
        self.expired.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        _thread.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        _thread.deadline = None
        self._timer.cancel()
        for each in self._sockets:
            each.close()


def _watch(sock: socket.socket) -> socket.socket:
    deadline: _Deadline | None = getattr(_thread, "deadline", None)
    if deadline is not None:
        deadline.watch(sock)
    return sock


class _HTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watch(super()._new_conn())


class _HTTPSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watch(super()._new_conn())


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class Transport(HTTPAdapter):
    """Sends one request; raises `ProviderFailed` with a ``reason``.

    ``http_hosts`` are the loopback hosts (with port) that are addressed by plain
    HTTP even if the URL says HTTPS, see `url_for_oauthlib`.
    """

    def __init__(
        self,
        http_hosts: frozenset[str] = frozenset(),
        min_address_space: AddressSpace = AddressSpace.LOOPBACK,
        **options: Any,
    ) -> None:
        self._http_hosts, self._min_address_space = http_hosts, min_address_space
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = request.url or ""
        if url.startswith(HTTPS) and urlsplit(url).netloc in self._http_hosts:
            request.url = url = HTTP + url.removeprefix(HTTPS)
        if not is_secure(url):
            raise ProviderFailed(reason="not_https")
        with _Deadline(self._min_address_space) as deadline:
            try:
                response = super().send(request, stream=True, timeout=TIMEOUT)
                try:
                    response._content = _read_body(response)
                finally:
                    response.close()
                    # The request had "Connection: close", so the connection may not be used again
                    # (RFC 9112, section 9.6).
                    self.poolmanager.clear()
            except (requests.Timeout, Urllib3Timeout):
                raise ProviderFailed(reason="timeout") from None
            except (requests.RequestException, HTTPError, OSError, ValueError):
                # "from None": the library's error contains the URL, which may contain a code.
                expired = deadline.expired.is_set()
                raise ProviderFailed(reason="timeout" if expired else "unreachable") from None
            if deadline.expired.is_set():  # a response that was cut off can look complete
                raise ProviderFailed(reason="timeout")
        if response.is_redirect:
            raise ProviderFailed(reason="redirected")
        return response


def _read_body(response: requests.Response) -> bytes:
    """Return the decoded body. Never holds more than `MAX_RESPONSE_SIZE` bytes, encoded or decoded."""
    chunks, size = [], 0
    while chunk := response.raw.read1(65536, decode_content=False):
        size += len(chunk)
        if size > MAX_RESPONSE_SIZE:
            raise ProviderFailed(reason="too_large")
        chunks.append(chunk)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    return _decode_content(b"".join(chunks), encoding)


def _decode_content(content: bytes, encoding: str) -> bytes:
    """Undo the content encoding (RFC 9110, section 8.4). Some providers send gzip without being asked."""
    if encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "x-gzip"):
        raise ProviderFailed(reason="encoding")
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        decoded = decompressor.decompress(content, MAX_RESPONSE_SIZE + 1)
    except zlib.error:
        raise ProviderFailed(reason="encoding") from None
    if len(decoded) > MAX_RESPONSE_SIZE:
        raise ProviderFailed(reason="too_large")
    if not decompressor.eof or decompressor.unused_data:
        raise ProviderFailed(reason="encoding")
    return decoded


def configure_session(
    session: requests.Session, *urls: str, min_address_space: AddressSpace = AddressSpace.LOOPBACK
) -> None:
    """Make ``session`` send everything through `Transport`.

    ``urls`` are the URLs that it will request. ``min_address_space`` is the least
    public address space that it may connect to.
    """
    http_hosts = frozenset(urlsplit(url).netloc for url in urls if url.startswith(HTTP) and is_loopback(url))
    session.trust_env = False
    session.headers.update(
        {
            "User-Agent": "authhost",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
    )
    transport = Transport(http_hosts, min_address_space)
    for prefix in (HTTPS, HTTP):
        session.mount(prefix, transport)


def url_for_oauthlib(url: str) -> str:
    """Return ``url`` as HTTPS if it is plain HTTP to a loopback address.

    oauthlib refuses plain HTTP. `Transport` changes the URL back.
    """
    if url.startswith(HTTP) and is_loopback(url):
        return HTTPS + url.removeprefix(HTTP)
    return url


def last_address_space(*, reset: bool = False) -> AddressSpace:
    """Return the address space that this thread last connected to.

    Returns `AddressSpace.PUBLIC` before the first connection and after ``reset``.
    """
    if reset:
        _thread.address_space = AddressSpace.PUBLIC
    return getattr(_thread, "address_space", AddressSpace.PUBLIC)
