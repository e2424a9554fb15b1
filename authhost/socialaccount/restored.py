"""The social login of a signup, restored: from the values of its form, or later from the stored account."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from authhost.errors import InvalidState, ProviderFailed, ProviderNotFound
from authhost.providers.app import App
from authhost.providers.client import read_profile
from authhost.records import SocialAccount, SocialEmail, User, frozen, thawed
from authhost.request import Request
from authhost.security.encryption import Undecipherable
from authhost.socialaccount import tokens
from authhost.socialaccount.sociallogin import SocialLogin, email_addresses
from authhost.store import queries


def form_values(request: Request, sociallogin: SocialLogin) -> dict[str, Any]:
    """Return the values of a social login that waits for the form of a signup, for `from_form`."""
    account, token = sociallogin.account, sociallogin.token
    stores_token = token is not None and request.settings.store_social_tokens
    return {
        "provider": sociallogin.app.id,
        "uid": account.uid,
        "data": account.values()["extra_data"],
        "emails": [[each.email, each.verified, each.primary] for each in sociallogin.email_addresses],
        "token": tokens.to_values(token) if token is not None and stores_token else None,
        "time": account.date_joined.isoformat(),
        "profile": [account.name, account.username, account.picture],
        "factors": list(sociallogin.factors),
    }


def from_form(request: Request, values: Mapping[str, Any]) -> SocialLogin:
    """Return the social login with the values of `form_values`.

    Raises `InvalidState` if the account at the provider was connected meanwhile.
    """
    app = request.services.providers.app(values["provider"])
    if queries.social_account(request, app.namespace, values["uid"]) is not None:
        raise InvalidState
    time = datetime.fromisoformat(values["time"])
    data = frozen(values["data"])
    profile = values.get("profile", ())  # a signup that was begun before version 0.2 has none
    return SocialLogin(
        app,
        "login",
        SocialAccount(None, None, app.id, app.namespace, values["uid"], data, time, time, *profile),
        token=tokens.from_values(values["token"]) if values["token"] else None,
        email_addresses=tuple(SocialEmail(*each) for each in values["emails"]),
        user=None,
        factors=tuple(values.get("factors", ())),
    )


def from_signup(request: Request, user: User) -> SocialLogin | None:
    """Return the social login by which ``user`` signed up, as far as it is stored.

    None if the user did not sign up by a provider, or if the provider or the social
    account was removed. The token is None if it was not stored.
    """
    accounts = queries.social_accounts(request, user.id)
    account = next((each for each in accounts if each.date_joined == user.date_joined), None)
    local = queries.account_by_id(request, user.id)
    if account is None or account.id is None or local is None:
        return None
    try:
        app = request.services.providers.app(account.provider)
    except ProviderNotFound:
        return None
    token = None
    with suppress(Undecipherable):
        token = tokens.read(request, account.id)
    addresses = _stored_addresses(app, account)
    return SocialLogin(app, "login", account, token=token, email_addresses=addresses, user=local.user)


def _stored_addresses(app: App, account: SocialAccount) -> tuple[SocialEmail, ...]:
    """Return the addresses in the stored profile; none if some of the provider's answer was not stored."""
    try:
        return email_addresses(app, read_profile(app, thawed(account.extra_data)).emails)
    except ProviderFailed:
        return ()
