"""What the plugin stores about one user, as a copy of it without secrets."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import Request, User
from sqlalchemy import Row

from authhost_mfa import authenticators, recovery_codes, trusted_browsers
from authhost_mfa.values import WEBAUTHN
from authhost_mfa.webauthn.responses import encode


def data_of(request: Request, user: User) -> dict[str, Any]:
    """Return authenticators, the number of recovery codes and trusted browsers, as values for JSON."""
    codes = recovery_codes.of_user(request, user.id)
    return {
        "authenticators": [_authenticator(row) for row in authenticators.rows_of(request, user.id)],
        "recovery_codes": codes.remaining if codes is not None else 0,
        "trusted_browsers": [
            {"user_agent": each.user_agent, "created_at": each.created_at.isoformat()}
            for each in trusted_browsers.of_user(request, user.id)
        ],
    }


def _authenticator(row: Row[Any]) -> dict[str, Any]:
    found = authenticators.as_value(row)
    values = {
        "kind": found.kind,
        "name": found.name,
        "second_factor": found.second_factor,
        "created_at": found.created_at.isoformat(),
        "last_used_at": found.last_used_at.isoformat() if found.last_used_at is not None else None,
    }
    if found.kind != WEBAUTHN:
        return values
    return {
        **values,
        "credential_id": encode(bytes(row.credential_id)),
        "model": row.aaguid,
        "transports": row.transports.split(),
        "backup_eligible": row.backup_eligible,
        "backed_up": row.backed_up,
    }
