"""Store social logins that wait for the person: at the provider, or at the form of a signup.

The values are stored on the server, encrypted, under the digest of a token that
only the person's browser has.
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

MAX_TOKEN_LENGTH = 1024
COOKIE_PREFIX = "__Host-authhost-social-"
STATE_PARAMS = ("state", "oauth_token", "denied")
"""The parameters of a callback that contain the state. OAuth 1.0a uses the request token as the state."""


def cookie_name(params: Mapping[str, str]) -> str:
    """Return the name of the cookie with the state token of the redirect that ``params`` belong to.

    It equals `SocialRedirect.cookie_name`. Each redirect has its own cookie, so that
    several tabs can be at a provider at the same time. ``params`` is the query of
    the callback (for Apple its form). Returns a name for any mapping.
    """
    found = (params.get(name) for name in STATE_PARAMS)
    return cookie_name_for_state(next((each for each in found if isinstance(each, str) and each), ""))


def cookie_name_for_state(state: str) -> str:
    """Return the name of the cookie for ``state``. The name does not reveal the state, which is random."""
    return COOKIE_PREFIX + digest(state).hex()[:16]


def save(request: Request, kind: str, values: Mapping[str, Any], *, seconds: float | None = None) -> str:
    """Store ``values`` for ``seconds``, by default ``social_step_timeout``; return the token for `load`."""
    token, now = new_key(), request.now
    request.send_statement(
        statements.INSERT_STEP,
        {
            "id": request.new_id(),
            "key_digest": digest(token),
            "sealed": request.services.encryption.seal({**values, "kind": kind}),
            "sent": now,
            "expires": now + timedelta(seconds=seconds or request.settings.social_step_timeout),
        },
    )
    return token


def load(request: Request, kind: str, token: object) -> dict[str, Any]:
    """Return the values that `save` stored; raises `InvalidState` if there are none of this ``kind``."""
    if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_LENGTH:
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


def given_of(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what the application gave the request that saved ``values``; nothing before version 0.2."""
    given: Mapping[str, str] = values.get("given", {})
    return given


def consume(request: Request, token: str) -> None:
    """Delete the values; raises `InvalidState` if another request has deleted them.

    Uses a transaction of its own: the token cannot be used again, even if this unit
    of work fails later.
    """
    with request.services.database.engine.begin() as connection:
        deleted = connection.execute(statements.DELETE_STEP, {"of_digest": digest(token)}).rowcount
    if not deleted:
        raise InvalidState
