"""What is stored of a person at a provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from authhost.errors import AuthHostError
from authhost.records import User
from authhost.request import Request
from authhost.socialaccount import tokens
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store import queries, statements


class ConnectedMeanwhile(AuthHostError):
    """Another request has connected the same person meanwhile: begin again, with what is stored now."""


def refresh(request: Request, sociallogin: SocialLogin, data: Mapping[str, Any]) -> None:
    """Store what the provider says now of somebody who is connected."""
    account, user = sociallogin.account, sociallogin.user
    if account.id is None or user is None:
        raise ConnectedMeanwhile
    queries.lock_account(request, user.id)
    values = {
        "of_id": account.id,
        "new_provider": sociallogin.app.id,
        "new_data": dict(data),
        "now": request.now,
    }
    if not request.write(statements.UPDATE_SOCIAL_ACCOUNT, values):
        raise ConnectedMeanwhile
    store_token(request, sociallogin)
    fresh = queries.social_account(request, account.issuer, account.uid)
    if fresh is None:
        raise ConnectedMeanwhile
    sociallogin.becomes(fresh, user)


def insert(request: Request, sociallogin: SocialLogin, user: User) -> None:
    """Connect the person to ``user``, whose account the caller has locked."""
    account = replace(sociallogin.account, id=request.new_id(), user_id=user.id)
    try:
        with request.savepoint():
            request.send(statements.INSERT_SOCIAL_ACCOUNT, account.values())
    except IntegrityError as error:
        raise ConnectedMeanwhile from error
    sociallogin.becomes(account, user)
    store_token(request, sociallogin)


def store_token(request: Request, sociallogin: SocialLogin) -> None:
    """Keep the provider's token of somebody who is connected."""
    if sociallogin.account.id is not None:
        tokens.store(request, sociallogin.account.id, sociallogin.app.id, sociallogin.token)
