"""A client of the pages and the JSON API for tests. It keeps cookies like a browser, and needs no server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from authhost.web import Web, WebRequest, WebResponse

ADDRESS = "203.0.113.7"
"""The IP address of the client (RFC 5737)."""
Headers = Mapping[str, str | None]


class WebClient:
    """A browser or program: sends requests to `Web.handle`, and keeps the cookies of the responses.

    Paths are below the prefix: ``client.get("/login")``. ``headers`` are those of each request.
    """

    def __init__(self, web: Web) -> None:
        self.web = web
        self.cookies: dict[str, str] = {}
        origin = web.context.origins.own
        self.headers = {"Sec-Fetch-Site": "same-origin", "Origin": origin, "Accept": "text/html"}
        self.remote_addr: str | None = ADDRESS

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Headers | None = None,
    ) -> WebResponse:
        """Send one request; a header that is None is left out."""
        parts = urlsplit(path)
        sent = {
            name: value for name, value in {**self.headers, **(headers or {})}.items() if value is not None
        }
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        http = WebRequest(
            method,
            parts.path,
            headers=sent.items(),
            query_string=parts.query.encode(),
            body=body,
            scheme="https",
            remote_addr=self.remote_addr,
        )
        response = self.web.handle(http)
        for line in response.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return response

    def get(self, path: str, **headers: str | None) -> WebResponse:
        """Open a page."""
        return self.send("GET", self._absolute(path), headers=headers)

    def post(self, path: str, /, headers: Headers | None = None, **values: str) -> WebResponse:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send(
            "POST", self._absolute(path), body=urlencode(values).encode(), headers={**kind, **(headers or {})}
        )

    def api(
        self,
        path: str,
        values: Any = None,
        /,
        *,
        method: str = "POST",
        headers: Headers | None = None,
    ) -> tuple[int, Any]:
        """Call a JSON endpoint; return the status and the body."""
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        body = json.dumps(values if values is not None else {}).encode() if method == "POST" else b""
        sent = {**kind, **(headers or {})}
        response = self.send(method, self._absolute(f"/api{path}"), body=body, headers=sent)
        return response.status_code, json.loads(response.body)

    def page(self, path: str) -> dict[str, Any]:
        """Return a page as its value."""
        response = self.get(path, Accept="application/json")
        found: dict[str, Any] = json.loads(response.body)
        return found

    def _absolute(self, path: str) -> str:
        prefix = self.web.context.host.settings.web_prefix
        return path if path.startswith(prefix + "/") else prefix + path

    def messages(self, path: str = "/") -> list[str]:
        """Follow a redirect to ``path``; return the codes of the messages there."""
        return [each["code"] for each in self.page(path)["messages"]]


def codes(response: WebResponse) -> list[str]:
    """Return the codes of the messages that the HTML of a page shows."""
    text = response.body.decode()
    return [part.partition('"')[0] for part in text.split('data-code="')[1:]]
