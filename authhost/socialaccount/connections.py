"""The accounts at providers of somebody who is logged in, and the tokens kept for them."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from authhost.account.flow import lock_login, require_login, require_recent_login, social_flow
from authhost.errors import InvalidInput, LastLoginMethod, ProviderFailed, SocialAccountNotFound
from authhost.records import SocialAccount, SocialToken, User
from authhost.request import Request
from authhost.socialaccount import tokens
from authhost.store import queries, statements

CLIENT_ERRORS = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")
"""Errors of the token endpoint that a login by the provider would not mend."""
ENDED = "This connection has ended. Please log in there again."
EARLY = timedelta(seconds=60)
"""A token that ends so soon is refreshed: the call it is for takes time, and clocks differ."""


def list_accounts(request: Request) -> list[SocialAccount]:
    """The accounts at providers of the logged-in user, the oldest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.social_accounts(request, user.id)


@social_flow
def disconnect(request: Request, *, account_id: UUID) -> SocialAccount:
    """Disconnect one of the logged-in user's accounts at providers; return what it was.

    Its token is deleted. Raises `LoginRequired`, `ReauthenticationRequired`,
    `InvalidInput`, `SocialAccountNotFound`, `LastLoginMethod`.
    """
    require_recent_login(request)
    identifier = _uuid(account_id, "account_id")
    user = lock_login(request)
    accounts = queries.social_accounts(request, user.id)
    account = next((each for each in accounts if each.id == identifier), None)
    if account is None:
        raise SocialAccountNotFound
    others = [each for each in accounts if each.id != identifier]
    if not _can_log_in(request, user, others):
        raise LastLoginMethod
    request.send(statements.DELETE_SOCIAL_ACCOUNT, {"of_id": identifier, "of_user": user.id})
    request.services.hooks.social_account_removed(request, account)
    return account


@social_flow
def token(
    request: Request, *, account_id: UUID, user_id: UUID | None = None, refresh: bool = False
) -> SocialToken:
    """The provider's token of an account, refreshed where it has ended.

    Of the logged-in user, unless a job names ``user_id``. Kept only where
    ``store_social_tokens`` is on. ``refresh=True`` refreshes it even if it seems
    valid: for a provider that has answered 401, since a token may end early, and
    some providers never say when theirs end (RFC 6749, section 5.1).

    Raises `LoginRequired`, `InvalidInput`, `SocialAccountNotFound`,
    `ProviderNotFound`, `InvalidIdToken` and `ProviderFailed`. Its field
    ``reason`` says what to do: at ``token_expired``, ``no_refresh_token`` and
    ``token_refused`` the person has to log in by the provider again (unless
    ``error`` is ``invalid_client``: compare the settings with the provider's); at any other,
    such as ``timeout`` or ``http_error`` with its ``status``, try again later.
    ``RuntimeError`` where the unit has written something before.
    """
    request.require_clean("socialaccount.token")
    owner = require_login(request)[0].id if user_id is None else _uuid(user_id, "user_id")
    identifier = _uuid(account_id, "account_id")
    account = next((each for each in queries.social_accounts(request, owner) if each.id == identifier), None)
    if account is None:
        raise SocialAccountNotFound
    kept = _kept(request, identifier)
    ended = kept.token.expires_at is not None and kept.token.expires_at - EARLY <= request.now
    if not (ended or refresh):
        return kept.token
    if kept.token.reveal_refresh() is None:
        raise ProviderFailed(ENDED, reason="token_expired" if ended else "no_refresh_token")
    services = request.services
    app = services.providers.app(kept.provider)
    try:
        fresh = services.providers.client(app).refresh(kept.token, account.extra_data.get("sub"))
    except ProviderFailed as error:
        # Another process may have refreshed it, and the provider may take a refresh token but once.
        now = _kept(request, identifier)
        if now.sealed != kept.sealed:
            return now.token
        if error.fields.get("reason") == "token_refused" and error.fields.get("error") not in CLIENT_ERRORS:
            raise ProviderFailed(ENDED, **error.fields) from None
        raise
    values = {
        "of_id": identifier,
        "new_provider": app.id,
        "new_sealed": services.encryption.seal(tokens.as_values(fresh)),
        "old_sealed": kept.sealed,
        "now": request.now,
    }
    with services.database.engine.begin() as connection:
        # The provider refuses the former refresh token now: the new one must outlive this unit.
        stored = connection.execute(statements.REPLACE_SOCIAL_TOKEN, values).rowcount
    if user_id is None:
        lock_login(request)  # the session may have ended while the provider was asked
    return fresh if stored else _kept(request, identifier).token


class _Kept(NamedTuple):
    token: SocialToken
    sealed: bytes
    provider: str


def _kept(request: Request, identifier: UUID) -> _Kept:
    """What is kept for an account now; raises `SocialAccountNotFound`."""
    rows = request.read(statements.SOCIAL_TOKEN, {"of_id": identifier})
    if not rows:
        raise SocialAccountNotFound
    sealed, provider = rows[0].sealed, rows[0].provider
    return _Kept(tokens.from_values(request.services.encryption.open(sealed)), sealed, provider)


def _can_log_in(request: Request, user: User, accounts: list[SocialAccount]) -> bool:
    """By a provider that is set up, or by password and a name or address that a login takes."""
    if any(each.provider in request.services.providers for each in accounts):
        return True
    if not user.has_usable_password:
        return False
    if request.settings.email_verification == "mandatory":
        return any(each.verified for each in queries.addresses(request, user.id))
    return bool(user.email or user.username)


def _uuid(value: object, field: str) -> UUID:
    if not isinstance(value, UUID):
        raise InvalidInput(f"{field} must be a UUID.", field=field)
    return value
