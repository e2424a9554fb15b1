"""A client of the web layer for tests: it keeps cookies like a browser."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from authhost.web import Web, WebRequest, WebResponse

BASE_URL = "https://example.org"
BROWSER_HEADERS = {"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL, "Accept": "text/html"}
ADDRESS = "203.0.113.7"


class Client:
    """A browser or program: sends requests to `Web.handle`, and keeps the cookies of the responses."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = dict(BROWSER_HEADERS)
        self.remote_addr: str | None = ADDRESS

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str | None] | None = None,
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
        """Open a page below the prefix, or an absolute path of the prefix."""
        return self.send("GET", _absolute(path), headers=headers)

    def post(self, path: str, /, headers: dict[str, str | None] | None = None, **values: str) -> WebResponse:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send(
            "POST", _absolute(path), body=urlencode(values).encode(), headers={**kind, **(headers or {})}
        )

    def api(
        self,
        path: str,
        values: Any = None,
        /,
        *,
        method: str = "POST",
        headers: dict[str, str | None] | None = None,
    ) -> tuple[int, Any]:
        """Call a JSON endpoint; return the status and the body."""
        kind = {"Content-Type": "application/json", "Accept": "application/json"}
        body = json.dumps(values if values is not None else {}).encode() if method == "POST" else b""
        sent = {**kind, **(headers or {})}
        response = self.send(method, _absolute(f"/api{path}"), body=body, headers=sent)
        return response.status_code, json.loads(response.body)

    def page(self, path: str) -> dict[str, Any]:
        """Return a page as its value."""
        response = self.get(path, Accept="application/json")
        found: dict[str, Any] = json.loads(response.body)
        return found

    def messages(self, path: str = "/") -> list[str]:
        """Follow a redirect to ``path``; return the codes of the messages there."""
        return [each["code"] for each in self.page(path)["messages"]]


def _absolute(path: str) -> str:
    return path if path.startswith("/account/") else f"/account{path}"


def codes(response: WebResponse) -> list[str]:
    """The codes of the messages that the HTML of a page shows."""
    text = response.body.decode()
    return [part.partition('"')[0] for part in text.split('data-code="')[1:]]
