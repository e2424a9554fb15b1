"""Real providers on loopback, and one that can be told to misbehave.

`openid_provider` is the package oidc-provider-mock in a process of its own (OAuth 2.0 and OpenID
Connect); `OAuth1Server` is oauthlib's server side; `Scripted` is ours, since no honest provider lies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import requests
from authhost_hookspecs import OAuth1Provider, OAuth2Provider, Profile, ProviderEmail
from cryptography.hazmat.primitives.asymmetric import rsa
from oauthlib.oauth1 import RequestValidator, WebApplicationServer

Reply = tuple[int, Mapping[str, str], bytes]


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler, bytes], Reply | None]) -> Iterator[str]:
    """Serve ``answer`` on loopback; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = answer(self, body)
            if reply is None:  # it has written by itself
                self.close_connection = True
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has closed the connection
                return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # a machine that is busy must not refuse a connection

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_json(value: object, status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def returned(url: str) -> dict[str, str]:
    """The parameters with which a browser comes back."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


# An honest OpenID Connect and OAuth 2.0 provider.


class OpenIDServer:
    """oidc-provider-mock, seen by the person in front of it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def person(self, sub: str, **claims: object) -> str:
        requests.put(f"{self.url}/users/{sub}", json=claims, timeout=5).raise_for_status()
        return sub

    def agree(self, url: str, sub: str) -> dict[str, str]:
        """Log in there as ``sub`` and agree; what comes back."""
        answer = requests.post(url, data={"sub": sub}, allow_redirects=False, timeout=5)
        return returned(answer.headers["Location"])

    def deny(self, url: str) -> dict[str, str]:
        answer = requests.post(url, data={"action": "deny"}, allow_redirects=False, timeout=5)
        return returned(answer.headers["Location"])

    def plain(self, **values: Any) -> OAuth2Provider:
        """The same server, declared as plain OAuth 2.0."""

        def read_profile(data: Mapping[str, Any]) -> Profile:
            email = data.get("email")
            emails = (ProviderEmail(email, data.get("email_verified") is True, True),) if email else ()
            return Profile(data["sub"], emails)

        given: dict[str, Any] = {
            "authorize_url": f"{self.url}/oauth2/authorize",
            "token_url": f"{self.url}/oauth2/token",
            "profile_url": f"{self.url}/userinfo",
            "scopes": ("openid", "email"),
            **values,
        }
        return OAuth2Provider(id="plain", name="Plain", read_profile=read_profile, **given)


@contextmanager
def openid_provider() -> Iterator[OpenIDServer]:
    """Run the provider in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield OpenIDServer(url)
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            requests.get(f"{url}/jwks", timeout=5).raise_for_status()
        except requests.ConnectionError:
            threading.Event().wait(0.05)
        else:
            return
    raise RuntimeError("the provider did not start")


# An honest OAuth 1.0a provider.


class OAuth1Server(RequestValidator):
    """One application, one person, HMAC-SHA1."""

    client, secret = "client-of-tests", "secret-of-the-client-of-tests"
    enforce_ssl = False
    safe_characters = frozenset(f"{string.ascii_letters}{string.digits}-_")
    client_key_length = access_token_length = request_token_length = nonce_length = verifier_length = (5, 100)
    dummy_client = dummy_request_token = dummy_access_token = "dummy"

    def __init__(self) -> None:
        self.requested: dict[str, dict[str, Any]] = {}
        self.granted: dict[str, str] = {}
        self.nonces: set[tuple[object, ...]] = set()
        self.profile: dict[str, Any] = {"id_str": "7001", "screen_name": "ann", "email": "ann@example.org"}
        self.url = ""
        self._endpoint = WebApplicationServer(self)

    def declaration(self) -> OAuth1Provider:
        def read_profile(data: Mapping[str, Any]) -> Profile:
            email = data.get("email")
            return Profile(data["id_str"], (ProviderEmail(email, True, True),) if email else ())

        return OAuth1Provider(
            id="oauth1",
            name="OAuth 1",
            request_token_url=f"{self.url}/request",
            authorize_url=f"{self.url}/authorize",
            access_token_url=f"{self.url}/access",
            profile_url=f"{self.url}/me",
            read_profile=read_profile,
        )

    @contextmanager
    def running(self) -> Iterator[OAuth1Server]:
        with served(self._answer) as self.url:
            yield self

    def agree(self, url: str) -> dict[str, str]:
        token = returned(url)["oauth_token"]
        verifier = self.requested[token]["verifier"] = secrets.token_urlsafe(12)
        return {"oauth_token": token, "oauth_verifier": verifier}

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Reply:
        given = self.url + handler.path, handler.command, body.decode(), dict(handler.headers)
        path = urlsplit(handler.path).path
        if path == "/request":
            headers, content, status = self._endpoint.create_request_token_response(*given)
        elif path == "/access":
            headers, content, status = self._endpoint.create_access_token_response(*given)
        else:
            valid, _ = self._endpoint.validate_protected_resource_request(*given, realms=[])
            return as_json(self.profile) if valid else as_json({}, 401)
        return status, headers, (content or "").encode()

    # What oauthlib asks.

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == self.client

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self.secret

    def validate_timestamp_and_nonce(self, *values: Any, **more: Any) -> bool:
        seen = values[:3] + tuple(map(str, more.values()))
        fresh = seen not in self.nonces
        self.nonces.add(seen)
        return fresh

    def validate_requested_realms(self, *values: Any) -> bool:
        return True

    def get_default_realms(self, *values: Any) -> list[str]:
        return []

    def get_realms(self, *values: Any) -> list[str]:
        return []

    def validate_realms(self, *values: Any, **more: Any) -> bool:
        return True

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Any) -> bool:
        return redirect_uri.endswith("/callback")

    def save_request_token(self, token: Mapping[str, str], request: Any) -> None:
        self.requested[token["oauth_token"]] = {"secret": token["oauth_token_secret"]}

    def validate_request_token(self, client_key: str, token: str, request: Any) -> bool:
        return token in self.requested

    def get_request_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self.requested.get(token, {}).get("secret", "none")

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Any) -> bool:
        return self.requested.get(token, {}).get("verifier") == verifier

    def save_access_token(self, token: Mapping[str, str], request: Any) -> None:
        self.granted[token["oauth_token"]] = token["oauth_token_secret"]

    def invalidate_request_token(self, client_key: str, request_token: str, request: Any) -> None:
        self.requested.pop(request_token, None)

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token in self.granted

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self.granted.get(token, "none")


# A provider that does as it is told.


class Seen(NamedTuple):
    """A request that arrived."""

    path: str
    method: str
    headers: dict[str, str]
    query: dict[str, str]
    form: dict[str, str]


class Scripted:
    """An OpenID provider whose every answer a test can replace."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "first"
        self.url = ""
        self.over = threading.Event()
        self.asked: list[str] = []
        self.seen: list[Seen] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {"email": "ann@example.org", "email_verified": True}
        self.sub = "scripted-1"
        self.metadata: dict[str, Any] = {}
        self.published: list[dict[str, Any]] | None = None
        self.id_token: Callable[[dict[str, Any]], str | None] = self.signed
        self.userinfo: dict[str, Any] | None = None
        self.token_fields: dict[str, Any] = {}
        self.instead: dict[str, Callable[[BaseHTTPRequestHandler], Reply | None]] = {}

    @contextmanager
    def running(self) -> Iterator[Scripted]:
        with served(self._answer) as self.url:
            try:
                yield self
            finally:
                self.over.set()

    def signed(self, claims: dict[str, Any], **header: str) -> str:
        return jwt.encode(claims, self.key, "RS256", {"kid": self.kid, **header})

    def public(self) -> dict[str, Any]:
        numbers = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**numbers, "kid": self.kid, "use": "sig", "alg": "RS256"}

    def agree(self, url: str) -> dict[str, str]:
        """The person agrees; what comes back."""
        asked = returned(url)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def plain(self, **values: Any) -> OAuth2Provider:
        """The same server, declared as plain OAuth 2.0."""
        given: dict[str, Any] = {
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "profile_url": f"{self.url}/userinfo",
            "read_profile": lambda data: Profile(data["sub"]),
            **values,
        }
        return OAuth2Provider(id="odd", name="Odd", **given)

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Reply | None:
        path = urlsplit(handler.path).path
        self.asked.append(path)
        form = dict(parse_qsl(body.decode()))
        self.seen.append(Seen(path, handler.command, dict(handler.headers), returned(handler.path), form))
        if path in self.instead:
            return self.instead[path](handler)
        if path == "/.well-known/openid-configuration":
            return as_json(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "jwks_uri": f"{self.url}/jwks",
                    **self.metadata,
                }
            )
        if path == "/jwks":
            return as_json({"keys": [self.public()] if self.published is None else self.published})
        if path == "/token":
            return self._token({**returned(handler.path), **form})
        if path == "/userinfo":
            return as_json({"sub": self.sub, **self.claims} if self.userinfo is None else self.userinfo)
        return as_json({}, 404)

    def _token(self, form: Mapping[str, str]) -> Reply:
        if form["grant_type"] == "refresh_token":
            return as_json(
                {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer"} | self.token_fields
            )
        asked = self.codes.pop(form.get("code", ""), None)
        given = challenge_of(form["code_verifier"]) if "code_verifier" in form else None
        if asked is None or given != asked.get("code_challenge"):
            return as_json({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": self.sub,
            "aud": asked.get("client_id"),
            "iat": now,
            "exp": now + 600,
            "nonce": asked.get("nonce"),
        }
        fields = {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self.id_token(claims),
            **self.token_fields,
        }
        return as_json({name: value for name, value in fields.items() if value is not None})


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636, section 4.2), independent of the code under test."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def address(url: str, **params: str) -> str:
    return f"{url}?{urlencode(params)}"
