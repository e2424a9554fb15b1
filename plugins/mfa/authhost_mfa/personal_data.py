"""What the plugin stores about one user, as a copy of it without secrets."""

from __future__ import annotations

from typing import Any

from authhost_hookspecs import Request, User

from authhost_mfa import authenticators, recovery_codes, trusted_browsers


def data_of(request: Request, user: User) -> dict[str, Any]:
    """Return authenticators, the number of recovery codes and trusted browsers, as values for JSON."""
    codes = recovery_codes.of_user(request, user.id)
    return {
        "authenticators": [
            {
                "kind": each.kind,
                "name": each.name,
                "second_factor": each.second_factor,
                "created_at": each.created_at.isoformat(),
                "last_used_at": each.last_used_at.isoformat() if each.last_used_at is not None else None,
            }
            for each in authenticators.of_user(request, user.id)
        ],
        "recovery_codes": codes.remaining if codes is not None else 0,
        "trusted_browsers": [
            {"user_agent": each.user_agent, "created_at": each.created_at.isoformat()}
            for each in trusted_browsers.of_user(request, user.id)
        ],
    }
