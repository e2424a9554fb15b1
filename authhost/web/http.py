"""Requests and responses as values, independent of any server or framework.

The parsing of headers, cookies, queries and dates is Werkzeug's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.sansio.request import Request
from werkzeug.sansio.response import Response
from werkzeug.urls import iri_to_uri

from authhost.errors import InvalidInput
from authhost.security.inputs import ip_address

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY = 64 * 1024
"""Bytes. No form and no JSON body of authhost is longer."""


class WebRequest(Request):
    """One request. ``body`` has at most `MAX_BODY` bytes; ``native`` is the framework's own request."""

    def __init__(
        self,
        method: str,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        query_string: bytes = b"",
        body: bytes = b"",
        scheme: str = "http",
        remote_addr: str | None = None,
        root_path: str = "",
        native: Any = None,
    ) -> None:
        super().__init__(
            method=method,
            scheme=scheme,
            server=None,
            root_path=root_path,
            path=path,
            query_string=query_string,
            headers=Headers(headers),
            remote_addr=remote_addr,
        )
        self.body = body
        self.native = native

    def client_address(self, proxies: int) -> str | None:
        """Return the client's IP address, where ``proxies`` proxies in front of the application are trusted.

        Each trusted proxy appends the address that it saw to ``X-Forwarded-For``; what
        stands before comes from the client, and may be false. None if the address is not
        an IP address, such as that of a Unix socket.
        """
        address = self.remote_addr
        if proxies:
            values = ",".join(self.headers.getlist("X-Forwarded-For")).split(",")
            forwarded = [each.strip() for each in values if each.strip()]
            if len(forwarded) >= proxies:
                address = forwarded[-proxies]
        try:
            return ip_address(_without_port(address)) if address else None
        except InvalidInput:
            return None

    @property
    def has_bearer(self) -> bool:
        """Whether the client sends ``Authorization: Bearer`` (RFC 6750, 2.1)."""
        return self.headers.get("Authorization", "").lower().startswith("bearer ")

    @property
    def wants_page(self) -> bool:
        """Whether the client is a browser that opens a page: it names HTML itself."""
        return "text/html" in self.accept_mimetypes.values()

    @property
    def wants_json(self) -> bool:
        """Whether the client prefers JSON to a page."""
        accepted = self.accept_mimetypes
        return bool(accepted["application/json"] > accepted["text/html"])


class WebResponse(Response):
    """One response with its complete body."""

    def __init__(
        self,
        body: bytes | str = b"",
        status: int = 200,
        *,
        content_type: str = "text/html; charset=utf-8",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status=status, headers=dict(headers or {}), content_type=content_type)
        self.body = body.encode() if isinstance(body, str) else body

    @classmethod
    def json(
        cls, value: Any, status: int = 200, *, content_type: str = "application/json", **headers: str
    ) -> WebResponse:
        """Return a response with ``value`` as JSON."""
        return cls(json.dumps(value, ensure_ascii=False), status, content_type=content_type, headers=headers)

    @classmethod
    def redirect(cls, location: str) -> WebResponse:
        """Return a redirect after which the browser uses GET (RFC 9110, 15.4.4).

        Other characters than those of a URI are encoded (RFC 3987, 3.1): a header has no others.
        """
        return cls(b"", 303, headers={"Location": iri_to_uri(location)})

    def header_list(self) -> list[tuple[str, str]]:
        """Return the headers, with ``Content-Length``. For HEAD it is that of the response to GET."""
        if self.status_code != 204:  # RFC 9110, 8.6
            self.headers.setdefault("Content-Length", str(len(self.body)))
        return list(self.headers)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI sends them."""
        return [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.header_list()
        ]


def origin_of(url: str) -> str:
    """Return the origin of an absolute URL: scheme and host (RFC 6454), without a default port."""
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}".lower()


def _without_port(address: str) -> str:
    """Return an address of ``X-Forwarded-For`` without a port: some proxies add one."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, port = address.rpartition(":")
    return host if colon and ":" not in host and port.isdigit() else address
