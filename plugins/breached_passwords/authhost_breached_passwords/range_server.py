"""Looks up a hash at a range server (k-anonymity), which gets only its first five characters.

The server returns the rest of every hash with this beginning.

The protocol is that of Pwned Passwords: https://haveibeenpwned.com/API/v3#PwnedPasswords
"""

from __future__ import annotations

import io
import re
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from authhost_breached_passwords.errors import LookupFailed

PREFIX = 5
"""Characters of the hash that the server gets."""
LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]{1,15})")
HEADERS = {
    "Accept": "text/plain",
    "Add-Padding": "true",  # so that the size of the response does not reveal the prefix
    "Connection": "close",
    "User-Agent": "authhost-breached-passwords",
}


def count_at_server(url: str, digest: str, *, timeout: float, max_response: int) -> int:
    """Return in how many breaches a SHA-1 hash was found: 0 if the server does not know it.

    The whole request takes at most ``timeout`` seconds, however slowly the response
    arrives; only the resolver of the system has its own limits. Redirects are
    not followed, and no proxy is used. Raises `LookupFailed`.
    """
    digest = digest.upper()
    prefix, suffix = digest[:PREFIX], digest[PREFIX:]
    host = urlsplit(url).hostname
    try:
        text = _get(url, prefix, timeout, max_response)
    except TimeoutError:
        problem = f"did not answer within {timeout:g} seconds"
    except ssl.SSLError as error:
        problem = f"has no valid TLS connection: {error.reason}"
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        # Only the class: the text can contain the URL with the prefix.
        problem = f"cannot be reached or does not speak HTTP: {type(error).__name__}"
    except LookupFailed as error:
        problem = str(error)
    else:
        return _count_in(text, suffix, host)
    raise LookupFailed(f"the range server {host} {problem}")


def _count_in(text: str, suffix: str, host: str | None) -> int:
    count, lines = 0, 0
    for line in text.split("\n"):
        line = line.strip()
        match = LINE.fullmatch(line)
        lines += match is not None
        if match is not None and match[1].upper() == suffix:
            count = max(count, int(match[2]))
        elif line and match is None:
            raise LookupFailed(f"the range server {host} returned a line that is not SUFFIX:COUNT")
    if not lines:
        raise LookupFailed(f"the range server {host} returned no hash at all")
    return count


def _get(url: str, prefix: str, timeout: float, max_response: int) -> str:
    connection = _Connection(url, timeout)
    try:
        connection.request("GET", f"{urlsplit(url).path.rstrip('/')}/{prefix}", headers=HEADERS)
        with connection.getresponse() as response:
            return _body(response, max_response)
    finally:
        connection.close()


def _body(response: HTTPResponse, max_response: int) -> str:
    """Return the whole body. An incomplete list might not contain the password."""
    if response.status != 200:
        raise LookupFailed(f"returned the status {response.status}")
    if response.length is None and not response.chunked:
        raise LookupFailed("returned a response without a length, which could be cut off")
    body = response.read(max_response + 1)
    if len(body) > max_response:
        raise LookupFailed(f"returned more than {max_response} bytes")
    if response.length:
        raise LookupFailed("returned a response that was cut off")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise LookupFailed("returned something other than text") from None


class _Connection(HTTPConnection):
    """A connection whose operations together take at most ``seconds``."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        super().__init__(str(parts.hostname), parts.port or (443 if self._tls else 80))
        self._deadline = _Deadline(seconds)

    def connect(self) -> None:
        sock = _connected(self.host, self.port, self._deadline)
        if self._tls:
            try:
                sock.settimeout(self._deadline.remaining())
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self.host)
            except BaseException:
                sock.close()
                raise
        self.sock: Any = _DeadlineSocket(sock, self._deadline)


def _connected(host: str, port: int, deadline: _Deadline) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.remaining())
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("the host has no address")


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Return the remaining seconds; raises `TimeoutError` if there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _DeadlineSocket:
    """What http.client uses of a socket. A socket's own timeout would restart with each byte."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline.remaining())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def close(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed, too

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
