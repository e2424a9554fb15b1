"""Store the tokens of providers, encrypted, if ``store_social_tokens`` is on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from authhost.records import SocialToken
from authhost.security.encryption import Undecipherable
from authhost.store import statements

if TYPE_CHECKING:
    from authhost.request import Request


def to_values(token: SocialToken) -> dict[str, Any]:
    """Return the values of a token for encryption."""
    return {
        "value": token.reveal(),
        "secret": token.reveal_secret(),
        "refresh": token.reveal_refresh(),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "scopes": list(token.scopes),
    }


def from_values(values: Mapping[str, Any]) -> SocialToken:
    """Return the token with the values that `to_values` returned."""
    expires_at = values["expires_at"]
    return SocialToken(
        values["value"],
        secret=values["secret"],
        refresh=values["refresh"],
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        scopes=tuple(values["scopes"]),
    )


def read(request: Request, account_id: UUID) -> SocialToken | None:
    """Return the stored token of an account, or None; raises `Undecipherable`."""
    rows = request.read(statements.SOCIAL_TOKEN, {"of_id": account_id})
    return from_values(request.services.encryption.open(rows[0].sealed)) if rows else None


def store(request: Request, account_id: UUID, provider: str, token: SocialToken | None) -> None:
    """Store ``token`` and replace the former one. Without a new refresh token, the former one is kept."""
    if token is None or not request.settings.store_social_tokens:
        return
    encryption, values = request.services.encryption, to_values(token)
    rows = request.read(statements.SOCIAL_TOKEN, {"of_id": account_id})
    if rows and rows[0].provider == provider and values["refresh"] is None:
        with suppress(Undecipherable):
            values["refresh"] = encryption.open(rows[0].sealed)["refresh"]
    sealed = encryption.seal(values)
    if rows:
        request.send_statement(
            statements.UPDATE_SOCIAL_TOKEN,
            {"of_id": account_id, "new_provider": provider, "new_sealed": sealed, "now": request.now},
        )
        return
    row = {"account_id": account_id, "provider": provider, "sealed": sealed, "updated_at": request.now}
    request.send_statement(statements.INSERT_SOCIAL_TOKEN, row)
