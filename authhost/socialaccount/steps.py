"""What waits while a person is away: at the provider, or at the form of a signup that asks for more.

Kept on the server, encrypted, under the digest of a token that only the person's browser has.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from authhost.errors import InvalidState
from authhost.request import Request
from authhost.security.encryption import Undecipherable
from authhost.security.keys import digest, new_key
from authhost.store import statements

TOKEN_LENGTH = 1024
COOKIE_PREFIX = "__Host-authhost-social-"
STATES = ("state", "oauth_token", "denied")
"""The parameters of a callback that carry the state; OAuth 1.0a has the request token in its place."""


def cookie_name(params: Mapping[str, str]) -> str:
    """The name of the cookie with the state token of the redirect that came back with ``params``.

    It is `SocialRedirect.cookie_name` again: each redirect has a cookie of its
    own, so that several tabs can be at a provider at once. ``params`` is the
    query of the callback (for Apple its form). Any mapping gets a name.
    """
    found = (params.get(name) for name in STATES)
    return cookie_of(next((each for each in found if isinstance(each, str) and each), ""))


def cookie_of(state: str) -> str:
    """The name of the cookie for ``state``. It tells nothing of the state, which is random."""
    return COOKIE_PREFIX + digest(state).hex()[:16]


def store(
    request: Request,
    kind: str,
    values: Mapping[str, Any],
    *,
    key: str | None = None,
    days: float | None = None,
) -> str:
    """Keep ``values``; return the token that brings them back.

    For ``social_step_timeout`` under a new token, unless ``days`` and ``key``
    say otherwise; what was under that key before is replaced.
    """
    token, now = key or new_key(), request.now
    lasts = (
        timedelta(days=days) if days is not None else timedelta(seconds=request.settings.social_step_timeout)
    )
    if key is not None:
        request.send(statements.DELETE_STEP, {"of_digest": digest(key)})
    request.send(
        statements.INSERT_STEP,
        {
            "id": request.new_id(),
            "key_digest": digest(token),
            "sealed": request.services.encryption.seal({**values, "kind": kind}),
            "sent": now,
            "expires": now + lasts,
        },
    )
    return token


def find(request: Request, kind: str, token: object) -> dict[str, Any]:
    """What was kept; raises `InvalidState`."""
    if not isinstance(token, str) or not 0 < len(token) <= TOKEN_LENGTH:
        raise InvalidState
    rows = request.read(statements.STEP, {"of_digest": digest(token), "now": request.now})
    if not rows:
        raise InvalidState
    try:
        values = request.services.encryption.open(rows[0].sealed)
    except Undecipherable:
        raise InvalidState from None
    if values["kind"] != kind:
        raise InvalidState
    return values


def consume(request: Request, token: str) -> None:
    """It works this once, even if this unit fails later on: it is deleted in a transaction of its own."""
    with request.services.database.engine.begin() as connection:
        deleted = connection.execute(statements.DELETE_STEP, {"of_digest": digest(token)}).rowcount
    if not deleted:
        raise InvalidState
