"""Store the account of a person at a provider, and its token."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from authhost.errors import AuthHostError
from authhost.records import User
from authhost.request import Request
from authhost.socialaccount import tokens
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store import queries, statements

if TYPE_CHECKING:
    from authhost.providers.client import ProviderResponse


class ConcurrentChange(AuthHostError):
    """Another request has connected or deleted the same account meanwhile. The flow must be repeated."""


def update_account(request: Request, sociallogin: SocialLogin, response: ProviderResponse) -> None:
    """Store the current data and token of an account that is connected; raises `ConcurrentChange`."""
    account, user = sociallogin.account, sociallogin.user
    if account.id is None or user is None:
        raise ConcurrentChange
    queries.lock_account(request, user.id)
    values = {
        "of_id": account.id,
        "new_provider": sociallogin.app.id,
        "new_data": dict(response.data),
        "new_name": response.profile.name,
        "new_username": response.profile.username,
        "new_picture": response.profile.picture,
        "now": request.now,
    }
    if not request.write(statements.UPDATE_SOCIAL_ACCOUNT, values):
        raise ConcurrentChange
    store_token(request, sociallogin)
    stored = queries.social_account(request, account.issuer, account.uid)
    if stored is None:
        raise ConcurrentChange
    sociallogin.set_connected(stored, user)


def insert_account(
    request: Request, sociallogin: SocialLogin, user: User, *, joined: datetime | None = None
) -> None:
    """Connect the account to ``user``, whose row the caller has locked; raises `ConcurrentChange`.

    ``joined`` is when the account counts as connected; by default when the person returned.
    """
    found = sociallogin.account
    joined = joined or found.date_joined
    account = replace(found, id=request.new_id(), user_id=user.id, date_joined=joined)
    try:
        with request.savepoint():
            request.send_statement(statements.INSERT_SOCIAL_ACCOUNT, account.values())
    except IntegrityError as error:
        raise ConcurrentChange from error
    sociallogin.set_connected(account, user)
    store_token(request, sociallogin)


def store_token(request: Request, sociallogin: SocialLogin) -> None:
    """Store the provider's token, if the account is connected."""
    if sociallogin.account.id is not None:
        tokens.store(request, sociallogin.account.id, sociallogin.app.id, sociallogin.token)
