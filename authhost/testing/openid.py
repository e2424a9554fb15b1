"""A real OpenID provider on loopback, seen by the person in front of it."""

from __future__ import annotations

import logging
import socket
import warnings
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import requests

from authhost.errors import ConfigurationError
from authhost.records import SocialRedirect

NAME, TIMEOUT = "corp", 10
"""The provider's id in the settings; seconds."""


class LocalProvider:
    """The package oidc-provider-mock, in a thread. It starts when somebody first goes there."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.url = f"http://localhost:{self._port}"
        self._running = ExitStack()
        self._started = False

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What an operator sets under ``providers``."""
        return {
            NAME: {
                "provider": "openid_connect",
                "server": self.url,
                "client_id": "client-of-the-kit",
                "client_secret": "secret-of-the-client-of-the-kit",
                "trust_emails": True,
            }
        }

    def start(self) -> Self:
        """Run it; raises `ConfigurationError` where the package is not installed."""
        if self._started:
            return self
        try:
            with warnings.catch_warnings(record=True):  # of its own libraries' old ways
                from oidc_provider_mock import run_server_in_thread
        except ImportError as error:
            raise ConfigurationError(
                "a local provider needs oidc-provider-mock; run `pip install 'authhost[testing]'`"
            ) from error
        for name in ("werkzeug", "oidc_provider_mock"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._running.enter_context(run_server_in_thread(port=self._port))
        self._started = True
        return self

    def stop(self) -> None:
        """Stop it. May be called twice."""
        self._running.close()
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def person(self, sub: str, **claims: Any) -> None:
        """Let the provider know somebody."""
        self.start()
        requests.put(f"{self.url}/users/{sub}", json=claims, timeout=TIMEOUT).raise_for_status()

    def visit(self, redirect: SocialRedirect, sub: str, *, agree: bool = True) -> dict[str, str]:
        """Log in there as ``sub`` and agree, or do not; return what the browser brings back."""
        self.start()
        form = {"sub": sub} if agree else {"action": "deny"}
        answer = requests.post(redirect.url, data=form, allow_redirects=False, timeout=TIMEOUT)
        back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        # The provider's denial lacks the state, which RFC 6749 (4.1.2.1) wants back.
        return back if agree else {**dict(parse_qsl(urlsplit(redirect.url).query)), **back}
