"""Send requests to providers and read JSON responses."""

from __future__ import annotations

import json
import threading
from time import monotonic
from typing import Any

import requests

from authhost.errors import ProviderFailed
from authhost.providers import transport
from authhost.providers.addresses import AddressSpace, is_secure
from authhost.providers.debug_logs import suppress_debug_logs
from authhost.providers.transport import configure_session

MAX_JSON_DEPTH = 24
"""Levels of nesting; MariaDB stores up to 32."""
RETRY_STATUSES = (502, 503, 504)
"""Statuses after which a document is requested again."""


def send_request(
    method: str, url: str, *, min_address_space: AddressSpace = AddressSpace.LOOPBACK, **options: Any
) -> requests.Response:
    """Send one request in a new session; raises `ProviderFailed`."""
    with requests.Session() as session:
        configure_session(session, url, min_address_space=min_address_space)
        return session_request(session, method, url, **options)


def session_request(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Send one request in a configured session; raises `ProviderFailed`.

    The library's own errors are not raised, since they may contain what was sent.
    """
    try:
        with suppress_debug_logs():
            return session.request(method, url, **options)
    except (requests.RequestException, ValueError):
        raise ProviderFailed(reason="unreachable") from None


def fetch_json(url: str, min_address_space: AddressSpace = AddressSpace.LOOPBACK) -> Any:
    """Return the JSON document at ``url``; raises `ProviderFailed`.

    Tries up to three times on `RETRY_STATUSES`, within the `DEADLINE` of one request.
    """
    if not is_secure(url):
        raise ProviderFailed(reason="not_https")
    until = monotonic() + transport.DEADLINE
    with requests.Session() as session:
        configure_session(session, url, min_address_space=min_address_space)
        for pause in (0.1, 0.2, None):
            response = session_request(session, "GET", url)
            if response.status_code not in RETRY_STATUSES or pause is None or monotonic() + pause > until:
                break
            threading.Event().wait(pause)
    return parse_json(response)


def parse_json(response: requests.Response) -> Any:
    """Return the JSON of a response (RFC 8259); raises `ProviderFailed` if it is an error or not JSON."""
    if response.status_code >= 400:
        raise ProviderFailed(reason="http_error", status=response.status_code)
    try:
        return check_storable(json.loads(response.content))
    except (ValueError, RecursionError):
        raise ProviderFailed(reason="not_json") from None


def check_storable(value: Any) -> Any:
    """Return ``value`` if every database can store it as JSON; raises ``ValueError`` or ``RecursionError``.

    No database stores infinities or unpaired surrogates. MariaDB stores at most 32 levels.
    """
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    _check_depth(value, MAX_JSON_DEPTH)
    return value


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, dict | list):
        if levels == 0:
            raise ValueError("too deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, levels - 1)
