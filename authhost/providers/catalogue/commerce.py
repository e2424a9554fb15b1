"""Shops, payment services and ticketing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider

from authhost.providers.catalogue._parse import (
    email_list,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)


def _read_amazon(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["user_id"]),
        emails=single_email(data.get("email")),
        name=optional_text(data.get("name")),
    )


AMAZON = OAuth2Provider(
    id="amazon",
    name="Amazon",
    authorize_url="https://www.amazon.com/ap/oa",
    token_url="https://api.amazon.com/auth/o2/token",
    profile_url="https://api.amazon.com/user/profile",
    read_profile=_read_amazon,
    scopes=("profile",),
    docs="https://developer.amazon.com/docs/login-with-amazon/register-web.html",
)


def _read_paypal(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["user_id"]),
        emails=email_list(data.get("emails"), address="value", verified="confirmed"),
        name=optional_text(data.get("name")),
    )


PAYPAL = OAuth2Provider(
    id="paypal",
    name="PayPal",
    authorize_url="https://www.paypal.com/signin/authorize",
    authorize_params={"flowEntry": "static"},
    token_url="https://api-m.paypal.com/v1/oauth2/token",
    profile_url="https://api-m.paypal.com/v1/identity/oauth2/userinfo",
    profile_params={"schema": "paypalv1.1"},
    read_profile=_read_paypal,
    scopes=("openid", "profile", "email"),
    credentials="basic",
    docs="https://developer.paypal.com/docs/log-in-with-paypal/",
)


def _read_stripe(data: Mapping[str, Any]) -> Profile:
    business, dashboard = (
        nested_object(data, "business_profile"),
        nested_object(data, "settings", "dashboard"),
    )
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(data.get("email")),
        name=optional_text(business.get("name"), dashboard.get("display_name")),
    )


STRIPE = OAuth2Provider(
    id="stripe",
    name="Stripe",
    authorize_url="https://connect.stripe.com/oauth/authorize",
    token_url="https://connect.stripe.com/oauth/token",
    profile_url="https://api.stripe.com/v1/account",
    read_profile=_read_stripe,
    scopes=("read_only",),
    docs="https://docs.stripe.com/connect/oauth-standard-accounts",
)


def _read_coinbase(data: Mapping[str, Any]) -> Profile:
    user = data["data"]
    return Profile(
        uid=subject_id(user["id"]),
        emails=single_email(user.get("email")),
        username=optional_text(user.get("username")),
        name=optional_text(user.get("name")),
        picture=optional_text(user.get("avatar_url")),
    )


COINBASE = OAuth2Provider(
    id="coinbase",
    name="Coinbase",
    authorize_url="https://login.coinbase.com/oauth2/auth",
    token_url="https://login.coinbase.com/oauth2/token",
    profile_url="https://api.coinbase.com/v2/user",
    read_profile=_read_coinbase,
    scopes=("wallet:user:read", "wallet:user:email"),
    docs="https://docs.cdp.coinbase.com/coinbase-app/oauth2-integration/overview",
)


def _read_eventbrite(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        emails=email_list(data.get("emails")),
        name=optional_text(data.get("name")),
    )


EVENTBRITE = OAuth2Provider(
    id="eventbrite",
    name="Eventbrite",
    authorize_url="https://www.eventbrite.com/oauth/authorize",
    token_url="https://www.eventbrite.com/oauth/token",
    profile_url="https://www.eventbriteapi.com/v3/users/me/",
    read_profile=_read_eventbrite,
    docs="https://www.eventbrite.com/platform/docs/authentication",
)

PROVIDERS: tuple[Provider, ...] = (AMAZON, PAYPAL, STRIPE, COINBASE, EVENTBRITE)
