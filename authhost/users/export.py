"""A copy of everything that is stored of one account, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost.errors import UserNotFound
from authhost.records import thawed
from authhost.request import Request
from authhost.users.snapshot import Account, read_account


def export_account(request: Request, user_id: UUID) -> Mapping[str, Any]:
    """Return the data of the host and of the plugins; raises `UserNotFound`, `ExportFailed`."""
    account = read_account(request, user_id)
    if account is None:
        raise UserNotFound
    plugins = request.services.hooks.export_user(request, account.user)
    return {"account": _account(account), "plugins": plugins}


def _account(account: Account) -> dict[str, Any]:
    user = account.user
    return {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "is_active": user.is_active,
        "deactivated_until": _time(user.deactivated_until),
        "deactivation_reason": user.deactivation_reason,
        "has_password": user.has_usable_password,
        "password_reset_required": account.password_reset_required,
        "date_joined": _time(user.date_joined),
        "last_login": _time(user.last_login),
        "email_addresses": [
            {"email": each.email, "verified": each.verified, "primary": each.primary}
            for each in account.email_addresses
        ],
        "social_accounts": [
            {
                "provider": each.provider,
                "uid": each.uid,
                "name": each.name,
                "username": each.username,
                "picture": each.picture,
                "extra_data": thawed(each.extra_data),
                "date_joined": _time(each.date_joined),
                "last_login": _time(each.last_login),
            }
            for each in account.social_accounts
        ],
        "sessions": [
            {
                "created_at": _time(each.created_at),
                "authenticated_at": _time(each.authenticated_at),
                "last_seen_at": _time(each.last_seen_at),
                "expires_at": _time(each.expires_at),
                "method": each.method,
                "provider": each.provider,
                "ip_address": each.ip_address,
                "user_agent": each.user_agent,
            }
            for each in account.sessions
        ],
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None
