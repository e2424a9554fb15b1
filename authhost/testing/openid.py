"""A real OpenID provider on loopback, and its users."""

from __future__ import annotations

import json
import logging
import socket
import warnings
from contextlib import ExitStack
from functools import lru_cache, wraps
from importlib import import_module
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import requests

from authhost.errors import ConfigurationError
from authhost.records import SocialRedirect

PROVIDER_ID = "corp"
"""The provider's id in the settings."""
TIMEOUT = 10
"""Seconds for one HTTP request."""


class LocalProvider:
    """The package oidc-provider-mock, in a thread. It starts when it is first used."""

    def __init__(self) -> None:
        self._running = ExitStack()
        # Held until the server starts, so that nobody else gets the port meanwhile.
        self._held = self._running.enter_context(socket.socket())
        self._held.bind(("127.0.0.1", 0))
        self._port = int(self._held.getsockname()[1])
        self.url = f"http://localhost:{self._port}"
        self._started = False

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The setting ``providers`` of a host that uses this provider."""
        return {
            PROVIDER_ID: {
                "provider": "openid_connect",
                "server": self.url,
                "client_id": "client-of-the-kit",
                "client_secret": "secret-of-the-client-of-the-kit",
                "trust_emails": True,
            }
        }

    def start(self) -> Self:
        """Start the server, if it is not running. Raises `ConfigurationError` if the package is missing."""
        if self._started:
            return self
        try:
            with warnings.catch_warnings(record=True):  # its libraries use deprecated interfaces
                from oidc_provider_mock import run_server_in_thread
        except ImportError as error:
            raise ConfigurationError(
                "a local provider needs oidc-provider-mock; run `pip install 'authhost[testing]'`"
            ) from error
        for name in ("werkzeug", "oidc_provider_mock"):
            logging.getLogger(name).setLevel(logging.ERROR)
        _keep_signing_key()
        self._held.close()
        self._running.enter_context(run_server_in_thread(port=self._port))
        self._started = True
        return self

    def stop(self) -> None:
        """Stop the server. May be called twice."""
        self._running.close()
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def set_user(self, sub: str, **claims: Any) -> None:
        """Create the user ``sub`` at the provider, or replace their claims."""
        self.start()
        requests.put(f"{self.url}/users/{sub}", json=claims, timeout=TIMEOUT).raise_for_status()

    def person(self, sub: str, **claims: Any) -> None:
        """The former name of `set_user`, until the next minor version."""
        warnings.warn("LocalProvider.person is now set_user; call set_user", DeprecationWarning, stacklevel=2)
        self.set_user(sub, **claims)

    def visit(self, redirect: SocialRedirect, sub: str, *, agree: bool = True) -> dict[str, str]:
        """Log in at the provider as ``sub``, and agree or cancel.

        Returns the parameters with which the provider redirects the browser back to the host.
        """
        self.start()
        form = {"sub": sub} if agree else {"action": "deny"}
        answer = requests.post(redirect.url, data=form, allow_redirects=False, timeout=TIMEOUT)
        params = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        # The provider's error response lacks the state, which RFC 6749 (4.1.2.1) requires.
        return params if agree else {**dict(parse_qsl(urlsplit(redirect.url).query)), **params}


def _keep_signing_key() -> None:
    """Make authlib import the provider's signing key once, and not for each token.

    The import checks the primes of the key. This takes most of the processor time of a social login.
    """
    try:
        code: Any = import_module("authlib.oidc.core.grants.code")
        import_key = code.import_any_key
    except (ImportError, AttributeError):  # another version of authlib, which works without this
        return
    if hasattr(import_key, "__wrapped__"):
        return
    imported = lru_cache(maxsize=8)(lambda document: import_key(json.loads(document)))

    @wraps(import_key)
    def import_once(data: Any) -> Any:
        return imported(json.dumps(data, sort_keys=True)) if isinstance(data, dict) else import_key(data)

    code.import_any_key = import_once
