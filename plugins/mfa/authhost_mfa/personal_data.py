"""What the plugin stores about one user, as a copy of it without secrets."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import Request, User
from sqlalchemy import Row

from authhost_mfa import authenticators, recovery_codes, trusted_browsers
from authhost_mfa.values import WEBAUTHN, Authenticator
from authhost_mfa.webauthn.responses import encode


def data_of(request: Request, user: User) -> dict[str, Any]:
    """Return authenticators, the number of recovery codes and trusted browsers, as values for JSON."""
    return {
        "authenticators": [_stored_data(row) for row in authenticators.rows_of(request, user.id)],
        "recovery_codes": recovery_codes.count(request, user.id),
        "trusted_browsers": [
            {"user_agent": each.user_agent, "created_at": each.created_at.isoformat()}
            for each in trusted_browsers.of_user(request, user.id)
        ],
    }


def authenticator_json(authenticator: Authenticator) -> dict[str, Any]:
    """Return an authenticator as values for JSON; the times are ISO 8601."""
    used = authenticator.last_used_at
    return {
        "kind": authenticator.kind,
        "name": authenticator.name,
        "second_factor": authenticator.second_factor,
        "created_at": authenticator.created_at.isoformat(),
        "last_used_at": used.isoformat() if used is not None else None,
    }


def _stored_data(row: Row[Any]) -> dict[str, Any]:
    values = authenticator_json(authenticators.as_value(row))
    if row.kind != WEBAUTHN:
        return values
    return {
        **values,
        "credential_id": encode(bytes(row.credential_id)),
        "model": row.aaguid,
        "transports": row.transports.split(),
        "backup_eligible": row.backup_eligible,
        "backed_up": row.backed_up,
    }
