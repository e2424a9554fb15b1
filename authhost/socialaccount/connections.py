"""List and disconnect the accounts at providers of a user, and get the tokens stored for them."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from authhost.account.flow import check_change, lock_login, require_login, require_recent_login, social_flow
from authhost.account.sessions import end_logins_at_steps
from authhost.errors import InvalidInput, LastLoginMethod, ProviderFailed, SocialAccountNotFound
from authhost.records import SocialAccount, SocialToken, User
from authhost.request import Request
from authhost.socialaccount import tokens
from authhost.store import queries, statements

CREDENTIAL_ERRORS = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")
"""Errors of the token endpoint about the client, which another login with the provider does not solve."""
EXPIRED_MESSAGE = "The connection to this provider has ended. Please log in with it again."
REFRESH_MARGIN = timedelta(seconds=60)
"""A token is refreshed this long before it expires, since the call takes time and clocks differ."""


def list_accounts(request: Request) -> list[SocialAccount]:
    """Return the accounts at providers of the logged-in user, oldest first; raises `LoginRequired`."""
    user, _ = require_login(request)
    return queries.social_accounts(request, user.id)


@social_flow
def disconnect(request: Request, *, account_id: UUID) -> SocialAccount:
    """Disconnect an account at a provider from the logged-in user; return the former account.

    Deletes its token. Raises `LoginRequired`, `ReauthenticationRequired`,
    `InvalidInput`, `SocialAccountNotFound`, `LastLoginMethod`.
    """
    require_recent_login(request)
    identifier = _require_uuid(account_id, "account_id")
    user = lock_login(request)
    accounts = queries.social_accounts(request, user.id)
    account = next((each for each in accounts if each.id == identifier), None)
    if account is None:
        raise SocialAccountNotFound
    others = [each for each in accounts if each.id != identifier]
    if not _can_log_in(request, user, others):
        raise LastLoginMethod
    check_change(request, user, "disconnect", provider=account.provider)
    delete_connection(request, user, account)
    return account


def delete_connection(request: Request, user: User, account: SocialAccount) -> None:
    """Delete a connection of a locked account with its token, and the logins that may have begun by it."""
    request.send_statement(statements.DELETE_SOCIAL_ACCOUNT, {"of_id": account.id, "of_user": user.id})
    end_logins_at_steps(request, user)
    request.services.hooks.social_account_removed(request, account)


@social_flow
def token(
    request: Request, *, account_id: UUID, user_id: UUID | None = None, refresh: bool = False
) -> SocialToken:
    """Return the provider's token of an account. Refreshes the token if it has expired.

    The account is one of the logged-in user, or of ``user_id`` (for jobs). Tokens
    are stored only if ``store_social_tokens`` is on. ``refresh=True`` refreshes the
    token even if it seems valid. Use it after the provider has returned 401: a token
    can be revoked early, and some providers do not return its lifetime (RFC 6749,
    section 5.1).

    Raises `LoginRequired`, `InvalidInput`, `SocialAccountNotFound`,
    `ProviderNotFound`, `InvalidIdToken` and `ProviderFailed`. The field ``reason`` of
    `ProviderFailed` says what to do. After ``token_expired``, ``no_refresh_token``
    and ``token_refused``, the person must log in with the provider again. If
    ``error`` is ``invalid_client``, compare the settings with the provider's. After
    any other, such as ``timeout`` or ``http_error`` with its ``status``, try again
    later. Raises ``RuntimeError`` if the unit of work has already written something.
    """
    request.require_clean("socialaccount.token")
    owner = require_login(request)[0].id if user_id is None else _require_uuid(user_id, "user_id")
    identifier = _require_uuid(account_id, "account_id")
    account = next((each for each in queries.social_accounts(request, owner) if each.id == identifier), None)
    if account is None:
        raise SocialAccountNotFound
    stored = _stored_token(request, identifier)
    expired = stored.token.expires_at is not None and stored.token.expires_at - REFRESH_MARGIN <= request.now
    if not (expired or refresh):
        return stored.token
    if stored.token.reveal_refresh() is None:
        raise ProviderFailed(EXPIRED_MESSAGE, reason="token_expired" if expired else "no_refresh_token")
    services = request.services
    app = services.providers.app(stored.provider)
    try:
        fresh = services.providers.client(app).refresh(stored.token, account.extra_data.get("sub"))
    except ProviderFailed as error:
        # Another process may have refreshed it: many providers accept a refresh token only once.
        current = _stored_token(request, identifier)
        if current.sealed != stored.sealed:
            return current.token
        refused = error.fields.get("reason") == "token_refused"
        if refused and error.fields.get("error") not in CREDENTIAL_ERRORS:
            raise ProviderFailed(EXPIRED_MESSAGE, **error.fields) from None
        raise
    values = {
        "of_id": identifier,
        "new_provider": app.id,
        "new_sealed": services.encryption.seal(tokens.to_values(fresh)),
        "old_sealed": stored.sealed,
        "now": request.now,
    }
    with services.database.engine.begin() as connection:
        # The former refresh token is not valid any more. Store the new one even if this unit fails.
        replaced = connection.execute(statements.REPLACE_SOCIAL_TOKEN, values).rowcount
    if user_id is None:
        lock_login(request)  # the session may have ended during the request to the provider
    return fresh if replaced else _stored_token(request, identifier).token


class _StoredToken(NamedTuple):
    token: SocialToken
    sealed: bytes
    provider: str


def _stored_token(request: Request, identifier: UUID) -> _StoredToken:
    """Read the token that is stored for an account; raises `SocialAccountNotFound`."""
    rows = request.read(statements.SOCIAL_TOKEN, {"of_id": identifier})
    if not rows:
        raise SocialAccountNotFound
    sealed, provider = rows[0].sealed, rows[0].provider
    return _StoredToken(tokens.from_values(request.services.encryption.open(sealed)), sealed, provider)


def _can_log_in(request: Request, user: User, accounts: list[SocialAccount]) -> bool:
    """Return whether the user can log in: with one of ``accounts``, or with a password.

    The provider must be configured. A password requires a username or an e-mail
    address that a login accepts.
    """
    if any(each.provider in request.services.providers for each in accounts):
        return True
    if not user.has_usable_password:
        return False
    if request.settings.email_verification == "mandatory":
        return any(each.verified for each in queries.addresses(request, user.id))
    return bool(user.email or user.username)


def _require_uuid(value: object, field: str) -> UUID:
    if not isinstance(value, UUID):
        raise InvalidInput(f"{field} must be a UUID.", field=field)
    return value
